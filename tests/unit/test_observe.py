"""What operators see: no person in the log, and every metric under its name."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from alir.observe import CONTENT_TYPE, Metrics, configure_logging, get_logger

NUMBER = "+62 821-000 0000"


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    logging.getLogger("uvicorn.access").disabled = False
    structlog.reset_defaults()


def configured(*, level: str = "info", form: str = "json") -> io.StringIO:
    stream = io.StringIO()
    configure_logging(level=level, form=form, stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_its_component_level_and_time() -> None:
    stream = configured()

    get_logger("dispatch").info("attempt_settled", message="msg_1", attempt=2)

    [line] = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "component": "dispatch",
        "event": "attempt_settled",
        "level": "info",
        "message": "msg_1",
        "attempt": 2,
    }


def test_lines_below_the_level_are_not_written() -> None:
    stream = configured(level="warning")

    get_logger("dispatch").info("quiet")
    logging.getLogger("library").info("quiet")
    get_logger("dispatch").warning("loud")

    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_a_logger_made_before_logging_was_configured_follows() -> None:
    logger = get_logger("dispatch")
    stream = configured()

    logger.info("here")

    assert len(lines(stream)) == 1


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize(
    "name", ["to", "wa_id", "body", "text", "flow_token", "access_token", "authorization"]
)
def test_fields_that_hold_people_or_credentials_are_struck_out(form: str, name: str) -> None:
    stream = configured(form=form)

    get_logger("api").info("seen", **{name: "private words"}, inside={name: ["private words"]})

    assert "private words" not in stream.getvalue()
    assert stream.getvalue().count("[redacted]") == 2


@pytest.mark.parametrize(
    "number",
    ["+628210000000", NUMBER, "+1 (000) 000-0000", "+1.000.000.0000", "%2B628210000000"],
)
def test_a_phone_number_is_struck_out_wherever_it_stands(number: str) -> None:
    stream = configured()

    get_logger("api").info(f"to {number}!", path=f"/x?to={number}", deep=[{"a": (number,)}], o=P())

    [line] = lines(stream)
    assert line["event"] == "to [redacted]!"
    assert line["path"] == "/x?to=[redacted]"
    assert line["deep"] == [{"a": ["[redacted]"]}]
    assert line["o"] == "P([redacted])"


class P:
    """Something that shows a number in its repr."""

    def __repr__(self) -> str:
        return f"P({NUMBER})"


def test_moments_ids_and_counts_are_not_taken_for_phone_numbers() -> None:
    stream = configured()
    kept = {
        "at": "2026-01-01T00:00:00+00:00",
        "id": "msg_01K0000000000000000000000",
        "count": 12345678,
        "sum": "1+234567",
        "none": None,
        "flag": True,
        "share": 0.97,
    }

    get_logger("api").info("seen", **kept)

    [line] = lines(stream)
    assert kept.items() <= line.items()


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_neither_numbers_nor_local_variables(form: str) -> None:
    stream = configured(form=form)
    secret = "local-" + "secret"

    try:
        int(f"cannot reach {NUMBER}", base=len(secret))
    except ValueError:
        get_logger("api").exception("failed")
        logging.getLogger("library").exception("failed too")

    assert stream.getvalue().count("base 12: 'cannot reach [redacted]'") == 2
    assert "local-secret" not in stream.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_the_text_of_an_exception_loses_bare_numbers_and_whatsapp_ids(form: str) -> None:
    stream = configured(form=form)
    asked = ("628210000000", "wamid.HBgLNjI4+/Mj==", "12345678901234567", "1234567")
    nothing: dict[tuple[str, ...], None] = {}

    try:
        nothing[asked]
    except KeyError:
        get_logger("api").exception("failed")
        logging.getLogger("library").exception("failed too")

    said = stream.getvalue()
    assert "628210000000" not in said
    assert "HBgL" not in said
    assert said.count("12345678901234567") == 2  # the length of a Flow's id, not of a number
    assert said.count("'1234567'") == 2


def test_a_whatsapp_id_is_struck_out_wherever_it_stands() -> None:
    stream = configured()

    get_logger("receipts").warning("no message has wamid.HBgLNjI4Mj", reason="wamid.HBgL/a=, 2")

    [line] = lines(stream)
    assert (line["event"], line["reason"]) == ("no message has [redacted]", "[redacted], 2")


def test_other_libraries_write_the_same_lines() -> None:
    stream = configured()

    logging.getLogger("uvicorn.error").warning("refused %s", NUMBER)

    [line] = lines(stream)
    assert line["event"] == "refused [redacted]"
    assert (line["logger"], line["level"]) == ("uvicorn.error", "warning")


def test_request_lines_are_not_logged_at_all() -> None:
    stream = configured()

    logging.getLogger("uvicorn.access").info("GET /messages?to=628210000000")

    assert stream.getvalue() == ""


def test_configuring_twice_writes_each_line_once() -> None:
    configured()
    stream = configured()

    logging.getLogger("library").warning("once")
    get_logger("api").warning("once")

    assert len(lines(stream)) == 2


# Metrics


def sample(metrics: Metrics, series: str) -> float:
    """The value of one series, named as it is rendered."""
    rendered = metrics.render().decode()
    [value] = [
        line.rsplit(" ", 1)[1] for line in rendered.splitlines() if line.rsplit(" ", 1)[0] == series
    ]
    return float(value)


def test_counters_and_gauges_are_rendered_under_their_names_and_labels() -> None:
    metrics = Metrics()
    metrics.messages_accepted["main"].inc()
    metrics.outcomes["main", "busy"].inc(2)
    metrics.receipts["main", "read"].inc(3)
    metrics.queue_depth["main"].set(4)
    metrics.queue_age_seconds["main"].set(5)
    metrics.unknown["main"].set(6)

    assert sample(metrics, 'alir_messages_accepted_total{sender="main"}') == 1
    assert sample(metrics, 'alir_outcomes_total{outcome="busy",sender="main"}') == 2
    assert sample(metrics, 'alir_receipts_total{sender="main",status="read"}') == 3
    assert sample(metrics, 'alir_queue_depth{sender="main"}') == 4
    assert sample(metrics, 'alir_queue_age_seconds{sender="main"}') == 5
    assert sample(metrics, 'alir_unknown{sender="main"}') == 6


def test_durations_and_group_sizes_are_histograms() -> None:
    metrics = Metrics()
    metrics.request_seconds["POST /messages"].observe(0.2)
    metrics.provider_call_seconds["main"].observe(0.12)
    metrics.commit_seconds.observe(0.003)
    metrics.commit_group_size.observe(33)

    assert sample(metrics, 'alir_request_seconds_bucket{le="0.25",route="POST /messages"}') == 1
    assert sample(metrics, 'alir_provider_call_seconds_bucket{le="0.1",sender="main"}') == 0
    assert sample(metrics, 'alir_provider_call_seconds_bucket{le="0.2",sender="main"}') == 1
    assert sample(metrics, 'alir_commit_seconds_bucket{le="0.004"}') == 1
    assert sample(metrics, "alir_commit_group_size_sum") == 33


def test_two_gateways_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.messages_accepted["main"].inc()
    second.messages_accepted["main"].inc(0)

    assert sample(second, 'alir_messages_accepted_total{sender="main"}') == 0


def test_threads_that_meet_a_label_at_once_lose_no_count() -> None:
    metrics = Metrics()
    together = threading.Barrier(8)

    def count() -> None:
        together.wait()
        for _ in range(500):
            metrics.outcomes["main", "accepted"].inc()

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sample(metrics, 'alir_outcomes_total{outcome="accepted",sender="main"}') == 4000


def test_the_media_type_is_prometheus_text() -> None:
    assert CONTENT_TYPE.startswith("text/plain; version=")
