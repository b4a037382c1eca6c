"""Clients that nobody needs any more, deleted with all that is theirs: strangers can't fill the house."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, exists
from sqlmodel import SQLModel

from identity.models import ClientRow, GrantRow
from kit import audit
from kit.db import Session, tx_of
from kit.host import SYSTEM

_clients: Table = SQLModel.metadata.tables[str(ClientRow.__tablename__)]
_grants: Table = SQLModel.metadata.tables[str(GrantRow.__tablename__)]


def met_a_resident(client_id: Any) -> ColumnElement[bool]:
    """Whether somebody ever granted it anything: then its name is part of that person's history."""
    return exists().where(_grants.c.client_id == client_id)


def forget(session: Session, client_ids: Sequence[str]) -> None:
    """Delete clients, and first whatever points at them (logos, enrolments, changes that wait, chains)."""
    connection = session.connection()
    theirs = [
        key.parent for table in SQLModel.metadata.tables.values() for key in table.foreign_keys
        if key.references(_clients)
    ]  # fmt: skip
    for client_id in client_ids:
        for column in theirs:
            connection.execute(delete(column.table).where(column == client_id))
        connection.execute(delete(_clients).where(_clients.c.id == client_id))
        audit.record(session, "identity.client.swept", actor=SYSTEM, object=("client", client_id))
    if client_ids:
        tx_of(session).touch("clients")
