"""The sector of pairwise subjects, proved by its owner.

OpenID Connect Core section 8.1 and Registration section 5: `sector_identifier_uri` is an https address of a JSON array
that holds every redirect URI of the client. It is fetched, guarded, at registration and at each change.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from identity import grants, logout
from identity.addresses import bad, split
from identity.clients import Client
from identity.registration import CIBA, DEVICE, Registration
from identity.subjects import sector_of
from kit.clock import Millis
from kit.db import Session
from kit.fetch import Fetcher, FetchRefused
from kit.host import Actor
from kit.ids import new_id


def sector_of_its_own(document: Mapping[str, Any]) -> str | None:
    """The sector of a new client that answers on several hosts and asks for no kind of subject; else None.

    Core section 8.1 wants a `sector_identifier_uri` of whoever asks for pairwise subjects on several hosts; OpenID's
    dynamic plan registers such a client asking for nothing (oidcc-ensure-redirect-uri-in-authorization-request). It
    gets a sector that is nobody else's: no host's, so naming another's host beside its own tells it nothing.
    """
    uris = document.get("redirect_uris")
    if document.get("subject_type") is not None or document.get("sector_identifier_uri") is not None:
        return None
    if not isinstance(uris, list) or not all(isinstance(uri, str) and split(uri) for uri in uris):
        return None  # no addresses at all: whoever checks them says so
    return new_id("sec") if len({sector_of(uri) for uri in uris}) > 1 else None


def sector_of_the_unseen(document: Mapping[str, Any]) -> str | None:
    """The sector of who registers itself for a flow that ends at no address: its own; else None.

    Nothing is proved by redirect addresses, or a list of them, where nobody is sent back. Closes: another service's
    address beside the device grant, by which its names of residents would be told to whoever wrote it there.
    """
    asked = document.get("grant_types")
    return new_id("sec") if isinstance(asked, list) and (DEVICE in asked or CIBA in asked) else None


def check_told(registration: Registration) -> None:
    """Raise InvalidClientMetadata where who registers itself is told of sign-outs at a host it sends nobody back to.

    A logout token names the resident as the sector does (Back-Channel Logout section 2.4), and the sector is the host
    of the redirect addresses. Closes: another service's redirect address and a logout address of one's own.
    """
    uri = registration.backchannel_logout_uri
    if uri is not None and sector_of(uri) not in {sector_of(one) for one in registration.redirect_uris}:
        raise bad("/backchannel_logout_uri", "This address is at the host of a redirect URI.")


def is_proved(registration: Registration) -> bool:
    """Whether the rules above would give a client that registered itself the sector it stands in."""
    if registration.subject_type == "public":
        return False  # an operator's to give
    if registration.sector_identifier is not None:
        return True  # its own, or an operator's word
    if DEVICE in registration.grant_types or CIBA in registration.grant_types:
        return False
    hosts = {sector_of(uri) for uri in registration.redirect_uris}
    if len(hosts) > 1 and registration.sector_identifier_uri is None:
        return False
    told = registration.backchannel_logout_uri
    return told is None or sector_of(told) in hosts


def end_if_moved(session: Session, before: Client, after: Client, *, actor: Actor, now: Millis) -> None:
    """A client that stands in another sector now is another service: nobody agreed to that one.

    Closes: tokens from before, by which who names another service's address as its own would learn under which name
    that one knows its residents; and notices of sign-outs, which name them, too.
    """
    if before.sector != after.sector:
        grants.revoke_for_client(session, after.id, actor=actor, now=now, reason="client-moved")
        logout.forget(session.connection(), after.id)


async def check_sector(fetcher: Fetcher, registration: Registration) -> None:
    """Raise InvalidClientMetadata unless the sector's owner names every redirect URI."""
    uri = registration.sector_identifier_uri
    if uri is None:
        return
    try:
        answer = await fetcher.get(uri)
    except FetchRefused as error:
        # One sentence for every cause: what a stranger may not reach, a stranger may not map either.
        raise bad("/sector_identifier_uri", "The sector identifier could not be fetched.") from error
    named: object = None
    if answer.status == 200:
        try:
            named = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            named = None
    if not isinstance(named, list) or not set(registration.redirect_uris) <= {one for one in named if _text(one)}:
        raise bad("/sector_identifier_uri", "What is there is not a JSON array with every redirect URI in it.")


def _text(value: object) -> bool:
    return isinstance(value, str)
