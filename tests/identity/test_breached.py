"""Passwords that leaked elsewhere (NIST SP 800-63B-4, section 3.1.1.2), in both forms the downloader writes."""

import hashlib
from pathlib import Path

import pytest
from pydantic import ValidationError

from identity.breached import Breached
from identity.errors_account import WeakPassword
from identity.password_policy import require_good
from identity.settings import IdentitySettings
from kit.problems import Unavailable

pytestmark = pytest.mark.anyio

LEAKED = ["pat the seventh otter", "みなとの夕日は七時ごろ沈みます", "correct horse battery staple"]
OTHERS = [f"filler {number}" for number in range(3000)]


def name(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


def as_file(place: Path, end: str = "\r\n", *, mark: str = "") -> Path:
    lines = sorted(f"{name(each)}:{7 if each in LEAKED else 1}" for each in LEAKED + OTHERS)
    place.write_text(mark + end.join(lines) + end, encoding="utf-8", newline="")
    return place


def as_ranges(place: Path) -> Path:
    place.mkdir()
    for password in LEAKED:
        digest = name(password)
        (place / f"{digest[:5]}.txt").write_text(f"{'0' * 35}:3\r\n{digest[5:]}:12\r\n{'F' * 35}:0", newline="")
    return place


@pytest.mark.parametrize("end", ["\n", "\r\n"])
async def test_a_password_of_the_sorted_file_is_known_and_no_other(tmp_path: Path, end: str) -> None:
    breached = Breached(as_file(tmp_path / "pwnedpasswords.txt", end, mark="\ufeff" if end == "\n" else ""))
    for password in LEAKED + OTHERS[::50]:
        assert await breached.knows(password), password
    for number in range(300):
        assert not await breached.knows(f"not in the list {number}")


async def test_a_range_tells_every_suffix_under_five_digits_and_none_of_another(tmp_path: Path) -> None:
    """k-anonymity: whoever answers can't tell which of them was meant."""
    breached = Breached(as_file(tmp_path / "list.txt"))
    everything = sorted(name(each) for each in LEAKED + OTHERS)
    for each in (everything[0], everything[1], everything[1500], everything[-2], everything[-1]):
        assert breached.suffixes(each[:5]) == {other[5:] for other in everything if other[:5] == each[:5]}
    assert breached.suffixes("00000") == breached.suffixes("FFFFF") == frozenset()


async def test_a_password_of_the_directory_of_ranges_is_known_and_padding_is_not(tmp_path: Path) -> None:
    breached = Breached(as_ranges(tmp_path / "ranges"))
    assert all([await breached.knows(password) for password in LEAKED])
    assert "F" * 35 not in breached.suffixes(name(LEAKED[0])[:5])


async def test_a_good_password_that_leaked_is_refused_by_its_own_reason(tmp_path: Path) -> None:
    breached = Breached(as_ranges(tmp_path / "ranges"))
    with pytest.raises(WeakPassword) as refused:
        await require_good(LEAKED[0], breached=breached)
    assert refused.value.extra["reason"] == "breached"
    await require_good(LEAKED[0], breached=Breached(None))


async def test_a_list_that_cannot_be_read_waves_nobody_through(tmp_path: Path) -> None:
    """Invariant I10: a range that is missing, a file that is something else, a file that went away."""
    other = tmp_path / "other.txt"
    other.write_text("password\n123456\n")
    for place in (as_ranges(tmp_path / "ranges"), other, tmp_path / "gone"):
        with pytest.raises(Unavailable):
            await require_good("xK9vQ2mTz7wL", breached=Breached(place))


def test_a_list_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="no list of passwords"):
        IdentitySettings(password_list=tmp_path / "nothing")
