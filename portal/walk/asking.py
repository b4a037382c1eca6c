"""`sekisho demo-ask`: a demo service on this machine, for a person to try the city at their own browser.

Opening its address asks (RFC 9126, 9396, by the service of the walk); what the person answers and what the service then
gets, or does not get any more after a withdrawal, is shown as the service would see it.
"""

import html
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from portal.walk.service import DATA_USE, Asked, Service

_PAGE = """<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>{title}</title>
<link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<style>body{{font:1.0625rem/1.8 sans-serif;max-width:34rem;margin:3rem auto;padding:0 1.125rem}}h1{{font-weight:400}}
small{{opacity:.75}}</style></head><body><small>{service}</small><h1>{title}</h1><p>{words}</p>{links}</body></html>"""

_WORDS = {
    "ja": {
        "got": ("データを受け取りました", "同意されたもの：{what}。いま届いた記録は{count}件です。"),
        "stopped": ("もう受け取れません", "関所が断りました（{status}）。データは届きません。"),
        "refused": ("同意されませんでした", "データは受け取っていません。"),
        "unasked": ("おたずねできません", "関所が質問を受け付けませんでした。{why}"),
        "stray": ("この返事は受け付けられません", "はじめから、もう一度お試しください。"),
        "again": "もう一度受け取ってみる",
        "ask": "もう一度おたずねする",
        "who": "関所で「だれが使ったか」を見る",
    },
    "en": {
        "got": ("We got your data", "You agreed to: {what}. {count} records came just now."),
        "stopped": ("We get nothing any more", "Sekisho refused ({status}). No data came."),
        "refused": ("You did not agree", "We got no data."),
        "unasked": ("We can't ask you", "Sekisho did not accept the question: {why}"),
        "stray": ("This answer can't be accepted", "Please begin again."),
        "again": "Fetch again",
        "ask": "Ask again",
        "who": "See in Sekisho who used it",
    },
}


@dataclass
class Asking:
    """The service's three addresses: `/` asks, the registered one takes the answer, `/again` fetches."""

    service: Service
    city: str
    names: dict[str, dict[str, str]] = field(default_factory=dict)  # of the kinds of data, by id and language
    asked: dict[str, Asked] = field(default_factory=dict)  # by state
    token: dict[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where this service is, as its registration says."""
        where = urlsplit(self.service.registration["redirect_uri"])
        return f"{where.scheme}://{where.netloc}/"

    def answer(self, target: str, lang: str) -> tuple[int, str, str]:
        """A request of the browser: the status, where it is sent ("" for nowhere), and the page."""
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        if path == "/":
            return self._ask(lang)
        if path == urlsplit(self.service.registration["redirect_uri"]).path:
            return self._take({name: values[0] for name, values in query.items()}, lang)
        if path == "/again" and self.token:
            return 200, "", self._fetch(lang)
        return 404, "", self._page(lang, "stray", ("ask", "/"))

    def _ask(self, lang: str) -> tuple[int, str, str]:
        asked = self.service.asking(scope="openid")
        pushed = self.service.push(asked.form).json()
        if "request_uri" not in pushed:
            return 502, "", self._page(lang, "unasked", ("ask", "/"), why=pushed.get("error_description", ""))
        self.asked[asked.form["state"]] = asked
        return 303, self.service.address(pushed["request_uri"]), ""

    def _take(self, given: dict[str, str], lang: str) -> tuple[int, str, str]:
        # Once, from this city, and an answer to a question of ours: else anybody could hand us somebody else's code.
        asked = self.asked.pop(given.get("state", ""), None)
        if asked is None or given.get("iss") != self.city:
            return 400, "", self._page(lang, "stray", ("ask", "/"))
        if "code" not in given:
            return 200, "", self._page(lang, "refused", ("ask", "/"))
        self.token = self.service.exchange(given["code"], asked.verifier).json()
        return 303, "/again", ""  # the code does not stay in the address bar, and a reload fetches anew

    def _fetch(self, lang: str) -> str:
        links = (("again", "/again"), ("who", self.city + "/who"), ("ask", "/"))
        got = self.service.fetch(self.token.get("access_token", ""))
        if got.status_code != 200:
            return self._page(lang, "stopped", *links, status=got.status_code)
        agreed = next(one for one in self.token["authorization_details"] if one["type"] == DATA_USE)
        what = ", ".join(self.names.get(one, {}).get(lang, one) for one in agreed["datatypes"])
        return self._page(lang, "got", *links, what=what, count=len(got.json()["records"]))

    def _page(self, lang: str, said: str, *links: tuple[str, str], **values: object) -> str:
        title, words = _WORDS[lang][said]
        registered = self.service.registration
        name = registered.get("name_en" if lang == "en" else "name") or registered["name"]
        return _PAGE.format(
            lang=lang, title=title, service=html.escape(name),
            words=html.escape(words.format(**values)),
            links="".join(f'<p><a href="{html.escape(to)}">{_WORDS[lang][name]}</a></p>' for name, to in links),
        )  # fmt: skip


def listen(asking: Asking) -> HTTPServer:
    """The service's small server, on this machine alone; raises OSError where its port is taken."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            lang = "ja" if self.headers.get("Accept-Language", "").startswith("ja") else "en"
            status, to, page = asking.answer(self.path, lang)
            body = page.encode()
            self.send_response(status)
            for name, value in (("Location", to), ("Content-Type", "text/html; charset=utf-8")):
                if value:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Referrer-Policy", "no-referrer")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet: the requests to the city are what is told, and an address here holds a code."""

    return HTTPServer(("127.0.0.1", urlsplit(asking.address).port or 0), Handler)
