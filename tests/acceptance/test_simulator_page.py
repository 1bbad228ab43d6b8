"""The page `/simulator` in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright
from tests.acceptance.gateway import RunningGateway
from tests.acceptance.talk import (
    SILENT,
    becomes,
    flow_message,
    message,
    sent,
    simulator,
    somebody,
)
from tests.browser_setup import chromium_path

SCRIPT = "<script>document.title = 'run'</script><img src=x onerror=\"document.title='run'\">"
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium_path(), args=["--no-sandbox"]
        )
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser, gateway: RunningGateway) -> Iterator[Page]:
    """A page that may load nothing from another host, and may break nowhere."""
    context = browser.new_context()
    opened = context.new_page()
    elsewhere: list[str] = []
    broken: list[str] = []

    def watch(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme != "data" and parts.netloc != urlsplit(gateway.url).netloc:
            elsewhere.append(request.url)

    opened.on("request", watch)
    opened.on("pageerror", lambda error: broken.append(str(error)))
    yield opened
    context.close()
    assert elsewhere == []
    assert broken == []


def test_a_message_appears_with_its_ticks_without_a_reload(
    gateway: RunningGateway, api: httpx.Client, page: Page
) -> None:
    number = somebody()
    page.goto(f"{gateway.url}/simulator?phone={number.removeprefix('+')}")
    expect(page.get_by_text("Nothing has come to this phone yet")).to_be_visible()
    page.evaluate("window.notReloaded = true")

    with simulator(api, delays_ms={"sent": 600, "delivered": 1200, "read": 1800}):
        found = sent(api, message(number))

        expect(page.locator(".bubble .body")).to_have_text("TEXT_BODY")
        for state in ("taken", "sent", "delivered", "read"):
            expect(page.locator(f".bubble .tick.{state}")).to_be_visible()
        becomes(api, found, "read")

    expect(page.locator(".bubble .heading")).to_have_text("TEXT_HEADER")
    expect(page.locator(".bubble .footer")).to_have_text("TEXT_FOOTER")
    expect(page.get_by_text("FLOW_BUTTON_TEXT")).to_be_visible()
    expect(page.locator("#rows")).to_contain_text(number)
    assert page.evaluate("window.notReloaded") is True


def test_the_flow_behind_the_button_is_shown(
    gateway: RunningGateway, api: httpx.Client, page: Page
) -> None:
    number = somebody()
    body = flow_message(data={"branch": "north"}) | {"to": number}
    sent(api, body)

    page.goto(f"{gateway.url}/simulator?phone={number.removeprefix('+')}")
    page.get_by_text("FLOW_BUTTON_TEXT").click()

    facts = page.locator(".bubble dl")
    for fact in ("FLOW_ID", "FLOW_SCREEN_NAME", "navigate", "north", "published"):
        expect(facts).to_contain_text(fact)


def test_what_the_last_button_shows_is_scrolled_into_view(
    gateway: RunningGateway, api: httpx.Client, page: Page
) -> None:
    number = somebody()
    for _ in range(4):
        becomes(api, sent(api, flow_message(data={"branch": "north"}) | {"to": number}), "read")
    page.goto(f"{gateway.url}/simulator?phone={number.removeprefix('+')}")
    last = page.locator(".bubble").last

    last.locator("summary").click()

    expect(last.get_by_text("Receipts")).to_be_in_viewport()


def test_a_text_from_right_to_left_stands_on_the_right(
    gateway: RunningGateway, api: httpx.Client, page: Page
) -> None:
    number = somebody()
    sent(api, flow_message(param={"body": "שלום"}) | {"to": number})

    page.goto(f"{gateway.url}/simulator?phone={number.removeprefix('+')}")

    expect(page.locator(".bubble .body")).to_have_css("direction", "rtl")


def test_the_page_says_when_nobody_answers_it(gateway: RunningGateway, page: Page) -> None:
    page.goto(f"{gateway.url}/simulator")
    away = page.get_by_text("Cannot be reached; trying again")
    expect(page.locator("#status")).to_be_visible()
    expect(away).to_be_hidden()

    page.route("**/simulator/live", lambda route: route.abort())
    page.reload()

    expect(away).to_be_visible()
    expect(page.locator("#status")).to_be_hidden()


def test_a_failure_is_shown_with_its_code(
    gateway: RunningGateway, api: httpx.Client, page: Page
) -> None:
    becomes(api, sent(api, message("+1 5550 131026")), "failed")

    page.goto(f"{gateway.url}/simulator?phone=15550131026")

    expect(page.locator(".failure").last).to_contain_text("131026")
    expect(page.locator(".tick.failed").last).to_be_visible()


def test_what_was_refused_appears_without_a_reload(
    gateway: RunningGateway, api: httpx.Client, page: Page
) -> None:
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    page.goto(f"{gateway.url}/simulator")
    page.evaluate("window.notReloaded = true")

    api.post("/api/whatsapp/v1/messages", json=message("+1 5550 131009"))

    last = page.locator("#refused summary")
    expect(last).to_have_text(re.compile(r"Refused:\s+131009 → \+15550131009 · \d+ s ago"))
    last.click()
    expect(page.locator("#refused li").first).to_contain_text("Parameter value is not valid")
    assert page.evaluate("window.notReloaded") is True
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_page_that_is_opened_stands_still_and_only_what_is_new_moves(
    gateway: RunningGateway, api: httpx.Client, page: Page
) -> None:
    number = somebody()
    becomes(api, sent(api, message(number)), "read")
    page.goto(f"{gateway.url}/simulator?phone={number.removeprefix('+')}")
    page.evaluate(
        """window.moved = [];
        document.addEventListener("animationstart", (event) => moved.push(event.target.id))"""
    )
    first = page.locator(".message")
    expect(first).to_have_css("animation-name", "none")

    becomes(api, sent(api, message(number)), "read")

    expect(page.locator(".message")).to_have_count(2)
    page.wait_for_function("moved.length > 0")
    assert page.evaluate("moved") == [page.locator(".message").last.get_attribute("id")]


def test_on_a_phone_the_header_has_the_other_pages_and_a_word_for_callbacks(
    gateway: RunningGateway, page: Page
) -> None:
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    page.goto(f"{gateway.url}/simulator")

    expect(page.locator("#status")).to_contain_text("Callbacks")
    expect(page.locator("#status .label")).to_be_in_viewport()
    for name in ("API", "Problems", "OpenAPI"):
        expect(page.locator(".top").get_by_role("link", name=name, exact=True)).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_markup_in_a_message_is_text(
    gateway: RunningGateway, api: httpx.Client, page: Page
) -> None:
    number = somebody()
    body = flow_message(
        id=SCRIPT[:64],
        token=SCRIPT,
        text="<b>Book</b>",
        screen=SCRIPT,
        data={SCRIPT: SCRIPT},
        param={"header": {"text": "<i>Hi</i>"}, "body": SCRIPT, "footer": "<u>F</u>"},
    )
    sent(api, body | {"to": number})

    page.goto(f"{gateway.url}/simulator?phone={number.removeprefix('+')}")

    expect(page.locator(".bubble .body")).to_have_text(SCRIPT)
    expect(page.locator(".bubble .heading")).to_have_text("<i>Hi</i>")
    page.get_by_text("<b>Book</b>").click()
    expect(page.locator(".bubble dl")).to_contain_text(SCRIPT)
    expect(page.locator("#rows")).to_contain_text("<script>")
    assert "alir simulator" in page.title()
    assert page.locator(".bubble script, .bubble img, #rows script").count() == 0


def test_a_link_to_an_image_is_not_loaded(
    gateway: RunningGateway, api: httpx.Client, page: Page
) -> None:
    number = somebody()
    param = {"header": {"media": "https://pictures.example/garden.jpg"}, "body": "Look"}
    sent(api, flow_message(param=param) | {"to": number})

    page.goto(f"{gateway.url}/simulator?phone={number.removeprefix('+')}")

    expect(page.locator(".bubble .media")).to_contain_text("https://pictures.example/garden.jpg")


def test_the_person_can_write_back(gateway: RunningGateway, api: httpx.Client, page: Page) -> None:
    number = somebody()
    sent(api, message(number))
    page.goto(f"{gateway.url}/simulator?phone={number.removeprefix('+')}")

    page.get_by_label("Write as the person at this phone").fill("Yes, <b>Tuesday</b>")
    page.get_by_role("button", name="Send").click()

    expect(page.locator(".message.mine .body")).to_have_text("Yes, <b>Tuesday</b>")


@pytest.mark.parametrize("path", ["", "?phone=15551230001", "?phone={number}", "?find=1555"])
def test_nothing_scrolls_sideways_on_a_phone(
    gateway: RunningGateway, api: httpx.Client, page: Page, path: str
) -> None:
    number = somebody()
    param = {
        "header": {"media": "https://pictures.example/" + "x" * 500},
        "body": "w" * 1024,
        "footer": "f" * 60,
    }
    body = flow_message(id="1" * 64, token="t" * 1024, screen="S" * 256, text="B" * 30, param=param)
    sent(api, body | {"to": number})
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})

    page.goto(gateway.url + "/simulator" + path.format(number=number.removeprefix("+")))
    for button in page.locator("summary:visible").all():
        button.click()

    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]


def test_what_route_mobile_took_stands_on_the_same_phone(
    gateway: RunningGateway, api: httpx.Client, page: Page
) -> None:
    number = somebody()
    becomes(api, sent(api, message(number)), "read")
    base = f"{gateway.url}/simulator/routemobile"
    login = {"username": "simulator", "password": "simulator"}
    token = httpx.post(f"{base}/auth/v1/login/", json=login).json()["JWTAUTH"]
    body = {
        "phone": number,
        "type": "flow",
        "header": {"text": "From elsewhere"},
        "body": "b" * 1024,
        "flow": {"flow_id": "1" * 64, "flow_cta": "Open form", "flow_token": "t" * 1024},
    }
    answer = httpx.post(f"{base}/wba/v1/messages", headers={"authorization": token}, json=body)
    assert answer.status_code == 202
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})

    page.goto(f"{gateway.url}/simulator?phone={number.removeprefix('+')}")
    page.get_by_text("Open form").click()

    expect(page.locator(".bubble .heading")).to_have_text(["TEXT_HEADER", "From elsewhere"])
    expect(page.locator("#sender")).to_have_text("chat with sender simulator at Route Mobile")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_it_shows_many_phones_and_finds_one(
    gateway: RunningGateway, api: httpx.Client, page: Page
) -> None:
    numbers = [somebody() for _ in range(20)]
    with simulator(api, delays_ms=SILENT):
        for number in numbers:
            sent(api, message(number))
    page.goto(f"{gateway.url}/simulator?phone={numbers[0].removeprefix('+')}")

    page.get_by_placeholder("Find a number").fill(numbers[7])

    expect(page.locator("#rows li")).to_have_count(1)
    expect(page.locator("#rows")).to_contain_text(numbers[7])


def test_the_first_page_tells_how_to_begin(
    tmp_path_factory: pytest.TempPathFactory, browser: Browser
) -> None:
    with RunningGateway(tmp_path_factory.mktemp("fresh")) as fresh:
        page = browser.new_page()
        page.goto(f"{fresh.url}/simulator")

        expect(page.get_by_role("heading")).to_have_text("No message yet")
        expect(page.locator("pre")).to_contain_text(f"curl {fresh.url}/api/whatsapp/v1/messages")
        page.close()
