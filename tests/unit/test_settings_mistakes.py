"""Settings that cannot be used: each problem names where, which key and what was expected."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path

import pytest

from alir.errors import SettingsInvalid
from alir.providers.registry import PROVIDERS
from alir.settings import load

SENDER = """
[senders.main]
provider = "cloud"
phone_number_id = "106500000000000"
access_token = "EAAG-token"
app_secret = "app-secret"
"""
PROVIDER_NAMES = " or ".join(f'"{name}"' for name in PROVIDERS)
CLASSES = '"refused", "window", "retry", "recipient", "flow", "sender", "account"'

ROUTE_MOBILE = """
[senders.jakarta]
provider = "routemobile"
username = "rm-user"
password = "rm-password"
callback_secret = "rm-callback-secret-of-these-tests"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: empty, so that no alir.toml of the developer is read."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(
    toml: str = "", environ: Mapping[str, str] | None = None, **options: object
) -> list[str]:
    """Every problem of these sources."""
    Path("alir.toml").write_text(toml)
    with pytest.raises(SettingsInvalid) as invalid:
        load(None, environ or {}, options)
    return list(invalid.value.problems)


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("port = 70000", "port: expected a port, a whole number from 0 to 65535, not 70000"),
        ("port = true", "port: expected a port, a whole number from 0 to 65535, not true"),
        ('host = "a b"', 'host: expected an address, such as "127.0.0.1", not "a b"'),
        ("dispatch = 3", "dispatch: expected a table"),
        ("senders = 5", "senders: expected tables such as [senders.main], not 5"),
        ("[senders]\nmain = 5", "senders.main: expected a table"),
        (
            "[dispatch]\nrate_share = 1.5",
            "dispatch.rate_share: expected a number above 0, at most 1, not 1.5",
        ),
        (
            "[dispatch]\ncall_timeout_seconds = inf",
            "dispatch.call_timeout_seconds: expected a number above 0, not Infinity",
        ),
        (
            "[retention]\nmessage_days = 0.5",
            "retention.message_days: expected a number of days, 1 or more, or 0 for ever, not 0.5",
        ),
        (
            '[simulator]\nenabled = "maybe"',
            'simulator.enabled: expected "auto", true or false, not "maybe"',
        ),
        (
            '[simulator]\nallow_networks = ["127.0.0.1/8"]',
            "simulator.allow_networks: expected a list of networks, such as "
            '["127.0.0.0/8", "::1/128"], not "127.0.0.1/8"',
        ),
        (
            "[dispatch]\nconnect_timeout_seconds = 30",
            "dispatch: connect_timeout_seconds (30) must not be larger than "
            "call_timeout_seconds (20)",
        ),
        (
            "[api]\ndefault_wait_seconds = 90",
            "api: default_wait_seconds (90) must not be larger than longest_wait_seconds (60)",
        ),
        (
            SENDER + 'graph_version = "24"',
            'senders.main.graph_version: expected a version such as "v24.0", not "24"',
        ),
        (
            SENDER + 'on_unknown = "resend"',
            'senders.main.on_unknown: expected "hold" or "retry", not "resend"',
        ),
        (
            SENDER.replace('"106500000000000"', "106500000000000"),
            "senders.main.phone_number_id: expected the digits of the id in quotes, "
            'such as "106500000000000", not 106500000000000',
        ),
        (
            SENDER.replace("main", "Main"),
            "senders.Main: expected a name of a-z, 0-9, _ and -, a letter first, at most 32",
        ),
        (
            SENDER.replace('"cloud"', '"twilio"'),
            f'senders.main.provider: expected {PROVIDER_NAMES}, not "twilio"',
        ),
        (
            SENDER.replace('provider = "cloud"', ""),
            f"senders.main.provider: is missing; expected {PROVIDER_NAMES}",
        ),
        (
            SENDER.replace('"cloud"', "5"),
            f"senders.main.provider: expected {PROVIDER_NAMES}, not 5",
        ),
        (
            SENDER + 'closed_window = "shut"',
            'senders.main.closed_window: expected "warn" or "refuse", not "shut"',
        ),
        (
            SENDER + "pair_burst = 0",
            "senders.main.pair_burst: expected a whole number, 1 or more, not 0",
        ),
        (
            ROUTE_MOBILE + 'text_header = "html"',
            'senders.jakarta.text_header: expected "text" or "typed", not "html"',
        ),
        (
            ROUTE_MOBILE.replace("rm-callback-secret-of-these-tests", "a/b"),
            "senders.jakarta.callback_secret: holds a character that does not fit in a URL; "
            "use a-z, A-Z, 0-9, . _ ~ -",
        ),
        (
            ROUTE_MOBILE.replace("rm-callback-secret-of-these-tests", "a"),
            "senders.jakarta.callback_secret: expected at least 32 characters that nobody can "
            "guess, not 1",
        ),
        ('[cloud]\ngraph_version = "x"\n' + SENDER, None),
    ],
)
def test_a_wrong_value_is_one_problem_with_file_key_and_what_was_expected(
    toml: str, problem: str | None
) -> None:
    expected = problem or 'cloud.graph_version: expected a version such as "v24.0", not "x"'

    assert problems(toml) == [f"alir.toml: {expected}"]


@pytest.mark.parametrize(
    ("toml", "environ", "problem"),
    [
        ("databse = 1", {}, "alir.toml: databse: is not a setting; the nearest is database"),
        (
            "[dispach]\nenabled = true",
            {},
            "alir.toml: dispach: is not a setting; the nearest is dispatch",
        ),
        (
            SENDER + 'acces_token = "x"',
            {},
            "alir.toml: senders.main.acces_token: is not a setting; "
            "the nearest is senders.main.access_token",
        ),
        (
            SENDER + 'public_url = "https://a.example"',
            {},
            "alir.toml: senders.main.public_url: is not a setting; the nearest is public_url",
        ),
        (
            "[errors.131049]\nclass = 'retry'\ntrys = 3",
            {},
            "alir.toml: errors.131049.trys: is not a setting; the nearest is errors.131049.tries",
        ),
        (
            "[errrors]\n131049 = 'retry'",
            {},
            "alir.toml: errrors: is not a setting; the nearest is errors",
        ),
        (
            "",
            {"ALIR_ROLE": "dispatch"},
            "environment variable ALIR_ROLE: role: is not a setting; "
            "it is an option of alir serve: --role",
        ),
        (
            "",
            {"ALIR_DATABSE": "x"},
            "environment variable ALIR_DATABSE: databse: is not a setting; "
            "the nearest is ALIR_DATABASE",
        ),
        (
            SENDER,
            {"ALIR_SENDERS__MAIN__ACCES_TOKEN": "x"},
            "environment variable ALIR_SENDERS__MAIN__ACCES_TOKEN: senders.main.acces_token: "
            "is not a setting; the nearest is ALIR_SENDERS__MAIN__ACCESS_TOKEN",
        ),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(
    toml: str, environ: Mapping[str, str], problem: str
) -> None:
    assert problems(toml, environ) == [problem]


def test_all_problems_of_all_sources_are_told_at_once() -> None:
    found = problems(
        'port = "x"\n[senders.main]\nprovider = "cloud"\n',
        {"ALIR_HOSTT": "x", "ALIR_DISPATCH__ENABLED": "perhaps"},
        database="mysql://",
    )

    assert [problem.split(": ")[:2] for problem in found] == [
        ["option --database", "database"],
        ["alir.toml", "port"],
        ["environment variable ALIR_DISPATCH__ENABLED", "dispatch.enabled"],
        ["alir.toml", "senders.main.phone_number_id"],
        ["alir.toml", "senders.main.access_token"],
        ["alir.toml", "senders.main.app_secret"],
        ["environment variable ALIR_HOSTT", "hostt"],
    ]


def test_two_senders_with_one_number_are_a_problem_beside_others() -> None:
    other = SENDER.replace("main", "other").replace('app_secret = "app-secret"', "")

    assert problems(SENDER + other) == [
        'alir.toml: senders.other.app_secret: is missing; expected text, { env = "NAME" } or '
        '{ file = "/path" }',
        "alir.toml: senders.other.phone_number_id: expected one of its own, "
        "but senders.main has the same",
    ]


@pytest.mark.parametrize(
    "secret",
    ['"rm-callback-secret-of-these-tests"', '{ env = "THE_SAME" }', '{ file = "the-same" }'],
)
def test_two_route_mobile_senders_with_one_callback_secret_are_a_problem(secret: str) -> None:
    Path("the-same").write_text("rm-callback-secret-of-these-tests\n")
    other = ROUTE_MOBILE.replace("jakarta", "bandung").replace(
        '"rm-callback-secret-of-these-tests"', secret
    )

    assert problems(ROUTE_MOBILE + other, {"THE_SAME": "rm-callback-secret-of-these-tests"}) == [
        "alir.toml: senders.bandung.callback_secret: expected one of its own, "
        "but senders.jakarta has the same"
    ]


def test_a_key_of_another_provider_is_not_one_of_this_sender() -> None:
    assert problems(ROUTE_MOBILE + 'graph_version = "v24.0"') == [
        "alir.toml: senders.jakarta.graph_version: is not a setting; "
        "the nearest is cloud.graph_version"
    ]
    assert problems(SENDER + 'usernam = "x"')[0].startswith(
        "alir.toml: senders.main.usernam: is not a setting; the nearest is senders.main."
    )


def test_what_is_wrong_in_a_providers_table_is_told_once() -> None:
    toml = '[routemobile]\nauthorization = "basic"\n' + ROUTE_MOBILE

    assert problems(toml) == [
        'alir.toml: routemobile.authorization: expected "raw" or "bearer", not "basic"'
    ]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql+asyncpg://u:hush@h/db", "a PostgreSQL database is written"),
        ("postgres:db", "a PostgreSQL database is written"),
        ("postgresql://u:hush@h", "expected"),
        ("postgresql://u:hush@h/", "expected"),
        ("postgresql://u:hush@h/db\n", "expected"),
    ],
)
def test_a_postgresql_database_is_told_how_it_is_written(url: str, told: str) -> None:
    form = "postgresql://USER:PASSWORD@HOST/NAME"
    assert problems(database=url) == [f"option --database: database: {told} {form}"]


@pytest.mark.parametrize(
    "url", ["", "alir.db", "sqlite:///", "sqlite:///:memory:", "sqlite:////", "sqlite:///a?b=c"]
)
def test_a_database_that_would_not_be_a_file_is_refused(url: str) -> None:
    [problem] = problems(database=url)

    assert "expected sqlite:/// and a file name" in problem


@pytest.mark.parametrize(
    "url",
    [
        "example.com",
        "ftp://example.com",
        "https://user:pass@example.com",
        "https://example.com/?a=b",
        "https://example.com/#a",
        "https://example.com:port",
        "https://exa mple.com",
        "https://",
    ],
)
def test_a_url_that_is_no_plain_http_url_is_refused(url: str) -> None:
    [problem] = problems(f'public_url = "{url}"')

    assert "expected an http or https URL" in problem
    assert "user:pass" not in problem


def test_a_named_file_that_is_not_there_is_a_problem() -> None:
    with pytest.raises(SettingsInvalid, match=r"^gone\.toml: cannot be read: No such file"):
        load(Path("gone.toml"), {})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"port = 1\nhost = = 2\n", r"^alir\.toml: expected TOML: .*line 2"),
        (b"host = '\xff'", r"^alir\.toml: expected text in UTF-8 \(byte 8\)"),
    ],
)
def test_a_file_that_is_not_toml_is_named_with_the_place(content: bytes, problem: str) -> None:
    Path("alir.toml").write_bytes(content)

    with pytest.raises(SettingsInvalid, match=problem):
        load(None, {})


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ('{ env = "NOT_SET" }', "the environment variable NOT_SET is not set"),
        ('{ env = "EMPTY" }', "the environment variable EMPTY is empty"),
        ('{ env = "BROKEN" }', "the environment variable BROKEN holds a line break or another"),
        ('{ file = "gone" }', "the file gone cannot be read: No such file or directory"),
        ('{ file = "empty" }', "the file empty is empty"),
        ('{ file = "binary" }', "the file binary is not text in UTF-8"),
        ('""', "is empty"),
        ('{ env = "A", file = "b" }', 'expected text, { env = "NAME" } or { file = "/path" }'),
        ("123456", 'expected text, { env = "NAME" } or { file = "/path" }'),
    ],
)
def test_a_secret_that_cannot_be_had_is_a_problem(token: str, problem: str) -> None:
    Path("empty").write_text("\n")
    Path("binary").write_bytes(b"\xff\xfe")

    [found] = problems(
        SENDER.replace('"EAAG-token"', token), {"EMPTY": "", "BROKEN": "a\nb", "A": "a"}
    )

    assert found.startswith(f"alir.toml: senders.main.access_token: {problem}")


@pytest.mark.parametrize(
    ("key", "environ"),
    [
        ("access_token = 987654321", {}),
        ('acces_token = "987654321"', {}),
        ('phone_number_id = "987654321 a@b"', {}),
        ('provider = "routemobile"\ncallback_secret = "987654321/"', {}),
        ("", {"ALIR_SENDERS__MAIN": "987654321"}),
        ("", {"ALIR_SENDERS__MAIN__APP_SECRET__TEXT": "987654321"}),
    ],
)
def test_no_problem_and_no_traceback_repeats_a_secret(key: str, environ: dict[str, str]) -> None:
    Path("alir.toml").write_text(f'{key}\n[senders.main]\nprovider = "cloud"\n{key}')

    with pytest.raises(SettingsInvalid) as invalid:
        load(None, environ)

    assert "987654321" not in "".join(traceback.format_exception(invalid.value))
