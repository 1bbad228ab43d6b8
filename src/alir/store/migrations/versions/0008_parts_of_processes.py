"""What each process does about callbacks, so that others know when no evidence can come."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    for name in ("takes_callbacks", "applies_callbacks"):
        op.add_column("process", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
