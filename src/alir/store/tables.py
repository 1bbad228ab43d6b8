"""The tables, once, for every database.

Moments are whole milliseconds since 1970 (UTC); JSON is text. Columns that are null in almost
every row come last. Why each index is there stands beside it; every query of the hot path has a
test that it uses its index.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    literal_column,
    text,
)

metadata = MetaData()

#: SQLite's rowid needs exactly INTEGER; PostgreSQL wants 64 bits.
_Number = BigInteger().with_variant(Integer(), "sqlite")

#: Messages in a stretch, counted by their places. Flow tokens come in no order: were they indexed
#: all together, each new message would change a page of the index that is far from all others.
#: So each stretch has its own part of the index, which is small (some 30 pages of SQLite's) and
#: stays in memory while it is added to. Who looks for a flow token looks in each stretch: 245
#: look-ups in a million messages, some ten milliseconds in all.
STRETCH_PLACES: Final = 4_096
_STRETCH = f"seq / {STRETCH_PLACES}"
#: The stretch of a message, as the index has it: a bound number would not be found to be the same.
stretch = literal_column(_STRETCH, _Number)

message = Table(
    "message",
    metadata,
    # The place in the queue and in lists: the order of accepting.
    Column("seq", _Number, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("token_id", String, nullable=False),
    Column("sender", String, nullable=False),
    Column("status", String, nullable=False),
    Column("type", String, nullable=False),
    Column("to", String),
    Column("flow", Text),
    Column("flow_id", String),
    Column("flow_token", String),
    Column("on_unknown", String, nullable=False),
    Column("priority", String, nullable=False),
    Column("queue_class", String, nullable=False, server_default="single"),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("first_due_at", BigInteger, nullable=False),
    # How many attempts there are: a fresh message is begun without looking for any.
    Column("attempts", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    # Counts the changes of the row. A write names the version that it was decided upon.
    Column("version", Integer, nullable=False),
    Column("flags", Text, nullable=False),
    Column("warnings", Text, nullable=False),
    Column("wa_id", String),
    Column("reply_to", String),
    Column("reply_message_id", String),
    Column("callback_data", Text),
    Column("send_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("error", Text),
    # The caller's key and the SHA-256 of the canonical request, kept as long as the message.
    Column("idempotency_key", String),
    Column("request_hash", LargeBinary),
    # A business-scoped user id, in place of `to`.
    Column("recipient", String),
    Column("template", Text),
    Column("fallback", Text),
    # What the provider gives callers as the id of their request, where it does.
    Column("request_id", String),
    # Where it waits for its turn, while its recipient or its Flow must wait.
    Column("parked", String),
    Index(
        "message_idempotency",
        "token_id",
        "idempotency_key",
        unique=True,
        sqlite_where=text("idempotency_key IS NOT NULL"),
        postgresql_where=text("idempotency_key IS NOT NULL"),
    ),
    # The queue: what is due, longest first, of each class for itself.
    Index(
        "message_queue",
        "sender",
        "queue_class",
        "due_at",
        "seq",
        sqlite_where=text("status = 'queued' AND parked IS NULL"),
        postgresql_where=text("status = 'queued' AND parked IS NULL"),
    ),
    # What waits for a recipient or a Flow, longest first, of each class for itself.
    Index(
        "message_parked",
        "sender",
        "parked",
        "queue_class",
        "due_at",
        "seq",
        sqlite_where=text("status = 'queued' AND parked IS NOT NULL"),
        postgresql_where=text("status = 'queued' AND parked IS NOT NULL"),
    ),
    # What may expire while it waits.
    Index(
        "message_expiry",
        "expires_at",
        sqlite_where=text("status = 'queued' AND expires_at IS NOT NULL"),
        postgresql_where=text("status = 'queued' AND expires_at IS NOT NULL"),
    ),
    # What is unknown, and of that what alir may send once more by itself.
    Index(
        "message_unknown",
        "on_unknown",
        "seq",
        sqlite_where=text("status = 'unknown'"),
        postgresql_where=text("status = 'unknown'"),
    ),
    # Lists by person and, a stretch at a time, by flow token.
    Index("message_to", "to", "seq"),
    Index("message_flow_token", text(f"({_STRETCH})"), "flow_token", "seq"),
    # Who is written to by a user id, and so must stay known by it.
    Index(
        "message_recipient",
        "recipient",
        sqlite_where=text("recipient IS NOT NULL"),
        postgresql_where=text("recipient IS NOT NULL"),
    ),
)

queue_count = Table(
    "queue_count",
    metadata,
    # How many messages of a sender are queued: the sum of its rows, kept by the writes that change
    # it. Each session of PostgreSQL has rows of its own, so that none waits for another.
    Column("sender", String, primary_key=True),
    Column("session", Integer, primary_key=True),
    Column("queued", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

attempt = Table(
    "attempt",
    metadata,
    Column("message_id", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("begun_at", BigInteger, nullable=False),
    Column("settled_at", BigInteger),
    Column("outcome", String),
    Column("provider_id", String),
    Column("error", Text),
    # WhatsApp's id, where the provider has another one of its own.
    Column("wamid", String),
    # A receipt without a mark finds its attempt by the provider's id, or by WhatsApp's.
    Index(
        "attempt_provider_id",
        "provider_id",
        sqlite_where=text("provider_id IS NOT NULL"),
        postgresql_where=text("provider_id IS NOT NULL"),
    ),
    Index(
        "attempt_wamid",
        "wamid",
        sqlite_where=text("wamid IS NOT NULL"),
        postgresql_where=text("wamid IS NOT NULL"),
    ),
    # What was begun a moment ago, for the pace of each recipient after a start.
    Index("attempt_begun", "begun_at"),
    # What may be settled by a guess, together with the next.
    Index(
        "attempt_unknown",
        "begun_at",
        sqlite_where=text("outcome = 'unknown'"),
        postgresql_where=text("outcome = 'unknown'"),
    ),
    # What a crash left begun.
    Index(
        "attempt_unsettled",
        "begun_at",
        sqlite_where=text("outcome IS NULL"),
        postgresql_where=text("outcome IS NULL"),
    ),
    sqlite_with_rowid=False,
)

receipt = Table(
    "receipt",
    metadata,
    Column("message_id", String, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("status", String, primary_key=True),
    Column("at", BigInteger, nullable=False),
    # The order in which they became known.
    Column("position", Integer, nullable=False),
    Column("error", Text),
    sqlite_with_rowid=False,
)

event = Table(
    "event",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False),
    Column("type", String, nullable=False),
    # None where it is about a sender.
    Column("message_id", String),
    Column("at", BigInteger, nullable=False),
    Column("data", Text, nullable=False),
)

callback = Table(
    "callback",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=True),
    Column("provider", String, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    # The senders whose own secret signed it, as a JSON list.
    Column("senders", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("applied_at", BigInteger),
    # Until then the process that claimed it applies it; then another one may. Null: nobody did.
    Column("claimed_until", BigInteger),
    # What is not applied yet.
    Index(
        "callback_unapplied",
        "seq",
        sqlite_where=text("applied_at IS NULL"),
        postgresql_where=text("applied_at IS NULL"),
    ),
)

parked_receipt = Table(
    "parked_receipt",
    metadata,
    Column("seq", _Number, primary_key=True, autoincrement=True),
    Column("sender", String, nullable=False),
    Column("provider_id", String, nullable=False),
    Column("status", String, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("parked_at", BigInteger, nullable=False),
    Column("wa_id", String),
    Column("error", Text),
    Column("wamid", String),
    # Message id and attempt number, where the receipt names an attempt that alir doesn't know.
    Column("mark", Text),
    # The same receipt of somebody else's message, told many times, is kept once.
    Index("parked_receipt_once", "provider_id", "status", "sender", unique=True),
    Index("parked_receipt_age", "parked_at"),
    # What may be about an attempt to that person.
    Index("parked_receipt_person", "sender", "wa_id"),
)

pause = Table(
    "pause",
    metadata,
    Column("sender", String, primary_key=True),
    Column("scope", String, primary_key=True),
    # The recipient or the Flow; empty for what holds the whole sender.
    Column("key", String, primary_key=True),
    # The provider's code, and what it means.
    Column("code", String),
    Column("title", String, nullable=False),
    Column("since", BigInteger, nullable=False),
    # When one message is let through to see; none: when an operator resumes it.
    Column("until", BigInteger),
    # How long each wait is, in milliseconds.
    Column("wait", BigInteger, nullable=False),
    # Attempts begun from here on tell whether it is over.
    Column("tells_from", BigInteger),
    # 1 where only a receipt can tell.
    Column("by_receipt", Integer, nullable=False),
    Column("strikes", Integer, nullable=False),
    sqlite_with_rowid=False,
)

contact = Table(
    "contact",
    metadata,
    Column("sender", String, primary_key=True),
    # The person's digits, or the business-scoped user id where no number is told.
    Column("wa_id", String, primary_key=True),
    # When the person last wrote; the window is open for 24 hours from here.
    Column("heard_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

alias = Table(
    "alias",
    metadata,
    Column("sender", String, primary_key=True),
    # Digits as callers give them, where WhatsApp knows the person by others; or a user id.
    Column("number", String, primary_key=True),
    Column("wa_id", String, nullable=False),
    sqlite_with_rowid=False,
)

api_token = Table(
    "api_token",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    # SHA-256 of the API token; the API token itself is kept nowhere.
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # JSON list of sender names; null: every sender, later ones too.
    Column("senders", Text),
    Column("default_sender", String),
    Column("revoked_at", BigInteger),
)

process = Table(
    "process",
    metadata,
    # One row a process of a gateway that shares its database with others.
    Column("name", String, primary_key=True),
    # JSON list of the senders that it can dispatch for.
    Column("senders", Text, nullable=False),
    # By the database's clock; it says so anew all the time.
    Column("alive_until", BigInteger, nullable=False),
    # 1 where providers can call it back; 1 where it applies what any process took.
    Column("takes_callbacks", Integer, nullable=False, server_default="0"),
    Column("applies_callbacks", Integer, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)

sender_lease = Table(
    "sender_lease",
    metadata,
    Column("sender", String, primary_key=True),
    # Counts the changes of hands; who begins an attempt names it.
    Column("fence", BigInteger, nullable=False),
    # By the database's clock; of one that was released, when it was.
    Column("until", BigInteger, nullable=False),
    # The process that holds it; none: it was released.
    Column("holder", String),
    sqlite_with_rowid=False,
)

commit_group = Table(
    "commit_group",
    metadata,
    # One row a writer: the number of its last group. After a commit whose answer was lost, this
    # row says whether the group is stored.
    Column("writer", String, primary_key=True),
    Column("number", BigInteger, nullable=False),
)
