"""Which services a browser session signed in at, and the notices they are due when it ends.

OpenID Connect Back-Channel Logout 1.0 section 2.3 (whom to tell). The notices are written in the very write that ends
the session, however it ends (sign-out, another device, containment, a closed account), so none is forgotten; the outbox
sends them. A browser that signs in again keeps its services: they hold ID tokens that name the session before.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import orjson
from sqlalchemy import Connection, Table, delete, select, update
from sqlmodel import SQLModel

from identity import models  # noqa: F401  (declares the tables)
from identity.clients import Client
from identity.signals import happenings
from identity.signals.events import KINDS, Happening
from kit import outbox
from kit.clock import HOUR, Millis
from kit.db import Quick, Session
from kit.host import Actor

TOPIC: Final = "identity.logout"
GIVE_UP: Final[Millis] = 24 * HOUR
_known: Table = SQLModel.metadata.tables["identity_session_client"]

_NOTE = Quick(
    "INSERT INTO identity_session_client (session_id, client_id, named, account_id, created_at)"
    " VALUES (:session_id, :client_id, :session_id, :account_id, :now) ON CONFLICT DO NOTHING"
)
_STREAM = Quick(
    "SELECT status, CAST(requested AS VARCHAR(4000)) FROM identity_signal_stream WHERE client_id = :client_id"
)
_FIRST, _AGAIN = KINDS["session-established"], KINDS["session-presented"]


@dataclass(frozen=True, slots=True)
class Notice:
    """A client to be told of a session's end."""

    client_id: str
    account_id: str
    named: str


def note(
    connection: Connection,
    client: Client,
    *,
    session_id: str,
    account_id: str,
    now: Millis,
    acr: str,
    amr: Iterable[str],
) -> None:
    """A code was issued: remember the client, if it wants to be told.

    CAEP sections 3.6 and 3.7: to a service its session is established when this browser session first signs in there,
    and presented each time it does again. What the session does elsewhere is nobody's business.
    """
    stream = _STREAM.one(connection, client_id=client.id)
    if stream is None and client.backchannel_logout_uri is None and client.frontchannel_logout_uri is None:
        return
    first = _NOTE.run(connection, session_id=session_id, client_id=client.id, account_id=account_id, now=now) == 1
    kind = _FIRST if first else _AGAIN
    if stream is None or stream[0] == "disabled" or f'"{kind.uri}"' not in str(stream[1]):
        return
    said = {"acr": acr, "amr": list(amr)} if first else {}
    pairs = ((client.id, session_id),)
    happenings.note(connection, Happening(kind.name, now, account_id=account_id, by="user", said=said, sessions=pairs))


def forget(connection: Connection, client_id: str) -> None:
    """A client is told of no session any more that it knows."""
    connection.execute(delete(_known).where(_known.c.client_id == client_id))


def carry_over(session: Session, old: str, new: str, account_id: str) -> None:
    """The same person signed in again in the same browser: the services go with the new session."""
    session.connection().execute(
        update(_known).where(_known.c.session_id == old, _known.c.account_id == account_id).values(session_id=new)
    )


def clients_of(session: Session, session_id: str) -> tuple[tuple[str, str], ...]:
    """The clients of a session, and the session each knows it as."""
    query = select(_known.c.client_id, _known.c.named).where(_known.c.session_id == session_id)
    return tuple((row[0], row[1]) for row in session.connection().execute(query.order_by(_known.c.client_id)))


def queue(session: Session, session_id: str, now: Millis, actor: Actor) -> None:
    """The session ends: a notice for each of its clients, and a signal for those that follow them."""
    connection = session.connection()
    query = select(_known.c.client_id, _known.c.account_id, _known.c.named).where(_known.c.session_id == session_id)
    known = connection.execute(query).all()
    if known:
        outbox.add(
            connection,
            [
                outbox.row(TOPIC, client, orjson.dumps([account, named]), now=now, expires_at=now + GIVE_UP)
                for client, account, named in known
            ],
        )
        by, pairs = happenings.by_whom(actor.kind), tuple((client, named) for client, _, named in known)
        happenings.note(connection, Happening("session-revoked", now, account_id=known[0][1], by=by, sessions=pairs))
        connection.execute(delete(_known).where(_known.c.session_id == session_id))


def notice_of(item: outbox.Item) -> Notice:
    """Who is to be told, and of which session."""
    account_id, named = orjson.loads(item.body)
    return Notice(item.lane, account_id, named)


def sweep(session: Session, before: Millis) -> int:
    """Sessions that ran out long ago are no longer anybody's."""
    return int(session.connection().execute(delete(_known).where(_known.c.created_at < before)).rowcount)
