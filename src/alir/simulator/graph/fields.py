"""One JSON object of a request, read field by field."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, Self
from urllib.parse import urlsplit

from alir.simulator.graph.refusal import invalid, missing, wrong


class Fields:
    """An object and where it stands, such as `interactive['body']`.

    Every method raises `GraphRefusal` where the field breaks its rule. A field that is null
    counts as left out.
    """

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise invalid(f"Param {path} must be a JSON object.")
        self._value: Final[dict[str, Any]] = value
        self.path = path

    def path_of(self, key: str) -> str:
        """Where the field `key` stands."""
        return f"{self.path}['{key}']" if self.path else key

    def has(self, key: str) -> bool:
        """Whether the field is there."""
        return self._value.get(key) is not None

    def only(self, *known: str) -> Self:
        """Refuse fields other than `known`."""
        for key in self._value:
            if key not in known:
                raise invalid(f"Unexpected key {key[:64]!r} on param {self.path!r}.")
        return self

    def part(self, key: str) -> Fields:
        """The object `key`, which must be there."""
        return Fields(self._needed(key), self.path_of(key))

    def parts(self, key: str) -> list[Fields]:
        """The objects in the list `key`; an empty list where it is left out."""
        value = self._value.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise invalid(f"Param {self.path_of(key)} must be an array.")
        return [Fields(item, f"{self.path_of(key)}[{i}]") for i, item in enumerate(value)]

    def text(self, key: str, *, most: int | None = None) -> str:
        """The text `key`, which must be there, not empty, at most `most` characters."""
        value = self._needed(key)
        if not isinstance(value, str):
            raise invalid(f"Param {self.path_of(key)} must be a string.")
        if not value:
            raise wrong(f"Param {self.path_of(key)} must not be empty.")
        if most is not None and len(value) > most:
            raise invalid(f"Param {self.path_of(key)} must be at most {most} characters long.")
        return value

    def optional_text(self, key: str, *, most: int | None = None) -> str | None:
        """As `text`, or nothing where it is left out."""
        return self.text(key, most=most) if self.has(key) else None

    def choice(self, key: str, choices: Collection[str]) -> str:
        """The text `key`, which must be one of `choices`."""
        value = self.text(key)
        if value not in choices:
            names = ", ".join(choices)
            raise wrong(f"Param {self.path_of(key)} must be one of {{{names}}}.")
        return value

    def web_link(self, key: str) -> str:
        """The text `key`, which must be the address of something on the web."""
        value = self.text(key)
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            usable = False
        if not usable:
            raise wrong(f"Param {self.path_of(key)} must be an http or https URL.")
        return value

    def filled_part(self, key: str) -> None:
        """The object `key` must have at least one field."""
        value = self._needed(key)
        if not isinstance(value, dict):
            raise invalid(f"Param {self.path_of(key)} must be a JSON object.")
        if not value:
            raise wrong(f"Param {self.path_of(key)} must not be empty.")

    def _needed(self, key: str) -> object:
        value: object = self._value.get(key)
        if value is None:
            raise missing(self.path_of(key))
        return value
