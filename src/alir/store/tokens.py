"""API tokens, as the SHA-256 of each and what it allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import insert, select, update

from alir.clock import Clock, from_milliseconds, to_milliseconds
from alir.errors import NameTaken, NotFound
from alir.ids import ApiTokenId, SenderName, new_api_token_id
from alir.intake.tokens import ApiToken, Scope, fingerprint
from alir.store import rows, tables
from alir.store.database import Database
from alir.store.sql import Connection, run

_t = tables.api_token.c
_COLUMNS = (
    _t.id,
    _t.name,
    _t.scopes,
    _t.senders,
    _t.default_sender,
    _t.created_at,
    _t.revoked_at,
    _t.hash,
)

#: The name of the API token that the first start makes, or that ALIR_API_TOKEN gives.
FIRST = "first"


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """An API token as `alir token list` shows it."""

    token: ApiToken
    created_at: datetime
    revoked_at: datetime | None


class TokenStore:
    """The API tokens of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def valid(self) -> list[tuple[bytes, ApiToken]]:
        """SHA-256 and rights of every API token that is not revoked."""
        query = select(*_COLUMNS).where(_t.revoked_at.is_(None))
        return await self._database.read(
            lambda connection: [(row[-1], _record(row).token) for row in run(connection, query)]
        )

    async def all(self) -> list[TokenRecord]:
        """Every API token, revoked ones too, oldest first."""
        query = select(*_COLUMNS).order_by(_t.created_at, _t.id)
        return await self._database.read(
            lambda connection: [_record(row) for row in run(connection, query)]
        )

    async def create(
        self,
        name: str,
        secret: str,
        *,
        scopes: Sequence[Scope],
        senders: Sequence[SenderName] | None = None,
        default_sender: SenderName | None = None,
    ) -> ApiToken:
        """Store a new API token under a name that no other has.

        Raises:
            NameTaken: another API token, perhaps a revoked one, has this name or secret.
        """
        token = ApiToken(
            id=new_api_token_id(),
            name=name,
            scopes=frozenset(scopes),
            senders=None if senders is None else tuple(senders),
            default_sender=default_sender,
        )
        row = {
            "id": token.id,
            "name": name,
            "hash": fingerprint(secret),
            "scopes": rows.text(sorted(scope.value for scope in token.scopes)),
            "senders": None if senders is None else rows.text(list(senders)),
            "default_sender": default_sender,
            "created_at": to_milliseconds(self._clock.now()),
        }

        def work(connection: Connection) -> None:
            _refuse_taken(connection, secret, but_for=None)
            if run(connection, select(_t.id).where(_t.name == name)).fetchone():
                raise NameTaken(f"An API token named {name} exists already.")
            run(connection, insert(tables.api_token).values(row))

        await self._database.write(work)
        return token

    async def rotate(self, name_or_id: str, secret: str) -> ApiToken:
        """Give an API token a new secret; it keeps its id, its name and its rights.

        Raises:
            NotFound: there is none of that name or id, or it is revoked.
            NameTaken: another API token has this secret.
        """

        def work(connection: Connection) -> ApiToken:
            record = _find(connection, name_or_id)
            if record.revoked_at is not None:
                raise NotFound(
                    f"The API token {name_or_id} is revoked; create one under another name."
                )
            _refuse_taken(connection, secret, but_for=record.token.id)
            _change(connection, record.token.id, hash=fingerprint(secret))
            return record.token

        return await self._database.write(work)

    async def revoke(self, name_or_id: str) -> ApiToken:
        """Take an API token's rights away, for good. Doing so twice changes nothing.

        Raises:
            NotFound: there is none of that name or id.
        """

        def work(connection: Connection) -> ApiToken:
            record = _find(connection, name_or_id)
            if record.revoked_at is None:
                now = to_milliseconds(self._clock.now())
                _change(connection, record.token.id, revoked_at=now)
            return record.token

        return await self._database.write(work)

    async def put_first(self, secret: str) -> bool:
        """Make `secret` the first API token, with every scope and every sender.

        It takes the place of the former one and keeps its identity. One that was revoked comes
        back only with a new secret.

        Returns:
            Whether it took the place of another.

        Raises:
            NameTaken: another API token has this secret.
            NotFound: exactly this secret was revoked.
        """

        def work(connection: Connection) -> bool | None:
            row = run(connection, select(*_COLUMNS).where(_t.name == FIRST)).fetchone()
            if row is None:
                return None
            record = _record(row)
            if row[-1] == fingerprint(secret):
                if record.revoked_at is not None:
                    raise NotFound("This API token was revoked; choose another value.")
                return False
            _refuse_taken(connection, secret, but_for=record.token.id)
            _change(
                connection,
                record.token.id,
                hash=fingerprint(secret),
                revoked_at=None,
                # `alir token create` may have made one of this name with fewer rights.
                scopes=rows.text(sorted(Scope)),
                senders=None,
                default_sender=None,
            )
            return True

        replaced = await self._database.write(work)
        if replaced is None:
            await self.create(FIRST, secret, scopes=list(Scope))
        return bool(replaced)


def _find(connection: Connection, name_or_id: str) -> TokenRecord:
    query = select(*_COLUMNS).where((_t.name == name_or_id) | (_t.id == name_or_id))
    row = run(connection, query).fetchone()
    if row is None:
        raise NotFound(f"There is no API token {name_or_id}; see: alir token list")
    return _record(row)


def _refuse_taken(connection: Connection, secret: str, *, but_for: ApiTokenId | None) -> None:
    query = select(_t.id, _t.name).where(_t.hash == fingerprint(secret))
    row = run(connection, query).fetchone()
    if row is not None and row[0] != but_for:
        raise NameTaken(f"The API token {row[1]} has this value already.")


def _change(connection: Connection, token_id: ApiTokenId, **values: object) -> None:
    run(connection, update(tables.api_token).where(_t.id == token_id).values(values))


def _record(row: rows.Row) -> TokenRecord:
    id_, name, scopes, senders, default_sender, created_at, revoked_at, _ = row
    token = ApiToken(
        id=id_,
        name=name,
        scopes=frozenset(Scope(scope) for scope in orjson.loads(scopes)),
        senders=None if senders is None else tuple(orjson.loads(senders)),
        default_sender=default_sender,
    )
    revoked = None if revoked_at is None else from_milliseconds(revoked_at)
    return TokenRecord(token, from_milliseconds(created_at), revoked)
