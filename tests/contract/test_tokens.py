"""API tokens: one name, one value, an identity that stays."""

from __future__ import annotations

import pytest
from tests.contract.stores import Backend, Stores
from tests.examples import MAIN, OTHER
from tests.running import in_a_loop

from alir.errors import NameTaken, NotFound
from alir.intake.tokens import ApiToken, Scope, fingerprint
from alir.store.tokens import FIRST

ALL = list(Scope)


async def _valid(store: Stores) -> dict[bytes, ApiToken]:
    return dict(await store.tokens.valid())


@in_a_loop
async def test_a_new_token_is_valid_with_its_rights_and_nothing_of_it_but_a_hash_is_kept(
    database: Backend,
) -> None:
    async with database.open() as store:
        token = await store.tokens.create(
            "shop", "secret-1", scopes=[Scope.SEND], senders=[MAIN, OTHER], default_sender=MAIN
        )
        assert token.id.startswith("tok_")
        assert (token.scopes, token.senders) == (frozenset({Scope.SEND}), (MAIN, OTHER))
    async with database.open() as store:
        assert await _valid(store) == {fingerprint("secret-1"): token}
        [record] = await store.tokens.all()
        assert (record.token, record.revoked_at) == (token, None)
        assert record.created_at == store.clock.now()


@in_a_loop
async def test_a_token_without_senders_may_use_all_and_one_with_an_empty_list_none(
    database: Backend,
) -> None:
    async with database.open() as store:
        await store.tokens.create("all", "1", scopes=ALL)
        await store.tokens.create("none", "2", scopes=ALL, senders=[])
        tokens = {t.name: t for t in (await _valid(store)).values()}

        assert tokens["all"].may_use(MAIN)
        assert tokens["none"].senders == ()
        assert not tokens["none"].may_use(MAIN)


@in_a_loop
async def test_no_two_tokens_share_a_name_or_a_value_not_even_with_a_revoked_one(
    database: Backend,
) -> None:
    async with database.open() as store:
        first = await store.tokens.create("shop", "secret-1", scopes=ALL)
        await store.tokens.revoke("shop")
        for name, secret in (("shop", "secret-2"), ("other", "secret-1")):
            with pytest.raises(NameTaken):
                await store.tokens.create(name, secret, scopes=ALL)

        assert [record.token for record in await store.tokens.all()] == [first]


@pytest.mark.parametrize("by", ["name", "id"])
@in_a_loop
async def test_rotating_changes_the_value_and_keeps_the_identity(
    database: Backend, by: str
) -> None:
    async with database.open() as store:
        token = await store.tokens.create("shop", "old", scopes=[Scope.READ], senders=[MAIN])
        rotated = await store.tokens.rotate("shop" if by == "name" else token.id, "new")

        assert rotated == token
        assert await _valid(store) == {fingerprint("new"): token}


@in_a_loop
async def test_rotating_to_the_value_of_another_is_refused(database: Backend) -> None:
    async with database.open() as store:
        await store.tokens.create("shop", "1", scopes=ALL)
        await store.tokens.create("other", "2", scopes=ALL)
        with pytest.raises(NameTaken):
            await store.tokens.rotate("shop", "2")
        assert set(await _valid(store)) == {fingerprint("1"), fingerprint("2")}


@in_a_loop
async def test_a_token_may_be_rotated_to_the_value_that_it_has(database: Backend) -> None:
    async with database.open() as store:
        token = await store.tokens.create("shop", "1", scopes=ALL)
        await store.tokens.rotate("shop", "1")

        assert await _valid(store) == {fingerprint("1"): token}


@in_a_loop
async def test_a_revoked_token_is_valid_no_more_and_stays_in_the_list(database: Backend) -> None:
    async with database.open() as store:
        token = await store.tokens.create("shop", "1", scopes=ALL)
        store.clock.leap(5)
        assert await store.tokens.revoke("shop") == token
        revoked_at = store.clock.now()
        store.clock.leap(5)
        await store.tokens.revoke(token.id)

        assert await _valid(store) == {}
        [record] = await store.tokens.all()
        assert record.revoked_at == revoked_at
        with pytest.raises(NotFound):
            await store.tokens.rotate("shop", "2")


@in_a_loop
async def test_tokens_that_are_not_there_are_not_found(database: Backend) -> None:
    async with database.open() as store:
        with pytest.raises(NotFound):
            await store.tokens.rotate("nobody", "1")
        with pytest.raises(NotFound):
            await store.tokens.revoke("nobody")


@in_a_loop
async def test_the_first_token_has_every_right(database: Backend) -> None:
    async with database.open() as store:
        await store.tokens.put_first("given-1")
        [(hash_, token)] = await store.tokens.valid()

        assert (hash_, token.name) == (fingerprint("given-1"), FIRST)
        assert (token.scopes, token.senders) == (frozenset(Scope), None)


@in_a_loop
async def test_another_first_token_takes_the_place_of_the_former_and_keeps_its_identity(
    database: Backend,
) -> None:
    async with database.open() as store:
        await store.tokens.put_first("given-1")
        [token] = (await _valid(store)).values()
    async with database.open() as store:
        await store.tokens.put_first("given-1")
        assert await _valid(store) == {fingerprint("given-1"): token}
        await store.tokens.put_first("given-2")
        assert await _valid(store) == {fingerprint("given-2"): token}


@in_a_loop
async def test_a_first_token_that_is_given_has_every_right_whatever_the_former_one_had(
    database: Backend,
) -> None:
    async with database.open() as store:
        await store.tokens.create(FIRST, "made", scopes=[Scope.READ], senders=[MAIN])
        await store.tokens.put_first("given-1")
        [(hash_, token)] = await store.tokens.valid()

        assert hash_ == fingerprint("given-1")
        assert (token.scopes, token.senders) == (frozenset(Scope), None)


@in_a_loop
async def test_a_revoked_first_token_comes_back_only_with_another_value(
    database: Backend,
) -> None:
    async with database.open() as store:
        await store.tokens.put_first("given-1")
        await store.tokens.revoke(FIRST)
        with pytest.raises(NotFound):
            await store.tokens.put_first("given-1")
        assert await _valid(store) == {}

        await store.tokens.put_first("given-2")
        assert set(await _valid(store)) == {fingerprint("given-2")}


@in_a_loop
async def test_the_first_token_cannot_take_the_value_of_another(database: Backend) -> None:
    async with database.open() as store:
        await store.tokens.create("shop", "taken", scopes=ALL)
        with pytest.raises(NameTaken):
            await store.tokens.put_first("taken")
        await store.tokens.put_first("given-1")
        with pytest.raises(NameTaken):
            await store.tokens.put_first("taken")


@in_a_loop
async def test_tokens_are_listed_oldest_first(database: Backend) -> None:
    async with database.open() as store:
        for name in ("b", "a", "c"):
            await store.tokens.create(name, name, scopes=ALL)
            store.clock.leap(1)

        assert [record.token.name for record in await store.tokens.all()] == ["b", "a", "c"]
