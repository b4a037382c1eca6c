"""A receipt on the screen for somebody else: a QR code with an address that lasts ten minutes, and what is found there.

The address comes in the answer to the POST that made it and is stored nowhere. Behind its `#` stands the file's hash,
which no browser sends: whoever scans the code knows which file was meant, whatever the address answers.
"""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from consent import showing
from consent.receipts import MEDIA_TYPE, Receipts
from consent.showing import Shown
from infobank.catalogue import Catalogue
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.clock import from_iso
from kit.host import Host
from kit.ids import secret
from kit.problems import NotFound
from portal import i18n
from portal.contexts.showing import ReceiptSeen, ReceiptShown
from portal.visits import pages, require_session
from portal.web import page_headers, read_form, render

_GROUPS = 4  # of four figures: enough to compare by eye, the rest is in the code


def qr_svg(address: str) -> str:
    """The code as an inline SVG without styles (strict CSP): dark on white, four modules of margin."""
    import segno

    drawn: str = segno.make(address, error="m").svg_inline(
        scale=5, border=4, dark="#000", light="#fff", svgclass="qr", lineclass="qr-line", omitsize=True
    )
    return drawn


def fingerprint(shown: Shown) -> str:
    """The beginning of the file's hash, to be read aloud."""
    text = shown.digest.hex()[: 4 * _GROUPS]
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def seen_page(shown: Shown, token: str, catalogue: Catalogue, lang: str) -> ReceiptSeen:
    """What the other person sees. Pure."""
    receipt = shown.receipt
    event, agreement = receipt["event"], receipt["agreement"]
    names = [(catalogue.find(code), code) for code in event["categories"]]
    text = agreement["text"].get(lang) or agreement["text"]["en"]
    return ReceiptSeen(
        title=text["title"],
        kind=event["type"],
        recipient=agreement["recipient"]["name"][lang if lang == "ja" else "en"],
        what=tuple(category.label.of(lang) if category else code for category, code in names),
        at=from_iso(event["time"]),
        until=from_iso(event["until"]),
        ends=shown.until_at,
        fingerprint=fingerprint(shown),
        file_href=f"/receipts/{token}/file",
    )


def router(host: Host) -> APIRouter:
    """POST /consents/{id}/receipt/show, and /receipts/{token} for whoever scanned it."""
    routes = pages(host)
    sealer, hasher, receipts = host.get(Sealer), host.get(TokenHasher), host.get(Receipts)
    catalogue = host.get(Catalogue)

    @routes.post("/consents/{consent_id}/receipt/show")
    async def show(request: Request, consent_id: str) -> Response:
        session = require_session(request)
        await read_form(request)
        made = await receipts.make(consent_id, account_id=session.account_id)
        token = secret("skr")
        shown = await host.db.write(
            showing.show,
            sealer,
            hasher,
            made,
            account_id=session.account_id,
            token=token,
            actor=session.actor(),
            now=host.clock.ms(),
        )
        address = f"{host.issuer}/receipts/{token}"
        page = ReceiptShown(
            back=f"/consents/{consent_id}/receipt",
            again=request.url.path,
            qr=qr_svg(f"{address}#{shown.fragment}"),
            address=address,
            ends=shown.until_at,
            fingerprint=fingerprint(shown),
        )
        return render(request, "resident/receipt_shown.html", page)

    async def find(token: str) -> Shown:
        found = await host.db.read(showing.find, sealer, hasher, token[:200], now=host.clock.ms())
        if found is None:
            raise NotFound("This receipt is not shown any more. Ask for a new code.")
        return found

    @routes.get("/receipts/{token}")
    async def seen(request: Request, token: str) -> Response:
        page = seen_page(await find(token), token, catalogue, i18n.current().code)
        return render(request, "ledger/receipt.html", page)

    @routes.get("/receipts/{token}/file")
    async def file(request: Request, token: str) -> Response:
        shown = await find(token)
        headers = page_headers() | {"content-disposition": f'attachment; filename="{shown.file_name}"'}
        return Response(shown.content, headers=headers, media_type=MEDIA_TYPE)

    return routes
