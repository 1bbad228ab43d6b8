"""The pages for developers, as a browser and as other clients meet them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from tests.acceptance.gateway import RunningGateway
from tests.acceptance.talk import MESSAGES, assert_problem
from tests.browser_setup import chromium_path

from alir.api.problems import TYPES
from alir.messages.faults import FAULT_CODES, WARNING_CODES

PAGES = ["/docs", "/problems", "/problems/invalid_request"]
WIDTHS = [1280, 390]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path())
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails the test where anything on it does, or leaves the gateway."""
    complaints: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    hosts: set[str] = set()
    yield page
    page.close()
    assert complaints == []
    assert len(hosts) == 1


# In a browser


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_its_window_and_loads_nothing_from_elsewhere(
    gateway: RunningGateway, page: Page, path: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 844})

    page.goto(f"{gateway.url}{path}", wait_until="networkidle")

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.styleSheets[0].cssRules.length") > 20


def test_a_page_is_dark_where_its_reader_wants_that(gateway: RunningGateway, page: Page) -> None:
    shades = []
    for wanted in ("light", "dark"):
        page.emulate_media(color_scheme=wanted)
        page.goto(f"{gateway.url}/docs")
        shades.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    assert shades[0] == "rgb(255, 255, 255)"
    assert max(int(part) for part in shades[1][4:-1].split(",")) < 50


def commands(page: Page) -> list[str]:
    texts = page.locator("figure.code code").all_text_contents()
    return [text for text in texts if text.startswith("curl ")]


def test_every_command_works_when_it_is_pasted(gateway: RunningGateway, page: Page) -> None:
    page.goto(f"{gateway.url}/docs")
    answers = []
    for command in commands(page):
        status = "\n  --write-out '\\n%{http_code}' --output -"
        run = subprocess.run(
            ["bash", "-c", f"{command} {status.strip()}"],
            env={"ALIR_API_TOKEN": gateway.token, "PATH": "/usr/local/bin:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        answers.append(int(run.stdout.rpartition("\n")[2]))

    # A message of each kind, of which one goes to a user id, which this sender does not allow; the
    # list; a batch; a message that is not there, three times; many cancelled and retried; the
    # senders, one paused and resumed; Meta's callbacks; one of Route Mobile, which has no sender
    # here; health.
    assert answers == [
        *(200, 200, 202, 200, 200, 422),
        *(200, 200, 404, 404, 404, 200, 200),
        *(200, 200, 200),
        *(200, 200, 404, 200, 200, 200),
    ]


def test_an_api_token_typed_into_the_page_stands_in_its_commands_and_nowhere_else(
    gateway: RunningGateway, page: Page
) -> None:
    page.goto(f"{gateway.url}/docs")
    before = commands(page)[0]

    page.get_by_label("Your API token").fill("alir_it's")

    first = commands(page)[0]
    assert '"Authorization: Bearer $ALIR_API_TOKEN"' in before
    assert "'Authorization: Bearer alir_it'\\''s'" in first
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    assert page.evaluate("document.cookie") == ""
    assert "alir_it" not in page.url


def test_the_reference_shows_every_field_its_rules_and_every_problem(
    gateway: RunningGateway, page: Page
) -> None:
    page.goto(f"{gateway.url}/docs")

    sending = page.locator("#send_message")
    body = sending.locator(".field", has=page.get_by_text("flow.param.body", exact=True)).first
    assert "1 to 1024 characters" in body.inner_text()
    assert "required" in body.inner_text()
    for field in ("to", "flow.action", "flow.param.header.media", "expires_at", "priority"):
        assert sending.locator("code.name", has_text=field).count() > 0, field
    for code in TYPES:
        assert page.locator(f'a[href="/problems/{code}"]').count() > 0, code


# To any client


def test_the_root_leads_to_the_reference(gateway: RunningGateway) -> None:
    answer = httpx.get(gateway.url)

    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


@pytest.mark.parametrize("path", [*PAGES, "/docs/static/pages.css", "/openapi.json"])
def test_what_a_browser_loads_is_not_guessed_at(gateway: RunningGateway, path: str) -> None:
    headers = httpx.get(f"{gateway.url}{path}").headers

    assert headers["x-content-type-options"] == "nosniff"
    if path in PAGES:
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_a_host_that_is_none_does_not_get_into_a_page(gateway: RunningGateway) -> None:
    host = {"host": "a'<script>"}

    answer = httpx.get(f"{gateway.url}/docs", headers=host)

    assert answer.status_code == 200
    assert "a&#39;&lt;" not in answer.text
    assert "http://127.0.0.1:8080" in answer.text


@pytest.mark.parametrize("code", TYPES)
def test_each_problem_has_a_page_and_the_same_as_json(gateway: RunningGateway, code: str) -> None:
    url = f"{gateway.url}/problems/{code}"

    page = httpx.get(url)
    data = httpx.get(url, headers={"accept": "application/json"}).json()["data"]

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert TYPES[code].title in page.text
    assert data["code"] == code
    assert data["example"]["type"] == f"/problems/{code}"
    assert data["meaning"]
    assert data["remedy"]


def test_the_page_of_a_broken_rule_explains_every_code(gateway: RunningGateway) -> None:
    url = f"{gateway.url}/problems/invalid_request"

    page = httpx.get(url, headers={"accept": "text/html,application/xml;q=0.9,*/*;q=0.8"}).text
    data = httpx.get(url, headers={"accept": "application/problem+json"}).json()["data"]

    assert all(f'<div id="{code}">' in page for code in (*FAULT_CODES, *WARNING_CODES))
    assert (data["errors"], data["warnings"]) == (FAULT_CODES, WARNING_CODES)


def test_the_index_of_problems_lists_them_all(gateway: RunningGateway) -> None:
    accept = {"accept": "application/json"}
    listed = httpx.get(f"{gateway.url}/problems", headers=accept).json()["data"]

    assert [each["code"] for each in listed] == [*TYPES]


@pytest.mark.parametrize("path", ["/problems/nothing", "/docs/static/nothing.css", "/docs/"])
def test_a_page_that_is_not_there_is_a_problem(api: httpx.Client, path: str) -> None:
    assert_problem(api.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/callbacks/cloud", "GET, HEAD, POST"),
        ("TRACE", MESSAGES, "GET, HEAD, POST"),
        ("OPTIONS", MESSAGES, "GET, HEAD, POST"),
        ("DELETE", f"{MESSAGES}/x", "GET, HEAD"),
        ("GET", f"{MESSAGES}/x/retry", "POST"),
        ("HEAD", f"{MESSAGES}/x/retry", "POST"),
        ("POST", "/docs", "GET, HEAD"),
        ("POST", "/docs/static/pages.css", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
    ],
)
def test_a_method_that_a_path_does_not_take_is_told_which_it_takes(
    api: httpx.Client, method: str, path: str, allowed: str
) -> None:
    answer = api.request(method, path)

    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    if method != "HEAD":
        assert_problem(answer, 405, "method_not_allowed")


@pytest.mark.parametrize("path", ["/docs", "/healthz", "/openapi.json", "/problems", MESSAGES])
def test_head_is_get_without_a_body(api: httpx.Client, path: str) -> None:
    head, get = api.head(path), api.get(path)

    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == get.headers["content-type"]


def test_the_document_is_json_without_a_redirect(api: httpx.Client) -> None:
    answer = api.get("/openapi.json")

    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.text)["openapi"].startswith("3.1")
