"""Leaving: erase a resident's data, and say what must be kept, why, and until when (APPI article 35, GDPR article 17).

One transaction withdraws the consents (each with its ledger entry), revokes the grants, deletes the records and closes
the account; closing destroys the owner key, so that copies elsewhere, backups included, can never be read. The ledger
still verifies: it holds salted commitments, and the salts were sealed under the key that is gone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from consent import records
from consent.ledger import commit, commitment, private_entry
from identity import accounts, grants
from infobank import anchoring, disclosures, store
from infobank.catalogue import Label
from infobank.settings import InfobankSettings
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import DAY, Millis, iso
from kit.db import Session
from kit.encoding import b64url
from kit.host import Actor
from kit.tlog.log import append


@dataclass(frozen=True, slots=True)
class Kept:
    """One thing that stays behind, and why."""

    what: Label
    why: Label
    until: Millis | None  # None: for good, because it names nobody


@dataclass(frozen=True, slots=True)
class Evidence:
    """What opens the ledger's entry about an erasure. Given to the person who left; we forget it."""

    event: Mapping[str, str]
    salt: bytes = field(repr=False)

    def document(self) -> dict[str, Any]:
        """As a file: with the ledger's public tiles, anyone can find and check the entry."""
        entry = private_entry(commitment(self.salt, self.event))
        return {
            "format": "sekisho-erasure-evidence/1",
            "event": dict(self.event),
            "salt": b64url(self.salt),
            "entry": b64url(entry),
        }


@dataclass(frozen=True, slots=True)
class Erased:
    """What leaving did."""

    records: int
    consents: tuple[str, ...]
    grants: int
    complete_at: Millis  # when the last backup of the destroyed key is gone
    kept: tuple[Kept, ...]
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Preview:
    """What leaving would do, in numbers."""

    records: int
    grants: int
    disclosures: int
    complete_at: Millis
    kept: tuple[Kept, ...]


def preview(session: Session, *, account_id: str, settings: InfobankSettings, now: Millis) -> Preview:
    """What `erase` would do now."""
    counts = store.counts(session, account_id)
    times = store.disclosure_times(session, account_id, since=store.FAR_PAST, until=store.FAR_FUTURE)
    last = times[-1][0] if times else None
    return Preview(
        records=sum(count for count, _latest, _arrived in counts.values()),
        grants=len(grants.list_for(session, account_id)),
        disclosures=sum(
            count
            for _at, _recipient, count in disclosures.times(
                session, account_id, since=store.FAR_PAST, until=store.FAR_FUTURE
            )
        ),
        complete_at=now + settings.key_backup_days * DAY,
        kept=kept_after(settings, last_disclosure=last, now=now),
    )


def erase(
    session: Session,
    sealer: Sealer,
    hasher: TokenHasher,
    *,
    account_id: str,
    settings: InfobankSettings,
    actor: Actor,
    now: Millis,
) -> Erased:
    """Forget a resident. Cannot be undone."""
    times = store.disclosure_times(session, account_id, since=store.FAR_PAST, until=store.FAR_FUTURE)
    active = len(grants.list_for(session, account_id))
    consents = tuple(records.forget(session, sealer, account_id=account_id, actor=actor, now=now))
    grants.revoke_for_account(session, account_id, actor=actor, now=now)  # those that rest on no consent
    deleted = store.delete_all(session, account_id)
    anchoring.forget(session, account_id)
    evidence = _log(session, account_id, now)
    audit.record(
        session,
        "infobank.account.erased",
        actor=actor,
        object=("account", account_id),
        detail={"records": deleted, "consents": len(consents), "grants": active},
    )
    accounts.close_account(session, sealer, hasher, account_id, now=now, actor=actor)
    return Erased(
        records=deleted,
        consents=consents,
        grants=active,
        complete_at=now + settings.key_backup_days * DAY,
        kept=kept_after(settings, last_disclosure=times[-1][0] if times else None, now=now),
        evidence=evidence,
    )


def _log(session: Session, account_id: str, now: Millis) -> Evidence:
    """The erasure's own ledger entry: private, of the one kind that consent events have, so that from outside nobody
    can tell that somebody left. What opens it goes to the person and is kept nowhere."""
    event = {"schema": "urn:sekisho:erasure:1", "type": "erased", "subject": account_id, "time": iso(now)}
    envelope = commit(event)
    append(session, envelope.entry)
    return Evidence(event, envelope.salt)


def kept_after(settings: InfobankSettings, *, last_disclosure: Millis | None, now: Millis) -> tuple[Kept, ...]:
    """What the law, and the ledger's promise, oblige us to keep. Pure."""
    kept = [
        Kept(
            Label("操作の記録（名前はなく、番号だけ）", "The audit trail (numbers, no names)"),
            Label("だれも記録を書き換えていないことを示すため", "To prove that nobody rewrote history"),
            None,
        ),
        Kept(
            Label("同意の台帳の印（だれのものか分からない値）", "Marks in the ledger (values that point to nobody)"),
            Label(
                "台帳が書き換えられていないことを、だれでも確かめられるように", "So that anyone can check the ledger"
            ),
            None,
        ),
    ]
    if last_disclosure is not None:
        until = last_disclosure + round(settings.disclosure_retention.total_seconds() * 1000)
        if until > now:
            kept.insert(
                0,
                Kept(
                    Label(
                        "データを渡した記録（相手・日時・種類）", "Records of disclosure (to whom, when, which kind)"
                    ),
                    Label(
                        "個人情報保護法 第29条・第30条が保存を求めています",
                        "Japan's privacy law (APPI, articles 29 and 30) requires it",
                    ),
                    until,
                ),
            )
    return tuple(kept)
