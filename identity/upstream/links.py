"""Linked identities: which upstream's subject opens which account.

A link is made by proof of both and never by a name or an e-mail address that looks the same. The subject is a keyed
hash together with its issuer: an upstream that changes somebody's `sub`, or another issuer under the same id, opens
nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import orjson
from sqlalchemy import text
from sqlmodel import col, select

from identity.errors_account import LastWayIn
from identity.models_account import Account, Passkey
from identity.upstream.models import UpstreamLink
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import Millis
from kit.db import Session
from kit.host import Actor
from kit.ids import new_id
from kit.problems import NotFound

_INSERT = text(
    "INSERT INTO identity_upstream_link (id, account_id, upstream, subject_hash, told, linked_at, used_at)"
    " VALUES (:id, :account_id, :upstream, :subject_hash, :told, :linked_at, :linked_at) ON CONFLICT DO NOTHING"
)

Outcome = Literal["linked", "already", "another-here", "somebody-else", "not-for-you"]


@dataclass(frozen=True, slots=True)
class LinkView:
    """One line of the list a resident sees. `told` is what the upstream said of them when the link was made."""

    id: str
    upstream: str
    linked_at: Millis
    used_at: Millis
    told: dict[str, str]


class Links:
    """Keeps them."""

    def __init__(self, sealer: Sealer, hasher: TokenHasher) -> None:
        self._sealer = sealer
        self._hasher = hasher

    def digest(self, issuer: str, subject: str) -> bytes:
        """The keyed hash of a subject; length before value, so that no issuer can pretend to another's subject."""
        return self._hasher.digest("upstream-subject", f"{len(issuer)}:{issuer}{subject}")

    def find(self, session: Session, upstream: str, subject_hash: bytes) -> UpstreamLink | None:
        """The link of a subject."""
        return session.exec(
            select(UpstreamLink).where(UpstreamLink.subject_hash == subject_hash, UpstreamLink.upstream == upstream)
        ).first()

    def link(
        self,
        session: Session,
        account_id: str,
        upstream: str,
        subject_hash: bytes,
        *,
        told: dict[str, str],
        now: Millis,
        actor: Actor,
    ) -> Outcome:
        """Link, when both were proved. Two who link one subject at the same moment: one of them does."""
        identifier = new_id("upl")
        sealed = None
        if told:
            key = self._sealer.owner(session, account_id)
            sealed = key.seal(f"identity_upstream_link|told|{identifier}", orjson.dumps(told))
        made = session.connection().execute(
            _INSERT,
            {
                "id": identifier,
                "account_id": account_id,
                "upstream": upstream,
                "subject_hash": subject_hash,
                "told": sealed,
                "linked_at": now,
            },
        )
        if made.rowcount == 1:
            audit.record(
                session,
                "identity.upstream.linked",
                actor=actor,
                object=("account", account_id),
                detail={"upstream": upstream, "link": identifier},
            )
            return "linked"
        other = session.exec(select(UpstreamLink).where(UpstreamLink.subject_hash == subject_hash)).first()
        if other is None:
            return "another-here"
        return "already" if other.account_id == account_id else "somebody-else"

    def renew(self, session: Session, row: UpstreamLink, told: Mapping[str, str], *, actor: Actor) -> None:
        """A link was used with another certificate of the same person: keep what it says now, and tell of it."""
        key, place = self._sealer.owner(session, row.account_id), f"identity_upstream_link|told|{row.id}"
        before = orjson.loads(key.open(place, row.told)) if row.told is not None else {}
        if before == told:
            return
        row.told = key.seal(place, orjson.dumps(dict(told)))
        session.add(row)
        audit.record(
            session,
            "identity.upstream.renewed",
            actor=actor,
            object=("account", row.account_id),
            detail={"upstream": row.upstream, "link": row.id},
        )

    def list_for(self, session: Session, account_id: str) -> tuple[LinkView, ...]:
        """The linked identities of an account, oldest first."""
        query = select(UpstreamLink).where(UpstreamLink.account_id == account_id).order_by(col(UpstreamLink.id))
        rows = session.exec(query).all()
        if not rows:
            return ()
        key = self._sealer.owner(session, account_id)

        def opened(row: UpstreamLink) -> dict[str, str]:
            if row.told is None:
                return {}
            found: dict[str, str] = orjson.loads(key.open(f"identity_upstream_link|told|{row.id}", row.told))
            return found

        return tuple(
            LinkView(row.id, row.upstream, row.linked_at, row.used_at or row.linked_at, opened(row)) for row in rows
        )

    def unlink(self, session: Session, account_id: str, link_id: str, *, actor: Actor) -> None:
        """Forget it; raises NotFound (also for somebody else's), or LastWayIn where nothing of this city's is left."""
        row = session.get(UpstreamLink, link_id)
        if row is None or row.account_id != account_id:
            raise NotFound("There is no such linked identity.")
        account = session.get(Account, account_id)
        passkey = session.exec(
            select(Passkey.id).where(Passkey.account_id == account_id, Passkey.status == "active")
        ).first()
        if (account is None or account.password is None) and passkey is None:
            raise LastWayIn("Add a passkey or a password before removing this one.")
        upstream = row.upstream
        session.delete(row)
        session.flush()
        audit.record(
            session,
            "identity.upstream.unlinked",
            actor=actor,
            object=("account", account_id),
            detail={"upstream": upstream, "link": link_id},
        )
