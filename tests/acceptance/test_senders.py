"""Senders over HTTP: what they show, and what pausing and resuming one does."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.acceptance.gateway import RunningGateway, RunningSimulator
from tests.acceptance.polling import eventually
from tests.acceptance.talk import (
    MESSAGES,
    alir,
    assert_nothing_of_people,
    assert_problem,
    becomes,
    client,
    errors,
    get,
    message,
    new_token,
    send,
    sent,
)
from tests.contract_document import ContractDocument

SENDERS = "/api/whatsapp/v1/senders"
#: As the simulator takes them; the secrets of a sender must show nowhere.
PASSWORD = "simulator"
CALLBACK_SECRET = "a-callback-secret-of-these-tests"
CONFIG = """
[cloud]
graph_url = "{url}/graph"
pair_seconds = 0

[senders.one]
provider = "cloud"
account = "shop"
phone_number_id = "1065000001"
access_token = "simulator"
app_secret = "simulator"

[senders.two]
provider = "cloud"
account = "shop"
phone_number_id = "1065000002"
access_token = "simulator"
app_secret = "simulator"

[senders.jakarta]
provider = "routemobile"
base_url = "{url}/routemobile"
username = "jakarta"
password = "simulator"
callback_secret = "{secret}"
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Two numbers of one account and one at Route Mobile, all at a simulator beside it."""
    with RunningSimulator(tmp_path_factory.mktemp("simulator")) as simulator:
        config = CONFIG.format(url=simulator.url, secret=CALLBACK_SECRET)
        with RunningGateway(tmp_path_factory.mktemp("gateway"), config=config) as running:
            yield running


@pytest.fixture(autouse=True)
def _resumed(api: httpx.Client) -> Iterator[None]:
    yield
    # What a provider keeps refusing would pause its sender again.
    for left in api.get(MESSAGES, params={"status": "queued"}).json()["data"]:
        api.post(f"{MESSAGES}/{left['id']}/cancel")
    for name in ("one", "two", "jakarta"):
        api.post(f"{SENDERS}/{name}/resume").raise_for_status()


@pytest.fixture(scope="module")
def contract(api: httpx.Client) -> ContractDocument:
    return ContractDocument(api.get("/openapi.json").raise_for_status().json())


def listed(api: httpx.Client) -> dict[str, dict[str, Any]]:
    answer = api.get(SENDERS).raise_for_status().json()
    assert answer["next_cursor"] is None
    return {sender["name"]: sender for sender in answer["data"]}


def pause(api: httpx.Client, name: str, body: Any = None) -> dict[str, Any]:
    answer = (
        api.post(f"{SENDERS}/{name}/pause", json=body)
        if body
        else api.post(f"{SENDERS}/{name}/pause")
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


def resume(api: httpx.Client, name: str) -> dict[str, Any]:
    answer = api.post(f"{SENDERS}/{name}/resume")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


def events(gateway: RunningGateway, kind: str) -> list[dict[str, Any]]:
    connection = sqlite3.connect(f"file:{gateway.folder}/alir.db?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT data FROM event WHERE type = ?", (kind,)).fetchall()
    finally:
        connection.close()
    return [json.loads(data) for (data,) in rows]


def metric(api: httpx.Client, sender: str, scope: str) -> float:
    series = f'alir_paused{{scope="{scope}",sender="{sender}"}}'
    found = re.search(rf"^{re.escape(series)} (\S+)$", api.get("/metrics").text, re.M)
    assert found, series
    return float(found[1])


def test_every_sender_is_listed_with_its_limits_and_nothing_secret(
    api: httpx.Client, contract: ContractDocument
) -> None:
    answer = api.get(SENDERS)

    contract.assert_documented("GET", SENDERS, answer)
    assert [sender["name"] for sender in answer.json()["data"]] == ["one", "two", "jakarta"]
    one = listed(api)["one"]
    assert one == {
        "name": "one",
        "provider": "cloud",
        "account": "shop",
        "paused": False,
        "why": None,
        "pauses": [],
        "paused_recipients": 0,
        "limits": {"messages_per_second": 80, "pair_seconds": 0, "pair_burst": 45},
        "queue": {"due": 0, "oldest_due_at": None, "unknown": 0},
    }
    for secret in (PASSWORD, CALLBACK_SECRET):
        assert secret not in answer.text


def test_an_api_token_sees_and_touches_its_own_senders_only(gateway: RunningGateway) -> None:
    token = new_token(gateway, "two-only", "--sender", "two", "--scope", "read", "--scope", "admin")
    with client(gateway, token) as mine:
        assert [*listed(mine)] == ["two"]
        assert pause(mine, "two")["paused"]
        for name in ("one", "nobody", "Two", "two%2Fthree"):
            for deed in ("pause", "resume"):
                assert_problem(mine.post(f"{SENDERS}/{name}/{deed}"), 404, "not_found")


@pytest.mark.parametrize("scope", ["send", "read"])
def test_only_an_admin_pauses_and_resumes(gateway: RunningGateway, scope: str) -> None:
    token = new_token(gateway, f"only-{scope}", "--scope", scope)
    with client(gateway, token) as other:
        assert_problem(other.post(f"{SENDERS}/one/pause"), 403, "scope_missing")
        assert_problem(other.post(f"{SENDERS}/one/resume"), 403, "scope_missing")
        assert (other.get(SENDERS).status_code == 200) is (scope == "read")


def test_a_paused_sender_takes_messages_at_once_and_sends_them_when_it_is_resumed(
    gateway: RunningGateway, api: httpx.Client, contract: ContractDocument
) -> None:
    paused = pause(api, "one", {"reason": "Stocktaking"})
    assert paused["paused"] is True
    assert paused["why"] == paused["pauses"][0]
    assert (paused["why"]["scope"], paused["why"]["title"]) == ("operator", "Stocktaking")
    assert (paused["why"]["code"], paused["why"]["until"]) == (None, None)

    answer = send(api, message(**{"from": "one"}), Prefer="wait=20")
    assert answer.status_code == 202
    assert answer.elapsed.total_seconds() < 5
    waiting = answer.json()["data"]["id"]
    elsewhere = sent(api, message(**{"from": "two"}))
    becomes(api, elsewhere, "accepted")
    assert get(api, waiting)["status"] == "queued"
    assert eventually(lambda: listed(api)["one"]["queue"]["due"] == 1)
    contract.assert_documented("GET", SENDERS, api.get(SENDERS))
    assert metric(api, "one", "operator") == 1
    assert metric(api, "two", "operator") == 0

    assert resume(api, "one")["paused"] is False
    becomes(api, waiting, "accepted")
    assert metric(api, "one", "operator") == 0
    told = [e for e in events(gateway, "sender.paused") if e["title"] == "Stocktaking"]
    assert [(event["sender"], event["scope"]) for event in told] == [("one", "operator")]
    assert any(e["title"] == "Stocktaking" for e in events(gateway, "sender.resumed"))


def test_pausing_twice_changes_reason_and_end(api: httpx.Client) -> None:
    first = pause(api, "one", {"reason": "Lunch", "until": "2030-01-31T09:00:00+07:00"})["why"]
    assert first["until"] == "2030-01-31T02:00:00.000Z"

    second = pause(api, "one")

    assert len(second["pauses"]) == 1
    assert (second["why"]["since"], second["why"]["until"]) == (first["since"], None)
    assert second["why"]["title"] != "Lunch"


def test_resuming_what_is_not_paused_changes_nothing(
    gateway: RunningGateway, api: httpx.Client
) -> None:
    before = len(events(gateway, "sender.resumed"))

    assert resume(api, "one")["paused"] is False
    assert len(events(gateway, "sender.resumed")) == before


def test_an_accounts_pause_shows_on_each_of_its_senders_and_one_resume_ends_it(
    api: httpx.Client, contract: ContractDocument
) -> None:
    sent(api, message("+15550131031", **{"from": "one"}))
    eventually(lambda: listed(api)["one"]["paused"])

    for name in ("one", "two"):
        why = listed(api)[name]["why"]
        assert (why["scope"], why["code"]) == ("account", "131031")
        assert why["advice"]
        assert metric(api, name, "account") == 1
    assert listed(api)["jakarta"]["paused"] is False
    contract.assert_documented("GET", SENDERS, api.get(SENDERS))
    assert pause(api, "one", {"reason": "Mine"})["why"]["title"] == "Mine"
    assert resume(api, "two")["paused"] is False
    assert [p["scope"] for p in listed(api)["one"]["pauses"]] == ["operator"]


def test_a_person_who_has_to_wait_is_counted_and_not_named(api: httpx.Client) -> None:
    waits = sent(api, message("+15550131056", **{"from": "two"}))
    two = eventually(
        lambda: found if (found := listed(api)["two"])["paused_recipients"] == 1 else None
    )

    assert (two["paused"], two["pauses"]) == (False, [])
    assert metric(api, "two", "recipient") == 1
    for said in (api.get(SENDERS).text, api.get("/metrics").text):
        assert "5550131056" not in said
    # Or the person has to wait again at once.
    eventually(lambda: api.post(f"{MESSAGES}/{waits}/cancel").status_code == 200)
    resume(api, "two")
    assert listed(api)["two"]["paused_recipients"] == 0


@pytest.mark.parametrize(
    ("body", "broken"),
    [
        ([], {"#": "wrong_type"}),
        (None, {"#": "wrong_type"}),
        ({"reason": ""}, {"#/reason": "too_short"}),
        ({"reason": "x" * 201}, {"#/reason": "too_long"}),
        ({"reason": "a\nb"}, {"#/reason": "control_character"}),
        ({"reason": 7}, {"#/reason": "wrong_type"}),
        ({"until": "tomorrow"}, {"#/until": "invalid_time"}),
        ({"until": "2030-01-31T09:00:00"}, {"#/until": "invalid_time"}),
        ({"until": "2020-01-31T09:00:00Z"}, {"#/until": "in_the_past"}),
        ({"until": 1}, {"#/until": "wrong_type"}),
        ({"why": "x", "until": "x"}, {"#/why": "unknown_field", "#/until": "invalid_time"}),
    ],
)
def test_a_body_that_breaks_rules_is_told_all_of_them_and_pauses_nothing(
    api: httpx.Client, contract: ContractDocument, body: Any, broken: dict[str, str]
) -> None:
    headers = {"content-type": "application/json"}
    answer = api.post(f"{SENDERS}/one/pause", content=json.dumps(body), headers=headers)

    assert errors(answer) == broken
    contract.assert_documented("POST", f"{SENDERS}/{{name}}/pause", answer)
    assert listed(api)["one"]["paused"] is False


def test_a_body_is_checked_like_that_of_a_message(
    api: httpx.Client, contract: ContractDocument
) -> None:
    url = f"{SENDERS}/one/pause"
    answers = [
        (400, api.post(url, content=b'{"reason": }', headers={"content-type": "application/json"})),
        (401, api.post(url, headers={"authorization": "Bearer nobody"})),
        (413, api.post(url, content=b" " * 20_000)),
        (415, api.post(url, content=b"{}")),
        (404, api.post(f"{SENDERS}/nobody/pause", json={"reason": "x"})),
        (200, api.post(url, json={})),
    ]

    for status, answer in answers:
        assert answer.status_code == status, answer.text
        contract.assert_documented("POST", f"{SENDERS}/{{name}}/pause", answer)


def test_pauses_last_over_a_restart_and_nothing_is_lost(
    gateway: RunningGateway, api: httpx.Client
) -> None:
    pause(api, "two", {"reason": "Moving house"})
    waiting = sent(api, message(**{"from": "two"}), Prefer="respond-async")

    gateway.restart()

    assert listed(api)["two"]["why"]["title"] == "Moving house"
    assert get(api, waiting)["status"] == "queued"
    resume(api, "two")
    becomes(api, waiting, "accepted")
    assert api.get(MESSAGES, params={"status": "queued", "from": "two"}).json()["data"] == []


# At the command line, beside the gateway


def test_the_command_line_pauses_and_resumes_beside_a_running_gateway(
    gateway: RunningGateway, api: httpx.Client
) -> None:
    paused = alir(gateway, "sender", "pause", "one", "--reason", "From the shell")

    assert (paused.returncode, paused.stdout.strip()) == (0, "one is paused.")
    eventually(lambda: listed(api)["one"]["paused"])
    assert listed(api)["one"]["why"]["title"] == "From the shell"
    waiting = sent(api, message(**{"from": "one"}), Prefer="respond-async")
    table = alir(gateway, "sender", "list")
    assert table.returncode == 0, table.stderr
    [row] = [line for line in table.stdout.splitlines() if line.strip().startswith("one ")]
    assert "From the shell" in row
    assert "operator" in row

    resumed = alir(gateway, "sender", "resume", "one")

    assert (resumed.returncode, resumed.stdout.strip()) == (0, "one is resumed.")
    eventually(lambda: not listed(api)["one"]["paused"])
    becomes(api, waiting, "accepted")
    assert "one was not paused." in alir(gateway, "sender", "resume", "one").stdout
    assert_nothing_of_people(gateway.output(), CALLBACK_SECRET)


def test_the_command_line_resumes_a_whole_account(
    gateway: RunningGateway, api: httpx.Client
) -> None:
    refused = sent(api, message("+15550131031", **{"from": "one"}))
    eventually(lambda: listed(api)["two"]["paused"])
    api.post(f"{MESSAGES}/{refused}/cancel").raise_for_status()  # or it pauses it again

    assert alir(gateway, "sender", "resume", "two").returncode == 0

    eventually(lambda: not any(sender["paused"] for sender in listed(api).values()))


def test_the_command_line_says_what_it_cannot_do(gateway: RunningGateway) -> None:
    for arguments, said in {
        ("pause", "nobody"): "no sender is called nobody",
        ("resume", "nobody"): "no sender is called nobody",
        ("check", "nobody"): "no sender is called nobody",
        ("pause", "one", "--until", "tomorrow"): "RFC 3339",
        ("pause", "one", "--until", "2020-01-31T09:00:00Z"): "has passed",
        ("pause", "one", "--reason", ""): "must not be empty",
    }.items():
        ran = alir(gateway, "sender", *arguments)
        assert ran.returncode == 2, (arguments, ran.stdout)
        assert said in ran.stderr
