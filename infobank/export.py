"""The export: everything the bank holds of one resident, as a ZIP of JSON with pages to read (APPI article 33, GDPR
article 20). Written part by part, so that a large one never stands in memory as a whole.

`index.html` (Japanese) and `index.en.html` need no network and no script; `manifest.json` lists every file with its
SHA-256.
"""

import hashlib
import io
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import orjson

from consent.purposes import PURPOSES
from identity import accounts
from identity.accounts import Profile
from infobank import disclosures, store, vault
from infobank.catalogue import AREAS, SENSITIVITY_LABELS, Catalogue, Category
from infobank.disclosures import Disclosure, Recipient
from infobank.items import Item
from infobank.views import city_day
from keys.envelope import Sealer
from kit.clock import Millis, iso, to_datetime
from kit.db import Database, Session

CHUNK = 500  # records read at a time
SHOWN = 100  # records of a category on the readable page; the JSON has them all

Receipts = Callable[[str], AsyncIterator[tuple[str, bytes]]]  # (file name, content) for a resident


@dataclass(frozen=True, slots=True)
class _Frame:
    profile: Profile
    counts: dict[str, tuple[int, Millis, Millis]]
    names: dict[str, Recipient]
    history: tuple[Disclosure, ...]


class _Sink(io.RawIOBase):
    """A file that cannot seek: what was written is taken away at once."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


class _Archive:
    """A ZIP on a sink, with the hashes for the manifest."""

    def __init__(self, now: Millis) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w", zipfile.ZIP_DEFLATED)
        self._moment = to_datetime(now).timetuple()[:6]
        self.files: list[dict[str, Any]] = []

    def add(self, name: str, data: bytes) -> bytes:
        """Add a file; the bytes of the archive that are ready."""
        info = zipfile.ZipInfo(name, self._moment)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16  # personal: unpacked readable for the owner alone
        self._zip.writestr(info, data)
        self.files.append({"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
        return self._sink.take()

    def close(self) -> bytes:
        self._zip.close()
        return self._sink.take()


async def stream(
    database: Database,
    sealer: Sealer,
    catalogue: Catalogue,
    *,
    account_id: str,
    now: Millis,
    receipts: Receipts,
) -> AsyncIterator[bytes]:
    """The ZIP, in parts."""

    def frame(session: Session) -> _Frame:
        return _Frame(
            profile=accounts.profile(session, sealer, account_id),
            counts=store.counts(session, account_id),
            names=disclosures.recipients(session),
            history=disclosures.history(session, account_id, limit=100_000),
        )

    def records(session: Session, category: str, before: tuple[Millis, str] | None) -> tuple[Item, ...]:
        key = vault.owner_key(session, sealer, account_id)
        return vault.open_all(key, store.page(session, account_id, category, limit=CHUNK, before=before))

    known = await database.read(frame)
    archive = _Archive(now)
    yield archive.add("profile.json", _json({"account": account_id, "exported": iso(now), **asdict(known.profile)}))
    shown: dict[str, list[Item]] = {}
    for category in catalogue:
        if category.id not in known.counts:
            continue
        part, before = 0, None
        while items := await database.read(records, category.id, before):
            part += 1
            before = (items[-1].recorded_at, items[-1].id)
            kept = shown.setdefault(category.id, [])
            kept.extend(items[: max(0, SHOWN - len(kept))])
            name = f"data/{category.id}.json" if part == 1 else f"data/{category.id}-{part}.json"
            yield archive.add(name, _json(_category_document(category, items)))
    yield archive.add(
        "disclosures.json",
        _json([disclosures.usage(entry, known.names) for entry in known.history]),
    )
    evidence = 0
    async for name, content in receipts(account_id):
        evidence += 1
        yield archive.add(f"receipts/{name}", content)
    for name, lang in (("index.html", "ja"), ("index.en.html", "en")):
        yield archive.add(name, _page(catalogue, known, shown, lang=lang, now=now, evidence=evidence).encode())
    yield archive.add("manifest.json", _json({"exported": iso(now), "files": archive.files}))
    yield archive.close()


def record_document(item: Item) -> dict[str, Any]:
    """A record as the resident's API and the export tell it."""
    return {
        "id": item.id,
        "category": item.category,
        "source": item.source,
        "recorded_at": iso(item.recorded_at),
        "created_at": iso(item.created_at),
        "data": item.data,
    }


def _category_document(category: Category, items: tuple[Item, ...]) -> dict[str, Any]:
    return {
        "category": category.id,
        "version": category.version,
        "label": asdict(category.label),
        "personal_data": category.pd,
        "model": {"name": category.model_name, "reference": category.model_reference},
        "schema": category.schema,
        "records": [record_document(item) for item in items],
    }


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)


_WORDS = {
    "ja": {
        "title": "あなたのデータの写し",
        "made": "作成日",
        "intro": "情報銀行にある、あなたのデータのすべてです。"
        "このファイルはあなたの手元にだけあります。大切に保管してください。",
        "data": "わたしのデータ",
        "who": "だれが使ったか",
        "sign-in": "サインインのため",
        "look-up": "だれがデータを受け取ったかを、あなたに見せるため",
        "none": "まだありません。",
        "source": "出どころ：",
        "self": "あなた",
        "more": "ここには新しい{n}件だけを載せています。すべては data フォルダーにあります。",
        "receipts": "同意の控えは receipts フォルダーにあります。"
        "sekisho ledger verify-receipt で、だれでも確かめられます。",
        "other": '<a href="index.en.html" hreflang="en" lang="en">English</a>',
    },
    "en": {
        "title": "A copy of your data",
        "made": "Made on",
        "intro": "This is everything the information bank holds about you. Nobody else has this file. Keep it safe.",
        "data": "My data",
        "who": "Who used it",
        "sign-in": "To sign you in",
        "look-up": "To show you who received your data",
        "none": "Nothing yet.",
        "source": "from ",
        "self": "You",
        "more": "Only the newest {n} are shown here. All of them are in the data folder.",
        "receipts": "Receipts of your consents are in the folder receipts; "
        "anybody can check them with sekisho ledger verify-receipt.",
        "other": '<a href="index.html" hreflang="ja" lang="ja">日本語</a>',
    },
}

_STYLE = (
    "body{font:1rem/1.8 system-ui,'Hiragino Sans','Noto Sans JP',sans-serif;color:#17202a;background:#fff;"
    "max-width:46rem;margin:0 auto;padding:2rem 1rem;overflow-wrap:anywhere}"
    "h1,h2,h3,h4{font-weight:500;line-height:1.4}h2{border-bottom:1px solid #c8ccd0;margin-top:3rem}"
    "h3{margin-top:2.5rem}h4{font-size:1rem;font-weight:600;margin:0}"
    "small{font-size:.875rem;font-weight:400;color:#4a5560}section{border-bottom:1px solid #e3e6e8;padding:.8rem 0;"
    "break-inside:avoid}dl{display:grid;grid-template-columns:minmax(8rem,2fr) 3fr;gap:0 1rem;margin:0}dd{margin:0;"
    "font-variant-numeric:tabular-nums}a{color:#1b6046}ol{list-style:none;padding:0}li{border-bottom:1px solid #e3e6e8;"
    "padding:.5rem 0}@media(prefers-color-scheme:dark){body{color:#e8eaec;background:#14181b}small{color:#aab2b8}"
    "a{color:#7cc4a4}}"
)


def _page(
    catalogue: Catalogue, known: _Frame, shown: dict[str, list[Item]], *, lang: str, now: Millis, evidence: int
) -> str:
    words = _WORDS[lang]
    parts = [
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>{words["title"]}</title><style>{_STYLE}</style></head><body>'
        f"<p>{words['other']}</p><h1>{words['title']}</h1><p>{escape(known.profile.name)} ・ {words['made']} "
        f"{_day(now, lang)}</p><p>{words['intro']}</p><h2>{words['data']}</h2>"
    ]
    if not shown:
        parts.append(f"<p>{words['none']}</p>")
    for area in AREAS:
        for category in catalogue.in_area(area):
            if category.id in shown:
                parts.append(_category_section(category, shown[category.id], known, lang))
    parts.append(f"<h2>{words['who']}</h2>")
    if not known.history:
        parts.append(f"<p>{words['none']}</p>")
    else:
        parts.append("<ol>")
        for entry in known.history:
            recipient = entry.recipient or known.names.get(entry.member_id)
            joined = "、" if lang == "ja" else ", "
            what = joined.join(
                f"{catalogue.get(name).label.of(lang) if name in catalogue else name} ({_count(count, lang)})"
                for name, count in entry.counts
            ) or joined.join(disclosures.claims_in_words(entry.claims, lang))
            purpose = PURPOSES[entry.purpose].label(lang) if entry.purpose in PURPOSES else entry.purpose
            if entry.claims:
                purpose = words["look-up" if entry.purpose == disclosures.LOOK_UP else "sign-in"]
            name = recipient.name(lang) if recipient else entry.member_id
            parts.append(
                f"<li><strong>{_day(entry.at, lang)}</strong> {escape(name)}<br>{escape(what)}<br>"
                f"<small>{escape(purpose)}</small></li>"
            )
        parts.append("</ol>")
    if evidence:
        parts.append(f"<p>{words['receipts']}</p>")
    parts.append("</body></html>")
    return "".join(parts)


def _category_section(category: Category, items: list[Item], known: _Frame, lang: str) -> str:
    words = _WORDS[lang]
    total = known.counts[category.id][0]
    rows = []
    for item in items:
        fields = "".join(
            f"<dt>{escape(field.label.of(lang))}</dt><dd>{escape(field.text(item.data[field.name], lang))}</dd>"
            for field in category.fields
            if field.name in item.data and field.name != category.recorded
        )
        recipient = known.names.get(item.source)
        source = words["self"] if item.source == "self" else recipient.name(lang) if recipient else item.source
        when = category.field_by_name[category.recorded].text(item.data[category.recorded], lang)
        rows.append(
            f"<section><h4>{escape(when)} <small>{words['source']}{escape(source)}</small></h4>"
            f"<dl>{fields}</dl></section>"
        )
    more = f"<p>{words['more'].format(n=len(items))}</p>" if total > len(items) else ""
    return (
        f"<h3>{escape(category.label.of(lang))} <small>{_count(total, lang)}・"
        f"{escape(SENSITIVITY_LABELS[category.sensitivity].of(lang))}</small></h3>"
        f"<p>{escape(category.description.of(lang))}</p>{more}{''.join(rows)}"
    )


def _count(number: int, lang: str) -> str:
    return f"{number}件" if lang == "ja" else f"{number} record" if number == 1 else f"{number} records"


def _day(at: Millis, lang: str) -> str:
    day = city_day(at)
    return f"{day.day} {day:%B} {day.year}" if lang == "en" else f"{day.year}年{day.month}月{day.day}日"
