"""What a send makes of whatever the other side does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any, Final

import orjson
from hypothesis import given
from hypothesis import strategies as st

from alir.dispatch.ports import Sent
from alir.errors import OutcomeUnknown, ProviderBusy, ProviderRefused, SendFailure
from alir.ids import ProviderId
from alir.testing.asked import Asked
from alir.testing.broken import JSON, ODD_BODIES, ODD_VALUES, SEARCH, breaks
from alir.testing.checks import Check
from alir.testing.lines import (
    KNOWN_ANSWER,
    MESSAGE_ARRIVES,
    NEVER_CONNECTED,
    NO_ANSWER,
    NO_REDIRECT,
    NOT_SUPPORTED,
    ONE_REQUEST,
    SAMPLES,
    UNKNOWN_ANSWER,
    hold,
)
from alir.testing.messages import MessageKind, a_message, differences
from alir.testing.rig import Caught, Rig
from alir.testing.samples import Answer, Means
from alir.testing.server import HANG_UP, SILENCE, Reply

_REDIRECTS: Final = (301, 302, 303, 307, 308)
_PAGE: Final = b"<html><body>Something is wrong</body></html>"
#: A success of this kind is none that anybody documents.
_NEVER_A_SUCCESS: Final = (500, 502, 503, 504, 520, 599)
_SHORT: Final = timedelta(milliseconds=300)
_CLASSES: Final[dict[Means, type]] = {
    Means.TAKEN: Sent,
    Means.REFUSED: ProviderRefused,
    Means.WINDOW_SHUT: ProviderRefused,
    Means.BUSY: ProviderBusy,
    Means.UNKNOWN: OutcomeUnknown,
}


def checks(asked: Asked) -> Iterator[Check]:
    """Everything about sends."""
    yield Check("samples of answers", partial(_has_samples, asked))
    for answer in asked.answers:
        yield Check(f"answer: {answer.name}", partial(_is_read, asked, answer))
    for name, reply in _no_answers(taken_of(asked)).items():
        for warm in (False, True):
            again = " on a connection used before" if warm else ""
            yield Check(f"{name}{again}", partial(_no_answer, asked, reply, warm=warm))
    yield Check("time is over", partial(_time_is_over, asked))
    yield Check("connection refused", partial(_refused_connection, asked))
    yield Check("redirects", partial(_redirects, asked))
    yield Check("a success cut short", partial(_cut_short, asked))
    yield Check("a success with something else in it", partial(_altered, asked))
    yield Check("a success under a server error", partial(_under_an_error, asked))
    yield Check("2xx that says nothing", partial(_says_nothing, asked))
    yield Check("server errors with a page", partial(_pages, asked))
    yield Check("refusals with something else in them", partial(_altered_refusals, asked))
    yield Check("answers that are made up", partial(_made_up, asked))
    for kind in MessageKind:
        yield Check(f"message: {kind}", partial(_arrives, asked, kind))


def taken_of(asked: Asked) -> Answer:
    """The first sample that takes a message."""
    found = next((one for one in asked.answers if one.means is Means.TAKEN), None)
    # The check of samples says that it is missing; the others need something to try.
    return found or Answer(name="", status=200, body={}, means=Means.TAKEN)


def _has_samples(asked: Asked) -> None:
    for means in (Means.TAKEN, Means.REFUSED, Means.BUSY):
        has_one = any(one.means is means for one in asked.answers)
        hold(has_one, SAMPLES, f"`answers` has none that is {means.name.lower()}")
    hold(bool(asked.messages), SAMPLES, "`messages` names no kind of message")


def _is_read(asked: Asked, answer: Answer) -> None:
    with Rig(asked) as rig:
        caught = rig.send(answer.reply())
    count = len(caught.sends)
    wanted = answer.requests
    hold(count == wanted, ONE_REQUEST, f"{count} requests at {answer.name}, not {wanted}")
    end = caught.end
    wanted_class = _CLASSES[answer.means]
    found = f"{caught.what} at {answer.name}, not {wanted_class.__name__}"
    line = UNKNOWN_ANSWER if answer.means is Means.UNKNOWN else KNOWN_ANSWER
    hold(type(end) is wanted_class, line, found)
    match end:
        case Sent():
            wanted_end = Sent(ProviderId(answer.provider_id), answer.wa_id, answer.request_id)
            hold(end == wanted_end, KNOWN_ANSWER, f"{end}, not {wanted_end}")
        case ProviderRefused():
            shut = answer.means is Means.WINDOW_SHUT
            hold(end.window_shut is shut, KNOWN_ANSWER, f"window_shut={end.window_shut}")
        case ProviderBusy():
            scope = end.pauses.scope if end.pauses else None
            hold(scope == answer.pauses, KNOWN_ANSWER, f"it pauses {scope}, not {answer.pauses}")
            asks = answer.retry_after
            found = f"retry_after={end.retry_after}, not {asks}"
            hold(asks in (None, end.retry_after), KNOWN_ANSWER, found)


# No whole answer


def _no_answers(taken: Answer) -> dict[str, Reply]:
    whole = taken.reply().raw
    head = whole.index(b"\r\n\r\n") + 4
    return {
        "hung up after the request": HANG_UP,
        "hung up in the status line": Reply(whole[:12]),
        "hung up in the headers": Reply(whole[: head - 4]),
        "hung up before the body": Reply(whole[:head]),
        "hung up in the body": Reply(whole[:-1]),
        "an answer that is no HTTP": Reply(b"SSH-2.0-OpenSSH_9.2\r\n"),
    }


def _no_answer(asked: Asked, reply: Reply, *, warm: bool) -> None:
    with Rig(asked) as rig:
        if warm:
            rig.send(taken_of(asked).reply(keep=True))
        caught = rig.send(reply)
    _is_unknown_after_one_request(caught, NO_ANSWER)


def _time_is_over(asked: Asked) -> None:
    taken = taken_of(asked).reply().raw
    for raw in (b"", taken[:-1]):
        with Rig(asked, call_timeout=_SHORT) as rig:
            caught = rig.send(SILENCE if not raw else Reply(raw, SILENCE.then))
        _is_unknown_after_one_request(caught, NO_ANSWER)


def _refused_connection(asked: Asked) -> None:
    """At once, and where what comes before a send, such as a log-in, is done already."""
    for warm in (False, True):
        with Rig(asked) as rig:
            if warm:
                rig.send(taken_of(asked).reply())
            rig.stop_server()
            caught = rig.send(HANG_UP)
        hold(isinstance(caught.end, ProviderBusy), NEVER_CONNECTED, caught.what)


def _redirects(asked: Asked) -> None:
    """Whoever follows one is told at the second request that the message was taken."""
    for status in _REDIRECTS:
        with Rig(asked) as rig:
            replies = [
                Reply.http(status, b"", headers={"location": f"{rig.url}/elsewhere"}),
                taken_of(asked).reply(),
            ]
            caught = rig.send(*replies)
        hold(len(caught.sends) == 1, NO_REDIRECT, f"{len(caught.sends)} requests at {status}")
        _is_unknown_after_one_request(caught, NO_REDIRECT)


def _is_unknown_after_one_request(caught: Caught, line: Any) -> None:
    hold(len(caught.sends) == 1, ONE_REQUEST, f"the server read {len(caught.sends)} requests")
    hold(isinstance(caught.end, OutcomeUnknown), line, caught.what)


# Answers that nobody knows


def _cut_short(asked: Asked) -> None:
    """Where the success is JSON: every beginning of it, as a whole answer."""
    taken = taken_of(asked)
    if json_of(taken) is None:
        return
    content = taken.content.rstrip()
    with Rig(asked) as rig:
        for length in range(len(content)):
            _is_unknown(rig, taken.status, content[:length])


def _altered(asked: Asked) -> None:
    taken = taken_of(asked)
    known = json_of(taken)
    # An id may be any text or number; nothing else can be one.
    odd_ids = {str(odd) for odd in ODD_VALUES if odd and isinstance(odd, str | int)}
    odd_ids |= {id_.replace("\0", "\ufffd") for id_ in odd_ids}  # no database keeps a NUL
    ids = odd_ids - {"True"} | {taken.provider_id}
    with Rig(asked) as rig:
        for odd in breaks(known) if known is not None else ():
            caught = rig.send(Reply.http(taken.status, orjson.dumps(odd), keep=True))
            match caught.end:
                case Sent(provider_id=id_) if id_ in ids:
                    continue
                case OutcomeUnknown():
                    continue
            found = f"{caught.what} at {taken.status} {_shown(orjson.dumps(odd))}"
            hold(False, UNKNOWN_ANSWER, found)


def _under_an_error(asked: Asked) -> None:
    taken = taken_of(asked)
    with Rig(asked) as rig:
        for status in _NEVER_A_SUCCESS:
            _is_unknown(rig, status, taken.content)


def _says_nothing(asked: Asked) -> None:
    with Rig(asked) as rig:
        for status in (200, 201, 202):
            for body in ODD_BODIES:
                _is_unknown(rig, status, body)

        @SEARCH
        @given(JSON.map(_as_json) | st.binary(max_size=40))
        def anything(body: bytes) -> None:
            _is_unknown(rig, 200, body)

        anything()


def _pages(asked: Asked) -> None:
    with Rig(asked) as rig:
        for status in (502, 503, 504, 520):
            _is_unknown(rig, status, _PAGE)


def _is_unknown(rig: Rig, status: int, body: bytes) -> None:
    caught = rig.send(Reply.http(status, body, keep=True))
    count = len(caught.sends)
    hold(count == 1, ONE_REQUEST, f"{count} requests at {status} {_shown(body)}")
    found = f"{caught.what} at {status} {_shown(body)}"
    hold(isinstance(caught.end, OutcomeUnknown), UNKNOWN_ANSWER, found)


def _altered_refusals(asked: Asked) -> None:
    """Whatever they are then, they are no success."""
    with Rig(asked) as rig:
        for answer in asked.answers:
            known = json_of(answer)
            if answer.means in (Means.TAKEN, Means.UNKNOWN) or known is None:
                continue
            for odd in breaks(known):
                caught = rig.send(Reply.http(answer.status, orjson.dumps(odd), keep=True))
                found = f"{caught.what} at {answer.status} {_shown(orjson.dumps(odd))}"
                hold(isinstance(caught.end, SendFailure), UNKNOWN_ANSWER, found)


def _made_up(asked: Asked) -> None:
    with Rig(asked) as rig:

        @SEARCH
        @given(st.integers(300, 599), JSON.map(_as_json) | st.binary(max_size=40))
        def anything(status: int, body: bytes) -> None:
            if status == 304:  # noqa: PLR2004 - an answer that has no body
                return
            caught = rig.send(Reply.http(status, body, keep=True))
            found = f"{caught.what} at {status} {_shown(body)}"
            hold(isinstance(caught.end, SendFailure), UNKNOWN_ANSWER, found)

        anything()


def _as_json(value: Any) -> bytes:
    return orjson.dumps(value, default=str)


def json_of(answer: Answer) -> Any:
    """What the body of a sample holds; None where it is not JSON."""
    try:
        return orjson.loads(answer.content)
    except ValueError:
        return None


def _shown(body: bytes) -> str:
    return repr(body[:200])


# Messages


def _arrives(asked: Asked, kind: MessageKind) -> None:
    message = a_message(kind)
    with Rig(asked) as rig:
        caught = rig.send(taken_of(asked).reply(), message=message)
    if kind in asked.messages:
        hold(len(caught.sends) == 1, MESSAGE_ARRIVES, f"{caught.what} at a message: {kind}")
        picked = asked.picked(caught.sends[0])
        found = differences(picked, message)
        hold(not found, MESSAGE_ARRIVES, "; ".join(found))
        said = f"`picked` finds the sender {picked.sender!r}, which stands in no key of its table"
        hold(picked.sender in {None, *_of_sender_1(asked)}, MESSAGE_ARRIVES, said)
    elif kind is MessageKind.REPLY:
        # It goes out without the bubble, where there is no place for it.
        for request in caught.sends:
            hold(asked.picked(request).reply_to is None, NOT_SUPPORTED, "it quotes a message")
    else:
        hold(not caught.sends, NOT_SUPPORTED, f"a request was made for a message: {kind}")
        hold(isinstance(caught.end, ProviderRefused), NOT_SUPPORTED, caught.what)


def _of_sender_1(asked: Asked) -> set[object]:
    """What stands in its table, and not in that of sender 2."""
    one, two = asked.table("", 1), asked.table("", 2)
    return {value for key, value in one.items() if isinstance(value, str) and value != two.get(key)}
