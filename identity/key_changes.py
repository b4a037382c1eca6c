"""New keys or a new secret for a client, by an operator: with an overlap, and by two people where the city wants that.

A change replaces the whole set (`jwks`) or the address it is at (`jwks_uri`, RFC 7591 section 2); the former set stays
good beside the new one until the overlap's end. One generation only: changing again ends what was left of the one
before. What a set must be to be taken is asked here too: a set that can't verify what its client signs would lock it
out. Where `client_changes_by_two` is on a change waits for a second operator, who approves what the page showed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from identity import clients
from identity.addresses import bad
from identity.clients import Client, Clients
from identity.errors import ChangeGone, UnknownClient
from identity.errors_account import SecondPersonNeeded
from identity.models import ClientChange, ClientRow
from identity.public_keys import thumbprints
from identity.registration import check
from identity.second_person import require_another
from identity.settings import IdentitySettings
from keys.envelope import Sealer
from keys.jose import can_verify
from kit import audit
from kit.clock import DAY, SECOND, Clock, Millis
from kit.db import Session, tx_of
from kit.host import Actor
from kit.ids import new_id

Kind = Literal["keys", "secret"]

#: How long a change waits for its second person: keys that nobody wanted for a week should be looked at anew.
WAITS: Millis = 7 * DAY
LONGEST = 30 * DAY // SECOND


@dataclass(frozen=True, slots=True)
class Change:
    """What one operator wants."""

    id: str
    client_id: str
    kind: Kind
    keys: Mapping[str, Any] | None
    overlap_seconds: int
    proposed_by: str
    proposed_at: Millis
    expires_at: Millis


class KeyChanges:
    """Changes of what clients prove themselves with."""

    def __init__(self, registry: Clients, sealer: Sealer, clock: Clock, settings: IdentitySettings) -> None:
        self._sealer = sealer
        self._registry = registry
        self._clock = clock
        self.by_two = settings.client_changes_by_two

    def set_keys(
        self, session: Session, client_id: str, keys: Mapping[str, Any], *, overlap_seconds: int, actor: Actor
    ) -> Change | None:
        """Change a client's keys (`jwks` or `jwks_uri`), or return what waits for a second person.

        Raises InvalidClientMetadata, UnknownClient.
        """
        judge(session, client_id, keys)
        overlap = min(max(0, overlap_seconds), LONGEST)
        if self.by_two and actor.kind == "operator":
            return self._propose(session, client_id, "keys", keys, overlap, actor)
        self._apply(session, client_id, keys, overlap, actor)
        return None

    def set_secret(self, session: Session, client_id: str, *, overlap_seconds: int, actor: Actor) -> Change | str:
        """A new secret, or what waits for a second person, who will be shown it. Raises UnknownClient."""
        overlap = min(max(0, overlap_seconds), LONGEST)
        if self.by_two and actor.kind == "operator":
            if clients.get(session, client_id).secret_digest is None:
                raise UnknownClient("This client has no secret.")
            return self._propose(session, client_id, "secret", None, overlap, actor)
        return self._registry.rotate_secret(session, client_id, actor=actor, overlap_seconds=overlap)

    def approve(self, session: Session, client_id: str, change_id: str, *, actor: Actor) -> str | None:
        """The second person wants it too: it is in force at this commit. Returns the secret, if it is one.

        Raises ChangeGone, SecondPersonNeeded, InvalidClientMetadata.
        """
        change = self._same(session, client_id, change_id)
        sentence = "Whoever asked for this change can't approve it. Ask a colleague."
        if actor.kind != "operator":
            raise SecondPersonNeeded(sentence)
        require_another(session, self._sealer, actor, began_by=change.proposed_by, otherwise=sentence)
        self._forget(session, change)
        if change.kind == "secret":
            return self._registry.rotate_secret(
                session, client_id, actor=actor, overlap_seconds=change.overlap_seconds, approved=True
            )
        judge(session, client_id, change.keys or {})  # the client may have changed meanwhile
        self._apply(session, client_id, change.keys or {}, change.overlap_seconds, actor)
        return None

    def decline(self, session: Session, client_id: str, change_id: str, *, actor: Actor) -> None:
        """Take it back, or say no to it: any operator may. Raises ChangeGone."""
        change = self._same(session, client_id, change_id)
        self._forget(session, change)
        _record(session, client_id, "declined", actor, change)

    def end_former(self, session: Session, client_id: str, *, actor: Actor) -> None:
        """The former keys stop now, before their overlap is over; one person may. Raises UnknownClient."""
        row = _row(session, client_id)
        if row.former_keys is not None:
            row.former_keys = row.former_keys_until = None
            session.add(row)
            session.flush()
            tx_of(session).touch("clients")
            audit.record(session, "identity.client.former_keys_ended", actor=actor, object=("client", client_id))

    def find(self, session: Session, client_id: str) -> Change | None:
        """The change of a client that waits, if one does."""
        row = session.get(ClientChange, client_id)
        if row is None or row.expires_at <= self._clock.ms():
            return None
        return Change(
            row.id, row.client_id, cast(Kind, row.kind), row.keys, row.overlap_seconds, row.proposed_by,
            row.proposed_at, row.expires_at,
        )  # fmt: skip

    def _propose(
        self, session: Session, client_id: str, kind: Kind, keys: Mapping[str, Any] | None, overlap: int, actor: Actor
    ) -> Change:
        now = self._clock.ms()
        if (before := session.get(ClientChange, client_id)) is not None:
            session.delete(before)
            session.flush()
        row = ClientChange(
            client_id=client_id, id=new_id("chg"), kind=kind, keys=None if keys is None else dict(keys),
            overlap_seconds=overlap, proposed_by=actor.id, proposed_at=now, expires_at=now + WAITS,
        )  # fmt: skip
        session.add(row)
        session.flush()
        change = self.find(session, client_id)
        assert change is not None
        _record(session, client_id, "proposed", actor, change)
        return change

    def _same(self, session: Session, client_id: str, change_id: str) -> Change:
        change = self.find(session, client_id)
        if change is None or change.id != change_id:  # another was asked for meanwhile: nobody has looked at that
            raise ChangeGone("This change was made, taken back or replaced. Look at the client again.")
        return change

    def _forget(self, session: Session, change: Change) -> None:
        session.delete(session.get_one(ClientChange, change.client_id))
        session.flush()

    def _apply(self, session: Session, client_id: str, keys: Mapping[str, Any], overlap: int, actor: Actor) -> None:
        row = _row(session, client_id)
        now = self._clock.ms()
        given = _whole(keys)
        former = {name: row.settings[name] for name in given if row.settings.get(name) is not None}
        until = now + overlap * SECOND if former and overlap else None
        row.former_keys, row.former_keys_until = (former, until) if until else (None, None)
        row.settings, row.changed_at = {**row.settings, **given}, now
        session.add(row)
        clients.note_keys(session, row, actor=actor, overlap=overlap)


def judge(session: Session, client_id: str, keys: Mapping[str, Any]) -> Client:
    """Raise InvalidClientMetadata unless the client may have these keys; UnknownClient."""
    client = clients.get(session, client_id)
    if client.status == "removed":
        raise UnknownClient("This client was removed.")
    check(clients.registration_of(session, client_id).model_copy(update=_whole(keys)))
    if _whole(keys) == {"jwks": client.jwks, "jwks_uri": client.jwks_uri}:
        raise bad("/jwks", "These are the keys it has.")
    if "jwks" in keys:
        check_use(client, keys["jwks"], "/jwks")
    return client


def check_use(client: Client, jwks: Mapping[str, Any], pointer: str) -> None:
    """Raise InvalidClientMetadata unless some key of the set verifies what this client signs."""
    if client.auth_method == "private_key_jwt" and not can_verify(jwks, client.assertion_algs):
        raise bad(pointer, f"No key here verifies {', '.join(client.assertion_algs)}: the client would be locked out.")


def _whole(keys: Mapping[str, Any]) -> dict[str, Any]:
    return {"jwks": keys.get("jwks"), "jwks_uri": keys.get("jwks_uri")}


def _row(session: Session, client_id: str) -> ClientRow:
    row = session.get(ClientRow, client_id)
    if row is None:
        raise UnknownClient("No client has this id.")
    return row


def _record(session: Session, client_id: str, done: str, actor: Actor, change: Change) -> None:
    detail: dict[str, Any] = {"change": change.id, "overlap_seconds": change.overlap_seconds}
    if change.kind == "keys":
        detail["keys"] = thumbprints((change.keys or {}).get("jwks"))
    audit.record(
        session, f"identity.client.{change.kind}_{done}", actor=actor, object=("client", client_id), detail=detail
    )
