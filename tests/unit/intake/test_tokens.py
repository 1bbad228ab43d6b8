"""API tokens: their form, and who holds a valid one at this moment."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clock import FakeClock
from tests.examples import TOKEN
from tests.running import in_a_loop

from alir.errors import StoreUnavailable
from alir.intake.tokens import (
    BODY_LENGTH,
    LOOK_AGAIN_SECONDS,
    REFRESH_SECONDS,
    ApiToken,
    Scope,
    TokenBook,
    fingerprint,
    generate,
    has_typo,
)


def test_a_new_token_has_its_form_and_no_typo() -> None:
    tokens = {generate() for _ in range(200)}

    assert len(tokens) == 200
    for token in tokens:
        assert re.fullmatch(r"alir_[0-9A-Za-z]{43}", token)
        assert not has_typo(token)


@given(position=st.integers(5, 5 + BODY_LENGTH - 1), other=st.sampled_from("0aZ9_-"))
def test_most_slips_of_one_character_are_seen(position: int, other: str) -> None:
    token = generate()
    slip = token[:position] + other + token[position + 1 :]
    twice = token[:position] + token[position] + token[position:]

    assert slip == token or has_typo(slip) or _same_checksum_by_chance(token, slip)
    assert has_typo(twice)
    assert has_typo(token[:-1])


def _same_checksum_by_chance(token: str, slip: str) -> bool:
    return token[-1] == slip[-1]  # one in 62


@pytest.mark.parametrize("token", ["", "secret", "alir-token", "Bearer x", "ALIR_" + "x" * 43])
def test_a_token_of_another_form_can_have_no_typo(token: str) -> None:
    assert not has_typo(token)


def test_a_fingerprint_is_sha_256() -> None:
    assert fingerprint("abc").hex().startswith("ba7816bf8f01cfea")


# The book


class Tokens:
    """The valid tokens as the store has them.

    Attributes:
        loads: how often they were read.
    """

    def __init__(self) -> None:
        self.valid: dict[str, ApiToken] = {}
        self.loads = 0
        self.broken = False

    def add(self, secret: str) -> ApiToken:
        self.valid[secret] = ApiToken(id=TOKEN, name=secret, scopes=frozenset(Scope))
        return self.valid[secret]

    async def load(self) -> Sequence[tuple[bytes, ApiToken]]:
        self.loads += 1
        if self.broken:
            raise StoreUnavailable("the database cannot be read")
        return [(fingerprint(secret), token) for secret, token in self.valid.items()]


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def book(tokens: Tokens, clock: FakeClock) -> TokenBook:
    return TokenBook(tokens.load, clock)


@in_a_loop
async def test_the_holder_of_a_valid_token_is_known(book: TokenBook, tokens: Tokens) -> None:
    token = tokens.add("secret")

    assert await book.holder("secret") == token
    assert await book.holder("Secret") is None
    assert await book.holder("") is None


@in_a_loop
async def test_a_revoked_token_stops_within_five_seconds(
    book: TokenBook, tokens: Tokens, clock: FakeClock
) -> None:
    tokens.add("secret")
    assert await book.holder("secret")
    del tokens.valid["secret"]
    clock.leap(4.9)

    assert book.known("secret") is None
    assert await book.holder("secret") is None


@in_a_loop
async def test_a_new_token_is_known_at_once(
    book: TokenBook, tokens: Tokens, clock: FakeClock
) -> None:
    assert await book.holder("secret") is None
    token = tokens.add("secret")
    clock.leap(LOOK_AGAIN_SECONDS + 0.01)

    assert await book.holder("secret") == token


@in_a_loop
async def test_the_store_is_not_asked_for_every_request(
    book: TokenBook, tokens: Tokens, clock: FakeClock
) -> None:
    tokens.add("secret")
    for _ in range(100):
        assert await book.holder("secret")
        assert await book.holder("guess") is None
    assert tokens.loads == 1

    clock.leap(REFRESH_SECONDS + 0.01)
    await book.holder("secret")
    assert tokens.loads == 2


@in_a_loop
async def test_what_was_presented_a_moment_ago_is_known_without_a_look(
    book: TokenBook, tokens: Tokens, clock: FakeClock
) -> None:
    token = tokens.add("secret")
    assert book.known("secret") is None
    await book.holder("secret")

    assert book.known("secret") == token
    assert book.known("guess") is None
    clock.leap(REFRESH_SECONDS + 0.01)
    assert book.known("secret") is None


@in_a_loop
async def test_a_revoked_token_is_forgotten_though_others_keep_the_book_fresh(
    book: TokenBook, tokens: Tokens, clock: FakeClock
) -> None:
    for secret in ("revoked", "other"):
        tokens.add(secret)
        await book.holder(secret)
    del tokens.valid["revoked"]
    clock.leap(REFRESH_SECONDS + 0.01)
    await book.holder("other")

    assert book.known("revoked") is None
    assert await book.holder("revoked") is None


@in_a_loop
async def test_without_the_store_nobody_is_let_in_who_is_not_known(
    book: TokenBook, tokens: Tokens, clock: FakeClock
) -> None:
    token = tokens.add("secret")
    await book.holder("secret")
    tokens.broken = True
    assert await book.holder("secret") == token
    clock.leap(LOOK_AGAIN_SECONDS + 0.01)

    with pytest.raises(StoreUnavailable):
        await book.holder("other")
