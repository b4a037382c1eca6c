"""Signing in by an upstream, and linking one: authorization code with PKCE, this city as the relying party.

OpenID Connect Core 1.0 section 3.1, RFC 7636 (S256), RFC 9207, RFC 9700 sections 2.1 and 4. What a sign-in needs later
(`state`, `nonce`, verifier, where to go next) waits here, sealed, behind a cookie of the browser that began it
(identity.attempts), for minutes and for one answer. Closed by that:

- another's answer in this browser (login CSRF): `state` is the cookie's attempt's, and a forged one spends nothing;
- an answer shown twice, or two at once: the attempt is used up before its code is;
- a stolen code in another sign-in (code injection): its verifier and nonce stayed with the attempt it came from;
- an answer of another upstream's (mix-up): each has its own redirect URI, and `iss` is compared.

No token of the upstream's is kept, and none reaches the browser. A sign-in asks for `openid` and nothing else; what the
profile allows beyond is asked for once, when a link is made from the resident's own page.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import orjson

from identity import browsers, totp
from identity.attempts import Attempts
from identity.credentials import Browser, SignedIn, Throttled
from identity.levels import AAL2, rank
from identity.models_account import Account
from identity.sessions import BrowserSession, Sessions
from identity.throttle import Throttles
from identity.upstream import answers
from identity.upstream.answers import Failed, Proof
from identity.upstream.links import Links, Outcome
from identity.upstream.profiles import Upstream
from identity.upstream.provider import Document, Provider
from keys.hashing import TokenHasher, same
from kit import audit
from kit.clock import Clock, Millis
from kit.db import Database, Session
from kit.encoding import b64url, b64url_decode
from kit.host import ANONYMOUS
from kit.ids import secret
from kit.problems import NotFound


@dataclass(frozen=True, slots=True)
class Begun:
    """Away to the upstream: `token` for the browser's cookie, and the address to go to."""

    token: str
    url: str


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
    closed, signed-out."""

    reason: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """An identity that was proved elsewhere and waits to be linked."""

    upstream: str
    subject_hash: bytes
    proved_at: Millis


@dataclass(frozen=True, slots=True)
class _Notes:
    """What waits for the upstream's answer. `session_id` is set when a link is made from inside."""

    upstream: str
    state: str
    nonce: str
    verifier: str
    next: str
    session_id: str


class Upstreams:
    """The upstreams of this city."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        upstreams: Iterable[Upstream],
        *,
        provider: Provider,
        links: Links,
        hasher: TokenHasher,
        attempts: Attempts,
        throttles: Throttles,
        sessions: Sessions,
    ) -> None:
        self._database = database
        self._clock = clock
        self.by_id = {upstream.id: upstream for upstream in upstreams}
        self._provider = provider
        self._hasher = hasher
        self._attempts = attempts
        self._throttles = throttles
        self._sessions = sessions
        self.links = links

    @property
    def all(self) -> tuple[Upstream, ...]:
        """In the order of the settings."""
        return tuple(self.by_id.values())

    def get(self, upstream_id: str) -> Upstream | None:
        """One, unless the operator took it away."""
        return self.by_id.get(upstream_id)

    # -- away -----------------------------------------------------------------------------------------------------

    async def begin(
        self, upstream_id: str, browser: Browser, *, next: str = "", link_for: BrowserSession | None = None
    ) -> Begun | Throttled | Stopped:
        """Begin a sign-in, or with `link_for` (proved a moment ago: ask `require_recent`) a link to that account.

        Raises NotFound.
        """
        upstream = self.by_id.get(upstream_id)
        if upstream is None:
            raise NotFound("There is no such way to sign in.")
        try:
            document = await self._provider.document(upstream)
        except Failed as failed:
            return Stopped(failed.reason)
        session_id = link_for.id if link_for is not None else ""
        notes = _Notes(upstream_id, secret("state"), secret("nonce"), secret("pkce"), next, session_id)

        def keep(session: Session) -> str | Throttled:
            wait = self._throttles.charge(session, login=None, source=browser.source, now=self._clock.ms())
            if wait is not None:
                return Throttled(wait.seconds)
            return self._attempts.begin(session, "upstream", notes=orjson.dumps(asdict(notes)))

        token = await self._database.write(keep)
        return token if isinstance(token, Throttled) else Begun(token, _address(upstream, document, notes))

    # -- back -----------------------------------------------------------------------------------------------------

    async def finish(
        self, upstream_id: str, query: str, token: str | None, browser: Browser, current: BrowserSession | None
    ) -> tuple[SignedIn | Unlinked | Linking | Stopped, str]:
        """The redirect back: what it came to, and where the person wanted to go."""
        upstream = self.by_id.get(upstream_id)
        if upstream is None:
            return Stopped("stale"), ""
        try:
            answer = answers.read_redirect(query)
        except Failed as failed:
            return Stopped(failed.reason), ""
        notes = await self._database.write(self._take, token, upstream_id, answer.get("state", ""))
        if notes is None:
            return Stopped("stale"), ""
        try:
            document = await self._provider.document(upstream)
            code = answers.check_redirect(answer, upstream, says_iss=document.says_iss)
            id_token, access_token = await self._provider.exchange(
                upstream, document, code=code, verifier=notes.verifier
            )
            claims = await self._provider.claims(upstream, document, id_token)
            proof = answers.check_id_token(
                claims, upstream, nonce=notes.nonce, access_token=access_token, now=self._clock.ms()
            )
            if not notes.session_id:
                return await self._database.write(self._sign_in, upstream, proof, notes, browser), notes.next
            if current is None or current.id != notes.session_id:
                # The link was asked for in a session that is no more, or by somebody else who used this browser.
                raise Failed("signed-out")
            told = await self._provider.attributes(upstream, document, access_token=access_token, subject=proof.subject)
            digest = self.links.digest(upstream.issuer, proof.subject)
            return Linking(await self._database.write(self._link, current, upstream_id, digest, told)), notes.next
        except Failed as failed:
            await self._database.write(self._note_failure, upstream_id, failed.reason, browser)
            return Stopped(failed.reason), notes.next

    # -- linking after a sign-in here -----------------------------------------------------------------------------

    def waiting(self, session: Session, token: str | None) -> Waiting | None:
        """The identity that waits in this browser to be linked."""
        found = self._attempts.find(session, token, "link")
        if found is None:
            return None
        kept = orjson.loads(found.notes)
        return Waiting(kept["upstream"], b64url_decode(kept["subject"]), kept["proved_at"])

    def link_waiting(self, session: Session, token: str | None, current: BrowserSession) -> Outcome | None:
        """Link it to the account of a session that was proved a moment ago; None if nothing waits any more.

        Part of a write; used up by it, so that whoever signs in next in this browser finds nothing.
        """
        found, waiting = self._attempts.find(session, token, "link"), self.waiting(session, token)
        if found is None or waiting is None or not self._attempts.use_up(session, found):
            return None
        return self._link(session, current, waiting.upstream, waiting.subject_hash, {})

    # -- inside writes --------------------------------------------------------------------------------------------

    def _take(self, session: Session, token: str | None, upstream_id: str, state: str) -> _Notes | None:
        """Use up what waits for this answer: one caller gets it. A wrong `state` spends nothing."""
        found = self._attempts.find(session, token, "upstream")
        if found is None:
            return None
        notes = _Notes(**orjson.loads(found.notes))
        if notes.upstream != upstream_id or not state.isascii() or not same(state, notes.state):
            return None
        return notes if self._attempts.use_up(session, found) else None

    def _sign_in(
        self, session: Session, upstream: Upstream, proof: Proof, notes: _Notes, browser: Browser
    ) -> SignedIn | Unlinked | Stopped:
        now = self._clock.ms()
        self._throttles.reward(session, login=None, source=browser.source, now=now)
        digest = self.links.digest(upstream.issuer, proof.subject)
        link = self.links.find(session, upstream.id, digest)
        if link is None:
            kept = {"upstream": upstream.id, "subject": b64url(digest), "proved_at": now}
            return Unlinked(self._attempts.begin(session, "link", notes=orjson.dumps(kept)))
        account = session.get(Account, link.account_id)
        if account is None or account.status != "active" or account.kind != "resident":  # staff sign in here
            self._note_failure(session, upstream.id, "closed", browser, link.account_id)
            return Stopped("closed")
        if totp.is_on(session, account.id) and rank(proof.acr) < rank(AAL2):
            # Else one factor there would be a way round the second one that the person set up here.
            self._note_failure(session, upstream.id, "too-weak", browser, link.account_id)
            return Stopped("too-weak")
        link.used_at = now
        session.add(link)
        token, begun = self._sessions.begin(
            session,
            account.id,
            acr=proof.acr,
            amr=proof.amr,
            user_agent=browser.user_agent,
            replaces=browser.session_id,
            auth_at=proof.auth_at,
        )
        browsers.recognise(
            session, self._hasher, account.id, browser.known, session_id=begun.id, now=now, actor=begun.actor()
        )
        audit.record(
            session,
            "identity.signin.succeeded",
            actor=begun.actor(),
            object=("account", account.id),
            detail={"method": "upstream", "upstream": upstream.id, "acr": proof.acr},
            personal={"source": browser.source},
        )
        return SignedIn(token, begun, notes.next)

    def _link(
        self, session: Session, current: BrowserSession, upstream_id: str, digest: bytes, told: dict[str, str]
    ) -> Outcome:
        return self.links.link(
            session, current.account_id, upstream_id, digest, told=told, now=self._clock.ms(), actor=current.actor()
        )

    def _note_failure(
        self, session: Session, upstream_id: str, reason: str, browser: Browser, account_id: str = ""
    ) -> None:
        audit.record(
            session,
            "identity.signin.failed",
            actor=ANONYMOUS,
            object=("account", account_id) if account_id else ("signin", "upstream"),
            detail={"method": "upstream", "upstream": upstream_id, "reason": reason},
            personal={"source": browser.source},
            outcome="refused",
        )


def _address(upstream: Upstream, document: Document, notes: _Notes) -> str:
    """The authorization request (Core section 3.1.2.1)."""
    from authlib.common.urls import add_params_to_uri
    from authlib.oauth2.rfc7636 import create_s256_code_challenge

    scopes = ("openid", *(upstream.attributes if notes.session_id else ()))
    parameters = {
        "response_type": "code",
        "client_id": upstream.client_id,
        "redirect_uri": upstream.redirect_uri,
        "scope": " ".join(scopes),
        "state": notes.state,
        "nonce": notes.nonce,
        "code_challenge": create_s256_code_challenge(notes.verifier),
        "code_challenge_method": "S256",
    }
    if upstream.acr_values:
        parameters["acr_values"] = " ".join(upstream.acr_values)
    if upstream.max_age is not None:
        parameters["max_age"] = str(upstream.max_age)
    address: str = add_params_to_uri(document.authorization_endpoint, list(parameters.items()))
    return address
