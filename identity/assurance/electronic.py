"""Identity assurance by electronic means: a register speaks for the certificate that was shown a moment ago, or an
upstream for who signed in there.

Nobody is seen, so whose word is worth which level (1 or 2) the operator says, of nobody by default; level 3 stays the
counter's. The rules are the counter's:

- both are proved at one time: the account by a sign-in of level 2, the certificate by its key and PIN (an upstream by
  an answer worth level 2), and the word is the one given then;
- what the register says is compared with what the profile says, character for character, blanks aside. Name and date of
  birth must both be the same, or nothing is verified and the trail says so; nobody's profile is changed. What is told
  of address and gender counts where it is the same, and the name's parts where the register parts it so;
- kept is what was compared, as it was on that day, sealed under the resident's key; rows are history;
- what a clerk ended for a mistake or for fraud no sign-in brings back by this way, and none by another until a
  clerk has seen the person again; and what the resident ended only their own link.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

import orjson
from sqlmodel import col, select

from identity.accounts import get_account, profile
from identity.assurance.documents import Electronic
from identity.assurance.models import Verification
from identity.assurance.verifications import COMPARED, NEEDED, PARTS, Verifications, place
from identity.oidc import claims as claims_of
from keys.envelope import Sealer
from kit import audit
from kit.clock import Clock, Millis
from kit.db import Session
from kit.host import Actor
from kit.ids import new_id

METHOD: Final = "electronic"
_DAY: Final = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}", re.ASCII)
#: Ended so, a clerk's word stands against it.
_AGAINST: Final = frozenset({"mistake", "fraud"})

Outcome = Literal["nothing", "verified", "stands", "differs", "ended"]


@dataclass(frozen=True, slots=True)
class Told:
    """What was said of the person whose certificate was shown, or who signed in elsewhere. `way`: the authority or the
    upstream; `mark`: which certificate, or who there."""

    way: str
    ial: int
    attributes: Mapping[str, str]
    evidence: tuple[Electronic, ...]
    mark: str
    ends_at: Millis | None = None  # the certificate's own end

    def pack(self) -> dict[str, Any]:
        """For the sealed notes of an attempt."""
        return {**asdict(self), "evidence": [one.to_json() for one in self.evidence]}


def unpack(kept: Mapping[str, Any]) -> Told | None:
    """From the notes; None where there was nothing to tell."""
    if not kept:
        return None
    return Told(**{**kept, "evidence": tuple(Electronic(**one) for one in kept["evidence"])})


@dataclass(frozen=True, slots=True)
class _Compared:
    same: frozenset[str]
    differs: tuple[str, ...] = field(default=())


class ElectronicProofs:
    """Writes them down, in the write that proved the identity."""

    def __init__(self, visits: Verifications, sealer: Sealer, clock: Clock, *, life: Millis) -> None:
        self._visits = visits
        self._sealer = sealer
        self._clock = clock
        self._life = life

    def prove(self, session: Session, account_id: str, told: Told, *, linking: bool, actor: Actor) -> Outcome:
        """What the register's word comes to. `linking`: the resident asked for it now; else it was a sign-in."""
        now, account = self._clock.ms(), get_account(session, account_id)
        if not told.ial or account.kind != "resident" or account.status != "active":
            return "nothing"
        every = session.exec(
            select(Verification).where(Verification.account_id == account_id).order_by(col(Verification.id).desc())
        ).all()
        rows = [row for row in every if row.method == METHOD and row.opened_by == told.way]
        standing = [row for row in rows if row.status == "standing" and row.expires_at > now]
        if any(row.reason in _AGAINST for row in rows) or _stands_against(every):
            return "ended"
        if not linking and (not rows or rows[0].reason == "asked"):
            # A sign-in by what was linked renews what a link began. By itself it begins nothing: a link made in a
            # session of one factor, by whoever guessed a password, would come to count through its back door.
            return "ended" if rows else "nothing"
        if any(row.ial == told.ial and self._mark(session, row) == told.mark for row in standing):
            return "stands"
        person = profile(session, self._sealer, account_id)
        said = claims_of.told(person, frozenset(COMPARED) | PARTS)
        found = _compare(told.attributes, said)
        if not found.same >= NEEDED:
            if linking and found.differs:  # said once, where somebody can do something about it
                self._record(session, "differs", account_id, actor, outcome="refused", way=told.way,
                             fields=list(found.differs))  # fmt: skip
            return "differs" if found.differs else "nothing"
        before = self._visits.level(session, account_id)
        made = new_id("ver")
        kept = [*(one.to_json() for one in told.evidence), {"mark": told.mark}]
        key = self._sealer.owner(session, account_id)
        parts = _parts(told.attributes["name"], said)
        kept_claims = {name: value for name, value in said.items() if name in found.same | parts}
        session.add(
            Verification(
                id=made, account_id=account_id, status="standing", ial=told.ial, method=METHOD,
                documents=key.seal(place("documents", made), orjson.dumps(kept)),
                claims=key.seal(place("claims", made), orjson.dumps(kept_claims)),
                opened_by=told.way, opened_at=now, recorded_at=now, verified_at=now,
                expires_at=min(now + self._life, told.ends_at or now + self._life),
            )
        )  # fmt: skip
        session.flush()
        self._record(session, "electronic", account_id, actor, verification=made, ial=told.ial, way=told.way)
        for row in standing:
            self._visits.supersede(session, row, actor)
        self._visits.changed(session, account_id, before, "verified", actor)
        return "verified"

    def _mark(self, session: Session, row: Verification) -> str:
        key = self._sealer.owner(session, row.account_id)
        kept = orjson.loads(key.open(place("documents", row.id), row.documents)) if row.documents else []
        return next((one["mark"] for one in kept if "mark" in one), "")

    def _record(
        self, session: Session, what: str, account_id: str, actor: Actor, *, outcome: str = "ok", **detail: Any
    ) -> None:
        action = f"identity.verification.{what}"
        audit.record(session, action, actor=actor, object=("account", account_id), detail=detail, outcome=outcome)


def _stands_against(rows: Sequence[Verification]) -> bool:
    """Whether a clerk ended any of them for good, and none has seen the person since. Closes: the same card, shown
    by another way, which raises again who was lowered a minute ago."""
    seen = [row.verified_at or 0 for row in rows if row.method != METHOD and row.reason not in _AGAINST]
    return any(row.reason in _AGAINST and (row.ended_at or 0) >= max(seen, default=0) for row in rows)


def _compare(told: Mapping[str, str], said: Mapping[str, Any]) -> _Compared:
    """Which of the claims a register told are the same here; and which of the needed ones are not."""
    # What both leave empty is not the same, it is nothing.
    plain = {name: _plain(told[name]) for name in COMPARED if name in told}
    same = frozenset(name for name, value in plain.items() if value is not None and _plain(said.get(name)) == value)
    return _Compared(same, tuple(name for name in COMPARED if name in NEEDED and name in told and name not in same))


def _parts(name: str, said: Mapping[str, Any]) -> frozenset[str]:
    """Family and given name, where the register's own blank parts them so. No clerk looks, and a name can be parted
    into another family's: 林田 太郎 is not verified to be a 林."""
    family, given = ("".join(said.get(part, "").split()) for part in ("family_name", "given_name"))
    words = name.split()
    parted = [{"".join(words[:count]), "".join(words[count:])} for count in range(1, len(words))]
    return PARTS if {family, given} in parted else frozenset()


def _plain(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("formatted")
    if not isinstance(value, str) or not value.strip():
        return None
    # 19510402, as デジタル認証アプリ writes it, is 1951-04-02; nothing else is spelled in two ways.
    return value.replace("-", "") if _DAY.fullmatch(value) else "".join(value.split())
