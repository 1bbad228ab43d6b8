"""One number of the Cloud API: what goes out, and what each end of a call means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.clock import FakeClock
from tests.examples import a_message
from tests.running import in_a_loop
from tests.senders import a_cloud_sender

from alir.dispatch.ports import Sent
from alir.errors import OutcomeUnknown, ProviderBusy, ProviderRefused, SendFailure
from alir.ids import ProviderId
from alir.messages import life, limits
from alir.outbound.http import Answer, NeverConnected, NoAnswer
from alir.providers.cloud.adapter import CloudProvider
from alir.providers.tools import Tools
from alir.providers.whatsapp.codes import meanings
from alir.tables.secret import Secret

TAKEN = b'{"messages": [{"id": "wamid.1"}]}'


@dataclass
class Scripted:
    """An HTTP client that ends each call in one way, and keeps what it was given."""

    end: Answer | Exception
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        self.requests.append((method, url, dict(headers), body))
        if isinstance(self.end, Exception):
            raise self.end
        return self.end


class Changing(Secret):
    """A secret that is another at each use; the last one stays."""

    __slots__ = ("_values",)

    def __init__(self, *values: str) -> None:
        super().__init__(values[0])
        self._values = list(values)

    def reveal(self) -> str:
        return self._values.pop(0) if len(self._values) > 1 else self._values[0]


def provider(http: Scripted, **changes: Any) -> CloudProvider:
    tools = Tools(http=http, clock=FakeClock(), codes=meanings())
    return CloudProvider(a_cloud_sender(**changes), tools)


@pytest.mark.parametrize("graph_url", ["https://graph.test", "https://graph.test/"])
@in_a_loop
async def test_a_message_is_posted_once_to_the_numbers_address(graph_url: str) -> None:
    http = Scripted(Answer(200, {}, TAKEN))
    message = a_message()
    sent = await provider(http, graph_url=graph_url).send(message, 2)

    assert sent == Sent(ProviderId("wamid.1"))
    [(method, url, headers, body)] = http.requests
    assert (method, url) == ("POST", "https://graph.test/v24.0/1065550001/messages")
    assert headers == {"authorization": "Bearer token-1", "content-type": "application/json"}
    assert json.loads(body)["biz_opaque_callback_data"] == f"alir1:{message.id}:2"


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (NeverConnected("ConnectError"), ProviderBusy),
        (NoAnswer("ConnectError"), OutcomeUnknown),
        (Answer(502, {}, b"<html>"), OutcomeUnknown),
        (Answer(200, {}, b""), OutcomeUnknown),
        (Answer(429, {"retry-after": "3"}, b""), ProviderBusy),
        (Answer(400, {}, b'{"error": {"code": 131026}}'), ProviderRefused),
        (Answer(401, {}, b'{"error": {"code": 190}}'), ProviderBusy),
    ],
    ids=str,
)
@in_a_loop
async def test_only_what_certainly_was_not_taken_is_tried_again(
    end: Answer | Exception, expected: type[SendFailure]
) -> None:
    http = Scripted(end)
    with pytest.raises(SendFailure) as caught:
        await provider(http).send(a_message(), 1)

    assert type(caught.value) is expected
    assert len(http.requests) == 1


@in_a_loop
async def test_the_access_token_is_asked_for_at_each_call() -> None:
    http = Scripted(Answer(200, {}, TAKEN))
    sender = provider(http, access_token=Changing("first", "second"))
    await sender.send(a_message(), 1)
    await sender.send(a_message(), 1)

    sent = [headers["authorization"] for _, _, headers, _ in http.requests]
    assert sent == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("before", range(limits.DETAIL - len("token-1"), limits.DETAIL + 1))
@in_a_loop
async def test_no_part_of_an_access_token_that_meta_repeats_is_kept(before: int) -> None:
    said = {"error": {"code": 190, "message": f"{'x' * before}token-1 is malformed"}}
    with pytest.raises(SendFailure) as caught:
        await provider(Scripted(Answer(401, {}, json.dumps(said).encode()))).send(a_message(), 1)

    kept = life.error("provider_busy", caught.value.title, detail=caught.value.details)
    assert "to" not in kept["detail"]
    assert len(kept["detail"]) == limits.DETAIL


@pytest.mark.parametrize("allowed", [True, False])
@in_a_loop
async def test_a_user_id_goes_out_only_where_the_sender_may_use_them(allowed: bool) -> None:
    http = Scripted(Answer(200, {}, TAKEN))
    sender = provider(http, recipients_by_user_id=allowed)
    message = a_message(to=None, recipient="US.1349")

    if not allowed:
        with pytest.raises(ProviderRefused):
            await sender.send(message, 1)
        assert http.requests == []
        return
    await sender.send(message, 1)

    body = json.loads(http.requests[0][3])
    assert body["recipient"] == "US.1349"
    assert "to" not in body


def test_the_fingerprint_changes_with_the_access_token_and_does_not_give_it_away() -> None:
    http = Scripted(Answer(200, {}, TAKEN))
    one, other = provider(http), provider(http, access_token="token-2")

    assert one.credentials() == provider(http).credentials()
    assert one.credentials() != other.credentials()
    assert b"token-1" not in one.credentials()
