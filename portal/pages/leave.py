"""Leave: take everything home as one ZIP, or have it erased for good (walk 9).

Erasing asks for a fresh sign-in and a written word; it is one write, after which the resident's key is gone.
"""

from base64 import b64encode
from dataclasses import dataclass, replace

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from consent import records
from identity.oidc.check_session import BrowserState
from identity.sessions import session_cookie
from infobank import export, rights, vault
from infobank.catalogue import Catalogue
from infobank.receipts import ReceiptFiles
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.clock import MINUTE, iso
from kit.db import Session
from kit.encoding import canonical
from kit.host import Host
from portal import i18n
from portal.contexts.resident import Erase, Erased, KeptThing, Leave
from portal.i18n import N_, _
from portal.visits import pages, require_session, visit_of
from portal.web import page_headers, read_form, render

FRESH = 5 * MINUTE  # erasing asks who you are again: an open browser must not be enough
_WORDS = {N_("erase")}


@dataclass(frozen=True)
class Numbers:
    """What leaving would do."""

    preview: rights.Preview
    consents: int


def kept_things(kept: tuple[rights.Kept, ...], lang: str) -> tuple[KeptThing, ...]:
    """What stays behind, in a language."""
    return tuple(KeptThing(each.what.of(lang), each.why.of(lang), each.until) for each in kept)


def confirms(word: str) -> bool:
    """Whether the word asked for was written, in either language."""
    expected = {i18n.language(code).gettext(each) for code in i18n.LANGUAGES for each in _WORDS}
    expected |= {"けす"}  # whoever types without turning kana into kanji means the same
    return word.strip().strip("「」“”\"'").casefold() in {each.casefold() for each in expected}


def router(host: Host) -> APIRouter:
    """/leave and below."""
    routes = pages(host)
    sealer, catalogue = host.get(Sealer), host.get(Catalogue)
    settings, receipts = host.settings.infobank, host.get(ReceiptFiles)

    def numbers(session: Session, account_id: str) -> Numbers:
        now = host.clock.ms()
        preview = rights.preview(session, account_id=account_id, settings=settings, now=now)
        standing = [each for each in records.list_for(session, account_id, now=now) if each.stands]
        return Numbers(preview, len(standing))

    @routes.get("/leave")
    async def leave(request: Request) -> Response:
        account = require_session(request).account_id
        found = await host.db.read(numbers, account)
        page = Leave(
            records=found.preview.records,
            consents=found.consents,
            uses=found.preview.disclosures,
            completion=found.preview.complete_at,
            kept=kept_things(found.preview.kept, i18n.current().code),
        )
        return render(request, "resident/leave.html", page)

    @routes.get("/leave/export")
    async def take_home(request: Request) -> Response:
        account = require_session(request).account_id
        now = host.clock.ms()
        # Asked first, so that a closed account is a page and not a broken download.
        await host.db.read(vault.owner_key, sealer, account)
        parts = export.stream(host.db, sealer, catalogue, account_id=account, now=now, receipts=receipts.of)
        headers = page_headers() | {"content-disposition": f'attachment; filename="sekisho-{iso(now)[:10]}.zip"'}
        return StreamingResponse(parts, media_type="application/zip", headers=headers)

    async def erase_page(request: Request, account: str, error: str = "") -> Response:
        found = await host.db.read(numbers, account)
        page = Erase(found.preview.records, found.preview.complete_at, error)
        return render(request, "resident/erase.html", page, status=422 if error else 200)

    @routes.get("/leave/erase")
    async def ask(request: Request) -> Response:
        session = require_session(request, fresh_ms=FRESH, now=host.clock.ms())
        return await erase_page(request, session.account_id)

    @routes.post("/leave/erase")
    async def erase(request: Request) -> Response:
        now = host.clock.ms()
        session = require_session(request, fresh_ms=FRESH, now=now)
        form = await read_form(request)
        if not confirms(form.one("confirm")):
            return await erase_page(request, session.account_id, _("Please write “%(word)s”.", word=_("erase")))
        done = await host.db.write(
            rights.erase,
            sealer,
            host.get(TokenHasher),
            account_id=session.account_id,
            settings=settings,
            actor=session.actor(),
            now=now,
        )
        evidence = b64encode(canonical(done.evidence.document())).decode()
        kept = kept_things(done.kept, i18n.current().code)
        page = Erased(done.complete_at, kept, f"data:application/json;base64,{evidence}")
        request.state.visit = replace(visit_of(request), browser=None)  # nobody is signed in any more
        response = render(request, "resident/erased.html", page)
        response.delete_cookie(
            session_cookie(host.issuer), secure=host.issuer.startswith("https"), httponly=True, samesite="lax"
        )
        if (state := host.get(BrowserState).cookie(None)) is not None:
            response.headers.append("set-cookie", state)
        return response

    return routes
