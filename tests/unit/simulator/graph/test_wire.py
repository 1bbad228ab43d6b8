from __future__ import annotations

import json
import re

from alir.messages.model import ReceiptStatus
from alir.simulator.callbacks import Heard, Told
from alir.simulator.graph import wire
from alir.simulator.graph.check import Request
from alir.simulator.ids import new_wamid
from alir.simulator.phones import Receipt, Received, Written

AT = 1790000000123
MESSAGE = Received(
    wamid="wamid.OUT",
    provider="cloud",
    sender="1065000000",
    phone="15551230001",
    at=AT,
    body=b"{}",
    kind="interactive",
    mark="1.msg_01J.1",
)


def told(status: ReceiptStatus, code: int | None = None) -> Told:
    return Told(MESSAGE, Receipt(status, AT, code))


def test_a_receipt_has_metas_envelope() -> None:
    assert json.loads(wire.callback([told(ReceiptStatus.DELIVERED)])) == {
        "object": "whatsapp_business_account",
        "entry": [
            {
                "id": wire.ACCOUNT_ID,
                "changes": [
                    {
                        "field": "messages",
                        "value": {
                            "messaging_product": "whatsapp",
                            "metadata": {
                                "display_phone_number": wire.DISPLAY_NUMBER,
                                "phone_number_id": "1065000000",
                            },
                            "contacts": [{"wa_id": "15551230001"}],
                            "statuses": [
                                {
                                    "id": "wamid.OUT",
                                    "status": "delivered",
                                    "timestamp": "1790000000",
                                    "recipient_id": "15551230001",
                                    "biz_opaque_callback_data": "1.msg_01J.1",
                                    "pricing": {
                                        "billable": False,
                                        "pricing_model": "PMP",
                                        "type": "free_customer_service",
                                        "category": "service",
                                    },
                                }
                            ],
                        },
                    }
                ],
            }
        ],
    }


def test_sent_and_delivered_are_priced_and_read_is_not() -> None:
    items = [told(s) for s in (ReceiptStatus.SENT, ReceiptStatus.DELIVERED, ReceiptStatus.READ)]
    statuses = json.loads(wire.callback(items))["entry"][0]["changes"][0]["value"]["statuses"]

    assert ["pricing" in status for status in statuses] == [True, True, False]


def test_a_failed_receipt_has_the_error_and_names_no_contact() -> None:
    value = json.loads(wire.callback([told(ReceiptStatus.FAILED, 131026)]))["entry"][0]["changes"][
        0
    ]["value"]

    [error] = value["statuses"][0]["errors"]
    assert error["code"] == 131026
    assert error["title"] == error["message"] == "Message undeliverable"
    assert error["error_data"]["details"]
    assert "contacts" not in value


def test_a_text_of_a_person_has_its_contact_and_its_own_id() -> None:
    written = Written(
        wamid="wamid.IN",
        provider="cloud",
        sender="1065000000",
        phone="15551230001",
        at=AT,
        text="Halo 👋",
        name="Ana",
    )
    value = json.loads(wire.callback([Heard(written)]))["entry"][0]["changes"][0]["value"]

    assert value["contacts"] == [{"profile": {"name": "Ana"}, "wa_id": "15551230001"}]
    assert value["messages"] == [
        {
            "from": "15551230001",
            "id": "wamid.IN",
            "timestamp": "1790000000",
            "type": "text",
            "text": {"body": "Halo 👋"},
        }
    ]
    assert "statuses" not in value


def test_a_signature_is_the_hmac_of_the_bytes() -> None:
    # RFC 4231, test case 2.
    assert wire.sign("Jefe", b"what do ya want for nothing?") == (
        "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


def test_ids_are_all_different_and_stay_within_their_alphabet() -> None:
    ids = {new_wamid() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(re.fullmatch(r"wamid\.[A-Za-z0-9_-]+", each) for each in ids)


def test_only_templates_are_answered_with_a_message_status() -> None:
    for kind, expected in [("interactive", None), ("template", "accepted")]:
        body = json.loads(wire.accepted(Request("+1", "1", kind, None), wamid="w"))
        assert body["messages"][0].get("message_status") == expected
