"""Templates, recipients by user id, pauses, and when a person last wrote.

What a template message lacks (a number, a Flow) may be null now.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("message") as message:
        for name, kind in (
            ("to", sa.String()),
            ("flow", sa.Text()),
            ("flow_id", sa.String()),
            ("flow_token", sa.String()),
        ):
            message.alter_column(name, existing_type=kind, nullable=True)
        for name, kind in (
            ("recipient", sa.String()),
            ("template", sa.Text()),
            ("fallback", sa.Text()),
            ("request_id", sa.String()),
            ("parked", sa.String()),
        ):
            message.add_column(sa.Column(name, kind))
    _queue()
    with op.batch_alter_table("event") as event:
        event.alter_column("message_id", existing_type=sa.String(), nullable=True)
    op.add_column("attempt", sa.Column("wamid", sa.String()))
    condition = sa.text("wamid IS NOT NULL")
    op.create_index(
        "attempt_wamid", "attempt", ["wamid"], sqlite_where=condition, postgresql_where=condition
    )
    op.create_index("attempt_begun", "attempt", ["begun_at"])
    condition = sa.text("outcome = 'unknown'")
    op.create_index(
        "attempt_unknown",
        "attempt",
        ["begun_at"],
        sqlite_where=condition,
        postgresql_where=condition,
    )
    op.add_column("parked_receipt", sa.Column("wamid", sa.String()))
    op.add_column("parked_receipt", sa.Column("mark", sa.Text()))
    op.create_index("parked_receipt_person", "parked_receipt", ["sender", "wa_id"])
    _pause()
    _contact()
    _alias()


def _queue() -> None:
    op.drop_index("message_queue", "message")
    for name, columns, condition in (
        ("message_queue", ["sender", "due_at", "seq"], "parked IS NULL"),
        ("message_parked", ["sender", "parked", "due_at", "seq"], "parked IS NOT NULL"),
    ):
        where = sa.text(f"status = 'queued' AND {condition}")
        op.create_index(name, "message", columns, sqlite_where=where, postgresql_where=where)


def _pause() -> None:
    op.create_table(
        "pause",
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("code", sa.String()),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger()),
        sa.Column("wait", sa.BigInteger(), nullable=False),
        sa.Column("tells_from", sa.BigInteger()),
        sa.Column("by_receipt", sa.Integer(), nullable=False),
        sa.Column("strikes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sender", "scope", "key"),
        sqlite_with_rowid=False,
    )


def _contact() -> None:
    op.create_table(
        "contact",
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("wa_id", sa.String(), nullable=False),
        sa.Column("heard_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sender", "wa_id"),
        sqlite_with_rowid=False,
    )


def _alias() -> None:
    op.create_table(
        "alias",
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("wa_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("sender", "number"),
        sqlite_with_rowid=False,
    )
