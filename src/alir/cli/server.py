"""Serving: the socket, the signals, and what is said at the start."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic

import typer
import uvicorn
import uvloop

from alir import __version__
from alir.api.connection import BoundedProtocol
from alir.cli.address import base_url
from alir.cli.failures import cannot_listen
from alir.cli.first_token import VARIABLE, FirstToken, first_token
from alir.compose import RunningGateway
from alir.observe import get_logger
from alir.role import Role
from alir.settings import Settings

#: Longer than clients keep an idle connection (ours: 15 s; most: 60 s), so that it is they who
#: close it, and no request meets a connection that is just being closed.
KEEP_ALIVE_SECONDS = 75
BACKLOG = 2048
#: Collections of young objects before the next generation is looked at. With everything that
#: lives for ever frozen, this halves the p99 of a request (design, section 8).
GC_THRESHOLDS = (100_000, 50, 100)

_log = get_logger("gateway")


def run_gateway(settings: Settings, *, role: Role = Role.ALL, paused: bool = False) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        paused: pause every sender first.

    Raises:
        SettingsInvalid: the address cannot be listened on, or ALIR_API_TOKEN belongs to another.
        DatabaseInUse, StoreUnavailable: the database cannot be used.
    """
    listening = _listen(settings.host, settings.port)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, listening, os.environ, role, paused=paused))
    finally:
        listening.close()


async def _serve(
    settings: Settings,
    listening: socket.socket,
    environ: Mapping[str, str],
    role: Role,
    *,
    paused: bool,
) -> None:
    port = listening.getsockname()[1]
    url = base_url(settings.host, port)
    gateway = RunningGateway(settings, base_url=url, role=role)
    server = _Server(gateway, timedelta(seconds=settings.dispatch.stop_grace_seconds))
    try:
        await gateway.start(paused=paused)
        # Last, so that an API token that is shown only once is not lost to a start that fails.
        token = await first_token(gateway.tokens, environ) if role.accepts else None
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        if token is None:
            server.greeting = f"alir {__version__} is ready at {url} as {role}: it tells its health"
        else:
            server.greeting = greeting(url, token, gateway, public_url=settings.public_url)
        await server.serve([listening])
    finally:
        await gateway.stop(server.grace_left())
    _log.info("stopped")


class _Server(uvicorn.Server):
    """Uvicorn, told when the end begins, and ending with success."""

    def __init__(self, gateway: RunningGateway, grace: timedelta) -> None:
        super().__init__(
            uvicorn.Config(
                gateway.app,
                loop="uvloop",
                http=_protocol(gateway),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # the door sees to it where it matters
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=int(grace.total_seconds()),
            )
        )
        self.greeting = ""
        self._gateway = gateway
        self._grace = grace
        self._stopping_since: float | None = None

    def grace_left(self) -> timedelta:
        """What is left of the time that calls under way get."""
        if self._stopping_since is None:
            return timedelta()
        left = self._grace.total_seconds() - (monotonic() - self._stopping_since)
        return timedelta(seconds=max(0.0, left))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        typer.echo(self.greeting)
        _log.info("started", version=__version__, senders=list(self._gateway.sender_names))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Uvicorn raises the signal again when all is done; a clean stop shall exit with 0.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
                # The calls under way still get their time, and the stop ends by itself.
                signal.signal(number, signal.SIG_IGN)

    def _stop(self, number: int) -> None:
        if self._stopping_since is None:
            self._stopping_since = monotonic()
            self._gateway.begin_to_stop()
        self.handle_exit(number, None)


def _protocol(gateway: RunningGateway) -> type[BoundedProtocol]:
    if not gateway.has_simulator:
        return BoundedProtocol
    from alir.simulator.hang_up import HangUpProtocol

    class WithHangUp(BoundedProtocol, HangUpProtocol):
        """As the simulator wants it."""

    return WithHangUp


def greeting(
    base_url: str, token: FirstToken, gateway: RunningGateway, *, public_url: str | None = None
) -> str:
    """What a start says on stdout."""
    lines = [f"alir {__version__} is ready at {base_url}"]
    secret = "$ALIR_API_TOKEN" if token.is_given else token.secret
    if token.secret is not None and not token.is_given:
        lines += ["", f"Your API token, shown this once: {token.secret}"]
    if token.took_place:
        lines += ["", f"{VARIABLE} took the place of the first API token, which is valid no more."]
    if secret is None:
        lines += [f"Another API token: {_command()} token create NAME"]
    else:
        lines += ["", "Send a first message:", "", first_message(base_url, secret, gateway)]
    if gateway.senders_held:
        command = _command()
        lines += ["", f"Paused: {', '.join(gateway.senders_held)}"]
        lines += [f"Why: {command} sender list; to go on: {command} sender resume NAME"]
    if gateway.has_simulator:
        lines += ["", f"See it arrive: {base_url}/simulator"]
    if public_url is not None:
        lines += ["", f"The callback URL to give to Meta: {public_url}/callbacks/cloud"]
    lines += [f"Read on:       {base_url}/docs"]
    return "\n".join(lines)


def first_message(base_url: str, secret: str, gateway: RunningGateway) -> str:
    """A command that sends README.md's first message when it is pasted."""
    message: dict[str, object] = {
        # Of a range that belongs to nobody; with a real sender a real person would get it.
        "to": "+1 212 555 0123" if gateway.has_simulator else "A NUMBER OF YOUR OWN",
        "type": "flow",
        "flow": {
            "id": "987654321098765",
            "token": "visit-4711",
            "text": "Choose a time",
            "screen": "CHOOSE_TIME",
            "param": {
                "header": {"type": "text", "text": "Your visit"},
                "body": "Pick a time that suits you.",
                "footer": "It takes a minute",
            },
        },
    }
    if len(gateway.sender_names) > 1:
        message["from"] = gateway.sender_names[0]
    return (
        f"curl -sS {base_url}/api/whatsapp/v1/messages \\\n"
        f'  -H "Authorization: Bearer {secret}" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d '{json.dumps(message)}'"
    )


def _command() -> str:
    """How this program was called, so that what is said can be pasted."""
    called = Path(sys.argv[0])
    found = shutil.which("alir")
    if called.name != "alir" or (found is not None and called.resolve() == Path(found).resolve()):
        return "alir"
    return os.path.relpath(called)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        elsewhere = "--host and --port, or ALIR_HOST and ALIR_PORT"
        raise cannot_listen(host, port, error, elsewhere=elsewhere) from error
