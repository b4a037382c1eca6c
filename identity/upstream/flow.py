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
from typing import Any

import orjson

from identity.assurance.documents import RECORD, Electronic
from identity.assurance.electronic import Told
from identity.attempts import Attempts
from identity.credentials import Throttled
from identity.levels import AAL2, rank
from identity.sessions import BrowserSession
from identity.sign_ins import Browser, SignedIn
from identity.throttle import Throttles
from identity.upstream import answers
from identity.upstream.answers import Failed, Proof
from identity.upstream.entrance import Entrance, Linking, Proved, Stopped, Unlinked
from identity.upstream.profiles import Upstream
from identity.upstream.provider import Document, Provider
from keys.hashing import same
from kit.clock import SECOND, Clock, Millis
from kit.db import Database, Session
from kit.encoding import b64url
from kit.ids import secret
from kit.problems import NotFound

REQUEST_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Begun:
    """Away to the upstream: `token` for the browser's cookie, and the address to go to."""

    token: str
    url: str


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
        entrance: Entrance,
        attempts: Attempts,
        throttles: Throttles,
    ) -> None:
        self._database = database
        self._clock = clock
        self.by_id = {upstream.id: upstream for upstream in upstreams}
        self._provider = provider
        self._attempts = attempts
        self._throttles = throttles
        self.entrance = entrance
        self.links = entrance.links
        for upstream_id in self.by_id:
            entrance.admits[upstream_id] = frozenset({"resident"})  # staff sign in here, or by certificate

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
        return (
            token
            if isinstance(token, Throttled)
            else Begun(token, _address(upstream, document, notes, self._clock.ms()))
        )

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
            word = _word(upstream, proof, told, digest)
            return Linking(
                await self._database.write(self.entrance.link, current, upstream_id, digest, told, word)
            ), notes.next
        except Failed as failed:
            await self._database.write(self.entrance.note_failure, upstream_id, "upstream", failed.reason, browser)
            return Stopped(failed.reason), notes.next

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
        digest = self.links.digest(upstream.issuer, proof.subject)
        proved = Proved(upstream.id, "upstream", digest, proof.acr, proof.amr, proof.auth_at)
        return self.entrance.sign_in(session, proved, browser, next=notes.next)


def _word(upstream: Upstream, proof: Proof, told: dict[str, str], digest: bytes) -> dict[str, Any]:
    """What the upstream says of the person, where that counts: of a sign-in of level 2 there, a moment ago."""
    if not upstream.ial or rank(proof.acr) < rank(AAL2):
        return {}
    evidence = (Electronic(RECORD, upstream.record, upstream.label["ja"]),)
    return Told(upstream.id, upstream.ial, told, evidence, mark=b64url(digest)).pack()


def _address(upstream: Upstream, document: Document, notes: _Notes, now: Millis) -> str:
    """The authorization request (Core section 3.1.2.1); signed where nothing else says who we are (OpenID Federation
    1.0 section 12.1.1.1)."""
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
    if upstream.prompt:
        parameters["prompt"] = upstream.prompt
    if upstream.max_age is not None:
        parameters["max_age"] = str(upstream.max_age)
    if upstream.federated and upstream.key is not None:
        begins = now // SECOND
        about = {"iss": upstream.client_id, "aud": upstream.issuer, "jti": secret("skj"), "iat": begins}
        signed = upstream.key.sign_jwt(
            {**parameters, **about, "exp": begins + REQUEST_SECONDS}, typ="oauth-authz-req+jwt"
        )
        kept = ("response_type", "client_id", "scope")  # Core section 6.1: these stand beside the object, too
        parameters = {name: parameters[name] for name in kept} | {"request": signed}
    address: str = add_params_to_uri(document.authorization_endpoint, list(parameters.items()))
    return address
