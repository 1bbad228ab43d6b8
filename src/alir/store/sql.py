"""Statements, written once with SQLAlchemy for both databases, and run on the driver.

Where the two need different SQL, it stands here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final, Protocol

from sqlalchemy import (
    BigInteger,
    ClauseElement,
    Column,
    ColumnElement,
    Insert,
    Integer,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    func,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg, insert
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

Row = Sequence[Any]
Values = Mapping[str, Any]

_SQLITE: Final = sqlite.dialect(paramstyle="qmark")
_POSTGRESQL: Final[Dialect] = asyncpg.dialect()  # type: ignore[no-untyped-call]


class Cursor(Protocol):
    """What a statement came to."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""
        ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...

    def close(self) -> object: ...


class Connection(Protocol):
    """A connection in a transaction: SQLite's own, or what stands for one of PostgreSQL's."""

    @property
    def in_transaction(self) -> bool: ...

    @property
    def total_changes(self) -> int:
        """Grows with every row that is changed, once its statement's rows are read to the end.

        It may count what changes nothing: PostgreSQL does not say of every statement what it did.
        """
        ...

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor: ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor: ...


class _Compiled:
    """A statement as one database takes it."""

    __slots__ = ("pick", "sql")

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        if isinstance(statement, Insert):
            statement = statement.inline()  # else it asks for each row's number
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        names: tuple[str, ...] = tuple(getattr(compiled, "positiontup", None) or ())
        constants = {name: compiled.params[name] for name in names}
        self.pick = _picker(names, {k: v for k, v in constants.items() if v is not None})


class Statement:
    """One statement of the hot path, compiled once for each database and run on the driver."""

    __slots__ = ("_by_dialect", "_statement")

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._by_dialect: dict[Dialect, _Compiled] = {}

    def run(self, connection: Connection, values: Values) -> Cursor:
        """Run it with these values, by name."""
        compiled = self._on(connection)
        return connection.execute(compiled.sql, compiled.pick(values))

    def run_many(self, connection: Connection, values: Iterable[Values]) -> None:
        """Run it once for each of them."""
        compiled = self._on(connection)
        connection.executemany(compiled.sql, map(compiled.pick, values))

    def change_many(self, connection: Connection, values: Iterable[Values]) -> int:
        """Run it, an update, once for each of them; how many rows it changed in all."""
        compiled = self._on(connection)
        # PostgreSQL's driver counts what comes back, and nothing else.
        count = "" if isinstance(connection, sqlite3.Connection) else " RETURNING 1"
        changed = connection.executemany(compiled.sql + count, map(compiled.pick, values))
        return changed.rowcount

    def insert(self, connection: Connection, values: Values, *, number: str) -> int:
        """Run it, an insert; what the database counted up the column `number` to."""
        compiled = self._on(connection)
        if isinstance(connection, sqlite3.Connection):  # of which some know no RETURNING yet
            return connection.execute(compiled.sql, compiled.pick(values)).lastrowid or 0
        sql = f"{compiled.sql} RETURNING {number}"
        counted: int = connection.execute(sql, compiled.pick(values)).fetchone()[0]
        return counted

    def on(self, connection: Connection) -> set[str]:
        """Its text, as the database of this connection takes it."""
        return {self._on(connection).sql}

    def _on(self, connection: Connection) -> _Compiled:
        dialect = dialect_of(connection)
        compiled = self._by_dialect.get(dialect)
        if compiled is None:
            compiled = self._by_dialect[dialect] = _Compiled(self._statement, dialect)
        return compiled


class RowStatement:
    """Writes rows that leave out what is null in them. One `Statement` for each set of columns.

    Most columns of a message are null in most rows, and to bind a null costs Python's driver of
    SQLite three times as much as a text: it looks for an adapter of each. So nulls stand in the
    statement.

    Args:
        of: the statement for rows that have values under these names; all else it makes null.
    """

    def __init__(self, of: Callable[[Sequence[str]], ClauseElement]) -> None:
        self._of = of
        self._statements: dict[tuple[str, ...], Statement] = {}

    def run(self, connection: Connection, row: Values) -> Cursor:
        """Write one row."""
        return self._for(tuple(row)).run(connection, row)

    def run_many(self, connection: Connection, rows: Iterable[Values]) -> None:
        """Write rows in their order."""
        for names, some in groupby(rows, tuple):
            self._for(names).run_many(connection, some)

    def change_all(self, connection: Connection, rows: Sequence[Values]) -> bool:
        """Update every row; False, and nothing changed, where one of them is not there."""
        connection.execute("SAVEPOINT all_of_them")
        changed = sum(
            self._for(names).change_many(connection, some) for names, some in groupby(rows, tuple)
        )
        is_whole = changed == len(rows)
        if not is_whole:
            connection.execute("ROLLBACK TO all_of_them")
        connection.execute("RELEASE all_of_them")
        return is_whole

    def on(self, connection: Connection) -> set[str]:
        """The texts of all its statements so far, as the database of this connection takes them."""
        return {text for one in self._statements.values() for text in one.on(connection)}

    def _for(self, names: tuple[str, ...]) -> Statement:
        statement = self._statements.get(names)
        if statement is None:
            statement = self._statements[names] = Statement(self._of(names))
        return statement


def _picker(names: tuple[str, ...], constants: Values) -> Callable[[Values], Sequence[Any]]:
    """Picks the values of a statement in the order in which the driver wants them."""
    if len(names) < 2:  # noqa: PLR2004 - itemgetter answers with a tuple from two on
        return lambda values: [constants[n] if n in constants else values[n] for n in names]
    pick = itemgetter(*names)
    return (lambda values: pick({**constants, **values})) if constants else pick


def dialect_of(connection: Connection) -> Dialect:
    """Which of the two databases it leads to."""
    return _SQLITE if isinstance(connection, sqlite3.Connection) else _POSTGRESQL


def run(connection: Connection, statement: ClauseElement) -> Cursor:
    """Compile and run an ordinary statement, whose values it holds itself."""
    dialect = dialect_of(connection)
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    names = getattr(compiled, "positiontup", None) or ()
    return connection.execute(str(compiled), [compiled.params[name] for name in names])


def by_name(table: Table) -> dict[str, Any]:
    """A value for each column but the one that the database counts up."""
    return {c.name: bindparam(c.name) for c in table.c if c.autoincrement is not True}


def insert_or_ignore(table: Table) -> ClauseElement:
    """Insert a row, its values by the names of the columns; nothing where its like is there."""
    return insert(table).values(by_name(table)).on_conflict_do_nothing()


def upsert(
    table: Table,
    *,
    replaced: Sequence[str] = (),
    raised: Sequence[str] = (),
    added: Sequence[str] = (),
    values: Mapping[str, ColumnElement[Any]] = MappingProxyType({}),
) -> ClauseElement:
    """Insert a row, its values by the names of the columns, or change the one with its key.

    Args:
        replaced: columns that take the new value then.
        raised: columns that keep the greater of both.
        added: columns that become the sum of both.
        values: of columns whose value is always the same.
    """
    statement = insert(table).values(by_name(table) | dict(values))
    old, new = table.c, statement.excluded
    changes: dict[str, Any] = {name: new[name] for name in replaced}
    changes |= {name: _Greater(old[name], new[name]) for name in raised}
    changes |= {name: old[name] + new[name] for name in added}
    return statement.on_conflict_do_update(index_elements=[*table.primary_key], set_=changes)


def is_among(column: Column[Any], name: str) -> ColumnElement[bool]:
    """Whether `column` is one of a list of any length: the value `name` is its JSON text."""
    each = _each(name)
    return column.in_(select(cast(each, column.type) if isinstance(column.type, Integer) else each))


def texts_of(name: str) -> Select[str]:
    """The texts of a list of any length, a row each: the value `name` is its JSON text."""
    return select(_each(name))


def _each(name: str) -> ColumnElement[str]:
    each = _EachText(bindparam(name, type_=Text)).table_valued("value")
    return each.c.value


class ThisSession(FunctionElement[int]):
    """A number that no other session of the database has now."""

    name = "this_session"
    type = Integer()
    inherit_cache = True


class DatabaseNow(FunctionElement[int]):
    """The moment, by the database's own clock, in milliseconds since 1970."""

    name = "database_now"
    type = BigInteger()
    inherit_cache = True


class _Greater(FunctionElement[Any]):
    """The greater one of two."""

    name = "greater"
    inherit_cache = True


class _EachText(FunctionElement[Any]):
    """The texts of a JSON list, a row each."""

    name = "each_text"
    inherit_cache = True


@compiles(ThisSession, "sqlite")
def _(_element: ThisSession, _compiler: SQLCompiler, **_more: Any) -> str:
    return "0"  # a file has one writer at a time


@compiles(ThisSession, "postgresql")
def _(_element: ThisSession, compiler: SQLCompiler, **more: Any) -> str:
    return compiler.process(func.pg_backend_pid(), **more)


@compiles(DatabaseNow, "sqlite")
def _(_element: DatabaseNow, _compiler: SQLCompiler, **_more: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@compiles(DatabaseNow, "postgresql")
def _(_element: DatabaseNow, _compiler: SQLCompiler, **_more: Any) -> str:
    # Not that of the transaction, which may have waited for a lock since it began.
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


@compiles(_Greater, "sqlite")
def _(element: _Greater, compiler: SQLCompiler, **more: Any) -> str:
    return compiler.process(func.max(*element.clauses), **more)


@compiles(_Greater, "postgresql")
def _(element: _Greater, compiler: SQLCompiler, **more: Any) -> str:
    return compiler.process(func.greatest(*element.clauses), **more)


@compiles(_EachText, "sqlite")
def _(element: _EachText, compiler: SQLCompiler, **more: Any) -> str:
    return compiler.process(func.json_each(*element.clauses), **more)


@compiles(_EachText, "postgresql")
def _(element: _EachText, compiler: SQLCompiler, **more: Any) -> str:
    [text] = element.clauses
    return f"json_array_elements_text(CAST({compiler.process(text, **more)} AS JSON))"
