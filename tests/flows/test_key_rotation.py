"""Keys rotate every second or so while tokens are issued; somebody else's verifier never meets a key it does not know.

The verifier is PyJWT with a key set fetched as the cache header allows and not once more: an unknown `kid` is a
failure, not a reason to look again. Every token is verified when it comes and again just before it expires.
"""

import re
import shutil
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest

from tests.support.server import CITY_ENVIRON, Served
from tests.support.service import credentials

LIFE = 10  # seconds of an access token: the shortest there is
ENVIRON = CITY_ENVIRON | {
    "SEKISHO_KEYS__SIGNING_KEY_LIFETIME": "PT1S",
    "SEKISHO_KEYS__JWKS_MAX_AGE": "PT1S",
    "SEKISHO_KEYS__CLOCK_SKEW": "PT0.1S",
    "SEKISHO_KEYS__TOKEN_LIFETIME": "PT0S",  # nothing but what the lifetimes say
    "SEKISHO_IDENTITY__ACCESS_TOKEN_SECONDS": str(LIFE),
    "SEKISHO_IDENTITY__ID_TOKEN_SECONDS": str(LIFE),
}


@dataclass
class Verifier:
    """Somebody else's resource server."""

    http: httpx2.Client
    fresh_until: float = 0.0
    known: dict[str, jwt.PyJWK] = field(default_factory=dict)

    def verify(self, token: str) -> str:
        """The kid it verified under; raises what PyJWT raises, or KeyError for an unknown key."""
        if time.monotonic() >= self.fresh_until:
            asked = time.monotonic()
            answer = self.http.get("/oauth/jwks").raise_for_status()
            found = re.search(r"max-age=(\d+)", answer.headers["cache-control"])
            assert found is not None
            self.fresh_until = asked + int(found[1])
            self.known = {key["kid"]: jwt.PyJWK(key) for key in answer.json()["keys"]}
        kid: str = jwt.get_unverified_header(token)["kid"]
        key = self.known[kid]
        jwt.decode(token, key, algorithms=[key.algorithm_name], options={"verify_aud": False})
        return kid


@dataclass
class Tally:
    """What one caller saw."""

    verified: int = 0
    kids: set[str] = field(default_factory=set)


def call(url: str, client: dict[str, Any], seconds: float) -> Tally:
    """Take tokens and verify each twice; raises at the first that fails."""
    tally = Tally()
    waiting: deque[tuple[float, str]] = deque()
    with httpx2.Client(base_url=url, timeout=20) as http:
        verifier = Verifier(http)

        def verify(token: str) -> None:
            tally.kids.add(verifier.verify(token))
            tally.verified += 1

        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            began = time.monotonic()
            answer = http.post(
                "/oauth/token",
                data={"grant_type": "client_credentials"},
                auth=(client["client_id"], client["client_secret"]),
            ).raise_for_status()
            token: str = answer.json()["access_token"]
            verify(token)
            waiting.append((began + LIFE - 2, token))  # whole seconds: it may have one less than it says
            while waiting and waiting[0][0] <= time.monotonic():
                verify(waiting.popleft()[1])
    return tally


@pytest.fixture(scope="module")
def hasty(city: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The city with keys that live a second."""
    data = tmp_path_factory.mktemp("hasty") / "data"
    shutil.copytree(city, data)
    served = Served(data, environ=ENVIRON).start()
    yield served
    served.stop()


@pytest.mark.parametrize("seconds", [14, pytest.param(60, marks=pytest.mark.long)])
def test_no_verification_fails_while_keys_rotate_under_load(hasty: Served, seconds: int) -> None:
    known = credentials(hasty.data)["clients"]
    with ThreadPoolExecutor(3) as pool:
        calls = [
            pool.submit(call, hasty.url, known[name], seconds)
            for name in ("minatohama-transit", "welfare-office", "minatohama-transit")
        ]
        tallies = [each.result() for each in calls]
    assert len(set().union(*(tally.kids for tally in tallies))) >= seconds / 3  # rotations did happen
    assert min(tally.verified for tally in tallies) > seconds
