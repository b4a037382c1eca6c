"""The cases of tests.portal.test_every_write, by who acts: each performs one operation of the application, once.

To import any is to import all, so that none is forgotten.
"""

from tests.portal.writes import (
    console,
    counter,
    desk,
    federation,
    govstack,
    neighbours,
    oauth,
    operators,
    residents,
    services,
    signing_in,
    upstream,
)

__all__ = [
    "console", "counter", "desk", "federation", "govstack", "neighbours", "oauth", "operators", "residents", "services",
    "signing_in", "upstream",
]  # fmt: skip
