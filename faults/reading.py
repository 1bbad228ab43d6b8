"""Two of the three books, read over HTTP: what is stored, and what the provider got."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import httpx
import orjson

from faults.books import UNDER_WAY, Arrived, Stored
from faults.callers import MESSAGES
from faults.programs import API_TOKEN

_PAGE: Final = 200
#: A list may be long, and the machine busy.
_SECONDS: Final = 60.0


async def is_under_way(port: int) -> bool:
    """Whether a gateway has a message that is queued or being sent."""
    async with _api(port) as api:
        pages = [await _page(api, limit=1, status=status) for status in UNDER_WAY]
    return any(page["data"] for page in pages)


async def stored(port: int) -> list[Stored]:
    """Every message that a gateway has."""
    found: list[Stored] = []
    cursor: dict[str, str] = {}
    async with _api(port) as api:
        while True:
            page = await _page(api, limit=_PAGE, **cursor)
            found += map(_stored, page["data"])
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}


def _api(port: int) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {API_TOKEN}"}
    return _client(base_url=f"http://127.0.0.1:{port}", headers=headers)


def _client(**more: Any) -> httpx.AsyncClient:
    # It verifies nobody: to load the certificates for that takes 40 ms, in which the calls on the
    # wire would stand still.
    return httpx.AsyncClient(timeout=_SECONDS, verify=False, **more)


async def _page(api: httpx.AsyncClient, **query: str | int) -> Any:
    answer = await api.get(MESSAGES, params=query)
    answer.raise_for_status()
    return orjson.loads(answer.content)


class Calls(NamedTuple):
    """The provider's book.

    Attributes:
        arrived: each call that it took, by the id that it gave it.
        waiting: how many receipts it has yet to tell.
    """

    arrived: Mapping[str, Arrived]
    waiting: int

    def told_by(self, earlier: Calls) -> list[Arrived]:
        """The calls of now, with what was told of them by then.

        What arrives while the store is read may stand in it, and what is told meanwhile may not.
        """
        return [
            Arrived(call.token, earlier.arrived[id_].told if id_ in earlier.arrived else ())
            for id_, call in self.arrived.items()
        ]


async def arrived(port: int) -> Calls:
    """Every call that the simulator took."""
    async with _client() as simulator:
        answer = await simulator.get(f"http://127.0.0.1:{port}/simulator/api/messages")
    answer.raise_for_status()
    calls = orjson.loads(answer.content)["data"]
    waiting = sum(
        receipt["callback"]["state"] == "waiting" for call in calls for receipt in call["receipts"]
    )
    return Calls({call["wamid"]: _arrived(call) for call in calls}, waiting)


async def refused(port: int) -> dict[str, int]:
    """How often the simulator gave which error code."""
    async with _client() as simulator:
        answer = await simulator.get(f"http://127.0.0.1:{port}/simulator/api/errors")
    answer.raise_for_status()
    errors: dict[str, int] = answer.json()["data"]
    return errors


async def behave(port: int, behaviour: Mapping[str, Any]) -> None:
    """Have the simulator behave so."""
    async with _client() as simulator:
        url = f"http://127.0.0.1:{port}/simulator/api/behaviour"
        (await simulator.put(url, json=dict(behaviour))).raise_for_status()


def _stored(message: Mapping[str, Any]) -> Stored:
    return Stored(
        id=message["id"],
        token=message["flow"]["token"],
        status=message["status"],
        flags=frozenset(message["flags"]),
        attempts=len(message["attempts"]),
    )


def _arrived(call: Mapping[str, Any]) -> Arrived:
    told = [
        receipt["status"]
        for receipt in call["receipts"]
        if receipt["callback"]["state"] == "answered"
    ]
    return Arrived(_token(call["request"]), tuple(told))


def _token(request: Mapping[str, Any]) -> str:
    """The flow token, where each of the two providers has it."""
    flow = request.get("flow") or request["interactive"]["action"]["parameters"]
    token: str = flow["flow_token"]
    return token
