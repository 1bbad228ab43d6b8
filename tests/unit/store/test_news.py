"""News as the texts of notifications: whole, in pieces, and what nobody of alir's wrote."""

from __future__ import annotations

from collections import Counter

import pytest

from alir.ids import MessageId, SenderName, new_message_id
from alir.store.news import LONGEST_BYTES, MOST_HEARD, news_in, texts_of
from alir.wakeups import News

MAIN, OTHER = SenderName("main"), SenderName("other")


@pytest.mark.parametrize(
    "news",
    [
        News(queued=(MAIN, OTHER)),
        News(settled=(MessageId("msg_1"), MessageId("msg_2"))),
        News(callbacks=True),
        News(leases=True),
        News(pauses=(OTHER,)),
        News(heard={MAIN: 3}),
        News(evidence_missed=True),
        News(missed=True),
        News(queued=(MAIN,), callbacks=True, leases=True, heard={MAIN: 1, OTHER: 2}),
    ],
)
def test_what_is_told_is_heard(news: News) -> None:
    [text] = texts_of("p1", news)

    assert news_in(text) == ("p1", news)


def test_where_there_is_nothing_to_tell_nothing_is_told() -> None:
    assert texts_of("p1", News()) == []


def test_what_is_too_long_for_one_notification_goes_in_several() -> None:
    senders = tuple(SenderName(f"{n:032}") for n in range(500))
    news = News(
        queued=senders,
        settled=tuple(new_message_id() for _ in range(1_000)),
        callbacks=True,
        leases=True,
        pauses=senders[:100],
        heard=dict(zip(senders, range(1, 501), strict=True)),
    )
    texts = texts_of("p1", news)
    heard = [news_in(text)[1] for text in texts]

    assert len(texts) > 5
    assert max(len(text.encode()) for text in texts) <= LONGEST_BYTES
    assert [each for one in heard for each in one.queued] == list(news.queued)
    assert [each for one in heard for each in one.settled] == list(news.settled)
    assert [each for one in heard for each in one.pauses] == list(news.pauses)
    assert sum((Counter(one.heard) for one in heard), Counter()) == news.heard
    assert [one.callbacks for one in heard].count(True) == 1
    assert [one.leases for one in heard].count(True) == 1


def test_fields_that_a_newer_alir_tells_are_passed_over() -> None:
    text = '{"from":"p1","weather":"fair","queued":["main"],"leases":{"since":1}}'

    assert news_in(text) == ("p1", News(queued=(MAIN,)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "[]",
        "{}",
        '{"from":1}',
        '{"from":"p1","queued":"main"}',
        '{"from":"p1","settled":[1]}',
        '{"from":"p1","heard":["main"]}',
        '{"from":"p1","heard":{"main":true}}',
        '{"from":"p1","heard":{"main":1.5}}',
    ],
)
def test_what_nobody_of_alirs_wrote_is_told_from_news(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|unexpected|empty"):
        news_in(text)


def test_however_often_people_are_said_to_have_written_it_is_a_number_one_can_count_to() -> None:
    [_, news] = news_in('{"from":"p1","heard":{"main":9000000000000000000}}')

    assert news.heard == {MAIN: MOST_HEARD}
