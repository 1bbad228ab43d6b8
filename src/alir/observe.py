"""What operators see: log lines without people in them, and metrics.

Logs name messages, attempts and senders by their ids. Should a number, a text or a credential be
handed to the log all the same, it is struck out here, in structlog's lines and in those of other
libraries alike.
"""

from __future__ import annotations

import logging
import re
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from itertools import accumulate
from typing import Any, Final, Generic, Protocol, TextIO, TypeVar, cast

import structlog
from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import (
    CollectorRegistry,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from structlog.typing import FilteringBoundLogger, Processor

__all__ = ["CONTENT_TYPE", "Logger", "Metrics", "configure_logging", "get_logger", "redact"]

Logger = FilteringBoundLogger

_STRUCK_OUT: Final = "[redacted]"
#: Fields that hold people's numbers and texts, or credentials, whatever their value.
_PERSONAL: Final = frozenset(
    {
        *("to", "wa_id", "recipient", "recipient_id", "phone", "phone_number", "number"),
        *("body", "text", "header", "footer", "param", "data", "payload", "profile", "response"),
        *("flow_token", "callback_data", "biz_opaque_callback_data"),
        *("access_token", "app_secret", "verify_token", "api_token", "token", "secret"),
        *("password", "authorization"),
    }
)
#: A plus sign (`%2B` in a URL) and 7 digits or more, as people write numbers.
_NUMBER: Final = re.compile(r"(?:\+|%2B)(?:[\s().-]{0,3}\d){7,}", re.IGNORECASE)
#: WhatsApp's message ids hold the recipient's number, in base64.
_WAMID: Final = re.compile(r"wamid\.[\w+/=.-]+")
#: In the text of an exception, which nobody here wrote, any run of digits may be a number.
_BARE_NUMBER: Final = re.compile(r"(?<!\d)\d{8,15}(?!\d)")
#: Where structlog puts the text of an exception.
_EXCEPTION: Final = "exception"


def configure_logging(
    *, level: str = "info", form: str = "auto", stream: TextIO | None = None
) -> None:
    """Send every log line of this process to one stream, from `level` up.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        form: `json`, one object a line; `console`, for people; `auto`, `console` on a terminal.
        stream: stderr when left out.
    """
    stream = stream or sys.stderr
    console = form == "console" or (form == "auto" and stream.isatty())
    least = logging.getLevelNamesMapping()[level.upper()]
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*before, _renderer(stream, console=console)],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,  # or loggers made before a second call keep the first
    )
    _redirect_standard_logging(stream, least, before, _renderer(stream, console=console))


def get_logger(component: str) -> Logger:
    """A logger whose lines say which part of alir they come from.

    It follows `configure_logging`, which costs 2 µs a call even for a line below the level; a hot
    path asks for `get_logger(…).bind()` once logging is configured, and pays 0.1 µs.
    """
    return cast("Logger", structlog.get_logger(component=component))


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """`event` without numbers and texts of people and without credentials.

    >>> redact(None, "info", {"event": "sent to +62 821-000-0000", "to": "x", "id": "msg_1"})
    {'event': 'sent to [redacted]', 'to': '[redacted]', 'id': 'msg_1'}
    """
    return {name: _clean(name, value) for name, value in event.items()}


def _clean(name: str, value: object) -> object:
    if name in _PERSONAL:
        return _STRUCK_OUT
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return _struck(value, is_foreign=name == _EXCEPTION)
        case Mapping():
            return {str(key): _clean(str(key), item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean("", item) for item in value]
        case _:
            return _struck(repr(value), is_foreign=isinstance(value, BaseException))


def _struck(text: str, *, is_foreign: bool) -> str:
    text = _NUMBER.sub(_STRUCK_OUT, _WAMID.sub(_STRUCK_OUT, text))
    return _BARE_NUMBER.sub(_STRUCK_OUT, text) if is_foreign else text


def _renderer(stream: TextIO, *, console: bool) -> Processor:
    if console:
        return structlog.dev.ConsoleRenderer(
            colors=stream.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # others show local variables
        )
    return structlog.processors.JSONRenderer(ensure_ascii=False)


def _redirect_standard_logging(
    stream: TextIO, least: int, before: list[Processor], renderer: Processor
) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *before],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(least)
    # Request lines carry numbers (`?to=…`), and not always with a plus sign.
    logging.getLogger("uvicorn.access").disabled = True
    # What these tell at info, alir tells itself.
    for chatty in ("uvicorn.error", "alembic"):
        logging.getLogger(chatty).setLevel(max(least, logging.WARNING))


_Child = TypeVar("_Child")
_Child_co = TypeVar("_Child_co", covariant=True)
_Labels = TypeVar("_Labels", str, tuple[str, str])


class _Labelled(Protocol[_Child_co]):
    def labels(self, *values: str) -> _Child_co: ...


class Family(dict[_Labels, _Child], Generic[_Labels, _Child]):
    """A metric's children by the values of its labels, each made when it is first asked for.

    One look-up in a dict, where prometheus_client takes a lock and builds a tuple.
    """

    def __init__(self, parent: _Labelled[_Child]) -> None:
        super().__init__()
        self._parent = parent

    def __missing__(self, labels: _Labels) -> _Child:
        values = (labels,) if isinstance(labels, str) else labels
        child = self[labels] = self._parent.labels(*values)
        return child


class Count:
    """How often something happened: a counter's child, counted by the event loop's thread only."""

    def __init__(self) -> None:
        self.value = 0

    def inc(self, by: int = 1) -> None:
        """Count one more, or `by`."""
        self.value += by


class Counts(Collector):
    """A counter: a `Count` for each combination of its labels.

    Like `Tallies` without the locks of prometheus_client's own.
    """

    def __init__(self, name: str, what: str, labels: Sequence[str]) -> None:
        self._name, self._what, self._label_names = name, what, labels
        self._counts: dict[tuple[str, ...], Count] = {}

    def labels(self, *values: str) -> Count:
        """The count of these values of the labels."""
        return self._counts.setdefault(values, Count())

    def collect(self) -> Iterable[Metric]:
        """What `/metrics` shows."""
        family = CounterMetricFamily(self._name, self._what, labels=self._label_names)
        for values, count in self._counts.items():
            family.add_metric(values, count.value)
        yield family


class Tally:
    """How often values fell between bounds: a histogram's child.

    prometheus_client's own takes two locks and a search from the lowest bound up, six times as
    long; here an observation is one of the event loop's thread, which needs no lock.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count `value`."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        """Bound and count up to it, cumulated as Prometheus wants them; and the sum."""
        bounds = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        return list(zip(bounds, accumulate(self._counts), strict=True)), self._sum


class Tallies(Collector):
    """A histogram: one `Tally` for each value of its label, or just one."""

    def __init__(self, name: str, what: str, bounds: Sequence[float], label: str | None) -> None:
        self._name, self._what, self._bounds = name, what, bounds
        self._label_names = [] if label is None else [label]
        self._tallies: dict[str, Tally] = {}

    def labels(self, *values: str) -> Tally:
        """The tally of this value of the label."""
        return self._tallies.setdefault("".join(values), Tally(self._bounds))

    def collect(self) -> Iterable[Metric]:
        """What `/metrics` shows."""
        family = HistogramMetricFamily(self._name, self._what, labels=self._label_names)
        for value, tally in self._tallies.items():
            buckets, total = tally.buckets()
            family.add_metric([value] if self._label_names else [], buckets, total)
        yield family


class Looked(Collector):
    """A gauge whose values are looked at when they are asked for."""

    def __init__(self, name: str, what: str, labels: Sequence[str]) -> None:
        self._name, self._what, self._label_names = name, what, labels
        self.look: Callable[[], Iterable[tuple[Sequence[str], float]]] = tuple

    def collect(self) -> Iterable[Metric]:
        """What `/metrics` shows."""
        family = GaugeMetricFamily(self._name, self._what, labels=self._label_names)
        for values, value in self.look():
            family.add_metric(values, value)
        yield family


class Metrics:
    """Everything that alir counts and measures; one of these for each gateway.

    Count and observe from any thread: `metrics.outcomes["main", "accepted"].inc()`.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.messages_accepted: Family[str, Count] = self._counts(
            "alir_messages_accepted", "Messages stored and answered for", "sender"
        )
        self.outcomes: Family[tuple[str, str], Count] = self._counts(
            "alir_outcomes", "Attempts by what they came to", "sender", "outcome"
        )
        self.receipts: Family[tuple[str, str], Count] = self._counts(
            "alir_receipts", "Receipts applied to attempts", "sender", "status"
        )
        self.queue_depth: Family[str, Gauge] = Family(
            self._gauge(
                "alir_queue_depth",
                "Messages that are due and wait for their turn, counted up to 100,000",
            )
        )
        self.queue_age_seconds: Family[str, Gauge] = Family(
            self._gauge("alir_queue_age_seconds", "How long the oldest due message has been due")
        )
        self.unknown: Family[str, Gauge] = Family(
            self._gauge("alir_unknown", "Messages of which nobody knows whether they were sent")
        )
        self.unknown_decisions: Family[tuple[str, str], Count] = self._counts(
            "alir_unknown_decisions",
            "What was decided about attempts that were unknown",
            "sender",
            "decision",
        )
        self._paused = Looked(
            "alir_paused", "What stands still of a sender, by what it is", ("sender", "scope")
        )
        self._registry.register(self._paused)
        self.request_seconds: Family[str, Tally] = self._tallies(
            "alir_request_seconds",
            "From a request's arrival to its answer, waits included",
            (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            label="route",
        )
        self.provider_call_seconds: Family[str, Tally] = self._tallies(
            "alir_provider_call_seconds",
            "From handing a message to the HTTP client to its outcome",
            (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 20),
            label="sender",
        )
        self.commit_seconds: Tally = self._tallies(
            "alir_commit_seconds",
            "How long a grouped commit took, until it was on disk",
            (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.5, 1, 5),
        )[""]
        self.commit_group_size: Tally = self._tallies(
            "alir_commit_group_size",
            "How many writes shared one commit",
            tuple(2**power for power in range(11)),
        )[""]

    def watch_pauses(self, look: Callable[[], Iterable[tuple[str, str, int]]]) -> None:
        """Show as `alir_paused` what `look` gives: sender, scope, and how many pauses."""
        self._paused.look = lambda: (((sender, scope), n) for sender, scope, n in look())

    def render(self) -> bytes:
        """All of it in Prometheus's text format; its media type is `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def _counts(self, name: str, what: str, *labels: str) -> Family[Any, Count]:
        counts = Counts(name, what, labels)
        self._registry.register(counts)
        return Family(counts)

    def _tallies(
        self, name: str, what: str, bounds: Sequence[float], *, label: str | None = None
    ) -> Family[str, Tally]:
        tallies = Tallies(name, what, bounds, label)
        self._registry.register(tallies)
        return Family(tallies)

    def _gauge(self, name: str, what: str) -> Gauge:
        return Gauge(name, what, ["sender"], registry=self._registry)
