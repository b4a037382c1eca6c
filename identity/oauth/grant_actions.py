"""What a request may do with a grant: make one, have more merged into one, replace one.

Grant Management for OAuth 2.0 (FAPI working group, draft 03) sections 5.1, 5.2 and 5.4. Any request that a resident
answers may carry it: at /oauth/authorize, pushed, from a device, from a counter. A `grant_id` is a public name, not a
secret (section 10): it is good for its own client and its own resident only, and whoever else brings it gets the answer
for an id that never was. The client's half is asked when the request comes, the resident's when they are known.
"""

from sqlalchemy import Connection

from identity import grants
from identity.clients import Client
from identity.oauth.errors import InvalidGrantId, InvalidRequest, UnauthorizedClient
from identity.oauth.parameters import Parameters
from identity.oauth.request import AuthorizationRequest
from kit.db import Database, Session

#: Scopes of a client's own token for the API (section 6.1); never a resident's to give.
QUERY, REVOKE = "grant_management_query", "grant_management_revoke"
ACTIONS = ("create", "merge", "replace")
_UNKNOWN = "grant_id is unknown"


def read_action(parameters: Parameters, client: Client) -> dict[str, str | None]:
    """The two parameters (section 5.2), and what section 5.4 calls an invalid request.

    Raises InvalidRequest, UnauthorizedClient, InvalidGrantId.
    """
    action, grant_id = parameters.get("grant_management_action"), parameters.get("grant_id")
    if action is None:
        if grant_id is not None:
            raise InvalidRequest("grant_id needs grant_management_action")
        return {}
    if client.public:
        raise UnauthorizedClient("a public client can't manage grants")  # section 5.1
    if action not in ACTIONS:
        raise InvalidRequest(f"grant_management_action must be one of {', '.join(ACTIONS)}")
    if (action == "create") != (grant_id is None):
        raise InvalidRequest("grant_id goes with merge and replace, and they with it; create has none")
    if grant_id is not None and len(grant_id) > 100:
        raise InvalidGrantId(_UNKNOWN)
    return {"grant_action": action, "grant_id": grant_id}


async def check_grant(database: Database, client: Client, request: AuthorizationRequest) -> AuthorizationRequest:
    """The request, if the grant it names is one of this client's; raises InvalidGrantId."""
    if request.grant_id is not None and await database.peek(_of_client, request.grant_id, client.id) is None:
        raise InvalidGrantId(_UNKNOWN)
    return request


def amended(place: Session | Connection, request: AuthorizationRequest, account_id: str) -> grants.Grant | None:
    """The grant a request merges into or replaces, None if it does neither. Raises InvalidGrantId unless it is this
    resident's too: nothing of another's is shown, and nothing is added to it (fixation of a grant id).
    """
    if request.grant_id is None:
        return None
    found = _of_client(place, request.grant_id, request.client_id)
    if found is None or found.account_id != account_id:
        raise InvalidGrantId(_UNKNOWN)
    return found


def _of_client(place: Session | Connection, grant_id: str, client_id: str) -> grants.Grant | None:
    found = grants.find(place, grant_id)
    return found if found is not None and found.active and found.client_id == client_id else None
