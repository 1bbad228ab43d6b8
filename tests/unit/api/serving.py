"""The whole gateway, or any application, in this process: for what a test must reach into."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn

from alir.api.connection import BoundedProtocol
from alir.cli.first_token import first_token
from alir.compose import RunningGateway
from alir.settings import load

MESSAGES = "/api/whatsapp/v1/messages"
TOKEN = "an-api-token-of-these-tests-only"


@asynccontextmanager
async def a_gateway(path: Path) -> AsyncIterator[RunningGateway]:
    """A gateway on this database, with the first API token `TOKEN`. Nobody serves it yet."""
    settings = load(None, {}, {"database": f"sqlite:///{path}"})
    gateway = RunningGateway(settings, base_url="http://127.0.0.1:9")
    await gateway.start()
    try:
        await first_token(gateway.tokens, {"ALIR_API_TOKEN": TOKEN})
        yield gateway
    finally:
        await gateway.stop(timedelta())


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[int]:
    """A real server of the application, on the port that this gives."""
    config = uvicorn.Config(
        app, port=0, http=BoundedProtocol, ws="none", lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    [port] = [s.getsockname()[1] for each in server.servers for s in each.sockets]
    try:
        yield port
    finally:
        await server.shutdown()
