"""A client's id as one segment of an address of ours, and back. Pure.

The id of a client that came by a federation is an address itself (OpenID Federation 1.0 section 12.1), whose slashes no
path parameter takes. Every other id stands as it is; `~` begins none of them.
"""

from typing import Annotated

from pydantic import AfterValidator

from kit.encoding import b64url, b64url_decode


def segment(client_id: str) -> str:
    """The id in a path."""
    return "~" + b64url(client_id.encode()) if "/" in client_id else client_id


def plain(found: str) -> str:
    """The id that a path names; what is none stays as it is, and is nobody's."""
    if not found.startswith("~"):
        return found
    try:
        return b64url_decode(found[1:]).decode()
    except ValueError:
        return found


#: A path parameter.
ClientId = Annotated[str, AfterValidator(plain)]
