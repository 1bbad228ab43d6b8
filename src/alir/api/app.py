"""The whole door: the hot routes in front, everything else behind them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, cast

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from alir import __version__
from alir.api import pages
from alir.api.callback_operations import callback_paths
from alir.api.failures import Failures, answer_fault, guarded
from alir.api.ports import Gateway
from alir.api.rights import Rights
from alir.api.room import Room
from alir.api.routes import health, messages, selected, senders
from alir.api.routes.batch import SendBatch
from alir.api.routes.callbacks import ROOM_BYTES, SECRET, Callback, HandshakeAnswer
from alir.api.routes.send import SendMessage

BASE = "/api/whatsapp/v1"


@dataclass(frozen=True, slots=True)
class Mounted:
    """An application with a path of its own, such as the simulator. It is given whole paths."""

    path: str
    app: ASGIApp


class Door:
    """The ASGI application: a few routes are looked up at once, the rest is FastAPI's.

    A raw endpoint costs a third of what one of FastAPI's own routes does (measured; see design,
    section 6), so the routes that carry every message and every receipt are raw.
    """

    def __init__(
        self, gateway: Gateway, mounted: Sequence[Mounted] = (), *, accepts: bool = True
    ) -> None:
        """`accepts`: whether it answers callers and providers, or tells of its health only."""
        self._mounted: list[Mounted] = []
        self._hot: dict[tuple[str, str], ASGIApp] = {}
        self._with_secret: dict[str, Callback] = {}
        if not accepts:
            self.rest = _health_only(gateway)
            return
        room = Room(ROOM_BYTES)
        self._hot = {
            ("POST", f"{BASE}/messages"): SendMessage(gateway),
            ("POST", f"{BASE}/messages/batch"): SendBatch(gateway),
            **_callbacks(gateway, room),
        }
        self._with_secret = {
            f"/callbacks/{provider}/": Callback(gateway, provider, room)
            for provider, route in gateway.callbacks.items()
            if route.secret_in_path
        }
        # Where a proxy on this machine says who asks, who may use the simulator goes by that.
        self._mounted = [Mounted(m.path, _believing_proxies(m.app)) for m in mounted]
        simulator = next((m.path for m in mounted), None)
        self.rest = _fastapi(gateway, self._hot.keys(), simulator=simulator)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        hot = self._hot.get((scope["method"], path))
        if hot is not None:
            try:  # as `guarded`, but without the cost of one more step for every message
                await hot(scope, receive, send)
            except Exception as error:  # whatever it is: its caller must get an answer
                await answer_fault(error, scope, send)
            return
        for prefix, callback in self._with_secret.items():
            if path.startswith(prefix):
                # Neither a log nor an answer shows the path as it came: it holds the secret.
                secret = path.removeprefix(prefix)
                hidden = {**scope, "path": f"{prefix}{{{SECRET}}}"}
                if scope["method"] == "POST" and secret and "/" not in secret:
                    hidden["path_params"] = {SECRET: secret}
                    await guarded(callback, hidden, receive, send)
                else:
                    await self.rest(hidden, receive, send)
                return
        for one in self._mounted:
            if f"{path}/".startswith(f"{one.path}/"):
                await one.app(scope, receive, send)
                return
        if scope["method"] == "HEAD":
            # As GET; the server leaves the body out.
            await self({**scope, "method": "GET"}, receive, send)
        else:
            await self.rest(scope, receive, send)


def _callbacks(gateway: Gateway, room: Room) -> dict[tuple[str, str], ASGIApp]:
    """The callbacks whose path has no secret in it, and the handshakes."""
    callbacks: dict[tuple[str, str], ASGIApp] = {
        ("POST", f"/callbacks/{provider}"): Callback(gateway, provider, room)
        for provider, route in gateway.callbacks.items()
        if not route.secret_in_path
    }
    for provider in gateway.handshakes:
        callbacks["GET", f"/callbacks/{provider}"] = HandshakeAnswer(gateway, provider)
    return callbacks


def _believing_proxies(app: ASGIApp) -> ASGIApp:
    # Uvicorn's and Starlette's words for the same ASGI differ in type only.
    return cast("ASGIApp", ProxyHeadersMiddleware(cast("Any", app)))


def _health_only(gateway: Gateway) -> FastAPI:
    app = FastAPI(title="alir", version=__version__, openapi_url=None)
    app.include_router(health.router(gateway))
    Failures(app, ())
    return app


def _fastapi(
    gateway: Gateway, hot: Collection[tuple[str, str]], *, simulator: str | None
) -> FastAPI:
    app = FastAPI(
        title="alir",
        version=__version__,
        openapi_url=None,  # `pages` serves it, the hot routes in it
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    rights = Rights(gateway.tokens)
    callbacks = callback_paths(gateway.callbacks, gateway.handshakes)
    app.include_router(messages.router(gateway, rights), prefix=BASE)
    app.include_router(selected.router(gateway, rights), prefix=BASE)
    app.include_router(senders.router(gateway, rights), prefix=BASE)
    app.include_router(health.router(gateway))
    app.include_router(pages.router(app, callbacks, base=BASE, simulator=simulator))
    Failures(app, hot)
    return app
