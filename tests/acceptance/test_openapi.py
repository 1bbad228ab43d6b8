"""The OpenAPI document: its examples work, and no answer of a running gateway is outside it."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.acceptance.gateway import RunningGateway
from tests.acceptance.talk import CALLBACKS, MESSAGES, becomes, message, new_token, send
from tests.contract_document import ContractDocument

from alir.messages.check import check

#: The least that the issue asks for, and cases for each operation that surely come to more.
CASES = 2000
EXAMPLES_OF_EACH = 300
#: A caller that tries everything must not wait for what never comes.
SHORT_WAITS = """
[api]
default_wait_seconds = 0.2
longest_wait_seconds = 1

[cloud]
messages_per_second = 0
pair_seconds = 0
"""
JSON = {"content-type": "application/json"}
VERIFY = {"hub.mode": "subscribe", "hub.verify_token": "simulator", "hub.challenge": "1158201444"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One that waits for providers only shortly."""
    with RunningGateway(tmp_path_factory.mktemp("gateway"), config=SHORT_WAITS) as running:
        yield running


@pytest.fixture(scope="module")
def contract(api: httpx.Client) -> ContractDocument:
    return ContractDocument(api.get("/openapi.json").raise_for_status().json())


# The document


def test_it_has_the_hot_routes_beside_the_others(contract: ContractDocument) -> None:
    operations = {
        f"{method.upper()} {path.removeprefix('/api/whatsapp/v1')}": operation["operationId"]
        for path, methods in contract.document["paths"].items()
        for method, operation in methods.items()
    }

    assert operations == {
        "POST /messages": "send_message",
        "POST /messages/batch": "send_batch",
        "POST /messages/cancel": "cancel_messages",
        "POST /messages/retry": "retry_messages",
        "GET /messages": "list_messages",
        "GET /messages/{id}": "get_message",
        "POST /messages/{id}/cancel": "cancel_message",
        "POST /messages/{id}/retry": "retry_message",
        "GET /senders": "list_senders",
        "POST /senders/{name}/pause": "pause_sender",
        "POST /senders/{name}/resume": "resume_sender",
        "GET /callbacks/cloud": "check_cloud_callback",
        "POST /callbacks/cloud": "take_cloud_callback",
        "POST /callbacks/routemobile/{secret}": "take_routemobile_callback",
        "GET /healthz": "healthz",
        "GET /readyz": "readyz",
        "GET /metrics": "metrics",
    }


def test_every_answer_that_is_an_error_is_a_problem(contract: ContractDocument) -> None:
    text = json.dumps(contract.document)

    assert "HTTPValidationError" not in text
    assert '"ValidationError"' not in text
    for methods in contract.document["paths"].values():
        for operation in methods.values():
            errors = {s: r for s, r in operation["responses"].items() if s >= "400"}
            if operation["operationId"] != "readyz":
                assert all([*r["content"]] == ["application/problem+json"] for r in errors.values())


def test_the_api_takes_a_token_and_the_rest_does_not(contract: ContractDocument) -> None:
    for path, methods in contract.document["paths"].items():
        for operation in methods.values():
            assert bool(operation.get("security")) == path.startswith("/api/"), path
    assert contract.document["components"]["securitySchemes"]["apiToken"]["scheme"] == "bearer"


def test_it_names_every_status_that_sending_can_come_to(contract: ContractDocument) -> None:
    responses = contract.document["paths"][MESSAGES]["post"]["responses"]

    assert [int(status) for status in responses] == [
        *(200, 202, 400, 401, 403, 408, 409, 413, 415, 422, 429, 500, 503)
    ]


def test_every_example_is_what_its_schema_says(contract: ContractDocument) -> None:
    examples = list(contract.examples())

    faults = {where: contract.faults(value, schema) for where, value, schema in examples}

    assert {where: found for where, found in faults.items() if found} == {}
    assert len(examples) > 80


def test_every_problem_that_it_names_has_a_page(
    contract: ContractDocument, api: httpx.Client
) -> None:
    problems = {
        example["type"]
        for _, example, _ in contract.examples()
        if isinstance(example, dict) and "type" in example and "title" in example
    }

    assert len(problems) > 15
    for path in problems:
        assert api.get(path).status_code == 200, path


def request_examples(contract: ContractDocument) -> dict[str, Any]:
    body = contract.document["paths"][MESSAGES]["post"]["requestBody"]
    examples = body["content"]["application/json"]["examples"]
    return {name: example["value"] for name, example in examples.items()}


def test_every_example_of_a_message_is_sent(contract: ContractDocument, api: httpx.Client) -> None:
    statuses = {}
    for name, example in request_examples(contract).items():
        check(example)
        statuses[name] = send(api, example, Prefer="wait=1").status_code

    assert statuses == {
        **dict.fromkeys(("text_header", "media_header", "template", "fallback"), 200),
        "reply_sent_later": 202,
        "recipient": 422,  # for this sender does not allow it
    }


# Answers of every status


def signed(body: bytes) -> dict[str, str]:
    digest = hmac.new(b"simulator", body, hashlib.sha256).hexdigest()
    return {"x-hub-signature-256": f"sha256={digest}"}


def test_every_answer_of_sending_is_documented(
    contract: ContractDocument, gateway: RunningGateway, api: httpx.Client
) -> None:
    reader = new_token(gateway, "reader", "--scope", "read")
    once, late = {"Idempotency-Key": "once"}, {"Idempotency-Key": "late", "Prefer": "respond-async"}
    later = message(send_at="2030-01-31T09:00:00Z")
    cancelled = send(api, later, **late).json()["data"]["id"]
    api.post(f"{MESSAGES}/{cancelled}/cancel").raise_for_status()
    answers = [
        (200, send(api, message("+1 212 555 0123"), **once, Prefer="wait=1")),
        (200, send(api, message("12125550124"), Prefer="wait=1")),
        (202, send(api, message(), Prefer="respond-async")),
        (400, api.post(MESSAGES, content=b'{"to": }', headers=JSON)),
        (401, api.post(MESSAGES, json=message(), headers={"authorization": "Bearer nobody"})),
        (403, api.post(MESSAGES, json={}, headers={"authorization": f"Bearer {reader}"})),
        (409, send(api, later, **late)),
        (413, api.post(MESSAGES, content=b" " * 70_000, headers=JSON)),
        (415, api.post(MESSAGES, content=b"{}")),
        (422, send(api, {})),
        (422, send(api, message("+15550131009"), Prefer="wait=1")),
        (422, send(api, message(), **once)),
        (422, send(api, message(), Idempotency_Key="k" * 256)),
    ]

    for status, answer in answers:
        assert answer.status_code == status, answer.text
        contract.assert_documented("POST", MESSAGES, answer)
    kinds = {answer.json()["type"] for status, answer in answers if status == 422}
    assert kinds == {
        f"/problems/{code}" for code in ("invalid_request", "refused", "idempotency_conflict")
    }


def test_every_answer_to_a_callback_is_documented(
    contract: ContractDocument, api: httpx.Client
) -> None:
    body = b'{"object": "whatsapp_business_account", "entry": [{"changes": [7]}]}'
    answers = [
        (200, "POST", api.post(CALLBACKS, content=body, headers=signed(body))),
        (200, "POST", api.post(CALLBACKS, content=b"\0{", headers=signed(b"\0{"))),
        (401, "POST", api.post(CALLBACKS, content=body)),
        (413, "POST", api.post(CALLBACKS, content=b" " * (4 * 1024 * 1024 + 1))),
        (200, "GET", api.get(CALLBACKS, params=VERIFY)),
        (404, "GET", api.get(CALLBACKS, params=VERIFY | {"hub.verify_token": "guessed"})),
    ]

    for status, method, answer in answers:
        assert answer.status_code == status, answer.text
        contract.assert_documented(method, CALLBACKS, answer)


#: Recipients, and where a message to each comes to stand.
ENDS = {"+1 212 555 0125": "read", "+1 5550 131009": "failed", "+1 5550 131026": "failed"}


def test_a_message_is_documented_wherever_it_stands(
    contract: ContractDocument, api: httpx.Client
) -> None:
    one = f"{MESSAGES}/{{id}}"
    for to, status in ENDS.items():
        answer = send(api, message(to), Prefer="wait=1").json()
        any_id = answer["data"]["id"] if "data" in answer else answer["id"]
        becomes(api, any_id, status)

        contract.assert_documented("GET", one, api.get(f"{MESSAGES}/{any_id}"))
        for deed in ("cancel", "retry", "cancel"):
            answer_to_deed = api.post(f"{MESSAGES}/{any_id}/{deed}")
            contract.assert_documented("POST", f"{one}/{deed}", answer_to_deed)
    contract.assert_documented("GET", MESSAGES, api.get(MESSAGES, params={"limit": 200}))


BATCH = f"{MESSAGES}/batch"
NDJSON = {"content-type": "application/x-ndjson"}


def test_every_answer_to_a_batch_is_documented(
    contract: ContractDocument, gateway: RunningGateway, api: httpx.Client
) -> None:
    reader = new_token(gateway, "batches", "--scope", "read")
    once = message(idempotency_key="batch")
    answers = [
        (200, api.post(BATCH, json=[message(), {"to": "x"}, once, once, once | {"to": "x"}, 7])),
        (200, api.post(BATCH, content=b'{"to":}\n{"type":1}', headers=NDJSON)),
        (200, api.post(BATCH, json=[message(callback_data="x" * 70_000)])),
        (400, api.post(BATCH, content=b"[", headers=JSON)),
        (401, api.post(BATCH, json=[], headers={"authorization": "Bearer nobody"})),
        (403, api.post(BATCH, json=[], headers={"authorization": f"Bearer {reader}"})),
        (413, api.post(BATCH, content=b" " * (16 * 1024 * 1024 + 1), headers=NDJSON)),
        (415, api.post(BATCH, content=b"[]")),
        (422, api.post(BATCH, json=[])),
    ]

    for status, answer in answers:
        assert answer.status_code == status, answer.text
        contract.assert_documented("POST", BATCH, answer)


def test_every_example_of_a_batch_is_taken_as_its_answer_says(
    contract: ContractDocument, api: httpx.Client
) -> None:
    body = contract.document["paths"][BATCH]["post"]["requestBody"]["content"]["application/json"]
    [example] = body["examples"].values()
    lines = "\n".join(map(json.dumps, example["value"]))

    answer = api.post(BATCH, json=example["value"])
    again = api.post(BATCH, content=lines.encode(), headers=NDJSON)

    assert [item["status"] for item in answer.json()["data"]] == [202, 422]
    ids = [each.json()["data"][0]["data"]["id"] for each in (answer, again)]
    assert ids[0] == ids[1]  # by its key


@pytest.mark.parametrize("deed", ["cancel", "retry"])
def test_every_answer_to_changing_many_is_documented(
    contract: ContractDocument, api: httpx.Client, deed: str
) -> None:
    path = f"{MESSAGES}/{deed}"
    answers = [
        (200, api.post(path, params={"to": "+12125550199"})),
        (401, api.post(path, headers={"authorization": "Bearer nobody"})),
        (422, api.post(path)),
    ]

    for status, answer in answers:
        assert answer.status_code == status, answer.text
        contract.assert_documented("POST", path, answer)


# Any answer to anything


@pytest.mark.timeout(600)
def test_no_request_is_answered_outside_the_document(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{gateway.url}/openapi.json"),
        *("--header", f"Authorization: Bearer {gateway.token}"),
        *("--max-examples", str(EXAMPLES_OF_EACH), "--generation-deterministic"),
        # No schema can say which senders, cursors and country codes there are.
        *("--exclude-checks", "positive_data_acceptance"),
        *("--continue-on-failure", "--no-color"),
        *("--report", "json", "--report-json-path", str(report)),
    ]

    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr
    found = json.loads(report.read_text())
    assert found["test_cases"]["generated"] >= CASES
    assert found["test_cases"]["with_failures"] == 0
    # Much of what the schema takes, the gateway takes: it was not only errors that were tried. It
    # knows no user ids, and none of the senders and earlier messages that are made up.
    sent = found["valid_rates"][f"POST {MESSAGES}"]["fuzzing"]
    assert 4 * sent["accepted"] > sent["rejected"]
