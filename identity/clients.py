"""Clients: who may ask this server for tokens, looked up on every request from a cache that is never stale.

A client secret is 256 random bits of ours, shown once and kept as a keyed hash. Suspension acts at its commit in every
process (invariant I5): the topics "clients" and "tokens" are touched, and the caches compare them on every use.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import Connection, Table
from sqlalchemy import select as core_select
from sqlmodel import SQLModel, col, select

from identity import fapi, logo_wishes, members
from identity.errors import UnknownClient
from identity.errors_account import SecondPersonNeeded
from identity.fapi import Profile
from identity.federation.models import FederatedClient
from identity.models import ClientRow
from identity.oauth.mtls import NAMES
from identity.public_keys import thumbprints
from identity.registration import ASSERTION_ALGS, CIBA, ENCRYPTED, Registration, VerifiedClaims, check
from identity.settings import IdentitySettings
from identity.subjects import PUBLIC, sector_of
from keys.hashing import TokenHasher
from keys.jwe import DEFAULT_ENC
from kit import audit
from kit.clock import SECOND, Clock, Millis
from kit.db import CheckedCache, Database, Session, tx_of
from kit.host import Actor
from kit.ids import new_id, secret

Status = Literal["active", "suspended", "removed"]

_SAID: dict[Status, str] = {
    "suspended": "identity.client.suspended",
    "active": "identity.client.resumed",
    "removed": "identity.client.removed",
}
_LONGEST_ID = 500  # an entity id of a federation is a client id, too
_WITH_SECRET = frozenset({"client_secret_basic", "client_secret_post"})
_clients: Table = SQLModel.metadata.tables["identity_client"]
_members: Table = SQLModel.metadata.tables["identity_member"]
_federated: Table = SQLModel.metadata.tables[str(FederatedClient.__tablename__)]


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client, ready for the hot paths."""

    id: str
    name_ja: str
    name_en: str
    member_id: str | None
    member_status: str | None
    status: Status
    auth_method: str
    secret_digest: bytes | None
    secret_expires_at: Millis | None
    former_digest: bytes | None
    former_until: Millis | None
    jwks: Mapping[str, Any] | None
    jwks_uri: str | None
    former_keys: Mapping[str, Any] | None  # `jwks` or `jwks_uri`
    former_keys_until: Millis | None
    redirect_uris: tuple[str, ...]
    grant_types: frozenset[str]
    scopes: frozenset[str]
    resources: frozenset[str]
    introspects: frozenset[str]
    exchange_audiences: frozenset[str]
    exchange_scopes: frozenset[str]
    impersonates: bool
    may_act: str | None
    assertion_issuers: Mapping[str, str]
    id_token_alg: str | None
    userinfo_alg: str | None
    introspection_alg: str | None
    authorization_alg: str
    encryptions: Mapping[str, tuple[str, str]]  # by kind of answer: `alg` and `enc`
    assertion_algs: tuple[str, ...]
    request_algs: tuple[str, ...]
    request_encryption: tuple[str, str] | None  # what it registered; None: any we know, or none
    backchannel_algs: tuple[str, ...]
    signs_backchannel: bool
    notification_endpoint: str | None
    profile: Profile
    response_modes: tuple[str, ...]
    access_token_alg: Literal["EdDSA", "ES256"]
    sector: str
    dpop_bound: bool
    certificate_bound: bool
    certificate_name: tuple[str, str] | None
    require_par: bool
    require_pkce: bool
    require_signed_request: bool
    request_uris: tuple[str, ...]
    default_max_age: int | None
    default_acr_values: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    initiate_login_uri: str | None
    backchannel_logout_uri: str | None
    frontchannel_logout_uri: str | None
    minimum_ial: int
    minimum_aal: int
    verified_claims: VerifiedClaims
    first_party: bool
    client_uri: str | None
    logo_uri: str | None
    policy_uri: str | None
    tos_uri: str | None
    localized: Mapping[str, str]  # the same in other languages, as `tos_uri#fr`
    created_at: Millis
    federated: str | None = None  # automatic | explicit: it came by a trust chain, and ends with it
    federated_until: Millis | None = None
    expired: bool = False

    @property
    def automatic(self) -> bool:
        """Whether its id is its address, and all it has is its keys (OpenID Federation 1.0 section 12.1)."""
        return self.federated == "automatic"

    @property
    def usable(self) -> bool:
        """Whether anything works for this client: not suspended, nor its member, nor has its trust chain ended."""
        return self.status == "active" and self.member_status != "suspended" and not self.expired

    @property
    def may_use_data(self) -> bool:
        """Whether it may ask for data categories at all: an approved member's client (the agreement is consent's)."""
        return self.usable and self.member_status == "approved"

    @property
    def public(self) -> bool:
        """Whether it can't keep a secret (RFC 6749 section 2.1)."""
        return self.auth_method == "none"

    @property
    def names_grants(self) -> bool:
        """Whether its ID tokens say what they came from: they come back to be exchanged (RFC 8693) or to say whom to
        ask (CIBA)."""
        return bool(self.exchange_audiences) or CIBA in self.grant_types

    @property
    def fapi(self) -> bool:
        """Whether it keeps to the FAPI 2.0 Security Profile."""
        return self.profile != "none"

    @property
    def signs_messages(self) -> bool:
        """Whether its requests and our answers must be signed (FAPI 2.0 Message Signing)."""
        return self.profile == "fapi2-message-signing"

    def name(self, lang: str) -> str:
        """The name in a language."""
        return self.name_ja if lang == "ja" else self.name_en

    def link(self, kind: str, lang: str) -> str | None:
        """Its `client_uri`, `policy_uri` or `tos_uri` in a language, if it has one (RFC 7591 section 2.2)."""
        plain: str | None = getattr(self, kind)
        return self.localized.get(f"{kind}#{lang}", plain)

    def actor(self) -> Actor:
        """The client as the author of what it does."""
        return Actor(kind="service", id=self.id, client_id=self.id)


class Clients:
    """The registry."""

    def __init__(
        self, database: Database, hasher: TokenHasher, clock: Clock, settings: IdentitySettings | None = None
    ) -> None:
        self._settings = settings or IdentitySettings()
        self._database = database
        self._hasher = hasher
        self._clock = clock
        self._cache: CheckedCache[str, Client | None] = CheckedCache(database, "clients")

    async def get(self, client_id: str) -> Client | None:
        """The client as of now, or None. Suspended ones are returned: ask `usable`."""
        if not client_id or len(client_id) > _LONGEST_ID:
            return None
        found = await self._cache.get(client_id, self._load)
        if found is not None and found.federated_until is not None and found.federated_until <= self._clock.ms():
            return replace(found, expired=True)  # OpenID Federation 1.0 section 12.3
        return found

    async def _load(self, client_id: str) -> Client | None:
        return await self._database.peek(find, client_id)

    def create(
        self,
        session: Session,
        registration: Registration,
        *,
        actor: Actor,
        client_id: str | None = None,
        secret_expires: bool = False,
    ) -> tuple[Client, str | None]:
        """Register a client; returns it and its secret, if it has one. Raises InvalidClientMetadata,
        UnknownMember.

        The secret is never seen again.
        """
        check(registration)
        if registration.member_id is not None:
            members.get(session, registration.member_id)
        now = self._clock.ms()
        password = None
        digest = None
        if registration.token_endpoint_auth_method in _WITH_SECRET:
            password = secret("sec")
            digest = self._hasher.digest("client-secret", password)
        row = ClientRow(
            id=client_id or new_id("cli"),
            member_id=registration.member_id,
            name_ja=registration.name_ja,
            name_en=registration.name_en,
            secret_digest=digest,
            secret_expires_at=self._expiry(secret_expires) if password is not None else None,
            settings=self._settings_of(registration),
            created_at=now,
            changed_at=now,
        )
        session.add(row)
        session.flush()
        logo_wishes.want(session, row.id, row.settings, now)
        tx_of(session).touch("clients")
        audit.record(
            session,
            "identity.client.created",
            actor=actor,
            object=("client", row.id),
            detail={"member": row.member_id or "", "method": registration.token_endpoint_auth_method},
        )
        return get(session, row.id), password

    def replace(self, session: Session, client_id: str, registration: Registration, *, actor: Actor) -> Client:
        """New metadata for a client, whole (RFC 7592 section 2.2). Whose it is and its secret stay.

        Raises InvalidClientMetadata, UnknownClient.
        """
        check(registration)
        row = _row(session, client_id)
        before = (row.settings.get("jwks"), row.settings.get("jwks_uri"))
        row.name_ja, row.name_en, row.changed_at = registration.name_ja, registration.name_en, self._clock.ms()
        row.settings = self._settings_of(registration)
        if registration.token_endpoint_auth_method not in _WITH_SECRET:
            row.secret_digest = row.former_digest = row.secret_expires_at = row.former_until = None
        if (row.settings["jwks"], row.settings["jwks_uri"]) != before:
            # Whoever says its keys anew means these: an overlap somebody allowed earlier is over.
            row.former_keys = row.former_keys_until = None
            note_keys(session, row, actor=actor, overlap=0)
        session.add(row)
        session.flush()
        logo_wishes.want(session, client_id, row.settings, row.changed_at)
        tx_of(session).touch("clients")
        audit.record(session, "identity.client.changed", actor=actor, object=("client", client_id))
        return get(session, client_id)

    def set_profile(self, session: Session, client_id: str, profile: Profile, *, actor: Actor) -> Client:
        """Turn a FAPI 2.0 profile on or off for a client. Raises InvalidClientMetadata if it can't keep it,
        UnknownClient.
        """
        changes: dict[str, Any] = {"profile": profile}
        before = registration_of(session, client_id)
        if profile != "none":  # defaults, chosen by nobody
            changes["require_pkce"] = None
            if before.authorization_signed_response_alg == "RS256":
                changes["authorization_signed_response_alg"] = None
        changed = self.replace(session, client_id, before.model_copy(update=changes), actor=actor)
        tx_of(session).touch("tokens")  # verdicts on its tokens remember the profile
        return changed

    def set_assurance(
        self,
        session: Session,
        client_id: str,
        *,
        minimum_ial: int,
        minimum_aal: int,
        verified_claims: VerifiedClaims,
        actor: Actor,
    ) -> Client:
        """How sure a client must be of residents, and what it may be told of it; acts on its next request and refresh.

        Raises UnknownClient.
        """
        before = registration_of(session, client_id)
        changes = {"minimum_ial": minimum_ial, "minimum_aal": minimum_aal, "verified_claims": verified_claims}
        return self.replace(session, client_id, before.model_copy(update=changes), actor=actor)

    def rotate_secret(
        self,
        session: Session,
        client_id: str,
        *,
        actor: Actor,
        overlap_seconds: int = 0,
        expires: bool = False,
        approved: bool = False,
    ) -> str:
        """A new secret for a client that has one; the old one stops after the overlap. Raises UnknownClient.

        Where the city wants two people for that (`client_changes_by_two`) an operator's needs to be `approved`:
        SecondPersonNeeded, whichever door they came by.
        """
        if self._settings.client_changes_by_two and actor.kind == "operator" and not approved:
            raise SecondPersonNeeded("Two people give this client a new secret: ask for it in the console.")
        row = _row(session, client_id)
        if row.secret_digest is None:
            raise UnknownClient("This client has no secret.")
        now = self._clock.ms()
        until = now + overlap_seconds * SECOND
        if row.secret_expires_at is not None:
            until = min(until, row.secret_expires_at)  # an overlap is no longer life than the secret had
        row.former_digest, row.former_until = (row.secret_digest, until) if until > now else (None, None)
        return self._new_secret(session, row, actor, expires=expires, overlap=max(0, until - now))

    def give_secret(self, session: Session, client_id: str, *, actor: Actor) -> str:
        """A first secret for a client that registered itself and now needs one. Raises UnknownClient."""
        return self._new_secret(session, _row(session, client_id), actor, expires=True)

    def _new_secret(self, session: Session, row: ClientRow, actor: Actor, *, expires: bool, overlap: Millis = 0) -> str:
        password = secret("sec")
        row.secret_digest, row.changed_at = self._hasher.digest("client-secret", password), self._clock.ms()
        row.secret_expires_at = self._expiry(expires)
        session.add(row)
        session.flush()
        tx_of(session).touch("clients")
        audit.record(
            session,
            "identity.client.secret_rotated",
            actor=actor,
            object=("client", row.id),
            detail={"overlap_seconds": overlap // SECOND},
        )
        return password

    def remove(self, session: Session, client_id: str, *, actor: Actor) -> None:
        """End a client for good: nothing of it is honoured from this commit on. Raises UnknownClient."""
        row = _row(session, client_id)
        row.secret_digest = row.former_digest = None
        session.add(row)
        itself = actor.client_id == client_id
        self._set(session, client_id, "removed", actor, said="identity.client.left" if itself else None)

    def _expiry(self, expires: bool) -> Millis | None:
        life = self._settings.client_secret_seconds
        return self._clock.ms() + life * SECOND if expires and life else None

    def _settings_of(self, registration: Registration) -> dict[str, Any]:
        settings = registration.model_dump(mode="json", exclude={"name_ja", "name_en", "member_id"})
        if settings["require_pkce"] is None:
            settings["require_pkce"] = registration.profile != "none" or self._settings.require_pkce
        return settings

    def suspend(self, session: Session, client_id: str, *, actor: Actor) -> Client:
        """Stop a client: no new token, and those it holds are refused from this commit on. Raises UnknownClient."""
        return self._set(session, client_id, "suspended", actor)

    def resume(self, session: Session, client_id: str, *, actor: Actor) -> Client:
        """Let a suspended client continue."""
        return self._set(session, client_id, "active", actor)

    def _set(self, session: Session, client_id: str, to: Status, actor: Actor, *, said: str | None = None) -> Client:
        row = _row(session, client_id)
        if row.status == "removed":
            raise UnknownClient("This client was removed.")
        if row.status != to:
            row.status, row.changed_at = to, self._clock.ms()
            session.add(row)
            session.flush()
            tx = tx_of(session)
            tx.touch("clients")
            tx.touch("tokens")
            detail = {"member": row.member_id or ""}
            audit.record(session, said or _SAID[to], actor=actor, object=("client", client_id), detail=detail)
        return get(session, client_id)


_SELECT = core_select(
    _clients.c.id,
    _clients.c.name_ja,
    _clients.c.name_en,
    _clients.c.member_id,
    _members.c.status.label("member_status"),
    _clients.c.status,
    _clients.c.secret_digest,
    _clients.c.secret_expires_at,
    _clients.c.former_digest,
    _clients.c.former_until,
    _clients.c.former_keys,
    _clients.c.former_keys_until,
    _clients.c.settings,
    _clients.c.created_at,
    _federated.c.kind.label("federated"),
    _federated.c.expires_at.label("federated_until"),
).select_from(
    _clients.outerjoin(_members, _members.c.id == _clients.c.member_id).outerjoin(
        _federated, _federated.c.client_id == _clients.c.id
    )
)


def note_keys(session: Session, row: ClientRow, *, actor: Actor, overlap: int) -> None:
    """That a client's keys are others now: told to every process, the trail, and by it the ledger."""
    session.flush()
    tx_of(session).touch("clients")
    held: Any = row.settings.get("jwks")
    audit.record(
        session,
        "identity.client.keys_rotated",
        actor=actor,
        object=("client", row.id),
        detail={"member": row.member_id or "", "keys": thumbprints(held), "overlap_seconds": overlap},
    )


def find(place: Session | Connection, client_id: str) -> Client | None:
    """A client in the running transaction, or None."""
    found = _connection(place).execute(_SELECT.where(_clients.c.id == client_id)).mappings().first()
    return None if found is None else _client(found)


def get(place: Session | Connection, client_id: str) -> Client:
    """A client in the running transaction; raises UnknownClient."""
    client = find(place, client_id)
    if client is None:
        raise UnknownClient("No client has this id.")
    return client


def list_all(
    place: Session | Connection, *, member_id: str | None = None, after: str = "", limit: int = 100
) -> tuple[Client, ...]:
    """Clients in order of registration, after an id."""
    query = _SELECT.where(_clients.c.id > after).order_by(_clients.c.id).limit(limit)
    if member_id is not None:
        query = query.where(_clients.c.member_id == member_id)
    return tuple(_client(found) for found in _connection(place).execute(query).mappings())


def list_ids_of_member(session: Session, member_id: str) -> tuple[str, ...]:
    """The ids of a member's clients."""
    return tuple(session.exec(select(ClientRow.id).where(col(ClientRow.member_id) == member_id)))


def _connection(place: Session | Connection) -> Connection:
    return place if isinstance(place, Connection) else place.connection()


def _row(session: Session, client_id: str) -> ClientRow:
    row = session.get(ClientRow, client_id)
    if row is None:
        raise UnknownClient("No client has this id.")
    return row


def _client(found: Any) -> Client:
    settings: dict[str, Any] = found["settings"]
    redirect_uris = tuple(settings["redirect_uris"])
    method = settings["token_endpoint_auth_method"]
    assertion_alg, request_alg = (
        settings.get("token_endpoint_auth_signing_alg"),
        settings.get("request_object_signing_alg"),
    )
    backchannel_alg = settings.get("backchannel_authentication_request_signing_alg")
    profile: Profile = settings.get("profile", "none")
    strict = profile != "none"
    algs = fapi.ALGS if strict else ASSERTION_ALGS
    default_alg = fapi.DEFAULT_ALG if strict else None
    return Client(
        id=found["id"],
        name_ja=found["name_ja"],
        name_en=found["name_en"],
        member_id=found["member_id"],
        member_status=found["member_status"],
        status=found["status"],
        auth_method=method,
        secret_digest=_bytes(found["secret_digest"]),
        secret_expires_at=found["secret_expires_at"],
        former_digest=_bytes(found["former_digest"]),
        former_until=found["former_until"],
        jwks=settings.get("jwks"),
        jwks_uri=settings.get("jwks_uri"),
        former_keys=found["former_keys"],
        former_keys_until=found["former_keys_until"],
        redirect_uris=redirect_uris,
        grant_types=frozenset(settings["grant_types"]),
        scopes=frozenset(settings["scope"].split()),
        resources=frozenset(settings["resources"]),
        introspects=frozenset(settings["introspects"]),
        exchange_audiences=frozenset(settings.get("exchange_audiences", ())),
        exchange_scopes=frozenset(settings.get("exchange_scope", "").split()),
        impersonates=settings.get("exchange_impersonation", False),
        may_act=settings.get("may_act"),
        assertion_issuers=settings.get("assertion_issuers", {}),
        id_token_alg=settings.get("id_token_signed_response_alg") or default_alg,
        userinfo_alg=settings.get("userinfo_signed_response_alg"),
        introspection_alg=settings.get("introspection_signed_response_alg"),
        authorization_alg=settings.get("authorization_signed_response_alg") or default_alg or "RS256",
        encryptions={
            kind: (alg, settings.get(f"{kind}_encrypted_response_enc") or DEFAULT_ENC)
            for kind in ENCRYPTED
            if (alg := settings.get(f"{kind}_encrypted_response_alg"))
        },
        assertion_algs=(assertion_alg,) if assertion_alg else algs,
        request_algs=(request_alg,) if request_alg else algs,
        request_encryption=_request_encryption(settings),
        backchannel_algs=(backchannel_alg,) if backchannel_alg else algs,
        signs_backchannel=backchannel_alg is not None,
        notification_endpoint=settings.get("backchannel_client_notification_endpoint"),
        profile=profile,
        response_modes=tuple(fapi.full_mode(mode) for mode in settings.get("response_modes", ())),
        access_token_alg=settings["access_token_signed_alg"],
        sector=_sector(settings, redirect_uris, found["id"]),
        dpop_bound=settings["dpop_bound_access_tokens"],
        certificate_bound=settings.get("tls_client_certificate_bound_access_tokens", False),
        certificate_name=next(((name, settings[name]) for name in NAMES if settings.get(name)), None),
        require_par=strict or settings["require_pushed_authorization_requests"],
        require_pkce=strict or method == "none" or settings.get("require_pkce") is not False,
        require_signed_request=profile == "fapi2-message-signing"
        or settings.get("require_signed_request_object", False),
        request_uris=tuple(settings.get("request_uris", ())),
        default_max_age=settings.get("default_max_age"),
        default_acr_values=tuple(settings.get("default_acr_values", ())),
        post_logout_redirect_uris=tuple(settings.get("post_logout_redirect_uris", ())),
        initiate_login_uri=settings.get("initiate_login_uri"),
        backchannel_logout_uri=settings.get("backchannel_logout_uri"),
        frontchannel_logout_uri=settings.get("frontchannel_logout_uri"),
        minimum_ial=settings.get("minimum_ial", 0),
        minimum_aal=settings.get("minimum_aal", 0),
        verified_claims=settings.get("verified_claims", "none"),
        first_party=settings["first_party"],
        client_uri=settings.get("client_uri"),
        logo_uri=settings.get("logo_uri"),
        policy_uri=settings.get("policy_uri"),
        tos_uri=settings.get("tos_uri"),
        localized=settings.get("localized", {}),
        created_at=found["created_at"],
        federated=found["federated"],
        federated_until=found["federated_until"],
    )


def _request_encryption(settings: dict[str, Any]) -> tuple[str, str] | None:
    alg = settings.get("request_object_encryption_alg")
    return (alg, settings.get("request_object_encryption_enc") or DEFAULT_ENC) if alg else None


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


def _sector(settings: dict[str, Any], redirect_uris: tuple[str, ...], client_id: str) -> str:
    """OpenID Connect Core section 8.1: the registered sector, or the host of the redirect URIs."""
    if settings.get("subject_type") == "public":
        return PUBLIC
    chosen = settings.get("sector_identifier")
    if chosen is None and settings.get("sector_identifier_uri"):
        chosen = sector_of(settings["sector_identifier_uri"])
    return chosen or (sector_of(redirect_uris[0]) if redirect_uris else client_id)


def registration_of(session: Session, client_id: str) -> Registration:
    """A client's metadata as registered; raises UnknownClient."""
    row = _row(session, client_id)
    return Registration.model_validate(
        {**row.settings, "name_ja": row.name_ja, "name_en": row.name_en, "member_id": row.member_id}
    )
