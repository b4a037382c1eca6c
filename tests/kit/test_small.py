"""Clock, ids and encodings."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.clock import from_iso, iso, to_datetime
from kit.encoding import b64url, b64url_decode, canonical
from kit.ids import born_at, first_id, new_id, secret


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_a_moment_survives_being_written_and_read(moment: int) -> None:
    assert from_iso(iso(moment)) == moment
    assert to_datetime(moment).tzinfo is not None


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        from_iso("2026-11-22T09:00:00")


def test_ids_sort_by_birth_and_never_repeat() -> None:
    born = [new_id("con") for _ in range(5000)]
    assert born == sorted(born)
    assert len(set(born)) == 5000
    assert len(born[0]) == 4 + 26


def test_ids_of_many_threads_and_of_a_forked_child_never_repeat() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = [one for some in pool.map(lambda _: [new_id("con") for _ in range(500)], range(8)) for one in some]
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, " ".join(new_id("con") for _ in range(100)).encode())
        os._exit(0)
    here = [new_id("con") for _ in range(100)]
    os.waitpid(child, 0)
    there = os.read(reading, 65_536).decode().split()
    os.close(reading)
    os.close(writing)
    assert len(there) == 100
    assert len({*made, *here, *there}) == 4000 + 200


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_an_id_says_when_it_was_made_and_the_first_of_a_moment_comes_before_all_of_it(moment: int) -> None:
    assert born_at(first_id("lea", moment)) == moment
    assert first_id("lea", moment) < first_id("lea", moment + 1)
    made = new_id("lea")
    assert first_id("lea", born_at(made)) <= made < first_id("lea", born_at(made) + 1000)


@pytest.mark.parametrize("text", ["", "lea", "lea_short", "lea_ILOU000000"])
def test_what_is_no_id_has_no_birth(text: str) -> None:
    with pytest.raises(ValueError):
        born_at(text)


def test_a_secret_has_256_bits() -> None:
    prefix, _, rest = secret("sks").partition("_")
    assert prefix == "sks"
    assert len(b64url_decode(rest)) == 32


@given(st.binary(max_size=80))
def test_base64url_has_one_spelling(data: bytes) -> None:
    text = b64url(data)
    assert b64url_decode(text) == data
    assert "=" not in text


@pytest.mark.parametrize("text", ["YQ==", "Y Q", "YR", "Y+Q_", "a", "é", "YQ\n"])
def test_base64url_with_a_second_spelling_is_refused(text: str) -> None:
    """RFC 7515 section 2; "YR" has loose trailing bits, so it would be a second name for "YQ"."""
    with pytest.raises(ValueError, match="base64url"):
        b64url_decode(text)


def test_canonical_json_orders_names_and_spells_numbers_one_way() -> None:
    """RFC 8785 section 3.2.3: names sort by UTF-16 code units."""
    assert canonical({"\u20ac": 1, "a": 1.0, "1": [True, None]}) == '{"1":[true,null],"a":1,"\u20ac":1}'.encode()


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="canonical"):
        canonical({"x": float("nan")})


def test_an_address_that_is_itself_a_secret_is_not_logged() -> None:
    from kit.ids import secret
    from kit.logs import _redact

    said = _redact(None, "", {"path": f"/receipts/{secret('skr')}/file"})
    assert said["path"] == "/receipts/[not logged]/file"
