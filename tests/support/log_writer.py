"""A process that appends to a log on PostgreSQL and lays it, until it is killed: it says what it was told, by line.

    python -m tests.support.log_writer DATABASE-URL NAME

`+ <entry>` when an append has returned, `= <size> <root>` for each checkpoint it was shown. Ends when its input closes.
"""

import asyncio
import sys

from kit.db import open_database
from kit.tlog.log import Logs
from tests.kit.test_tlog_log import KEY, ORIGIN, add


async def main(url: str, name: str) -> None:
    """Four appenders and a sequencer."""
    database = open_database(url)
    await database.start()
    logs = Logs(database)
    logs.add("main", ORIGIN, KEY)
    await logs.start()
    done = asyncio.Event()

    async def append(number: int) -> None:
        count = 0
        while not done.is_set():
            entry = f"{name} {number} {count}"
            await database.write_core(add, entry.encode())
            print(f"+ {entry}", flush=True)
            count += 1

    async def sequence() -> None:
        while not done.is_set():
            await logs.sequence()
            published = await logs.published()
            print(f"= {published.size} {published.root.hex()}", flush=True)

    async def wait() -> None:
        await asyncio.to_thread(sys.stdin.read)
        done.set()

    await asyncio.gather(sequence(), wait(), *(append(number) for number in range(4)))
    await database.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
