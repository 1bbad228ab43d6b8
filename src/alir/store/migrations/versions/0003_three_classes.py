"""The class of each message, and queues in the order of classes.

What was stored before is in the class that its request asks for. Who wrote a moment ago is not
looked up: that moment has passed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # With a default it is added without a copy of the table.
    op.add_column(
        "message",
        sa.Column("queue_class", sa.String(), nullable=False, server_default="single"),
    )
    message = sa.table(
        "message",
        *(sa.column(name) for name in ("queue_class", "priority", "reply_message_id")),
    )
    for queue_class, asks_for_it in (
        ("bulk", message.c.priority == "bulk"),
        ("reply", message.c.reply_message_id.is_not(None)),
    ):
        op.execute(sa.update(message).where(asks_for_it).values(queue_class=queue_class))
    for name, columns, condition in (
        ("message_queue", ["sender", "queue_class", "due_at", "seq"], "parked IS NULL"),
        (
            "message_parked",
            ["sender", "parked", "queue_class", "due_at", "seq"],
            "parked IS NOT NULL",
        ),
    ):
        op.drop_index(name, "message")
        where = sa.text(f"status = 'queued' AND {condition}")
        op.create_index(name, "message", columns, sqlite_where=where, postgresql_where=where)
