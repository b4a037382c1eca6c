"""The ledger's public face: a C2SP tlog-tiles log below /ledger/, readable by anyone, from any site.

c2sp.org/tlog-tiles: checkpoint (never cached), tiles and entry bundles (immutable), the verifier key as text. Full
tiles come from memory. What the newest published size does not cover is 404 and not cached: it may exist in a second.
"""

from collections.abc import Mapping
from typing import Any

from consent.witnessing import Witnesses
from kit.db import Database, Tx
from kit.front import Call, Handler, Reply
from kit.problems import NotFound, Unavailable
from kit.tlog.errors import BadTilePath
from kit.tlog.log import MAIN, Leaf, Logs, append
from kit.tlog.tiles import LONGEST_ENTRY, parse_path

TEST_LOG = "test"

_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_BYTES = (b"content-type", b"application/octet-stream")
_OPEN = (b"access-control-allow-origin", b"*")  # public by nature: a page of anybody's may check a receipt
_CHECKPOINT = [_TEXT, (b"cache-control", b"no-cache"), _OPEN]
_TILE = [_BYTES, (b"cache-control", b"public, max-age=31536000, immutable"), _OPEN]
_VKEY = [_TEXT, (b"cache-control", b"public, max-age=300"), _OPEN]
_ADDED = [_TEXT, (b"cache-control", b"no-store")]


def checkpoint_handler(logs: Logs, name: str = MAIN, *, witnesses: Witnesses | None = None) -> Handler:
    """The newest signed checkpoint, with the cosignatures it has so far."""

    async def checkpoint(_call: Call) -> Reply:
        published = await logs.published(name)
        note = published.note if witnesses is None else await witnesses.note(published)
        return Reply(200, note, _CHECKPOINT)

    return checkpoint


def vkey_handler(logs: Logs, name: str = MAIN) -> Handler:
    """The verifier key, as checking tools take it."""

    async def vkey(_call: Call) -> Reply:
        return Reply(200, f"{logs.get(name).vkey}\n".encode(), _VKEY)

    return vkey


def policy_handler(logs: Logs, witnesses: Witnesses) -> Handler:
    """Who watches the ledger, and how many of them are enough: a policy file that checking tools take."""

    async def policy(_call: Call) -> Reply:
        return Reply(200, witnesses.shown(logs.get().vkey), _VKEY)

    return policy


def tile_handler(logs: Logs, prefix: str, name: str = MAIN) -> Handler:
    """Tiles and entry bundles below `prefix`."""

    async def tile(call: Call) -> Reply:
        try:
            wanted = parse_path(call.path.removeprefix(prefix))
        except BadTilePath:
            raise NotFound("This is not a tile's path. See c2sp.org/tlog-tiles.") from None
        content = await logs.tile(wanted, name)
        if content is None:
            raise NotFound("The published tree does not have this tile.")
        return Reply(200, content, _TILE)

    return tile


def add_handler(database: Database, logs: Logs) -> Handler:
    """For load tests only: append the body as it is; answers the index once a checkpoint covers it."""

    def write(tx: Tx, entry: bytes) -> Leaf:
        return append(tx, entry, log=TEST_LOG)

    async def add(call: Call) -> Reply:
        entry = await call.body(LONGEST_ENTRY)
        leaf = await database.append(write, entry)
        index = await logs.integrated(leaf)
        if index is None:
            raise Unavailable("The entry is stored but not yet laid.", private="the sequencer is behind")
        return Reply(200, b"%d\n" % index, _ADDED)

    return add


def _operation(
    identifier: str, summary: str, description: str, media: str, example: Any, *, responses: Mapping[str, Any] = {}
) -> dict[str, Any]:
    schema = {"type": "string"} if media == "text/plain" else {"type": "string", "format": "binary"}
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {
        "operationId": identifier,
        "summary": summary,
        "description": description,
        "tags": ["ledger"],
        "responses": {"200": {"description": summary, "content": {media: content}}, **responses},
    }


_NOT_THERE = {
    "404": {
        "description": "Not a tile's path, or not in the published tree",
        "content": {
            "application/problem+json": {
                "schema": {"type": "object", "properties": {"type": {"type": "string"}, "title": {"type": "string"}}},
                "example": {"type": "/problems/kit/not-found", "title": "There is nothing here", "status": 404},
            }
        },
    }
}

CHECKPOINT_OPERATION = _operation(
    "ledger_checkpoint",
    "The ledger's signed checkpoint",
    "A signed note (c2sp.org/tlog-checkpoint): origin, tree size, root hash, our Ed25519 signature, and the "
    "cosignatures of witnesses once they have come (c2sp.org/tlog-cosignature). Ask anew each time.",
    "text/plain",
    "localhost:8080/ledger\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— localhost:8080/ledger …\n",
)
VKEY_OPERATION = _operation(
    "ledger_vkey",
    "The ledger's verifier key",
    "The text `<name>+<key id>+<base64 key>` that checking tools take. Keep your own copy: it vouches for the rest.",
    "text/plain",
    "localhost:8080/ledger+5b0b2d8c+AR1hZ…\n",
)
POLICY_OPERATION = _operation(
    "ledger_policy",
    "The ledger's witnesses and their quorum",
    "A policy file (c2sp.org/tlog-policy) with this ledger's key, the keys of its witnesses and how many of them are "
    "enough; `quorum none` where there are none. Keep your own copy: who chooses the witnesses could choose friends.",
    "text/plain",
    "log localhost:8080/ledger+5b0b2d8c+AR1hZ…\nwitness city-b b.example/witness+1f…+BC…\nquorum city-b\n",
)
TILE_OPERATION = {
    **_operation(
        "ledger_tile",
        "A tile of hashes, or a bundle of entries",
        "`tile/<L>/<N>[.p/<W>]` has W (or 256) hashes of 32 bytes; `tile/entries/<N>[.p/<W>]` has W (or 256) entries, "
        "each behind its length as two bytes. N is written in groups of three digits: 1234067 is x001/x234/067 "
        "(c2sp.org/tlog-tiles). Immutable.",
        "application/octet-stream",
        None,
        responses=_NOT_THERE,
    ),
    "parameters": [
        {
            "name": "path",
            "in": "path",
            "required": True,
            "description": "The tile's path below /ledger/tile/",
            "schema": {"type": "string"},
            "example": "entries/000.p/12",
        }
    ],
}
ADD_OPERATION = {
    **_operation(
        "ledger_add_for_tests",
        "Append a raw entry to the test log",
        "Only where load tests are allowed (`ledger_add_for_tests`). The test log is read below /ledger/test/.",
        "text/plain",
        "42\n",
    ),
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
}
