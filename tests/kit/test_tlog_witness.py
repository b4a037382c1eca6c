"""Cosignatures, policies and the witness's request, as texts: what their specifications print, and what they forbid.

c2sp.org/tlog-cosignature, tlog-policy, tlog-witness.
"""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from keys.notes import WitnessSigner, WitnessVerifier
from kit.tlog.addcheckpoint import AddCheckpoint, read, read_size, request
from kit.tlog.cosignature import cosign, cosignatures, read_lines, signed_message, signed_subtree, split
from kit.tlog.errors import BadLog, BadNote, BadSignature
from kit.tlog.note import (
    COSIGNATURE_ML_DSA,
    Checkpoint,
    Signature,
    key_id,
    make_vkey,
    parse_note,
    sign_note,
)
from kit.tlog.policy import BadPolicy, parse_policy
from tests.kit.tlog_support import TestKey
from tests.support.witness import Stand, check

LOG = TestKey("example.com/behind-the-sofa")
TEXT = Checkpoint(LOG.name, 20852163, b"\x0a" * 32).text()
NOTE = sign_note(TEXT, [LOG])

# tlog-cosignature, the example of the introduction and of "Ed25519 signed message"
PRINTED = (
    b"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    b"\xe2\x80\x94 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGz"
    b"Gku9nTo+zyWE+xeMcTOAYQ8=\n"
    b"\xe2\x80\x94 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZ"
    b"qhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)


def signer(name: str = "witness.example.com/w1", seed: bytes = b"\x03" * 32) -> WitnessSigner:
    return WitnessSigner(name, Ed25519PrivateKey.from_private_bytes(seed))


# -- cosignatures -----------------------------------------------------------------------------------------------------


def test_the_printed_cosignature_has_the_printed_time_and_message() -> None:
    note = parse_note(PRINTED)
    time, bare = split(note.signatures[1].value)
    assert (time, len(bare)) == (1679315147, 64)
    assert signed_message(note.text, time) == (
        b"cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
        b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )


def test_a_cosignature_made_here_verifies_by_the_specifications_own_words_and_the_reverse() -> None:
    ours, theirs = signer(), Stand("other.example/w", b"\x04" * 32)
    line = cosign(TEXT, ours, 1_800_000_000)
    assert check(ours.vkey, NOTE, line.encode()) == 1_800_000_000
    note = NOTE + line.encode() + theirs.cosign(NOTE, 1_800_000_005)
    found = cosignatures(note, [WitnessVerifier(ours.vkey), WitnessVerifier(theirs.vkey)])
    assert [(each.witness, each.time) for each in found] == [(ours.name, 1_800_000_000), (theirs.name, 1_800_000_005)]
    assert cosignatures(note, []) == ()  # unknown keys are passed over (signed-note)


def test_a_known_witnesss_wrong_cosignature_refuses_the_note() -> None:
    ours = signer()
    note = bytearray(NOTE + cosign(TEXT, ours, 1_800_000_000).encode())
    for at in (2, len(TEXT) - 3):  # another origin, another root
        changed = bytearray(note)
        changed[at] ^= 1
        with pytest.raises(BadLog):
            cosignatures(bytes(changed), [WitnessVerifier(ours.vkey)])
    other_time = cosign(TEXT, ours, 1_800_000_001)
    value = bytearray(read_lines(other_time.encode())[0].value)
    value[7] ^= 1  # the time alone
    forged = NOTE + Signature(ours.name, ours.key_id, bytes(value)).line().encode()
    with pytest.raises(BadSignature) as refused:
        cosignatures(forged, [WitnessVerifier(ours.vkey)])
    assert refused.value.check == "cosignature"


@pytest.mark.parametrize("time", [0, 2**63])
def test_a_cosignature_has_a_time(time: int) -> None:
    """tlog-witness: "the timestamp MUST NOT be zero"; tlog-cosignature: at most 2^63 - 1."""
    with pytest.raises(BadNote):
        split(time.to_bytes(8, "big") + b"x" * 64)
    with pytest.raises(ValueError):
        cosign(TEXT, signer(), time)


def test_a_witness_key_signs_nothing_but_cosignatures() -> None:
    with pytest.raises(BadNote):
        signer().sign(TEXT.encode())


def test_a_witness_may_sign_with_ml_dsa_44() -> None:
    """tlog-cosignature, "ML-DSA-44 signed message"."""
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

    private = MLDSA44PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    name = "pq.example/w"
    message = (
        b"subtree/v1\n\x00\x0cpq.example/w" + (1_800_000_000).to_bytes(8, "big") + b"\x1bexample.com/behind-the-sofa"
        + bytes(8) + (20852163).to_bytes(8, "big") + b"\x0a" * 32
    )  # fmt: skip
    assert signed_subtree(name, TEXT, 1_800_000_000) == message
    value = (1_800_000_000).to_bytes(8, "big") + private.sign(message)
    line = Signature(name, key_id(name, public, COSIGNATURE_ML_DSA), value).line()
    witness = WitnessVerifier(make_vkey(name, public, COSIGNATURE_ML_DSA))
    assert [each.time for each in cosignatures(NOTE + line.encode(), [witness])] == [1_800_000_000]
    with pytest.raises(BadSignature):
        cosignatures(NOTE.replace(b"20852163", b"20852164") + line.encode(), [witness])


# -- policies ---------------------------------------------------------------------------------------------------------

NAMES = ("X1", "X2", "X3", "Y1", "Y2", "Y3")
STANDS = {name: Stand(f"{name.lower()}.example/w", bytes([number]) * 32) for number, name in enumerate(NAMES, 1)}
EXAMPLE = (
    f"log {LOG.vkey}\n\n"
    + "".join(f"witness {name} {STANDS[name].vkey}\n" for name in NAMES[:3])
    + "group X-witnesses 2 X1 X2 X3\n\n"
    + "".join(f"witness {name} {STANDS[name].vkey} https://{name.lower()}.example/\n" for name in NAMES[3:])
    + "group Y-witnesses any Y1 Y2 Y3\n\n"
    + "group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
)


def keys(*names: str) -> set[bytes]:
    return {WitnessVerifier(STANDS[name].vkey).public for name in names}


@pytest.mark.parametrize(
    ("names", "met"),
    [
        (("X1", "X2", "Y3"), True),
        (("X1", "X2", "X3", "Y1"), True),
        (("X1", "X2"), False),
        (("X1", "Y1", "Y2", "Y3"), False),
        ((), False),
    ],
)
def test_the_specifications_example_policy(names: tuple[str, ...], met: bool) -> None:
    policy = parse_policy(EXAMPLE.encode())
    assert [each.key.name for each in policy.logs] == [LOG.name]
    assert [each.url for each in policy.witnesses][2:4] == [None, "https://y1.example/"]
    assert policy.met(keys(*names)) is met


def test_quorum_none_asks_for_nobody_and_one_witness_may_be_the_quorum() -> None:
    assert parse_policy(b"quorum none\n").met(())
    one = parse_policy(f"  witness\tK\xe9 {STANDS['X1'].vkey}\t\n# \xff\nquorum K\xe9 \n".encode("latin-1"))
    assert (one.met(keys("X1")), one.met(keys("X2"))) == (True, False)


X1 = STANDS["X1"].vkey


@pytest.mark.parametrize(
    "text",
    [
        "",
        "quorum none",  # the last line does not end
        "quorum none\nquorum none\n",
        "quorum X1\n",
        f"quorum X1\nwitness X1 {X1}\n",  # not on a preceding line
        f"witness none {X1}\nquorum none\n",
        f"witness X1 {X1}\nwitness X1 {STANDS['X2'].vkey}\nquorum none\n",
        f"witness X1 {X1}\nwitness X2 {X1}\nquorum none\n",  # one key under two names
        f"log {LOG.vkey}\nlog {LOG.vkey}\nquorum none\n",
        f"log {X1}\nquorum none\n",  # a witness's key type
        f"witness X1 {LOG.vkey}\nquorum none\n",
        f"witness X1 {X1}\ngroup g 0 X1\nquorum g\n",
        f"witness X1 {X1}\ngroup g 2 X1\nquorum g\n",
        f"witness X1 {X1}\ngroup g 01 X1\nquorum g\n",
        f"witness X1 {X1}\ngroup g all X1 X1\nquorum g\n",
        f"witness X1 {X1}\ngroup g all X1\ngroup h all X1\nquorum h\n",  # counted in one way only
        f"witness X1 {X1}\ngroup g all\nquorum g\n",
        f"witness X1 {X1}\ngroup X1 all X1\nquorum X1\n",
        f"witness X1 {X1}\ngroup g all none\nquorum g\n",
        "group g all g\nquorum g\n",
        f"witness X1 {X1} https://a b\nquorum none\n",
        "quorum none\r\n",
        "quorum\u00a0none\n",
        "threshold 3\nquorum none\n",
        f"witness X1 {X1[:-4]}AAAA\nquorum none\n",  # the key id is of another key
    ],
)
def test_refuses_policies_the_specification_forbids(text: str) -> None:
    with pytest.raises(BadPolicy):
        parse_policy(text.encode())


@given(st.binary(max_size=200))
def test_whatever_is_not_a_policy_is_refused_as_one(content: bytes) -> None:
    try:
        parse_policy(content)
    except BadPolicy:
        return
    assert b"quorum" in content


# -- the request ------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**62), st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_a_request_reads_back_to_itself(old: int, proof: list[bytes]) -> None:
    body = request(old, proof, NOTE)
    assert read(body) == AddCheckpoint(old, tuple(proof), NOTE)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        NOTE,
        b"old 1\n" + NOTE,
        b"old 01\n\n" + NOTE,
        b"old -1\n\n" + NOTE,
        b"old  1\n\n" + NOTE,
        b"old 1\r\n\n" + NOTE,
        b"old 1\nAAAA\n\n" + NOTE,
        b"old 1\nnot base64\n\n" + NOTE,
        b"old 1\n" + b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n" * 64 + b"\n" + NOTE,
        b"old 1\n\n\xff" + NOTE,
    ],
)
def test_refuses_requests_that_would_not_print_back(body: bytes) -> None:
    with pytest.raises(BadLog):
        read(body)


@pytest.mark.parametrize("body", [b"", b"12", b"012\n", b"-1\n", b"12\n\n", b"12 \n", b"9" * 40 + b"\n"])
def test_a_witness_tells_a_size_in_decimal_with_a_newline(body: bytes) -> None:
    with pytest.raises(BadLog):
        read_size(body)
    assert read_size(b"20852014\n") == 20852014
