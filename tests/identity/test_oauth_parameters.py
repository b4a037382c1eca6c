"""Reading parameters strictly (RFC 6749 sections 3.1, 3.2 and 3.3)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.oauth import parameters
from identity.oauth.errors import ROWS, InvalidRequest, InvalidScope, OAuthError, printable

FORM = b"application/x-www-form-urlencoded"


def test_reads_names_and_values_with_plus_and_percent() -> None:
    assert parameters.read_query("a=1&b=x+y&c=%E6%B9%8A%2b") == {"a": "1", "b": "x y", "c": "湊+"}


def test_a_parameter_without_a_value_counts_as_omitted() -> None:
    """Section 3.1."""
    assert parameters.read_query("a=&b&c=1&&") == {"c": "1"}


def test_a_repeated_parameter_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="client_id"):
        parameters.read_query("client_id=a&scope=x&client_id=b")


def test_resource_alone_may_repeat() -> None:
    """RFC 8707 section 2."""
    assert parameters.read_query("resource=https://a&resource=https://b")["resource"] == "https://a https://b"


@pytest.mark.parametrize("query", ["a=%", "a=%2", "a=%zz", "a=%ff", "a=%00", "a=b%0d%0aSet-Cookie:x", "=1", "a=%7f"])
def test_what_does_not_decode_or_could_split_a_header_is_refused(query: str) -> None:
    with pytest.raises(InvalidRequest):
        parameters.read_query(query)


def test_a_flood_of_parameters_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        parameters.read_query("&".join(f"p{n}=1" for n in range(101)))


@pytest.mark.parametrize("kind", [b"", b"application/json", b"multipart/form-data; boundary=x", b"text/plain"])
def test_another_content_type_is_refused(kind: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parameters.read_form(kind, b"a=1")


def test_a_charset_on_the_content_type_is_harmless() -> None:
    assert parameters.read_form(FORM + b"; charset=UTF-8", b"a=1") == {"a": "1"}


@pytest.mark.parametrize("scope", ['a"b', "a\\b", "a  b", " a", "a ", "é"])
def test_a_malformed_scope_is_refused(scope: str) -> None:
    """Section 3.3."""
    with pytest.raises(InvalidScope):
        parameters.read_scopes(scope)


def test_scopes_keep_their_order_and_come_once() -> None:
    assert parameters.read_scopes("b a b") == ("b", "a")


@pytest.mark.parametrize("value", ["-1", "1.5", "1e3", "0x10", "٣", "1" * 10, " 1"])
def test_seconds_are_plain_digits(value: str) -> None:
    with pytest.raises(InvalidRequest):
        parameters.read_seconds({"max_age": value}, "max_age")


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_and_nothing_else(raw: bytes) -> None:
    found = {}
    with contextlib.suppress(InvalidRequest):
        found = parameters.read_form(FORM, raw)
    assert all(name and value for name, value in found.items())


@given(st.text(max_size=100))
def test_a_description_is_always_printable_ascii(text: str) -> None:
    """Section 5.2: %x20-21 / %x23-5B / %x5D-7E."""
    assert all(" " <= c <= "~" and c not in '"\\' for c in printable(text))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.code)
def test_every_error_row_says_where_it_is_defined_and_renders(row: type[OAuthError]) -> None:
    reply = row("it names the parameter").reply()
    assert reply.status == row.status
    assert row.spec
    assert (b"cache-control", b"no-store") in reply.headers
    assert f'"error":"{row.code}"'.encode() in reply.body


def test_every_error_class_has_its_row_once() -> None:
    assert set(ROWS) == set(OAuthError.__subclasses__())
    assert len({row.code for row in ROWS}) == len(ROWS)
