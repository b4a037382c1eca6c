"""From an identity that was proved elsewhere to a session here: the one door for upstreams and certificates.

Who is linked is let in; who is not gets minutes to sign in here and say that the two belong together; a link is made
while both are proved. All of it inside writes of the flows that proved the identity.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import orjson

from identity import sign_ins, totp
from identity.assurance import electronic
from identity.assurance.electronic import ElectronicProofs
from identity.attempts import Attempts
from identity.levels import AAL2, Level, rank
from identity.models_account import Account
from identity.sessions import BrowserSession, Sessions
from identity.sign_ins import Browser, SignedIn
from identity.throttle import Throttles
from identity.upstream.links import Links, Outcome
from keys.hashing import TokenHasher
from kit.clock import Clock, Millis
from kit.db import Session
from kit.encoding import b64url, b64url_decode


@dataclass(frozen=True, slots=True)
class Unlinked:
    """Proved there, and unknown here: whoever signs in here once may link it. `token` for the cookie."""

    token: str


@dataclass(frozen=True, slots=True)
class Linking:
    """A link that was asked for from inside came to this."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Stopped:
    """It came to nothing. `reason`: stale, mixed-up, denied, refused-there, unreachable, broken, too-weak, too-old,
    closed, signed-out; of certificates no-certificate, refused, expired, untold."""

    reason: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """An identity that was proved elsewhere and waits to be linked."""

    way: str
    subject_hash: bytes
    proved_at: Millis
    told: Mapping[str, str] = field(default_factory=dict)
    proof: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proved:
    """An identity that was proved a moment ago. `way`: the upstream or authority; `told`: what a link keeps of it."""

    way: str
    method: str  # "upstream" | "certificate"
    subject_hash: bytes
    acr: str
    amr: tuple[str, ...]
    auth_at: Millis
    told: Mapping[str, str] = field(default_factory=dict)
    proof: Mapping[str, Any] = field(default_factory=dict)  # what a register says of the person (assurance.electronic)


class Entrance:
    """The door. `admits` says by id whom a way may let in: kinds of accounts."""

    def __init__(
        self,
        clock: Clock,
        *,
        links: Links,
        hasher: TokenHasher,
        attempts: Attempts,
        throttles: Throttles,
        sessions: Sessions,
        proofs: ElectronicProofs,
    ) -> None:
        self._clock = clock
        self._hasher = hasher
        self._attempts = attempts
        self._throttles = throttles
        self._sessions = sessions
        self._proofs = proofs
        self.links = links
        self.admits: dict[str, frozenset[str]] = {}

    def sign_in(
        self, session: Session, proved: Proved, browser: Browser, *, next: str
    ) -> SignedIn | Unlinked | Stopped:
        """In, by its link."""
        now = self._clock.ms()
        self._throttles.reward(session, login=None, source=browser.source, now=now)
        link = self.links.find(session, proved.way, proved.subject_hash)
        if link is None:
            kept = {
                "upstream": proved.way, "subject": b64url(proved.subject_hash), "proved_at": now,
                "told": dict(proved.told) if proved.method == "certificate" else {}, "proof": dict(proved.proof),
            }  # fmt: skip
            return Unlinked(self._attempts.begin(session, "link", notes=orjson.dumps(kept)))
        account = session.get(Account, link.account_id)
        if account is None or account.status != "active" or not self.may(proved.way, account.kind):
            self.note_failure(session, proved.way, proved.method, "closed", browser, link.account_id)
            return Stopped("closed")
        if totp.is_on(session, account.id) and rank(proved.acr) < rank(AAL2):
            # Else one factor there would be a way round the second one that the person set up here.
            self.note_failure(session, proved.way, proved.method, "too-weak", browser, link.account_id)
            return Stopped("too-weak")
        link.used_at = now
        session.add(link)
        done = sign_ins.begin(
            session,
            self._sessions,
            self._hasher,
            account.id,
            browser,
            level=Level(proved.acr, proved.amr),
            detail={"method": proved.method, "upstream": proved.way},
            next=next,
            now=now,
            auth_at=proved.auth_at,
        )
        if proved.method == "certificate":
            self.links.renew(session, link, proved.told, actor=done.session.actor())
        self._prove(session, done.session, proved.proof, linking=False)
        return done

    def link(
        self,
        session: Session,
        current: BrowserSession,
        way: str,
        subject_hash: bytes,
        told: Mapping[str, str],
        proof: Mapping[str, Any] = MappingProxyType({}),
    ) -> Outcome:
        """Link to the account of a session that was proved a moment ago."""
        if not self.may(way, current.kind):
            return "not-for-you"
        outcome = self.links.link(
            session, current.account_id, way, subject_hash, told=dict(told), now=self._clock.ms(), actor=current.actor()
        )
        if outcome in ("linked", "already"):
            self._prove(session, current, proof, linking=True)
        return outcome

    def _prove(self, session: Session, current: BrowserSession, proof: Mapping[str, Any], *, linking: bool) -> None:
        """Both are proved: the account by a sign-in of level 2, as at the counter, and the certificate. A guessed
        password, or a found phone, must not make its finder this person, verified."""
        told = electronic.unpack(proof)
        if told is not None and rank(current.acr) >= rank(AAL2):
            self._proofs.prove(session, current.account_id, told, linking=linking, actor=current.actor())

    def may(self, way: str, kind: str) -> bool:
        """Whether a way lets in this kind of account."""
        return kind in self.admits.get(way, frozenset())

    # -- linking after a sign-in here -----------------------------------------------------------------------------

    def waiting(self, session: Session, token: str | None) -> Waiting | None:
        """The identity that waits in this browser to be linked."""
        found = self._attempts.find(session, token, "link")
        if found is None:
            return None
        kept = orjson.loads(found.notes)
        return Waiting(
            kept["upstream"],
            b64url_decode(kept["subject"]),
            kept["proved_at"],
            kept.get("told", {}),
            kept.get("proof", {}),
        )

    def link_waiting(self, session: Session, token: str | None, current: BrowserSession) -> Outcome | None:
        """Link it to the account of a session that was proved a moment ago; None if nothing waits any more.

        Part of a write; used up by it, so that whoever signs in next in this browser finds nothing.
        """
        found, waiting = self._attempts.find(session, token, "link"), self.waiting(session, token)
        if found is None or waiting is None or not self._attempts.use_up(session, found):
            return None
        return self.link(session, current, waiting.way, waiting.subject_hash, waiting.told, waiting.proof)

    def note_failure(
        self, session: Session, way: str, method: str, reason: str, browser: Browser, account_id: str = ""
    ) -> None:
        """For the trail."""
        about = ("account", account_id) if account_id else ("signin", method)
        sign_ins.note_failure(
            session, browser, about=about, detail={"method": method, "upstream": way, "reason": reason}
        )  # fmt: skip
