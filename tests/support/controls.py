"""A page as a program reads it: the controls of its forms, its ids, its errors with their codes."""

from html.parser import HTMLParser


class Controls(HTMLParser):
    """The controls of a page's forms, the ids of all elements, and the errors with their codes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.nameless: list[str] = []
        self.ids: list[str] = []
        self.errors: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        hidden = tag == "input" and found.get("type") == "hidden"
        if tag in ("input", "select", "textarea", "button") and not hidden and not found.get("id"):
            self.nameless.append(str(self.get_starttag_text()))
        if found.get("class") == "error":
            self.errors[str(found.get("id", ""))] = found.get("data-code") or ""
