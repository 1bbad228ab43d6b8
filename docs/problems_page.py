"""The reference page of problems and warnings, made from the tables that the answers come from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from alir.api.problems import TYPES, example_of
from alir.messages.faults import FAULT_CODES, WARNING_CODES

_INTRODUCTION = """\
# Problems and warnings

<!-- Made by `make docs` from src/alir/api/problems.py and src/alir/messages/faults.py. -->

What cannot be done is answered with a problem: JSON as RFC 9457 describes it, of the type
`application/problem+json`. Its `type` is a page that the gateway itself serves, such as
`/problems/invalid_request`; `/problems` lists them all. Programs go by the last part of `type`, by
`status` and by the codes in `errors`. Titles and details are for people, and may change.

```json
{example}
```

`detail` says what happened this time, `instance` where: the path that was asked, or the message.
Some problems have more members: `id` (of the message), `errors`, `provider`, `reason`, or `line`,
`column` and `excerpt`.
"""
_FAULTS = """\
## Codes in `errors`

A problem `invalid_request` lists every broken rule at once. `pointer` says where, as a JSON pointer
in the form of a URI fragment; in a query it is `#/` and the parameter's name.
"""
_WARNINGS = """\
## Codes in `warnings`

A request that was taken can carry warnings in `data.warnings`, of the same form as `errors`. They
are kept with the message.
"""


def problems_page() -> str:
    """The page, in Markdown."""
    example = json.dumps(example_of(TYPES["invalid_request"]), indent=2)
    rows = [
        (f"`{kind.code}`", str(kind.status), kind.meaning, kind.remedy) for kind in TYPES.values()
    ]
    return "\n".join(
        [
            _INTRODUCTION.replace("{example}", example),
            "## Problems\n",
            table(("code", "status", "what it means", "what to do"), rows),
            _FAULTS,
            _codes(FAULT_CODES),
            _WARNINGS,
            _codes(WARNING_CODES),
        ]
    )


def _codes(meanings: Mapping[str, str]) -> str:
    return table(
        ("code", "what it means"), [(f"`{code}`", text) for code, text in meanings.items()]
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, and an empty line.

    >>> print(table(("a", "b"), [("1", "x|y")]).rstrip())
    | a | b |
    |---|---|
    | 1 | x\\|y |
    """
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(head) + " |", "|---" * len(head) + "|", *lines, ""])
