"""From sources to `Settings`, or to every problem that they have, each in one line."""

from __future__ import annotations

import difflib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from alir.errors import SettingsInvalid
from alir.settings.secret import Secret
from alir.settings.shape import (
    Cloud,
    CloudSender,
    ErrorClass,
    Errors,
    Settings,
    Surroundings,
)
from alir.settings.sources import Key, Layers, Origin, read_environment, read_file, variable

#: Every setting with its default and what it is for.
DEFAULT_FILE: Final = Path(__file__).parent.parent / "default.toml"

_CONFIG: Final = Path("alir.toml")
_DEFAULT, _FILE, _ENVIRONMENT, _OPTION = range(4)  # ranks: the later one wins
_SENDER_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_LONGEST_SHOWN: Final = 60  # characters of a wrong value that a problem repeats
_ANY: Final = "*"  # stands for a sender's name, or an error's code
#: Tables of tables whose names the operator gives; and a name, for those that give none.
_NAMED: Final[Mapping[str, str]] = MappingProxyType({"senders": "main", "errors": "131049"})
_KEY_OF_A_MAPPING: Final = "[key]"  # pydantic's last step, where a key is wrong and not its value

T = TypeVar("T", bound=BaseModel)

_NO_OPTIONS: Final[Mapping[str, object]] = MappingProxyType({})


def load(
    config: Path | None,
    environ: Mapping[str, str],
    options: Mapping[str, object] = _NO_OPTIONS,
    *,
    elapsed: Callable[[], float] = time.monotonic,
) -> Settings:
    """The settings: `default.toml`, then the file, then `environ`, then `options`.

    Args:
        config: a file that must be there; without one, `alir.toml` in the current folder if there.
        options: of the command line, by key; those that are `None` were not given.
        elapsed: seconds since some fixed moment; tells when a secret's file is read again.

    Raises:
        SettingsInvalid: with one problem for everything that is wrong.
    """
    layers = _read(config, environ, options)
    of_senders = list(_problems_of_senders(layers))
    return _validated(Settings, layers, Surroundings(environ, elapsed), of_senders)


def load_errors(config: Path | None, environ: Mapping[str, str]) -> Errors:
    """What the same sources say about error codes, and nothing else: secrets need not be there.

    Raises:
        SettingsInvalid: with one problem for everything that is wrong with it.
    """
    return _validated(Errors, _read(config, environ, _NO_OPTIONS), None, [])


def _validated(
    shape: type[T], layers: Layers, surroundings: Surroundings | None, problems: list[str]
) -> T:
    try:
        settings = shape.model_validate(layers.tree, context=surroundings)
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems = [p for fault in found for p in _problems(fault, layers)] + problems
    if problems:
        # Not in the except clause: pydantic's error, as its context, would show secret values.
        raise SettingsInvalid(list(dict.fromkeys(problems)))
    return settings


def _read(config: Path | None, environ: Mapping[str, str], options: Mapping[str, object]) -> Layers:
    layers = Layers()
    layers.lay(read_file(DEFAULT_FILE), Origin(_DEFAULT, DEFAULT_FILE.name))
    if config is not None or _CONFIG.exists():
        path = config or _CONFIG
        layers.lay(read_file(path), Origin(_FILE, str(path)))
    for name, values in list(read_environment(environ, layers.tree)):
        layers.lay(values, Origin(_ENVIRONMENT, f"environment variable {name}"))
    for name, value in options.items():
        if value is not None:
            layers.lay({name: value}, Origin(_OPTION, f"option --{name.replace('_', '-')}"))
    _fill_senders(layers.tree)
    return layers


def _fill_senders(tree: dict[str, Any]) -> None:
    """Give each sender what `[cloud]` says and it doesn't."""
    senders = _tables(tree.setdefault("senders", {}))
    shared = {k: v for k, v in _tables(tree).get("cloud", {}).items() if k in Cloud.model_fields}
    for name, sender in senders.items():
        tree["senders"][name] = {**shared, **sender}


def _tables(value: object) -> dict[str, dict[str, Any]]:
    items = value.items() if isinstance(value, dict) else ()
    return {name: table for name, table in items if isinstance(table, dict)}


def _problems_of_senders(layers: Layers) -> Iterator[str]:
    """What is wrong with names and numbers, also where something else is wrong too."""
    owners: dict[object, str] = {}
    for name, sender in _tables(layers.tree["senders"]).items():
        at = ("senders", name)
        if not _SENDER_NAME.fullmatch(name):
            yield _line(
                layers, at, "expected a name of a-z, 0-9, _ and -, a letter first, at most 32"
            )
        number = sender.get("phone_number_id")
        owner = owners.setdefault(number, name) if isinstance(number, str) else name
        if owner != name:
            key = (*at, "phone_number_id")
            yield _line(layers, key, f"expected a number of its own, but senders.{owner} has it")


def _problems(fault: Mapping[str, Any], layers: Layers) -> Iterator[str]:
    """The problems that one error of pydantic stands for."""
    key = _key(fault["loc"])
    if fault["type"] == "extra_forbidden":
        for origin in layers.origins(key):
            yield f"{origin.name}: {_unknown(key, by_variable=origin.rank == _ENVIRONMENT)}"
        return
    inherited = key[0] == "senders" and key[2:] in _SHARED and not layers.says(key)
    if inherited:
        return  # it is wrong in [cloud], and told there
    field = KEYS.get(_general(key))
    match layers.tree.get("errors"):
        case dict(errors) if key[0] == "errors" and isinstance(errors.get(key[1]), str):
            key = key[:2]  # a class alone, in no table
    yield _line(layers, key, _wrong(fault, field))


def _wrong(fault: Mapping[str, Any], field: FieldInfo | None) -> str:
    said = str(fault.get("ctx", {}).get("error", ""))
    expected = f"expected {field.description if field else 'a table'}"
    if said:
        return said
    if fault["type"] == "missing":
        return f"is missing; {expected}"
    return f"{expected}{_but_found(fault['input'], field)}"


def _but_found(value: object, field: FieldInfo | None) -> str:
    """The wrong value, unless it may hold a secret."""
    shown = json.dumps(value, default=str, ensure_ascii=False)
    may_be_secret = field is None or Secret in (field.annotation, *get_args(field.annotation))
    if may_be_secret or "@" in shown or len(shown) > _LONGEST_SHOWN:
        return ""
    return f", not {shown}"


def _unknown(key: Key, *, by_variable: bool) -> str:
    candidates = (k for k in (*KEYS, *_TABLES) if _general(key)[: len(k)] != k)
    named = {".".join(_particular(k, key)): k for k in candidates}
    same = [name for name, known in named.items() if known[-1] == key[-1]]
    near = difflib.get_close_matches(".".join(key), same or named, n=1, cutoff=0.0)[0]
    if by_variable:
        near = variable(tuple(near.split(".")))
    return f"{'.'.join(key)}: is not a setting; the nearest is {near}"


def _line(layers: Layers, key: Key, text: str) -> str:
    return f"{layers.origins(key)[0].name}: {'.'.join(key)}: {text}"


def _key(location: tuple[int | str, ...]) -> Key:
    """Where an error is, without pydantic's further steps into lists and unions."""
    if location[-1] == _KEY_OF_A_MAPPING:
        location = location[:-1]
    depth = 3 if location[0] in _NAMED else 2 if (location[0],) in _TABLES else 1
    return tuple(str(part) for part in location[:depth])


def _general(key: Key) -> Key:
    return (key[0], _ANY, *key[2:]) if key[0] in _NAMED and len(key) > 1 else key


def _particular(general: Key, beside: Key) -> Key:
    """The key of the same thing as `beside`, where they are of one kind; else of an example."""
    if general[1:2] != (_ANY,):
        return general
    same = general[0] == beside[0] and len(beside) > 1
    return (general[0], beside[1] if same else _NAMED[general[0]], *general[2:])


def _fields(table: type[BaseModel], at: Key = ()) -> Iterator[tuple[Key, FieldInfo]]:
    for name, field in table.model_fields.items():
        below = field.annotation
        if isinstance(below, type) and issubclass(below, BaseModel):
            yield from _fields(below, (*at, name))
        else:
            yield (*at, field.alias or name), field


_SHARED: Final = frozenset((name,) for name in Cloud.model_fields)
#: Every key there is, and the tables that they stand in.
KEYS: Final = (
    dict(_fields(Settings))
    | dict(_fields(CloudSender, ("senders", _ANY)))
    | dict(_fields(ErrorClass, ("errors", _ANY)))
)
_TABLES: Final = frozenset(key[:-1] for key in KEYS if len(key) > 1)
