"""The sector of pairwise subjects, proved by its owner.

OpenID Connect Core section 8.1 and Registration section 5: `sector_identifier_uri` is an https address of a JSON array
that holds every redirect URI of the client. It is fetched, guarded, at registration and at each change.
"""

import orjson

from identity.addresses import bad
from identity.registration import Registration
from kit.fetch import Fetcher, FetchRefused


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
