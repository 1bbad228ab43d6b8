"""What a provider fetches before it sends, such as the token of a log-in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from alir.testing.asked import Asked
from alir.testing.checks import Check
from alir.testing.lines import READY, hold
from alir.testing.rig import Rig
from alir.testing.sends import taken_of
from alir.testing.server import HANG_UP, Reply

#: None of them gives what a send needs.
_FAILURES: Final[dict[str, Reply]] = {
    "nothing, and hangs up": HANG_UP,
    "a redirect": Reply.http(302, b"", headers={"location": "/elsewhere"}),
    "401": Reply.http(401, b"{}"),
    "429": Reply.http(429, b""),
    "500 and a page": Reply.http(500, b"<html><body>Something is wrong</body></html>"),
    "200 and a page": Reply.http(200, b"<html><body>Welcome</body></html>"),
}


def checks(asked: Asked) -> Iterator[Check]:
    """Everything about getting ready."""
    yield Check("ready: what a send needs is fetched before it", partial(_is_fetched, asked))
    yield Check("ready: what is said to be there is", partial(_is_there, asked))
    yield Check("ready: nothing listens", partial(_nothing_listens, asked))
    for name, reply in _FAILURES.items():
        yield Check(f"ready: the answer is {name}", partial(_fails, asked, reply))


def _is_fetched(asked: Asked) -> None:
    with Rig(asked) as rig:
        why = rig.get_ready()
        hold(why is None, READY, f"{why!r}, although all is well")
        _has_sent_nothing(rig)
        hold(rig.provider.is_ready(), READY, "`is_ready()` is False after `get_ready()`")
        _fetches_nothing(asked, rig)


def _is_there(asked: Asked) -> None:
    with Rig(asked) as rig:
        if rig.provider.is_ready():
            _fetches_nothing(asked, rig)


def _nothing_listens(asked: Asked) -> None:
    with Rig(asked) as rig:
        rig.stop_server()
        _is_busy(rig, instead=None)


def _fails(asked: Asked, reply: Reply) -> None:
    with Rig(asked) as rig:
        _is_busy(rig, instead=reply)


def _is_busy(rig: Rig, *, instead: Reply | None) -> None:
    """What is ready has nothing that may fail."""
    needs_something = not rig.provider.is_ready()
    why = rig.get_ready(instead=instead)
    _has_sent_nothing(rig)
    if needs_something:
        hold(why is not None, READY, "`get_ready()` returns, although it got nothing")
        hold(not rig.provider.is_ready(), READY, "`is_ready()` is True, although it got nothing")
    else:
        hold(why is None, READY, f"{why!r}, although `is_ready()` was True")


def _has_sent_nothing(rig: Rig) -> None:
    hold(not rig.sends, READY, "`get_ready()` made a send")


def _fetches_nothing(asked: Asked, rig: Rig) -> None:
    before = len(rig.requests) - len(rig.sends)
    rig.send(taken_of(asked).reply())
    more = len(rig.requests) - len(rig.sends) - before
    hold(more == 0, READY, f"`is_ready()` is True, and a send made {more} other requests first")
