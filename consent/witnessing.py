"""Our half of witnessing as a log: asking witnesses to cosign, and showing what they signed.

c2sp.org/tlog-witness "add-checkpoint" (the client's half), tlog-policy (who, and how many are enough). A checkpoint is
published with our signature at once; the cosignatures come under the same text when they come. Nothing ever waits for
them: not an append, not a withdrawal.

Outgoing requests go to the addresses of the policy file and nowhere else, through the guarded way out (`kit.fetch`): no
redirect is followed, an answer is bounded in time and in size.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import Connection

from consent.trust import Quorum
from keys.notes import WitnessVerifier
from kit import audit
from kit.db import Database, tx_of
from kit.fetch import Fetcher, FetchRefused
from kit.host import SYSTEM
from kit.logs import log
from kit.tlog import addcheckpoint, cosigned, reading
from kit.tlog.cosignature import Cosignature, cosignatures, read_lines, verified, with_cosignatures
from kit.tlog.errors import BadLog
from kit.tlog.log import MAIN, Logs
from kit.tlog.note import parse_note
from kit.tlog.policy import NONE, BadPolicy, Policy, PolicyWitness
from kit.tlog.reading import Published

TRIES: Final = 3  # old size unknown, then told, then moved once by a second asker


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one witness followed the ledger. `trouble` says why it did not at the last try; `disputes` whether
    that is because our history is not one history to it."""

    name: str
    size: int | None
    time: int | None
    trouble: str | None
    disputes: bool = False


class _Trouble(Exception):
    """A witness did not cosign. `grave` where it says that our history is not one history."""

    def __init__(self, words: str, *, grave: bool = False) -> None:
        super().__init__(words)
        self.grave = grave


class Witnesses:
    """The witnesses of our ledger: gathers, keeps and shows their cosignatures."""

    def __init__(
        self, database: Database, logs: Logs, policy: Policy | None, *, fetcher: Fetcher, timeout: float
    ) -> None:
        self.policy = policy
        self._db = database
        self._logs = logs
        self._timeout = timeout
        self._verifiers = {each.vkey: WitnessVerifier(each.vkey) for each in policy.witnesses} if policy else {}
        self._troubles: dict[str, str] = {}
        self._disputing: set[str] = set()
        self._shown: tuple[int, int, bytes] | None = None  # counter, size, note
        hosts: list[str] = []
        for each in policy.witnesses if policy else ():
            if each.url is not None:
                parts = urlsplit(each.url)
                if parts.scheme not in ("http", "https") or not parts.hostname:
                    raise BadPolicy(f"the witness {each.name} has an address that is neither http nor https")
                hosts.append(parts.hostname)
        self._fetcher = fetcher.reaching(hosts, seconds=timeout)

    # -- showing ------------------------------------------------------------------------------------------------------

    async def note(self, published: Published) -> bytes:
        """The checkpoint with the cosignatures it has so far."""
        if not self._verifiers:
            return published.note
        count = await self._db.counter(cosigned.TOPIC)
        if self._shown is None or self._shown[:2] != (count, published.size):
            lines = await self._db.read_core(cosigned.lines_of, MAIN, published.size)
            self._shown = (count, published.size, with_cosignatures(published.note, self._known(lines).values()))
        return self._shown[2]

    def enough(self, vkeys: Collection[str]) -> bool:
        """Whether these witnesses are the policy's quorum."""
        keys = {self._verifiers[vkey].public for vkey in vkeys if vkey in self._verifiers}
        return self.policy is not None and self.policy.met(keys)

    def shown(self, vkey: str) -> bytes:
        """The policy as anyone may read it (c2sp.org/tlog-policy): who watches this log, and how many are enough."""
        return (self.policy or Policy((), (), {}, NONE)).shown(vkey)

    def vouch(self, connection: Connection, index: int, newest: Published) -> Published:
        """The checkpoint that a receipt of this entry should carry."""
        return cosigned.vouched(connection, MAIN, index, newest, self.enough) if self._verifiers else newest

    def quorum(self, note: bytes) -> Quorum:
        """What a note of ours says about its witnesses."""
        if self.policy is None:
            return Quorum(None, (), 0)
        found = cosignatures(note, tuple(self._verifiers.values()))
        by_key = {(each.name, each.key_id): vkey for vkey, each in self._verifiers.items()}
        return Quorum(self.enough([by_key[each.witness, each.key_id] for each in found]), found, len(self._verifiers))

    async def standing(self) -> tuple[Standing, ...]:
        """Each witness of the policy, in its order."""
        if self.policy is None:
            return ()
        rows = await self._db.read_core(cosigned.standing, MAIN)
        found = []
        for each in self.policy.witnesses:
            size, when = rows.get(each.vkey, (None, None))
            trouble = self._troubles.get(each.vkey)
            found.append(Standing(each.key.name, size, when, trouble, each.vkey in self._disputing))
        return tuple(found)

    def _known(self, lines: dict[str, str]) -> dict[str, str]:
        return {vkey: line for vkey, line in lines.items() if vkey in self._verifiers}

    # -- gathering ----------------------------------------------------------------------------------------------------

    async def gather(self) -> int:
        """Ask every witness that has not cosigned the newest checkpoint; how many did. A job, and idempotent."""
        if self.policy is None:
            return 0
        published = await self._logs.published()
        asked = [each for each in self.policy.witnesses if each.url is not None]
        return sum(await asyncio.gather(*(self._ask(each, published) for each in asked)))

    async def _ask(self, witness: PolicyWitness, published: Published) -> bool:
        known = await self._db.read_core(cosigned.newest_size, MAIN, witness.vkey)
        if known == published.size:
            return False
        try:
            async with asyncio.timeout(self._timeout * TRIES):
                found = await self._cosigned(witness, published, known or 0)
        except (_Trouble, BadLog, OSError, TimeoutError) as error:
            await self._troubled(witness, error)
            return False
        self._troubles.pop(witness.vkey, None)
        self._disputing.discard(witness.vkey)
        return await self._db.write_core(_store, published.size, witness.vkey, found)

    async def _cosigned(self, witness: PolicyWitness, published: Published, old: int) -> Cosignature:
        verifier = self._verifiers[witness.vkey]
        for _ in range(TRIES):
            if old > published.size:
                newest = (await self._logs.published()).size
                raise _Trouble(f"it has cosigned {old} entries of ours, we have {newest}", grave=old > newest)
            proof = await self._db.read_core(reading.consistency_proof, MAIN, old, published.size)
            status, kind, body = await self._post(witness, addcheckpoint.request(old, proof, published.note))
            if status == 409 and kind == addcheckpoint.SIZE_TYPE:
                old = addcheckpoint.read_size(body)
                continue
            if status != 200:
                raise _Trouble(f"it answers with status {status}", grave=status == 422)
            text = parse_note(published.note).text
            for found in verified(text, read_lines(body), [verifier]):
                return found
            raise _Trouble("its answer has no cosignature of the key we know")
        raise _Trouble("it does not settle on one old size")

    async def _post(self, witness: PolicyWitness, body: bytes) -> tuple[int, str, bytes]:
        address = f"{(witness.url or '').rstrip('/')}/add-checkpoint"
        try:
            told = await self._fetcher.post(address, body, content_type="text/plain; charset=utf-8")
        except FetchRefused as refused:
            raise _Trouble(f"it does not answer ({refused.reason})") from None
        return told.status, told.content_type, told.body

    async def _troubled(self, witness: PolicyWitness, error: Exception) -> None:
        """Say it once, and write it down where the desk looks if it means that our history is in dispute."""
        words = str(error) or type(error).__name__
        grave = isinstance(error, _Trouble) and error.grave
        (self._disputing.add if grave else self._disputing.discard)(witness.vkey)
        if self._troubles.get(witness.vkey) == words:
            return
        self._troubles[witness.vkey] = words
        log.warning("witness", witness=witness.key.name, trouble=words)
        if grave:
            await self._db.write_core(_disputed, witness.key.name)


def _store(connection: Connection, size: int, witness: str, found: Cosignature) -> bool:
    stored = cosigned.store(connection, MAIN, size, witness, found)
    tx_of(connection).touch(cosigned.TOPIC)
    return stored


def _disputed(connection: Connection, witness: str) -> None:
    audit.record(
        connection, "consent.ledger.disputed", actor=SYSTEM, object=("witness", witness[:120]), outcome="refused"
    )
