"""A key store that is open on a database of either kind, and the vectors."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from keys import models, root
from keys.ceremonies import KeyStore
from keys.settings import KeysSettings
from kit.audit import AuditTrail
from kit.clock import FrozenClock
from kit.db import Database

assert models  # the tables must be declared before `db` makes them

Opener = Callable[..., Awaitable[KeyStore]]


@pytest.fixture(scope="session")
def vectors() -> dict[str, dict[str, Any]]:
    """Published test vectors; each names its source."""
    loaded: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "vectors.json").read_text())
    return loaded


@pytest.fixture
def root_file(tmp_path: Path) -> Path:
    """A fresh root key in a file."""
    path = tmp_path / "root.key"
    root.create_file(path)
    return path


@pytest.fixture
def settings(root_file: Path) -> KeysSettings:
    """The defaults, with that file."""
    return KeysSettings(root_key_file=root_file)


@pytest.fixture
def open_keys(db: Database, clock: FrozenClock, settings: KeysSettings) -> Opener:
    """Open a key store as a process does at its start; more than one may be open on the same database."""
    AuditTrail(db, clock)

    async def opener(**changed: Any) -> KeyStore:
        store = KeyStore(db, clock, settings.model_copy(update=changed))
        await store.open()
        return store

    return opener


@pytest.fixture
async def keys(open_keys: Opener) -> KeyStore:
    """An open key store."""
    return await open_keys()
