"""Explicit registration: an entity hands in its configuration, or its chain, and becomes a client of its own id.

OpenID Federation 1.0 section 12.2. A registration of before is ended by the new one. There is no registration access
token: who wants a change registers anew. The answer is signed with a federation key.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from identity import grants, once
from identity.client_metadata import to_wire
from identity.clients import Client, Clients, get
from identity.crowd import Crowd
from identity.federation.admission import Admission, carried, clients_of, note
from identity.federation.chains import Chain, validate
from identity.federation.city import City
from identity.federation.models import FederatedClient
from identity.federation.refusals import Refused, chain
from identity.federation.statements import SKEW, Statement, read
from identity.registration import Registration
from identity.throttle import network
from keys.errors import BadToken
from keys.jose import peek
from kit.clock import SECOND, Clock, Millis
from kit.db import Database, Session
from kit.front import Call
from kit.host import SYSTEM

LONGEST = 262_144
TYP = "explicit-registration-response+jwt"
_CONFIGURATION, _CHAIN = b"application/entity-statement+jwt", b"application/trust-chain+json"
_RP = "openid_relying_party"


class ExplicitRegistration:
    """POST /federation/register."""

    def __init__(
        self, admission: Admission, city: City, clients: Clients, database: Database, clock: Clock, crowd: Crowd
    ) -> None:
        self._admission = admission
        self._city = city
        self._clients = clients
        self._database = database
        self._clock = clock
        self._crowd = crowd

    async def register(self, call: Call) -> str:
        """The signed answer; raises Refused."""
        settings = self._admission.federation.settings
        if not settings.on or "explicit" not in settings.registration:
            raise Refused("not_found", "off", "explicit registration is not offered here")
        if self._crowd.wait(call.source):
            raise Refused("temporarily_unavailable", "crowd", "too many requests from this network")
        found, own, latest = await self._chain(call)
        await self._spend(found)
        registration = await self._admission.registration(found, automatic=False)
        until = await self._admission.until(found, latest)
        client, secret = await self._database.write(self._add, registration, found, until)
        return await self._answer(client, registration, secret, found, own, until)

    async def _chain(self, call: Call) -> tuple[Chain, Mapping[str, Any], Millis]:
        """The chain of the request, the claims of the configuration that was handed in (section 12.2.2), and how long
        the chain is believed."""
        kind = call.headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()
        body = (await call.body(LONGEST)).decode("ascii", "replace").strip()
        ours = self._city.entity_id
        if kind == _CHAIN:
            tokens = _list(body)
            own = read(tokens[0], self._clock.ms(), aud=ours)
            return await self._fresh(tokens, own, call.source)
        if kind != _CONFIGURATION:
            raise Refused("invalid_request", "content-type", "send application/entity-statement+jwt or a trust chain")
        own = read(body, self._clock.ms(), aud=ours)
        tokens = carried(body) or []
        self._check_peer(body)
        # The chain shows the way; what counts is the configuration that was made for us.
        return await self._fresh([body, *tokens[1:]] if tokens else [], own, call.source)

    async def _fresh(
        self, tokens: list[object], own: Statement, source: str
    ) -> tuple[Chain, Mapping[str, Any], Millis]:
        """The chain that was handed in, or, where none was or it is old, the one that is found now."""
        if tokens:
            found = await self._check(tokens, own.sub)
            if (latest := self._admission.sent_until(found)) > self._clock.ms():
                return found, own.claims, latest
        discovery = self._admission.federation.discovery
        found = await discovery.climb(own.token, own.sub, aud=self._city.entity_id, requester=network(source))
        return found, own.claims, discovery.until(found)

    async def _spend(self, found: Chain) -> None:
        """A request counts once: sent again by who once saw it, it would end the registration that it made.

        Known by what is signed: of one ECDSA signature anybody makes a second one that holds.
        """
        key = once.digest("federation-registration", found.subject, found.configuration.token.rpartition(".")[0])
        if not await self._database.write_core(once.claim, key, found.configuration.expires_at + SKEW):
            raise Refused("invalid_request", "replay", "this registration request was used already")

    async def _check(self, tokens: list[object], subject: str) -> Chain:
        anchors = await self._admission.federation.anchors()
        return validate(tokens, anchors, self._clock.ms(), subject=subject, aud=self._city.entity_id)

    def _check_peer(self, body: str) -> None:
        """Section 4.4: a chain the other side chose for us begins with us, or the request is meant for another."""
        try:
            header, _ = peek(body, longest=LONGEST)
        except BadToken:
            return
        peer = header.get("peer_trust_chain")
        if peer is None:
            return
        tokens = header.get("trust_chain")
        if not isinstance(peer, list) or not peer or not isinstance(tokens, list) or not tokens:
            raise chain("peer-trust-chain", "peer_trust_chain goes with trust_chain")
        now = self._clock.ms()
        if read(peer[0], now).sub != self._city.entity_id or read(peer[-1], now).iss != read(tokens[-1], now).iss:
            raise chain("peer-trust-chain", "peer_trust_chain does not lead from this city to the same anchor")

    def _add(
        self, session: Session, registration: Registration, found: Chain, until: Millis
    ) -> tuple[Client, str | None]:
        now = self._clock.ms()
        for client_id in clients_of(session, found.subject):
            if get(session, client_id).status == "suspended":
                # What an operator stopped is not begun anew under another id, nor in another way.
                raise Refused("invalid_client", "suspended", "this entity was suspended here")
            row = session.get(FederatedClient, client_id)
            if row is not None and row.kind == "explicit" and get(session, client_id).status == "active":
                self._clients.remove(session, client_id, actor=SYSTEM)
                grants.revoke_for_client(session, client_id, actor=SYSTEM, now=now)
        client, secret = self._clients.create(session, registration, actor=SYSTEM)
        return note(session, client.id, "explicit", found, until=until, now=now), secret

    async def _answer(
        self,
        client: Client,
        registration: Registration,
        secret: str | None,
        found: Chain,
        own: Mapping[str, Any],
        until: Millis,
    ) -> str:
        """Section 12.2.3."""
        metadata = to_wire(registration) | {"client_id": client.id, "client_registration_types": ["explicit"]}
        if secret is not None:
            metadata |= {"client_secret": secret, "client_secret_expires_at": until // SECOND}
        now = self._clock.ms() // SECOND
        said = {
            "iss": self._city.entity_id,
            "sub": found.subject,
            "aud": found.subject,
            "iat": now,
            "exp": until // SECOND,
            "jwks": own["jwks"],
            "trust_anchor": found.anchor,
            "authority_hints": [found.superior],
            "metadata": {_RP: metadata},
        }
        return await self._admission.federation.keys.sign(said, typ=TYP)


def _list(body: str) -> list[object]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refused("invalid_request", "form", "the trust chain is not a JSON array") from None
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise Refused("invalid_request", "form", "the trust chain is not a JSON array of statements")
    return value
