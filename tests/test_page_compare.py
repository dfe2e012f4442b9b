"""The other side of the page in a real browser: two models on one question, and a vote."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from pipelines.page.waiting import BUSY
from tests.browser_steps import DESK, PHONE, SLOW_MS, OpenPage, example, shoot
from tests.dialect_server import HELD, Stream, dialect_server, said
from tests.page_server import PageServer

pytestmark = pytest.mark.browser
THERE = (
    'A circle.\n[{"bbox_2d": [80, 70, 330, 410], "label": "circle"}, {"bbox_2d": [500, 500, 900, 900], "label": "?"}]'
)


@pytest.mark.parametrize(("size", "name"), [(DESK, "desk"), (PHONE, "phone")], ids=["desk", "phone"])
def test_two_models_side_by_side_and_a_vote(
    page_server: PageServer, open_page: OpenPage, size: tuple[int, int], name: str
) -> None:
    shapes = example("png")
    with dialect_server(Stream(said(THERE)), model="other") as server:
        page = open_page(page_server, size)
        page.fill("#composer textarea", shapes.question)
        turn_over = page.locator("#turn-over")
        turn_over.click()
        expect(turn_over).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#chat")).to_be_hidden()
        composer = page.locator("#compare-composer")
        expect(composer.locator("textarea")).to_have_value(shapes.question)
        page.set_input_files("#compare-composer input[type=file]", shapes.path)
        expect(composer.locator(".thumbnail-item")).to_have_count(1)
        for price in page.locator("#compare").get_by_label("Price of an hour").all():
            expect(price).to_have_value("")  # that of the settings: 0 would be none, and was sent
        other = page.get_by_label("Model B")
        other.fill(f"other@{server.base_url}")
        other.press("Enter")
        composer.locator(".submit-button").click()
        expect(page.locator("#compare-line")).to_contain_text("Their answers differ.", timeout=SLOW_MS)
        expect(composer.locator(".submit-button")).to_be_visible()
    sides = page.locator("#replies .gb-side")
    expect(sides).to_have_count(2)
    expect(sides.last).to_contain_text("other · a server at 127.0.0.1")
    expect(sides.last.locator("mark").first).to_be_visible()
    expect(page.locator("#replies .gb-dashed .gb-box")).to_have_count(2)
    page.get_by_role("button", name="B is better").click()
    expect(page.locator("#compare-line")).to_contain_text("Your vote is kept: B is better.")
    page.locator("#votes .label-wrap").click()
    expect(page.locator("#ballot")).to_contain_text("Won: other 1")
    with page.expect_download() as download:
        page.locator("#ballot").get_by_text("JSON").click()
    assert json.loads(download.value.path().read_text())[0]["choice"] == "second"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shoot(page, f"{name}-compare")
    turn_over.click()
    expect(page.locator("#chat")).to_be_visible()
    expect(page.locator("#composer textarea")).to_have_value(shapes.question)
    page.locator("#requests .label-wrap").first.click()
    expect(page.locator("#past th[scope=row]")).to_have_count(2)


def test_what_is_typed_on_the_other_side_survives_a_reload(page_server: PageServer, open_page: OpenPage) -> None:
    """It was gone, question, files and models, or the chat's draft had taken its place."""
    page = open_page(page_server)
    turn_over, composer = page.locator("#turn-over"), page.locator("#compare-composer")
    turn_over.click()
    expect(turn_over).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Model A").fill("mine")
    page.get_by_label("Model A").press("Enter")
    page.get_by_label("Model B").fill("other@http://127.0.0.1:9/v1")
    page.set_input_files("#compare-composer input[type=file]", example("png").path)
    expect(composer.locator(".thumbnail-item")).to_have_count(1)
    composer.locator("textarea").fill("What do both see?")
    page.wait_for_function("sessionStorage.getItem('glassbox-compared')?.includes('What do both see?')")
    page.reload()
    turn_over.click()
    expect(turn_over).to_have_attribute("aria-pressed", "true")
    expect(composer.locator("textarea")).to_have_value("What do both see?")
    expect(composer.locator(".thumbnail-item")).to_have_count(1)
    expect(page.get_by_label("Model A")).to_have_value("mine")
    expect(page.get_by_label("Model B")).to_have_value("other@http://127.0.0.1:9/v1")


def test_strangers_are_told_of_the_list_alone(open_page: OpenPage) -> None:
    """They were told to write the address of a server, which is refused to them."""
    named = "other@http://127.0.0.1:9/v1"
    server = PageServer("demo", options=["--public", "--compare", named])
    try:
        page = open_page(server, PHONE, language="de-DE")
        page.evaluate("glassbox.keepRivals(['mine', 'demo'])")
        page.reload()
        page.click("#turn-over")
        expect(page.locator("#compare-models")).to_contain_text("Zuerst das der Seite.")
        expect(page.locator("#compare-models")).not_to_contain_text("HOST:PORT")
        expect(page.get_by_label("Modell A")).to_have_value("demo")
        expect(page.get_by_label("Modell B")).to_have_value("demo")  # chosen before, and still offered
    finally:
        server.close()


def test_the_keys_do_on_the_other_side_what_they_do_in_the_chat(page_server: PageServer, open_page: OpenPage) -> None:
    with dialect_server(Stream([*said("A circle")[:1], HELD]), model="other") as server:
        page = open_page(page_server)
        page.click("#turn-over")
        expect(page.locator("#turn-over")).to_have_attribute("aria-pressed", "true")
        page.get_by_label("Model B").fill(f"other@{server.base_url}")
        page.get_by_label("Model B").press("Enter")
        page.locator("#turn-over").focus()
        page.keyboard.press("/")
        composer = page.locator("#compare-composer")
        expect(composer.locator("textarea")).to_be_focused()
        page.keyboard.type("What is it?")
        composer.locator(".submit-button").click()
        expect(page.locator("#replies .gb-side").last).to_contain_text("A circle", timeout=SLOW_MS)
        page.keyboard.press("Escape")
        expect(page.locator("#compare-line")).to_contain_text("Stopped by you.")
        expect(composer.locator(".submit-button")).to_be_visible()


def test_a_question_that_the_queue_has_no_room_for_stays(page_server: PageServer, open_page: OpenPage) -> None:
    """Send was Stop from then on, and both models were waited for."""
    page = open_page(page_server, may_complain=True)
    page.click("#turn-over")
    page.get_by_label("Model B").fill("other@http://127.0.0.1:9/v1")
    page.get_by_label("Model B").press("Enter")
    composer = page.locator("#compare-composer")
    page.fill("#compare-composer textarea", "What is it?")
    page.route("**/queue/join*", lambda route: route.fulfill(status=503, json={"detail": BUSY}))
    composer.locator(".submit-button").click()
    expect(page.locator(".toast-body").first).to_be_visible()
    expect(composer.locator(".submit-button")).to_be_visible()
    expect(composer.locator("textarea")).to_have_value("What is it?")
    expect(page.locator("#replies .gb-side")).to_have_count(0)


def test_the_other_side_speaks_german_and_leaves_what_a_model_said(
    page_server: PageServer, open_page: OpenPage
) -> None:
    page = open_page(page_server, language="de-DE")
    page.click("#turn-over")
    expect(page.locator("#turn-over")).to_have_attribute("aria-pressed", "true")  # what was typed before is here now
    expect(page.locator("#compare")).to_contain_text("Was Sie ein Modell auf einem Server fragen")
    page.get_by_label("Modell B").fill("demo")
    page.get_by_label("Modell B").press("Enter")
    page.fill("#compare-composer textarea", "Hello, what can you do?")
    page.click("#compare-composer .submit-button")
    expect(page.locator("#compare-line")).to_contain_text("Beide sagen dasselbe.", timeout=SLOW_MS)
    expect(page.locator("#replies .gb-verdict")).to_have_text("Beide Antworten sind gleich.")
    expect(page.locator("#replies .gb-asked")).to_have_text("Hello, what can you do?")
    page.get_by_role("button", name="Beide sind gut").click()
    expect(page.locator("#compare-line")).to_contain_text("Ihre Stimme ist gespeichert: Beide sind gut.")


def test_a_thought_that_was_opened_stays_open_while_the_other_model_answers(
    page_server: PageServer, open_page: OpenPage
) -> None:
    """It closed with the next words of either."""
    thinks = Stream([*said("Let me see.", name="reasoning_content")[:1], *said("A circle")])
    with dialect_server(thinks, Stream([*said("A circle")[:1], HELD]), model="other") as server:
        page = open_page(page_server)
        page.click("#turn-over")
        expect(page.locator("#turn-over")).to_have_attribute("aria-pressed", "true")
        for name in ("Model A", "Model B"):
            page.get_by_label(name).fill(f"other@{server.base_url}")
            page.get_by_label(name).press("Enter")
        page.fill("#compare-composer textarea", "What is it?")
        page.click("#compare-composer .submit-button")
        sides = page.locator("#replies .gb-side")
        expect(sides.last).to_contain_text("A circle", timeout=SLOW_MS)
        sides.first.get_by_text("Thought").click()
        page.keyboard.press("Escape")
        expect(page.locator("#compare-line")).to_contain_text("Stopped by you.")
        expect(page.locator("#compare-composer .submit-button")).to_be_visible()
        expect(sides.first.get_by_text("Let me see.")).to_be_visible()
