"""Showing a receipt to somebody: the file, for a few minutes, at an address nobody guesses.

The file is kept sealed under the resident's key, as it was when it was shown: a receipt made anew would have another
hash, and the hash is what both sides compare. The address holds 256 random bits, of which only a keyed hash is stored.
One showing for each consent: a new one ends the one before. Everything goes with the resident's key, and with the rows.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from sqlalchemy import Table, bindparam, delete, insert, select
from sqlmodel import SQLModel

from consent.models import Showing
from consent.receipts import Receipt
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import MINUTE, Millis
from kit.db import Session
from kit.encoding import b64url
from kit.host import Actor
from kit.ids import new_id

LASTS: Final = 10 * MINUTE
_LABEL: Final = "consent.showing"
_S: Table = SQLModel.metadata.tables[str(Showing.__tablename__)]
_FIND = select(_S.c.id, _S.c.account_id, _S.c.sealed, _S.c.until_at).where(_S.c.digest == bindparam("digest"))


@dataclass(frozen=True, slots=True)
class Shown:
    """A receipt file while it is shown."""

    content: bytes = field(repr=False)
    file_name: str
    until_at: Millis

    @property
    def digest(self) -> bytes:
        """SHA-256 of the file."""
        return hashlib.sha256(self.content).digest()

    @property
    def fragment(self) -> str:
        """The hash as it stands behind the address: it stays with the reader's device, and names exactly this file."""
        return f"sha256={b64url(self.digest)}"

    @property
    def receipt(self) -> dict[str, Any]:
        """What is in it."""
        read: dict[str, Any] = orjson.loads(self.content)
        return read


def show(
    session: Session,
    sealer: Sealer,
    hasher: TokenHasher,
    receipt: Receipt,
    *,
    account_id: str,
    token: str,
    actor: Actor,
    now: Millis,
) -> Shown:
    """Show a receipt of this resident from now on, for LASTS."""
    connection = session.connection()
    connection.execute(delete(_S).where(_S.c.consent_id == receipt.consent_id))
    identifier, until = new_id("shw"), now + LASTS
    packed = orjson.dumps({"name": receipt.file_name, "content": receipt.content.decode()})
    row = {
        "id": identifier,
        "digest": hasher.digest(_LABEL, token),
        "account_id": account_id,
        "consent_id": receipt.consent_id,
        "sealed": sealer.owner(session, account_id).seal(f"consent_showing|sealed|{identifier}", packed),
        "until_at": until,
    }
    connection.execute(insert(_S), row)
    audit.record(
        session,
        "consent.receipt.shown",
        actor=actor,
        object=("consent", receipt.consent_id),
        detail={"event": receipt.event_id, "showing": identifier},
    )
    return Shown(receipt.content, receipt.file_name, until)


def find(session: Session, sealer: Sealer, hasher: TokenHasher, token: str, *, now: Millis) -> Shown | None:
    """What is shown at an address; None for nothing, or nothing any more."""
    found = session.connection().execute(_FIND, {"digest": hasher.digest(_LABEL, token)}).first()
    if found is None or found.until_at <= now:
        return None
    try:
        key = sealer.owner(session, found.account_id)
    except KeyDestroyed:
        return None
    packed = orjson.loads(key.open(f"consent_showing|sealed|{found.id}", found.sealed))
    return Shown(packed["content"].encode(), packed["name"], found.until_at)


def sweep(session: Session, *, now: Millis) -> int:
    """Remove what is over."""
    return session.connection().execute(delete(_S).where(_S.c.until_at <= now)).rowcount
