"""The provider of the how-to page, put into a copy of alir as the page says, keeps the contract."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

import pytest
from tests.docs.blocks import ROOT, Block, blocks

from alir.testing.asked import Asked
from alir.testing.lines import CONTRACT
from alir.testing.messages import MessageKind

PAGE = ROOT / "docs" / "how-to" / "add-a-provider.md"
FOLDER = "src/alir/providers/example/"
CONTRACT_TEST = "tests/provider_contract/test_example.py"
REGISTRY = "src/alir/providers/registry.py"
DEFAULTS = "src/alir/default.toml"
OPERATORS_SETTINGS = "toml alir.toml with example"

#: Tests that go through every provider, or name what the registry and the default file hold.
ELSEWHERE = (
    "tests/unit/test_settings.py",
    "tests/unit/test_settings_mistakes.py",
    "tests/unit/cli/test_explain.py",
)

#: A provider and its contract take fewer lines than this.
LINES = 300
#: Longer than all of it takes on a slow machine.
SECONDS = 100

LOAD = """
from pathlib import Path
from alir.settings import load
settings = load(Path("alir.toml"), {"EXAMPLE_KEY": "k", "EXAMPLE_SECRET": "s"})
assert settings.senders["main"].base_url == "https://api.example.com", settings
"""
PUT_TOGETHER = """
import asyncio, httpx, json, sys
from pathlib import Path
from alir.compose import RunningGateway
from alir.settings import load
settings = load(Path("alir.toml"), {"EXAMPLE_KEY": "k", "EXAMPLE_SECRET": "s"})

async def ask():
    app = RunningGateway(settings, base_url="http://gateway.test").app
    asgi = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=asgi, base_url="http://gateway.test") as client:
        document = (await client.get("/openapi.json")).json()
        refused = (await client.post("/callbacks/example", content=b"{}")).json()
    return {"operation": document["paths"]["/callbacks/example"]["post"], "refused": refused}

print(json.dumps(asyncio.run(ask())))
"""


def block_of(path: str) -> Block:
    """The one that is that file, or a part of it."""
    [found] = [block for block in blocks(PAGE) if block.kind.partition(" ")[2] == path]
    return found


def files() -> dict[str, str]:
    """The files that are whole on the page, by their paths."""
    named = {block.kind.partition(" ")[2]: block.text for block in blocks(PAGE)}
    return {path: text for path, text in named.items() if path.startswith((FOLDER, CONTRACT_TEST))}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of alir in which the page was followed."""
    root = tmp_path_factory.mktemp("checkout")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src" / "alir", root / "src" / "alir", ignore=ignored)
    for path, text in files().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, "utf-8")
    (root / FOLDER / "__init__.py").write_text('"""Example\'s API."""\n', "utf-8")

    imports, _, entry = block_of(REGISTRY).text.partition("\n\n")
    registry = (ROOT / REGISTRY).read_text("utf-8")
    after, end = "from alir.providers.finding import", "    }\n)\n"
    assert registry.count(after) == registry.count(end) == 1
    registry = registry.replace(after, f"{imports}\n{after}").replace(end, f"{entry}{end}")
    (root / REGISTRY).write_text(registry, "utf-8")

    defaults = (ROOT / DEFAULTS).read_text("utf-8")
    (root / DEFAULTS).write_text(f"{defaults}\n{block_of(DEFAULTS).text}", "utf-8")
    [settings] = [block.text for block in blocks(PAGE) if block.kind == OPERATORS_SETTINGS]
    (root / "alir.toml").write_text(settings, "utf-8")
    return root


def test_tests_that_stand_elsewhere_need_no_edit_for_it(checkout: Path) -> None:
    options = ("-q", "--import-mode=importlib", "-p", "no:cacheprovider", f"--rootdir={ROOT}")
    ran = run(checkout, "-m", "pytest", *options, *(str(ROOT / path) for path in ELSEWHERE))

    assert ran.returncode == 0, ran.stdout + ran.stderr


@contextmanager
def answering(status: int) -> Iterator[str]:
    """The address of a server that answers everything with this status and an empty object."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def run(
    checkout: Path,
    *arguments: str,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.CompletedProcess[str]:
    """Run Python with the copy in the place of alir."""
    own = os.environ | {"PYTHONPATH": str(checkout / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env=own | dict(environ),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_the_provider_of_the_page_keeps_the_contract(checkout: Path) -> None:
    options = ("-q", "--import-mode=importlib", "-p", "no:cacheprovider", "--strict-markers")
    ran = run(checkout, "-m", "pytest", *options, "-W", "error", CONTRACT_TEST)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout


def test_the_settings_of_the_page_load(checkout: Path) -> None:
    ran = run(checkout, "-c", LOAD)

    assert ran.returncode == 0, ran.stderr


def test_what_is_said_of_providers_is_said_of_this_one_too(checkout: Path) -> None:
    ran = run(checkout, "-c", PUT_TOGETHER)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    explained = run(checkout, "-m", "alir", "explain", "7001")

    assert found["operation"]["operationId"] == "take_example_callback"
    assert found["operation"]["summary"] == "Callbacks: Example"
    assert found["refused"]["type"] == "/problems/bad_signature"
    assert "Hub" not in found["refused"]["detail"]
    assert (
        "7001  The recipient is not on WhatsApp\n  from            Example only" in explained.stdout
    )


@pytest.mark.parametrize(
    ("status", "key"), [(200, "ok "), (401, "wrong "), (500, "unknown ")], ids=str
)
def test_the_page_s_sender_can_be_checked(checkout: Path, status: int, key: str) -> None:
    with answering(status) as url:
        environ = {"EXAMPLE_KEY": "k", "EXAMPLE_SECRET": "s", "ALIR_EXAMPLE__BASE_URL": url}
        ran = run(checkout, "-m", "alir", "sender", "check", "main", environ=environ)

    assert ran.returncode == (status == 401), ran.stderr
    connection, said, pause = ran.stdout.splitlines()
    assert connection.startswith("ok ")
    assert said.startswith(key)
    assert "API key: " in said
    assert " pause: " in pause


@pytest.mark.parametrize(
    "tool", [("ruff", "check", "--no-cache"), ("ruff", "format", "--diff", "--no-cache"), ("mypy",)]
)
def test_what_the_page_shows_is_held_to_what_all_code_is(
    checkout: Path, tool: tuple[str, ...]
) -> None:
    shutil.copy(ROOT / "pyproject.toml", checkout)
    ran = run(checkout, "-m", *tool, FOLDER, CONTRACT_TEST, REGISTRY)

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_provider_and_its_contract_are_small() -> None:
    assert len(files()) == 7
    assert sum(len(text.splitlines()) for text in files().values()) < LINES


def test_the_page_lists_the_lines_of_the_contract() -> None:
    listed = PAGE.read_text("utf-8").partition("lines:\n\n")[2].partition("\n\n")[0]

    assert listed.splitlines() == [f"- {line.promise}" for line in CONTRACT]


def test_the_page_names_all_that_the_contract_asks_for() -> None:
    text = PAGE.read_text("utf-8")
    members = {name for name in vars(Asked) if not name.startswith("_")} - {"failed_code"}
    asked = members | set(Asked.__annotations__) | {kind.name for kind in MessageKind}

    assert {name for name in asked if f"`{name}`" not in text} == set()
