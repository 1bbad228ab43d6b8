"""A credential that does not show itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

#: How old the content of a secret's file may be when it is used, in seconds.
READ_AGAIN_AFTER = 5.0


class Secret:
    """A credential: only `reveal` gives it out, `repr` and `str` never do.

    One that stands in a file follows the file.
    """

    __slots__ = ("_elapsed", "_path", "_read_at", "_value")

    def __init__(
        self,
        value: str,
        *,
        path: Path | None = None,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._value = value
        self._path = path
        self._elapsed = elapsed
        self._read_at = elapsed()

    @classmethod
    def in_file(cls, path: Path, elapsed: Callable[[], float]) -> Self:
        """The secret that is the content of `path`, less one line break at its end.

        Args:
            elapsed: seconds since some fixed moment.

        Raises:
            OSError: the file cannot be read.
            ValueError: it holds no usable secret; the message says why.
        """
        return cls(_content(path), path=path, elapsed=elapsed)

    def reveal(self) -> str:
        """The credential itself, at most `READ_AGAIN_AFTER` behind its file."""
        if self._path is not None and self._elapsed() - self._read_at >= READ_AGAIN_AFTER:
            self._read_again(self._path)
        return self._value

    def expire(self) -> None:
        """Let the next `reveal` read the file, however fresh: somebody said the value is bad."""
        self._read_at = float("-inf")

    def __repr__(self) -> str:
        return "Secret(…)"

    def _read_again(self, path: Path) -> None:
        self._read_at = self._elapsed()
        try:
            self._value = _content(path)
        except (OSError, ValueError) as error:
            # A file that is being replaced must not stop the sending: the last value goes on, and
            # whoever it is shown to will say when it is no longer good.
            from alir.observe import get_logger

            get_logger("settings").warning(
                "secret_file_unreadable", path=str(path), error=type(error).__name__
            )


def usable(value: str) -> str:
    """`value`, if it can be a secret.

    Raises:
        ValueError: it is empty, or holds a control character; the message says so.
    """
    if not value:
        raise ValueError("is empty")
    if not value.isprintable():
        raise ValueError("holds a line break or another control character")
    return value


def _content(path: Path) -> str:
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("is not text in UTF-8") from error
    return usable(text.removesuffix("\n").removesuffix("\r"))
