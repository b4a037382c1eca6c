"""Which services a browser session signed in at, and the notices they are due when it ends.

OpenID Connect Back-Channel Logout 1.0 section 2.3 (whom to tell). The notices are written in the very write that ends
the session, however it ends (sign-out, another device, containment, a closed account), so none is forgotten; a job
delivers them. A browser that signs in again keeps its services: they hold ID tokens that name the session before.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, Table, delete, insert, select, text, update
from sqlmodel import SQLModel

from identity import models  # noqa: F401  (declares the tables)
from identity.clients import Client
from kit.clock import Millis
from kit.db import Session
from kit.ids import new_id

_known: Table = SQLModel.metadata.tables["identity_session_client"]
_notices: Table = SQLModel.metadata.tables["identity_logout_notice"]

_NOTE = text(
    "INSERT INTO identity_session_client (session_id, client_id, named, account_id, created_at)"
    " VALUES (:session_id, :client_id, :named, :account_id, :created_at) ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Notice:
    """A client to be told of a session's end."""

    id: str
    client_id: str
    account_id: str
    named: str
    tries: int
    created_at: Millis


def note(connection: Connection, client: Client, *, session_id: str, account_id: str, now: Millis) -> None:
    """A code was issued: remember the client, if it wants to be told."""
    if client.backchannel_logout_uri is None and client.frontchannel_logout_uri is None:
        return
    values = {"session_id": session_id, "client_id": client.id, "named": session_id, "account_id": account_id}
    connection.execute(_NOTE, {**values, "created_at": now})


def carry_over(session: Session, old: str, new: str, account_id: str) -> None:
    """The same person signed in again in the same browser: the services go with the new session."""
    session.connection().execute(
        update(_known).where(_known.c.session_id == old, _known.c.account_id == account_id).values(session_id=new)
    )


def clients_of(session: Session, session_id: str) -> tuple[tuple[str, str], ...]:
    """The clients of a session, and the session each knows it as."""
    query = select(_known.c.client_id, _known.c.named).where(_known.c.session_id == session_id)
    return tuple((row[0], row[1]) for row in session.connection().execute(query.order_by(_known.c.client_id)))


def queue(session: Session, session_id: str, now: Millis) -> None:
    """The session ends: a notice for each of its clients."""
    connection = session.connection()
    query = select(_known.c.client_id, _known.c.account_id, _known.c.named).where(_known.c.session_id == session_id)
    rows = [
        {"id": new_id("lgo"), "client_id": row[0], "account_id": row[1], "named": row[2], "tries": 0, "next_at": now,
         "created_at": now}
        for row in connection.execute(query)
    ]  # fmt: skip
    if rows:
        connection.execute(insert(_notices), rows)
        connection.execute(delete(_known).where(_known.c.session_id == session_id))


def due(session: Session, now: Millis, limit: int = 50) -> tuple[Notice, ...]:
    """What is to be delivered now, oldest first."""
    query = select(_notices).where(_notices.c.next_at <= now).order_by(_notices.c.next_at).limit(limit)
    return tuple(
        Notice(row["id"], row["client_id"], row["account_id"], row["named"], row["tries"], row["created_at"])
        for row in session.connection().execute(query).mappings()
    )


def done(session: Session, notice_id: str) -> None:
    """Delivered, or given up."""
    session.connection().execute(delete(_notices).where(_notices.c.id == notice_id))


def postpone(session: Session, notice_id: str, tries: int, until: Millis) -> None:
    """Not delivered: once more, later."""
    session.connection().execute(update(_notices).where(_notices.c.id == notice_id).values(tries=tries, next_at=until))


def sweep(session: Session, before: Millis) -> int:
    """Sessions that ran out long ago are no longer anybody's."""
    return int(session.connection().execute(delete(_known).where(_known.c.created_at < before)).rowcount)
