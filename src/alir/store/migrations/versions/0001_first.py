"""Messages, attempts, receipts, events, callbacks and API tokens.

The tables as they stood in the first version; `store/tables.py` says what they are for, and goes
on. A test compares what all versions together make with what stands there.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _message()
    _attempt()
    _receipt()
    _event()
    _callback()
    _parked_receipt()
    _api_token()
    _commit_group()


def _partial_index(
    name: str, table: str, columns: list[str], where: str, *, unique: bool = False
) -> None:
    condition = sa.text(where)
    op.create_index(
        name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition
    )


def _message() -> None:
    op.create_table(
        "message",
        sa.Column("seq", _Number, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("token_id", sa.String(), nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("to", sa.String(), nullable=False),
        sa.Column("flow", sa.Text(), nullable=False),
        sa.Column("flow_id", sa.String(), nullable=False),
        sa.Column("flow_token", sa.String(), nullable=False),
        sa.Column("on_unknown", sa.String(), nullable=False),
        sa.Column("priority", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("first_due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.Column("warnings", sa.Text(), nullable=False),
        sa.Column("wa_id", sa.String()),
        sa.Column("reply_to", sa.String()),
        sa.Column("reply_message_id", sa.String()),
        sa.Column("callback_data", sa.Text()),
        sa.Column("send_at", sa.BigInteger()),
        sa.Column("expires_at", sa.BigInteger()),
        sa.Column("error", sa.Text()),
        sa.Column("idempotency_key", sa.String()),
        sa.Column("request_hash", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("id"),
    )
    key = ["token_id", "idempotency_key"]
    _partial_index(
        "message_idempotency", "message", key, "idempotency_key IS NOT NULL", unique=True
    )
    _partial_index("message_queue", "message", ["sender", "due_at", "seq"], "status = 'queued'")
    waits_with_an_end = "status = 'queued' AND expires_at IS NOT NULL"
    _partial_index("message_expiry", "message", ["expires_at"], waits_with_an_end)
    _partial_index("message_unknown", "message", ["on_unknown", "seq"], "status = 'unknown'")
    op.create_index("message_to", "message", ["to", "seq"])
    op.create_index("message_flow_token", "message", ["flow_token", "seq"])


def _attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger()),
        sa.Column("outcome", sa.String()),
        sa.Column("provider_id", sa.String()),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("message_id", "number"),
        sqlite_with_rowid=False,
    )
    _partial_index("attempt_provider_id", "attempt", ["provider_id"], "provider_id IS NOT NULL")
    _partial_index("attempt_unsettled", "attempt", ["begun_at"], "outcome IS NULL")


def _receipt() -> None:
    op.create_table(
        "receipt",
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("message_id", "attempt", "status"),
        sqlite_with_rowid=False,
    )


def _event() -> None:
    op.create_table(
        "event",
        sa.Column("number", _Number, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )


def _callback() -> None:
    op.create_table(
        "callback",
        sa.Column("seq", _Number, autoincrement=True, nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("senders", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("applied_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("seq"),
    )
    _partial_index("callback_unapplied", "callback", ["seq"], "applied_at IS NULL")


def _parked_receipt() -> None:
    op.create_table(
        "parked_receipt",
        sa.Column("seq", _Number, autoincrement=True, nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("provider_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("parked_at", sa.BigInteger(), nullable=False),
        sa.Column("wa_id", sa.String()),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("seq"),
    )
    once = ["provider_id", "status", "sender"]
    op.create_index("parked_receipt_once", "parked_receipt", once, unique=True)
    op.create_index("parked_receipt_age", "parked_receipt", ["parked_at"])


def _api_token() -> None:
    op.create_table(
        "api_token",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("senders", sa.Text()),
        sa.Column("default_sender", sa.String()),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("hash"),
    )


def _commit_group() -> None:
    op.create_table(
        "commit_group",
        sa.Column("writer", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("writer"),
    )
