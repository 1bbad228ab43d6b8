"""What callbacks come to, and whose they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import orjson
from hypothesis import given
from hypothesis import strategies as st

from alir.errors import ProviderBusy, ProviderRefused, SendFailure
from alir.ids import SenderName
from alir.messages.model import ReceiptStatus
from alir.providers import lenient
from alir.receipts.model import Heard, Mark, Told
from alir.receipts.ports import CallbackRequest, Dialect
from alir.testing.asked import Asked
from alir.testing.broken import JSON, ODD_BODIES, ODD_VALUES, SEARCH, breaks
from alir.testing.checks import Check
from alir.testing.clock import START
from alir.testing.lines import (
    HEARD,
    MARK,
    NEVER_RAISES,
    ONE_BAD_ITEM,
    ONLY_ITS_SENDERS,
    OTHER_KINDS,
    RECEIPTS,
    SAME_CODE,
    SAMPLES,
    SIGNATURE_NEVER_RAISES,
    SIGNED,
    ContractBroken,
    hold,
)
from alir.testing.messages import DIGITS, MAIN, OTHER, a_message
from alir.testing.rig import Rig, dialect_of, secrets_of, sender_of
from alir.testing.samples import Answer, Receipt
from alir.testing.sends import taken_of

#: When what is told happened; callbacks are read at `START`.
AT: Final = datetime(2025, 12, 31, 23, 59, 30, tzinfo=UTC)
_BOTH: Final = (MAIN, OTHER)
_OTHER_DIGITS: Final = "15550100002"
_IDS: Final = ("contract-1", "contract-2", "contract-3")
#: What a header may hold, as it is read.
_HEADER_TEXT: Final = st.text(st.characters(max_codepoint=255), max_size=80)
_PATH_TEXT: Final = st.text(st.characters(exclude_categories=()), max_size=80)


def checks(asked: Asked) -> Iterator[Check]:
    """Everything about callbacks."""
    for status in ReceiptStatus:
        yield Check(f"receipt: {status}", partial(_receipt, asked, status))
    yield Check("receipt with the mark of an attempt", partial(_mark, asked))
    yield Check("receipt with a mark that is not alir's", partial(_foreign_mark, asked))
    yield Check("somebody wrote", partial(_heard, asked))
    yield Check("items of another kind", partial(_other_kinds, asked))
    yield Check("a broken item between others", partial(_bad_items, asked))
    yield Check("callbacks with something else in them", partial(_altered, asked))
    yield Check("callbacks that are made up", partial(_garbage, asked))
    yield Check("only for those who signed", partial(_only_its_senders, asked))
    yield Check("who signed", partial(_signed, asked))
    yield Check("signatures that are broken", partial(_broken_signatures, asked))
    yield Check("signatures that are made up", partial(_made_up_signatures, asked))
    yield Check("errors that are made up", partial(_made_up_errors, asked))
    for answer in asked.answers:
        if answer.code is not None:
            yield Check(f"same code by receipt: {answer.name}", partial(_same_code, asked, answer))


# What is told


def _a_receipt(asked: Asked, id_: str = _IDS[0], **changes: Any) -> object:
    fields: dict[str, Any] = {
        "status": ReceiptStatus.SENT,
        "provider_id": id_,
        "at": AT,
        "wa_id": DIGITS,
    }
    return asked.receipt(Receipt(**(fields | changes)))


def _read(
    dialect: Dialect, body: bytes, senders: Sequence[SenderName] = _BOTH
) -> list[Told | Heard]:
    try:
        found = dialect.read(body, senders=senders, now=START)
    except Exception as error:
        said = f"{type(error).__name__}: {error} at {body[:300]!r}"
        raise ContractBroken(NEVER_RAISES, said) from error
    for one in found:
        # Whatever was in it, what comes out can be stored.
        is_one = isinstance(one, Told | Heard) and one.at.utcoffset() is not None
        hold(is_one, NEVER_RAISES, f"{one!r} at {body[:300]!r}")
    return found


def _the_receipt(asked: Asked, item: object) -> Told:
    found = _read(dialect_of(asked), asked.callback([item], 1), (MAIN,))
    match found:
        case [Told() as told]:
            return told
    raise ContractBroken(RECEIPTS, f"{found!r} at a callback with one receipt")


def _receipt(asked: Asked, status: ReceiptStatus) -> None:
    code = asked.failed_code if status is ReceiptStatus.FAILED else None
    told = _the_receipt(asked, _a_receipt(asked, status=status, code=code))
    said = (told.sender, told.provider_id, told.status, told.at)
    wanted = (MAIN, _IDS[0], status, AT)
    hold(said == wanted, RECEIPTS, f"sender, id, status and time are {said}, not {wanted}")
    # An author whose provider's receipts do not name the recipient leaves the digits out.
    names_them = _a_receipt(asked) != _a_receipt(asked, wa_id=_OTHER_DIGITS)
    wanted_digits = DIGITS if names_them else None
    hold(told.wa_id == wanted_digits, RECEIPTS, f"wa_id is {told.wa_id!r}, not {wanted_digits!r}")
    hold(told.mark is None, MARK, f"the mark is {told.mark}, where none was sent")
    if status is not ReceiptStatus.FAILED:
        return
    error = told.error or {}
    wanted_code = None if code is None else str(code)
    shape = error.keys() >= {"code", "provider_code", "title", "detail"}
    hold(shape, RECEIPTS, f"its error is {told.error!r}; make it with `life.error`")
    hold(error["provider_code"] == wanted_code, RECEIPTS, f"its error is {told.error!r}")


def _mark(asked: Asked) -> None:
    message = a_message()
    with Rig(asked) as rig:
        sent = [
            rig.send(taken_of(asked).reply(), message=message, attempt=attempt)
            for attempt in (1, 2)
        ]
    marks = [asked.picked(request).mark for caught in sent for request in caught.sends]
    hold(len(marks) == len(sent), MARK, f"{len(marks)} requests at two sends")
    if not sender_of(asked).gives_marks:
        found = f"requests carry the marks {marks}, but the sender gives none"
        hold(not any(marks), MARK, found)
        return
    for number, mark in enumerate(marks, start=1):
        hold(mark is not None, MARK, "`picked` found no mark in the request")
        told = _the_receipt(asked, _a_receipt(asked, mark=mark))
        wanted = Mark(message.id, number)
        hold(told.mark == wanted, MARK, f"{told.mark} at {mark!r}, not {wanted}")


def _foreign_mark(asked: Asked) -> None:
    for mark in ("somebody else's", "alir1:", "7", ""):
        told = _the_receipt(asked, _a_receipt(asked, mark=mark))
        hold(told.mark is None, MARK, f"{mark!r} is read as {told.mark}")


def _heard(asked: Asked) -> None:
    item = asked.wrote(DIGITS, AT)
    if item is None:
        return
    found = _read(dialect_of(asked), asked.callback([item], 1), (MAIN,))
    said = [(one.sender, one.wa_id, one.at) for one in found if isinstance(one, Heard)]
    wanted = [(MAIN, DIGITS, AT)]
    hold(said == wanted, HEARD, f"{found!r} at a callback in which one person wrote")


def _other_kinds(asked: Asked) -> None:
    hold(bool(asked.others), SAMPLES, "`others` has no item")
    dialect = dialect_of(asked)
    for item in asked.others:
        found = _read(dialect, asked.callback([item], 1))
        hold(not found, OTHER_KINDS, f"{found!r} at {item!r}")
        _keeps_the_others(asked, dialect, item)


# Broken ones


def _bad_items(asked: Asked) -> None:
    dialect = dialect_of(asked)
    for good in (_a_receipt(asked, _IDS[1]), asked.wrote(DIGITS, AT)):
        for bad in (*ODD_VALUES, *breaks(good)):
            _keeps_the_others(asked, dialect, bad)


def _keeps_the_others(asked: Asked, dialect: Dialect, bad: object) -> None:
    around = (_a_receipt(asked, _IDS[0]), _a_receipt(asked, _IDS[2]))
    found = _read(dialect, asked.callback([around[0], bad, around[1]], 1), (MAIN,))
    ids = [one.provider_id for one in found if isinstance(one, Told)]
    kept = [id_ for id_ in ids if id_ in (_IDS[0], _IDS[2])]
    hold(kept == [_IDS[0], _IDS[2]], ONE_BAD_ITEM, f"of the two others {kept} at {bad!r}")


def _altered(asked: Asked) -> None:
    dialect = dialect_of(asked)
    for body in _whole_callbacks(asked):
        known = lenient.parse(body)  # None where the provider's callbacks are no JSON
        for odd in breaks(known):
            _read(dialect, orjson.dumps(odd))
        for length in range(len(body)):
            _read(dialect, body[:length])


def _whole_callbacks(asked: Asked) -> list[bytes]:
    failed = _a_receipt(asked, status=ReceiptStatus.FAILED, code=asked.failed_code)
    items = [_a_receipt(asked), failed, asked.wrote(DIGITS, AT)]
    return [asked.callback([one for one in items if one is not None], 1)]


def _garbage(asked: Asked) -> None:
    dialect = dialect_of(asked)
    for body in ODD_BODIES:
        found = _read(dialect, body)
        hold(not found, RECEIPTS, f"{found!r} at {body[:100]!r}")

    @SEARCH
    @given(st.binary(max_size=60) | JSON.map(partial(orjson.dumps, default=str)))
    def anything(body: bytes) -> None:
        _read(dialect, body)

    @SEARCH
    @given(st.lists(JSON, max_size=4))
    def anything_in_the_envelope(items: list[Any]) -> None:
        _read(dialect, asked.callback(items, 1))

    anything()
    anything_in_the_envelope()


def _only_its_senders(asked: Asked) -> None:
    dialect = dialect_of(asked)
    for number in (1, 2):
        body = asked.callback([_a_receipt(asked)], number)
        for senders in ((), (MAIN,), (OTHER,), (SenderName("gone"),)):
            found = [one.sender for one in _read(dialect, body, senders)]
            hold(set(found) <= set(senders), ONLY_ITS_SENDERS, f"about {found} for {senders}")


# Signatures


def _signers(dialect: Dialect, request: CallbackRequest) -> tuple[SenderName, ...]:
    try:
        return tuple(dialect.signed_by(request))
    except Exception as error:
        said = f"{type(error).__name__}: {error} at {request!r}"
        raise ContractBroken(SIGNATURE_NEVER_RAISES, said) from error


def _signed(asked: Asked) -> None:
    dialect, body = dialect_of(asked), asked.callback([_a_receipt(asked)], 1)
    for name, secret in zip(_BOTH, _callback_secrets(asked), strict=True):
        found = _signers(dialect, asked.secured(body, secret))
        hold(found == (name,), SIGNED, f"{found} for the secret of {name}")
    for secret in ("", "another secret", "secret\x00"):
        found = _signers(dialect, asked.secured(body, secret))
        hold(not found, SIGNED, f"{found} for {secret!r}, which is nobody's")


def _broken_signatures(asked: Asked) -> None:
    dialect, body = dialect_of(asked), asked.callback([_a_receipt(asked)], 1)
    right = asked.secured(body, _callback_secrets(asked)[0])
    unsigned = [CallbackRequest({}, body), CallbackRequest({}, body, "")]
    if not asked.kind.secret_in_path:
        # The signature is over these bytes, and no others.
        unsigned += [right._replace(body=other) for other in (b"", body + b" ", body[:-1])]
    unsigned += [right._replace(headers={}, secret=None)]
    for odd in (_shortened, _lengthened, _emptied, _outside_ascii, _swapped):
        unsigned += list(_with_each_changed(right, odd))
    for request in unsigned:
        found = _signers(dialect, request)
        hold(not found, SIGNED, f"{found} for {request.headers} and {request.secret!r}")


def _with_each_changed(
    right: CallbackRequest, change: Callable[[str], str]
) -> Iterator[CallbackRequest]:
    """All of what it shows changed, at once."""
    if right.secret is not None:
        yield right._replace(secret=change(right.secret))
    if right.headers:
        yield right._replace(headers={n: change(v) for n, v in right.headers.items()})


def _shortened(text: str) -> str:
    return text[:-1]


def _lengthened(text: str) -> str:
    return f"{text}0"


def _emptied(_: str) -> str:
    return ""


def _outside_ascii(text: str) -> str:
    return f"{text[:-1]}ü"


def _swapped(text: str) -> str:
    return text[:-1] + ("0" if not text.endswith("0") else "1")


def _made_up_signatures(asked: Asked) -> None:
    dialect, body = dialect_of(asked), asked.callback([_a_receipt(asked)], 1)
    right = asked.secured(body, _callback_secrets(asked)[0])

    @SEARCH
    @given(_HEADER_TEXT, _PATH_TEXT)
    def anything(value: str, secret: str) -> None:
        headers = dict.fromkeys(right.headers, value)
        found = _signers(dialect, CallbackRequest(headers, body, secret))
        hold(not found, SIGNED, f"{found} for {value!r} and {secret!r}")
        # What names a scheme before the signature is kept, as in "sha256=".
        for name, shown in right.headers.items():
            begun = {name: shown.partition("=")[0] + "=" + value}
            _signers(dialect, CallbackRequest(dict(right.headers) | begun, body))

    anything()


def _callback_secrets(asked: Asked) -> list[str]:
    return [secrets_of(sender_of(asked, number))[asked.callback_secret] for number in (1, 2)]


# What a failed receipt means


def _same_code(asked: Asked, answer: Answer) -> None:
    with Rig(asked) as rig:
        by_answer = rig.send(answer.reply()).end
    item = _a_receipt(asked, status=ReceiptStatus.FAILED, code=answer.code)
    by_receipt = dialect_of(asked).failure_of(_the_receipt(asked, item).error or {})
    found = f"{_shape(by_receipt)} by receipt, {_shape(by_answer)} by answer"
    hold(_shape(by_receipt) == _shape(by_answer), SAME_CODE, found)


def _shape(end: object) -> tuple[object, ...]:
    match end:
        case ProviderBusy():
            return ("busy", end.pauses, end.at_most)
        case ProviderRefused():
            return ("refused", end.window_shut)
    return (type(end).__name__,)


def _made_up_errors(asked: Asked) -> None:
    dialect = dialect_of(asked)

    @SEARCH
    @given(st.dictionaries(st.sampled_from(["provider_code", "title", "detail", "code"]), JSON))
    def anything(error: dict[str, Any]) -> None:
        try:
            found: SendFailure = dialect.failure_of(error)
        except Exception as raised:
            said = f"{type(raised).__name__}: {raised} at {error!r}"
            raise ContractBroken(SAME_CODE, said) from raised
        is_known = isinstance(found, ProviderBusy | ProviderRefused)
        hold(is_known, SAME_CODE, f"{found!r} at {error!r}: a failed receipt is no unknown")

    anything()
