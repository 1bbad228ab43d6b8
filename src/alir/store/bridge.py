"""Lets a plain function wait for the event loop, by way of greenlets.

What stores do inside a transaction is written once, as plain functions: SQLite runs them on the
event loop's own thread. PostgreSQL's driver is async, so there such a function runs in a greenlet,
which steps aside while it waits. Nothing but the driver's connection does so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

T = TypeVar("T")


async def in_greenlet(work: Callable[..., T], *arguments: Any) -> T:
    """What `work` returns, which may call `wait_for` meanwhile."""
    aside = greenlet(work)
    came = aside.switch(*arguments)
    while not aside.dead:
        try:
            value = await came
        except BaseException as error:  # a cancellation too: it is for `work`
            came = aside.throw(error)
        else:
            came = aside.switch(value)
    result: T = came
    return result


def wait_for(awaitable: Awaitable[T]) -> T:
    """What it comes to. Only inside of `in_greenlet`."""
    loop = getcurrent().parent
    assert loop is not None, "a greenlet that was begun has a parent"  # noqa: S101 - for mypy
    result: T = loop.switch(awaitable)
    return result
