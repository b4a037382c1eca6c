"""The language a service wishes for (`ui_locales`: OpenID Connect Core section 3.1.2.1, RP-Initiated Logout section 2).

Pure. A wish travels in a cookie of its own for as long as an interaction waits, so that the sign-in page and what
follows speak it too. What the person chose stands above it, and it is looked at on the pages a service leads to only:
no link of a stranger changes the language of the rest.
"""

from collections.abc import Sequence

LOCALES = ("ja", "en")
COOKIE = "sekisho-wish"
_SECONDS = 1800
_CLEARED = f"{COOKIE}=; Max-Age=0"


def wished(tags: Sequence[str]) -> str | None:
    """The first language we speak (RFC 4647 section 3.4: `ja-JP` is found as `ja`)."""
    for tag in tags:
        code = tag.lower().partition("-")[0]
        if code in LOCALES:
            return code
    return None


def cookie(tags: Sequence[str], *, secure: bool) -> tuple[bytes, bytes]:
    """The header that lays down the wish, or takes away a former service's."""
    found = wished(tags)
    value = f"{COOKIE}={found}; Max-Age={_SECONDS}" if found else _CLEARED
    return b"set-cookie", f"{value}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}".encode("ascii")
