"""`alir explain`."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alir.cli.bare_status import bare_status
from alir.cli.main import app
from alir.errors import OutcomeUnknown, PauseAsked, PauseScope, ProviderBusy, ProviderRefused
from alir.providers import registry
from alir.providers.cloud import wire as cloud
from alir.providers.registry import PROVIDERS
from alir.providers.routemobile import wire as routemobile
from alir.providers.whatsapp.words import span


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: empty, so that no alir.toml of the developer is read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def explain(*arguments: str) -> tuple[int, str, str]:
    """Exit status, and what was said on stdout and stderr, each in one line."""
    ran = CliRunner().invoke(app, ["explain", *arguments])
    return ran.exit_code, " ".join(ran.stdout.split()), " ".join(ran.stderr.split())


def test_a_code_is_explained_with_what_alir_does_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    ran = CliRunner().invoke(app, ["explain", "131056"])

    assert ran.exit_code == 0
    assert ran.stdout.splitlines() == [
        "131056  Too many messages to this recipient in a short time",
        "  class           recipient: busy; this recipient waits",
        "  what alir does  Queues this message again and sends nothing to this recipient",
        "                  from this sender for 1 s, four times longer with each further",
        "                  refusal, at most 256 s.",
        "  what to do      Send this recipient less: WhatsApp takes one message in 6 s.",
    ]


@pytest.mark.parametrize("columns", [40, 60, 77, 78, 79, 80, 81, 200])
def test_lines_fit_the_terminal_and_keep_numbers_and_units_together(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))

    said = CliRunner().invoke(app, ["explain", "130429", "190", "131048"]).stdout

    texts = [line for line in said.splitlines() if line.startswith("  ")]
    assert all(len(line) <= min(columns, 100) for line in texts)
    assert not re.search(r"\d\n *(s|min|h)\b", said)


def test_several_codes_are_explained_in_their_order() -> None:
    status, said, _ = explain("190", "131026", "250")

    assert status == 0
    assert re.findall(r"\b(190|131026|250)  ?(?=[A-Z])", said) == ["190", "131026", "250"]


def test_a_code_that_one_provider_alone_has_is_said_to_be_its() -> None:
    assert "from Route Mobile only" in explain("470")[1]
    assert "from" not in explain("131026")[1].split()


def test_a_code_that_two_providers_have_of_their_own_is_explained_for_both(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = folder / "somebodys_codes"
    own.mkdir()
    (own / "__init__.py").touch()
    row = "470\taccount\t60-900\t-\tThe credit is used up\tBuy some.\n"
    (own / "codes.tsv").write_text(row)
    monkeypatch.syspath_prepend(folder)
    third = replace(PROVIDERS["cloud"], title="Third", own_codes=own.name)
    monkeypatch.setattr(registry, "PROVIDERS", {"third": third, **PROVIDERS})

    status, said, _ = explain("470")

    assert status == 0
    first, second = re.split(r" (?=470 )", said)
    assert first.startswith("470 The credit is used up from Third class account: ")
    assert "from Route Mobile class window: " in second


def test_a_code_that_is_not_known_names_those_nearby_and_the_known_ones_are_explained() -> None:
    status, said, wrong = explain("131027", "131026")

    assert status == 1
    assert said.startswith("131026 The message is undeliverable")
    assert wrong.startswith("alir: 131027 is no error code that alir knows; near it are 131026, ")


def test_nothing_but_unknown_codes_says_nothing_on_stdout() -> None:
    status, said, wrong = explain("13147")

    assert (status, said) == (1, "")
    assert "131047" in wrong


@pytest.mark.parametrize(
    "wrong", ["busy", "131047x", "-5", "HTTP 42", "HTTP busy", "HTTP", "1" * 10]
)
def test_what_is_no_code_is_a_wrong_call_and_what_a_code_is_like_is_said(wrong: str) -> None:
    assert explain("--", "190", wrong) == (
        2,
        "",
        f"alir: {wrong} is no error code; give numbers such as 131026, or HTTP 403",
    )


@pytest.mark.parametrize("asked", [["HTTP 403"], ["http403"], ["HTTP", "403"], ["Http  403"]])
def test_a_bare_http_status_is_explained_and_not_taken_for_the_code(asked: list[str]) -> None:
    status, said, _ = explain(*asked)

    assert status == 0
    assert said.startswith("HTTP 403 The provider does not take the credentials")
    assert "alir sender check NAME" in said
    assert "blacklisted" not in said
    assert "blacklisted" in explain("403")[1]


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 405, 422, 429, 500, 502, 503])
def test_what_is_said_of_a_bare_http_status_is_what_the_providers_do(status: int) -> None:
    said = bare_status(status).what_alir_does.lower()
    for read_answer, body in ((cloud.read_answer, b""), (routemobile.read_answer, b'{"a":1}')):
        try:
            read_answer(status, {}, body, codes={}, now=datetime.now(UTC))
        except OutcomeUnknown:
            assert "counts this message as unknown" in said
        except ProviderRefused:
            assert "counts this message as failed" in said
        except ProviderBusy as busy:
            assert "queues this message again" in said
            assert_pause_is_said(busy.pauses, said)
        else:
            pytest.fail(f"HTTP {status} without a body that tells anything was read as sent")


@pytest.mark.parametrize("status", [302, 401, 403, 404, 405, 429, 500, 503])
def test_what_is_said_of_a_refused_log_in_is_what_is_done(status: int) -> None:
    with pytest.raises(ProviderBusy) as busy:
        routemobile.read_log_in(status, {}, b"", now=datetime.now(UTC))

    assert_pause_is_said(busy.value.pauses, bare_status(status).what_alir_does)


def assert_pause_is_said(pause: PauseAsked | None, said: str) -> None:
    assert pause is not None
    assert pause.first is not None
    assert pause.longest is not None
    held = {PauseScope.SENDER: "this sender", PauseScope.ACCOUNT: "any sender of this account"}
    assert f"sends nothing from {held[pause.scope]} for {span(pause.first)}" in said
    assert f"at most {span(pause.longest)}" in said


def test_what_the_settings_change_is_explained_as_changed(folder: Path) -> None:
    (folder / "alir.toml").write_text(
        """
        [errors]
        131049 = "retry"
        999999 = "account"
        [errors.470]
        class = "refused"
        [senders.main]
        provider = "cloud"
        phone_number_id = "106500000000000"
        access_token = { env = "NOT_SET_HERE" }
        app_secret = { env = "NOT_SET_HERE" }
        """
    )

    changed = "(changed by the setting errors.{})"
    assert (
        f"retry: busy; this message is tried again {changed.format(131049)}" in explain("131049")[1]
    )
    status, said, _ = explain("999999")
    assert status == 0
    assert changed.format(999999) in said
    assert "any sender of this account" in said
    assert "from Route Mobile only" in explain("470")[1]
    assert "changed" not in explain("131026")[1]


def test_a_settings_file_is_read_where_it_is_named_and_its_mistakes_are_told(folder: Path) -> None:
    (folder / "other.toml").write_text("[errors]\n131049 = 'retry'\n131050 = 'never'")

    status, said, wrong = explain("--config", "other.toml", "131049")

    assert (status, said) == (2, "")
    assert wrong.startswith('alir: other.toml: errors.131050: expected one of "refused", ')
