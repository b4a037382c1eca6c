"""Telling services that a session ended.

OpenID Connect Back-Channel Logout 1.0 sections 2.4 to 2.8: a signed logout token (`typ` logout+jwt) with `sub`, `sid`
and never a `nonce`, posted to the registered address, guarded (`kit.fetch`). What fails is tried again, ever later, for
a day; then it is given up, and the trail says so.
"""

from identity import logout
from identity.clients import Client, Clients
from identity.logout import Notice
from identity.tokens import Tokens
from keys.ring import KeyRing
from kit import audit
from kit.clock import HOUR, SECOND, Clock
from kit.db import Database, Session
from kit.fetch import Fetcher, FetchRefused
from kit.host import SYSTEM
from kit.outbox import DROPPED, Item, Outbox, Sender

EVENT = "http://schemas.openid.net/event/backchannel-logout"
TYPE = "logout+jwt"
LIFE_SECONDS = 120  # section 2.4 recommends two minutes at most


class BackChannelLogout:
    """Delivers the notices; a job calls `deliver`."""

    def __init__(
        self,
        issuer: str,
        database: Database,
        clock: Clock,
        clients: Clients,
        tokens: Tokens,
        ring: KeyRing,
        fetcher: Fetcher,
        default_alg: str,
    ) -> None:
        self._issuer = issuer
        self._clock = clock
        self._clients = clients
        self._tokens = tokens
        self._ring = ring
        self._fetcher = fetcher
        self._default_alg = default_alg
        sender = Sender(logout.TOPIC, self._send, first=5 * SECOND, longest=HOUR, given_up=_give_up)
        self._outbox = Outbox(database, clock, sender)

    async def deliver(self) -> int:
        """One round; returns how many services were told."""
        return await self._outbox.deliver()

    def token(self, client: Client, notice: Notice, *, jti: str) -> str:
        """A logout token (section 2.4). Told again it has the same `jti`, by which it is known (section 2.6)."""
        issued_at = self._clock.ms() // SECOND
        claims = {
            "iss": self._issuer,
            "sub": self._tokens.subject(notice.account_id, client.sector),
            "aud": client.id,
            "iat": issued_at,
            "exp": issued_at + LIFE_SECONDS,
            "jti": jti,
            "events": {EVENT: {}},
            "sid": self._tokens.session_name(notice.named, client),
        }
        return self._ring.sign_jwt(claims, typ=TYPE, alg=client.id_token_alg or self._default_alg)

    async def _send(self, item: Item) -> str | None:
        notice = logout.notice_of(item)
        client = await self._clients.get(notice.client_id)
        if client is None or not client.usable or client.backchannel_logout_uri is None:
            return DROPPED
        await self._ring.refresh()
        token = self.token(client, notice, jti=self._tokens.message_name(client.id, item.id))
        return await self._post(client.backchannel_logout_uri, token)

    async def _post(self, uri: str, token: str) -> str | None:
        """None if the service took it (section 2.8), else why not."""
        try:
            answer = await self._fetcher.post(
                uri, b"logout_token=" + token.encode(), content_type="application/x-www-form-urlencoded", limit=8192
            )
        except FetchRefused as error:
            return error.reason
        return None if answer.status in (200, 204) else f"status-{answer.status}"


def _give_up(session: Session, item: Item, why: str) -> None:
    audit.record(
        session,
        "identity.logout.undelivered",
        actor=SYSTEM,
        object=("client", item.lane),
        detail={"why": why, "tries": item.tries + 1},
        outcome="failed",
    )
