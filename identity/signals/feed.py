"""What happened, given to the streams it concerns, and made into tokens when it leaves.

Told is only who has a grant of that resident: when it is spread, and again when it leaves, so nothing follows a
withdrawal but the word of it. Each receiver's token has its own `sub`, `sid`, `txn` and `jti`, made with our key: put
side by side, two receivers' tokens share a time and nothing else. Values of claims never travel: a changed
profile is told as `updated_at` (with the names of what changed, of those the receiver may read), and userinfo tells the
rest, where the resident sees that it was told.
"""

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from identity import grants, levels
from identity.accounts import profile
from identity.clients import Client, Clients
from identity.clients import find as find_client
from identity.oidc.claims import names_of
from identity.signals import events, happenings, left, streams, subjects
from identity.signals.delivery import push
from identity.signals.events import KINDS, Happening
from identity.signals.happenings import NEW, RULES, Rule
from identity.signals.left import left_key
from identity.signals.streams import CONTROL, EVENTS, Stream
from identity.tokens import Tokens
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from keys.hashing import TokenHasher
from keys.ring import KeyRing
from kit import outbox
from kit.clock import HOUR, SECOND, Clock, Millis
from kit.db import Database, Quick, Session, tx_of
from kit.encoding import b64url
from kit.fetch import Fetcher
from kit.host import SYSTEM
from kit.outbox import DROPPED, Item, Outbox, Sender

_ROUND: Final = 100
#: Of a profile's fields (`identity.accounts`), the claims they are told as.
_CLAIM_OF: Final = {
    "name_kana": "name#ja-Kana-JP",
    "family_name_kana": "family_name#ja-Kana-JP",
    "given_name_kana": "given_name#ja-Kana-JP",
    "phone": "phone_number",
    "phone_verified": "phone_number_verified",
}
_LIVE = Quick(
    "SELECT DISTINCT client_id FROM identity_grant WHERE account_id = :account_id"
    " AND (status = 'active' OR (:last = 1 AND changed_at >= :at))"
)
_SCOPES = Quick(
    "SELECT scopes FROM identity_grant WHERE account_id = :account_id AND client_id = :client_id AND status = 'active'"
)


class Feed:
    """Spreads what happened and sends it; jobs call `deliver` and `close_dead`."""

    def __init__(
        self,
        issuer: str,
        database: Database,
        clock: Clock,
        clients: Clients,
        tokens: Tokens,
        ring: KeyRing,
        sealer: Sealer,
        hasher: TokenHasher,
        fetcher: Fetcher,
        default_alg: str,
    ) -> None:
        self.issuer = issuer
        self._database = database
        self._clock = clock
        self._clients = clients
        self._tokens = tokens
        self._ring = ring
        self._sealer = sealer
        self._hasher = hasher
        self._fetcher = fetcher
        self._default_alg = default_alg
        self._rules: dict[str, tuple[Rule, ...]] = dict(RULES)
        ways: dict[str, Any] = {"send": self._send, "first": 5 * SECOND, "longest": HOUR}
        self._outboxes = (
            Outbox(database, clock, Sender(EVENTS, ordered=True, **ways)),
            Outbox(database, clock, Sender(CONTROL, **ways)),
        )

    def on(self, action: str, *rules: Rule) -> None:
        """A package above: entries of this action are told too. Before the start."""
        self._rules[action] = (*self._rules.get(action, ()), *rules)

    async def start(self) -> None:
        """From now on the audit trail causes happenings."""
        trail = self._database.trail
        if trail is not None:
            for action, rules in self._rules.items():
                trail.echo(action, happenings.echo(rules))

    async def deliver(self) -> int:
        """One round; how many tokens were taken."""
        while await self._database.read(_has_new):
            await self._database.bulk(self.spread)
        return sum(await asyncio.gather(*(each.deliver() for each in self._outboxes)))

    async def close_dead(self) -> int:
        """Disable the streams that have taken nothing for a week, and say so."""
        return await self._database.bulk(self._close_dead)

    # -- to the streams ----------------------------------------------------------------------------------------------

    def spread(self, session: Session) -> int:
        """Give what is new to the streams it concerns; how many happenings."""
        connection = session.connection()
        found = outbox.waiting(connection, NEW, "", _ROUND)
        for item in found:
            if outbox.remove(connection, NEW, "", [item.id]) == 1:  # or another process has it
                self._spread(session, happenings.opened(item))
        return len(found)

    def _spread(self, session: Session, happened: Happening) -> None:
        kind = KINDS[happened.kind]
        account_id, concerned = self._concerned(session, happened)
        for client_id, named in concerned:
            stream = streams.of_client(session, client_id)
            if stream is None or stream.status == "disabled" or kind.uri not in stream.requested:
                continue
            client = find_client(session, client_id)
            if client is None or self._left_out(session, stream, client, account_id, named):
                continue
            body = orjson.dumps(
                [happened.kind, happened.at, account_id, happened.by, happened.cause, dict(happened.said), named]
            )
            held = stream.endpoint is None or stream.status != "enabled"
            now = self._clock.ms()
            row = outbox.row(
                EVENTS, stream.id, body, now=now, expires_at=now + 2 * streams.KEPT, held=held, prefix="set"
            )
            outbox.add(session.connection(), [row])
            tx_of(session).touch(EVENTS)
        if happened.kind == "account-purged":
            self._forget(session, account_id)

    def _concerned(self, session: Session, happened: Happening) -> tuple[str, list[tuple[str, str]]]:
        """The resident, and the clients with a grant of theirs, each with its session if it is about one."""
        connection, last = session.connection(), KINDS[happened.kind].last_word
        if happened.grant_id:
            grant = grants.find(session, happened.grant_id)
            return ("", []) if grant is None else (grant.account_id, [(grant.client_id, "")])
        live = _live(connection, happened.account_id, last=last, at=happened.at)
        if happened.sessions:
            return happened.account_id, [pair for pair in happened.sessions if pair[0] in live]
        return happened.account_id, [(client_id, "") for client_id in sorted(live)]

    def _left_out(self, session: Session, stream: Stream, client: Client, account_id: str, named: str) -> bool:
        """Whether the receiver took this subject out. Looked at only where it took any out."""
        out = streams.left_of(session, stream.id)
        if not out:
            return False
        names = {subjects.person(self._tokens.subject(account_id, client.sector))}
        if named:
            names.add(subjects.session(self._tokens.session_name(named, client)))
        if "email" in scopes_of(session.connection(), account_id, client.id):
            with contextlib.suppress(KeyDestroyed):
                names.add(subjects.email(profile(session, self._sealer, account_id).email or ""))
        singles = {left_key(self._hasher, stream.id, (name,)) for name in names}
        pairs = {left_key(self._hasher, stream.id, (a, b)) for a in names for b in names if a < b}
        return bool(out & (singles | pairs))

    def left_row(self, stream_id: str, subject: Sequence[str]) -> dict[str, Any]:
        """What is kept of a subject a receiver takes out."""
        return left.row_of(self._hasher, stream_id, subject, self._clock.ms())

    def _forget(self, session: Session, account_id: str) -> None:
        """Who left and was told of is nobody's subject any more; the address went with the account."""
        for stream in streams.list_all(session):
            client = find_client(session, stream.client_id)
            if client is not None:
                name = subjects.person(self._tokens.subject(account_id, client.sector))
                left.forget(session.connection(), self._hasher, stream.id, name)

    def _close_dead(self, session: Session) -> int:
        now, connection = self._clock.ms(), session.connection()
        dead = list(outbox.stale(connection, EVENTS, now - streams.KEPT))[:20]
        for found in streams.list_all(session):
            full = outbox.backlog(connection, EVENTS, found.id).waiting > streams.MOST_WAITING
            if full and found.id not in dead:
                dead.append(found.id)
        for stream_id in dead:
            stream = streams.get(session, stream_id)
            if stream is None:
                outbox.clear(connection, EVENTS, stream_id)
            else:
                streams.set_status(
                    session, stream, "disabled", reason="nothing taken", actor=SYSTEM, now=now, by_us=True
                )
        return len(dead)

    # -- to the receivers --------------------------------------------------------------------------------------------

    async def ready(self, client: Client, stream: Stream, items: Sequence[Item]) -> list[tuple[Item, str, str]]:
        """Of these, what may leave: each with its `jti` and its token. What may not any more is let go."""
        await self._ring.refresh()
        found, over = [], []
        for item in items:
            claims = await self._database.read(self._claims, client, stream, item)
            if claims is None:
                over.append(item.id)
            else:
                found.append((item, str(claims["jti"]), self._sign(client, claims)))
        if over:
            await self._database.bulk(_let_go, stream.id, over)
        return found

    async def _send(self, item: Item) -> str | None:
        stream = await self._database.read(streams.get, item.lane)
        if stream is None:
            return DROPPED
        client = await self._clients.get(stream.client_id)
        # A suspended client hears nothing while it lasts, and everything when it is let in again.
        if client is None or not client.usable:
            return "client"
        if stream.endpoint is None or (item.topic == EVENTS and stream.status != "enabled"):
            return "held"
        claims = await self._database.read(self._claims, client, stream, item)
        if claims is None:
            return DROPPED
        await self._ring.refresh()
        return await push(self._fetcher, streams.delivery_of(self._sealer, stream), self._sign(client, claims))

    def jti(self, stream: Stream, item_id: str) -> str:
        """The token's name for its receiver. Rows made in one moment have neighbouring ids: by those, two receivers
        could tell that they were told of the same person."""
        return b64url(self._hasher.digest("signal-jti", f"{stream.id}|{item_id}")[:18])

    def _sign(self, client: Client, claims: dict[str, Any]) -> str:
        return self._ring.sign_jwt(claims, typ=events.TYPE, alg=client.id_token_alg or self._default_alg)

    def _claims(self, session: Session, client: Client, stream: Stream, item: Item) -> dict[str, Any] | None:
        """The token's claims, as of now; None if the receiver is not to hear of it any more."""
        if item.topic == CONTROL:
            uri, said = orjson.loads(item.body)
            if uri == events.VERIFICATION and stream.status != "enabled":
                return None
            kept, cause = events.control(uri, stream.id, said), item.id
        else:
            kind_name, at, account_id, by, cause, said, named = orjson.loads(item.body)
            kind = KINDS[kind_name]
            connection = session.connection()
            if not kind.last_word and client.id not in _live(connection, account_id, last=False, at=at):
                return None
            if said.get("namespace") == levels.IAL and not (client.minimum_ial or client.verified_claims != "none"):
                return None  # who a clerk has verified is told nobody who may not ask for it
            if kind_name == "token-claims-change":
                said = _changed(scopes_of(connection, account_id, client.id), said["fields"], at)
                if said is None:
                    return None
            person = events.user(self.issuer, self._tokens.subject(account_id, client.sector))
            subject = events.in_session(person, self._tokens.session_name(named, client)) if named else person
            kept = {"sub_id": subject, "toe": at // SECOND, "events": events.event(kind, at, by, said)}
        return events.token_claims(
            kept,
            issuer=self.issuer,
            audience=client.id,
            token_id=self.jti(stream, item.id),
            transaction=b64url(self._hasher.digest("signal-txn", f"{client.sector}|{cause}")[:18]),
            issued_at=item.created_at,
        )


def scopes_of(connection: Connection, account_id: str, client_id: str) -> frozenset[str]:
    """What a resident lets a client read, over all its grants."""
    rows = _SCOPES.all(connection, account_id=account_id, client_id=client_id)
    return frozenset(scope for (scopes,) in rows for scope in scopes.split())


def _live(connection: Connection, account_id: str, *, last: bool, at: Millis) -> frozenset[str]:
    """The clients with a grant now; for a last word, those too whose grant ended with it."""
    rows = _LIVE.all(connection, account_id=account_id, last=int(last), at=at)
    return frozenset(row[0] for row in rows)


def _changed(scopes: frozenset[str], fields: Collection[str], at: Millis) -> dict[str, Any] | None:
    """CAEP section 3.2: something that this receiver may read has changed; it asks userinfo what."""
    allowed = names_of(scopes) | {scope.removeprefix("claim:") for scope in scopes if scope.startswith("claim:")}
    names = sorted({_CLAIM_OF.get(name, name) for name in fields} & allowed)
    return {"claims": {"updated_at": at // SECOND}, "changed": names} if names else None


def _has_new(session: Session) -> bool:
    return bool(outbox.waiting(session.connection(), NEW, "", 1))


def _let_go(session: Session, stream_id: str, ids: list[str]) -> None:
    for topic in (EVENTS, CONTROL):
        outbox.remove(session.connection(), topic, stream_id, ids)
