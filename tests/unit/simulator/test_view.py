from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.simulator.doubles import (
    flow_request,
    route_mobile_flow,
    route_mobile_template,
    template_request,
)

from alir.messages.model import ReceiptStatus
from alir.simulator.phones import Call, CallState, Phone, Receipt, Received, Written
from alir.simulator.view import bubble, chat, row

AT = 1790000000123
SENT, DELIVERED, READ, FAILED = ReceiptStatus


def received(request: dict[str, Any], *receipts: Receipt, wamid: str = "w") -> Received:
    return Received(
        wamid=wamid,
        provider="cloud",
        sender="1",
        phone="15551230001",
        at=AT,
        body=json.dumps(request).encode(),
        kind=request["type"],
        receipts=list(receipts),
    )


def written(state: CallState = CallState.ANSWERED) -> Written:
    return Written(
        wamid="x",
        provider="cloud",
        sender="1",
        phone="15551230001",
        at=AT,
        text="Hi",
        name="A",
        call=Call(state),
    )


def test_a_flow_message_shows_its_texts_and_what_its_button_opens() -> None:
    shown = bubble(received(flow_request()))

    assert (shown.header, shown.body, shown.footer, shown.button) == (
        "Visit booking",
        "Pick a time that suits you.",
        "About one minute",
        "Choose a time",
    )
    assert dict(shown.facts) == {
        "Flow": "987654321098765",
        "Token": "01JABCDEF.sig",
        "Action": "navigate",
        "Screen": "START",
        "Data": '{\n  "branch": "north"\n}',
        "Mode": "published",
    }
    assert (shown.at.exact, shown.at.short) == ("2026-09-21T14:13:20.123Z", "14:13")


def test_a_media_header_shows_its_kind_and_its_link() -> None:
    request = flow_request()
    request["interactive"]["header"] = {"type": "image", "image": {"link": "https://a.test/b.png"}}

    shown = bubble(received(request))

    assert (shown.media, shown.link, shown.header) == ("image", "https://a.test/b.png", None)


def test_a_template_shows_its_name_its_texts_and_its_button() -> None:
    shown = bubble(received(template_request()))

    assert (shown.header, shown.body) == ("Template visit_form", "Ana")
    assert shown.button
    assert dict(shown.facts)["Token"] == "01JABCDEF.sig"


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        ([], "taken"),
        ([SENT], "sent"),
        ([READ, SENT, DELIVERED], "read"),
        ([FAILED], "failed"),
        ([FAILED, DELIVERED], "delivered"),
    ],
)
def test_the_ticks_show_the_furthest_receipt(statuses: list[ReceiptStatus], state: str) -> None:
    receipts = [Receipt(s, AT, 131026 if s is FAILED else None) for s in statuses]

    assert bubble(received(flow_request(), *receipts)).state == state


def test_a_failure_shows_its_code() -> None:
    shown = bubble(received(flow_request(), Receipt(FAILED, AT, 131026)))

    assert shown.failure == "131026 Message undeliverable"


@pytest.mark.parametrize(
    ("call", "trouble"),
    [
        (Call(CallState.ANSWERED, 1), None),
        (Call(CallState.WAITING, 0), None),
        (Call(CallState.WAITING, 3, "HTTP 503"), "Callback not taken: HTTP 503, tried 3 times"),
        (
            Call(CallState.GIVEN_UP, 9, "NeverConnected"),
            "Callback not taken: NeverConnected, given up",
        ),
        (Call(CallState.DROPPED), "Callback dropped, as the behaviour says"),
    ],
)
def test_a_callback_that_was_not_taken_is_shown(call: Call, trouble: str | None) -> None:
    receipt = Receipt(SENT, AT, call=call)

    assert bubble(received(flow_request(), receipt)).trouble == trouble


def test_a_reply_quotes_the_message_it_answers() -> None:
    first = received(flow_request(), wamid="first")
    reply = received(flow_request(context={"message_id": "first"}), wamid="second")
    stray = received(flow_request(context={"message_id": "gone"}), wamid="third")

    shown = chat(Phone("15551230001", [first, reply, stray]), limit=10)

    assert [each.quoted for each in shown] == [
        None,
        "Pick a time that suits you.",
        "A message that this phone does not have",
    ]


def test_what_the_person_wrote_is_theirs() -> None:
    shown = bubble(written())

    assert (shown.mine, shown.body, shown.state) == (True, "Hi", "read")
    assert bubble(written(CallState.WAITING)).state == "sent"


def test_only_the_last_messages_are_shown() -> None:
    entries = [received(flow_request(), wamid=str(number)) for number in range(5)]

    assert [each.id for each in chat(Phone("1", list(entries)), limit=2)] == ["3", "4"]


def test_a_row_sums_the_phone_up_in_one_short_line() -> None:
    request = flow_request()
    request["interactive"]["body"] = {"text": "line one\n\nline two " + "x" * 200}

    shown = row(Phone("15551230001", [written(), received(request, Receipt(READ, AT))]))

    assert shown.preview.startswith("Visit booking · line one line two xxx")
    assert len(shown.preview) == 80
    assert (shown.number, shown.state, shown.mine) == ("15551230001", "read", False)


def at_route_mobile(request: dict[str, Any], kind: str) -> Received:
    it = received({"type": kind})
    it.provider = "routemobile"
    it.body = json.dumps(request).encode()
    return it


def test_a_flow_message_of_route_mobile_shows_the_same() -> None:
    request = route_mobile_flow(header={"text": "Visit booking"}, extra="ref")

    shown = bubble(at_route_mobile(request, "interactive"))

    assert (shown.header, shown.body, shown.footer, shown.button) == (
        "Visit booking",
        "Please fill in the form",
        "Example Clinic",
        "Open form",
    )
    assert dict(shown.facts) == {
        "Flow": "100000000000001",
        "Token": "tok-0001",
        "Action": "navigate",
        "Screen": "WELCOME",
        "Data": '{\n  "name": "Ani"\n}',
        "Mode": "published",
        "Extra": "ref",
    }
    with_image = bubble(at_route_mobile(route_mobile_flow(), "interactive"))
    assert (with_image.media, with_image.link) == ("image", "https://pictures.test/banner.jpg")


@pytest.mark.parametrize("flow", ["tok-0001", {"flow_token": "tok-0001"}])
def test_a_template_of_route_mobile_shows_its_name_its_texts_and_its_button(flow: object) -> None:
    request = route_mobile_template(button=[{"button_no": "0", "flow": flow}])

    shown = bubble(at_route_mobile(request, "template"))

    assert (shown.media, shown.link) == ("image", "https://pictures.test/a.jpg")
    assert shown.body == "Template visit_form\nAni\nTuesday"
    assert shown.button
    assert dict(shown.facts) == {"Language": "id", "Token": "tok-0001", "Extra": "ref"}


def test_a_reply_of_route_mobile_quotes_the_message_it_answers() -> None:
    first = at_route_mobile(route_mobile_flow(), "interactive")
    reply = at_route_mobile(route_mobile_flow(reply_to=first.wamid), "interactive")

    assert chat(Phone("1", [first, reply]), limit=2)[1].quoted == "Please fill in the form"


def test_a_template_with_a_picture_shows_its_link() -> None:
    request = template_request()
    image = {"type": "image", "image": {"link": "https://a.test/b.png"}}
    request["template"]["components"].append({"type": "header", "parameters": [image]})

    shown = bubble(received(request))

    assert (shown.media, shown.link, shown.header) == ("image", "https://a.test/b.png", None)
    assert shown.body == "Template visit_form\nAna"


def test_only_links_of_the_web_are_links() -> None:
    request = template_request()
    image = {"type": "image", "image": {"link": "javascript:alert(1)"}}
    request["template"]["components"].append({"type": "header", "parameters": [image]})

    assert bubble(received(request)).link is None
