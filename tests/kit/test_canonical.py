"""Canonical JSON: the fast way writes what the exact way writes, and refuses what it refuses (RFC 8785)."""

from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from kit.encoding import canonical

scalars = (
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=True) | st.text()
    | st.sampled_from(["\u2028", "\x7f", "\x00\x1f", "\ud800", "€\U0001f600", '"\\/'])
)  # fmt: skip
names = st.text(max_size=5) | st.sampled_from(["\ue000", "\U0001f600", "a", "Z", "_", "10", "1"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)


@given(values)
def test_the_fast_way_and_the_exact_way_agree(value: Any) -> None:
    try:
        expected: bytes | None = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, TypeError, UnicodeEncodeError):
        expected = None
    if expected is None:
        with pytest.raises(ValueError):
            canonical(value)
    else:
        assert canonical(value) == expected


def test_a_very_deep_value_does_not_break_the_process() -> None:
    value: Any = []
    for _ in range(300):
        value = [value]
    assert canonical(value) == rfc8785.dumps(value)
