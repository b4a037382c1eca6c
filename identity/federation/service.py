"""Whom this city trusts: anchors, chains, and the trust marks that are asked for. One for the building.

OpenID Federation 1.0 sections 7.3 and 10. Everybody who must know whether an entity is trusted asks here: registration,
an upstream, the resolve endpoint, an operator.
"""

from dataclasses import dataclass
from typing import Any

from identity.federation import marks
from identity.federation.chains import Anchors, Chain
from identity.federation.city import City
from identity.federation.discovery import Discovery
from identity.federation.keyset import FederationKeys
from identity.federation.refusals import Refused
from identity.federation.settings import FederationSettings
from identity.federation.statements import ALGS
from keys.errors import BadToken
from keys.jose import verify_with_jwks
from kit.clock import Clock, Millis
from kit.fetch import Fetcher, FetchRefused

#: Marks of one entity that are looked at.
_MOST_MARKS = 20


@dataclass(frozen=True, slots=True)
class Marked:
    """The marks of an entity that hold, as they stand in its configuration, and until when all of them do."""

    entries: tuple[dict[str, Any], ...]
    expires_at: Millis | None

    @property
    def kinds(self) -> frozenset[str]:
        """Their types."""
        return frozenset(entry["trust_mark_type"] for entry in self.entries)


class Federation:
    """Trust, resolved."""

    def __init__(
        self, settings: FederationSettings, city: City, keys: FederationKeys, fetcher: Fetcher, clock: Clock
    ) -> None:
        self.settings = settings
        self.city = city
        self.keys = keys
        self._fetcher = fetcher
        self._clock = clock
        self.discovery = Discovery(fetcher, clock, self.anchors, city, chain_seconds=settings.chain_seconds)

    @property
    def on(self) -> bool:
        """Whether this city takes part."""
        return self.settings.on

    async def anchors(self) -> Anchors:
        """The operator's, and this city's own keys where it is its own anchor."""
        found: dict[str, Any] = dict(self.settings.anchors)
        if self.settings.own_anchor:
            found[self.city.entity_id] = await self.keys.jwks()
        return found

    async def marked(self, chain: Chain) -> Marked:
        """The trust marks in a chain subject's configuration that hold (section 7.3); those that don't are left out."""
        entries, ends = [], []
        for entry in chain.configuration.claims.get("trust_marks", ())[:_MOST_MARKS]:
            try:
                mark = await self.check_mark(entry, chain)
            except Refused:
                continue
            entries.append({"trust_mark_type": mark.kind, "trust_mark": mark.token})
            ends += [] if mark.expires_at is None else [mark.expires_at]
        return Marked(tuple(entries), min(ends, default=None))

    async def check_mark(self, entry: dict[str, Any], chain: Chain) -> marks.Mark:
        """One mark, whose issuer is trusted by the same anchor; raises Refused."""
        now = self._clock.ms()
        mark = marks.read(entry, subject=chain.subject, now=now)
        anchor = await self._anchor_says(chain)
        marks.check_issuer(mark, anchor)
        issuer = chain
        if mark.issuer != chain.subject:
            named = mark.issuer in anchor["trust_mark_issuers"][mark.kind]
            asks = "" if named else chain.subject  # an issuer that only the subject names is the subject's to wait for
            issuer = await self.discovery.resolve(mark.issuer, anchor=chain.anchor, requester=asks)
        marks.prove(mark, issuer.configuration.jwks, anchor, now)
        return mark

    async def _anchor_says(self, chain: Chain) -> dict[str, Any]:
        last = chain.statements[-1]
        if not last.about_itself:  # the chain came without the anchor's configuration
            last = (await self.discovery.resolve(chain.anchor, anchor=chain.anchor)).configuration
        return dict(last.claims)

    async def keys_of(self, chain: Chain, kind: str) -> tuple[dict[str, Any] | None, str | None]:
        """The protocol keys of an entity type (section 5.2.1): a set, or the address of one. Raises Refused.

        A signed set is proved by the federation keys of its owner, so that who holds its web server holds no key.
        """
        said = chain.of(kind)
        if isinstance(said.get("jwks"), dict):
            return said["jwks"], None
        signed = said.get("signed_jwks_uri")
        if not isinstance(signed, str):
            uri = said.get("jwks_uri")
            return None, uri if isinstance(uri, str) else None
        try:
            answer = await self._fetcher.get(signed, accept="application/jwk-set+jwt")
            token = answer.body.decode("ascii", "replace").strip() if answer.status == 200 else ""
            _, claims = verify_with_jwks(token, chain.configuration.jwks, algs=ALGS, typ="jwk-set+jwt", longest=65_536)
        except (FetchRefused, BadToken) as error:
            raise Refused(
                "invalid_metadata", "signed-jwks", f"the signed keys of {chain.subject} don't hold"
            ) from error
        now = self._clock.ms() // 1000
        if claims.get("iss") != chain.subject or claims.get("sub", chain.subject) != chain.subject:
            raise Refused("invalid_metadata", "signed-jwks", f"the signed keys of {chain.subject} are another's")
        ends = claims.get("exp", now + 1)
        if not isinstance(ends, int | float) or isinstance(ends, bool) or ends <= now:
            raise Refused("invalid_metadata", "signed-jwks", f"the signed keys of {chain.subject} have expired")
        return {"keys": claims.get("keys")}, None
