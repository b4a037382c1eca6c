"""Whether a resident and their sign-in are as sure as a request needs, asked inside the write that acts on it."""

from collections.abc import Iterable

from sqlalchemy import Connection

from identity.assurance.minimums import NOTHING, Floors, Needs
from identity.assurance.verifications import level
from identity.clients import Client
from identity.settings import IdentitySettings
from kit.clock import Millis
from kit.db import Session


def floors_of(settings: IdentitySettings) -> Floors:
    """The minimums of scopes, from the settings."""
    return Floors(settings.scope_ial, settings.scope_aal)


def missing(
    place: Session | Connection,
    floors: Floors,
    client: Client,
    scopes: Iterable[str],
    *,
    verified: bool,
    account_id: str,
    acr: str,
    now: Millis,
) -> Needs:
    """What is missing now, by the operator's present word; nearly always nothing, and then nothing is looked up.

    `acr` is that of the sign-in the tokens rest on: neither a refresh nor an exchange makes it more.
    """
    needs = floors.of(client, scopes, verified=verified)
    if not needs.any:
        return NOTHING
    return needs.short(ial=level(place, account_id, now=now) if needs.ial else 0, acr=acr)
