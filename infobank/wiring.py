"""Where the bank plugs into the building: its services, routes, hot paths and problems."""

from consent.rebit import Use, Uses
from consent.receipts import Receipts
from consent.sensitivities import Sensitivities
from identity.bearer import Bearer
from identity.clients import Clients
from identity.crowd import Crowd
from identity.oauth.resource_metadata import ProtectedResource
from infobank import anchoring, catalogue, documents, errors, tracker, views
from infobank.catalogue import Catalogue
from infobank.receipts import ReceiptFiles
from infobank.routes import resident_router
from infobank.services import SCOPE_DEPOSIT, Services
from infobank.settings import InfobankSettings
from infobank.tracker import SCOPE_USAGE, tracker_router
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.db import Session
from kit.host import Host


def include(host: Host) -> None:
    """Provide the Catalogue; add the service's hot paths and the resident's API."""
    settings: InfobankSettings = host.settings.infobank
    known = catalogue.load()
    sealer = host.get(Sealer)
    services = Services(
        host.db,
        host.clock,
        sealer,
        host.get(TokenHasher),
        host.get(Clients),
        host.get(Bearer),
        known,
        settings,
    )
    receipts = ReceiptFiles(host.db, sealer, host.clock, host.get(Receipts))
    host.provide(Catalogue, known)
    host.get(Sensitivities).tell((each.id, each.sensitivity) for each in known)
    host.get(ProtectedResource).asks_for(SCOPE_DEPOSIT, SCOPE_USAGE)
    host.get(Uses).ask = _uses
    host.provide(ReceiptFiles, receipts)
    host.front("GET", "/api/bank/records", "service", services.fetch, documents.FETCH)
    host.front("POST", "/api/bank/records", "service", services.deposit, documents.DEPOSIT)
    host.front("GET", "/api/bank/categories", "public", services.categories, documents.CATEGORIES)
    host.routes("resident", resident_router(host.db, host.clock, sealer, known, settings, receipts.of))

    of_all, of_one = Crowd(host.clock), Crowd(host.clock, tracker.LIMIT)
    uses = tracker_router(host.db, host.clock, host.get(TokenHasher), host.get(Clients), of_all=of_all, of_one=of_one)
    host.routes("service", uses)

    async def anchor() -> None:
        while await host.db.bulk(anchoring.anchor, sealer, now=host.clock.ms()) == anchoring.BATCH:
            pass

    host.job("infobank.anchor-disclosures", settings.disclosures_anchored_every.total_seconds(), anchor)
    host.problems(*errors.ALL)


def _uses(session: Session, account_id: str, consent_id: str) -> Use:
    """How often a consent was used."""
    count, last = views.by_consent(session, account_id).get(consent_id, (0, None))
    return Use(count, last)
