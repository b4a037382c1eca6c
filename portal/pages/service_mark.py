"""What a service shows of itself on the pages that ask about it: its logo, what it says about privacy, its terms.

OpenID Connect Registration section 2 (`logo_uri`, `policy_uri`, `tos_uri`). The checked name of who stands for a
service comes first and in our letters; the logo comes after it, small, framed, and only where somebody stands for the
service (`identity.logos`). Links say where they lead.
"""

from urllib.parse import urlsplit

from identity import logos
from identity.clients import Client
from kit.db import Session
from portal.contexts.interaction import ServiceLink, ServiceMark


def mark_of(session: Session, client: Client, lang: str) -> ServiceMark:
    """The logo and links of a service."""
    found = logos.find(session, client.id) if client.logo_uri and logos.vouched(client) else None
    links = tuple(
        ServiceLink(kind, uri, str(urlsplit(uri).hostname))
        for kind in ("policy", "tos")
        if (uri := client.link(f"{kind}_uri", lang)) is not None
    )
    return ServiceMark(found.path if found is not None else "", links)
