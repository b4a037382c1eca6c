"""c2sp.org/signed-note, tlog-checkpoint, tlog-proof: one form for each thing, nothing unsigned passes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.tlog.errors import BadLog, BadNote, BadProof
from kit.tlog.merkle import EMPTY_ROOT, leaf_hash, prove_inclusion, range_hash, tree_hash
from kit.tlog.note import (
    Checkpoint,
    make_vkey,
    open_checkpoint,
    open_note,
    parse_checkpoint,
    parse_note,
    parse_vkey,
    sign_note,
)
from kit.tlog.proof import TlogProof, format_proof, parse_proof, verify_proof
from tests.kit.tlog_support import TestKey, naive_root

KEY = TestKey("city.example/log")
WITNESS = TestKey("witness.example", b"\x09" * 32)

# The examples printed in the specifications (c2sp.org/signed-note and c2sp.org/tlog-checkpoint).
QUASIMODO = (
    "Ognuno sta solo sul cuor della terra\n"
    "trafitto da un raggio di sole:\n"
    "\n"
    "ed è subito sera.\n"
    "\n"
    "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+Ehf"
    "LW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
)
SOFA = (
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4"
    "URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)


def test_reads_the_notes_printed_in_the_specifications() -> None:
    poem = parse_note(QUASIMODO.encode())
    assert poem.text.endswith("\n\ned è subito sera.\n")
    assert poem.signatures[0].name == "quasimodo.example/salvatore"
    assert poem.signatures[0].key_id.hex() == "367ba04b"
    assert len(poem.signatures[0].value) == 64
    sofa = parse_checkpoint(parse_note(SOFA.encode()).text)
    assert sofa.origin == "example.com/behind-the-sofa"
    assert sofa.size == 20852163
    assert sofa.text() == parse_note(SOFA.encode()).text


def test_reads_the_verifier_key_of_the_go_documentation() -> None:
    """The PeterNeumann key of golang.org/x/mod/sumdb/note's example: another author's key id for its key."""
    text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    key = parse_vkey(text)
    assert key.name == "PeterNeumann"
    assert key.text() == text
    note = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
        "\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2p"
        "ZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    ).encode()
    public = TestKey("PeterNeumann")
    public.key_id, public.public = key.key_id, key.public_key
    assert open_note(note, [public]).signed_by == ("PeterNeumann",)


def test_a_key_text_reads_back_and_a_wrong_id_is_refused() -> None:
    assert parse_vkey(KEY.vkey).public_key == KEY.public
    name, number, rest = KEY.vkey.split("+", 2)
    with pytest.raises(BadNote, match="does not belong"):
        parse_vkey(f"{name}+00000000+{rest}")
    with pytest.raises(BadNote):
        parse_vkey(f"{name}+{number.upper()}+{rest}" if number.upper() != number else f"{name}+ +{rest}")
    with pytest.raises(BadNote):
        parse_vkey("no plus at all")
    with pytest.raises(BadNote, match="length"):
        parse_vkey(make_vkey("short", b"\x01" * 31))


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u3000b", "a\nb", "a\u00a0"])
def test_refuses_key_names_with_spaces_or_plus(name: str) -> None:
    with pytest.raises(BadNote):
        make_vkey(name, KEY.public)


def test_opens_only_what_a_known_key_signed() -> None:
    note = sign_note("hello\n", [KEY, WITNESS])
    assert open_note(note, [KEY]).signed_by == (KEY.name,)
    assert open_note(note, [KEY, WITNESS]).signed_by == (KEY.name, WITNESS.name)
    with pytest.raises(BadNote, match="no known key"):
        open_note(note, [TestKey("other.example")])
    with pytest.raises(BadNote, match="no known key"):
        open_note(note, [TestKey(KEY.name, b"\x01" * 32)])  # same name, other key: another key id


def test_a_wrong_signature_of_a_known_key_refuses_the_whole_note() -> None:
    note = sign_note("hello\n", [KEY]) + sign_note("other\n", [WITNESS]).partition(b"\n\n")[2]
    assert open_note(note, [KEY]).signed_by == (KEY.name,)
    with pytest.raises(BadNote, match=r"signature of witness\.example is wrong"):
        open_note(note, [KEY, WITNESS])


@settings(max_examples=300)
@given(st.data())
def test_a_note_with_any_byte_changed_does_not_open(data: st.DataObject) -> None:
    note = bytearray(sign_note(Checkpoint("city.example/log", 7, EMPTY_ROOT).text(), [KEY]))
    at = data.draw(st.integers(0, len(note) - 1))
    note[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BadLog):
        open_note(bytes(note), [KEY])


@settings(max_examples=300)
@given(st.text(alphabet="ab\n— +=1A\r\t\u3000", max_size=80))
def test_what_parses_prints_back_to_itself(text: str) -> None:
    for candidate in (text, "t\n\n" + text, text + sign_note("x\n", [KEY]).decode()):
        try:
            note = parse_note(candidate.encode())
        except BadNote:
            continue
        assert note.text + "\n" + "".join(each.line() for each in note.signatures) == candidate


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"\n\n",
        b"text\n\nno signature\n",
        "text\n\n— name AAAAAAA=".encode(),  # no newline at the end
        "text\n\n— name AAAA\n".encode(),  # too short for an id and a signature
        "text\n\n— name AAAAAAB=\n".encode(),  # spare bits set: prints back differently
        "text\n\n— name  AAAAAAA=\n".encode(),
        b"text\n\n- name AAAAAAA=\n",  # hyphen for em dash
        "te\x01xt\n\n— name AAAAAAA=\n".encode(),
        "text\r\n\n— name AAAAAAA=\n".encode(),
        "te\txt\n\n— name AAAAAAA=\n".encode(),
        b"\xff\n\n",
        "text\n\n— na+me AAAAAAA=\n".encode(),
    ],
)
def test_refuses_malformed_notes(note: bytes) -> None:
    with pytest.raises(BadNote):
        parse_note(note)


def test_accepts_sixteen_signatures_and_refuses_a_thousand() -> None:
    signers = [TestKey(f"witness{n}.example", bytes([n]) * 32) for n in range(16)]
    assert len(open_note(sign_note("x\n", signers), signers).signed_by) == 16
    with pytest.raises(BadNote, match="too many"):
        parse_note(sign_note("x\n", signers[:1] * 1000))


@pytest.mark.parametrize(
    "text",
    [
        "origin\n1\n",
        "origin\n01\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "origin\n+1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "origin\n\u0661\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "origin\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n",
        "origin\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuA==\n",
        "origin\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\nextension\n",
        "\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "origin\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    ],
)
def test_refuses_checkpoints_that_would_not_print_back(text: str) -> None:
    with pytest.raises(BadNote):
        parse_checkpoint(text)


def test_a_checkpoint_of_another_log_is_refused() -> None:
    note = sign_note(Checkpoint("other.example/log", 0, EMPTY_ROOT).text(), [KEY])
    with pytest.raises(BadNote, match=r"other\.example"):
        open_checkpoint(note, "city.example/log", [KEY])


def _proof(index: int, size: int) -> TlogProof:
    entries = [bytes([n]) for n in range(size)]
    checkpoint = Checkpoint("city.example/log", size, tree_hash([leaf_hash(each) for each in entries]))
    hashes = prove_inclusion(index, size, lambda h, i: naive_root(entries[i << h : (i + 1) << h]))
    assert range_hash(0, size, lambda h, i: naive_root(entries[i << h : (i + 1) << h])) == checkpoint.root
    return parse_proof(format_proof(index, hashes, sign_note(checkpoint.text(), [KEY])))


def test_a_proof_verifies_offline_and_reads_back_to_itself() -> None:
    proof = _proof(5, 13)
    assert parse_proof(proof.text()) == proof
    checkpoint = verify_proof(proof, b"\x05", expected_origin="city.example/log", verifiers=[KEY])
    assert checkpoint.size == 13
    with_extra = TlogProof(proof.index, proof.hashes, proof.checkpoint, b"out of band")
    assert parse_proof(with_extra.text()) == with_extra


def test_a_proof_of_a_single_leaf_has_no_hashes() -> None:
    verify_proof(_proof(0, 1), b"\x00", expected_origin="city.example/log", verifiers=[KEY])


@settings(max_examples=300)
@given(st.data())
def test_a_proof_with_any_byte_changed_is_refused(data: st.DataObject) -> None:
    text = bytearray(_proof(5, 13).text().encode())
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((BadLog, UnicodeDecodeError)):
        verify_proof(parse_proof(text.decode()), b"\x05", expected_origin="city.example/log", verifiers=[KEY])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v2\nindex 0\n\n",
        "c2sp.org/tlog-proof@v1\n\n",
        "c2sp.org/tlog-proof@v1\nindex 00\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\nextra AAAA\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n",
    ],
)
def test_refuses_malformed_proofs(text: str) -> None:
    with pytest.raises(BadProof):
        parse_proof(text)
