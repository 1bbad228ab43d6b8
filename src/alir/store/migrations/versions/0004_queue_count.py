"""How many messages are queued, kept by the writes that change it. Filled as the store is owned."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "queue_count",
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("session", sa.Integer(), nullable=False),
        sa.Column("queued", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sender", "session"),
        sqlite_with_rowid=False,
    )
