"""Run an asynchronous test on an event loop of its own."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

#: A test that waits this long for anything hangs.
LONGEST_SECONDS = 20


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The test as pytest can call it; its parameters stay."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def limited() -> None:
            async with asyncio.timeout(LONGEST_SECONDS):
                await test(*args, **kwargs)

        asyncio.run(limited())

    return run
