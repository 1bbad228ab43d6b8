"""Where settings come from, laid over one another: files, environment, command line.

Values are kept as they were written, and of each it is known who said it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from alir.errors import SettingsInvalid

Key = tuple[str, ...]  #: the way to a value: ("senders", "main", "access_token")

PREFIX: Final = "ALIR_"
#: Variables with that prefix that are not settings: read by the command line, tests and bench.
_NO_SETTINGS: Final = ("ALIR_API_TOKEN", "ALIR_CONFIG")
_NO_SETTINGS_BEGIN: Final = ("ALIR_TEST_", "ALIR_BENCH_")


class Origin(NamedTuple):
    """Who said a value; a later origin has a higher rank."""

    rank: int
    name: str


class Layers:
    """A tree of values, laid one source over the other.

    Attributes:
        tree: the values, nested as in TOML.
    """

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}
        self._origins: dict[Key, Origin] = {}

    def lay(self, values: Mapping[str, Any], origin: Origin) -> None:
        """Lay `values` over what is there, key by key. A secret's reference is one value."""
        self._lay(self.tree, values, origin, ())

    def origins(self, key: Key) -> list[Origin]:
        """Who said `key`, or anything below it; else who said anything beside it. Latest first."""
        below = {o for at, o in self._origins.items() if at[: len(key)] == key}
        if not below and key:
            return self.origins(key[:-1])
        return sorted(below, reverse=True)

    def says(self, key: Key) -> bool:
        """Whether any source has exactly this value."""
        return key in self._origins

    def _lay(
        self, tree: dict[str, Any], values: Mapping[str, Any], origin: Origin, at: Key
    ) -> None:
        for name, value in values.items():
            key = (*at, name)
            if not isinstance(value, dict) or is_reference(value):
                tree[name] = value
                self._origins[key] = origin
                continue
            if not isinstance(tree.get(name), dict) or is_reference(tree[name]):
                tree[name] = {}
                self._origins[key] = origin
            self._lay(tree[name], value, origin, key)


def is_reference(value: object) -> bool:
    """Whether this says where a secret stands.

    >>> is_reference({"env": "META_TOKEN"}), is_reference({"level": "info"}), is_reference({})
    (True, False, False)
    """
    return isinstance(value, dict) and bool(value) and value.keys() <= {"env", "file"}


def read_file(path: Path) -> dict[str, Any]:
    """The values in a TOML file.

    Raises:
        SettingsInvalid: it cannot be read, or is not TOML; the problem names file and line.
    """
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise SettingsInvalid([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise SettingsInvalid([f"{path}: expected text in UTF-8 (byte {error.start})"]) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid([f"{path}: expected TOML: {error}"]) from None


def read_environment(
    environ: Mapping[str, str], below: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The settings among the variables: each one's name, and its value nested as in TOML.

    Args:
        below: the tree that they will be laid over; senders are found by its names.
    """
    senders = below.get("senders")
    found = {
        name: (_key(name, senders if isinstance(senders, dict) else {}), _value(text))
        for name, text in sorted(environ.items())
        if _is_setting(name) and text
    }
    nested = {name: _nested(key, value) for name, (key, value) in found.items()}
    secrets = {name for tree in (below, *nested.values()) for name in _referred_to(tree)}
    return ((name, tree) for name, tree in nested.items() if name not in secrets)


def variable(key: Key) -> str:
    """The environment variable of a key.

    >>> variable(("senders", "main", "access_token"))
    'ALIR_SENDERS__MAIN__ACCESS_TOKEN'
    """
    return PREFIX + "__".join(key).replace("-", "_").upper()


def _is_setting(name: str) -> bool:
    return (
        name.startswith(PREFIX)
        and name not in _NO_SETTINGS
        and not name.startswith(_NO_SETTINGS_BEGIN)
    )


def _key(name: str, senders: Iterable[str]) -> Key:
    table, *rest = name.removeprefix(PREFIX).lower().split("__")
    if table == "senders" and rest and rest[0] not in senders:
        same = (sender for sender in senders if sender.replace("-", "_") == rest[0])
        rest[0] = next(same, rest[0])
    return (table, *rest)


def _value(text: str) -> object:
    """A list or table where `text` is one in TOML or JSON; else the text, for its key to read."""
    if not text.startswith(("[", "{")):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        pass  # not an error: JSON comes next, and then plain text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _nested(key: Key, value: object) -> dict[str, Any]:
    first, *rest = key
    return {first: _nested(tuple(rest), value) if rest else value}


def _referred_to(tree: Mapping[str, Any]) -> Iterator[str]:
    """The variables that secrets in `tree` stand in."""
    for value in tree.values():
        if is_reference(value):
            yield value.get("env", "")
        elif isinstance(value, dict):
            yield from _referred_to(value)
