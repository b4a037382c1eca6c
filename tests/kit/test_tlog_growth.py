"""How a log grew, read from what is in its tables."""

from sqlalchemy import Connection

from kit.clock import DAY
from kit.db import Database
from kit.ids import first_id
from kit.tlog import growth
from kit.tlog.log import Logs, append
from tests.kit.tlog_support import TestKey

KEY = TestKey("city.example/log")
START = 1_790_000_000_000


async def test_the_size_at_a_moment_is_what_was_laid_before_it_and_never_falls(db: Database) -> None:
    logs = Logs(db)
    logs.add("main", KEY.name, KEY)
    logs.add("test", "city.example/test", TestKey("city.example/test"))
    await logs.start()

    def began(connection: Connection) -> int | None:
        return growth.began_at(connection, "main")

    assert await db.read_core(began) is None
    per_day = (3, 0, 5, 1)
    for day, count in enumerate(per_day):

        def lay(connection: Connection, day: int = day, count: int = count) -> None:
            for number in range(count):
                append(connection, b"x", first_id("lea", START + day * DAY + number))
                append(connection, b"other", first_id("lea", START + day * DAY + 500 + number), log="test")

        await db.write_core(lay)
        await logs.sequence()
    assert await db.read_core(began) == START

    def sizes(connection: Connection) -> list[int]:
        return growth.sizes_at(connection, "main", [START + day * DAY for day in range(5)])

    assert await db.read_core(sizes) == [0, 3, 3, 8, 9]
