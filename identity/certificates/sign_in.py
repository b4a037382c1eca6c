"""Signing in by a certificate, and linking one: here, over to the listener that asks for certificates, and back.

The TLS handshake proves the key, or a proxy says that it did (RFC 9440). The listener is another
origin by its port, but cookies know no ports: so nothing there reads or sets one. What it hands back is a ticket, for
one use within two minutes, and it counts only together with the cookie that the browser got before it went:

- who sends somebody else to the listener gets no ticket: it goes to the browser that showed the certificate;
- who shows their own and sends the ticket to somebody else (login CSRF) lacks that browser's cookie;
- both are used up by one write, at most once (I7); a ticket of another beginning spends nothing.

Whoever has no certificate of this authority, or a revoked one, hears one word for all of it; the trail has the reason.
"""

import re
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from identity.assurance.documents import BY_CHIP, BY_HANDSHAKE, RECORD, SIGNATURE, Electronic
from identity.assurance.electronic import Told
from identity.attempts import Attempts
from identity.certificates.authorities import Authority
from identity.certificates.check import Certificates, Good
from identity.credentials import Throttled
from identity.oauth.mtls import certificate_of
from identity.oauth.parameters import read_some
from identity.oauth.request import with_query
from identity.sessions import BrowserSession
from identity.sign_ins import Browser, SignedIn
from identity.throttle import Throttles
from identity.upstream.entrance import Entrance, Linking, Proved, Stopped, Unlinked
from keys.hashing import same
from kit.clock import Clock, Millis, iso
from kit.db import Database, Session
from kit.encoding import b64url, b64url_decode
from kit.front import NO_STORE, Call, Reply
from kit.ids import secret
from kit.problems import NotFound

SHOW_PATH = "/sign-in/certificate/show"
BACK_PATH = "/sign-in/certificate/back"
PROBLEMS = ("no-certificate", "refused", "expired", "untold", "throttled", "stale")
_HANDLE = re.compile(r"skc_[A-Za-z0-9_-]{43}")
_AUTHORITY = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class Begun:
    """Over to the listener: `token` for the browser's cookie, and the address to go to."""

    token: str
    url: str


@dataclass(frozen=True, slots=True)
class _Notes:
    """What waits here for the browser. `session_id` is set when a link is made from inside."""

    authority: str
    handle: str
    next: str
    session_id: str


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the listener saw."""

    authority: str
    handle: str
    subject: str
    told: dict[str, str]
    at: Millis
    proof: dict[str, Any] = field(default_factory=dict)  # what its register says of the person, if that counts


class CertificateSignIn:
    """The ways in by certificate. `shown_at` is the listener's origin; without one there are none."""

    def __init__(
        self,
        issuer: str,
        shown_at: str | None,
        database: Database,
        clock: Clock,
        *,
        certificates: Certificates,
        entrance: Entrance,
        attempts: Attempts,
        throttles: Throttles,
    ) -> None:
        self._issuer = issuer
        self.shown_at = shown_at
        self._database = database
        self._clock = clock
        self._certificates = certificates
        self._entrance = entrance
        self._attempts = attempts
        self._throttles = throttles
        for one in certificates.for_people():
            kinds = {"residents": "resident", "staff": "staff"}
            entrance.admits[one.id] = frozenset(kinds[use] for use in one.settings.uses if use in kinds)

    @property
    def all(self) -> tuple[Authority, ...]:
        """Those one can sign in by, in the order of the settings."""
        return self._certificates.for_people() if self.shown_at is not None else ()

    def get(self, authority_id: str) -> Authority | None:
        """One of them."""
        return next((one for one in self.all if one.id == authority_id), None)

    # -- here -----------------------------------------------------------------------------------------------------

    async def begin(
        self, authority_id: str, browser: Browser, *, next: str = "", link_for: BrowserSession | None = None
    ) -> Begun | Throttled:
        """Begin a sign-in, or with `link_for` (proved a moment ago) a link to that account. Raises NotFound."""
        if self.get(authority_id) is None or self.shown_at is None:
            raise NotFound("There is no such way to sign in.")
        session_id = link_for.id if link_for is not None else ""
        notes = _Notes(authority_id, secret("skc"), next, session_id)

        def keep(session: Session) -> str | Throttled:
            wait = self._throttles.charge(session, login=None, source=browser.source, now=self._clock.ms())
            if wait is not None:
                return Throttled(wait.seconds)
            return self._attempts.begin(session, "certificate", notes=orjson.dumps(asdict(notes)))

        token = await self._database.write(keep)
        if isinstance(token, Throttled):
            return token
        return Begun(token, with_query(self.shown_at + SHOW_PATH, {"begun": notes.handle, "authority": authority_id}))

    # -- at the listener ------------------------------------------------------------------------------------------

    async def show(self, call: Call) -> Reply:
        """GET, where the browser's certificate is seen. Always a way back; no cookie is read or set."""
        found = await self._seen(call)
        location = with_query(self._issuer + BACK_PATH, found)
        return Reply(303, b"", [(b"location", location.encode("ascii")), NO_STORE])

    async def _seen(self, call: Call) -> dict[str, str]:
        query = read_some(call.query, ("begun", "authority"))
        handle, authority_id = query.get("begun", ""), query.get("authority", "")
        authority = self.get(authority_id) if _AUTHORITY.fullmatch(authority_id) else None
        if authority is None or not _HANDLE.fullmatch(handle):
            return {"problem": "stale"}
        shown = certificate_of(call.scope)
        if shown is None or shown.resumed:  # TLS 1.2 resumes by itself: nobody proved anything a moment ago
            return {"problem": "no-certificate", "authority": authority_id}
        browser = Browser(source=call.source, user_agent="")
        wait = await self._database.write(self._charge, browser.source)
        if wait:
            return {"problem": "throttled", "authority": authority_id}
        verdict = await self._certificates.check(shown.certificate, authority_id, shown.sent)
        if not isinstance(verdict, Good):
            note = self._entrance.note_failure
            await self._database.write(note, authority_id, "certificate", verdict.reason, browser)
            reason = verdict.reason if verdict.reason in ("expired", "untold") else "refused"
            return {"problem": reason, "authority": authority_id}
        # The link keeps which certificate it was, so that a renewal is noticed.
        told = {"certificate": shown.x5t, "valid_until": iso(verdict.ends_at)[:10]}
        digest = self._entrance.links.digest("x509", verdict.subject)
        proof = _proof(verdict, shown.x5t) if verdict.ial else {}
        kept = _Shown(authority_id, handle, b64url(digest), told, self._clock.ms(), proof)
        return {"ticket": await self._database.write(self._ticket, kept, browser.source)}

    # -- back -----------------------------------------------------------------------------------------------------

    async def finish(
        self, ticket: str, token: str | None, browser: Browser, current: BrowserSession | None
    ) -> tuple[SignedIn | Unlinked | Linking | Stopped, str, str]:
        """The way back: what it came to, where the person wanted to go, and which authority it was."""
        return await self._database.write(self._finish, ticket, token, browser, current)

    def _finish(
        self, session: Session, ticket: str, token: str | None, browser: Browser, current: BrowserSession | None
    ) -> tuple[SignedIn | Unlinked | Linking | Stopped, str, str]:
        begun = self._attempts.find(session, token, "certificate")
        came = self._attempts.find(session, ticket, "certificate-shown")
        if begun is None or came is None:
            return Stopped("stale"), "", ""
        notes, shown = _Notes(**orjson.loads(begun.notes)), _Shown(**orjson.loads(came.notes))
        authority = self.get(notes.authority)
        if authority is None or shown.authority != notes.authority or not same(shown.handle, notes.handle):
            return Stopped("stale"), "", ""
        if not (self._attempts.use_up(session, begun) and self._attempts.use_up(session, came)):
            return Stopped("stale"), "", ""
        digest = b64url_decode(shown.subject)
        if notes.session_id:
            if current is None or current.id != notes.session_id:
                # Asked for in a session that is no more, or by somebody else who used this browser.
                return Stopped("signed-out"), notes.next, authority.id
            outcome = self._entrance.link(session, current, authority.id, digest, shown.told, shown.proof)
            return Linking(outcome), notes.next, authority.id
        level = authority.level
        proved = Proved(authority.id, "certificate", digest, level.acr, level.amr, shown.at, shown.told, shown.proof)
        return self._entrance.sign_in(session, proved, browser, next=notes.next), notes.next, authority.id

    def _ticket(self, session: Session, shown: _Shown, source: str) -> str:
        self._throttles.give_back(session, source=source, now=self._clock.ms())
        return self._attempts.begin(session, "certificate-shown", notes=orjson.dumps(asdict(shown)))

    def _charge(self, session: Session, source: str) -> int:
        wait = self._throttles.charge(session, login=None, source=source, now=self._clock.ms())
        return wait.seconds if wait is not None else 0


def _proof(good: Good, x5t: str) -> dict[str, Any]:
    """The register's word, with both pieces of evidence: what it said, and the certificate that it said it of."""
    settings = good.authority.settings
    evidence = (
        Electronic(RECORD, settings.record, settings.label_ja, check=BY_CHIP),  # its key, and its status
        Electronic(SIGNATURE, BY_HANDSHAKE, good.issuer, good.serial),
    )
    told = Told(settings.id, good.ial, good.attributes, evidence, mark=x5t, ends_at=good.ends_at)
    return told.pack()
