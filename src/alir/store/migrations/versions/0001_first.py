"""Messages, attempts, receipts, events, callbacks and API tokens."""

from alembic import op

from alir.store.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())
