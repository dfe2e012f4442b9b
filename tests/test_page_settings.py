"""The settings in a real browser: what they cost before a question is asked, presets, the system prompt, and Reset."""

from __future__ import annotations

import re
from dataclasses import asdict, astuple
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from pipelines.page.settings import KEPT
from pipelines.present.choices import FAST, Choices
from tests.browser_steps import (
    OpenPage,
    add,
    ask,
    choose_fast,
    example,
    open_settings,
    set_number,
    shoot,
    wait_for_end,
)
from tests.page_server import SAY, PageServer

pytestmark = pytest.mark.browser


def test_a_preset_fills_the_fields_and_a_field_makes_it_custom(page_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(page_server)
    open_settings(page)
    top_k = page.get_by_label("number input for Top-k")
    page.get_by_label("Thinking, general").check()
    expect(top_k).to_have_value("20")
    expect(page.get_by_label("number input for Temperature")).to_have_value("1")
    expect(page.get_by_label("number input for Presence penalty")).to_have_value("1.5")
    set_number(page, "Top-k", "40")
    expect(page.get_by_label("Custom")).to_be_checked()
    shoot(page, "desk-advanced")
    page.wait_for_function("JSON.stringify(localStorage).length > 40")
    page.reload()
    ask(page, "How many red shapes are there?", example("png").path)
    wait_for_end(page, "Done")
    open_settings(page)
    expect(top_k).to_have_value("40")
    expect(page.get_by_label("Custom")).to_be_checked()
    page.click("#reset")
    expect(page.get_by_label("As the model's card advises")).to_be_checked()
    expect(top_k).to_have_value("0")


@pytest.mark.parametrize(
    "kept",
    [
        None,
        [],
        "text",
        {},
        {"mode": 3, "unknown": 1, "look_closer": 1, "top_k": "5"},
        {"effort": "Some", "preset": "?"},
    ],
)
def test_what_a_browser_kept_of_another_page_is_passed_over(browser: Browser, kept: object) -> None:
    """A choice that is offered no more was an error with each question."""
    page = browser.new_page()
    assert page.evaluate(KEPT, kept) == list(astuple(Choices()))
    page.close()


def test_what_a_browser_kept_comes_back(browser: Browser) -> None:
    page, chosen = browser.new_page(), Choices(mode=FAST, system="Be brief.", top_p=0.5, look_closer=True)
    assert page.evaluate(KEPT, asdict(chosen)) == list(astuple(chosen))
    page.close()


def test_what_is_pressed_while_the_page_loads_stays(scripted_server: PageServer, open_page: OpenPage) -> None:
    """The answer of the server about what the browser had kept set it back."""
    page = open_page(scripted_server)
    held: list[Route] = []
    page.route("**/run/predict*", lambda route: held.append(route))
    page.reload()
    page.click("#settings .toggle-button")
    page.get_by_label("Fast").check()
    for route in held:
        route.continue_()
    page.unroute("**/run/predict*")
    expect(page.locator("#outlook")).not_to_be_empty()
    expect(page.get_by_label("Fast")).to_be_checked()


def test_a_number_that_is_being_typed_is_not_complained_of(scripted_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(scripted_server)
    open_settings(page)
    set_number(page, "New tokens at most", "512")
    expect(page.locator("#outlook")).to_contain_text("at most 512 new")
    set_number(page, "New tokens at most", "1")
    expect(page.locator("#outlook")).to_contain_text("at most 64 new")
    seed = page.get_by_label("Seed")
    for typed, used in (("-3", "0"), ("7", "7"), ("", "0")):
        seed.fill(typed)
        seed.press("Tab")
        expect(seed).to_have_value(used)
    expect(page.locator(".toast-body")).to_have_count(0)


def test_every_choice_tells_its_cost_before_the_question_is_asked(page_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(page_server)
    expect(page.locator("#outlook")).to_contain_text("at most 2,048 new")
    ask(page, "How many red shapes are there?", example("png").path)
    wait_for_end(page, "Done")
    add(page, example("png").path)
    add(page, example("mp4").path)
    told = re.compile(r"\d+ visual tokens · .* s to read · \d+ tokens of thought \(.* s\) · \d+ of answer \(.* s\)")
    expect(page.locator("#outlook")).to_contain_text(told)
    open_settings(page)
    costs = page.locator("#choice-costs")
    for name in ("Mode", "Thought at most", "Picture detail", "Clip detail"):
        expect(costs.locator("dt", has_text=name)).to_be_visible()
    expect(costs.locator("b", has_text="Think: about")).to_be_visible()
    expect(costs).to_contain_text(re.compile(r"Seconds as in the last"))
    page.get_by_label("Fast").check()
    expect(costs.locator("b", has_text="Fast: about")).to_be_visible()
    expect(costs.locator("dt", has_text="Thought")).to_have_count(0)
    shoot(page, "desk-outlook")


def test_a_system_prompt_comes_before_the_question(scripted_server: PageServer, open_page: OpenPage) -> None:
    page = open_page(scripted_server)
    choose_fast(page)
    page.click("#settings .toggle-button")
    page.fill("#system textarea", f"{SAY}I was told so beforehand.")
    page.click("#settings .toggle-button")
    ask(page, "Hello")
    expect(page.locator("#chat .bot").last).to_contain_text("I was told so beforehand.")
    wait_for_end(page, "Done")


def test_a_system_prompt_that_is_too_long_is_told_and_the_question_stays(
    scripted_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    page = open_page(scripted_server)
    page.click("#settings .toggle-button")
    page.fill("#system textarea", "long " * 2_000)
    page.click("#settings .toggle-button")
    expect(page.locator("#outlook")).to_contain_text("longer than 8,000 characters: shorten it")
    ask(page, "Is it a square?", picture)
    wait_for_end(page, "The system prompt is longer than 8,000 characters: shorten it.")
    expect(page.locator("#composer textarea")).to_have_value("Is it a square?")
    expect(page.locator("#composer .thumbnail-item")).to_have_count(1)
