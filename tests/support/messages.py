"""What the pages say, compared with the catalogues.

`python -m tests.support.messages` prints every message without Japanese, as PO entries ready to be filled in
and moved to portal/locale/ja/<area>.po, and every translation that no page uses.
"""

import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from babel.messages.extract import extract

from portal import i18n

ROOT = Path(__file__).parents[2]
PORTAL = ROOT / "portal"
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2), "t": None}


@dataclass(frozen=True)
class Said:
    """A message where it is written."""

    msgid: str
    plural: str | None
    where: str


def said() -> Iterator[Said]:
    """Every message in pages and templates."""
    for path in sorted(PORTAL.rglob("*")):
        if path.suffix == ".py":
            method, options = "python", {}
        elif path.suffix == ".html" and "templates" in path.parts:
            method, options = "jinja2.ext:babel_extract", {"trimmed": "true", "trim_blocks": "true", "silent": "false"}
        else:
            continue
        source = io.BytesIO(path.read_bytes())
        for line, message, _comments, _context in extract(method, source, keywords=KEYWORDS, options=options):
            where = f"{path.relative_to(ROOT)}:{line}"
            if isinstance(message, tuple):
                if isinstance(message[0], str):
                    yield Said(message[0], message[1] if isinstance(message[1], str) else None, where)
            elif message:
                yield Said(message, None, where)


def catalogue(code: str) -> dict[str, list[tuple[str, i18n.Entry]]]:
    """Every entry of a language, with the file it is in."""
    found: dict[str, list[tuple[str, i18n.Entry]]] = {}
    for path in i18n.catalogue_files(code):
        for entry in i18n.read_po(path.read_text("utf-8"), name=path.name):
            found.setdefault(entry.msgid, []).append((path.name, entry))
    return found


def places(text: str) -> list[str]:
    """The placeholders of a message, sorted."""
    return sorted(re.findall(r"%\((\w+)\)", text))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def main() -> None:
    """Print what is missing and what is left over."""
    translated = catalogue("ja")
    seen: set[str] = set()
    for one in said():
        if one.msgid not in translated and one.msgid not in seen:
            sys.stdout.write(f"\n#: {one.where}\nmsgid {_quoted(one.msgid)}\n")
            if one.plural:
                sys.stdout.write(f'msgid_plural {_quoted(one.plural)}\nmsgstr[0] ""\n')
            else:
                sys.stdout.write('msgstr ""\n')
        seen.add(one.msgid)
    for msgid in translated.keys() - seen:
        sys.stdout.write(f"\n# unused in {translated[msgid][0][0]}: {msgid}\n")


if __name__ == "__main__":
    main()
