"""A resident's browser, as far as plain HTTP goes: cookies, forms, redirects. No script, no back door."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

import httpx2

from portal.walk.report import Report


@dataclass
class Form:
    """A form of a page: where it goes and what it would send untouched."""

    action: str
    method: str
    id: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    boxes: list[tuple[str, str, bool]] = field(default_factory=list)  # name, value, required/disabled
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)  # id -> name, value


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.text: list[str] = []
        self._open: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(have.get("action", ""), have.get("method", "get").lower(), have.get("id", ""))
            self.forms.append(self._open)
        elif self._open is not None and tag == "input" and have.get("name"):
            kind = have.get("type", "text")
            if kind in ("checkbox", "radio"):
                self._open.boxes.append((have["name"], have.get("value", "on"), "checked" in have))
                if "checked" in have and "disabled" not in have:
                    self._open.fields.append((have["name"], have.get("value", "on")))
            elif kind not in ("submit", "button", "file"):
                self._open.fields.append((have["name"], have.get("value", "")))
        elif self._open is not None and tag == "button" and have.get("id"):
            self._open.buttons[have["id"]] = (have.get("name", ""), have.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append(data.strip())


@dataclass
class Page:
    """A page as the browser has it."""

    url: str
    status: int
    html: str
    forms: list[Form]
    text: str

    def form_with(self, control: str) -> Form | None:
        """The form that has a field of that name, or a button of that id."""
        for form in self.forms:
            names = {name for name, _ in form.fields} | {name for name, _, _ in form.boxes}
            if control in names or control in form.buttons:
                return form
        return None


class Browser:
    """Follows redirects within the city; stops at an address of somebody else and hands it over."""

    def __init__(self, issuer: str, report: Report, *, language: str = "ja") -> None:
        self._issuer = issuer
        self._report = report
        self.http = httpx2.Client(
            timeout=30, headers={"Accept": "text/html", "Accept-Language": language, "User-Agent": "sekisho-walk"}
        )

    def get(self, path: str, *, accept: str = "text/html") -> httpx2.Response:
        """A plain GET without following."""
        url = urljoin(self._issuer, path)
        response = self.http.get(url, headers={"Accept": accept})
        self._report.request(f"GET {shown(url)} → {response.status_code}")
        return response

    def open(self, url: str) -> Page | str:
        """Open an address; returns the page, or the first address outside the city."""
        response = self.get(url)
        return self._follow(response)

    def post(self, page: Page, form: Form, values: list[tuple[str, str]]) -> Page | str:
        """Send a form with these fields."""
        url = urljoin(page.url, form.action or page.url)
        body = urlencode(values)
        response = self.http.post(
            url,
            content=body.encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded", "Origin": self._issuer},
        )
        self._report.request(f"POST {shown(url)} → {response.status_code}")
        return self._follow(response)

    def fill(self, page: Page, control: str, values: dict[str, str], *, button: str | None = None) -> Page | str:
        """Fill the form that holds `control` and send it; a broken promise if there is none."""
        form = page.form_with(control)
        if form is None:
            self._report.broken(
                f"the page {shown(page.url)} ({page.status}) has no control {control!r}: {page.text[:300]}"
            )
        fields = [(name, value) for name, value in form.fields if name not in values]
        fields += list(values.items())
        if button and button in form.buttons and form.buttons[button][0]:
            fields.append(form.buttons[button])
        return self.post(page, form, fields)

    def _follow(self, response: httpx2.Response) -> Page | str:
        for _ in range(12):
            if response.status_code not in (301, 302, 303, 307, 308):
                break
            target = urljoin(str(response.url), response.headers["location"])
            if not same_origin(target, self._issuer):
                return target
            response = self.http.get(target)
            self._report.request(f"GET {shown(target)} → {response.status_code}")
        parser = _Forms()
        parser.feed(response.text)
        return Page(str(response.url), response.status_code, response.text, parser.forms, " ".join(parser.text))


def same_origin(url: str, issuer: str) -> bool:
    """Whether an address is the city's own."""
    one, two = urlsplit(url), urlsplit(issuer)
    return (one.scheme, one.netloc) == (two.scheme, two.netloc)


def shown(url: str) -> str:
    """An address for the report: path only, no secrets of the query."""
    parts = urlsplit(url)
    return parts.path + ("?…" if parts.query else "")
