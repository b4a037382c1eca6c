"""Clients that come by a trust chain: made when they come, worth nothing when the chain has ended.

OpenID Federation 1.0 sections 12.1 and 12.3. Automatic registration: the client id is the entity id, and whoever says
it must have signed with the keys of its metadata, which is proved before anything is written (`proof`). What a chain
gives is the standard scopes the operator allows and nothing of ours: no member, no data, no first party. A
client that an operator suspended stays suspended, whatever its federation says of it; one that the operators registered
under an address is never touched.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import exists
from sqlmodel import col, select

from identity.client_metadata import from_wire
from identity.clients import Client, Clients, get, registration_of
from identity.crowd import Crowd
from identity.errors import InvalidClientMetadata
from identity.federation.chains import Chain
from identity.federation.discovery import PAUSE
from identity.federation.entities import is_entity_id
from identity.federation.models import FederatedClient
from identity.federation.proof import LONGEST, Proof
from identity.federation.refusals import Refused
from identity.federation.service import Federation
from identity.forgotten import forget, met_a_resident
from identity.models import ClientRow
from identity.oauth.errors import (
    InvalidFederationMetadata,
    InvalidTrustAnchor,
    InvalidTrustChain,
    OAuthError,
    TemporarilyUnavailable,
    UnauthorizedClient,
)
from identity.registration import Registration, check
from identity.sectors import check_sector, check_told, end_if_moved
from identity.throttle import network
from keys.errors import BadToken
from keys.jose import peek
from kit.clock import SECOND, Clock, Millis
from kit.db import Database, Session, tx_of
from kit.fetch import Fetcher
from kit.host import SYSTEM

CHUNK = 200
_RP = "openid_relying_party"
#: What a stranger's metadata does not decide here.
_NOT_TAKEN = (
    "jwks", "jwks_uri", "signed_jwks_uri", "request_uris", "backchannel_token_delivery_mode",
    "backchannel_client_notification_endpoint", "backchannel_authentication_request_signing_alg",
    "client_secret", "client_id",
)  # fmt: skip
#: What an operator decided of a client; its federation does not take it back.
_OPERATORS = ("minimum_ial", "minimum_aal", "verified_claims")
_GRANTS = frozenset({"authorization_code", "refresh_token"})


class Admission:
    """Who may come by the federation."""

    def __init__(
        self,
        federation: Federation,
        clients: Clients,
        database: Database,
        clock: Clock,
        fetcher: Fetcher,
        crowd: Crowd,
        proof: Proof,
    ) -> None:
        self.federation = federation
        self._proof = proof
        self._clients = clients
        self._database = database
        self._clock = clock
        self._fetcher = fetcher
        self._crowd = crowd

    async def client(
        self, client_id: str, token: str | None, source: str, *, assertion: str | None = None
    ) -> Client | None:
        """The client of that id, as of now; one that may register automatically is registered first.

        `token` is what it signed: it may bring the chain in its header. `assertion`: it authenticates by that, and
        `token` need not be a request object. Raises OAuthError.
        """
        found = await self._clients.get(client_id)
        settings = self.federation.settings
        if not (settings.on and "automatic" in settings.registration and is_entity_id(client_id)):
            return found
        if found is not None and (not found.automatic or not found.expired):
            return found
        if token is None:
            return found  # section 12.1.1: who proves no key is not looked for
        if seconds := self._crowd.wait(source):  # a search is dear, and a stranger asks for it
            raise TemporarilyUnavailable(
                "too many requests from this network", headers=((b"retry-after", str(seconds).encode()),)
            )
        try:
            chain, latest = await self._chain(client_id, token, requester=network(source) if found is None else "")
            registration = await self.registration(chain, automatic=True)
            until = await self.until(chain, latest)
        except Refused as refused:
            raise told(refused) from refused
        # Closes: rows, and renewals, in the name of services that never asked for them.
        if assertion is not None:
            await self._proof.assertion(assertion, client_id, registration)
        else:
            await self._proof.request(token, client_id, registration)
        return await self._database.write(self._admit, client_id, registration, chain, until)

    async def _chain(self, entity_id: str, token: str, *, requester: str) -> tuple[Chain, Millis]:
        """The chain, and how long it is believed."""
        tokens = carried(token)
        if tokens is not None:
            try:
                found = await self.federation.discovery.check(tokens, subject=entity_id)
            except Refused as refused:
                if refused.code == "invalid_metadata":
                    raise  # the chain holds, and its policy refuses the metadata: asking again changes nothing
            else:
                if (latest := self.sent_until(found)) > self._clock.ms():
                    return found, latest
        # A registration begins with what is said now: a mark or a key that came a minute ago counts.
        found = await self.federation.discovery.resolve(entity_id, oldest=PAUSE, requester=requester)
        return found, self.federation.discovery.until(found)

    def sent_until(self, sent: Chain) -> Millis:
        """How long a chain that somebody sent along is believed: as if it had been fetched when it was made.

        Statements are public: an old chain, shown by who stole an old key, must not bring the key back.
        """
        oldest = min(statement.issued_at for statement in sent.statements)
        return min(sent.expires_at, oldest + self.federation.settings.chain_seconds * SECOND)

    async def registration(self, chain: Chain, *, automatic: bool) -> Registration:
        """What the resolved metadata of a relying party makes of it here; raises Refused (section 12.1.1.1.2)."""
        said = chain.of(_RP)
        kinds = said.get("client_registration_types", ["automatic", "explicit"])
        if ("automatic" if automatic else "explicit") not in (kinds if isinstance(kinds, list) else ()):
            raise Refused("invalid_metadata", "registration-type", f"{chain.subject} does not register in this way")
        missing = set(self.federation.settings.required_marks)
        if missing:
            missing -= (await self.federation.marked(chain)).kinds
        if missing:
            raise Refused("invalid_metadata", "trust-mark", f"{chain.subject} lacks the trust mark {min(missing)}")
        document = await self._document(chain, said, automatic=automatic)
        try:
            registration = check(from_wire(document, kept={}, scopes=frozenset(self.federation.settings.scopes)))
            if not set(registration.grant_types) <= _GRANTS:
                raise Refused("invalid_metadata", "grant-types", "only the code flow is for clients of a federation")
            check_told(registration)
            await check_sector(self._fetcher, registration)
        except InvalidClientMetadata as error:
            named = (error.pointer or "").strip("/")
            raise Refused("invalid_metadata", "client-metadata", f"{named}: {error.detail}") from error
        return registration

    async def _document(self, chain: Chain, said: Mapping[str, Any], *, automatic: bool) -> dict[str, Any]:
        document = {name: value for name, value in said.items() if name not in _NOT_TAKEN}
        jwks, uri = await self.federation.keys_of(chain, _RP)
        document |= {"jwks": jwks} if jwks is not None else {"jwks_uri": uri} if uri is not None else {}
        if "client_name" not in document and isinstance(said.get("organization_name"), str):
            document["client_name"] = said["organization_name"][:120]
        if automatic:
            method = said.get("token_endpoint_auth_method", "private_key_jwt")
            able = said.get("token_endpoint_auth_methods_supported", [method])
            if method != "private_key_jwt" and "private_key_jwt" not in (able if isinstance(able, list) else ()):
                # Section 12.1: there is no secret, so only keys can prove who calls.
                raise Refused("invalid_metadata", "auth-method", "automatic registration needs private_key_jwt")
            document["token_endpoint_auth_method"] = "private_key_jwt"
        return document

    async def until(self, chain: Chain, latest: Millis) -> Millis:
        """Section 12.3: never longer than the chain is believed, nor than a mark that was needed."""
        if self.federation.settings.required_marks:
            latest = min(latest, (await self.federation.marked(chain)).expires_at or latest)
        return latest

    def _admit(
        self, session: Session, entity_id: str, registration: Registration, chain: Chain, until: Millis
    ) -> Client:
        if any(get(session, client_id).status == "suspended" for client_id in clients_of(session, entity_id)):
            raise UnauthorizedClient("this client is suspended")  # by an operator, however it registered before
        row = session.get(FederatedClient, entity_id)
        if row is None:
            # Nobody's before: an operator's client of this id would have been found, and is not taken over.
            self._clients.create(session, registration, actor=SYSTEM, client_id=entity_id)
        else:
            before = registration_of(session, entity_id)
            kept = {name: getattr(before, name) for name in _OPERATORS}
            was = get(session, entity_id)
            made = self._clients.replace(session, entity_id, registration.model_copy(update=kept), actor=SYSTEM)
            end_if_moved(session, was, made, actor=SYSTEM, now=self._clock.ms())
        return note(session, entity_id, "automatic", chain, until=until, now=self._clock.ms())


def note(session: Session, client_id: str, kind: str, chain: Chain, *, until: Millis, now: Millis) -> Client:
    """Write down by which chain a client is here, and until when."""
    row = session.get(FederatedClient, client_id) or FederatedClient(
        client_id=client_id, entity_id=chain.subject, kind=kind, anchor="", superior="", registered_at=now, expires_at=0
    )
    row.anchor, row.superior, row.registered_at, row.expires_at = chain.anchor, chain.superior, now, until
    session.add(row)
    session.flush()
    tx_of(session).touch("clients")
    return get(session, client_id)


def clients_of(session: Session, entity_id: str) -> list[str]:
    """The clients an entity has here."""
    return list(session.exec(select(FederatedClient.client_id).where(FederatedClient.entity_id == entity_id)))


def sweep(session: Session, before: Millis) -> int:
    """Delete one chunk of those whose chain ended before that moment and who never met a resident.

    A stranger with a federation of their own can send any number of names; and each renewal by explicit registration
    leaves the client before it. One that an operator suspended stays, so that it doesn't come back as if new.
    """
    suspended = exists().where(col(ClientRow.id) == FederatedClient.client_id, col(ClientRow.status) == "suspended")
    ended = (
        select(FederatedClient.client_id)
        .where(
            FederatedClient.expires_at < before,
            ~suspended,
            ~met_a_resident(FederatedClient.client_id),
        )
        .order_by(col(FederatedClient.expires_at))
        .limit(CHUNK)
    )
    found = list(session.exec(ended))
    forget(session, found)
    return len(found)


def carried(token: str) -> list[object] | None:
    """The chain in the header of a token, or (kept for old parties) among its claims (sections 4.3 and 12.1.1.1)."""
    try:
        header, claims = peek(token, longest=LONGEST)
    except BadToken:
        return None
    found = header.get("trust_chain", claims.get("trust_chain"))
    return found if isinstance(found, list) and found else None


def told(refused: Refused) -> OAuthError:
    """A refusal as an endpoint of OAuth says it (sections 8.9 and 12.1.3)."""
    kind = {
        "invalid_trust_anchor": InvalidTrustAnchor,
        "invalid_metadata": InvalidFederationMetadata,
        "temporarily_unavailable": TemporarilyUnavailable,
    }.get(refused.code, InvalidTrustChain)
    return kind(f"{refused.word}: {refused.detail}", private=str(refused))
