"""Services' logos: fetched by us, kept here, shown from our own address.

RFC 7591 section 2 and OpenID Connect Registration section 2 (`logo_uri`). A picture linked from where it lies would
tell the service whenever a resident looks at its question, and could be another one each time. So a job fetches it,
guarded (`kit.fetch`), takes it apart (`logo_images`), and it is served by the hash of what it is, looked at again each
week: what can't be reached stays, what is no logo any more goes. Only of services somebody stands for (the city's own,
an approved member's): a stranger who names itself like the city hall must not look like it either.
"""

import hashlib
from dataclasses import dataclass

from sqlmodel import col, select

from identity import clients
from identity.clients import Client
from identity.logo_images import MOST_BYTES, LogoRefused, Picture, read
from identity.models import ClientLogo
from kit import audit
from kit.clock import DAY, HOUR, Clock, Millis
from kit.db import Database, Session
from kit.fetch import Fetcher, FetchRefused
from kit.front import Call, Reply
from kit.host import SYSTEM, Actor
from kit.problems import NotFound

PATH = "/oauth/logo/"
_AT_ONCE = 10
_AGAIN: Millis = 7 * DAY
_LATER: Millis = DAY
_SOON: Millis = HOUR
_HEADERS = [
    (b"cache-control", b"public, max-age=31536000, immutable"),
    (b"x-content-type-options", b"nosniff"),
    # Whoever opens it as a page gets a picture and nothing that runs.
    (b"content-security-policy", b"default-src 'none'; sandbox"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


@dataclass(frozen=True, slots=True)
class Logo:
    """What is known of a client's logo. `status`: waiting, shown, refused; `reason` says why it is not shown."""

    client_id: str
    uri: str
    status: str
    reason: str
    digest: str | None
    fetched_at: Millis | None
    next_at: Millis

    @property
    def path(self) -> str:
        """Where it is served; empty if it isn't."""
        return PATH + self.digest if self.digest else ""


def vouched(client: Client) -> bool:
    """Whether somebody stands for the client: the city itself, or a member it approved."""
    return client.usable and (client.first_party or client.member_status == "approved")


def find(session: Session, client_id: str) -> Logo | None:
    """A client's logo, if it registered one."""
    row = session.get(ClientLogo, client_id)
    if row is None:
        return None
    return Logo(row.client_id, row.uri, row.status, row.reason, row.digest, row.fetched_at, row.next_at)


def again(session: Session, client_id: str, *, actor: Actor) -> None:
    """Look at it anew with the next round: an operator's wish. Raises NotFound."""
    row = session.get(ClientLogo, client_id)
    if row is None:
        raise NotFound("This client registered no logo.")
    row.next_at = 0
    session.add(row)
    session.flush()
    audit.record(session, "identity.client.logo_asked", actor=actor, object=("client", client_id))


class Logos:
    """Fetches and serves them."""

    def __init__(self, database: Database, fetcher: Fetcher, clock: Clock) -> None:
        self._database = database
        self._fetcher = fetcher
        self._clock = clock

    async def fetch_due(self) -> int:
        """Look at those whose time has come, a few at once; returns how many."""
        due = await self._database.read(_due, self._clock.ms())
        for client_id, uri, stands in due:
            picture: Picture | None = None
            reason = "" if stands else "nobody"
            if stands:
                picture, reason = await self._fetch(uri)
            await self._database.write(_settle, client_id, uri, picture, reason, self._clock.ms())
        return len(due)

    async def _fetch(self, uri: str) -> tuple[Picture | None, str]:
        try:
            answer = await self._fetcher.get(uri, limit=MOST_BYTES, accept="image/png, image/webp, image/jpeg")
            if answer.status != 200:
                return None, "fetch"
            return read(answer.body, answer.content_type), ""
        except FetchRefused as error:
            return None, "size" if error.reason == "size" else "fetch"
        except LogoRefused as error:
            return None, error.reason

    async def endpoint(self, call: Call) -> Reply:
        """GET /oauth/logo/{digest}: by what it is, so it never changes. Raises NotFound."""
        found = await self._database.read(_picture, call.path.removeprefix(PATH))
        if found is None:
            raise NotFound("There is no such picture.")
        media_type, body = found
        return Reply(200, body, [(b"content-type", media_type.encode()), *_HEADERS])


def _due(session: Session, now: Millis) -> list[tuple[str, str, bool]]:
    query = select(ClientLogo).where(col(ClientLogo.next_at) <= now).order_by(col(ClientLogo.next_at)).limit(_AT_ONCE)
    return [(row.client_id, row.uri, vouched(clients.get(session, row.client_id))) for row in session.exec(query)]


def _settle(session: Session, client_id: str, uri: str, picture: Picture | None, reason: str, now: Millis) -> None:
    row = session.get(ClientLogo, client_id)
    if row is None or row.uri != uri:
        return  # it registered another one meanwhile
    before = row.status, row.reason, row.digest
    if picture is not None:
        row.status, row.reason, row.next_at, row.fetched_at = "shown", "", now + _AGAIN, now
        row.digest, row.media_type, row.body = (
            hashlib.sha256(picture.body).hexdigest(),
            picture.media_type,
            picture.body,
        )
    elif reason == "fetch" and row.status == "shown":
        row.reason, row.next_at = reason, now + _LATER  # its site is away: what it was stays
    else:
        row.status, row.reason, row.next_at = "refused", reason, now + (_SOON if reason == "fetch" else _LATER)
        row.digest = row.media_type = row.body = None
    session.add(row)
    session.flush()
    if before != (row.status, row.reason, row.digest):
        audit.record(
            session, "identity.client.logo_shown" if row.status == "shown" else "identity.client.logo_refused",
            actor=SYSTEM, object=("client", client_id), detail={"reason": row.reason, "digest": row.digest or ""},
        )  # fmt: skip


def _picture(session: Session, digest: str) -> tuple[str, bytes] | None:
    found = session.exec(select(ClientLogo).where(col(ClientLogo.digest) == digest).limit(1)).first()
    if found is None or found.body is None or found.media_type is None:
        return None
    return found.media_type, bytes(found.body)
