"""Alembic's environment: all tables of all packages."""

from alembic import context
from sqlalchemy import create_engine

import kit.db.tables  # noqa: F401 - first: it names constraints by convention
import portal.tables  # noqa: F401 - fills the metadata
from kit.db import for_postgresql, metadata

url = context.config.get_main_option("sqlalchemy.url") or ""
if url.startswith("postgresql:"):
    url = url.replace("postgresql:", "postgresql+psycopg:", 1)
    for_postgresql(metadata)

if context.is_offline_mode():
    context.configure(url=url, target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(url)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=metadata,
            render_as_batch=connection.dialect.name == "sqlite",
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()
