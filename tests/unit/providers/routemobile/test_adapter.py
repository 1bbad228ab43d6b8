"""One number at Route Mobile, on a real server that counts: the log-in, its token, and 401."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.clock import START, FakeClock
from tests.examples import TEMPLATE, a_message
from tests.running import in_a_loop
from tests.senders import a_route_mobile_sender

from alir.dispatch.ports import Sent
from alir.errors import OutcomeUnknown, PauseScope, ProviderBusy, ProviderRefused
from alir.messages.model import Flag
from alir.outbound.http import PooledHttpClient
from alir.providers.routemobile.adapter import LONGEST_FOR_A_TOKEN, RouteMobileProvider
from alir.providers.tools import Tools
from alir.providers.whatsapp.codes import meanings
from alir.tables.secret import Secret

LOG_IN, SEND = "/auth/v1/login/", "/wba/v1/messages"


def a_token(number: int, *, exp: float | None = None) -> str:
    claims = {"jti": number} if exp is None else {"jti": number, "exp": exp}
    content = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"h.{content}.s"


class RouteMobile:
    """A server that behaves as Route Mobile does, and counts.

    Attributes:
        passwords: the ones that it takes.
        lifetime: of a token, in seconds; none: it does not say.
        good: the tokens that it takes.
        calls: how often each path was read to the end.
        seen: path, authorization and body of each call.
        log_in_answer, send_answer: instead of what it would answer.
        before: what it does before it answers a call of a path.
    """

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.passwords = {"password-1"}
        self.lifetime: float | None = 3600
        self.good: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.seen: list[tuple[str, str, dict[str, Any]]] = []
        self.log_in_answer: tuple[int, object] | None = None
        self.send_answer: tuple[int, object] | None = None
        self.before: dict[str, Callable[[], None]] = {}
        self.open = asyncio.Event()
        self.open.set()
        self.heard = asyncio.Condition()
        self.port = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = head.split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                body = await reader.readexactly(int(headers["content-length"]))
                path = lines[0].split()[1]
                shown = next((v[15:] for v in lines if v.lower().startswith("authorization")), "")
                self.calls[path] += 1
                self.seen.append((path, shown, json.loads(body)))
                async with self.heard:
                    self.heard.notify_all()
                await self.open.wait()
                self.before.get(path, lambda: None)()
                status, content = self._answer(path, shown, json.loads(body))
                text = content if isinstance(content, bytes) else json.dumps(content).encode()
                start = f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n\r\n"
                writer.write(start.encode() + text)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def has_heard(self, path: str, calls: int) -> None:
        """Return once that many calls of a path were read."""
        async with self.heard:
            await self.heard.wait_for(lambda: self.calls[path] >= calls)

    def _answer(self, path: str, shown: str, body: dict[str, Any]) -> tuple[int, object]:
        if path == LOG_IN:
            return self.log_in_answer or self._logged_in(body)
        if shown not in self.good:
            return 401, {"status": "Failed", "reason": "token"}
        taken = {"status": "processing", "request_id": f"id-{self.calls[SEND]}"}
        return self.send_answer or (202, taken)

    def _logged_in(self, body: dict[str, Any]) -> tuple[int, object]:
        if body["password"] not in self.passwords:
            return 403, {"status": "Unable to log in with provided credentials."}
        exp = None if self.lifetime is None else self.clock.now().timestamp() + self.lifetime
        token = a_token(self.calls[LOG_IN], exp=exp)
        self.good.add(token)
        return 201, {"JWTAUTH": token}


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[tuple[RouteMobile, RouteMobileProvider]]:
    clock = FakeClock(START)
    server = RouteMobile(clock)
    listening = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with PooledHttpClient(call_timeout=timedelta(seconds=10)) as http:
        tools = Tools(http=http, clock=clock, codes=meanings("alir.providers.routemobile"))
        sender = a_route_mobile_sender(
            **({"base_url": f"http://127.0.0.1:{server.port}"} | settings)
        )
        yield server, RouteMobileProvider(sender, tools)
    listening.close()


# The log-in


@in_a_loop
async def test_it_logs_in_and_sends_with_the_token_alone() -> None:
    async with serving() as (server, provider):
        answer = await provider.send(a_message(), 1)

        assert answer == Sent(provider_id="id-1", request_id="id-1")  # type: ignore[arg-type]
        (log_in, nothing, credentials), (send, token, body) = server.seen
        assert (log_in, nothing, send) == (LOG_IN, "", SEND)
        assert credentials == {"username": "user-1", "password": "password-1"}
        assert token in server.good
        assert body["phone"] == "+15551230001"


@in_a_loop
async def test_the_token_comes_after_bearer_where_that_is_set() -> None:
    async with serving(authorization="bearer") as (server, provider):
        server.good.add(f"Bearer {a_token(1, exp=START.timestamp() + 3600)}")
        await provider.send(a_message(), 1)

        assert server.seen[1][1].startswith("Bearer h.")


@in_a_loop
async def test_500_sends_at_once_log_in_once() -> None:
    async with serving() as (server, provider):
        server.open.clear()
        sends = [asyncio.create_task(provider.send(a_message(), 1)) for _ in range(500)]
        await server.has_heard(LOG_IN, 1)
        server.open.set()
        answers = await asyncio.gather(*sends)

        assert server.calls == {LOG_IN: 1, SEND: 500}
        assert len({answer.provider_id for answer in answers}) == 500


@in_a_loop
async def test_500_sends_at_once_fail_with_one_log_in() -> None:
    async with serving() as (server, provider):
        server.passwords.clear()
        sends = [provider.send(a_message(), 1) for _ in range(500)]
        failures = await asyncio.gather(*sends, return_exceptions=True)

        assert {type(failure) for failure in failures} == {ProviderBusy}
        assert server.calls == {LOG_IN: 1}


@in_a_loop
async def test_whoever_stops_waiting_does_not_take_the_log_in_from_the_others() -> None:
    async with serving() as (server, provider):
        server.open.clear()
        first = asyncio.create_task(provider.send(a_message(), 1))
        second = asyncio.create_task(provider.send(a_message(), 1))
        await server.has_heard(LOG_IN, 1)
        first.cancel()
        server.open.set()
        await second

        assert server.calls == {LOG_IN: 1, SEND: 1}


@in_a_loop
async def test_it_is_ready_once_it_has_logged_in_and_a_send_then_needs_nothing_else() -> None:
    async with serving() as (server, provider):
        assert not provider.is_ready()
        await provider.get_ready()
        assert provider.is_ready()
        assert server.calls == {LOG_IN: 1}

        await provider.get_ready()
        await provider.send(a_message(), 1)
        assert server.calls == {LOG_IN: 1, SEND: 1}


@in_a_loop
async def test_it_is_not_ready_where_the_token_is_over_or_was_refused_or_the_password_changed(
    tmp_path: Path,
) -> None:
    file = tmp_path / "password"
    file.write_text("password-1")
    async with serving(password=Secret.in_file(file, elapsed=lambda: 0.0)) as (server, provider):
        await provider.get_ready()
        server.clock.leap(3541)
        assert not provider.is_ready()

        await provider.get_ready()
        server.before[SEND] = server.good.clear
        with pytest.raises(ProviderBusy):
            await provider.send(a_message(), 1)
        assert not provider.is_ready()

        await provider.get_ready()
        file.write_text("password-2")
        provider.refresh_credentials()
        assert not provider.is_ready()


@in_a_loop
async def test_500_that_get_ready_at_once_log_in_once_and_any_of_them_may_give_up() -> None:
    async with serving() as (server, provider):
        server.open.clear()
        waiting = [asyncio.create_task(provider.get_ready()) for _ in range(500)]
        await server.has_heard(LOG_IN, 1)
        for one in waiting[::2]:
            one.cancel()
        server.open.set()
        ends = await asyncio.gather(*waiting, return_exceptions=True)

        assert ends[1::2] == [None] * 250
        assert {type(end) for end in ends[::2]} == {asyncio.CancelledError}
        assert provider.is_ready()
        assert server.calls == {LOG_IN: 1}


@in_a_loop
async def test_a_log_in_goes_on_where_all_that_waited_for_it_gave_up() -> None:
    async with serving() as (server, provider):
        server.open.clear()
        first = asyncio.create_task(provider.get_ready())
        await server.has_heard(LOG_IN, 1)
        first.cancel()
        second = asyncio.create_task(provider.get_ready())
        server.open.set()
        await second

        assert server.calls == {LOG_IN: 1}


@in_a_loop
async def test_getting_ready_fails_as_a_send_would_and_sends_nothing() -> None:
    async with serving() as (server, provider):
        server.passwords.clear()
        with pytest.raises(ProviderBusy) as caught:
            await provider.get_ready()

        assert caught.value.pauses is not None
        assert caught.value.pauses.scope is PauseScope.ACCOUNT
        assert not provider.is_ready()
        assert server.calls == {LOG_IN: 1}


@pytest.mark.parametrize(
    ("lifetime", "kept", "over"), [(3600, 3539, 2), (3600.5, 3540, 1), (None, 3299, 2)]
)
@in_a_loop
async def test_the_token_is_kept_until_a_minute_before_it_ends(
    lifetime: float | None, kept: float, over: float
) -> None:
    async with serving() as (server, provider):
        server.lifetime = lifetime
        await provider.send(a_message(), 1)
        server.clock.leap(kept)
        await provider.send(a_message(), 1)
        assert server.calls[LOG_IN] == 1

        server.clock.leap(over)
        await provider.send(a_message(), 1)
        assert server.calls[LOG_IN] == 2


@in_a_loop
async def test_a_changed_password_means_a_new_log_in(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("password-1")
    password = Secret.in_file(file, elapsed=lambda: 0.0)
    async with serving(password=password) as (server, provider):
        await provider.send(a_message(), 1)
        before = provider.credentials()
        file.write_text("password-2")
        server.passwords = {"password-2"}
        await provider.send(a_message(), 1)
        assert (server.calls[LOG_IN], provider.credentials()) == (1, before)

        provider.refresh_credentials()
        await provider.send(a_message(), 1)
        assert server.calls[LOG_IN] == 2
        assert provider.credentials() != before
        assert b"password" not in provider.credentials()


@in_a_loop
async def test_refused_credentials_pause_the_account_and_send_nothing() -> None:
    async with serving() as (server, provider):
        server.passwords.clear()
        with pytest.raises(ProviderBusy) as caught:
            await provider.send(a_message(), 1)

        assert caught.value.pauses is not None
        assert caught.value.pauses.scope is PauseScope.ACCOUNT
        assert server.calls[SEND] == 0
        server.passwords.add("password-1")
        await provider.send(a_message(), 1)


@pytest.mark.parametrize("answer", [(500, {"status": "oh"}), (502, b"<html>"), (201, b"")])
@in_a_loop
async def test_a_log_in_that_fails_is_busy_since_nothing_was_sent(
    answer: tuple[int, object],
) -> None:
    async with serving() as (server, provider):
        server.log_in_answer = answer
        with pytest.raises(ProviderBusy):
            await provider.send(a_message(), 1)

        assert server.calls == {LOG_IN: 1}


@in_a_loop
async def test_a_server_that_is_not_there_is_busy() -> None:
    async with serving(base_url="http://127.0.0.1:1") as (_, provider):
        with pytest.raises(ProviderBusy):
            await provider.send(a_message(), 1)


@in_a_loop
async def test_what_cannot_be_sent_needs_no_log_in() -> None:
    async with serving() as (server, provider):
        with pytest.raises(ProviderRefused):
            await provider.send(a_message(to=None, recipient="US.1"), 1)

        assert server.calls == {}


# 500


@pytest.mark.parametrize(
    ("settings", "end"), [({}, OutcomeUnknown), ({"failed_500": "busy"}, ProviderBusy)]
)
@in_a_loop
async def test_its_own_500_is_taken_for_what_the_sender_says(
    settings: dict[str, Any], end: type[Exception]
) -> None:
    async with serving(**settings) as (server, provider):
        server.send_answer = (500, {"message": "Internal error", "status": "failed"})
        with pytest.raises(end):
            await provider.send(a_message(), 1)

        assert server.calls[SEND] == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "template", "template": TEMPLATE}, "template"),
        ({"fallback": TEMPLATE, "flags": (Flag.FALLBACK,)}, "fallback"),
    ],
)
@in_a_loop
async def test_the_fault_of_a_template_is_named_after_the_field_that_it_came_from(
    changes: dict[str, Any], field: str
) -> None:
    async with serving() as (server, provider):
        reason = {"media": {"template_name": ["There is none of that name."]}}
        server.send_answer = (400, {"status": "failed", "reason": reason})
        with pytest.raises(ProviderRefused) as caught:
            await provider.send(a_message(**changes), 1)

        assert caught.value.details == f"{field}.name: There is none of that name."


# 401


@in_a_loop
async def test_a_401_means_one_new_log_in_and_one_repeat_and_nobody_notices() -> None:
    async with serving() as (server, provider):
        await provider.send(a_message(), 1)
        server.good.clear()
        answer = await provider.send(a_message(), 1)

        assert answer.request_id == "id-3"
        assert server.calls == {LOG_IN: 2, SEND: 3}


@in_a_loop
async def test_500_sends_with_a_token_that_was_ended_log_in_once_more() -> None:
    async with serving() as (server, provider):
        await provider.send(a_message(), 1)
        server.good.clear()
        server.open.clear()
        sends = [asyncio.create_task(provider.send(a_message(), 1)) for _ in range(500)]
        await server.has_heard(SEND, 501)
        server.open.set()
        await asyncio.gather(*sends)

        assert server.calls == {LOG_IN: 2, SEND: 1001}


@in_a_loop
async def test_a_second_401_pauses_the_account() -> None:
    async with serving() as (server, provider):
        server.before[SEND] = server.good.clear
        with pytest.raises(ProviderBusy) as caught:
            await provider.send(a_message(), 1)

        assert caught.value.pauses is not None
        assert caught.value.pauses.scope is PauseScope.ACCOUNT
        assert server.calls == {LOG_IN: 2, SEND: 2}


# Time


@in_a_loop
async def test_a_message_that_waited_long_for_a_log_in_is_queued_again() -> None:
    async with serving() as (server, provider):
        server.before[LOG_IN] = lambda: server.clock.leap(LONGEST_FOR_A_TOKEN + 0.1)
        with pytest.raises(ProviderBusy):
            await provider.send(a_message(), 1)
        assert server.calls == {LOG_IN: 1}

        await provider.send(a_message(), 2)
        assert server.calls == {LOG_IN: 1, SEND: 1}


@in_a_loop
async def test_a_401_is_not_followed_by_a_repeat_that_would_leave_late() -> None:
    async with serving() as (server, provider):
        await provider.get_ready()
        server.good.clear()
        server.before[LOG_IN] = lambda: server.clock.leap(LONGEST_FOR_A_TOKEN + 0.1)
        with pytest.raises(ProviderBusy):
            await provider.send(a_message(), 1)

        assert server.calls == {LOG_IN: 2, SEND: 1}
        assert provider.is_ready()


@in_a_loop
async def test_a_send_without_an_answer_is_unknown_and_not_repeated() -> None:
    async with serving() as (server, provider):

        def break_off() -> None:
            raise ConnectionError

        server.before[SEND] = break_off
        with pytest.raises(OutcomeUnknown):
            await provider.send(a_message(), 1)

        assert server.calls == {LOG_IN: 1, SEND: 1}
