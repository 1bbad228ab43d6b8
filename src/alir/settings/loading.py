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
from alir.providers.registry import PROVIDERS, Kind
from alir.settings.shape import SHAPE, ErrorClass, Errors, Settings
from alir.settings.sources import Key, Layers, Origin, read_environment, read_file, variable
from alir.tables.fields import Surroundings
from alir.tables.secret import Secret

#: Every setting with its default and what it is for.
DEFAULT_FILE: Final = Path(__file__).parent.parent / "default.toml"

_CONFIG: Final = Path("alir.toml")
_DEFAULT, _FILE, _ENVIRONMENT, _OPTION = range(4)  # ranks: the later one wins
_SENDER_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_LONGEST_SHOWN: Final = 60  # characters of a wrong value that a problem repeats
#: What is looked for among the settings, and is said to each process by itself.
_OPTIONS: Final[Mapping[Key, str]] = MappingProxyType({("role",): "alir serve: --role"})
_ANY: Final = "*"  # stands for a sender's name, or an error's code
#: Tables of tables whose names the operator gives; and a name, for those that give none.
_NAMED: Final[Mapping[str, str]] = MappingProxyType({"senders": "main", "errors": "131049"})
_AFTER_NAME: Final = 2  # steps to a sender: `senders` and its name
_NO_PROVIDER: Final = ("union_tag_invalid", "union_tag_not_found")  # pydantic's words
_KEY_OF_A_MAPPING: Final = "[key]"  # pydantic's last step, where a key is wrong and not its value

T = TypeVar("T", bound=BaseModel)

_NO_OPTIONS: Final[Mapping[str, object]] = MappingProxyType({})
#: Stands for every secret where none is needed.
_NOT_READ: Final = "not-read-where-nobody-calls-a-provider"


def load(
    config: Path | None,
    environ: Mapping[str, str],
    options: Mapping[str, object] = _NO_OPTIONS,
    *,
    elapsed: Callable[[], float] = time.monotonic,
    secrets_needed: bool = True,
) -> Settings:
    """The settings: `default.toml`, then the file, then `environ`, then `options`.

    Args:
        config: a file that must be there; without one, `alir.toml` in the current folder if there.
        options: of the command line, by key; those that are `None` were not given.
        elapsed: seconds since some fixed moment; tells when a secret's file is read again.
        secrets_needed: whether somebody calls a provider with them. Else none is read, and those of
            the settings are of no use.

    Raises:
        SettingsInvalid: with one problem for everything that is wrong.
    """
    layers = _read(config, environ, options)
    of_senders = list(_problems_of_senders(layers))
    if not secrets_needed:
        _leave_secrets_out(layers.tree)
    settings = _validated(SHAPE, layers, Surroundings(environ, elapsed), of_senders)
    if secrets_needed and (alike := list(_shared_values(settings, layers))):
        raise SettingsInvalid(alike)
    return settings


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
    """Give each sender what its provider's table says and it doesn't, and its own account."""
    senders = _tables(tree.setdefault("senders", {}))
    for name, sender in senders.items():
        tree["senders"][name] = {"account": name, **_shared_with(sender, tree), **sender}


def _shared_with(sender: Mapping[str, Any], tree: Mapping[str, Any]) -> dict[str, Any]:
    kind = _kind(sender)
    if kind is None:
        return {}
    shared = _tables(tree).get(sender["provider"], {})
    return {key: value for key, value in shared.items() if key in kind.defaults.model_fields}


def _kind(sender: Mapping[str, Any]) -> Kind[Any] | None:
    provider = sender.get("provider")
    return PROVIDERS.get(provider) if isinstance(provider, str) else None


def _leave_secrets_out(tree: Mapping[str, Any]) -> None:
    """Put a word in the place of each sender's secrets, wherever they stand, or should."""
    for sender in _tables(tree["senders"]).values():
        kind = _kind(sender)
        fields = kind.sender.model_fields.items() if kind else ()
        sender.update({name: _NOT_READ for name, field in fields if _is_secret(field)})


def _is_secret(field: FieldInfo) -> bool:
    return Secret in (field.annotation, *get_args(field.annotation))


def _tables(value: object) -> dict[str, dict[str, Any]]:
    items = value.items() if isinstance(value, dict) else ()
    return {name: table for name, table in items if isinstance(table, dict)}


def _problems_of_senders(layers: Layers) -> Iterator[str]:
    """What is wrong with names, and what two share, also where something else is wrong too."""
    owners: dict[tuple[str, str], str] = {}
    for name, sender in _tables(layers.tree["senders"]).items():
        if not _SENDER_NAME.fullmatch(name):
            yield _line(
                layers,
                ("senders", name),
                "expected a name of a-z, 0-9, _ and -, a letter first, at most 32",
            )
        kind = _kind(sender)
        for field in kind.sender.unique if kind else ():
            if field in sender:
                # Where a secret stands is compared as it is written; see `_shared_values`.
                written = json.dumps(sender[field], default=str, sort_keys=True)
                yield from _owned(owners, (field, written), name, layers)


def _shared_values(settings: Settings, layers: Layers) -> Iterator[str]:
    """What two senders share though it is written differently."""
    owners: dict[tuple[str, str], str] = {}
    for name, sender in settings.senders.items():
        for field in sender.unique:
            value = getattr(sender, field)
            known = value.reveal() if isinstance(value, Secret) else str(value)
            yield from _owned(owners, (field, known), name, layers)


def _owned(
    owners: dict[tuple[str, str], str], what: tuple[str, str], name: str, layers: Layers
) -> Iterator[str]:
    owner = owners.setdefault(what, name)
    if owner != name:
        key = ("senders", name, what[0])
        yield _line(layers, key, f"expected one of its own, but senders.{owner} has the same")


def _problems(fault: Mapping[str, Any], layers: Layers) -> Iterator[str]:
    """The problems that one error of pydantic stands for."""
    key = _key(fault["loc"])
    keys = _keys_for(key, layers)
    if fault["type"] == "extra_forbidden":
        for origin in layers.origins(key):
            yield f"{origin.name}: {_unknown(key, keys, by_variable=origin.rank == _ENVIRONMENT)}"
        return
    if fault["type"] in _NO_PROVIDER:
        yield _line(layers, (*key, "provider"), _no_provider(fault))
        return
    if _is_inherited(key, layers):
        return  # it is wrong in the provider's table, and told there
    field = keys.get(_general(key))
    match layers.tree.get("errors"):
        case dict(errors) if key[0] == "errors" and isinstance(errors.get(key[1]), str):
            key = key[:2]  # a class alone, in no table
    yield _line(layers, key, _wrong(fault, field))


def _is_inherited(key: Key, layers: Layers) -> bool:
    if key[0] != "senders" or layers.says(key):
        return False
    kind = _kind(_tables(layers.tree["senders"]).get(key[1], {})) if len(key) > 1 else None
    return kind is not None and key[-1] in kind.defaults.model_fields


def _no_provider(fault: Mapping[str, Any]) -> str:
    expected = "expected " + " or ".join(f'"{name}"' for name in PROVIDERS)
    if "provider" not in fault["input"]:
        return f"is missing; {expected}"
    shown = json.dumps(fault["input"]["provider"], default=str, ensure_ascii=False)
    return f"{expected}{f', not {shown}' if len(shown) <= _LONGEST_SHOWN else ''}"


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
    if field is None or _is_secret(field) or "@" in shown or len(shown) > _LONGEST_SHOWN:
        return ""
    return f", not {shown}"


def _unknown(key: Key, keys: Mapping[Key, FieldInfo], *, by_variable: bool) -> str:
    if key in _OPTIONS:
        return f"{'.'.join(key)}: is not a setting; it is an option of {_OPTIONS[key]}"
    candidates = (k for k in (*keys, *_TABLES) if _general(key)[: len(k)] != k)
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
    if location[0] == "senders" and len(location) > _AFTER_NAME:
        # The step into the union of senders is the provider's name.
        location = (*location[:_AFTER_NAME], *location[_AFTER_NAME + 1 :])
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


def _keys_for(key: Key, layers: Layers) -> Mapping[Key, FieldInfo]:
    """The keys that there are beside `key`: a sender has those of its provider."""
    if key[0] == "senders" and len(key) > 1:
        kind = _kind(_tables(layers.tree["senders"]).get(key[1], {}))
        if kind is not None:
            return _ELSEWHERE | _keys_of(kind)
    return KEYS


def _keys_of(kind: Kind[Any]) -> dict[Key, FieldInfo]:
    return dict(_fields(kind.sender, ("senders", _ANY)))


_ELSEWHERE: Final = dict(_fields(SHAPE)) | dict(_fields(ErrorClass, ("errors", _ANY)))
#: Every key there is, and the tables that they stand in.
KEYS: Final = _ELSEWHERE | {
    key: field for kind in PROVIDERS.values() for key, field in _keys_of(kind).items()
}
_TABLES: Final = frozenset(key[:-1] for key in KEYS if len(key) > 1)
