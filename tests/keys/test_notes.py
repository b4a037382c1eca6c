"""Ed25519 note keys against the vectors of Go's note package."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keys.notes import LogSigner, NoteVerifier
from kit.tlog.errors import BadNote
from kit.tlog.note import open_note, sign_note


@pytest.fixture
def vector(vectors: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return vectors["go_note"]


@pytest.fixture
def signer(vector: dict[str, Any]) -> LogSigner:
    seed = base64.b64decode(vector["seed_base64"])[1:]
    return LogSigner("PeterNeumann", Ed25519PrivateKey.from_private_bytes(seed))


def test_key_id_vkey_and_signature_are_gos_byte_for_byte(signer: LogSigner, vector: dict[str, Any]) -> None:
    assert signer.vkey == vector["vkey"]
    assert signer.key_id.hex() == "c74f20a3"
    raw = base64.b64decode(vector["signature_base64"])
    assert raw == signer.key_id + signer.sign(vector["text"].encode())


def test_a_note_signed_here_opens_with_the_vkey_alone(signer: LogSigner, vector: dict[str, Any]) -> None:
    note = sign_note(vector["text"], [signer])
    assert note.decode().endswith(f"\n— PeterNeumann {vector['signature_base64']}\n")
    assert open_note(note, [NoteVerifier(vector["vkey"])]).text == vector["text"]


def test_a_changed_text_is_refused(signer: LogSigner, vector: dict[str, Any]) -> None:
    verifier = NoteVerifier(vector["vkey"])
    signature = signer.sign(b"agreed\n")
    verifier.verify(signature, b"agreed\n")
    with pytest.raises(BadNote, match="does not verify"):
        verifier.verify(signature, b"refused\n")


def test_a_text_without_final_newline_is_not_signed(signer: LogSigner) -> None:
    with pytest.raises(BadNote, match="newline"):
        signer.sign(b"no newline")


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",  # id of another key
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",  # another spelling
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",  # an algorithm nobody knows
    ],
)
def test_a_malformed_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(BadNote):
        NoteVerifier(vkey)


def test_the_signer_shows_its_public_half_only(signer: LogSigner, vector: dict[str, Any]) -> None:
    seed = base64.b64decode(vector["seed_base64"])[1:]
    shown = repr(signer) + str(signer)
    assert vector["vkey"] in shown
    assert seed.hex() not in shown
    assert repr(seed) not in shown
