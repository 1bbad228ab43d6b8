"""What follows from an error, in plain words."""

from __future__ import annotations

import pytest

from alir.providers.whatsapp.codes import Change, Concern, changed, meanings
from alir.providers.whatsapp.words import CLASSES, what_alir_does


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (131026, "Counts this message as failed; it does not go out again."),
        (
            131047,
            "Sends the fallback of this message, once, where it has one; else counts it as "
            "failed, and it does not go out again.",
        ),
        (
            131016,
            "Queues this message again and sends it after a wait that doubles each time.",
        ),
        (
            1,
            "Queues this message again and sends it after a wait that doubles each time. "
            "Counts it as failed after 3 such answers.",
        ),
        (
            131056,
            "Queues this message again and sends nothing to this recipient from this sender for "
            "1 s, four times longer with each further refusal, at most 256 s.",
        ),
        (
            132068,
            "Queues this message again and sends nothing of this Flow from this sender until an "
            "operator resumes it.",
        ),
        (
            132069,
            "Queues this message again and sends nothing of this Flow from this sender for 371 s.",
        ),
        (
            131048,
            "Queues this message again and sends nothing from this sender for 1 h, twice as long "
            "with each further refusal, at most 24 h.",
        ),
        (
            190,
            "Queues this message again and sends nothing from any sender of this account for "
            "60 s, twice as long with each further refusal, at most 15 min.",
        ),
    ],
)
def test_what_alir_does_names_what_waits_and_for_how_long(code: int, said: str) -> None:
    assert what_alir_does(meanings()[code]) == said


def test_a_single_try_is_said_to_be_one() -> None:
    table = changed(meanings(), {130429: Change(Concern.SENDER, tries=1)})

    assert what_alir_does(table[130429]).endswith(" Counts it as failed at the first such answer.")


def test_every_class_has_words() -> None:
    assert CLASSES.keys() == set(Concern)
