"""Settings: what the default file holds, what wins over it, secrets, and the sandbox."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import ValidationError

from alir.errors import SettingsInvalid
from alir.ids import SenderName
from alir.providers.cloud.settings import CloudSender
from alir.providers.routemobile.settings import RouteMobileSender
from alir.providers.whatsapp.codes import Change, Concern
from alir.retention.model import KeptFor
from alir.settings import (
    DEFAULT_FILE,
    SANDBOX_NUMBER_ID,
    Secret,
    Settings,
    load,
    load_errors,
    sandbox,
    sandbox_wanted,
    simulator_is_on,
)
from alir.settings.loading import KEYS
from alir.settings.sources import variable

SENDER = """
[senders.main]
provider = "cloud"
phone_number_id = "106500000000000"
access_token = "EAAG-token"
app_secret = "app-secret"
"""
MAIN = SenderName("main")
JAKARTA = SenderName("jakarta")
#: Every variable that an example of the default file names, whichever provider's.
SECRETS = {
    name: f"of-{name.lower()}".ljust(32, "-")
    for name in re.findall(r'env = "(\w+)"', DEFAULT_FILE.read_text())
}
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


@dataclass
class MovableTime:
    """Seconds that pass when a test says so."""

    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


def cloud_sender(settings: Settings, name: SenderName = MAIN) -> CloudSender:
    sender = settings.senders[name]
    assert isinstance(sender, CloudSender)
    return sender


def loaded(toml: str, environ: Mapping[str, str] | None = None) -> Settings:
    Path("alir.toml").write_text(toml)
    return load(None, environ or {})


# The default file


def test_without_any_source_the_defaults_of_the_design_hold() -> None:
    settings = load(None, {})

    assert settings.database == "sqlite:///alir.db"
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.public_url is None
    assert settings.senders == {}
    assert settings.simulator.enabled == "auto"
    assert settings.simulator.allow_networks == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    assert (settings.api.default_wait_seconds, settings.api.longest_wait_seconds) == (10, 60)
    assert (settings.api.message_limit_kib, settings.api.callback_limit_mib) == (64, 4)
    assert settings.dispatch.enabled
    assert settings.dispatch.rate_share == 0.97
    assert settings.dispatch.connect_timeout_seconds == 5
    assert settings.dispatch.call_timeout_seconds == 20
    assert settings.dispatch.stop_grace_seconds == 12
    assert settings.dispatch.begun_valid_seconds == 5
    assert settings.dispatch.busy_first_delay_seconds == 1
    assert settings.dispatch.busy_longest_delay_seconds == 300
    assert settings.dispatch.give_up_after_hours == 24
    assert settings.dispatch.unknown_after_seconds == 120
    assert settings.receipts.parked_days == 7
    assert settings.retention.kept_for() == KeptFor(
        messages=timedelta(days=90),
        events=timedelta(days=30),
        callbacks=timedelta(days=7),
        contacts=timedelta(days=90),
    )
    assert settings.defaults_of("cloud").messages_per_second == 80
    assert settings.defaults_of("routemobile").pair_burst == 45


def _uncommented_default() -> str:
    return re.sub(r"(?m)^#(?=[a-z\[])", "", DEFAULT_FILE.read_text())


def test_the_default_file_with_its_examples_switched_on_is_valid() -> None:
    settings = loaded(_uncommented_default(), SECRETS)

    assert settings.public_url == "https://alir.example.com"
    assert cloud_sender(settings).access_token.reveal() == SECRETS["META_TOKEN"]


def test_the_example_senders_show_what_every_sender_has_anyway() -> None:
    plain = load(None, {})
    settings = loaded(_uncommented_default(), SECRETS)

    for name, sender in settings.senders.items():
        shared = settings.defaults_of(sender.provider)
        assert shared.model_dump().items() <= sender.model_dump().items(), name
        assert shared == plain.defaults_of(sender.provider)
        assert sender.account == name


def test_the_default_file_shows_every_key_that_there_is() -> None:
    shown = set()
    table = ""
    for line in _uncommented_default().splitlines():
        if header := re.fullmatch(r"\[(.+)\]", line):
            table = re.sub(r"^(senders|errors)\.\w+$", r"\1.*", header[1]) + "."
        elif key := re.match(r"([a-z][a-z0-9_]*) = ", line):
            shown.add(table + key[1])

    assert shown == {".".join(key) for key in KEYS} - {"senders", "errors"}


# What wins


def test_file_then_environment_then_options_win_key_by_key() -> None:
    Path("alir.toml").write_text('host = "10.0.0.1"\nport = 1\ndatabase = "sqlite:///file.db"')

    settings = load(None, {"ALIR_PORT": "2", "ALIR_DATABASE": "sqlite:///env.db"}, {"port": 3})

    assert (settings.host, settings.database) == ("10.0.0.1", "sqlite:///env.db")
    assert settings.port == 3


def test_an_option_that_was_not_given_changes_nothing() -> None:
    assert load(None, {}, {"port": None}).port == 8080


def test_a_named_file_is_read_instead_of_alir_toml() -> None:
    Path("alir.toml").write_text("port = 1")
    Path("other.toml").write_text('host = "10.0.0.1"')

    settings = load(Path("other.toml"), {})

    assert (settings.host, settings.port) == ("10.0.0.1", 8080)


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("ALIR_PORT", "99", ("port",), 99),
        ("ALIR_DISPATCH__ENABLED", "false", ("dispatch", "enabled"), False),
        ("ALIR_DISPATCH__RATE_SHARE", "0.5", ("dispatch", "rate_share"), 0.5),
        ("ALIR_SIMULATOR__ENABLED", "true", ("simulator", "enabled"), True),
        ("ALIR_SIMULATOR__ENABLED", "auto", ("simulator", "enabled"), "auto"),
        ("ALIR_LOG", '{ level = "debug" }', ("log", "level"), "debug"),
        ("ALIR_LOG", '{"level": "debug"}', ("log", "level"), "debug"),
        (
            "ALIR_SIMULATOR__ALLOW_NETWORKS",
            '["10.0.0.0/8"]',
            ("simulator", "allow_networks"),
            (ip_network("10.0.0.0/8"),),
        ),
        ("ALIR_PORT", "", ("port",), 8080),
    ],
)
def test_a_variable_is_read_as_its_key_needs_it(
    name: str, text: str, key: tuple[str, ...], value: object
) -> None:
    found: object = load(None, {name: text})
    for part in key:
        found = getattr(found, part)

    assert found == value


def test_a_whole_sender_can_stand_in_the_environment() -> None:
    prefix = "ALIR_SENDERS__MAIN__"
    settings = load(
        None,
        {
            f"{prefix}PROVIDER": "cloud",
            f"{prefix}PHONE_NUMBER_ID": "106500000000000",
            f"{prefix}ACCESS_TOKEN": "12345",
            f"{prefix}APP_SECRET": '{ env = "META_APP_SECRET" }',
            f"{prefix}VERIFY_TOKEN__ENV": "META_VERIFY",
            **SECRETS,
        },
    )

    sender = cloud_sender(settings)
    assert sender.phone_number_id == "106500000000000"
    assert sender.access_token.reveal() == "12345"
    assert sender.app_secret.reveal() == SECRETS["META_APP_SECRET"]
    assert sender.verify_token is not None
    assert sender.verify_token.reveal() == SECRETS["META_VERIFY"]


def test_a_hyphen_in_a_senders_name_is_an_underscore_in_its_variables() -> None:
    toml = SENDER.replace("senders.main", "senders.my-main")

    settings = loaded(toml, {"ALIR_SENDERS__MY_MAIN__GRAPH_VERSION": "v99.0"})

    assert cloud_sender(settings, SenderName("my-main")).graph_version == "v99.0"
    assert list(settings.senders) == ["my-main"]


def test_a_sender_has_what_cloud_says_unless_it_says_otherwise() -> None:
    toml = '[cloud]\nmessages_per_second = 20\ngraph_version = "v25.0"\n' + SENDER

    sender = cloud_sender(loaded(toml + "messages_per_second = 0\n"))

    assert (sender.messages_per_second, sender.graph_version) == (0, "v25.0")


def test_a_route_mobile_sender_has_what_its_own_table_says() -> None:
    toml = "[cloud]\npair_seconds = 1\n[routemobile]\npair_seconds = 2\nsend_extra = true\n"

    settings = loaded(toml + ROUTE_MOBILE + 'authorization = "bearer"\n' + SENDER)

    sender = settings.senders[JAKARTA]
    assert isinstance(sender, RouteMobileSender)
    assert (sender.pair_seconds, sender.send_extra) == (2, True)
    assert (sender.authorization, sender.base_url) == ("bearer", "https://apis.rmlconnect.net")
    assert sender.password.reveal() == "rm-password"
    assert cloud_sender(settings).pair_seconds == 1


def test_senders_are_of_one_account_where_they_say_so() -> None:
    other = SENDER.replace("main", "other").replace("000000000", "000000001")

    settings = loaded(SENDER + 'account = "acme"\n' + other)

    assert [sender.account for sender in settings.senders.values()] == ["acme", "other"]


def test_a_url_is_kept_without_the_slash_at_its_end() -> None:
    assert loaded('public_url = "https://a.example/x/"').public_url == "https://a.example/x"


def test_a_byte_order_mark_does_no_harm() -> None:
    Path("alir.toml").write_bytes(b"\xef\xbb\xbfport = 7")

    assert load(None, {}).port == 7


def test_settings_cannot_be_changed_once_made() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load(None, {}).port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///alir.db",
        "sqlite:////var/lib/alir.db",
        "postgresql://alir:secret@db.example.com:5432/alir?sslmode=require",
        "postgres:///alir?host=/run/postgresql",
    ],
)
def test_a_database_is_a_file_or_one_of_postgresql(url: str) -> None:
    assert load(None, {}, {"database": url}).database == url


def test_variables_for_others_than_settings_are_left_alone() -> None:
    others = {
        "ALIR_API_TOKEN": "x",
        "ALIR_CONFIG": "x",
        "ALIR_TEST_CHROMIUM": "x",
        "ALIR_BENCH_PROTOTYPE": "x",
        "PORT": "x",
    }

    assert load(None, others) == load(None, {})


def test_a_variable_that_a_secret_stands_in_is_no_setting() -> None:
    toml = SENDER.replace('"EAAG-token"', '{ env = "ALIR_META_TOKEN" }')

    settings = loaded(toml, {"ALIR_META_TOKEN": "from-there"})

    assert cloud_sender(settings).access_token.reveal() == "from-there"


# Secrets


def _sender_with(token: str, environ: Mapping[str, str] | None = None) -> Secret:
    toml = SENDER.replace('"EAAG-token"', token)
    return cloud_sender(loaded(toml, environ)).access_token


def test_a_secret_comes_from_text_a_variable_or_a_file() -> None:
    Path("token").write_text("in-file\n")

    assert _sender_with('"in-text"').reveal() == "in-text"
    assert _sender_with('{ env = "T" }', {"T": "in-variable"}).reveal() == "in-variable"
    assert _sender_with('{ file = "token" }').reveal() == "in-file"


def test_a_secret_in_the_environment_takes_the_place_of_a_reference_in_the_file() -> None:
    variables = {"ALIR_SENDERS__MAIN__ACCESS_TOKEN": "direct"}

    assert _sender_with('{ env = "GONE" }', variables).reveal() == "direct"


def test_only_one_line_break_at_the_end_of_a_file_is_not_part_of_the_secret() -> None:
    Path("token").write_bytes(b" spaced \r\n")

    assert _sender_with('{ file = "token" }').reveal() == " spaced "


@pytest.mark.parametrize("show", [repr, str, "{}".format])
def test_a_secret_never_shows_itself(show: Callable[[object], str]) -> None:
    settings = loaded(SENDER)
    sender = cloud_sender(settings)

    for shown in (show(sender.access_token), show(sender), show(settings)):
        assert "EAAG-token" not in shown
        assert "app-secret" not in shown


def _secret_in_file(content: str, elapsed: Callable[[], float]) -> tuple[Path, Secret]:
    path = Path("token").absolute()
    path.write_text(content)
    Path("alir.toml").write_text(SENDER.replace('"EAAG-token"', f'{{ file = "{path}" }}'))
    return path, cloud_sender(load(None, {}, elapsed=elapsed)).access_token


def test_a_secrets_file_is_read_again_after_five_seconds() -> None:
    time = MovableTime()
    path, secret = _secret_in_file("first", time)
    path.write_text("second")

    time.seconds += 4.9
    assert secret.reveal() == "first"
    time.seconds += 0.1
    assert secret.reveal() == "second"


def test_a_secret_that_a_provider_called_bad_is_read_again_at_once() -> None:
    path, secret = _secret_in_file("first", MovableTime())
    path.write_text("second")

    secret.expire()

    assert secret.reveal() == "second"


@pytest.mark.parametrize("content", [None, ""], ids=["gone", "empty"])
def test_while_a_secrets_file_is_unreadable_its_last_value_holds(content: str | None) -> None:
    time = MovableTime()
    path, secret = _secret_in_file("first", time)
    path.unlink()
    if content is not None:
        path.write_text(content)

    time.seconds += 5
    assert secret.reveal() == "first"

    path.write_text("second")
    time.seconds += 5
    assert secret.reveal() == "second"


# The simulator and its sender

SANDBOX = SENDER.replace("106500000000000", SANDBOX_NUMBER_ID)


@pytest.mark.parametrize(
    ("toml", "is_on", "wanted"),
    [
        pytest.param("", True, True, id="no-sender"),
        pytest.param(SENDER, False, False, id="another-sender"),
        pytest.param("[simulator]\nenabled = true\n" + SENDER, True, True, id="on-beside-another"),
        pytest.param(ROUTE_MOBILE, False, False, id="a-route-mobile-sender"),
        pytest.param(
            ROUTE_MOBILE + 'base_url = "http://localhost:1/simulator/routemobile"',
            True,
            True,
            id="its-own-route-mobile",
        ),
        pytest.param("[simulator]\nenabled = false", False, False, id="off"),
        pytest.param(SANDBOX, True, False, id="its-number-is-configured"),
        pytest.param(
            "[simulator]\nenabled = true\n" + SENDER.replace("main", "sandbox"),
            True,
            False,
            id="its-name-is-configured",
        ),
    ],
)
def test_the_sandbox_is_there_while_the_simulator_is_on_and_nobody_has_its_number(
    toml: str, is_on: bool, wanted: bool
) -> None:
    settings = loaded(toml)

    assert simulator_is_on(settings) is is_on
    assert sandbox_wanted(settings) is wanted


def test_the_sandbox_has_the_simulators_public_credentials_and_the_shared_limits() -> None:
    settings = loaded("[cloud]\nmessages_per_second = 0")

    sender = sandbox(settings, "http://127.0.0.1:8080/simulator/graph")

    assert sender.phone_number_id == "1065000000"
    assert sender.verify_token is not None
    secrets = (sender.access_token, sender.app_secret, sender.verify_token)
    assert [secret.reveal() for secret in secrets] == ["simulator"] * 3
    assert sender.graph_url == "http://127.0.0.1:8080/simulator/graph"
    assert sender.messages_per_second == 0


@pytest.mark.parametrize(("toml", "seconds"), [("", 0), ("[simulator]\npair_seconds = 6", 6)])
def test_the_sandbox_has_the_pair_limit_of_the_simulators_table(toml: str, seconds: int) -> None:
    sender = sandbox(loaded(toml), "http://127.0.0.1:8080/simulator/graph")

    assert sender.pair_seconds == seconds


def test_every_key_outside_senders_and_errors_is_settable_by_its_variable() -> None:
    settings = load(None, {})
    for key in KEYS:
        if key[0] in ("senders", "errors"):
            continue
        value: object = settings
        for part in key:
            value = getattr(value, part)
        if isinstance(value, (str, int, float)):
            assert load(None, {variable(key): str(value)}) == settings


# Errors


def test_without_any_source_no_error_code_is_treated_differently() -> None:
    assert load(None, {}).error_changes == {}


def test_an_error_code_is_given_a_class_alone_or_with_waits_and_tries() -> None:
    settings = loaded(
        """
        [errors]
        "131049" = "retry"
        130429 = { class = "sender", first_wait_seconds = 2.5, longest_wait_seconds = 60 }

        [errors.131000]
        class = "retry"
        tries = 1
        """
    )

    assert settings.error_changes == {
        131049: Change(Concern.RETRY),
        130429: Change(
            Concern.SENDER,
            first_wait=timedelta(seconds=2.5),
            longest_wait=timedelta(seconds=60),
        ),
        131000: Change(Concern.RETRY, tries=1),
    }


def test_error_codes_can_stand_in_the_environment() -> None:
    toml = '[errors]\n131049 = "retry"\n0 = { class = "sender", tries = 4 }'
    settings = loaded(
        toml,
        {
            "ALIR_ERRORS__131049": "refused",
            "ALIR_ERRORS__131026__CLASS": "account",
            "ALIR_ERRORS__131026__FIRST_WAIT_SECONDS": "5",
            "ALIR_ERRORS__190": '{ class = "sender" }',
            "ALIR_ERRORS__0__TRIES": "3",
        },
    )

    assert settings.error_changes == {
        131049: Change(Concern.REFUSED),
        131026: Change(Concern.ACCOUNT, first_wait=timedelta(seconds=5)),
        190: Change(Concern.SENDER),
        0: Change(Concern.SENDER, tries=3),
    }


def test_error_codes_can_be_read_where_the_secrets_are_not() -> None:
    toml = _uncommented_default() + "\n[errors.131049]\nclass = 'retry'"
    Path("alir.toml").write_text(toml)
    with pytest.raises(SettingsInvalid):
        load(None, {})

    assert load_errors(None, {}).error_changes.keys() == {130429, 131049}


# Without secrets, for commands that call no provider


def test_who_needs_no_secrets_reads_settings_whose_secrets_are_not_there(folder: Path) -> None:
    (folder / "alir.toml").write_text(
        """
        [senders.main]
        provider = "cloud"
        phone_number_id = "106500000000000"
        access_token = { env = "META_TOKEN" }
        [senders.jakarta]
        provider = "routemobile"
        username = { env = "RML_USER" }
        password = { file = "/nowhere/password" }
        callback_secret = { env = "RML_CALLBACK" }
        [senders.bandung]
        provider = "routemobile"
        username = { env = "RML_OTHER_USER" }
        password = { env = "RML_PASSWORD" }
        callback_secret = { env = "RML_OTHER_CALLBACK" }
        """
    )

    settings = load(None, {}, secrets_needed=False)

    assert list(settings.senders) == ["main", "jakarta", "bandung"]
    with pytest.raises(SettingsInvalid) as refused:
        load(None, {})
    assert any("variable RML_USER is not set" in problem for problem in refused.value.problems)


def test_who_needs_no_secrets_is_told_of_every_other_mistake(folder: Path) -> None:
    (folder / "alir.toml").write_text(
        """
        [senders.main]
        provider = "cloud"
        access_token = { env = "META_TOKEN" }
        app_secret = { env = "META_APP_SECRET" }
        """
    )

    with pytest.raises(SettingsInvalid) as refused:
        load(None, {}, secrets_needed=False)

    [problem] = refused.value.problems
    assert "senders.main.phone_number_id: is missing" in problem
