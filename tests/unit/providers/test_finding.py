"""What `alir sender check` says where a provider gives no answer that could be read."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.running import in_a_loop

from alir.outbound.http import Answer, NeverConnected, NoAnswer
from alir.providers.finding import Finding, Reply, State, ask, of_quality


class Scripted:
    """An HTTP client that comes to one thing."""

    def __init__(self, outcome: Answer | Exception) -> None:
        self._outcome = outcome

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


async def asked(outcome: Answer | Exception) -> Reply | Finding:
    url = "https://graph.test/v24.0/1?fields=id"
    return await ask(Scripted(outcome), "GET", url, headers={}, setting="graph_url")


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (NeverConnected("x"), "no connection to graph.test could be made. Look at graph_url"),
        (NoAnswer("x"), "graph.test was reached, and gave no whole answer in time"),
        (Answer(502, {}, b"<html>Bad gateway</html>"), "HTTP 502, and not in JSON"),
        (Answer(200, {}, b"<html>Welcome</html>"), "HTTP 200, and not in JSON"),
        (Answer(200, {}, b"[1]"), "HTTP 200, and not in JSON"),
    ],
)
def test_what_cannot_be_read_is_told_in_plain_words(outcome: Answer | Exception, said: str) -> None:
    @in_a_loop
    async def run() -> None:
        found = await asked(outcome)

        assert isinstance(found, Finding)
        assert found.state is State.WRONG
        assert said in found.line()
        assert "\n" not in found.line()

    run()


@in_a_loop
async def test_a_json_object_is_an_answer() -> None:
    found = await asked(Answer(400, {}, b'{"error": {}}'))

    assert isinstance(found, Reply)
    assert (found.status, found.content) == (400, {"error": {}})


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("GREEN", State.OK),
        ("high", State.OK),
        ("YELLOW", State.WARNING),
        ("low", State.WARNING),
        ("UNKNOWN", State.UNKNOWN),
        (None, State.UNKNOWN),
    ],
)
def test_a_numbers_quality_is_read_in_metas_and_route_mobiles_words(
    said: object, state: State
) -> None:
    assert of_quality(said).state is state


def test_nothing_in_a_line_steers_a_terminal() -> None:
    line = Finding(State.WRONG, "x", "a\x1b[2Jb\nc\u202ed").line()

    assert line.isprintable()
