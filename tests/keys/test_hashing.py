"""Keyed digests with separate labels; passwords behind a bounded pool."""

import asyncio
import hmac
import pickle
import threading

import pytest
from argon2 import PasswordHasher, extract_parameters
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given
from hypothesis import strategies as st

from keys.hashing import Keyed, Passwords, TokenHasher, derive, same
from kit.problems import Unavailable

pytestmark = pytest.mark.anyio

SECRET = b"\x05" * 32
dear = pytest.mark.usefixtures("dear_passwords")  # the parameters of a city
labels = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,47}", fullmatch=True)


@given(a=labels, b=labels, value=st.text())
def test_labels_are_separate(a: str, b: str, value: str) -> None:
    hasher = TokenHasher(SECRET)
    assert (hasher.digest(a, value) == hasher.digest(b, value)) is (a == b)


def test_a_digest_depends_on_the_key_and_is_stable() -> None:
    one, other = TokenHasher(SECRET), TokenHasher(b"\x06" * 32)
    assert one.digest("session", "x") == TokenHasher(SECRET).digest("session", "x")
    assert one.digest("session", "x") != other.digest("session", "x")
    assert len(one.digest("session", "x")) == 32


def test_data_does_not_pass_for_a_label() -> None:
    with pytest.raises(ValueError, match="short constant"):
        TokenHasher(SECRET).digest("session 人", "x")


def test_a_hasher_without_its_key_refuses_to_work() -> None:
    with pytest.raises(RuntimeError, match="not loaded"):
        TokenHasher().digest("session", "x")


def test_same_compares_text_and_bytes() -> None:
    assert same("人", "人".encode())
    assert not same(b"a", b"b")
    assert not same("a", "aa")


def test_derived_keys_differ_by_purpose() -> None:
    assert derive(SECRET, "a") != derive(SECRET, "b")


@dear
async def test_a_password_verifies_and_another_does_not() -> None:
    passwords = Passwords(SECRET)
    encoded = await passwords.hash("海の見える丘")
    assert await passwords.verify(encoded, "海の見える丘")
    assert not await passwords.verify(encoded, "海の見えた丘")
    assert not passwords.needs_rehash(encoded)
    passwords.close()


@dear
async def test_two_spellings_of_the_same_password_are_one() -> None:
    """NIST SP 800-63B section 3.1.1.2: normalise, so that another keyboard does not lock people out."""
    passwords = Passwords(SECRET)
    encoded = await passwords.hash("ガーデン１２３ café")
    assert await passwords.verify(encoded, "ｶﾞｰﾃﾞﾝ123 café")
    passwords.close()


@dear
async def test_parameters_are_owasps_first_and_the_string_is_honest_argon2id() -> None:
    passwords = Passwords(SECRET)
    encoded = await passwords.hash("tide and lantern")
    mark, _, rest = encoded.partition("$")
    parameters = extract_parameters("$" + rest)
    assert mark == "p1"
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (19456, 2, 1)
    # An implementation of other people agrees on what was hashed.
    Argon2id.verify_phc_encoded(passwords._mix("tide and lantern"), "$" + rest)
    passwords.close()


@dear
async def test_a_stolen_table_is_useless_without_the_pepper() -> None:
    one, other = Passwords(SECRET), Passwords(b"\x06" * 32)
    encoded = await one.hash("tide and lantern")
    assert not await other.verify(encoded, "tide and lantern")
    with pytest.raises(Exception, match="match"):
        PasswordHasher().verify(encoded.removeprefix("p1"), "tide and lantern")
    one.close()
    other.close()


@dear
async def test_a_hash_of_an_older_system_is_read_and_marked_for_rehash() -> None:
    passwords = Passwords(SECRET)
    encoded = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("tide and lantern")
    assert await passwords.verify(encoded, "tide and lantern")
    assert passwords.needs_rehash(encoded)
    assert passwords.needs_rehash("rubbish")
    passwords.close()


@pytest.mark.parametrize("encoded", ["", "p1", "p1$argon2id$", "$2b$12$abc", "p1$argon2id$v=19$m=1,t=1,p=1$AA$AA"])
@dear
async def test_a_malformed_string_matches_nothing(encoded: str) -> None:
    passwords = Passwords(SECRET)
    assert not await passwords.verify(encoded, "")
    passwords.close()


@dear
async def test_an_unknown_account_costs_a_real_check() -> None:
    passwords = Passwords(SECRET, workers=1)
    encoded = await passwords.hash("tide and lantern")
    await passwords.verify(None, "warm up")
    seen: list[tuple[str, int]] = []
    real = passwords._hasher.verify

    class Counting:
        def verify(self, encoded: str, password: bytes) -> bool:
            parameters = extract_parameters(encoded)
            seen.append((encoded[:9], parameters.memory_cost * parameters.time_cost))
            return real(encoded, password)

    passwords._hasher = Counting()  # type: ignore[assignment]
    assert not await passwords.verify(None, "tide and lantern")
    assert await passwords.verify(encoded, "tide and lantern")
    assert not await passwords.verify(encoded, "x" * 5000)
    assert len(seen) == 3
    assert len(set(seen)) == 1
    passwords.close()


@dear
async def test_the_queue_refuses_rather_than_grows() -> None:
    passwords = Passwords(SECRET, workers=2, waiting=1)
    gate = threading.Event()
    blocked = [asyncio.ensure_future(passwords._run(gate.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as caught:
        await passwords.verify(None, "one too many")
    assert caught.value.headers["Retry-After"] == "3"
    blocked[0].cancel()  # a caller that hangs up does not free a busy thread
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await passwords.hash("still full")
    gate.set()
    await asyncio.gather(*blocked, return_exceptions=True)
    await asyncio.sleep(0.05)
    assert not await passwords.verify(None, "room again")
    passwords.close()


def test_more_than_two_workers_are_refused() -> None:
    with pytest.raises(ValueError, match="one or two"):
        Passwords(SECRET, workers=3)


def test_secrets_are_not_shown_or_pickled() -> None:
    assert repr(TokenHasher(SECRET)) == "TokenHasher()"
    assert repr(Passwords(SECRET)) == "Passwords()"
    with pytest.raises(TypeError):
        pickle.dumps(TokenHasher(SECRET))


@pytest.mark.parametrize(
    ("key", "message", "expected"),
    [
        (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        (
            b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
    ],
)  # fmt: skip
def test_the_keyed_digest_is_hmac_sha_256(key: bytes, message: bytes, expected: str) -> None:
    """RFC 4231 sections 4.2, 4.3, 4.4 and 4.7."""
    keyed = Keyed(key)
    assert keyed(message).hex() == expected
    assert keyed(message).hex() == expected  # its state is not used up


@given(st.binary(max_size=200), st.binary(max_size=400))
def test_the_keyed_digest_equals_the_library_s(key: bytes, message: bytes) -> None:
    assert Keyed(key)(message) == hmac.digest(key, message, "sha256")
