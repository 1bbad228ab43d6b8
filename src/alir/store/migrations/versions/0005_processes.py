"""Several processes on one database: who they are, whose each sender is, who applies a callback."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "process",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("senders", sa.Text(), nullable=False),
        sa.Column("alive_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sender_lease",
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.String()),
        sa.PrimaryKeyConstraint("sender"),
        sqlite_with_rowid=False,
    )
    op.add_column("callback", sa.Column("claimed_until", sa.BigInteger()))
