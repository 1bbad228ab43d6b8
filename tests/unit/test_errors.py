"""The tree of errors: drawn whole, and each with a code of its own."""

from __future__ import annotations

import inspect
import re
from datetime import timedelta

import pytest

from alir import errors
from alir.errors import AlirError, Fault, ProviderBusy, RequestInvalid, SendFailure

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, BaseException)
]
#: One line of the drawing: how deep it stands, which class, and what is said of it.
_DRAWN = re.compile(r"^([│ ]*)(?:[├└]── )?(\w+)(?: {2,}(\S.*))?$")


def _drawn() -> dict[str, tuple[int, str]]:
    """Name to depth and words, of every class in the drawing."""
    drawing = (errors.__doc__ or "").split("\n\n")[1]
    found = {}
    for line in drawing.splitlines():
        match = _DRAWN.match(line)
        assert match is not None, line
        depth = 0 if match[2] == "AlirError" else len(match[1]) // 4 + 1
        found[match[2]] = (depth, match[3] or "")
    return found


def _depth(error: type[BaseException]) -> int:
    return error.__mro__.index(AlirError)


def test_every_error_is_one_of_alirs() -> None:
    assert len(CLASSES) > 10
    assert all(issubclass(error, AlirError) for error in CLASSES)


def test_the_drawing_shows_every_class_where_it_stands() -> None:
    assert {name: depth for name, (depth, _) in _drawn().items()} == {
        error.__name__: _depth(error) for error in CLASSES
    }


def test_the_drawing_says_of_every_class_what_its_docstring_says() -> None:
    for error in CLASSES:
        if error is not AlirError:
            words = _drawn()[error.__name__][1]
            assert words, error
            assert inspect.getdoc(error), error


def test_no_two_errors_share_a_code() -> None:
    codes = [error.code for error in CLASSES if issubclass(error, AlirError)]

    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


def test_every_error_has_its_own_code_and_inherits_none() -> None:
    assert all("code" in vars(error) for error in CLASSES)


@pytest.mark.parametrize("error", [e for e in CLASSES if issubclass(e, SendFailure)])
def test_only_a_busy_provider_is_worth_another_try(error: type[SendFailure]) -> None:
    assert error.retryable is (error is ProviderBusy)


def test_a_send_failure_keeps_what_the_provider_said() -> None:
    failure = ProviderBusy(
        "Slow down", provider_code="130429", details="d", retry_after=timedelta(seconds=3)
    )

    assert (failure.title, str(failure)) == ("Slow down", "Slow down")
    assert (failure.provider_code, failure.details) == ("130429", "d")
    assert failure.retry_after == timedelta(seconds=3)


def test_what_an_invalid_request_says_of_itself_repeats_nothing_of_the_request() -> None:
    faults = [Fault("#/to", "invalid_number", "…"), Fault("#/flow", "missing", "…")]

    assert str(RequestInvalid(faults)) == "2 rule(s) broken: invalid_number, missing"
