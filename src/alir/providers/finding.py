"""What a provider was asked about a sender, and what that came to: for `alir sender check`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from alir.outbound.http import HttpClient, NeverConnected, NoAnswer
from alir.providers import lenient

#: Characters of a provider's own words that are shown.
_LONGEST_WORDS: Final = 300
_NOT_ASKED: Final = "not asked, because of what stands above"


class State(StrEnum):
    """How something is."""

    OK = "ok"
    WARNING = "warning"  #: messages go out, and it may become worse
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a sender.

    Attributes:
        about: the thing, in a word or three.
        said: how it is, without a full stop.
        advice: what to do, in sentences; none: nothing.
    """

    state: State
    about: str
    said: str
    advice: str | None = None

    def line(self) -> str:
        """All of it in one line, and nothing in it that would steer a terminal.

        >>> Finding(State.WRONG, "number id", "nobody knows it", "Look it\\nup.").line()
        'wrong    number id: nobody knows it. Look it up.'
        """
        advice = f". {self.advice}" if self.advice else ""
        text = f"{self.about}: {self.said}{advice}"
        plain = "".join(c if c.isprintable() else " " for c in text)
        return f"{self.state.value:<8} {' '.join(plain.split())}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a provider answered: a JSON object.

    Attributes:
        body: the same as it came.
    """

    status: int
    content: Mapping[str, object]
    body: bytes


async def ask(
    http: HttpClient,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    setting: str,
    body: bytes = b"",
) -> Reply | Finding:
    """The answer to a request, or what is wrong where none comes that could be read.

    Args:
        setting: the one that holds the address.
    """
    host = urlsplit(url).netloc
    try:
        answer = await http.request(method, url, headers=headers, body=body)
    except NeverConnected:
        said = f"no connection to {host} could be made"
        advice = f"Look at {setting}, at this machine's network and name service, and at firewalls."
        return Finding(State.WRONG, "connection", said, advice)
    except NoAnswer:
        said = f"{host} was reached, and gave no whole answer in time"
        advice = "Try again; if it stays so, look at what stands between this machine and it."
        return Finding(State.WRONG, "connection", said, advice)
    content = lenient.parse(answer.body)
    if not isinstance(content, dict):
        said = f"{host} answers with HTTP {answer.status}, and not in JSON"
        advice = f"Something else answers there: look at {setting}, and at proxies on the way."
        return Finding(State.WRONG, "connection", said, advice)
    return Reply(answer.status, content, answer.body)


def stranger(url: str, reply: Reply, *, setting: str) -> Finding:
    """That something answers in JSON, and not as the provider does."""
    said = f"{urlsplit(url).netloc} answers with HTTP {reply.status}, and not as the provider does"
    advice = f"Something else answers there: look at {setting}, and at proxies on the way."
    return Finding(State.WRONG, "connection", said, advice)


def reached(url: str) -> Finding:
    """That there was an answer."""
    return Finding(State.OK, "connection", f"{urlsplit(url).netloc} answers")


def not_asked(*abouts: str) -> list[Finding]:
    """What could not be found out, because something before it is wrong."""
    return [Finding(State.UNKNOWN, about, _NOT_ASKED) for about in abouts]


def of_quality(quality: object) -> Finding:
    """What WhatsApp says of a number's quality, in Meta's word or in Route Mobile's."""
    known = _QUALITIES.get(quality.upper()) if isinstance(quality, str) else None
    if known is None:
        return Finding(State.UNKNOWN, "quality", "WhatsApp has not rated the number yet")
    state, said = known
    advice = None if state is State.OK else "Write to fewer people, and only to who wants it."
    return Finding(state, "quality", said, advice)


_HIGH: Final = (State.OK, "high")
_MEDIUM: Final = (State.WARNING, "medium: people block or report the number")
_LOW: Final = (State.WARNING, "low: many people block or report the number")
_QUALITIES: Final[Mapping[str, tuple[State, str]]] = {
    "GREEN": _HIGH,
    "YELLOW": _MEDIUM,
    "RED": _LOW,
    "HIGH": _HIGH,
    "MEDIUM": _MEDIUM,
    "LOW": _LOW,
}


def words(said: object, *, secrets: Iterable[str]) -> str:
    """A provider's own words to show: cut, and without the secrets that some of them repeat.

    >>> words("Malformed access token EAAtoken", secrets=["EAAtoken"])
    'Malformed access token [secret]'
    """
    text = said if isinstance(said, str) else ""
    for secret in secrets:
        text = text.replace(secret, "[secret]") if secret else text
    return text[:_LONGEST_WORDS].rstrip(" .")
