"""Whether a certificate is good, for a use: path, purpose, status. One verdict for services, residents and staff.

A verdict is kept by thumbprint and use until the status it rests on must be asked for again: at the authority's own
next update, or after `fresh_seconds`, whichever is first. While it is fresh nothing goes over the network; in the last
fifth of that time the next user sets off a new question and does not wait for it. So whoever is revoked is refused
when the status is next learned: at the token endpoint (`invalid_client`), at every door where a bound token is shown
with its certificate, in introspection. Each process keeps its own.

Hard by default: what can't be learned is refused (RFC 5280 section 6.3.3 calls it UNDETERMINED and leaves the rest to
us), at the sign-in, at the token endpoint and at every door alike. What was good when it was last learned stays so for
`grace_seconds` more, none by default. `soft_fail` lets everything unlearned pass, and says so in the log.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from identity.certificates.authorities import Authority
from identity.certificates.status import CertificateStatus
from keys.certificates import Certificate
from keys.pki.paths import Path, Untrusted
from keys.pki.status import Status, Untold
from kit.clock import SECOND, Clock, Millis
from kit.logs import log

_MOST = 10_000
_FAILED_FOR: Millis = 10 * SECOND


@dataclass(frozen=True, slots=True)
class Good:
    """It is good. `subject` names whom it stands for, beyond its renewal."""

    authority: Authority
    subject: str
    ends_at: Millis
    attributes: dict[str, str] = field(default_factory=dict)
    ial: int = 0  # what the register's word about the person is worth
    issuer: str = ""
    serial: str = ""


@dataclass(frozen=True, slots=True)
class Bad:
    """It is not. `reason`: untrusted, expired, purpose, policy, revoked, unknown, untold, nameless."""

    reason: str
    authority_id: str = ""
    private: str = ""


@dataclass(slots=True)
class _Kept:
    verdict: Good | Bad
    since: Millis
    until: Millis
    learned_until: Millis = 0  # how long the authority's own word was good; the grace begins there
    sent: tuple[Certificate, ...] = ()  # what its path was looked for with

    def is_for(self, sent: tuple[Certificate, ...]) -> bool:
        """Whether it holds for whoever sends these along: they count for one that had no path."""
        pathless = isinstance(self.verdict, Bad) and self.verdict.reason == "untrusted"
        return not pathless or not sent or [one.x5t for one in sent] == [one.x5t for one in self.sent]

    asking: bool = False


class Certificates:
    """The judge. Without authorities it judges nothing (`judges`)."""

    def __init__(self, authorities: Iterable[Authority], status: CertificateStatus, clock: Clock) -> None:
        self._authorities = tuple(authorities)
        self._status = status
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def judges(self) -> bool:
        """Whether the operator named authorities. Then they alone count, for services too: the handshake lets
        in whoever any of its CAs vouches for, and a resident's card must not pass for a service of that name."""
        return bool(self._authorities)

    def for_people(self) -> tuple[Authority, ...]:
        """Those that people may sign in by, in the order of the settings."""
        return tuple(one for one in self._authorities if one.settings.uses & {"residents", "staff"})

    def get(self, authority_id: str) -> Authority | None:
        """One, unless the operator took it away."""
        return next((one for one in self._authorities if one.id == authority_id), None)

    async def warn(self) -> None:
        """Say at the start what is left unchecked: nobody should find that out afterwards."""
        for one in self._authorities:
            if not one.checked:
                log.warning("certificates are never asked about: a revoked one lets in", authority=one.id)
            elif one.settings.soft_fail:
                log.warning("certificates whose status can't be learned are let in", authority=one.id)

    async def check(self, shown: Certificate, use: str, sent: tuple[Certificate, ...] = ()) -> Good | Bad:
        """The verdict: kept, or made now. `use` is `clients`, or the id of one authority for people.

        `sent`: authorities that came along with it. Whoever had no path without them is judged anew with them; once
        a path was found they change nothing, so that a revoked one makes us ask nobody again by sending others.
        """
        key = (shown.x5t, use)
        kept, now = self._kept.get(key), self._clock.ms()
        if kept is not None and now < kept.until and kept.is_for(sent):
            sent = sent or kept.sent
            if now - kept.since > (kept.until - kept.since) * 4 // 5 and not kept.asking:
                kept.asking = True
                task = asyncio.ensure_future(self._renew(key, shown, sent))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            return kept.verdict
        lock = self._locks.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                kept = self._kept.get(key)
                if kept is None or self._clock.ms() >= kept.until or not kept.is_for(sent):
                    sent = sent or (kept.sent if kept is not None else ())
                    kept = self._keep(key, self._graced(kept, await self._judge(shown, use, sent)))
                return kept.verdict
        finally:
            if not lock.locked():
                self._locks.pop(key, None)

    async def disowned(self, shown: Certificate, sent: tuple[Certificate, ...] = ()) -> bool:
        """Whether an authority for services gave it out and does not stand by it: took it back, or can't be asked by
        now. One of nobody's is nobody's to revoke. What a token is bound to is judged as what it was given for: else
        who keeps the lists from us could use tokens of a revoked certificate that gets no new ones."""
        return self.judges and _is_disowned(await self.check(shown, "clients", sent))

    def known_disowned(self, x5t: str) -> bool:
        """The same of one that was seen in this process; asks nobody."""
        kept = self._kept.get((x5t, "clients"))
        return kept is not None and _is_disowned(kept.verdict)

    # -- inside ---------------------------------------------------------------------------------------------------

    async def _renew(self, key: tuple[str, str], shown: Certificate, sent: tuple[Certificate, ...]) -> None:
        made = await self._judge(shown, key[1], sent)
        kept = self._kept.get(key)
        if _is_untold(made.verdict) and kept is not None:
            kept.asking = False  # what was learned before is good until its own end
            kept.since = self._clock.ms()
            return
        self._keep(key, made)

    def _graced(self, before: _Kept | None, made: _Kept) -> _Kept:
        """What was good stays so for a while when nobody can be asked, and is asked about again every ten seconds."""
        if before is None or not isinstance(before.verdict, Good) or not _is_untold(made.verdict):
            return made
        authority, now = before.verdict.authority, self._clock.ms()
        end = min(before.learned_until + authority.grace, before.verdict.ends_at)
        if now >= end:
            return made
        return replace(before, since=now, until=min(end, now + _FAILED_FOR), asking=False)

    async def _judge(self, shown: Certificate, use: str, sent: tuple[Certificate, ...]) -> _Kept:
        now, refused = self._clock.ms(), Bad("untrusted")
        for authority in self._authorities:
            if use not in authority.settings.uses and use != authority.id:
                continue
            try:
                path = authority.anchors.path(shown, now=now, sent=sent)
            except Untrusted as error:
                if refused.reason == "untrusted":
                    refused = Bad(error.reason, authority.id, str(error))
                continue
            verdict, until = await self._ask(authority, path, shown)
            until = max(min(until, path.until, now + authority.fresh), now + 1)
            return _Kept(verdict, now, until, until, sent=sent)
        return _Kept(refused, now, now + _FAILED_FOR, sent=sent)

    async def _ask(self, authority: Authority, path: Path, shown: Certificate) -> tuple[Good | Bad, Millis]:
        now = self._clock.ms()
        status, until = Status("good", path.until), path.until
        try:
            if authority.checked:
                try:
                    status = await self._status.of(authority, path)
                    until = status.until
                except Untold as untold:
                    log.warning("certificate-status-untold", authority=authority.id, reason=str(untold),
                                soft=authority.settings.soft_fail)  # fmt: skip
                    if not authority.settings.soft_fail:
                        return Bad("untold", authority.id, str(untold)), now + _FAILED_FOR
                    until = now + _FAILED_FOR
            if status.state != "good":
                return Bad(status.state, authority.id), until
            subject = authority.subject(path, status, shown.x5t)
        except Untold as untold:
            return Bad(untold.reason, authority.id, str(untold)), now + _FAILED_FOR
        good = Good(
            authority,
            subject,
            path.ends_at,
            dict(status.attributes),
            authority.ial(path),
            path.issuer_text,
            path.serial,
        )
        return good, until

    def _keep(self, key: tuple[str, str], made: _Kept) -> _Kept:
        self._kept.pop(key, None)
        if len(self._kept) >= _MOST:
            self._kept.popitem(last=False)
        self._kept[key] = made
        if isinstance(made.verdict, Bad) and not _is_disowned(made.verdict):
            # The first to go: anybody makes certificates of nobody, and must not push a good one out with its grace.
            self._kept.move_to_end(key, last=False)
        return made


def _is_untold(verdict: Good | Bad) -> bool:
    return isinstance(verdict, Bad) and verdict.reason == "untold"


def _is_disowned(verdict: Good | Bad) -> bool:
    return isinstance(verdict, Bad) and verdict.reason in ("revoked", "unknown", "untold")
