"""Flow tokens are indexed a stretch of messages at a time, so that a new one's place is near by."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.drop_index("message_flow_token", "message")
    stretch = sa.text("(seq / 4096)")
    op.create_index("message_flow_token", "message", [stretch, "flow_token", "seq"])
