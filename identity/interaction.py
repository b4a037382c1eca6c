"""Interactions: an authorization request that waits for a person, and what the portal's pages do with it.

open -> approved | refused; an open one runs out by the clock. The provider never renders: `oauth.authorize` opens an
interaction and sends the browser to /interaction/{id}; the page calls, in this order:

1. `get` (in a read): the request, or UnknownInteraction;
2. `needs_sign_in(interaction, session)`: send the person to /sign-in and come back;
3. `resume` (in a write): a redirect if nothing needs to be asked (the remembered grant suffices), else None;
4. show the page; then in ONE write, after `consent.records.give`, `approve`, or `refuse`: the redirect to the client;
   or `defer`: it waits on, and `deferred` finds it again.

Every step that ends at the client returns the whole redirect URL (RFC 6749 section 4.1.2, RFC 9207).
"""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import Connection, Table, insert, select, update
from sqlmodel import SQLModel

from identity import clients, codes, decoupled, grants, logout
from identity.assurance.enough import floors_of, missing
from identity.assurance.minimums import NOTHING, Needs
from identity.assurance.verifications import standing_at
from identity.assurance.verified_request import MARK as VERIFIED
from identity.clients import Client
from identity.errors import UnknownInteraction
from identity.oauth.answers import Answers, is_its_address
from identity.oauth.errors import (
    AccessDenied,
    InvalidGrantId,
    InvalidRequestUri,
    InvalidScope,
    LoginRequired,
    OAuthError,
    UnauthorizedClient,
    UnmetAuthentication,
)
from identity.oauth.grant_actions import amended
from identity.oauth.hints import opened, sealed
from identity.oauth.request import AuthorizationRequest, unpack
from identity.oidc.claims import MARK
from identity.sessions import BrowserSession
from identity.settings import IdentitySettings
from identity.subjects import pairwise
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import SECOND, Clock, Millis
from kit.db import Session
from kit.host import Actor
from kit.ids import new_id

Status = Literal["open", "approved", "refused"]

_table: Table = SQLModel.metadata.tables["identity_interaction"]


@dataclass(frozen=True, slots=True)
class Interaction:
    """A waiting request. `request` holds all of it; the properties are what pages ask for most."""

    id: str
    client_id: str
    account_id: str | None
    request: AuthorizationRequest
    par: bytes | None
    status: Status
    created_at: Millis
    expires_at: Millis

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes asked for."""
        return self.request.scopes

    @property
    def learns(self) -> tuple[str, ...]:
        """The scopes asked for, and each claim that none of them covers as `claim:<name>`."""
        return self.request.remembered

    @property
    def details(self) -> list[dict[str, Any]]:
        """The authorization details asked for, normalised by their checkers."""
        return list(self.request.details)

    @property
    def redirect_uri(self) -> str:
        """Where the browser goes in the end (proved to be the client's); for the page's form-action."""
        return self.request.redirect_uri

    @property
    def state(self) -> str | None:
        """The client's state."""
        return self.request.state

    @property
    def nonce(self) -> str | None:
        """The client's nonce."""
        return self.request.nonce

    @property
    def prompt(self) -> tuple[str, ...]:
        """What the client wants shown."""
        return self.request.prompt

    @property
    def max_age(self) -> int | None:
        """The age of a sign-in the client accepts, in seconds."""
        return self.request.max_age

    @property
    def acr_values(self) -> tuple[str, ...]:
        """The assurance levels the client wishes for."""
        return self.request.acr_values

    @property
    def login_hint(self) -> str | None:
        """Who the client thinks it is; to fill in the sign-in page, never to be believed."""
        return self.request.login_hint

    @property
    def ui_locales(self) -> tuple[str, ...]:
        """Languages, as the client wishes."""
        return self.request.ui_locales


class Interactions:
    """The state machine, with what it needs to issue codes."""

    def __init__(
        self, settings: IdentitySettings, hasher: TokenHasher, sealer: Sealer, clock: Clock, answers: Answers
    ) -> None:
        self._answers = answers
        self._floors = floors_of(settings)
        self._settings = settings
        self._hasher = hasher
        self._sealer = sealer
        self._clock = clock

    def create(
        self,
        place: Session | Connection,
        request: AuthorizationRequest,
        *,
        par: bytes | None = None,
        account_id: str | None = None,
        expires_at: Millis | None = None,
    ) -> str:
        """Open an interaction for a checked request; returns its id. `account_id`: the one person who may answer."""
        now = self._clock.ms()
        client = clients.find(place, request.client_id)
        if client is not None:
            request = self.raised(client, request)
        identifier = new_id("int")
        _connection(place).execute(
            insert(_table),
            {
                "id": identifier, "client_id": request.client_id, "account_id": account_id, "par": par,
                "request": sealed(request, self._sealer, identifier).pack(), "status": "open", "created_at": now,
                "expires_at": expires_at or now + self._settings.interaction_seconds * SECOND,
            },
        )  # fmt: skip
        return identifier

    def get(self, place: Session | Connection, interaction_id: str) -> Interaction:
        """An open interaction; raises UnknownInteraction if it is finished, ran out or never was."""
        found = _connection(place).execute(select(_table).where(_table.c.id == interaction_id)).mappings().first()
        if found is None or found["status"] != "open" or found["expires_at"] <= self._clock.ms():
            raise UnknownInteraction("Go back to the service and start again.")
        return Interaction(
            id=found["id"],
            client_id=found["client_id"],
            account_id=found["account_id"],
            request=opened(unpack(found["request"]), self._sealer, found["id"]),
            par=bytes(found["par"]) if found["par"] is not None else None,
            status="open",
            created_at=found["created_at"],
            expires_at=found["expires_at"],
        )

    def needs_sign_in(self, interaction: Interaction, session: BrowserSession | None) -> bool:
        """Whether the person must sign in (again) before anything else."""
        return interaction.request.needs_sign_in(
            auth_at=session.auth_at if session else None,
            acr=session.acr if session else None,
            asked_at=interaction.created_at,
            now=self._clock.ms(),
        )

    def raised(self, client: Client, request: AuthorizationRequest) -> AuthorizationRequest:
        """The request with what the operator asks of the sign-in, so that it is asked for once (`needs_sign_in`)."""
        needs = self._floors.of(client, request.scopes, verified=request.verified)
        return replace(request, least_aal=needs.aal) if needs.aal else request

    def short_of(
        self, place: Session | Connection, client: Client, request: AuthorizationRequest, account_id: str, acr: str
    ) -> Needs:
        """What resident and sign-in lack for this request, as the operator asks it now."""
        return missing(
            place, self._floors, client, request.scopes,
            verified=request.verified, account_id=account_id, acr=acr, now=self._clock.ms(),
        )  # fmt: skip

    def lacks(self, place: Session | Connection, interaction_id: str, session: BrowserSession) -> Needs:
        """The same for somebody before the page, which then tells instead of asking. Raises UnknownInteraction."""
        interaction = self.get(place, interaction_id)
        client = clients.find(place, interaction.client_id)
        if client is None:
            return NOTHING
        return self.short_of(place, client, interaction.request, session.account_id, session.acr)

    def agreed(
        self, place: Session | Connection, request: AuthorizationRequest, account_id: str, *, before: Millis
    ) -> tuple[str, ...]:
        """What a yes to this request lets the service learn, as a grant remembers it. Of what a clerk verified it is
        what stood `before` then: nobody says yes to what they will show at the counter one day."""
        at = standing_at(place, account_id, now=self._clock.ms()) if request.verified else 0
        return request.agreed(at if at <= before else 0)

    def needs_page(self, place: Session | Connection, interaction: Interaction, session: BrowserSession) -> bool:
        """Whether the person must be asked, or told what is missing: always for data, else unless a remembered grant
        suffices."""
        request = interaction.request
        client = clients.find(place, interaction.client_id)
        if client is not None and self.short_of(place, client, request, session.account_id, session.acr).any:
            return True
        agreed = self.agreed(place, request, session.account_id, before=self._clock.ms())
        remembered = grants.find_remembered(place, session.account_id, interaction.client_id)
        return needs_page(request, client, remembered, agreed)

    def only_data(self, place: Session | Connection, interaction: Interaction, session: BrowserSession) -> bool:
        """Whether nothing but the data of this request may have to be asked about: the service is known to the person,
        learns nothing new, and does not want the page shown.

        Never for a device or for who asks from elsewhere: there the page is where the person sees whom they answer.
        """
        request = interaction.request
        if request.decoupled is not None or "consent" in request.prompt or request.grant_action is not None:
            return False
        client = clients.find(place, interaction.client_id)
        if client is None or self.needs_sign_in(interaction, session):
            return False
        if self.short_of(place, client, request, session.account_id, session.acr).any:
            return False
        agreed = self.agreed(place, request, session.account_id, before=self._clock.ms())
        remembered = grants.find_remembered(place, session.account_id, client.id)
        if not needs_page(replace(request, details=()), client, remembered, agreed):
            return True
        held = grants.list_for(place, session.account_id)
        return any(each.client_id == client.id and set(agreed) <= set(each.scopes) for each in held)

    def resume(self, place: Session | Connection, interaction_id: str, session: BrowserSession) -> str | None:
        """After sign-in: the redirect, if nothing needs to be asked; None if the page is to be shown."""
        interaction = self.get(place, interaction_id)
        if self.needs_sign_in(interaction, session):
            return None
        try:
            self.amends(place, interaction, session.account_id)
        except InvalidGrantId as error:  # somebody else's grant, or none any more: no page shows what is in it
            return self._finish_with(place, interaction, session.actor(), error)
        if self.needs_page(place, interaction, session):
            return None
        return self.approve(
            place,
            interaction_id,
            account_id=session.account_id,
            session_id=session.id,
            auth_at=session.auth_at,
            acr=session.acr,
            amr=session.amr,
            scopes=interaction.scopes,
        )

    def amends(self, place: Session | Connection, interaction: Interaction, account_id: str) -> grants.Grant | None:
        """The grant that the answer merges into or replaces; raises InvalidGrantId if it is not this resident's."""
        return amended(place, interaction.request, account_id)

    def approve(
        self,
        place: Session | Connection,
        interaction_id: str,
        *,
        account_id: str,
        session_id: str,
        auth_at: Millis,
        acr: str,
        amr: Iterable[str],
        scopes: Sequence[str],
        details: Sequence[dict[str, Any]] = (),
        consent_ids: Sequence[str] = (),
    ) -> str:
        """The resident agreed: record the grant, issue the code, return the redirect.

        `scopes` are those agreed to, of those asked; `details` the granted elements as the tokens shall carry them
        (categories agreed, consent id). Raises UnknownInteraction; a client that was suspended meanwhile, or a pushed
        request spent meanwhile, ends in a redirect with the error.
        """
        connection = _connection(place)
        interaction = self.get(place, interaction_id)
        now = self._clock.ms()
        actor = Actor(kind="resident", id=account_id, session_id=session_id, client_id=interaction.client_id)
        request = interaction.request
        client = clients.find(place, interaction.client_id)
        if request.decoupled is None and not is_its_address(client, request.redirect_uri):
            # Changed since it was asked: a code does not go to an address that is not the client's any more, and what
            # was agreed to in this write is not agreed to.
            raise UnknownInteraction("Go back to the service and start again.")
        try:
            if client is None or not client.usable:
                raise UnauthorizedClient("the client is suspended")
            if request.hinted_subject not in (None, pairwise(self._hasher, account_id, client.sector)):
                # OpenID Connect Core section 3.1.2.1: id_token_hint names somebody else.
                raise LoginRequired("somebody else signed in than id_token_hint names")
            if request.unmet(acr):
                raise UnmetAuthentication("acr: the level was not reached")
            if (short := self.short_of(place, client, request, account_id, acr)).any:
                # Asked again in the write that grants: the page may have been passed by, or the level ended meanwhile.
                raise UnmetAuthentication(_what_is_short(short))
            if not set(scopes) <= set(request.scopes):
                raise InvalidScope("more scopes were granted than asked for")
            if details and not client.may_use_data:
                raise AccessDenied("data needs an approved member")
            if interaction.par is not None and not _par_open(connection, interaction.par):
                raise InvalidRequestUri("request_uri was used already")
            before = self.amends(place, interaction, account_id)
        except OAuthError as error:
            return self._finish_with(place, interaction, actor, error)
        self._close(connection, interaction, "approved", account_id)
        audit.record(
            place,
            "identity.authorization.approved",
            actor=actor,
            object=("interaction", interaction.id),
            detail={"client": client.id, "scopes": list(scopes), "consents": list(consent_ids)},
        )
        learns = self.agreed(place, request, account_id, before=interaction.created_at)
        agreed: dict[str, Any] = {
            "scopes": (*scopes, *learns[len(request.scopes) :]),
            "details": details,
            "consent_ids": consent_ids,
            "actor": actor,
            "now": now,
        }
        if before is None:
            apart = request.grant_action == "create"
            grant = grants.give(place, account_id=account_id, client_id=client.id, apart=apart, **agreed)
        elif request.grant_action == "merge":
            grant = grants.merge(place, before, **agreed)
            request, scopes, details = _whole(request, grant)
        else:
            grant = grants.replace(place, before, **agreed)
        if request.decoupled is not None:
            # A session of the device's own: signing out here does not sign the device out, nor do they share a `sid`.
            authorized = _authorized(
                request,
                f"device|{request.decoupled}",
                auth_at=auth_at,
                acr=acr,
                amr=amr,
                scopes=scopes,
                details=details,
                generation=grant.generation,
            )
            if not decoupled.approve(
                connection,
                bytes.fromhex(request.decoupled),
                account_id=account_id,
                grant_id=grant.id,
                authorized=authorized,
                now=now,
            ):
                raise UnknownInteraction("This was answered already, or took too long. Start again on the device.")
            return self._answers.url(request)
        code = self.issue_code(
            connection,
            request,
            par=interaction.par,
            grant_id=grant.id,
            account_id=account_id,
            session_id=session_id,
            auth_at=auth_at,
            acr=acr,
            amr=amr,
            scopes=scopes,
            details=details,
            generation=grant.generation,
        )
        logout.note(connection, client, session_id=session_id, account_id=account_id, now=now, acr=acr, amr=amr)
        return self._answers.granted(request, client, code=code, session_id=session_id)

    def defer(self, place: Session | Connection, interaction_id: str, *, account_id: str, session_id: str) -> None:
        """The resident will decide later: it stays open until its clock runs out. Raises UnknownInteraction."""
        interaction = self.get(place, interaction_id)
        _connection(place).execute(
            update(_table).where(_table.c.id == interaction.id, _table.c.status == "open").values(account_id=account_id)
        )
        audit.record(
            place,
            "identity.authorization.deferred",
            actor=Actor(kind="resident", id=account_id, session_id=session_id, client_id=interaction.client_id),
            object=("interaction", interaction.id),
            detail={"client": interaction.client_id},
        )

    def deferred(
        self, place: Session | Connection, interaction_ids: Iterable[str], *, account_id: str
    ) -> tuple[Interaction, ...]:
        """Those of these interactions that are open still and were put off by this resident."""
        found = []
        for interaction_id in interaction_ids:
            with suppress(UnknownInteraction):
                found.append(self.get(place, interaction_id))
        return tuple(each for each in found if each.account_id == account_id)

    def asked_of(self, place: Session | Connection, account_id: str) -> tuple[Interaction, ...]:
        """Open questions that services put to this resident from elsewhere (CIBA)."""
        found = []
        for interaction_id in decoupled.asked_of(_connection(place), account_id, self._clock.ms()):
            with suppress(UnknownInteraction):
                found.append(self.get(place, interaction_id))
        return tuple(found)

    def refuse(
        self,
        place: Session | Connection,
        interaction_id: str,
        *,
        account_id: str | None = None,
        error: type[OAuthError] = AccessDenied,
        description: str = "the resident did not agree",
    ) -> str:
        """The resident refused (or the page gave up): the redirect with the error. Raises UnknownInteraction."""
        interaction = self.get(place, interaction_id)
        actor = Actor(kind="resident" if account_id else "anonymous", id=account_id or "")
        return self._finish_with(place, interaction, actor, error(description))

    def issue_code(
        self,
        connection: Connection,
        request: AuthorizationRequest,
        *,
        par: bytes | None,
        grant_id: str,
        account_id: str,
        session_id: str,
        auth_at: Millis,
        acr: str,
        amr: Iterable[str],
        scopes: Sequence[str],
        details: Sequence[dict[str, Any]] = (),
        generation: int = 0,
    ) -> str:
        """A code for a request whose grant is recorded; raises InvalidRequestUri."""
        authorized = _authorized(
            request,
            session_id,
            auth_at=auth_at,
            acr=acr,
            amr=amr,
            scopes=scopes,
            details=details,
            generation=generation,
        )
        return codes.issue(
            connection,
            self._hasher,
            request,
            authorized,
            account_id=account_id,
            grant_id=grant_id,
            par=par,
            now=self._clock.ms(),
            lifetime=self._settings.code_seconds,
        )

    def _finish_with(
        self, place: Session | Connection, interaction: Interaction, actor: Actor, error: OAuthError
    ) -> str:
        connection = _connection(place)
        self._close(connection, interaction, "refused", actor.id or None)
        if interaction.par is not None and _par_open(connection, interaction.par):
            codes.spend_par(connection, interaction.par, self._clock.ms())
        if interaction.request.decoupled is not None:
            decoupled.refuse(
                connection,
                bytes.fromhex(interaction.request.decoupled),
                account_id=interaction.account_id or "",
                now=self._clock.ms(),
            )
        audit.record(
            place,
            "identity.authorization.refused",
            actor=actor,
            object=("interaction", interaction.id),
            detail={"client": interaction.client_id, "error": error.code},
            outcome=error.code,
        )
        if interaction.request.decoupled is None:
            client = clients.find(place, interaction.client_id)
            if not is_its_address(client, interaction.request.redirect_uri):
                return self._answers.nowhere(interaction.request)
        return self._answers.url(interaction.request, **error.body())

    def _close(self, connection: Connection, interaction: Interaction, to: Status, account_id: str | None) -> None:
        # The page may be sent twice at once: only one of them closes the interaction (invariant I7).
        closed = connection.execute(
            update(_table)
            .where(_table.c.id == interaction.id, _table.c.status == "open")
            .values(status=to, account_id=account_id)
        )
        if closed.rowcount != 1:
            raise UnknownInteraction("This was answered already.")


def _what_is_short(short: Needs) -> str:
    if short.ial:
        return f"the resident is not verified at identity assurance level {short.ial}"
    return f"the sign-in does not reach authentication assurance level {short.aal}"


def needs_page(
    request: AuthorizationRequest, client: Client | None, remembered: grants.Grant | None, agreed: Collection[str]
) -> bool:
    """Whether the resident must be asked. Data consent is never remembered; prompt=consent always asks, and so does who
    manages grants: what is made, added or taken away is always seen."""
    if request.details or "consent" in request.prompt or request.grant_action is not None:
        return True
    if client is not None and client.first_party and "offline_access" not in request.scopes and not request.verified:
        return False
    return remembered is None or not set(agreed) <= set(remembered.scopes)


def _authorized(
    request: AuthorizationRequest,
    session_id: str,
    *,
    auth_at: Millis,
    acr: str,
    amr: Iterable[str],
    scopes: Sequence[str],
    details: Sequence[dict[str, Any]],
    generation: int,
) -> codes.Authorized:
    return codes.Authorized(
        scopes=tuple(scopes),
        details=tuple(details),
        resources=request.resources,
        redirect_uri=request.redirect_uri,
        challenge=request.challenge,
        nonce=request.nonce,
        session_id=session_id,
        auth_at=auth_at,
        acr=acr,
        amr=tuple(amr),
        dpop_jkt=request.dpop_jkt,
        userinfo_claims=request.userinfo_claims,
        userinfo_verified=request.userinfo_verified,
        id_token_verified=request.id_token_verified,
        id_token_claims=request.id_token_claims,
        generation=generation,
        managed=request.grant_action is not None,
    )


def _whole(
    request: AuthorizationRequest, grant: grants.Grant
) -> tuple[AuthorizationRequest, tuple[str, ...], tuple[dict[str, Any], ...]]:
    """After a merge tokens carry the whole grant: its former refresh tokens have ended, and nothing else could."""
    scopes = tuple(scope for scope in grant.scopes if not scope.startswith((MARK, VERIFIED)))
    single = (scope.removeprefix(MARK) for scope in grant.scopes if scope.startswith(MARK))
    claims = tuple(dict.fromkeys([*request.userinfo_claims, *single]))
    return replace(request, userinfo_claims=claims), scopes, grant.details


def _par_open(connection: Connection, par: bytes) -> bool:
    table = SQLModel.metadata.tables["identity_par"]
    return (
        connection.execute(select(table.c.digest).where(table.c.digest == par, table.c.used_at.is_(None))).first()
        is not None
    )


def _connection(place: Session | Connection) -> Connection:
    if isinstance(place, Connection):
        return place
    place.flush()
    return place.connection()
