"""One JSON object of a request, held to its rules as marshmallow does: all faults are gathered."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final
from urllib.parse import urlsplit

MISSING = "Missing data for required field."
NULL = "Field may not be null."


class Fields:
    """An object; what is wrong with it goes into `faults`, a map that mirrors the request.

    Methods return nothing where the field is left out or breaks a rule.
    """

    def __init__(self, value: dict[str, Any], faults: dict[str, Any], *, strict: bool) -> None:
        """`strict`: unknown fields are faults."""
        self._value: Final = value
        self._strict = strict
        self.faults = faults

    def has(self, key: str) -> bool:
        """Whether the field is there, be it null."""
        return key in self._value

    def only(self, *known: str) -> None:
        """Where it is strict, say of each other field that it is unknown."""
        if self._strict:
            for key in self._value:
                if key not in known:
                    self.fault(key[:64], "Unknown field.")

    def fault(self, key: str, text: str) -> None:
        """Say what is wrong with a field."""
        self.faults.setdefault(key, []).append(text)

    def text(
        self, key: str, *, needed: bool = False, least: int = 1, most: int | None = None
    ) -> str | None:
        """A text of `least` to `most` characters."""
        value = self._get(key, needed=needed)
        if value is None:
            return None
        if not isinstance(value, str):
            self.fault(key, "Not a valid string.")
        elif len(value) < least:
            self.fault(key, f"Shorter than minimum length {least}.")
        elif most is not None and len(value) > most:
            self.fault(key, f"Longer than maximum length {most}.")
        else:
            return value
        return None

    def choice(self, key: str, choices: Collection[str], *, needed: bool = False) -> str | None:
        """One of `choices`."""
        value = self._get(key, needed=needed)
        if value is None:
            return None
        if value not in choices:
            self.fault(key, f"Must be one of: {', '.join(choices)}.")
            return None
        return str(value)

    def flag(self, key: str) -> None:
        """True or false, also as a text."""
        value = self._get(key)
        if value is not None and value not in (True, False, "true", "false"):
            self.fault(key, "Not a valid boolean.")

    def web_link(self, key: str, *, needed: bool = False) -> None:
        """The address of something on the web."""
        value = self._get(key, needed=needed)
        if value is None:
            return
        try:
            parts = urlsplit(value) if isinstance(value, str) else None
            usable = parts is not None and parts.scheme in ("http", "https") and parts.hostname
        except ValueError:
            usable = False
        if not usable:
            self.fault(key, "Not a valid URL.")

    def part(self, key: str, *, needed: bool = False) -> Fields | None:
        """An object."""
        value = self._get(key, needed=needed)
        return None if value is None else self._part(value, self.faults, key)

    def parts(self, key: str) -> list[Fields]:
        """The objects in a list; their faults go by their place in it, from `0`."""
        value = self._get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.fault(key, "Not a valid list.")
            return []
        faults: dict[str, Any] = {}
        parts = [self._part(item, faults, str(i)) for i, item in enumerate(value)]
        self.faults[key] = faults
        return [part for part in parts if part is not None]

    def is_empty_list(self, key: str) -> bool:
        """Whether the field is a list without items."""
        value: object = self._value.get(key)
        return value == []

    def is_filled(self, key: str) -> bool:
        """Whether the field is an object with fields of its own."""
        value = self._value.get(key)
        return isinstance(value, dict) and bool(value)

    def _part(self, value: object, faults: dict[str, Any], key: str) -> Fields | None:
        its: dict[str, Any] = {}
        faults[key] = its
        if not isinstance(value, dict):
            its["_schema"] = ["Invalid input type."]
            return None
        return Fields(value, its, strict=self._strict)

    def _get(self, key: str, *, needed: bool = False) -> Any:
        if key not in self._value:
            if needed:
                self.fault(key, MISSING)
            return None
        value = self._value[key]
        if value is None:
            self.fault(key, NULL)
        return value


def without_empty(faults: dict[str, Any]) -> dict[str, Any]:
    """The faults without objects that have none.

    >>> without_empty({"a": {}, "b": {"0": {}, "1": {"c": ["d"]}}})
    {'b': {'1': {'c': ['d']}}}
    """
    found = {
        key: without_empty(value) if isinstance(value, dict) else value
        for key, value in faults.items()
    }
    return {key: value for key, value in found.items() if value}
