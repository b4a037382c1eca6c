"""Where the GovStack interface plugs in: 42 operations under /govstack/, each group for its own people."""

from urllib.parse import urlsplit

from consent.govstack.asking import asking_router
from consent.govstack.common import AGREEMENTS, AUDIT, SERVICE, WEBHOOKS, Office
from consent.govstack.config import config_router
from consent.govstack.people import people_router
from consent.govstack.records_api import audit_records, records_router
from consent.govstack.texts import audit_texts, config_texts, service_texts
from consent.sensitivities import Sensitivities
from consent.settings import ConsentSettings
from identity.clients import Clients
from identity.oauth.resource_metadata import ProtectedResource
from identity.tokens import Tokens
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from keys.pseudonyms import Pseudonyms
from keys.ring import KeyRing
from kit.fetch import Fetcher
from kit.host import Audience, Host
from kit.logs import log
from kit.problems import Invalid

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def include(host: Host) -> None:
    """Serve the interface. Raises Invalid if the open mode is set for a city that is not on this machine alone."""
    settings: ConsentSettings = host.settings.consent
    open_for_tests = settings.govstack_open_for_tests
    if open_for_tests:
        if urlsplit(host.issuer).hostname not in _LOOPBACK:
            raise Invalid("govstack_open_for_tests is for a city on localhost; this one has a public issuer.")
        log.warning("GovStack's agreements can be read without a token: test mode, on this machine only")
    office = Office(
        host.db, host.clock, host.get(Sealer), host.get(KeyRing), host.get(Clients), host.get(Tokens),
        Pseudonyms(host.get(TokenHasher)), host.get(Fetcher), host.issuer, settings.longest_consent,
        host.get(Sensitivities), open_for_tests,
    )  # fmt: skip
    texts: dict[str, Audience] = {"staff": "operator", "service": "service"}
    if open_for_tests:  # what the official harness reads, without the token it does not send
        texts = dict.fromkeys(texts, "public")
    host.routes(texts["staff"], config_texts(office))
    host.routes(texts["service"], service_texts(office))
    host.routes(texts["staff"], audit_texts(office))
    host.routes("operator", config_router(office))
    host.routes("service", people_router(office))
    host.routes("service", records_router(office))
    host.routes("service", asking_router(office))
    host.routes("operator", audit_records(office))
    host.get(ProtectedResource).asks_for(AGREEMENTS, WEBHOOKS, SERVICE, AUDIT)
