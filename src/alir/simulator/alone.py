"""The simulator as a server of its own, for those who test other WhatsApp software."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import uvicorn

from alir.simulator.app import build_app
from alir.simulator.hang_up import HangUpProtocol
from alir.simulator.pages import GRAPH_EXAMPLE
from alir.simulator.peers import THIS_MACHINE
from alir.simulator.simulator import Simulator

#: What the simulator remembers only grows and has few cycles; Python's own thresholds look
#: through all of it so often that they cost a fifth of the speed. With these, few objects are
#: looked at in one go, in some 5 ms. Calls that arrive meanwhile wait, and then count as if they
#: had come all at once.
GC_THRESHOLDS = (2_000, 5, 50_000)


async def serve_alone(
    simulator: Simulator,
    *,
    host: str,
    port: int,
    allow_networks: Iterable[str] = THIS_MACHINE,
    ready: Callable[[int], None],
) -> None:
    """Serve until SIGTERM or SIGINT, then stop the simulator and return.

    Args:
        port: 0 for any that is free.
        ready: called with the port once requests are taken.

    Raises:
        OSError: the address cannot be listened on.
        ValueError: one of `allow_networks` is not a network.
    """
    app = build_app(simulator, allow_networks=allow_networks, example=GRAPH_EXAMPLE)
    config = uvicorn.Config(
        app, http=HangUpProtocol, ws="none", lifespan="off", log_config=None, access_log=False
    )
    listening = socket.create_server((host, port), family=_family(host), backlog=config.backlog)
    thresholds = gc.get_threshold()
    gc.set_threshold(*GC_THRESHOLDS)
    await simulator.start()
    try:
        await _Server(config, simulator, ready).serve([listening])
    finally:
        await simulator.stop()
        listening.close()
        gc.set_threshold(*thresholds)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class _Server(uvicorn.Server):
    """A server that lets held requests go before it waits for them, and ends with success."""

    def __init__(
        self, config: uvicorn.Config, simulator: Simulator, ready: Callable[[int], None]
    ) -> None:
        super().__init__(config)
        self._simulator = simulator
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            self._ready(listening.getsockname()[1])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._simulator.stop()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Uvicorn raises the signal again when all is done, so that the process ends with it.
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)
