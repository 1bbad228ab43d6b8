"""The seed document's request, over HTTP: mended it is sent as Meta wants it; pasted as it stands
it is led, answer by answer, to a message that is sent.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.acceptance.gateway import RunningGateway
from tests.acceptance.talk import MESSAGES, assert_problem, at_simulator, becomes, client, get, send
from tests.seed import MEDIA_HEADER, NUMBER_FORMATS, SAMPLE, TEXT_HEADER, mended

#: What Meta's reference asks for, by the header that the sample has.
META_HEADERS: dict[str, dict[str, Any]] = {
    "text": {"type": "text", "text": "TEXT_HEADER"},
    "media": {"type": "image", "image": {"link": "https://example.com/image.png"}},
}


def graph_request(message_id: str, header: dict[str, Any]) -> dict[str, Any]:
    """The mended sample as the Cloud API's reference wants it."""
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+10000000000",
        "biz_opaque_callback_data": f"alir1:{message_id}:1",
        "type": "interactive",
        "interactive": {
            "type": "flow",
            "header": header,
            "body": {"text": "TEXT_BODY"},
            "footer": {"text": "TEXT_FOOTER"},
            "action": {
                "name": "flow",
                "parameters": {
                    "flow_message_version": "3",
                    "flow_id": "FLOW_ID",
                    "flow_cta": "FLOW_BUTTON_TEXT",
                    "flow_token": "RANDOM_STRING_FOR_FLOW_TOKEN",
                    "mode": "published",
                    "flow_action": "navigate",
                    "flow_action_payload": {"screen": "FLOW_SCREEN_NAME"},
                },
            },
        },
    }


@pytest.mark.parametrize("header", [TEXT_HEADER, MEDIA_HEADER], ids=["text header", "media header"])
@pytest.mark.parametrize("number", NUMBER_FORMATS)
def test_the_mended_sample_is_sent_and_reaches_the_provider_as_its_reference_asks(
    api: httpx.Client, number: str, header: dict[str, str]
) -> None:
    answer = send(
        api, mended(param=mended()["flow"]["param"] | {"header": header}) | {"to": number}
    )

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["data"]
    data = answer.json()["data"]
    assert data == {
        "status": "accepted",
        "message": "Message Sent!",
        "request_id": data["id"],
        "id": data["id"],
    }
    read = becomes(api, data["id"], "read", within=3)
    [attempt] = read["attempts"]
    received = {each["wamid"]: each for each in at_simulator(api, "+10000000000")}
    assert received[attempt["provider_id"]]["request"] == graph_request(
        data["id"], META_HEADERS[header["type"]]
    )


def test_the_sample_with_the_id_of_an_incoming_message_quotes_it(api: httpx.Client) -> None:
    answer = send(api, mended() | {"to": "+62812900000", "reply_message_id": "wamid.INCOMING"})

    assert answer.status_code == 200
    [received] = at_simulator(api, "+62812900000")
    assert received["request"]["context"] == {"message_id": "wamid.INCOMING"}


def test_the_misspelled_action_of_the_sample_means_navigate(api: httpx.Client) -> None:
    answer = send(api, mended(action="nagivate") | {"to": "+62812900001"})

    assert answer.status_code == 200
    assert get(api, answer.json()["data"]["id"])["flow"]["action"] == "navigate"
    [received] = at_simulator(api, "+62812900001")
    parameters = received["request"]["interactive"]["action"]["parameters"]
    assert parameters["flow_action"] == "navigate"


class Beginner:
    """Somebody who pastes the sample and mends only what the last answer complained of.

    Attributes:
        complaints: what each answer was about, in order.
    """

    def __init__(self) -> None:
        self.token = "{{ API_TOKEN }}"
        self.text = SAMPLE
        self.complaints: list[str] = []

    def mend(self, answer: httpx.Response, *, token: str) -> None:
        """Do what the answer says, and nothing else."""
        if answer.status_code == 401:
            assert "placeholder" in assert_problem(answer, 401, "unauthorized")["detail"]
            self.token = token
            self.complaints.append("placeholder in the header")
        elif answer.status_code == 400:
            self._mend_json(assert_problem(answer, 400, "invalid_json"))
        else:
            for error in assert_problem(answer, 422, "invalid_request")["errors"]:
                self._mend_field(error)

    def _mend_json(self, said: dict[str, Any]) -> None:
        lines = self.text.split("\n")
        line, at = lines[said["line"] - 1], said["column"] - 1
        if "comment" in said["detail"]:
            assert line[at] == "#"
            lines[said["line"] - 1] = line[:at].rstrip()
            self.complaints.append("comment")
        else:
            assert "comma" in said["detail"]
            lines[said["line"] - 1] = f"{line[:at]},{line[at:]}"
            self.complaints.append("comma")
        self.text = "\n".join(lines)

    def _mend_field(self, error: dict[str, str]) -> None:
        before, after = {
            ("#/to", "invalid_number"): ('"+62821xxxxxx"', '"+6282112345678"'),
            ("#/reply_message_id", "placeholder"): ('"{{ MESSAGE_ID }}"', "null"),
            ("#/flow/action", "not_a_choice"): ('"nagivate | data_exchange"', '"navigate"'),
            ("#/flow/param/header/type", "not_a_choice"): ('"media | text"', '"text"'),
            ("#/flow/param/header/media", "invalid_url"): ('"URL_IMAGE"', '"https://a.example/i"'),
            ("#/flow/param/header", "conflict"): ('"media": "URL_IMAGE",', ""),
            ("#/flow/param/header/media", "conflict"): ('"media": "https://a.example/i",', ""),
        }[error["pointer"], error["code"]]
        self.text = self.text.replace(before, after)
        self.complaints.append(error["pointer"])


def test_the_sample_as_it_stands_is_led_step_by_step_to_a_message_that_is_sent(
    gateway: RunningGateway,
) -> None:
    beginner = Beginner()
    with client(gateway, None) as http:

        def ask() -> httpx.Response:
            headers = {
                "authorization": f"Bearer {beginner.token}",
                "content-type": "application/json",
            }
            return http.post(MESSAGES, content=beginner.text, headers=headers)

        answer = ask()
        steps = 0
        while answer.status_code != 200:
            assert steps < 10, answer.text
            beginner.mend(answer, token=gateway.token)
            answer = ask()
            steps += 1

    assert answer.json()["data"]["message"] == "Message Sent!"
    assert beginner.complaints[:5] == [
        "placeholder in the header",
        "comment",
        "comma",
        "comment",
        "#/to",
    ]


def test_all_that_is_wrong_with_the_samples_values_is_said_at_once(api: httpx.Client) -> None:
    lines = [line.partition(" #")[0] for line in SAMPLE.split("\n")]
    text = "\n".join(lines).replace('"URL_IMAGE"', '"URL_IMAGE",')

    answer = api.post(MESSAGES, content=text, headers={"content-type": "application/json"})

    listed = assert_problem(answer, 422, "invalid_request")["errors"]
    by_pointer = {error["pointer"]: error["detail"] for error in listed}
    assert list(by_pointer) == [
        "#/to",
        "#/reply_message_id",
        "#/flow/action",
        "#/flow/param/header",
        "#/flow/param/header/type",
        "#/flow/param/header/media",
    ]
    assert "LATIN SMALL LETTER X" in by_pointer["#/to"]
    assert by_pointer["#/flow/action"] == (
        "this is a choice: send one of them (navigate, data_exchange)"
    )
    assert by_pointer["#/flow/param/header/type"] == (
        "this is a choice: send one of them (text, media)"
    )
