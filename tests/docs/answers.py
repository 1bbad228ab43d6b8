"""Does a command say what its page states? `…` stands for anything."""

from __future__ import annotations

import json
import re

ANYTHING = "…"


def faults(stated: str, said: str, *, is_json: bool) -> list[str]:
    """Where what was said differs from what is stated; empty: nowhere.

    >>> faults('{"id": "msg_…", "…": "…"}', '{"id": "msg_01J", "to": "+1"}', is_json=True)
    []
    >>> faults('{"status": "read"}', '{"status": "sent", "to": "+1"}', is_json=True)
    ["/: says also ['to']", "/status: says 'sent', not 'read'"]
    >>> faults("ok", "ok", is_json=False)
    []
    """
    if not is_json:
        return [] if _is_text(stated.strip(), said) else [f"says {said!r}"]
    try:
        actual = json.loads(said)
    except ValueError:
        return [f"is no JSON: {said!r}"]
    return _differences(json.loads(stated), actual, "")


def _is_text(stated: str, said: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in _words(stated).split(ANYTHING))
    return re.fullmatch(pattern, _words(said), re.DOTALL) is not None


def _words(text: str) -> str:
    """`text` with one space for each gap inside a line: columns are as wide as what is in them."""
    return "\n".join(" ".join(line.split()) for line in text.splitlines())


def _differences(stated: object, said: object, at: str) -> list[str]:
    if isinstance(stated, dict) and isinstance(said, dict):
        return _in_object(stated, said, at)
    if isinstance(stated, list) and isinstance(said, list) and len(stated) == len(said):
        pairs = enumerate(zip(stated, said, strict=True))
        return [fault for i, (a, b) in pairs for fault in _differences(a, b, f"{at}/{i}")]
    if stated in (ANYTHING, said):
        return []
    if isinstance(stated, str) and isinstance(said, str) and _is_text(stated, said):
        return []
    return [f"{at or '/'}: says {said!r}, not {stated!r}"]


def _in_object(stated: dict[str, object], said: dict[str, object], at: str) -> list[str]:
    named = stated.keys() - {ANYTHING}
    found = []
    if missing := sorted(named - said.keys()):
        found.append(f"{at or '/'}: does not say {missing}")
    if ANYTHING not in stated and (more := sorted(said.keys() - named)):
        found.append(f"{at or '/'}: says also {more}")
    for name in named & said.keys():
        found += _differences(stated[name], said[name], f"{at}/{name}")
    return found
