"""What the acceptance tests say to a gateway over and over, and how they recognise its answers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final

import httpx
from tests.acceptance.gateway import RunningGateway
from tests.acceptance.polling import eventually
from tests.seed import mended

from alir.clock import rfc3339

MESSAGES: Final = "/api/whatsapp/v1/messages"
CALLBACKS: Final = "/callbacks/cloud"
SANDBOX: Final = "/api/whatsapp/v1/senders/sandbox"
BEHAVIOUR: Final = "/simulator/api/behaviour"
PROBLEM: Final = "application/problem+json"
#: Every recipient whom these tests make up has a number of Indonesia that begins so.
PEOPLE: Final = "+62812"
#: Stands in every text that these tests make up.
PRIVATE: Final = "Wednesday at the clinic"
SILENT: Final[Mapping[str, None]] = dict.fromkeys(("sent", "delivered", "read", "failed"))

_people = count(1_000_000)
_PEOPLE_IN_ANY_FORM: Final = re.compile(r"62[- ]?812[- ]?\d{3}")


def somebody() -> str:
    """The number of a person to whom nobody else writes."""
    return f"{PEOPLE}{next(_people)}"


def message(to: str | None = None, **changes: Any) -> dict[str, Any]:
    """A message that breaks no rule, with `changes` to its outermost object."""
    return mended(token=f"{PRIVATE}, token") | {"to": somebody() if to is None else to} | changes


def flow_message(**changes: Any) -> dict[str, Any]:
    """A message that breaks no rule, with `changes` to its `flow`."""
    whole = message()
    return whole | {"flow": whole["flow"] | changes}


def ahead(seconds: float) -> str:
    """The moment so far ahead, as requests write it."""
    return rfc3339(datetime.now(UTC) + timedelta(seconds=seconds))


def send(api: httpx.Client, body: Any = None, **headers: str) -> httpx.Response:
    """The answer to a message; of headers' names `_` is read as `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.post(MESSAGES, json=message() if body is None else body, headers=named, timeout=30)


def sent(api: httpx.Client, body: Any = None, **headers: str) -> str:
    """Send a message that is taken, now or later; its id."""
    answer = send(api, body, **headers)
    assert answer.status_code in (200, 202), answer.text[:500]
    found: str = answer.json()["data"]["id"]
    return found


def get(api: httpx.Client, any_id: str) -> dict[str, Any]:
    """The message as the API shows it."""
    answer = api.get(f"{MESSAGES}/{any_id}")
    assert answer.status_code == 200, answer.text[:500]
    found: dict[str, Any] = answer.json()["data"]
    return found


def all_messages(api: httpx.Client, **filters: str) -> Iterator[dict[str, Any]]:
    """Every message that the filters select, newest first, a page after the other."""
    cursor: dict[str, str] = {}
    while True:
        answer = api.get(MESSAGES, params={"limit": "200", **filters, **cursor}, timeout=30)
        assert answer.status_code == 200, answer.text[:500]
        page = answer.json()
        yield from page["data"]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}


def becomes(api: httpx.Client, any_id: str, status: str, *, within: float = 5.0) -> dict[str, Any]:
    """The message, once it stands at `status`."""

    def look() -> dict[str, Any] | None:
        last.append(get(api, any_id))
        return last[-1] if last[-1]["status"] == status else None

    last: list[dict[str, Any]] = []
    try:
        return eventually(look, within=within)
    except AssertionError:
        raise AssertionError(f"not {status}, but {last[-1]}") from None


def at_simulator(api: httpx.Client, to: str) -> list[dict[str, Any]]:
    """What the phone of `to` received, oldest first."""
    answer = api.get("/simulator/api/messages", params={"to": to})
    assert answer.status_code == 200, answer.text[:500]
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


@contextmanager
def paused(api: httpx.Client) -> Iterator[None]:
    """The sender `sandbox` sends nothing inside this context."""
    api.post(f"{SANDBOX}/pause").raise_for_status()
    try:
        yield
    finally:
        api.post(f"{SANDBOX}/resume").raise_for_status()


@contextmanager
def simulator(api: httpx.Client, **behaviour: Any) -> Iterator[None]:
    """The simulator behaves so inside this context, and as by default after it."""
    try:
        api.put(BEHAVIOUR, json=behaviour).raise_for_status()
        yield
    finally:
        api.put(BEHAVIOUR, json={}).raise_for_status()


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body of a problem, which must be of this status and kind."""
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == PROBLEM
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"/problems/{code}", body
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


def errors(answer: httpx.Response) -> dict[str, str]:
    """Code by pointer of a request that breaks rules."""
    listed = assert_problem(answer, 422, "invalid_request")["errors"]
    assert all(error["detail"] for error in listed)
    return {error["pointer"]: error["code"] for error in listed}


def alir(
    gateway: RunningGateway,
    *arguments: str,
    answer: str = "",
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run another command of alir in the gateway's folder, beside it.

    Args:
        answer: what is typed.
        environment: what is added to this process's own.
    """
    return subprocess.run(
        [sys.executable, "-m", "alir", *arguments],
        cwd=gateway.folder,
        env={**os.environ, **(environment or {})},
        input=answer,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def lines(checked: subprocess.CompletedProcess[str]) -> dict[str, tuple[str, str]]:
    """State and words by what a line of a check is about."""
    found = (line.split(maxsplit=1) for line in checked.stdout.splitlines())
    return {rest.split(":")[0]: (state, rest.split(": ", 1)[1]) for state, rest in found}


def new_token(gateway: RunningGateway, name: str, *options: str) -> str:
    """A further API token, made at the command line."""
    made = alir(gateway, "token", "create", name, *options)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def client(gateway: RunningGateway, token: str | None) -> httpx.Client:
    """A client with another API token, or with none."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return httpx.Client(base_url=gateway.url, headers=headers)


@contextmanager
def running(
    folder: Path, config: str = "", **environment: str
) -> Iterator[tuple[RunningGateway, httpx.Client]]:
    """A gateway with these settings, and a client with its API token."""
    with (
        RunningGateway(folder, config=config, environment=environment) as gateway,
        client(gateway, gateway.token) as api,
    ):
        yield gateway, api


def assert_nothing_of_people(said: str, *secrets: str) -> None:
    """No number, text or credential of these tests stands in what a program said."""
    assert not _PEOPLE_IN_ANY_FORM.search(said)
    for secret in (PRIVATE, "TEXT_BODY", "FLOW_BUTTON_TEXT", *secrets):
        assert secret not in said
