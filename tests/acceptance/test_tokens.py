"""`alir token` beside a running gateway."""

from __future__ import annotations

import re

import httpx
import pytest
from tests.acceptance.gateway import RunningGateway
from tests.acceptance.polling import eventually
from tests.acceptance.talk import (
    MESSAGES,
    alir,
    assert_problem,
    client,
    message,
    new_token,
    send,
    sent,
)

#: The design's own limit for a change of an API token's rights.
SOON = 5


def status(gateway: RunningGateway, token: str) -> int:
    with client(gateway, token) as http:
        return http.get(MESSAGES).status_code


def test_a_new_api_token_works_at_once(gateway: RunningGateway) -> None:
    made = alir(gateway, "token", "create", "shop")

    assert made.returncode == 0
    token = made.stdout.strip()
    assert re.fullmatch(r"alir_[0-9A-Za-z]{43}", token)
    assert "not shown again" in made.stderr
    with client(gateway, token) as http:
        assert send(http).status_code == 200
        assert http.get(MESSAGES).status_code == 200


def test_a_revoked_api_token_stops_soon_and_for_good(gateway: RunningGateway) -> None:
    token = new_token(gateway, "leaver")
    assert status(gateway, token) == 200

    revoked = alir(gateway, "token", "revoke", "leaver")

    assert (revoked.returncode, revoked.stdout.strip()) == (0, "leaver is revoked.")
    eventually(lambda: status(gateway, token) == 401, within=SOON)
    with client(gateway, token) as http:
        assert_problem(send(http), 401, "unauthorized")
    assert alir(gateway, "token", "revoke", "leaver").returncode == 0
    assert alir(gateway, "token", "rotate", "leaver").returncode == 1


def test_a_rotated_api_token_keeps_its_identity(gateway: RunningGateway) -> None:
    former = new_token(gateway, "rotating", "--scope", "send")
    body = message()
    with client(gateway, former) as http:
        found = sent(http, body, Idempotency_Key="across-rotation")

    rotated = alir(gateway, "token", "rotate", "rotating")

    latter = rotated.stdout.strip()
    assert latter != former
    with client(gateway, latter) as http:
        again = send(http, body, Idempotency_Key="across-rotation")
        assert again.json()["data"]["id"] == found
        assert again.headers["idempotency-replayed"] == "true"
        assert_problem(http.get(MESSAGES), 403, "scope_missing")  # its rights are the same
    eventually(lambda: status(gateway, former) == 401, within=SOON)


@pytest.mark.parametrize(
    ("options", "sends", "reads"),
    [
        pytest.param([], 200, 200, id="send and read by default"),
        pytest.param(["--scope", "send"], 200, 403, id="send"),
        pytest.param(["--scope", "read"], 403, 200, id="read"),
        pytest.param(["--scope", "admin"], 403, 403, id="admin is the rest"),
        pytest.param(["--scope", "send", "--scope", "read"], 200, 200, id="both"),
        pytest.param(["--sender", "sandbox"], 200, 200, id="one sender"),
        pytest.param(["--sender", "elsewhere"], 422, 200, id="a sender that is not there"),
    ],
)
def test_an_api_token_has_the_rights_that_it_was_given(
    gateway: RunningGateway,
    request: pytest.FixtureRequest,
    options: list[str],
    sends: int,
    reads: int,
) -> None:
    token = new_token(gateway, request.node.callspec.id, *options)

    with client(gateway, token) as http:
        assert send(http).status_code == sends
        assert http.get(MESSAGES).status_code == reads


def test_the_list_shows_names_and_rights_and_no_api_token(gateway: RunningGateway) -> None:
    token = new_token(gateway, "listed", "--scope", "read", "--sender", "sandbox")
    alir(gateway, "token", "revoke", "listed")

    listed = alir(gateway, "token", "list")

    assert listed.returncode == 0
    [line] = [line for line in listed.stdout.splitlines() if line.lstrip().startswith("listed")]
    assert "read" in line
    assert token not in listed.stdout
    assert gateway.token not in listed.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["create", "first"], "exists already", id="a name that is taken"),
        pytest.param(["create", "x", "--scope", "write"], "send, read, admin", id="no such scope"),
        pytest.param(["create"], "name", id="no name"),
        pytest.param(
            ["create", "x", "--sender", "a", "--default-sender", "b"],
            "b is not one of",
            id="default",
        ),
        pytest.param(["create", " "], "must not be empty", id="an empty name"),
        pytest.param(["create", "x", "--sender", ""], "must not be empty", id="an empty sender"),
        pytest.param(
            ["create", "x", "--default-sender", ""], "must not be empty", id="an empty default"
        ),
        pytest.param(["revoke", "nobody"], "nobody", id="revoke nobody"),
        pytest.param(["rotate", "nobody"], "nobody", id="rotate nobody"),
    ],
)
def test_what_cannot_be_done_is_explained(
    gateway: RunningGateway, arguments: list[str], words: str
) -> None:
    ended = alir(gateway, "token", *arguments)

    assert ended.returncode in (1, 2)
    assert words in ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr


def test_senders_that_nobody_configured_are_warned_of(gateway: RunningGateway) -> None:
    made = alir(
        gateway,
        *("token", "create", "hopeful", "--sender", "jakarta", "--sender", "sandbox"),
        *("--default-sender", "jakarta"),
    )

    assert made.returncode == 0
    assert re.fullmatch(r"alir_[0-9A-Za-z]{43}", made.stdout.strip())
    [warning] = [line for line in made.stderr.splitlines() if line.startswith("Warning: ")]
    assert "jakarta" in warning
    assert "Senders: sandbox." in warning


def test_a_sender_that_is_configured_is_not_warned_of(gateway: RunningGateway) -> None:
    made = alir(gateway, "token", "create", "ordinary", "--sender", "sandbox")

    assert "Warning" not in made.stderr


def test_api_tokens_are_stored_as_nothing_but_their_digest(
    gateway: RunningGateway, api: httpx.Client
) -> None:
    token = new_token(gateway, "hidden")
    sent(api)

    stored = b"".join(path.read_bytes() for path in gateway.folder.glob("alir.db*"))

    assert token.encode() not in stored
    assert gateway.token.encode() not in stored
