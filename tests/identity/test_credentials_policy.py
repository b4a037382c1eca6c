"""Which passwords are good enough (NIST SP 800-63B-4, section 3.1.1.2)."""

import pytest

from identity.breached import Breached
from identity.errors_account import WeakPassword
from identity.password_policy import MAXIMUM, require_good

pytestmark = pytest.mark.anyio

NONE = Breached(None)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "みなとの夕日は七時ごろ沈みます",
        "xK9vQ2mTz7wL",
        "pat the seventh otter",
        "🐙🐙 lighthouse 7 umbrella",
    ],
)
async def test_long_and_unguessable_is_enough_whatever_the_characters(password: str) -> None:
    await require_good(password, breached=NONE)


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "blank"),
        ("   　　　       ", "blank"),
        ("short", "short"),
        ("elevenchars", "short"),
        ("x" * (MAXIMUM + 1), "long"),
        ("passwordpassword", "common"),
        ("aaaaaaaaaaaaaaaa", "common"),
        ("123456789012345", "common"),
        ("qwertyuiop12345", "common"),
        ("sekisho-sekisho", "common"),
        ("minatohama2026", "common"),
        ("anpanman123456", "common"),
    ],
)
async def test_refuses_what_is_guessed_first_and_says_why(password: str, reason: str) -> None:
    with pytest.raises(WeakPassword) as refused:
        await require_good(password, breached=NONE)
    assert refused.value.extra["reason"] == reason
    assert password not in refused.value.detail or not password.strip()


async def test_refuses_what_is_made_of_the_persons_own_names() -> None:
    with pytest.raises(WeakPassword):
        await require_good(
            "minatohana1951", breached=NONE, own=["hana.minato", "Minato Hana", "1951-04-02", "minatohana"]
        )


async def test_a_very_long_phrase_is_scored_without_error() -> None:
    """zxcvbn raises beyond 72 characters."""
    await require_good("seven otters pat the lighthouse while the umbrella hums " * 4, breached=NONE)
