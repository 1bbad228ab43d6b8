"""One log-in at a time, however many sends ask, and its token for as long as it is good."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from alir.errors import ProviderBusy
from alir.outbound.http import Answer, NeverConnected, NoAnswer
from alir.providers.credential import fingerprint, strike_out
from alir.providers.routemobile import token, wire
from alir.providers.routemobile.settings import RouteMobileSender
from alir.providers.tools import Tools

_HEADERS = {"content-type": "application/json", "accept": "application/json"}


class _Credentials(NamedTuple):
    """What a log-in is asked for with."""

    username: str
    password: str


class _Token(NamedTuple):
    """A token that a log-in gave.

    Attributes:
        of: what it was had with.
        good_until: by the clock that never jumps.
    """

    text: str
    of: _Credentials
    good_until: float


class LogIn:
    """The log-in of one sender."""

    def __init__(self, sender: RouteMobileSender, tools: Tools) -> None:
        self._sender = sender
        self._tools = tools
        self._url = f"{sender.base_url}/auth/v1/login/"
        self._token: _Token | None = None
        self._asking: tuple[_Credentials, asyncio.Task[Answer | None]] | None = None

    def known_token(self) -> str | None:
        """A token that is good as far as anybody knows; None: it takes a log-in."""
        return self._known(self._credentials())

    async def token(self) -> str:
        """A token that is good as far as anybody knows, by a log-in where it takes one.

        Raises:
            ProviderBusy: there is none to be had now.
        """
        credentials = self._credentials()
        known = self._known(credentials)
        if known is not None:
            return known
        answer = await self._ask(credentials)
        if answer is None:
            raise wire.no_log_in("Route Mobile's log-in could not be reached")
        now = self._tools.clock.now()
        try:
            return wire.read_log_in(answer.status, answer.headers, answer.body, now=now)
        except ProviderBusy as failure:
            strike_out(failure, *credentials)
            raise

    def reject(self, text: str) -> None:
        """Use this token no more: somebody was told 401 with it."""
        if self._token is not None and self._token.text == text:
            self._token = None

    def fingerprint(self) -> bytes:
        """Changes when user name or password do, and gives neither away."""
        return fingerprint(*self._credentials())

    def _credentials(self) -> _Credentials:
        return _Credentials(self._sender.username.reveal(), self._sender.password.reveal())

    def _known(self, credentials: _Credentials) -> str | None:
        known, elapsed = self._token, self._tools.clock.elapsed()
        if known is not None and known.of == credentials and elapsed < known.good_until:
            return known.text
        return None

    async def _ask(self, credentials: _Credentials) -> Answer | None:
        """The answer to a log-in: whoever asks while one is under way gets that one's."""
        if self._asking is None or self._asking[0] != credentials:
            task = asyncio.create_task(self._log_in(credentials), name="log-in")
            self._asking = (credentials, task)
            task.add_done_callback(self._asked)
        # Whoever stops waiting must not take the log-in from the others.
        return await asyncio.shield(self._asking[1])

    def _asked(self, task: asyncio.Task[Answer | None]) -> None:
        if self._asking is not None and self._asking[1] is task:
            self._asking = None

    async def _log_in(self, credentials: _Credentials) -> Answer | None:
        body = wire.build_log_in(*credentials)
        try:
            answer = await self._tools.http.request("POST", self._url, headers=_HEADERS, body=body)
        except (NeverConnected, NoAnswer):
            return None
        given = wire.token_in(answer.status, answer.body)
        if given is not None:
            clock = self._tools.clock
            good_for = token.used_for(given, clock.now()).total_seconds()
            self._token = _Token(given, credentials, clock.elapsed() + good_for)
        return answer
