"""Messages by the user id of who they are to: what names that person stays as long as they do."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    where = sa.text("recipient IS NOT NULL")
    op.create_index(
        "message_recipient", "message", ["recipient"], sqlite_where=where, postgresql_where=where
    )
