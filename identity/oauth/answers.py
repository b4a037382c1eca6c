"""How an answer reaches the client: in the query, by a form, or signed.

OAuth 2.0 Multiple Response Types section 2.1, OAuth 2.0 Form Post Response Mode, JARM (JWT Secured Authorization
Response Mode) sections 2 and 3. An answer in the query is a redirect at once. Any other goes by way of a GET of ours,
/oauth/answer: signing and a page don't belong inside the write that decides, and the pages that end at a client need
know nothing of modes. What is on its way there is sealed and good for a minute.

A person may take their time, and a client may give up an address meanwhile, which somebody else has then: so whether an
address is the client's is asked again when the answer leaves, of codes, refusals and errors alike (RFC 6749 section
4.1.2.1, RFC 9700 section 2.1).
"""

from identity.clients import Client, Clients
from identity.encryption import Envelopes
from identity.oauth.errors import InvalidRequest, OAuthError
from identity.oauth.pages import AnswerForm, ErrorPage, FormPost
from identity.oauth.request import AuthorizationRequest, with_query
from identity.oauth.tickets import Tickets
from identity.oidc.check_session import BrowserState
from keys.envelope import Sealer
from keys.ring import KeyRing
from kit.clock import MINUTE, SECOND, Clock
from kit.front import NO_STORE, Call, Reply

PATH = "/oauth/answer"
#: Where a person ends who answered for another device: there is no client to send this browser to.
ELSEWHERE = "/device/done"
LIFE = MINUTE


class Answers:
    """Makes the address a browser is sent to at the end, and serves the way station."""

    def __init__(
        self,
        issuer: str,
        sealer: Sealer,
        ring: KeyRing,
        clients: Clients,
        clock: Clock,
        form: FormPost,
        page: ErrorPage,
        state: BrowserState,
        envelopes: Envelopes,
    ) -> None:
        self._issuer = issuer
        self._tickets = Tickets(sealer, clock, context="identity|answer|ticket", life=LIFE)
        self._ring = ring
        self._clients = clients
        self._clock = clock
        self._form = form
        self._page = page
        self._state = state
        self._envelopes = envelopes

    def url(self, request: AuthorizationRequest, **values: str) -> str:
        """Where the browser goes with the answer to a request."""
        if request.decoupled is not None:
            said = "refused" if "error" in values else "agreed"
            return f"{self._issuer}{ELSEWHERE}?said={said}" + ("" if request.user_code else "&at=service")
        answer = request.answer(self._issuer, values)
        if request.response_mode == "query":
            return with_query(request.redirect_uri, answer)
        ticket = {
            "client": request.client_id,
            "to": request.redirect_uri,
            "mode": request.response_mode,
            "answer": answer,
        }
        return f"{self._issuer}{PATH}?t={self._tickets.seal(ticket)}"

    def nowhere(self, request: AuthorizationRequest) -> str:
        """Where the browser goes when the address is the client's no more: to a page of ours that says so."""
        ticket = {"client": request.client_id, "to": request.redirect_uri, "mode": "query", "answer": {}}
        return f"{self._issuer}{PATH}?t={self._tickets.seal(ticket)}"

    def granted(self, request: AuthorizationRequest, client: Client, *, code: str, session_id: str) -> str:
        """Where the browser goes with a code, and with what Session Management adds."""
        return self.url(request, code=code, **self._state.answer(request, client, session_id))

    async def endpoint(self, call: Call) -> Reply:
        """GET /oauth/answer."""
        try:
            ticket = self._tickets.open(call.query.removeprefix("t="))
            client = await self._clients.get(ticket["client"])
            if client is None or not client.usable:
                raise InvalidRequest("the client is not registered any more")
            if not is_its_address(client, ticket["to"]):
                raise InvalidRequest("redirect_uri is not registered for this client any more")
            fields: dict[str, str] = ticket["answer"]
            if ticket["mode"].endswith("jwt"):
                fields = {"response": await self._signed(client, fields)}
        except OAuthError as error:
            return self._page.render(call, error)
        if ticket["mode"].startswith("form_post"):
            form = AnswerForm(client.name_ja, client.name_en, ticket["to"], tuple(fields.items()))
            return self._form.render(call, form)
        location = with_query(ticket["to"], fields)
        return Reply(303, b"", [(b"location", location.encode("ascii")), NO_STORE])

    async def _signed(self, client: Client, answer: dict[str, str]) -> str:
        """JARM section 2.1: issuer, audience, a short life, and the answer; section 2.2: encrypted where asked for."""
        envelope = await self._envelopes.find(client, "authorization") if client.encryptions else None
        await self._ring.refresh()
        expires_at = (self._clock.ms() + LIFE) // SECOND
        claims = {**answer, "iss": self._issuer, "aud": client.id, "exp": expires_at}
        token = self._ring.sign_jwt(claims, typ="JWT", alg=client.authorization_alg)
        return token if envelope is None else envelope.close(token)


def is_its_address(client: Client | None, address: str) -> bool:
    """Whether a browser may be sent there in this client's name, as of now."""
    return client is not None and client.status != "removed" and address in client.redirect_uris
