"""One history: from nothing to now on both databases, and what it makes is what the models say."""

from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import portal.tables  # noqa: F401 - fills the metadata
from kit.db import for_postgresql, metadata
from portal import migrations


def _ours(_thing: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
    return not (kind == "table" and (name or "").startswith("test_"))


def test_the_history_from_nothing_makes_what_the_models_say(database_url: str) -> None:
    migrations.upgrade(database_url)
    engine = sa.create_engine(database_url)
    if engine.dialect.name == "postgresql":
        for_postgresql(metadata)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": _ours})
        differences = compare_metadata(context, metadata)
    engine.dispose()
    assert not differences
    assert migrations.revision(database_url) == migrations.HEAD


def test_upgrading_again_changes_nothing(database_url: str) -> None:
    migrations.upgrade(database_url)
    migrations.upgrade(database_url)
    assert migrations.revision(database_url) == migrations.HEAD


def test_the_history_has_one_head_and_the_code_knows_it() -> None:
    script = ScriptDirectory.from_config(migrations.config("sqlite://"))
    assert script.get_heads() == [migrations.HEAD]


def test_an_empty_database_is_told_from_a_migrated_one(database_url: str) -> None:
    assert migrations.revision(database_url) is None


def test_every_table_is_prefixed_by_its_package() -> None:
    prefixes = ("kit_", "keys_", "identity_", "consent_", "infobank_", "cert_", "portal_", "test_")
    assert not [name for name in metadata.tables if not name.startswith(prefixes)]
