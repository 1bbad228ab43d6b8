"""The reference page of error codes, made from the tables that answers and receipts are read by."""

from __future__ import annotations

from collections.abc import Iterator

from alir.providers.registry import PROVIDERS
from alir.providers.whatsapp.codes import Concern, read_rows
from alir.providers.whatsapp.words import CLASSES, what_alir_does
from docs.problems_page import table

_INTRODUCTION = """\
# Error codes of WhatsApp

<!-- Made by `make docs` from the files codes.tsv in src/alir/providers; change those. -->

What alir does when a provider answers a send with one of these codes, or sends it in a `failed`
receipt, and what you can do. The code is kept as `error.provider_code`, of the message or of its
attempt. `alir explain 131047` says the same at the command line. Where a provider gives an HTTP
status and no code, the code is such as `HTTP 403`, which is not the code 403:
`alir explain "HTTP 403"`.

## Classes

Each code has a class, which says what becomes of the message and what waits with it.

{classes}
- *Refused*: the message is `failed`, and `POST /messages` answers the problem `refused`. Where the
  24-hour window is shut and the message has a `fallback`, that template goes out instead, once.
- *Busy*: WhatsApp did not take the message, and may take it later. The attempt's outcome is `busy`,
  and the message is `queued` again: for about 1 s, then twice as long each time, up to 5 minutes
  (see [`[dispatch]`](settings.md#dispatch)). A `Retry-After` that asks for more is heeded. At
  `expires_at` the message is `expired`; without one, after 24 hours, it is `failed` (`gave_up`).
- What *waits* is paused: nothing of it goes out, and nothing of it is lost. A pause grows with each
  further refusal in a row, fourfold for a recipient, else twofold. Most pauses end by themselves; a
  blocked Flow waits until an operator resumes it.
- The codes that only people can mend, such as an expired token, are tried again at least every 15
  minutes, and so go away by themselves once they are mended.

## Codes that are not here

An error with another code is tried again where Meta calls it transient (`is_transient`), or where
its HTTP status is 500 or above; with the status 429 the sender waits; else the message is refused.
An answer that is neither such an error nor the id of a message makes the outcome `unknown` (see
[The promise](../explanation/the-promise.md)); at the Cloud API only a 429 is tried again. What alir
makes of such an answer of Route Mobile's, `alir explain "HTTP 403"` says.

## Treat a code differently

The table [`[errors]`](settings.md#errors) of the settings gives a code another class, other waits,
or a number of tries:

```toml alir.toml
[errors]
131049 = "retry"      # a class alone
132015 = "refused"    # fail at once where a template is paused

[errors.130429]       # or with waits, in seconds, and tries
class = "sender"
first_wait_seconds = 2
longest_wait_seconds = 60
```

What is left out stays as it is in the tables below; where the class changes, it is what is usual
for that class. Codes that are not in the tables can be given a class too. Waits are for the classes
that pause something, tries for all that are busy. An environment variable does the same:
`ALIR_ERRORS__131049=retry`. `alir explain` shows what a code then means.

## WhatsApp

The codes of Meta's Cloud API. Other providers pass them on.

{whatsapp}{others}"""
_OTHER = """
## {title}

{title}'s own codes, besides those of WhatsApp.

{codes}"""


def errors_page() -> str:
    """The page, in Markdown."""
    classes = [(f"`{concern}`", CLASSES[concern]) for concern in Concern]
    others = "".join(
        _OTHER.format(title=kind.title, codes=_codes(kind.own_codes))
        for kind in PROVIDERS.values()
        if kind.own_codes is not None
    )
    return (
        _INTRODUCTION.replace("{classes}", table(("class", "what it means"), classes))
        .replace("{whatsapp}", _codes("alir.providers.whatsapp"))
        .replace("{others}", others)
    )


def _codes(package: str) -> str:
    head = ("code", "class", "what it means", "what alir does", "what you can do")
    return table(head, list(_rows(package)))


def _rows(package: str) -> Iterator[tuple[str, str, str, str, str]]:
    for codes, meaning in read_rows(package):
        shown = f"{codes[0]}" if len(codes) == 1 else f"{codes[0]} to {codes[-1]}"
        yield shown, meaning.concern, meaning.title, what_alir_does(meaning), meaning.advice
