"""One Alembic history for the house: only the roof knows all tables.

`HEAD` spares a start the import of Alembic: it is compared with what the database says (a house test keeps it true).
"""

from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, inspect, text

HEAD = "0037"


def revision(url: str) -> str | None:
    """The revision a database is at; None when it is empty."""
    engine = create_engine(
        url.replace("postgresql:", "postgresql+psycopg:", 1) if url.startswith("postgresql:") else url
    )
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
            return found
    finally:
        engine.dispose()


def config(url: str) -> Any:
    """Alembic's configuration for a database."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return made


def upgrade(url: str) -> None:
    """Bring a database to HEAD."""
    from alembic import command

    command.upgrade(config(url), "head")
