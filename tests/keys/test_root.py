"""The root key: three ways in, and words instead of a stack trace when it is missing or wrong."""

import os
import pickle
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from keys import root
from keys.errors import RootKeyMissing, RootKeyUnsafe, RootKeyWrong
from keys.root import RootKey, Stored
from keys.settings import KeysSettings

TEXT = root.new_text()


def known(settings: KeysSettings) -> Stored:
    """What a first start with these settings stores."""
    salt = root.new_salt()
    return Stored(salt=salt, check=root.unlock(settings, None, salt=salt).check_value)


def test_a_fresh_file_is_readable_by_its_owner_only_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    old = os.umask(0)  # the mode must not depend on somebody's umask
    try:
        root.create_file(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        root.create_file(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_others_may_touch_is_refused_with_the_cure(root_file: Path, mode: int) -> None:
    root_file.chmod(mode)
    with pytest.raises(RootKeyUnsafe, match=f"chmod 600 {root_file}"):
        root.unlock(KeysSettings(root_key_file=root_file), None)


def test_the_same_key_comes_in_by_file_and_by_environment(root_file: Path) -> None:
    by_file = KeysSettings(root_key_file=root_file)
    by_value = KeysSettings(root_key=SecretStr(root_file.read_text()))
    root.unlock(by_value, known(by_file))


def test_hexadecimal_is_read_too() -> None:
    first = KeysSettings(root_key=SecretStr("ab" * 32))
    root.unlock(KeysSettings(root_key=SecretStr("AB" * 32)), known(first))


def test_a_passphrase_opens_with_the_stored_salt() -> None:
    phrase = SecretStr("hato tabako kisha umi matsuri")
    first = KeysSettings(root_passphrase=phrase)
    stored = known(first)
    again = KeysSettings(root_passphrase=phrase)
    root.unlock(again, stored)
    with pytest.raises(RootKeyWrong, match="passphrase"):
        root.unlock(KeysSettings(root_passphrase=SecretStr("hato tabako kisha umi matsurj")), stored)


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(RootKeyUnsafe, match="six random words"):
        root.unlock(KeysSettings(root_passphrase=SecretStr("short")), None)


def test_no_root_key_at_all_says_what_to_do() -> None:
    with pytest.raises(RootKeyMissing, match="set SEKISHO_ROOT_KEY"):
        root.unlock(KeysSettings(), None)


def test_a_lost_file_is_told_apart_from_one_never_made(tmp_path: Path) -> None:
    settings = KeysSettings(root_key_file=tmp_path / "gone.key")
    with pytest.raises(RootKeyMissing, match="keys new-root"):
        root.unlock(settings, None)
    with pytest.raises(RootKeyMissing, match="from your backup"):
        root.unlock(settings, Stored(salt=b"s" * 16, check=b"c" * 16))


def test_another_root_key_is_told_at_once(root_file: Path) -> None:
    stored = known(KeysSettings(root_key_file=root_file))
    with pytest.raises(RootKeyWrong, match="give the original root key"):
        root.unlock(KeysSettings(root_key=SecretStr(TEXT)), stored)


@pytest.mark.parametrize(
    "text",
    ["", "sekisho-root-1_", TEXT[:-1], TEXT + "A", "zz" * 32, TEXT.replace("_", " ")],
    ids=["empty", "prefix alone", "too short", "too long", "not base64", "spaces"],
)
def test_a_malformed_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(RootKeyUnsafe, match="malformed") as caught:
        root.unlock(KeysSettings(root_key=SecretStr(text)), None)
    assert text[15:] == "" or text[15:] not in str(caught.value)


def test_a_directory_is_not_a_key(tmp_path: Path) -> None:
    with pytest.raises((RootKeyUnsafe, RootKeyMissing)):
        root.unlock(KeysSettings(root_key_file=tmp_path), None)


def test_each_refusal_is_one_sentence(root_file: Path) -> None:
    for settings in (KeysSettings(), KeysSettings(root_key_file=root_file.parent / "gone")):
        with pytest.raises(RootKeyMissing) as caught:
            root.unlock(settings, None)
        text = str(caught.value)
        assert text.endswith(".")
        assert "\n" not in text
        assert "Traceback" not in text


def test_a_wrapped_key_opens_under_its_own_name_only() -> None:
    key = RootKey(b"\x01" * 32)
    wrapped = key.wrap("keys_kek|one", b"secret")
    assert key.unwrap("keys_kek|one", wrapped) == b"secret"
    with pytest.raises(RootKeyWrong):
        key.unwrap("keys_kek|two", wrapped)
    with pytest.raises(RootKeyWrong):
        key.unwrap("keys_kek|one", b"")


def test_a_root_key_is_neither_shown_nor_pickled() -> None:
    key = RootKey(b"\x01" * 32)
    assert repr(key) == "RootKey()"
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_settings_do_not_show_the_key() -> None:
    shown = repr(KeysSettings(root_key=SecretStr(TEXT), root_passphrase=SecretStr("hato tabako kisha umi")))
    assert TEXT[15:] not in shown
    assert "tabako" not in shown
