"""The device authorization endpoint, and the resident's side of it.

RFC 8628 section 3.1 and 3.2: a device without a keyboard asks, gets a secret to poll with and a short code to show; the
resident opens /device on a phone, signs in, types the code, and answers on the same page as everybody (scopes, consent,
ledger). RFC 9396 details, RFC 8707 resources and OpenID Connect wishes are read as at /oauth/authorize. A DPoP proof
sent here binds the request to its key, as at the pushed-request endpoint (RFC 9449 section 10.1).
"""

import io
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from identity import clients, decoupled
from identity.clients import Client
from identity.crowd import Crowd
from identity.interaction import Interactions
from identity.oauth.answers import ELSEWHERE
from identity.oauth.checks import check_resource, check_scope, read_wishes
from identity.oauth.client_auth import ClientAuth
from identity.oauth.details import DetailTypes
from identity.oauth.dpop import Dpop
from identity.oauth.errors import InvalidRequest, TemporarilyUnavailable, UnauthorizedClient
from identity.oauth.grant_actions import check_grant, read_action
from identity.oauth.grants.shared import note_issued
from identity.oauth.parameters import Parameters, read_form, read_query
from identity.oauth.request import AuthorizationRequest, bound, unpack
from identity.registration import DEVICE
from identity.sessions import BrowserSession
from identity.settings import IdentitySettings
from identity.throttle import Throttles, Wait
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import SECOND, Clock, Millis
from kit.db import Database, Session
from kit.front import Call, Reply, reply_json
from kit.ids import new_id, secret

PATH = "/oauth/device_authorization"
QR_PATH = "/oauth/device_qr"
PAGE = "/device"
_SVG = [
    (b"content-type", b"image/svg+xml"),
    (b"cache-control", b"private, max-age=600"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"cross-origin"),  # the device shows it on a page of its own
]


@dataclass(frozen=True, slots=True)
class WrongCode:
    """No request waits for this code: mistyped, run out, answered, or taken up by somebody else. Never said which."""


class DeviceAuthorization:
    """The endpoints of the device, and `take_up` for the page."""

    def __init__(
        self,
        issuer: str,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        hasher: TokenHasher,
        auth: ClientAuth,
        dpop: Dpop,
        types: DetailTypes,
        interactions: Interactions,
        throttles: Throttles,
        crowd: Crowd,
    ) -> None:
        self._issuer = issuer
        self._settings = settings
        self._database = database
        self._clock = clock
        self._hasher = hasher
        self._auth = auth
        self._dpop = dpop
        self._types = types
        self._interactions = interactions
        self._throttles = throttles
        self._crowd = crowd

    async def endpoint(self, call: Call) -> Reply:
        """POST /oauth/device_authorization (sections 3.1 and 3.2). Raises UnauthorizedClient."""
        form = read_form(call.headers.get(b"content-type", b""), await call.body())
        client = await self._auth.authenticate(call, form)
        if DEVICE not in client.grant_types:
            raise UnauthorizedClient("this client may not use the device authorization grant")
        self._pay(call)  # devices are public clients as a rule: anybody may call itself one
        request = self._read(form, client)
        proved = await self._dpop.prove(call, self._database, self._clock.ms(), client)
        if proved is not None:
            request = bound(request, proved.jkt)
        request = await self._types.narrow(self._database, client, form, request)
        request = await check_grant(self._database, client, request)
        device_code = secret("dvc")
        user_code = await self._database.write_core(self._add, self._hash(device_code), request)
        page = f"{self._issuer}{PAGE}"
        said: dict[str, Any] = {
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={user_code}",
            "verification_qr_uri": f"{self._issuer}{QR_PATH}?user_code={user_code}",
            "expires_in": self._settings.device_code_seconds,
            "interval": self._settings.device_poll_seconds,
        }
        return reply_json(200, said)

    async def picture(self, call: Call) -> Reply:
        """GET /oauth/device_qr: `verification_uri_complete` as a picture, for a device that can't draw one (section
        3.3.1). It is made from the code alone, so it tells nobody whether the code is good. Raises InvalidRequest."""
        code = decoupled.normal(read_query(call.query).get("user_code", ""))
        if code is None:
            raise InvalidRequest("user_code is required")
        self._pay(call)
        import segno

        out = io.BytesIO()
        address = f"{self._issuer}{PAGE}?user_code={decoupled.shown(code)}"
        segno.make(address, error="m").save(out, kind="svg", scale=8, border=4, light="#fff", xmldecl=False, nl=False)
        return Reply(200, out.getvalue(), list(_SVG))

    def take_up(self, session: Session, typed: str, browser: BrowserSession, *, source: str) -> str | WrongCode | Wait:
        """A signed-in person typed a code: the interaction in which they answer. Returned refusals leave their trace.

        Section 5.1: guesses are few, per account and per network. Section 5.4: the page that follows says what it is
        for, and is shown whatever was agreed to before.
        """
        now = self._clock.ms()
        wait = self._throttles.charge_user_code(session, account_id=browser.account_id, source=source, now=now)
        if wait is not None:
            return wait
        session.flush()
        connection = session.connection()
        code = decoupled.normal(typed)
        found = None
        if code is not None:
            found = decoupled.by_user_code(connection, self._hasher.digest("user-code", code), now)
        client = clients.find(session, found.client_id) if found is not None else None
        if (
            code is None
            or found is None
            or client is None
            or not client.usable
            or not decoupled.take_up(connection, found.digest, account_id=browser.account_id, now=now)
        ):
            audit.record(
                session,
                "identity.device.code_refused",
                actor=browser.actor(),
                object=("account", browser.account_id),
                outcome="refused",
            )
            return WrongCode()
        request = replace(unpack(found.request), decoupled=found.digest.hex(), user_code=decoupled.shown(code))
        interaction_id = self._interactions.create(
            session, request, account_id=browser.account_id, expires_at=found.expires_at
        )
        audit.record(
            session,
            "identity.device.code_entered",
            actor=browser.actor(),
            object=("interaction", interaction_id),
            detail={"client": client.id},
        )
        return interaction_id

    def _pay(self, call: Call) -> None:
        if seconds := self._crowd.wait(call.source):
            raise TemporarilyUnavailable(
                "too many requests from this network", headers=((b"retry-after", str(seconds).encode()),)
            )

    def _read(self, form: Parameters, client: Client) -> AuthorizationRequest:
        fields: dict[str, Any] = {}
        for check in (check_scope, check_resource, read_wishes, read_action):
            fields.update(check(form, client))
        # Asked by nobody we see: the resident always sees the page (section 5.4), whatever is remembered.
        fields |= {"prompt": ("consent",), "login_hint": None, "hinted_subject": None}
        return AuthorizationRequest(client.id, self._issuer + ELSEWHERE, "", **fields)

    def _add(self, connection: Connection, digest: bytes, request: AuthorizationRequest) -> str:
        now: Millis = self._clock.ms()
        lifetime = self._settings.device_code_seconds
        chain = new_id("chn")
        while True:
            user_code = decoupled.new_user_code()
            if decoupled.add(
                connection,
                digest=digest,
                user_digest=self._hasher.digest("user-code", decoupled.normal(user_code) or ""),
                chain=chain,
                request=request,
                interval=self._settings.device_poll_seconds,
                expires_at=now + lifetime * SECOND,
            ):
                break
        note_issued(connection, chain, "device", client_id=request.client_id, grant_id=None, now=now, seconds=lifetime)
        return user_code

    def _hash(self, device_code: str) -> bytes:
        return self._hasher.digest("device-code", device_code)
