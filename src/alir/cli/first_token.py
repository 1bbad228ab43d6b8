"""The first API token: made at the first start, or given in the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from alir.errors import NameTaken, NotFound, SettingsInvalid
from alir.intake.tokens import (
    BODY_LENGTH,
    PREFIX,
    SHORTEST_GIVEN,
    Scope,
    generate,
    has_typo,
)
from alir.store.tokens import FIRST, TokenStore

VARIABLE = "ALIR_API_TOKEN"


@dataclass(frozen=True, slots=True)
class FirstToken:
    """What there is to say about the first API token.

    Attributes:
        secret: where it was made or given now; none: it was made at an earlier start.
        is_given: whether it came from the environment, and so must not be printed.
        took_place: whether it took the place of another, which is valid no more.
    """

    secret: str | None
    is_given: bool = False
    took_place: bool = False


async def first_token(tokens: TokenStore, environ: Mapping[str, str]) -> FirstToken:
    """See to it that there is a first API token, with every scope and every sender.

    Raises:
        SettingsInvalid: the one in the environment cannot be used.
    """
    given = environ.get(VARIABLE)
    if given:
        try:
            try:
                took_place = await tokens.put_first(given)
            except NameTaken:
                # Another process that starts beside this one may have put it a moment ago.
                took_place = await tokens.put_first(given)
        except (NameTaken, NotFound) as error:
            raise SettingsInvalid([f"{VARIABLE}: {error} Unset it, or choose another."]) from error
        return FirstToken(given, is_given=True, took_place=took_place)
    if any(record.token.name == FIRST for record in await tokens.all()):
        return FirstToken(None)  # a revoked one is not made anew
    secret = generate()
    try:
        await tokens.create(FIRST, secret, scopes=list(Scope))
    except NameTaken:
        return FirstToken(None)  # another process that starts beside this one has shown its own
    return FirstToken(secret)


def given_problems(environ: Mapping[str, str]) -> list[str]:
    """Why the API token that the environment gives cannot be used; nothing: it can, or none is."""
    given = environ.get(VARIABLE)
    if not given:
        return []
    if len(given) < SHORTEST_GIVEN:
        return [
            f"{VARIABLE}: expected at least {SHORTEST_GIVEN} characters that nobody can "
            f"guess, not {len(given)}; leave it unset to have one made"
        ]
    if not all("!" <= character <= "~" for character in given):
        return [f"{VARIABLE}: expected visible ASCII characters only, without spaces"]
    # Of another length it is one that the operator made up, whatever it begins with.
    if len(given) == len(PREFIX) + BODY_LENGTH and has_typo(given):
        return [f"{VARIABLE}: looks like an API token of alir's, but its checksum is wrong"]
    return []
