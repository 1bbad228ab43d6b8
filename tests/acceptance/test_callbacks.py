"""`/callbacks/cloud` over HTTP: the handshake, the signature, and receipts of every kind."""

from __future__ import annotations

import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from tests.acceptance.gateway import API_TOKEN, RunningGateway
from tests.acceptance.graph_double import GraphDouble, taken
from tests.acceptance.polling import eventually
from tests.acceptance.talk import (
    CALLBACKS,
    SILENT,
    assert_nothing_of_people,
    assert_problem,
    becomes,
    get,
    message,
    running,
    send,
    sent,
    simulator,
    somebody,
)

SANDBOX = "1065000000"
_wamids = count(1)


@pytest.fixture(scope="module", autouse=True)
def _nothing_of_people_is_logged(gateway: RunningGateway) -> Iterator[None]:
    yield
    assert_nothing_of_people(gateway.output(), API_TOKEN)


@pytest.fixture
def quiet(api: httpx.Client) -> Iterator[httpx.Client]:
    """The gateway with a simulator that sends no receipts: the test sends them itself."""
    with simulator(api, delays_ms=SILENT):
        yield api


def status(wamid: str, word: str, **more: Any) -> dict[str, Any]:
    """One status of a callback, in Meta's form."""
    return {"id": wamid, "status": word, "timestamp": str(int(time.time()))} | more


def callback(*statuses: Any, number_id: str = SANDBOX, **more: Any) -> dict[str, Any]:
    """A callback that tells `statuses`; `more` goes beside them."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550001111", "phone_number_id": number_id},
        "statuses": list(statuses),
    } | more
    change = {"field": "messages", "value": value}
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1065000000000001", "changes": [change]}],
    }


def signature(body: bytes, secret: str = "simulator") -> dict[str, str]:
    return {"x-hub-signature-256": f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}"}


def call(
    api: httpx.Client,
    content: object,
    headers: Mapping[str, str] | None = None,
    **given: str,
) -> httpx.Response:
    """Send a callback, signed unless other headers are given."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return api.post(
        CALLBACKS, content=body, headers=signature(body, **given) if headers is None else headers
    )


def accepted(api: httpx.Client) -> tuple[str, str]:
    """The ids, alir's and WhatsApp's, of a message that was just accepted."""
    message_id = sent(api)
    return message_id, str(get(api, message_id)["attempts"][0]["provider_id"])


def receipts_of(api: httpx.Client, message_id: str) -> list[str]:
    return [each["status"] for each in get(api, message_id)["receipts"]]


def outcomes(api: httpx.Client, message_id: str) -> list[str | None]:
    return [each["outcome"] for each in get(api, message_id)["attempts"]]


def after_everything_before(api: httpx.Client) -> None:
    """Return once the callbacks that were sent before are applied."""
    message_id, wamid = accepted(api)
    call(api, callback(status(wamid, "delivered"))).raise_for_status()
    becomes(api, message_id, "delivered")


# The handshake

HANDSHAKE = {
    "hub.mode": "subscribe",
    "hub.challenge": "1158201444",
    "hub.verify_token": "simulator",
}


def test_the_handshake_is_answered_with_the_challenge_as_it_came(api: httpx.Client) -> None:
    answer = api.get(CALLBACKS, params=HANDSHAKE)

    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "changed",
    [
        {"hub.verify_token": "wrong"},
        {"hub.verify_token": ""},
        {"hub.verify_token": "é"},
        {"hub.mode": "unsubscribe"},
        {"hub.mode": ""},
    ],
    ids=str,
)
def test_a_handshake_with_anything_wrong_is_not_found(
    api: httpx.Client, changed: dict[str, str]
) -> None:
    assert_problem(api.get(CALLBACKS, params=HANDSHAKE | changed), 404, "not_found")


def test_a_handshake_with_nothing_in_it_is_not_found(api: httpx.Client) -> None:
    assert_problem(api.get(CALLBACKS), 404, "not_found")


# The signature


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param({}, id="none"),
        pytest.param({"x-hub-signature-256": ""}, id="empty"),
        pytest.param({"x-hub-signature-256": "sha256="}, id="no digest"),
        pytest.param({"x-hub-signature-256": "sha256=" + "0" * 64}, id="zeros"),
        pytest.param({"x-hub-signature-256": "sha1=" + "0" * 40}, id="another digest"),
        pytest.param(signature(b"something else"), id="of another body"),
        pytest.param({"authorization": f"Bearer {API_TOKEN}"}, id="an API token instead"),
    ],
)
def test_what_nobodys_secret_signed_is_not_believed(
    quiet: httpx.Client, forged: dict[str, str]
) -> None:
    message_id, wamid = accepted(quiet)

    assert_problem(call(quiet, callback(status(wamid, "read")), forged), 401, "bad_signature")

    after_everything_before(quiet)
    assert receipts_of(quiet, message_id) == []


@pytest.mark.parametrize("secret", ["Simulator", "wrong", API_TOKEN])
def test_a_signature_by_another_secret_is_not_believed(quiet: httpx.Client, secret: str) -> None:
    message_id, wamid = accepted(quiet)

    body = callback(status(wamid, "read"))
    assert_problem(call(quiet, body, secret=secret), 401, "bad_signature")

    after_everything_before(quiet)
    assert receipts_of(quiet, message_id) == []


def test_the_signature_is_of_the_bytes_and_not_of_what_they_mean(quiet: httpx.Client) -> None:
    message_id, wamid = accepted(quiet)
    name: dict[str, Any] = {"contacts": [{"profile": {"name": "Zoë 😀"}, "wa_id": "1"}]}
    body = json.dumps(callback(status(wamid, "read"), **name), ensure_ascii=True, indent=2).encode()

    answer = call(quiet, body)

    assert (answer.status_code, answer.content) == (200, b"")
    assert becomes(quiet, message_id, "read")


def test_a_callback_applies_only_to_the_senders_whose_secret_signed_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    config = """
    [simulator]
    enabled = true

    [senders.other]
    provider = "cloud"
    phone_number_id = "1065000002"
    access_token = "simulator"
    app_secret = "another secret"
    """
    with running(tmp_path_factory.mktemp("secrets"), config) as (_, api):
        body = message(**{"from": "sandbox"})
        with simulator(api, delays_ms=SILENT):
            message_id = sent(api, body)
            wamid = str(get(api, message_id)["attempts"][0]["provider_id"])

            forged = callback(status(wamid, "read"))
            assert call(api, forged, secret="another secret").status_code == 200
            moved = callback(status(wamid, "read"), number_id="1065000002")
            assert call(api, moved, secret="another secret").status_code == 200
            right = callback(status(wamid, "delivered"))
            assert call(api, right).status_code == 200

            assert becomes(api, message_id, "delivered")
            assert receipts_of(api, message_id) == ["delivered"]


# What receipts do


def test_receipts_move_a_message_forward_only(quiet: httpx.Client) -> None:
    message_id, wamid = accepted(quiet)

    for word in ("read", "sent", "delivered"):
        call(quiet, callback(status(wamid, word))).raise_for_status()

    eventually(lambda: len(receipts_of(quiet, message_id)) == 3)
    assert get(quiet, message_id)["status"] == "read"


def test_a_receipt_that_comes_twice_is_one(quiet: httpx.Client) -> None:
    message_id, wamid = accepted(quiet)

    for _ in range(3):
        twice = callback(status(wamid, "delivered"), status(wamid, "delivered"))
        call(quiet, twice).raise_for_status()

    after_everything_before(quiet)
    assert receipts_of(quiet, message_id) == ["delivered"]


def test_delivered_after_failed_is_believed_and_flagged(quiet: httpx.Client) -> None:
    message_id, wamid = accepted(quiet)
    failure = {"errors": [{"code": 131026, "title": "Message undeliverable"}]}
    call(quiet, callback(status(wamid, "failed", **failure))).raise_for_status()
    failed = becomes(quiet, message_id, "failed")
    assert failed["error"]["provider_code"] == "131026"

    call(quiet, callback(status(wamid, "delivered"))).raise_for_status()

    delivered = becomes(quiet, message_id, "delivered")
    assert delivered["flags"] == ["after_failed"]
    assert delivered["error"] is None


def test_sent_after_failed_is_only_recorded(quiet: httpx.Client) -> None:
    message_id, wamid = accepted(quiet)
    call(quiet, callback(status(wamid, "failed"), status(wamid, "sent"))).raise_for_status()

    eventually(lambda: receipts_of(quiet, message_id) == ["failed", "sent"])
    assert get(quiet, message_id)["status"] == "failed"


def test_failed_after_read_is_only_recorded(quiet: httpx.Client) -> None:
    message_id, wamid = accepted(quiet)
    call(quiet, callback(status(wamid, "read"), status(wamid, "failed"))).raise_for_status()

    eventually(lambda: receipts_of(quiet, message_id) == ["read", "failed"])
    assert (get(quiet, message_id)["status"], get(quiet, message_id)["error"]) == ("read", None)


def test_a_thousand_receipts_with_rubbish_between_them_are_all_applied(
    quiet: httpx.Client,
) -> None:
    known = [accepted(quiet) for _ in range(10)]
    rubbish: list[Any] = [
        *(None, 7, "text", [], {}, {"id": None, "status": "read"}, {"status": "read"}),
        *({"id": 5, "status": "read"}, {"id": "", "status": "read"}, {"id": "wamid.X"}),
        status("wamid.X", "played"),
        status("wamid.X", "deleted"),
        status("wamid.X", "read", timestamp="soon", errors="many", pricing=7),
        status("wamid.X", "failed", errors=[None], biz_opaque_callback_data=7),
        status("wamid.X", "failed", errors=[{"code": "x"}], recipient_id={}),
        status(
            "wamid.Z", "read", biz_opaque_callback_data="alir1:msg_01JDA3V8Q2Z7K4M9N6P5R1S0TX:1"
        ),
        status("wamid.\x00\u2028", "read", timestamp="-1"),
        status("wamid.X", "read", timestamp="99999999999"),
    ]
    statuses: list[Any] = []
    for number in range(1000):
        _, wamid = known[number // 2 % 10]
        wanted = status(wamid, ("sent", "delivered", "read")[number // 2 % 3])
        statuses.append(wanted if number % 2 else rubbish[number // 2 % len(rubbish)])
    whole = callback(*statuses, unheard_of={"deep": [[[]]]}, errors=[{"code": 130429}])
    whole["entry"][0]["changes"][:0] = [
        None,
        {},
        {"field": "flows", "value": {}},
        {"field": "messages"},
    ]
    whole["entry"][:0] = [None, "x", {"changes": 7}]

    assert call(quiet, whole).status_code == 200

    for message_id, _ in known:
        becomes(quiet, message_id, "read")


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param('{"id":"wamid.S","status":"read","timestamp":"1","x":"\\ud83d"}', id="half"),
        pytest.param('{"id":"wamid.S\\ud83d","status":"read","timestamp":"1"}', id="half in an id"),
        pytest.param(
            '{"id":"wamid.S","status":"read","recipient_id":"\\udc00"}', id="half in wa_id"
        ),
        pytest.param(
            '{"id":"wamid.S","status":"failed","errors":[{"code":%s}]}' % ("9" * 5000), id="huge"
        ),
        pytest.param('{"id":"wamid.S","status":"failed","errors":[{"code":NaN}]}', id="NaN"),
        pytest.param('{"id":"wamid.S","status":"read","timestamp":1e400}', id="beyond doubles"),
        pytest.param(
            '{"id":"wamid.S","status":"failed","errors":[{"code":1,"title":"\\ud83d"}]}',
            id="half in a title",
        ),
        pytest.param(
            '{"id":"wamid.S","status":"failed","errors":[{"code":1,"error_data":{"details":"\\ud83d"}}]}',
            id="half in details",
        ),
    ],
)
def test_one_item_that_nobody_can_read_does_not_spoil_the_others(
    gateway: RunningGateway, quiet: httpx.Client, spoilt: str
) -> None:
    message_id, wamid = accepted(quiet)
    body = json.dumps(callback("SPOILT", status(wamid, "read"))).replace('"SPOILT"', spoilt)

    assert call(quiet, body.encode()).status_code == 200

    becomes(quiet, message_id, "read")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"entry": {}}',
        b"[" * 10_000,
        b"\x00" * 100,
    ],
    ids=["empty", "cut off", "a list", "null", "a text", "not UTF-8", "no list", "deep", "NULs"],
)
def test_a_callback_that_means_nothing_is_taken_and_changes_nothing(
    quiet: httpx.Client, content: bytes
) -> None:
    assert call(quiet, content).status_code == 200

    after_everything_before(quiet)


def test_poison_in_a_callback_does_not_keep_the_gateway_from_starting(
    gateway: RunningGateway, quiet: httpx.Client
) -> None:
    poison = '{"id":"wamid.S","status":"failed","errors":[{"code":%s}]}' % ("9" * 5000)
    body = json.dumps(callback("SPOILT")).replace('"SPOILT"', poison)
    assert call(quiet, body.encode()).status_code == 200

    gateway.restart()

    with simulator(quiet, delays_ms=SILENT):
        after_everything_before(quiet)


# How the simulator can tell them


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param({"repeat": {"probability": 1, "times": 3}}, id="each four times"),
        pytest.param({"reorder": 1, "seed": 7}, id="in a wrong order"),
        pytest.param({"batch": {"size": 50, "window_ms": 200}}, id="many in one callback"),
        pytest.param({"before_answer": ["sent"]}, id="sent before the answer"),
        pytest.param({"before_answer": ["sent", "delivered", "read"]}, id="all before the answer"),
        pytest.param({"delays_ms": {"sent": 0, "delivered": 0, "read": 0}}, id="all at once"),
        pytest.param(
            {"delays_ms": {"sent": None, "delivered": None, "read": 50}}, id="only the last one"
        ),
        pytest.param(
            {"repeat": {"probability": 0.5}, "reorder": 0.5, "jitter_ms": 100, "seed": 3},
            id="everything at a time",
        ),
    ],
)
def test_a_message_is_read_however_its_receipts_come(
    api: httpx.Client, behaviour: dict[str, Any]
) -> None:
    with simulator(api, **behaviour):
        found = [sent(api) for _ in range(5)]
        for message_id in found:
            read = becomes(api, message_id, "read")
            assert (read["flags"], read["error"]) == ([], None)
            assert [attempt["outcome"] for attempt in read["attempts"]] == ["accepted"]


def test_what_the_provider_never_tells_stays_accepted(api: httpx.Client) -> None:
    with simulator(api, drop=1):
        found = sent(api)
        becomes(api, sent(api), "accepted")

    assert (get(api, found)["status"], get(api, found)["receipts"]) == ("accepted", [])


def test_a_callback_that_met_a_gateway_that_was_down_comes_again(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with (
        GraphDouble(lambda _: taken("wamid.DOWN")) as graph,
        running(tmp_path_factory.mktemp("down"), graph.config) as (gateway, api),
    ):
        found = sent(api)
        body = json.dumps(callback(status("wamid.DOWN", "read"), number_id="1065000077")).encode()
        gateway.kill()
        gateway.start()
        api.post(
            CALLBACKS, content=body, headers=signature(body, "secret-app-secret")
        ).raise_for_status()

        becomes(api, found, "read")


# Receipts that nobody waits for yet


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GraphDouble, httpx.Client]]:
    """A gateway whose provider is in the test's hands."""
    folder: Path = tmp_path_factory.mktemp("own")
    with (
        GraphDouble(lambda _: taken(f"wamid.{next(_wamids)}")) as graph,
        running(folder, graph.config) as (_, api),
    ):
        yield graph, api


def tell(api: httpx.Client, *statuses: dict[str, Any]) -> None:
    body = json.dumps(callback(*statuses, number_id="1065000077")).encode()
    answer = api.post(CALLBACKS, content=body, headers=signature(body, "secret-app-secret"))
    assert answer.status_code == 200


def test_a_receipt_for_an_unknown_id_is_parked_until_the_id_is_known(
    own: tuple[GraphDouble, httpx.Client],
) -> None:
    graph, api = own
    graph.answering = lambda _: taken("wamid.EARLY")
    tell(api, status("wamid.EARLY", "sent"), status("wamid.EARLY", "delivered"))

    answer = send(api)

    assert (answer.status_code, answer.json()["data"]["status"]) == (200, "accepted")
    delivered = becomes(api, answer.json()["data"]["id"], "delivered")
    assert [each["status"] for each in delivered["receipts"]] == ["sent", "delivered"]


def test_a_receipt_with_the_mark_settles_an_attempt_before_its_answer(
    own: tuple[GraphDouble, httpx.Client],
) -> None:
    graph, api = own
    may_answer = threading.Event()

    def answering(asked: dict[str, Any]) -> tuple[int, bytes]:
        mark = asked["biz_opaque_callback_data"]
        tell(api, status("wamid.MARKED", "sent", biz_opaque_callback_data=mark))
        may_answer.wait(10)
        return taken("wamid.MARKED")

    graph.answering = answering
    try:
        answer = send(api, message(somebody()), Prefer="wait=5")
        assert (answer.status_code, answer.json()["data"]["status"]) == (200, "accepted")
    finally:
        may_answer.set()

    sent_on = becomes(api, answer.json()["data"]["id"], "sent")
    assert sent_on["attempts"][0]["provider_id"] == "wamid.MARKED"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        pytest.param((200, b""), "unknown", id="200 with nothing"),
        pytest.param((200, b"{}"), "unknown", id="200 with an empty object"),
        pytest.param((200, b'{"messages": []}'), "unknown", id="200 without an id"),
        pytest.param((200, b'{"messages": [{"id": 7}]}'), "unknown", id="200 with a wrong id"),
        pytest.param((200, b"\xff\xfe"), "unknown", id="200 with bytes"),
        pytest.param((200, b"[" * 10_000), "unknown", id="200, endlessly nested"),
        pytest.param((302, b""), "unknown", id="a redirect"),
        pytest.param((404, b"<h1>"), "unknown", id="a page that is not there"),
        pytest.param(
            (500, b'{"error": {"message": "x"}}'), "unknown", id="an error without a code"
        ),
        pytest.param(
            (500, b'{"error": {"code": 777777}}'), "busy", id="an unheard-of error of theirs"
        ),
        pytest.param(
            (400, b'{"error": {"code": 777777}}'), "refused", id="an unheard-of error of ours"
        ),
        pytest.param(
            (400, b'{"error": {"code": 777777, "is_transient": true}}'),
            "busy",
            id="a transient one",
        ),
        pytest.param(
            (400, b'{"error": {"code": 131009, "error_data": {"details": "Zo\\ud83d"}}}'),
            "refused",
            id="half a character in the details",
        ),
        pytest.param((429, b"slow down"), "busy", id="429 without a code"),
        pytest.param(
            (400, b'{"error": {"code": 131009, "error_data": "text"}}'),
            "refused",
            id="a text as data",
        ),
        pytest.param(
            (400, b'{"error": {"code": ' + b"9" * 5000 + b"}}"), "unknown", id="5000 digits"
        ),
    ],
)
def test_an_answer_that_nobody_knows_is_never_called_a_success(
    own: tuple[GraphDouble, httpx.Client], answer: tuple[int, bytes], outcome: str
) -> None:
    graph, api = own
    graph.answering = lambda _: answer
    # Five unknown answers in a row pause it.
    api.post("/api/whatsapp/v1/senders/main/resume").raise_for_status()

    send(api, body := message(), Prefer="wait=0")

    def settled() -> dict[str, Any] | None:
        listed = api.get("/api/whatsapp/v1/messages", params={"to": body["to"]}).json()["data"]
        attempts = listed[0]["attempts"] if listed else []
        return listed[0] if attempts and attempts[0]["outcome"] else None

    found = eventually(settled)
    assert found["attempts"][0]["outcome"] == outcome
    assert (
        found["status"]
        in {"unknown": ["unknown"], "busy": ["queued", "sending"], "refused": ["failed"]}[outcome]
    )


def test_a_provider_that_cannot_be_reached_is_tried_again_until_it_can(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with GraphDouble(lambda _: taken("wamid.AT-LAST")) as graph:
        pass  # nothing listens any more
    with running(tmp_path_factory.mktemp("unreachable"), graph.config) as (_, api):
        found = sent(api, Prefer="respond-async")
        eventually(lambda: "busy" in outcomes(api, found))
        with GraphDouble(lambda _: taken("wamid.AT-LAST"), port=graph.port) as back:
            accepted = becomes(api, found, "accepted", within=10)

    assert accepted["attempts"][-1]["provider_id"] == "wamid.AT-LAST"
    assert len(back.received) == 1


@pytest.mark.parametrize("wamid", ["wamid.HBgL+/8=", "wamid.a b", "wamid.é?#%2F", "wamid.a/cancel"])
def test_a_message_is_found_by_a_whatsapp_id_of_any_characters(
    own: tuple[GraphDouble, httpx.Client], wamid: str
) -> None:
    graph, api = own
    graph.answering = lambda _: taken(wamid)
    found = sent(api)

    answer = api.get(f"/api/whatsapp/v1/messages/{quote(wamid, safe='')}")

    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["id"] == found
    too_late = api.post(f"/api/whatsapp/v1/messages/{quote(wamid, safe='')}/cancel")
    assert_problem(too_late, 409, "too_late")


def test_with_senders_of_its_own_the_gateway_has_no_simulator(
    own: tuple[GraphDouble, httpx.Client],
) -> None:
    _, api = own

    for path in ("/simulator", "/simulator/api/messages", "/simulator/graph/v24.0/1/messages"):
        assert_problem(api.get(path), 404, "not_found")


def test_credentials_are_in_no_answer_and_no_log(own: tuple[GraphDouble, httpx.Client]) -> None:
    graph, api = own
    graph.answering = lambda _: (401, b'{"error": {"code": 190, "message": "bad token"}}')
    found = sent(api, Prefer="respond-async")
    eventually(lambda: "busy" in outcomes(api, found))

    assert "secret-" not in json.dumps(get(api, found))
    assert "secret-" not in api.get("/metrics").text
