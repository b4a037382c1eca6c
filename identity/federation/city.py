"""What this city says in the federation: its entity configuration, and its statements about who stands below it.

OpenID Federation 1.0 sections 3.1, 5.1, 8.1 and 9. Signed when asked: a statement is never older than the request for
it, and a subordinate that was ended has none from that commit on.
"""

from collections.abc import Callable, Mapping
from typing import Any

from identity.federation import subordinates
from identity.federation.keyset import FederationKeys
from identity.federation.settings import FederationSettings
from identity.federation.statements import TYP
from kit.clock import SECOND, Clock
from kit.db import Database

CONFIGURATION_PATH = "/.well-known/openid-federation"
FETCH_PATH = "/federation/fetch"
LIST_PATH = "/federation/list"
RESOLVE_PATH = "/federation/resolve"
HISTORY_PATH = "/federation/historical-keys"
MARK_PATH = "/federation/trust-mark"
MARK_STATUS_PATH = "/federation/trust-mark-status"
MARKED_PATH = "/federation/trust-marked"
REGISTER_PATH = "/federation/register"

Metadata = Mapping[str, Any]


class City:
    """This city as an entity. `provider` and `relying_party` are asked when a statement is made."""

    def __init__(
        self,
        entity_id: str,
        settings: FederationSettings,
        keys: FederationKeys,
        database: Database,
        clock: Clock,
        *,
        provider: Callable[[], Metadata],
        relying_party: Callable[[], Metadata | None],
    ) -> None:
        self.entity_id = entity_id
        self.settings = settings
        self._keys = keys
        self._database = database
        self._clock = clock
        self._provider = provider
        self._relying_party = relying_party

    async def configuration(self) -> str:
        """The entity configuration (section 9)."""
        settings = self.settings
        said: dict[str, Any] = {"metadata": self._metadata()}
        if settings.authority_hints:
            said["authority_hints"] = list(settings.authority_hints)
            if settings.trust_anchors:
                said["trust_anchor_hints"] = [anchor.entity_id for anchor in settings.trust_anchors]
        if settings.marks:
            said["trust_marks"] = [{"trust_mark_type": _type_of(mark), "trust_mark": mark} for mark in settings.marks]
        if settings.mark_issuers:
            said["trust_mark_issuers"] = {kind: list(issuers) for kind, issuers in settings.mark_issuers.items()}
        if settings.mark_owners:
            said["trust_mark_owners"] = {kind: owner.model_dump() for kind, owner in settings.mark_owners.items()}
        return await self._sign(self.entity_id, await self._keys.jwks(), said)

    async def about(self, entity_id: str) -> str | None:
        """The statement about a subordinate, if this city vouches for it."""
        if not self.settings.subordinates:
            return None
        below = await self._database.read(subordinates.find, entity_id)
        if below is None:
            return None
        said = {**below.said, "source_endpoint": self.entity_id + FETCH_PATH}
        return await self._sign(entity_id, below.jwks, said)

    async def _sign(self, sub: str, jwks: Metadata, said: dict[str, Any]) -> str:
        now = self._clock.ms() // SECOND
        times = {"iat": now, "exp": now + self.settings.statement_seconds}
        return await self._keys.sign({"iss": self.entity_id, "sub": sub, **times, "jwks": jwks, **said}, typ=TYP)

    def _metadata(self) -> dict[str, Any]:
        found = {"federation_entity": self._federation_entity(), "openid_provider": self._openid_provider()}
        party = self._relying_party()
        if party is not None:
            found["openid_relying_party"] = dict(party)
        return found

    def _openid_provider(self) -> dict[str, Any]:
        """Section 5.1.3: `issuer` is the entity id."""
        kinds = list(self.settings.registration)
        said = {**self._provider(), "client_registration_types_supported": kinds}
        if "explicit" in kinds:
            said["federation_registration_endpoint"] = self.entity_id + REGISTER_PATH
        else:
            # Section 12.1.4: what both sides name may be used, and who comes by itself has no other way here.
            said["token_endpoint_auth_methods_supported"] = ["private_key_jwt"]
        return said

    def _federation_entity(self) -> dict[str, Any]:
        """Section 5.1.1: leaves publish neither fetch nor list."""
        paths = {"federation_historical_keys_endpoint": HISTORY_PATH, "federation_resolve_endpoint": RESOLVE_PATH}
        if self.settings.subordinates:
            paths |= {
                "federation_fetch_endpoint": FETCH_PATH,
                "federation_list_endpoint": LIST_PATH,
                "federation_trust_mark_endpoint": MARK_PATH,
                "federation_trust_mark_status_endpoint": MARK_STATUS_PATH,
                "federation_trust_mark_list_endpoint": MARKED_PATH,
            }
        said: dict[str, Any] = {name: self.entity_id + path for name, path in paths.items()}
        if self.settings.organization_name:
            said["organization_name"] = self.settings.organization_name
        if self.settings.contacts:
            said["contacts"] = list(self.settings.contacts)
        return said


def _type_of(mark: str) -> str:
    from keys.jose import peek

    return str(peek(mark, longest=65_536)[1].get("trust_mark_type", ""))
