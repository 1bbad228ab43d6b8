"""The reference page of the Cloud API's errors, made from the table that answers are read by."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

from alir.providers.whatsapp.codes import Concern
from docs.problems_page import table

_INTRODUCTION = """\
# Errors of the Cloud API

<!-- Made by `make docs` from src/alir/providers/whatsapp/codes.tsv; change that file. -->

What alir does when Meta answers a send with one of these codes. The code is kept as
`error.provider_code`, of the message or of its attempt.

- **refused**: the message is `failed`, and `POST /messages` answers the problem `refused`.
- **tried again**: WhatsApp did not take the message, and may take it later. It stays `queued`, the
  attempt's outcome is `busy`, and alir waits about 1 s, then twice as long each time, up to 5
  minutes. A `Retry-After` that asks for more is heeded, up to an hour. At `expires_at` it is
  `expired`; without one, after 24 hours, it is `failed` (`gave_up`). The settings
  [`[dispatch]`](settings.md#dispatch) change these times.

The column *concerns* says how far such an error reaches. This version waits with the one message
only, whatever the error concerns.

An error with another code is tried again where Meta calls it transient (`is_transient`), or where
its HTTP status is 429, or 500 and above; else it is refused. An answer that is neither such an
error nor the id of a message makes the outcome `unknown` (see
[The promise](../explanation/the-promise.md)); only a 429 is tried again.

A code that comes in a `failed` receipt, after WhatsApp had taken the message, makes the message
`failed`, whichever code it is. Another attempt is then up to you: `POST /messages/{id}/retry`.
"""
_DONE = {Concern.REFUSED: "refused"}
_CONCERNS = {
    Concern.REFUSED: "this message",
    Concern.RETRY: "this message",
    Concern.PAIR: "this sender and this person",
    Concern.FLOW: "this Flow",
    Concern.SENDER: "this sender",
    Concern.ACCOUNT: "the whole account",
}


def errors_page() -> str:
    """The page, in Markdown."""
    head = ("code", "what alir does", "concerns", "what it means")
    return f"{_INTRODUCTION}\n{table(head, list(_rows()))}"


def _rows() -> Iterator[tuple[str, str, str, str]]:
    text = files("alir.providers.whatsapp").joinpath("codes.tsv").read_text(encoding="utf-8")
    for line in text.splitlines():
        if not line.startswith("#"):
            codes, concern, title = line.split("\t")
            of = Concern(concern)
            yield codes.replace("-", " to "), _DONE.get(of, "tried again"), _CONCERNS[of], title
