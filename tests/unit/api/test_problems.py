"""Problems: that each is complete, and that no error or code is without its words."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import alir
from alir import errors
from alir.api.problems import TYPES, Problem, ProblemType, example_of, problem_of
from alir.api.shapes import ProblemShape
from alir.errors import AlirError, Fault, StoreUnavailable
from alir.messages.faults import FAULT_CODES, WARNING_CODES

SOURCES = Path(alir.__file__).parent
#: Parts with codes of their own, which are no part of alir's API.
APART = {"simulator"}

#: Errors that never reach a caller of the API, or that its answer carries as a message's outcome.
NOT_ANSWERED = {
    "AlirError",
    "SettingsInvalid",
    "DatabaseInUse",
    "LeaseLost",
    "NameTaken",
    "SendFailure",
    "ProviderBusy",
    "ProviderRefused",
    "OutcomeUnknown",
}


@pytest.mark.parametrize("kind", TYPES.values(), ids=TYPES)
def test_each_problem_is_explained_with_an_example_of_its_shape(kind: ProblemType) -> None:
    ProblemShape.model_validate(example_of(kind), strict=True)
    assert kind.meaning.endswith(".")
    assert kind.remedy.endswith(".")
    assert not kind.title.endswith(".")
    assert 400 <= kind.status < 600


def made(kind: type[AlirError]) -> AlirError:
    """Such an error, whatever it needs."""
    if kind is errors.RequestInvalid:
        return errors.RequestInvalid([Fault("#/to", "missing", "this field is needed")])
    if kind is errors.JsonInvalid:
        return errors.JsonInvalid("said", line=1, column=1, excerpt="{")
    if kind is errors.TooLate:
        return errors.TooLate("said", message_id="msg_1", status="read")
    return kind("said")


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, AlirError) and name not in NOT_ANSWERED
    ],
)
def test_every_error_that_a_caller_can_cause_has_a_problem_of_its_own(
    kind: type[AlirError],
) -> None:
    problem = problem_of(made(kind))

    assert problem.code != "internal_error"
    ProblemShape.model_validate(problem.as_json("/somewhere"), strict=True)


def test_any_other_error_says_nothing_of_itself() -> None:
    assert problem_of(AlirError("a secret")) == Problem("internal_error", "The log has more.")


def test_a_store_in_doubt_says_which_message_it_is_about() -> None:
    in_doubt = problem_of(StoreUnavailable("down", in_doubt=True, message_id="msg_1"))
    certain = problem_of(StoreUnavailable("down"))

    assert in_doubt.as_json()["id"] == "msg_1"
    assert "id" not in certain.as_json()
    assert in_doubt.headers == certain.headers == {"retry-after": "5"}


# Codes of faults and warnings


def trees() -> Iterator[ast.AST]:
    for path in SOURCES.rglob("*.py"):
        if not APART & set(path.relative_to(SOURCES).parts) and path.name != "faults.py":
            yield ast.parse(path.read_text("utf-8"))


def texts_given(place: int, *names: str) -> set[str]:
    """The argument at `place` of every call of these names, where it is written out."""
    found = set()
    for node in (node for tree in trees() for node in ast.walk(tree)):
        if isinstance(node, ast.Call) and len(node.args) > place:
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            argument = node.args[place]
            if name in names and isinstance(argument, ast.Constant):
                found.add(str(argument.value))
    return found


def test_every_code_of_a_fault_is_explained() -> None:
    used = texts_given(1, "Fault", "_refused", "add")

    assert len(used) > 15
    assert used <= FAULT_CODES.keys()


def test_every_code_of_a_warning_is_explained() -> None:
    assert texts_given(0, "Notice") == WARNING_CODES.keys()


def test_no_code_is_explained_that_nobody_uses() -> None:
    texts = {
        node.value
        for tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    assert FAULT_CODES.keys() <= texts


def test_a_code_that_both_faults_and_warnings_have_means_the_same() -> None:
    shared = FAULT_CODES.keys() & WARNING_CODES.keys()

    assert shared == {"window_shut"}
    assert all(FAULT_CODES[code] == WARNING_CODES[code] for code in shared)
