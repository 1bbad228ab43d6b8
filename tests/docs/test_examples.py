"""What the pages show works: every command runs, in order, and says what its page states."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.acceptance.gateway import RunningGateway, RunningSimulator
from tests.acceptance.polling import eventually
from tests.docs.answers import faults
from tests.docs.blocks import ANSWERS, COMMAND, ROOT, SHOWN, Block, blocks, pages_with_commands
from tests.docs.shell import Shell

#: As pages write them, for what the tests put in their place.
GATEWAY_URL = "http://127.0.0.1:8080"
SIMULATOR_URL = "http://127.0.0.1:8081"
PROGRAM = ".venv/bin/alir"

#: A command that changes something must not be run twice; what only asks may be asked again.
_CHANGES = re.compile(r"\s(-d|-X)\s|\balir token (create|rotate|revoke)")
_BY_HAND = re.compile(r"^(?:export )?(\w+)=(\w+_)…", re.MULTILINE)

PAGES = pages_with_commands()


class Reader:
    """Somebody who does what a page says, from top to bottom."""

    def __init__(self, shell: Shell, places: dict[str, str]) -> None:
        self._shell = shell
        self._places = places
        self._last_said = ""

    def follow(self, page: Path) -> int:
        """Run its commands, each of which must say what the page states; how many those were."""
        found = blocks(page)
        for block, after in zip(found, [*found[1:], None], strict=True):
            if block.kind == SHOWN:
                self._fill_in(block)
            elif block.kind == COMMAND:
                answer = after if after is not None and after.kind in ANSWERS else None
                self._run(block, answer, f"{page.relative_to(ROOT)}:{block.line}")
        return sum(block.kind == COMMAND for block in found)

    def _fill_in(self, block: Block) -> None:
        """`ID=msg_…`: put in what the last answer said; if it said none, it is set already."""
        for name, beginning in _BY_HAND.findall(block.text):
            if said := re.findall(rf"\b{beginning}[0-9A-Za-z]+", self._last_said):
                self._shell.run(f"export {name}={said[-1]}")
            else:
                assert self._shell.run(f'test -n "${name}"').status == 0, f"{name} is not set"

    def _run(self, block: Block, answer: Block | None, where: str) -> None:
        command = self._here(block.text)
        stated = None if answer is None else self._here(answer.text)
        is_json = answer is not None and answer.kind.startswith("json")

        def wrong() -> list[str]:
            ran = self._shell.run(command)
            self._last_said = ran.said
            if ran.status != 0:
                return [f"exit status {ran.status}: {ran.said}"]
            return [] if stated is None else faults(stated, ran.said, is_json=is_json)

        found = wrong()
        if found and not _CHANGES.search(block.text):
            found = _soon_right(wrong)
        assert not found, "\n".join([where, *found, self._last_said])

    def _here(self, text: str) -> str:
        for written, here in self._places.items():
            text = text.replace(written, here)
        return text


def _soon_right(wrong: Callable[[], list[str]]) -> list[str]:
    last: list[str] = []

    def is_right() -> bool:
        last[:] = wrong()
        return not last

    try:
        eventually(is_right, within=5)
    except AssertionError:
        return last
    return []


@pytest.fixture
def reader(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Reader]:
    """A reader beside a new gateway, and beside a simulator alone where the page has one."""
    page: Path = request.getfixturevalue("page")
    own = {key: value for key, value in os.environ.items() if not key.startswith("ALIR_")}
    with ExitStack() as stack:
        gateway = stack.enter_context(RunningGateway(tmp_path))
        places = {GATEWAY_URL: gateway.url, PROGRAM: f"{sys.executable} -m alir"}
        if SIMULATOR_URL in page.read_text("utf-8"):
            simulator = stack.enter_context(RunningSimulator(tmp_path))
            places[SIMULATOR_URL] = simulator.url.removesuffix("/simulator")
        own |= {"ALIR_API_TOKEN": gateway.token, "COLUMNS": "100"}
        shell = Shell(tmp_path, own)
        yield Reader(stack.enter_context(shell), places)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_runs_and_says_what_the_page_states(
    page: Path, reader: Reader
) -> None:
    assert reader.follow(page) > 0


def test_pages_with_commands_are_found() -> None:
    names = {page.name for page in PAGES}

    assert {"README.md", "first-message.md", "send-a-flow-message.md"} <= names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_stated_answer_follows_a_command(page: Path) -> None:
    found = blocks(page)

    for before, block in zip([None, *found], found, strict=False):
        if block.kind in ANSWERS:
            assert before is not None, f"{page}:{block.line}"
            assert before.kind == COMMAND, f"{page}:{block.line}"
