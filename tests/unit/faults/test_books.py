"""The comparing of the three books: what is in order, and each thing that can be wrong."""

from __future__ import annotations

import pytest
from faults.books import Answer, Arrived, Asked, Rules, Stored, Verdict, compare

HOLD = Rules(resends=False, marks=True, on_the_wire=1)
RETRY = Rules(resends=True, marks=True, on_the_wire=1)
UNMARKED = Rules(resends=True, marks=False, on_the_wire=1)

TOKEN = "flow-1"
TAKEN = Answer(200, "msg_1")
LATER = Answer(202, "msg_1")
NOT_NOW = Answer(503, None)
IN_DOUBT = Answer(503, "msg_1")


def asked(*answers: Answer, key: str | None = "key-1") -> Asked:
    return Asked(TOKEN, key, answers)


def stored(
    status: str = "read", *flags: str, attempts: int = 1, id_: str = "msg_1", token: str = TOKEN
) -> Stored:
    return Stored(id_, token, status, frozenset(flags), attempts)


def arrived(*told: str, token: str = TOKEN) -> Arrived:
    return Arrived(token, told)


def judged(
    request: Asked, kept: list[Stored], calls: list[Arrived], rules: Rules = HOLD
) -> Verdict:
    return compare([request], kept, calls, rules)


@pytest.mark.parametrize(
    ("request_", "kept", "calls", "rules"),
    [
        pytest.param(asked(TAKEN), [stored()], [arrived("sent", "read")], HOLD, id="read"),
        pytest.param(asked(LATER, TAKEN), [stored("sent")], [arrived()], HOLD, id="asked-twice"),
        pytest.param(asked(IN_DOUBT, TAKEN), [stored()], [arrived()], HOLD, id="in-doubt-stored"),
        pytest.param(asked(NOT_NOW, key=None), [], [], HOLD, id="refused-for-now"),
        pytest.param(asked(IN_DOUBT, key=None), [], [], HOLD, id="in-doubt-not-stored"),
        pytest.param(asked(key=None), [], [], HOLD, id="answer-missed-not-stored"),
        pytest.param(asked(key=None), [stored()], [arrived()], HOLD, id="answer-missed-stored"),
        pytest.param(asked(LATER), [stored("unknown")], [arrived()], HOLD, id="held-and-taken"),
        pytest.param(asked(LATER), [stored("unknown")], [], HOLD, id="held-and-not-taken"),
        pytest.param(
            asked(LATER),
            [stored("read", "resent", attempts=2)],
            [arrived("read"), arrived("read")],
            RETRY,
            id="twice-and-says-so",
        ),
        pytest.param(
            asked(LATER),
            [stored("unknown", "resent", attempts=2)],
            [arrived("read")],
            UNMARKED,
            id="nobody-can-say-which-of-two",
        ),
    ],
)
def test_nothing_is_wrong_where_the_books_agree(
    request_: Asked, kept: list[Stored], calls: list[Arrived], rules: Rules
) -> None:
    assert judged(request_, kept, calls, rules).broken == ()


@pytest.mark.parametrize(
    ("request_", "kept", "calls", "says"),
    [
        pytest.param(asked(TAKEN), [], [arrived()], "is not stored", id="answered"),
        pytest.param(asked(LATER), [], [], "is not stored", id="answered-later"),
        pytest.param(
            asked(TAKEN), [stored(id_="msg_2")], [arrived()], "is not stored", id="another-id"
        ),
        pytest.param(asked(key=None), [], [arrived()], "is not stored", id="arrived"),
        pytest.param(asked(LATER), [stored("sent")], [], "never arrived", id="never-arrived"),
        pytest.param(asked(TAKEN), [stored("unknown")], [], "as sent", id="answered-as-sent"),
        pytest.param(asked(LATER), [stored("failed")], [], "nobody asked for", id="failed"),
        pytest.param(asked(Answer(422, None)), [], [], "breaks no rule", id="refused"),
    ],
)
def test_a_loss_is_found(
    request_: Asked, kept: list[Stored], calls: list[Arrived], says: str
) -> None:
    verdict = judged(request_, kept, calls)

    assert says in verdict.lost[0]


@pytest.mark.parametrize(
    ("kept", "calls", "rules"),
    [
        pytest.param([stored(attempts=2)], 2, HOLD, id="held"),
        pytest.param([stored("read", "resent", attempts=2)], 2, HOLD, id="resent-under-hold"),
        pytest.param([stored(attempts=2)], 2, RETRY, id="without-a-flag"),
        pytest.param([stored("read", "resent", attempts=3)], 3, RETRY, id="three-times"),
        pytest.param([stored("read", "resent")], 2, RETRY, id="more-often-than-it-was-tried"),
        pytest.param([stored(), stored(id_="msg_2")], 1, HOLD, id="two-messages"),
    ],
)
def test_a_double_is_found(kept: list[Stored], calls: int, rules: Rules) -> None:
    verdict = judged(asked(TAKEN), kept, [arrived()] * calls, rules)

    assert len(verdict.doubled) >= 1
    assert verdict.lost == ()


def test_one_key_that_was_answered_as_two_messages_is_a_double() -> None:
    answers = (TAKEN, Answer(200, "msg_2"))

    verdict = judged(asked(*answers), [stored(), stored(id_="msg_2")], [arrived()])

    assert f"{TOKEN} was answered as 2 messages" in verdict.doubled


def test_what_was_refused_for_now_and_is_stored_all_the_same_is_a_double() -> None:
    refused, in_doubt = (
        judged(asked(answer, key=None), [stored()], [arrived()]) for answer in (NOT_NOW, IN_DOUBT)
    )

    assert "answered 503 as not stored" in refused.doubled[0]
    assert in_doubt.broken == ()


@pytest.mark.parametrize(
    ("request_", "kept", "calls", "rules", "says"),
    [
        pytest.param(asked(LATER), stored("queued"), [], HOLD, "is queued", id="queued"),
        pytest.param(asked(LATER), stored("sending"), [arrived()], HOLD, "sending", id="sending"),
        pytest.param(
            asked(TAKEN), stored("sent"), [arrived("read")], HOLD, "read was told", id="behind"
        ),
        pytest.param(
            asked(LATER), stored("unknown"), [arrived("sent")], HOLD, "receipts", id="evidence"
        ),
        pytest.param(
            asked(LATER), stored("unknown"), [arrived("sent")], UNMARKED, "receipts", id="guess"
        ),
        pytest.param(
            asked(LATER), stored("unknown"), [], RETRY, "once more", id="not-sent-once-more"
        ),
        pytest.param(asked(), stored(), [arrived()], HOLD, "never answered", id="no-answer"),
    ],
)
def test_what_is_stuck_is_found(
    request_: Asked, kept: Stored, calls: list[Arrived], rules: Rules, says: str
) -> None:
    verdict = judged(request_, [kept], calls, rules)

    assert says in verdict.stuck[0]
    assert verdict.unknown == 0


def test_no_more_may_be_unknown_than_were_on_the_wire() -> None:
    kept = [stored("unknown", id_=f"msg_{n}", token=f"flow-{n}") for n in range(2)]

    enough = compare([], kept, [], Rules(resends=False, marks=True, on_the_wire=2))
    too_many = compare([], kept, [], Rules(resends=False, marks=True, on_the_wire=1))

    assert (enough.unknown, enough.stuck) == (2, ())
    assert too_many.stuck == ("2 are unknown, and only 1 were on the wire",)


def test_what_was_accepted_and_sent_again_is_counted() -> None:
    requests = [
        Asked(f"flow-{n}", None, [Answer(status, f"msg_{n}")])
        for n, status in enumerate((200, 202, 503))
    ]
    kept = [stored("read", "resent", id_=f"msg_{n}", token=f"flow-{n}") for n in range(3)]
    calls = [arrived(token=f"flow-{n}") for n in range(3)]

    verdict = compare(requests, kept, calls, RETRY)

    assert (verdict.accepted, verdict.resent, verdict.broken) == (2, 3, ())
