"""News as the texts of notifications, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import orjson

from alir.ids import MessageId, SenderName
from alir.wakeups import News

#: A notification holds less than 8,000 bytes. Source: PostgreSQL 18, NOTIFY.
LONGEST_BYTES: Final = 7_999
#: How many people may have written at once. Whoever can log in to the database can notify.
MOST_HEARD: Final = 10_000

T = TypeVar("T")


def texts_of(name: str, news: News) -> list[str]:
    """What the process `name` tells, in as many texts as it takes; none, if that is nothing.

    >>> texts_of("p1", News(queued=(SenderName("main"),), leases=True))
    ['{"from":"p1","queued":["main"],"leases":true}']
    """
    fields: dict[str, Any] = {
        "queued": news.queued,
        "settled": news.settled,
        "callbacks": news.callbacks,
        "leases": news.leases,
        "pauses": news.pauses,
        "heard": news.heard,
        "evidence_missed": news.evidence_missed,
        "missed": news.missed,
    }
    told = {key: value for key, value in fields.items() if value}
    if not told:
        return []
    text = orjson.dumps({"from": name, **told})
    if len(text) <= LONGEST_BYTES:
        return [text.decode()]
    # A single name or id always fits: a sender's has 32 characters at most.
    return [text for half in _halves(news) for text in texts_of(name, half)]


def news_in(text: str) -> tuple[str, News]:
    """Who tells, and what. Fields that a newer alir may add are passed over.

    >>> news_in('{"from":"p1","heard":{"main":2},"weather":"fair"}')[1].heard
    {'main': 2}

    Raises:
        ValueError: no alir wrote it.
    """
    match orjson.loads(text):
        case {"from": str(name), **told}:
            pass
        case _:
            raise ValueError("expected an object that says whom it is from")
    return name, News(
        queued=tuple(map(SenderName, _texts(told, "queued"))),
        settled=tuple(map(MessageId, _texts(told, "settled"))),
        callbacks=told.get("callbacks") is True,
        leases=told.get("leases") is True,
        pauses=tuple(map(SenderName, _texts(told, "pauses"))),
        heard=_counts(told, "heard"),
        evidence_missed=told.get("evidence_missed") is True,
        missed=told.get("missed") is True,
    )


def _halves(news: News) -> tuple[News, News]:
    queued, settled, pauses = _halved(news.queued), _halved(news.settled), _halved(news.pauses)
    heard = _halved(tuple(news.heard.items()))
    first = News(
        queued=queued[0],
        settled=settled[0],
        callbacks=news.callbacks,
        leases=news.leases,
        pauses=pauses[0],
        heard=dict(heard[0]),
        evidence_missed=news.evidence_missed,
        missed=news.missed,
    )
    rest = News(queued=queued[1], settled=settled[1], pauses=pauses[1], heard=dict(heard[1]))
    return first, rest


def _halved(items: tuple[T, ...]) -> tuple[tuple[T, ...], tuple[T, ...]]:
    middle = len(items) // 2
    return items[:middle], items[middle:]


def _texts(told: Mapping[Any, Any], field: str) -> Sequence[str]:
    found = told.get(field, [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError(f"{field}: expected a list of texts")
    return found


def _counts(told: Mapping[Any, Any], field: str) -> Mapping[SenderName, int]:
    found = told.get(field, {})
    if not isinstance(found, dict) or not all(type(count) is int for count in found.values()):
        raise ValueError(f"{field}: expected numbers by their sender")
    return {SenderName(name): min(count, MOST_HEARD) for name, count in found.items()}
