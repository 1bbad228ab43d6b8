"""Route Mobile's callbacks. The recorded bytes are after its documents, with invented values."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clock import START
from tests.examples import MAIN, OTHER
from tests.senders import a_route_mobile_sender

from alir.errors import ProviderBusy, ProviderRefused
from alir.ids import MessageId, ProviderId, SenderName
from alir.messages.model import ReceiptStatus
from alir.providers.routemobile.webhook import RouteMobileCallbacks
from alir.providers.whatsapp.codes import meanings
from alir.receipts.model import Heard, Mark, Told
from alir.receipts.ports import CallbackRequest

RECORDINGS = Path(__file__).parents[3] / "recordings" / "routemobile"
REQUEST_ID = ProviderId("00000000-85ae-11ec-8168-000000000000")
WAMID = ProviderId("wamid.FAKE==")
AT = datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)
CALLBACKS = RouteMobileCallbacks(
    {
        MAIN: a_route_mobile_sender(callback_secret="callback-secret-number-1-of-these"),
        OTHER: a_route_mobile_sender(callback_secret="callback-secret-number-2-of-these"),
    },
    meanings("alir.providers.routemobile"),
)


def read(body: bytes | object, *senders: SenderName) -> list[Told | Heard]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return CALLBACKS.read(content, senders=senders or (MAIN,), now=START)


def recorded(name: str) -> list[Told | Heard]:
    return read((RECORDINGS / f"{name}.json").read_bytes())


def a_status(**changes: Any) -> dict[str, Any]:
    return {"id": REQUEST_ID, "status": "sent", "timestamp": "1790000000"} | changes


# Whose it is


@pytest.mark.parametrize(
    ("secret", "signers"),
    [
        ("callback-secret-number-1-of-these", (MAIN,)),
        ("callback-secret-number-2-of-these", (OTHER,)),
        *((wrong, ()) for wrong in (None, "", "secret", "secret-11", "SECRET-1", "ü", "\ud800")),
    ],
)
def test_a_callback_is_of_the_sender_whose_secret_ends_its_path(
    secret: str | None, signers: tuple[SenderName, ...]
) -> None:
    assert CALLBACKS.signed_by(CallbackRequest({}, b"{}", secret)) == signers


def test_a_callback_tells_nothing_about_others_than_its_sender() -> None:
    body = {"statuses": [a_status()]}

    assert [one.sender for one in read(body, OTHER)] == [OTHER]
    assert read(body, SenderName("gone")) == []


# What is told


def a_receipt(status: ReceiptStatus, **more: Any) -> Told:
    fields: dict[str, Any] = {"provider_id": REQUEST_ID, "wa_id": "620000000001", "at": AT} | more
    return Told(sender=MAIN, status=status, **fields)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("delivered", a_receipt(ReceiptStatus.DELIVERED, wamid=WAMID)),
        ("read", a_receipt(ReceiptStatus.READ)),
        ("wrapped", a_receipt(ReceiptStatus.SENT, wamid=WAMID)),
        ("metas_own", a_receipt(ReceiptStatus.DELIVERED, provider_id=WAMID, wamid=WAMID)),
        (
            "sent_with_extra",
            a_receipt(
                ReceiptStatus.SENT,
                wamid=WAMID,
                mark=Mark(MessageId("msg_01JABCDEFGHJKMNPQRSTVWXYZ0"), 1),
            ),
        ),
    ],
)
def test_receipts_are_read_in_every_envelope(name: str, told: Told) -> None:
    assert recorded(name) == [told]


def test_a_failed_receipt_says_why_by_route_mobiles_own_codes() -> None:
    [told] = recorded("failed_window_shut")

    assert isinstance(told, Told)
    assert told.status is ReceiptStatus.FAILED
    assert told.error is not None
    assert told.error["provider_code"] == "470"
    assert "24 hours" in told.error["title"]
    assert "24 hours" in told.error["detail"]


@pytest.mark.parametrize("errors", [None, [], "?", [None], [{"title": "?"}], [{"code": "x"}]])
def test_a_failed_receipt_without_a_reason_says_so(errors: object) -> None:
    [told] = read({"statuses": [a_status(status="failed", errors=errors)]})

    assert isinstance(told, Told)
    assert told.error is not None
    assert told.error["title"] == "WhatsApp gave no reason"


def test_what_becomes_of_a_template_is_no_receipt() -> None:
    assert recorded("template_approved") == []
    assert read({"statuses": [a_status(type="event")]}) == []


@pytest.mark.parametrize(
    ("name", "wamid"), [("text_from_a_person", "wamid.IN=="), ("flow_response", None)]
)
def test_that_a_person_wrote_is_heard(name: str, wamid: str | None) -> None:
    assert recorded(name) == [Heard(sender=MAIN, at=AT, wa_id="620000000001", wamid=wamid)]


@pytest.mark.parametrize("code", [470, "470", 131047])
def test_a_failed_receipt_of_the_shut_window_would_have_been_refused_for_that(code: object) -> None:
    [told] = read({"statuses": [a_status(status="failed", errors=[{"code": code}])]})
    assert isinstance(told, Told)
    assert told.error is not None
    failure = CALLBACKS.failure_of(told.error)

    assert isinstance(failure, ProviderRefused)
    assert failure.window_shut


def test_a_failed_receipt_of_a_busy_kind_would_have_been_busy() -> None:
    [told] = read({"statuses": [a_status(status="failed", errors=[{"code": 1000}])]})
    assert isinstance(told, Told)
    assert told.error is not None
    failure = CALLBACKS.failure_of(told.error)

    assert isinstance(failure, ProviderBusy)
    assert failure.at_most == 3


# Bad items


def test_bad_items_do_not_spoil_the_others() -> None:
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    bad: list[object] = [
        None,
        7,
        [],
        {},
        a_status(id=None),
        a_status(status="played"),
        a_status(id=""),
    ]
    statuses = [a_status(id="1"), *bad, a_status(id="2", timestamp=deep, errors=deep, extra=deep)]
    messages = [None, {"from": 7}, {"from": "+620000000001", "timestamp": deep, "id": deep}]

    told = read({"statuses": statuses, "messages": messages, "data": [7], "entry": [deep]})

    assert [one.provider_id for one in told if isinstance(one, Told)] == ["1", "2"]
    assert [one.wa_id for one in told if isinstance(one, Heard)] == ["620000000001"]


@pytest.mark.parametrize(
    "body", [b"", b"null", b"7", b"[]", b"{}", b"<html>", b"\xff", b"[" * 100_000, b'{"data":1}']
)
def test_what_is_no_callback_tells_nothing(body: bytes) -> None:
    assert read(body) == []


@given(st.binary(max_size=300))
def test_reading_never_fails(body: bytes) -> None:
    assert read(body) == []


_KEYS = ["data", "statuses", "messages", "entry", "changes", "value", "id", "status", "errors"]
_KEYS += ["code", "from", "timestamp", "message_id", "extra", "type", "recipient_id"]
_json = st.recursive(
    st.none() | st.integers() | st.text(max_size=4) | st.sampled_from(["failed", "event", "1"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(_json, _json)
def test_reading_never_fails_whatever_the_shape(value: Any, status: Any) -> None:
    read(value)
    merged = status if isinstance(status, dict) else {}
    for envelope in (lambda v: v, lambda v: {"data": v}):
        told = read(envelope({"statuses": [merged, a_status(**merged)], "messages": [status]}))
        for one in told:
            if isinstance(one, Told) and one.status is ReceiptStatus.FAILED:
                CALLBACKS.failure_of(one.error or {})
