"""The key ring: what signs now, what verifies now, and the published set (RFC 7517).

One set for each algorithm, states *next, active, retired* (keys.lifecycle). The next key is published
before it signs, a retired key until the last token it signed has expired, so no verifier ever meets an
unknown key. The ring is a snapshot in memory, swapped whole; `refresh` compares the change counter, so
every process follows a rotation.

Own tokens are recognised by their header byte for byte: of a verifying key there is exactly one header
for each type, and nothing else is even parsed. `alg`, `kid`, `typ`, `crit` and `jwk` confusions have no
place to begin.
"""

import asyncio
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Row

from keys import store
from keys.envelope import TOPIC, Sealer
from keys.errors import BadToken
from keys.hashing import derive
from keys.lifecycle import State, verifies
from keys.notes import LogSigner, WitnessSigner
from keys.signing import SEALED, PublicKey, Signer, from_bytes, header
from kit.clock import Clock, Millis
from kit.db import Database, Session
from kit.encoding import b64url, b64url_decode

if TYPE_CHECKING:
    from keys.jwe import Reader

_MAX_TOKEN = 16_384
_MAX_TYPES = 64  # types are constants of the code
_ORDER = {State.ACTIVE: 0, State.NEXT: 1, State.RETIRED: 2}


def private_context(kid: str) -> str:
    """Where a private key is sealed."""
    return f"keys_signing_key|sealed_private|{kid}"


@dataclass(slots=True)
class _Snapshot:
    """The ring at one count of the change counter."""

    count: int
    signers: dict[str, Signer]
    public: list[PublicKey]
    rows: list[Row[Any]]
    body: bytes = b""
    etag: str = ""
    stale_at: Millis | None = None
    by_type: dict[str, dict[str, PublicKey]] = field(default_factory=dict)


class KeyRing:
    """Signs and verifies our own tokens. Loaded at start; before that every use raises RuntimeError."""

    def __init__(self, db: Database, clock: Clock, sealer: Sealer) -> None:
        self._db = db
        self._clock = clock
        self._sealer = sealer
        self._secret: bytes | None = None
        self._snapshot: _Snapshot | None = None
        self._signers: dict[str, Signer] = {}
        self._readers: dict[str, Reader] = {}
        self._logs: dict[str, LogSigner] = {}
        self._refreshing = asyncio.Lock()
        self._followers: list[Callable[[Session], None]] = []

    def __repr__(self) -> str:
        return "KeyRing()"

    def __reduce__(self) -> str:
        raise TypeError("a key ring is not copied or pickled")

    # -- following the database -----------------------------

    def load_secret(self, secret: bytes) -> None:
        """For the wiring: the secret that log keys are derived from."""
        self._secret = secret
        self._logs.clear()

    async def refresh(self) -> None:
        """Follow what any process did to the keys since the last look; a comparison when nothing changed."""
        count = await self._db.counter(TOPIC)
        if self._snapshot is not None and self._snapshot.count == count:
            return
        async with self._refreshing:
            if self._snapshot is not None and self._snapshot.count == await self._db.counter(TOPIC):
                return
            count = await self._db.counter(TOPIC)  # before the rows: a change in between is seen next time
            self._take(count, await self._db.read(self._read))

    def follow(self, fn: Callable[[Session], None]) -> None:
        """Let `fn` read what else hangs from the change counter of keys, at each refresh."""
        self._followers.append(fn)

    def _read(self, session: Session) -> list[Row[Any]]:
        for fn in self._followers:
            fn(session)
        return list(store.list_signing_keys(session))

    def _take(self, count: int, rows: list[Row[Any]]) -> None:
        signers: dict[str, Signer] = {}
        readers: dict[str, Reader] = {}
        for row in rows:
            if row.alg == SEALED and row.sealed_private is not None:
                readers[row.kid] = self._readers.get(row.kid) or self._reader(row)
            if row.state != State.ACTIVE or row.sealed_private is None or row.alg == SEALED:
                continue
            signer = self._signers.get(row.kid)
            if signer is None:  # opened once, kept while it is active
                private = self._sealer.system().open(private_context(row.kid), bytes(row.sealed_private))
                signer = Signer(from_bytes(private), kid=row.kid, alg=row.alg)
            signers[row.alg] = signer
        self._readers = readers
        self._signers = {signer.kid: signer for signer in signers.values()}
        self._snapshot = self._publish(count, signers, rows)

    def _reader(self, row: Row[Any]) -> "Reader":
        from keys.jwe import Reader  # what opens others' messages is not needed for the first answer

        private = self._sealer.system().open(private_context(row.kid), bytes(row.sealed_private))
        return Reader(from_bytes(private), kid=row.kid)

    def _publish(self, count: int, signers: dict[str, Signer], rows: list[Row[Any]]) -> _Snapshot:
        now = self._clock.ms()
        shown = [
            row
            for row in rows
            # Of the keys to encrypt to others are given the newest; the one before it still opens (`open_jwe`).
            if (row.state == State.NEXT if row.alg == SEALED else verifies(State(row.state), row.verify_until, now))
        ]
        shown.sort(key=lambda row: (_ORDER[State(row.state)], row.alg, row.kid))
        body = orjson.dumps({"keys": [row.public_jwk for row in shown]})
        return _Snapshot(
            count=count,
            signers=signers,
            public=[PublicKey(row.public_jwk, until=row.verify_until) for row in shown if row.alg != SEALED],
            rows=rows,
            body=body,
            etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
            stale_at=min((row.verify_until for row in shown if row.verify_until is not None), default=None),
        )

    def _now(self) -> _Snapshot:
        snapshot = self._snapshot
        if snapshot is None:
            raise RuntimeError("keys are not loaded yet: start the host first")
        if snapshot.stale_at is not None and self._clock.ms() >= snapshot.stale_at:  # a retired key ran out
            snapshot = self._snapshot = self._publish(snapshot.count, snapshot.signers, snapshot.rows)
        return snapshot

    # -- our own tokens -----------------------------

    def sign_jwt(self, claims: Mapping[str, Any], *, typ: str, alg: str = "EdDSA") -> str:
        """A signed JWT under the active key of an algorithm."""
        signer = self._signer(alg)
        head = signer.headers.get(typ)
        if head is None:
            head = signer.headers[typ] = header(typ=typ, alg=alg, kid=signer.kid)
        signed = f"{head}.{b64url(orjson.dumps(claims))}"
        return f"{signed}.{b64url(signer.sign(signed.encode()))}"

    def verify_jwt(self, token: str, *, typ: str) -> dict[str, Any]:
        """The claims of a token of ours of that type; raises BadToken. No claim is checked, not even `exp`."""
        head, _, rest = token.partition(".")
        payload, _, signature = rest.partition(".")
        key = self._headers(typ).get(head)
        if key is None or len(token) > _MAX_TOKEN or not token.isascii():
            raise BadToken(private="not a token of ours of that type")
        if key.until is not None and self._clock.ms() >= key.until:
            raise BadToken(private="signed by a key that retired long ago")
        try:
            key.verify(b64url_decode(signature), token[: -len(signature) - 1].encode())
            claims = orjson.loads(b64url_decode(payload))
        except (ValueError, binascii.Error) as error:
            raise BadToken(private="a part of the token does not parse") from error
        if not isinstance(claims, dict):
            raise BadToken(private="the claims are not an object")
        return claims

    def open_jwe(self, token: str) -> str:
        """The signed JWT inside a JWE that was encrypted to us (RFC 7516); raises BadToken, always the same.

        A key is given to others while it is *next* and opens until it retires, a whole lifetime later: whoever holds a
        cached set is never turned away.
        """
        from keys.jwe import check_sealed

        kid = check_sealed(token).get("kid")
        self._now()
        for reader in self._readers.values():
            if kid is None or reader.kid == kid:
                try:
                    return reader.open(token)
                except BadToken:
                    continue
        raise BadToken(private="no key of ours opens it")

    def _signer(self, alg: str) -> Signer:
        try:
            return self._now().signers[alg]
        except KeyError:
            raise ValueError(f"there is no signing key for {alg}") from None

    def _headers(self, typ: str) -> dict[str, PublicKey]:
        snapshot = self._now()
        known = snapshot.by_type.get(typ)
        if known is None:
            if len(snapshot.by_type) >= _MAX_TYPES:
                raise ValueError("types of tokens are constants, not input")
            known = {header(typ=typ, alg=key.alg, kid=key.kid): key for key in snapshot.public}
            snapshot.by_type[typ] = known
        return known

    # -- what others see -----------------------------

    def jwks(self) -> tuple[bytes, str]:
        """The published set, prebuilt, and its entity tag: next, active, and retired keys that still verify."""
        snapshot = self._now()
        return snapshot.body, snapshot.etag

    def archive(self) -> dict[str, list[dict[str, str]]]:
        """Every public key that ever signed and was not compromised: for what must verify for years."""
        good = (State.ACTIVE, State.RETIRED)
        rows = self._now().rows
        return {"keys": [row.public_jwk for row in rows if row.state in good and row.alg != SEALED]}

    # -- the ledger's key -----------------------------

    def log_signer(self, origin: str) -> LogSigner:
        """The Ed25519 key of a transparency log, derived from its origin: it lives as long as the log does."""
        signer = self._logs.get(origin)
        if signer is None:
            if self._secret is None:
                raise RuntimeError("keys are not loaded yet: start the host first")
            seed = derive(self._secret, f"log/{origin}")
            signer = self._logs[origin] = LogSigner(origin, Ed25519PrivateKey.from_private_bytes(seed))
        return signer

    def witness_signer(self, name: str) -> WitnessSigner:
        """The Ed25519 key of this city as a witness of other logs, derived from the witness's name.

        It is no log's key: an Ed25519 cosigner has a key of its own (c2sp.org/tlog-cosignature).
        """
        if self._secret is None:
            raise RuntimeError("keys are not loaded yet: start the host first")
        seed = derive(self._secret, f"witness/{name}")
        return WitnessSigner(name, Ed25519PrivateKey.from_private_bytes(seed))
