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
            _record(session, "linked", told, account_id=account_id, upstream=upstream, link=identifier, actor=actor)
            return "linked"
        other = session.exec(select(UpstreamLink).where(UpstreamLink.subject_hash == subject_hash)).first()
        if other is None:
            return "another-here"
        return "already" if other.account_id == account_id else "somebody-else"

    def renew(self, session: Session, row: UpstreamLink, told: Mapping[str, str], *, actor: Actor) -> None:
        """A link was used with another certificate of the same person: keep what it says now, and tell of it."""
        if self._told(session, row) == told:
            return
        key = self._sealer.owner(session, row.account_id)
        row.told = key.seal(f"identity_upstream_link|told|{row.id}", orjson.dumps(dict(told)))
        session.add(row)
        _record(session, "renewed", told, account_id=row.account_id, upstream=row.upstream, link=row.id, actor=actor)

    def list_for(self, session: Session, account_id: str) -> tuple[LinkView, ...]:
        """The linked identities of an account, oldest first."""
        query = select(UpstreamLink).where(UpstreamLink.account_id == account_id).order_by(col(UpstreamLink.id))
        rows = session.exec(query).all()
        return tuple(
            LinkView(row.id, row.upstream, row.linked_at, row.used_at or row.linked_at, self._told(session, row))
            for row in rows
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
        told, upstream = self._told(session, row), row.upstream
        session.delete(row)
        session.flush()
        _record(session, "unlinked", told, account_id=account_id, upstream=upstream, link=link_id, actor=actor)

    def _told(self, session: Session, row: UpstreamLink) -> dict[str, str]:
        if row.told is None:
            return {}
        key = self._sealer.owner(session, row.account_id)
        found: dict[str, str] = orjson.loads(key.open(f"identity_upstream_link|told|{row.id}", row.told))
        return found


def _record(
    session: Session, what: str, told: Mapping[str, str], *, account_id: str, upstream: str, link: str, actor: Actor
) -> None:
    """For the trail; letters and signals follow it. A link that keeps which certificate it was is a certificate's, also
    after the operator took its authority away."""
    kind = "certificate" if "certificate" in told else "upstream"
    detail = {"authority" if kind == "certificate" else "upstream": upstream, "link": link}
    audit.record(session, f"identity.{kind}.{what}", actor=actor, object=("account", account_id), detail=detail)
