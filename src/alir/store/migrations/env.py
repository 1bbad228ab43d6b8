"""Alembic's environment: it is always handed an open connection."""

from alembic import context

from alir.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=False,
)
context.run_migrations()
