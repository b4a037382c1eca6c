"""Our half of witnessing as a witness: other cities' logs, cosigned when they only grew.

c2sp.org/tlog-witness: `add-checkpoint` with its status codes and content types, and the monitoring address
`<hex SHA-256 of the origin>/checkpoint`. The logs are those configured, by their verifier keys.

"Checking the old size against the latest checkpoint and persisting the new checkpoint must be performed atomically":
here one UPDATE that names the old size and the old root; whoever comes second changes no row and is told 409.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, select, update

from identity.crowd import Crowd
from keys.notes import NoteVerifier
from keys.ring import KeyRing
from kit import audit
from kit.clock import SECOND, Clock
from kit.db import Database
from kit.front import Call, Handler, Reply
from kit.host import ANONYMOUS, SYSTEM
from kit.problems import NotFound
from kit.tlog import addcheckpoint
from kit.tlog.addcheckpoint import LARGEST_REQUEST, SIZE_TYPE, Acceptable, Refusal, Seen
from kit.tlog.cosignature import cosign
from kit.tlog.errors import BadLog
from kit.tlog.merkle import EMPTY_ROOT
from kit.tlog.tables import witnessed

PREFIX: Final = "/witness/"
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_SIZE = (b"content-type", SIZE_TYPE.encode())
_NO_STORE = (b"cache-control", b"no-store")
_OPEN = (b"access-control-allow-origin", b"*")


class Witness:
    """This city as a witness."""

    def __init__(self, database: Database, clock: Clock, ring: KeyRing, *, name: str, vkeys: Iterable[str]) -> None:
        self.name = name
        self._db = database
        self._clock = clock
        self._ring = ring
        self._logs: dict[str, tuple[NoteVerifier, ...]] = {}
        for vkey in vkeys:
            verifier = NoteVerifier(vkey)
            self._logs[verifier.name] = (*self._logs.get(verifier.name, ()), verifier)
        self._by_hash = {sha256(origin.encode()).hexdigest(): origin for origin in self._logs}

    @property
    def vkey(self) -> str:
        """Our verifier key as a witness, for other cities' policies."""
        return self._ring.witness_signer(self.name).vkey

    async def start(self) -> None:
        """A row for each configured log, so that there is always one to compare and swap."""
        for origin in self._logs:
            await self._db.write_core(_make_row, origin)

    async def add(self, body: bytes) -> Reply:
        """`add-checkpoint`."""
        try:
            asked = addcheckpoint.read(body)
            origin = addcheckpoint.origin_of(asked)
            verifiers = self._logs.get(origin)
            if verifiers is None:
                return _refuse(Refusal(404, "this log is not witnessed here"))
            seen = await self._db.read_core(_seen, origin)
            judged = addcheckpoint.judge(asked, seen, verifiers)
        except BadLog as bad:
            return _refuse(Refusal(400, str(bad)))
        if isinstance(judged, Refusal):
            return _refuse(judged)
        line = cosign(judged.text, self._ring.witness_signer(self.name), self._clock.ms() // SECOND)
        note = (judged.text + "\n" + "".join(each.line() for each in judged.log_lines) + line).encode()
        stored = await self._db.write_core(_swap, seen, judged, note)
        if stored is not None:  # somebody else was quicker
            return _refuse(Refusal(409, "", stored))
        return Reply(200, line.encode(), [_TEXT, _NO_STORE])

    async def checkpoint(self, path: str) -> Reply:
        """The latest checkpoint cosigned of a log ("Monitor Retrieval Mechanism"). Raises NotFound."""
        digest, _, rest = path.partition("/")
        origin = self._by_hash.get(digest)
        note = await self._db.read_core(_note, origin) if origin is not None and rest == "checkpoint" else None
        if not note:
            raise NotFound("No checkpoint of such a log was cosigned here.")
        return Reply(200, note, [_TEXT, (b"cache-control", b"no-cache"), _OPEN])


def _make_row(connection: Connection, origin: str) -> None:
    if connection.execute(select(witnessed.c.size).where(witnessed.c.origin == origin)).first() is None:
        connection.execute(witnessed.insert(), {"origin": origin, "size": 0, "root": EMPTY_ROOT, "note": b""})
        audit.record(connection, "consent.log.witnessed", actor=SYSTEM, object=("log", origin[:120]))


def _seen(connection: Connection, origin: str) -> Seen:
    row = connection.execute(select(witnessed.c.size, witnessed.c.root).where(witnessed.c.origin == origin)).one()
    return Seen(row.size, bytes(row.root))


def _note(connection: Connection, origin: str) -> bytes:
    return bytes(connection.execute(select(witnessed.c.note).where(witnessed.c.origin == origin)).scalar_one())


def _swap(connection: Connection, seen: Seen, new: Acceptable, note: bytes) -> int | None:
    """Replace the latest tree if it is still the one that was judged; otherwise the size that is there now."""
    checkpoint = new.checkpoint
    judged = (witnessed.c.size == seen.size) & (witnessed.c.root == seen.root)
    change = update(witnessed).where(witnessed.c.origin == checkpoint.origin, judged)
    done = connection.execute(change.values(size=checkpoint.size, root=checkpoint.root, note=note))
    if done.rowcount != 1:
        return _seen(connection, checkpoint.origin).size
    if (checkpoint.size, checkpoint.root) == (seen.size, seen.root):
        return None  # a fresh statement of the same tree: replays must not grow the trail
    audit.record(
        connection, "consent.checkpoint.cosigned", actor=ANONYMOUS, object=("log", checkpoint.origin[:120]),
        detail={"size": checkpoint.size, "root": checkpoint.root.hex()},
    )  # fmt: skip
    return None


def _refuse(refusal: Refusal) -> Reply:
    if refusal.status == 409:
        return Reply(409, b"%d\n" % (refusal.size or 0), [_SIZE, _NO_STORE])
    return Reply(refusal.status, f"{refusal.why}\n".encode(), [_TEXT, _NO_STORE])


# -- the doors --------------------------------------------------------------------------------------------------------


def add_checkpoint_handler(witness: Witness, crowd: Crowd) -> Handler:
    """POST /witness/add-checkpoint. Each network pays for what it may make us write."""

    async def add(call: Call) -> Reply:
        if seconds := crowd.wait(call.source):
            return Reply(429, b"too many requests\n", [_TEXT, _NO_STORE, (b"retry-after", b"%d" % seconds)])
        return await witness.add(await call.body(LARGEST_REQUEST))

    return add


def witness_handler(witness: Witness) -> Handler:
    """GET /witness/…: our key, and the latest cosigned checkpoint of a log."""

    async def get(call: Call) -> Reply:
        path = call.path.removeprefix(PREFIX)
        if path == "vkey":
            return Reply(200, f"{witness.vkey}\n".encode(), [_TEXT, (b"cache-control", b"public, max-age=300"), _OPEN])
        return await witness.checkpoint(path)

    return get


def _text(description: str, example: str, media: str = "text/plain") -> dict[str, Any]:
    content = {media: {"schema": {"type": "string"}, "example": example}}
    return {"description": description, "content": content}


_CHECKPOINT_EXAMPLE = (
    "other.city.example/ledger\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— other.city.example/ledger Az3grl…\n"
)

ADD_CHECKPOINT_OPERATION: Final[dict[str, Any]] = {
    "operationId": "witness_add_checkpoint",
    "summary": "Ask this city to cosign another log's checkpoint",
    "description": "c2sp.org/tlog-witness, add-checkpoint: the old size, a consistency proof, the checkpoint. "
    "Only for logs that this city was told to witness (`witness_logs`).",
    "tags": ["ledger"],
    "requestBody": {
        "required": True,
        "content": {
            "text/plain": {"schema": {"type": "string"}, "example": f"old 0\n\n{_CHECKPOINT_EXAMPLE}"},
        },
    },
    "responses": {
        "200": _text("Our cosignature", "— localhost:8080/witness jWbPPwAAAABkGFDL…\n"),
        "400": _text("Not such a request, or the old size is larger than the checkpoint's", "base64 is malformed\n"),
        "403": _text("The log's signature is missing or wrong", "no known key signed this note\n"),
        "404": _text("Not a log we witness", "this log is not witnessed here\n"),
        "409": _text("The old size is not the latest one we cosigned, which is told", "20852014\n", SIZE_TYPE),
        "422": _text("The trees do not fit together", "two trees of one size have different roots\n"),
        "429": _text("Too often from one network; see Retry-After", "too many requests\n"),
    },
}

WITNESS_OPERATION: Final[dict[str, Any]] = {
    "operationId": "witness_read",
    "summary": "Our key as a witness, and the latest checkpoint cosigned of a log",
    "description": "`vkey`: the verifier key for policies (c2sp.org/tlog-policy). `<hex SHA-256 of the origin>"
    "/checkpoint`: the latest checkpoint of that log with our cosignature (c2sp.org/tlog-witness).",
    "tags": ["ledger"],
    "parameters": [
        {
            "name": "path",
            "in": "path",
            "required": True,
            "description": "`vkey`, or the origin's hash and /checkpoint",
            "schema": {"type": "string"},
            "example": "vkey",
        }
    ],
    "responses": {
        "200": _text("The text", "localhost:8080/witness+5b0b2d8c+BB1hZ…\n"),
        "404": {
            "description": "No such log, or nothing cosigned yet",
            "content": {
                "application/problem+json": {
                    "schema": {"type": "object", "properties": {"title": {"type": "string"}}},
                    "example": {"type": "/problems/kit/not-found", "title": "There is nothing here", "status": 404},
                }
            },
        },
    },
}
