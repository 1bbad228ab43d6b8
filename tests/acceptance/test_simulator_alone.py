"""`alir simulator` in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
from tests.acceptance.gateway import RunningSimulator

URL = "http://127.0.0.1:9/callbacks/routemobile/secret"


def test_it_takes_a_callback_url_for_route_mobile(tmp_path: Path) -> None:
    with RunningSimulator(tmp_path, options=["--routemobile-callback-url", URL]) as alone:
        base = f"{alone.url}/routemobile"
        login = {"username": "jakarta", "password": "simulator"}
        token = httpx.post(f"{base}/auth/v1/login/", json=login).json()["JWTAUTH"]
        answer = httpx.get(
            f"{base}/wba/management/v1/wbp-account-details", headers={"authorization": token}
        )

    assert answer.json()["callback_url"] == URL


def test_a_callback_url_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "alir", "simulator", "--routemobile-callback-url", "nowhere"]
    ended = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
    )

    assert ended.returncode != 0
    assert "nowhere" in ended.stderr
