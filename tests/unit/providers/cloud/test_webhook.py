"""Callbacks: who signed them, and what they tell. Recorded bytes are after Meta's documents."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clock import START
from tests.examples import MAIN, OTHER
from tests.senders import a_cloud_sender

from alir.ids import MessageId, ProviderId, SenderName
from alir.messages.model import ReceiptStatus
from alir.providers.cloud.webhook import CloudCallbacks
from alir.providers.whatsapp.codes import meanings
from alir.receipts.model import Mark, Told
from alir.receipts.ports import CallbackRequest
from alir.tables.secret import Secret

RECORDINGS = Path(__file__).parents[3] / "recordings" / "cloud"
THIRD = SenderName("third")
SECRETS = {MAIN: "secret-1", OTHER: "secret-1", THIRD: "secret-3"}
ACCOUNTS = {MAIN: "1065550001", OTHER: "1065550002", THIRD: "1065550003"}
MARK = Mark(MessageId("msg_01JABCDEFGHJKMNPQRSTVWXYZ0"), 1)


def callbacks(**verify_tokens: str) -> CloudCallbacks:
    """Three senders; the first two share an app, and so its secret."""
    senders = {
        name: a_cloud_sender(
            phone_number_id=ACCOUNTS[name],
            app_secret=secret,
            verify_token=verify_tokens.get(name),
        )
        for name, secret in SECRETS.items()
    }
    return CloudCallbacks(senders, meanings())


def recorded(name: str) -> bytes:
    return (RECORDINGS / f"{name}.json").read_bytes()


def read(body: bytes | object, *senders: SenderName) -> list[Told]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = callbacks().read(content, senders=senders or (MAIN, OTHER, THIRD), now=START)
    return [one for one in found if isinstance(one, Told)]


def telling(*statuses: object, account: str = ACCOUNTS[MAIN], **value: Any) -> dict[str, Any]:
    """A callback that tells these statuses."""
    value = {"metadata": {"phone_number_id": account}, "statuses": list(statuses)} | value
    return {"entry": [{"changes": [{"field": "messages", "value": value}]}]}


def a_status(**changes: Any) -> dict[str, Any]:
    return {"id": "wamid.1", "status": "sent", "timestamp": "1790000000"} | changes


def sign(body: bytes, secret: str) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"x-hub-signature-256": f"sha256={digest}"}


# Signatures

BODY = recorded("sent")


def test_every_sender_whose_own_secret_signed_it_is_named() -> None:
    assert callbacks().signed_by(CallbackRequest(sign(BODY, "secret-1"), BODY)) == (MAIN, OTHER)
    assert callbacks().signed_by(CallbackRequest(sign(BODY, "secret-3"), BODY)) == (THIRD,)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-hub-signature-256": ""},
        {"x-hub-signature-256": "sha256="},
        {"x-hub-signature-256": "sha256=" + "0" * 64},
        {"x-hub-signature-256": sign(BODY, "secret-1")["x-hub-signature-256"][7:]},
        {"x-hub-signature-256": sign(BODY, "secret-1")["x-hub-signature-256"][:-1]},
        {"x-hub-signature-256": sign(BODY, "secret-1")["x-hub-signature-256"] + "0"},
        {"x-hub-signature-256": "sha1=" + hmac.new(b"secret-1", BODY, "sha1").hexdigest()},
        {"x-hub-signature": sign(BODY, "secret-1")["x-hub-signature-256"]},
        {"x-hub-signature-256": "sha256=ünïcøde\udcff".encode("utf-8", "replace").decode()},
        sign(BODY, ""),
        sign(BODY, "another secret"),
        sign(BODY + b" ", "secret-1"),
        sign(json.dumps(json.loads(BODY)).encode(), "secret-1"),
    ],
)
def test_nobody_signed_what_does_not_carry_the_signature_of_exactly_these_bytes(
    headers: dict[str, str],
) -> None:
    assert callbacks().signed_by(CallbackRequest(headers, BODY)) == ()


def test_a_secret_is_asked_for_at_each_use(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")
    secret = Secret.in_file(file, elapsed=lambda: 0.0)
    reader = CloudCallbacks({MAIN: a_cloud_sender(app_secret=secret)}, meanings())
    assert reader.signed_by(CallbackRequest(sign(BODY, "old"), BODY)) == (MAIN,)
    file.write_text("new")
    secret.expire()

    assert reader.signed_by(CallbackRequest(sign(BODY, "old"), BODY)) == ()
    assert reader.signed_by(CallbackRequest(sign(BODY, "new"), BODY)) == (MAIN,)


def test_items_are_read_only_for_the_senders_whose_secret_signed() -> None:
    body = recorded("two_numbers")

    assert [t.provider_id for t in read(body)] == ["wamid.a", "wamid.b", "wamid.c", "wamid.d"]
    assert [t.sender for t in read(body)] == [MAIN, MAIN, OTHER, THIRD]
    assert [t.provider_id for t in read(body, MAIN)] == ["wamid.a", "wamid.b"]
    assert [t.provider_id for t in read(body, THIRD)] == ["wamid.d"]
    assert [t.provider_id for t in read(body, SenderName("gone"))] == []


# The handshake


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ({"hub.mode": "subscribe", "hub.verify_token": "v-1", "hub.challenge": "0042"}, "0042"),
        ({"hub.mode": "subscribe", "hub.verify_token": "v-2", "hub.challenge": "x"}, "x"),
        ({"hub.mode": "subscribe", "hub.verify_token": "v-1"}, ""),
        ({"hub.mode": "subscribe", "hub.verify_token": "v-3", "hub.challenge": "x"}, None),
        ({"hub.mode": "subscribe", "hub.verify_token": "ü", "hub.challenge": "x"}, None),
        ({"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "x"}, None),
        ({"hub.mode": "subscribe", "hub.challenge": "x"}, None),
        ({"hub.mode": "unsubscribe", "hub.verify_token": "v-1", "hub.challenge": "x"}, None),
        ({"hub.verify_token": "v-1", "hub.challenge": "x"}, None),
        ({}, None),
    ],
)
def test_the_handshake_gives_the_challenge_back_to_who_knows_a_verify_token(
    query: dict[str, str], answer: str | None
) -> None:
    assert callbacks(main="v-1", third="v-2").challenge_answer(query) == answer


def test_without_a_verify_token_there_is_no_handshake() -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "x"}

    assert callbacks().challenge_answer(query) is None


# What is told


def test_a_receipt_is_read_with_all_that_it_says() -> None:
    assert read(recorded("sent")) == [
        Told(
            sender=MAIN,
            provider_id=ProviderId("wamid.HBgLMTU1NTEyMzAwMDEVAgARGBI5QQ=="),
            status=ReceiptStatus.SENT,
            at=datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC),
            mark=MARK,
            wa_id="15551230001",
            user_id="US.1234567890",
        )
    ]


def test_a_receipt_without_a_mark_or_recipient_is_read_all_the_same() -> None:
    [told] = read(telling(a_status()))

    assert (told.mark, told.wa_id, told.error) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "status", "wa_id"),
    [
        ("read_without_delivered", ReceiptStatus.READ, "15551230001"),
        ("to_a_user_id", ReceiptStatus.DELIVERED, None),
        ("group", ReceiptStatus.DELIVERED, "GROUP-1"),
        ("status_and_message_together", ReceiptStatus.SENT, "15551230001"),
        ("half_a_character", ReceiptStatus.DELIVERED, "15551230001"),
    ],
)
def test_every_recorded_receipt_is_read(
    name: str, status: ReceiptStatus, wa_id: str | None
) -> None:
    [told] = read(recorded(name))

    assert (told.status, told.wa_id) == (status, wa_id)


@pytest.mark.parametrize(
    "name", ["flow_response", "account_error", "flow_throttled", "system_number_changed"]
)
def test_what_is_no_receipt_is_passed_over(name: str) -> None:
    assert read(recorded(name)) == []


def test_a_failed_receipt_says_why_in_alirs_words() -> None:
    [undeliverable] = read(recorded("failed_undeliverable"))
    [window] = read(recorded("failed_window_shut"))

    assert undeliverable.error == {
        "code": "undelivered",
        "provider_code": "131026",
        "title": "The message is undeliverable",
        "detail": "Message Undeliverable.",
    }
    assert window.error is not None
    assert window.error["provider_code"] == "131047"
    assert window.mark == MARK


@pytest.mark.parametrize(
    ("errors", "provider_code"),
    [
        ([{"code": 999999, "title": "New"}], "999999"),
        ([{"code": 131026}, {"code": 1}], "131026"),
        ([], None),
        (None, None),
        ({"code": 131026}, None),
        ([{"code": "131026"}], "131026"),
        ([{"code": True}], None),
        ([{"code": "9" * 5000}], None),
        ([None, {"code": 131026}], "131026"),
        ([None], None),
        (["131026"], None),
    ],
)
def test_a_failed_receipt_is_one_whatever_its_errors_look_like(
    errors: object, provider_code: str | None
) -> None:
    [told] = read(telling(a_status(status="failed", errors=errors)))

    assert told.status is ReceiptStatus.FAILED
    assert told.error is not None
    assert told.error["provider_code"] == provider_code
    if provider_code is None:
        assert told.error["title"] == "WhatsApp gave no reason"


# Odd times


def _deep(depth: int) -> list[Any]:
    return [_deep(depth - 1)] if depth > 500 else [[]]


@pytest.mark.parametrize(
    "timestamp",
    [
        *("", "soon", "-1", "1.5", "1e9", " 1790000000", "１７９００００００００", "²"),
        *(None, True, 1.5, [], {}, "9" * 12, "9" * 5000),
        pytest.param(_deep(1000), id="deep"),
    ],
)
def test_a_receipt_whose_time_cannot_be_read_happened_now(timestamp: object) -> None:
    [told] = read(telling(a_status(timestamp=timestamp)))

    assert told.at == START


@pytest.mark.parametrize(
    ("timestamp", "at"),
    [
        ("1790000000", datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)),
        (1790000000, datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)),
        ("0", datetime(1970, 1, 1, tzinfo=UTC)),
        ("99999999999", datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC)),
    ],
)
def test_a_time_is_unix_seconds(timestamp: object, at: datetime) -> None:
    [told] = read(telling(a_status(timestamp=timestamp)))

    assert told.at == at


# Bad items

BAD_STATUSES: list[object] = [
    *(None, 7, "wamid.x", [], {}),
    {"status": "sent", "timestamp": "1790000000"},
    a_status(id=None),
    a_status(id=7),
    a_status(id=""),
    a_status(status="played"),
    a_status(status="deleted"),
    a_status(status="SENT"),
    a_status(status=None),
    a_status(status=["sent"]),
]


def test_a_thousand_receipts_with_bad_items_between_are_all_read() -> None:
    statuses: list[object] = []
    for number in range(1000):
        statuses += [a_status(id=f"wamid.{number}"), BAD_STATUSES[number % len(BAD_STATUSES)]]

    assert [t.provider_id for t in read(telling(*statuses))] == [f"wamid.{n}" for n in range(1000)]


@pytest.mark.parametrize(
    "odd",
    [
        *(None, 7, "x", [], {}, [7], [None]),
        {"changes": None},
        {"changes": {}},
        {"changes": [None, 7, "x", [], {}]},
        {"changes": [{"field": "messages"}]},
        {"changes": [{"field": "messages", "value": None}]},
        {"changes": [{"field": "messages", "value": []}]},
        {"changes": [{"field": "messages", "value": {"statuses": [a_status(id="no")]}}]},
        telling(a_status(id="no"), metadata=None)["entry"][0],
        telling(a_status(id="no"), metadata={})["entry"][0],
        telling(a_status(id="no"), metadata={"phone_number_id": 1065550001})["entry"][0],
        telling(a_status(id="no"), account="1065559999")["entry"][0],
        telling(statuses={"id": "no"})["entry"][0],
        {"changes": [{"field": "account_update", **telling(a_status(id="no"))}]},
        {"changes": [{**telling(a_status(id="no"))["entry"][0]["changes"][0], "field": "history"}]},
    ],
    ids=str,
)
def test_an_odd_entry_does_not_spoil_the_others(odd: object) -> None:
    before, after = telling(a_status(id="wamid.1")), telling(a_status(id="wamid.2"))
    body = {"object": "?", "entry": [*before["entry"], odd, *after["entry"]]}

    assert [t.provider_id for t in read(body)] == ["wamid.1", "wamid.2"]


def test_fields_that_nobody_knows_are_passed_over() -> None:
    status = a_status(new_field={"a": [1, 2, {"b": None}]}, conversation="?", pricing=[])
    [told] = read(telling(status, contacts=None, errors="?", more={"x": 1}) | {"time": 1})

    assert told.provider_id == "wamid.1"


@pytest.mark.parametrize(
    "mark",
    [None, 7, "", "gw1:somebody-elses", {"alir1": 1}, "alir1:msg_01JABCDEFGHJKMNPQRSTVWXYZ0:0"],
)
def test_somebody_elses_mark_is_none(mark: object) -> None:
    [told] = read(telling(a_status(biz_opaque_callback_data=mark)))

    assert told.mark is None


@pytest.mark.parametrize("recipient", [None, 15551230001, "", [], {}])
def test_a_recipient_that_is_no_text_is_left_out(recipient: object) -> None:
    [told] = read(telling(a_status(recipient_id=recipient)))

    assert told.wa_id is None


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"7", b'"x"', b"[]", b"{}", b"{", b"<html>", b"\xff\xfe", b"[" * 100_000],
)
def test_what_is_no_callback_tells_nothing(body: bytes) -> None:
    assert read(body) == []


@given(st.binary(max_size=300))
def test_reading_never_fails(body: bytes) -> None:
    assert read(body) == []


_json = st.recursive(
    st.none() | st.integers() | st.text(max_size=4) | st.sampled_from(["sent", ACCOUNTS[MAIN]]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["entry", "changes", "field", "value", "metadata", "statuses", "id", "errors"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(_json, _json)
def test_reading_never_fails_whatever_the_shape(value: Any, status: Any) -> None:
    read(value)
    merged = status if isinstance(status, dict) else {}
    told = read(telling(status, a_status(**{k: merged[k] for k in merged if k != "id"})))
    assert len(told) <= 2
