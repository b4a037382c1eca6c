"""A service begun from here: login initiated by a third party, which is us.

OpenID Connect Core section 4: the browser goes to the address the client registered for it, with our name, and the
client begins an ordinary request. Nobody is sent anywhere else, and nothing is said of the person.
"""

from identity.clients import Clients
from identity.oauth.errors import InvalidRequest, OAuthError
from identity.oauth.pages import ErrorPage
from identity.oauth.parameters import read_query, require
from identity.oauth.request import with_query
from kit.front import NO_STORE, Call, Reply

PATH = "/oauth/start"


class Initiate:
    """Handles GET /oauth/start?client_id=…"""

    def __init__(self, issuer: str, clients: Clients, page: ErrorPage) -> None:
        self._issuer = issuer
        self._clients = clients
        self._page = page

    async def get(self, call: Call) -> Reply:
        """To the service, or a page that says why not."""
        try:
            client = await self._clients.get(require(read_query(call.query), "client_id"))
            if client is None or not client.usable or client.initiate_login_uri is None:
                raise InvalidRequest("client_id is not of a service that can be begun here")
        except OAuthError as error:
            return self._page.render(call, error)
        location = with_query(client.initiate_login_uri, {"iss": self._issuer})
        return Reply(303, b"", [(b"location", location.encode("ascii")), NO_STORE])
