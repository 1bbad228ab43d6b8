"""A Chromium for the browser's tests: `python -m tests.browser_setup` finds or installs one.

Tests ask `chromium_path()` and give it to Playwright as `executable_path`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

VARIABLE = "ALIR_TEST_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_START_SECONDS = 30  # a stub that wants to install something first hangs or fails

_ADVICE = f"""\
The browser's tests need a Chromium. Any one of these will do:
  - install your system's package of it (Debian, as root: apt-get install chromium)
  - let {VARIABLE} name the executable of a Chromium or Chrome
  - run: playwright install --with-deps chromium"""


class NoChromium(Exception):
    """None is here, and none could be installed."""


def chromium_path() -> str | None:
    """The executable to start; `None` is Playwright's own.

    Raises:
        NoChromium: `ALIR_TEST_CHROMIUM` names something that does not start.
    """
    if chosen := os.environ.get(VARIABLE):
        if not _starts(chosen):
            raise NoChromium(f"{VARIABLE}={chosen} does not start.\n{_ADVICE}")
        return chosen
    found = (path for name in _NAMES if (path := shutil.which(name)))
    return next(filter(_starts, found), None)


def main() -> None:
    """Leave a Chromium that starts, or exit with 1 and say what to install."""
    try:
        path = chromium_path()
        if path is None and not _starts(_playwrights_own()):
            _install()
    except NoChromium as error:
        sys.exit(str(error))
    print(f"Chromium for the tests: {path or _playwrights_own()}")


def _install() -> None:
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    done = subprocess.run(command, check=False)
    if done.returncode != 0 or not _starts(_playwrights_own()):
        raise NoChromium(_ADVICE)


def _playwrights_own() -> str:
    from playwright.sync_api import sync_playwright  # late: the others are found without it

    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def _starts(path: str) -> bool:
    """Whether it is there and runs: some systems ship a stub that only asks to be replaced."""
    if not Path(path).is_file():
        return False
    try:
        done = subprocess.run(
            [path, "--version"], check=False, capture_output=True, timeout=_START_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


if __name__ == "__main__":
    main()
