"""What the class of an error tells dispatch: who waits, how long, and how often."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alir.errors import PauseAsked, PauseScope, ProviderBusy, ProviderRefused
from alir.providers.whatsapp.codes import Concern, meaning_of, meanings
from alir.providers.whatsapp.failure import failure, failure_of_receipt

ALL = dict(meanings()) | dict(meanings("alir.providers.routemobile"))


@pytest.mark.parametrize("code", ALL)
def test_every_code_becomes_what_its_class_says(code: int) -> None:
    meaning = ALL[code]
    found = failure(meaning, details="d", retry_after=timedelta(seconds=3))

    assert (found.title, found.provider_code, found.details) == (meaning.title, str(code), "d")
    if not meaning.concern.is_busy:
        assert isinstance(found, ProviderRefused)
        assert found.window_shut is (meaning.concern is Concern.WINDOW)
        return
    assert isinstance(found, ProviderBusy)
    assert (found.at_most, found.retry_after) == (meaning.tries, timedelta(seconds=3))
    if meaning.concern is Concern.RETRY:
        assert found.pauses is None
    else:
        scope = PauseScope(meaning.concern.value)
        assert found.pauses == PauseAsked(scope, meaning.first_wait, meaning.longest_wait)


@pytest.mark.parametrize("code", ALL)
def test_a_failed_receipt_means_the_same_as_an_answer(code: int) -> None:
    told = {"code": "undelivered", "provider_code": str(code), "title": "t", "detail": "d"}
    found, answered = failure_of_receipt(told, ALL), failure(ALL[code], details="d")

    assert type(found) is type(answered)
    assert vars(found) == vars(answered)


@pytest.mark.parametrize("code", [None, "", "x", "HTTP 500", "9" * 50, 7.5])
def test_a_failed_receipt_without_a_code_is_refused(code: object) -> None:
    found = failure_of_receipt({"provider_code": code, "title": "No reason"}, ALL)

    assert isinstance(found, ProviderRefused)
    assert (found.title, found.provider_code) == ("No reason", None)


def test_a_flow_without_waits_is_paused_until_somebody_resumes_it() -> None:
    found = failure(meaning_of(132068, table=ALL))

    assert isinstance(found, ProviderBusy)
    assert found.pauses == PauseAsked(PauseScope.FLOW, None, None)
