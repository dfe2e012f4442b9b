"""Evidence in a real browser: marks, words and times that belong together, where the scene's own truth has them."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from pipelines.demo.clips import draw_clip
from pipelines.demo.examples import CLIP_FPS, CLIP_FRAMES, CLIP_SIZE, write_clip
from pipelines.demo.export import MAX_FRAMES, MIN_FRAMES, SAMPLE_FPS
from pipelines.demo.scenes import draw_named
from pipelines.demo.scoring import iou
from pipelines.fusion import sample_frames
from tests.browser_steps import DESK, PHONE, SETTLED, TRACK, OpenPage, ask, choose_fast, say, shoot, wait_for_end
from tests.media_makers import number_in
from tests.media_makers import write_clip as write_coded_clip
from tests.page_server import SAY, PageServer

pytestmark = pytest.mark.browser

NAMES = [("circle", "red"), ("square", "blue"), ("star", "green")]
ALL_BOXES = "Locate all objects. Report bbox coordinates in JSON format."


def drawn_boxes(page: Page) -> list[list[float]]:
    """The boxes on the picture as the browser laid them out, in 0 to 1000 of the picture that it shows."""
    return list(
        page.evaluate(
            """() => {
              const picture = document.querySelector("#evidence .gb-canvas img").getBoundingClientRect();
              return [...document.querySelectorAll("#evidence .gb-canvas .gb-box")].map((box) => {
                const {x, y, width, height} = box.getBoundingClientRect();
                const [left, top] = [(x - picture.x) / picture.width, (y - picture.y) / picture.height];
                const corners = [left, top, left + width / picture.width, top + height / picture.height];
                return corners.map((value) => value * 1000);
              });
            }"""
        )
    )


def lit(page: Page) -> set[str]:
    """The classes and targets of what is lit."""
    found: Sequence[str] = page.evaluate(
        "[...document.querySelectorAll('.gb-lit')].map(one => one.getAttribute('href') ?? one.classList[0])"
    )
    return set(found)


def expect_seek(page: Page, at: Locator, time_s: float) -> None:
    """A click there brings the player to that time, to less than half a frame of it."""
    at.click()
    page.wait_for_function(
        "time => { const player = document.querySelector('#evidence video');"
        f" return !player.seeking && Math.abs(player.currentTime - time) < {0.5 / CLIP_FPS}; }}",
        arg=time_s,
    )


def test_marks_lie_where_the_scene_has_its_things(page_server: PageServer, open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page(page_server)
    overlaps = []
    for seed in (3, 4, 5):
        scene = draw_named(random.Random(seed), NAMES, (320, 448))
        Image.fromarray(scene.rgb).save(tmp_path / f"{seed}.png")
        ask(page, ALL_BOXES, tmp_path / f"{seed}.png")
        expect(page.locator("#evidence h2").first).to_contain_text(f"{seed}.png", timeout=120_000)
        wait_for_end(page, "Done")
        boxes = drawn_boxes(page)
        truth = [[1000 * side for side in thing.box] for thing in scene.things]
        overlaps += [max((iou(box, true) for box in boxes), default=0.0) for true in truth]
        page.click("#new-chat")
        expect(page.locator("#evidence .gb-empty")).to_be_visible()
    assert sum(overlaps) / len(overlaps) > 0.6


def test_marks_lie_where_a_clip_has_its_things_at_a_time(
    page_server: PageServer, open_page: OpenPage, tmp_path: Path
) -> None:
    page, overlaps = open_page(page_server), []
    for seed in (5, 6, 7, 8):
        moving = draw_clip(random.Random(seed), CLIP_SIZE, tuple(frame / CLIP_FPS for frame in range(CLIP_FRAMES)))
        write_clip(tmp_path / f"{seed}.mp4", moving.rgb)
        seen = moving.sampled(sample_frames(CLIP_FRAMES, CLIP_FPS, SAMPLE_FPS, MIN_FRAMES, MAX_FRAMES))
        actor, time = seen.actors[0], seen.patch_times[1]
        thing = actor.at(1)
        assert thing is not None
        question = f"Where is the {actor.name} at {time} seconds? Report bbox coordinates in JSON format."
        ask(page, question, tmp_path / f"{seed}.mp4")
        expect(page.locator("#evidence h2").first).to_contain_text(f"{seed}.mp4", timeout=120_000)
        wait_for_end(page, "Done")
        marked = page.locator("#evidence .gb-frame-marked")
        assert [abs(float(when or 0) - float(time)) < 0.4 for when in attributes(marked, "data-time")] == [True]
        truth = [1000 * side for side in thing.box]
        overlaps.append(max((iou(tuple(box), tuple(truth)) for box in drawn_boxes(page)), default=0.0))
        page.click("#new-chat")
        expect(page.locator("#evidence .gb-empty")).to_be_visible()
    assert sum(overlaps) / len(overlaps) > 0.4


def attributes(found: Locator, name: str) -> list[str | None]:
    return [one.get_attribute(name) for one in found.all()]


def test_a_turned_photograph_is_marked_upright(
    scripted_server: PageServer, open_page: OpenPage, tmp_path: Path
) -> None:
    """The file holds a lying picture and says that it stands; the mark lies on its red corner."""
    lying = Image.new("RGB", (400, 200), "white")
    lying.paste("red", (0, 150, 50, 200))
    exif = Image.Exif()
    exif[0x0112] = 6
    lying.save(tmp_path / "turned.jpg", exif=exif.tobytes(), quality=95)
    page = open_page(scripted_server)
    choose_fast(page)
    say(page, '[{"bbox_2d": [0, 0, 250, 125], "label": "red corner"}]', tmp_path / "turned.jpg")
    expect(page.locator("#evidence h2")).to_contain_text("200 × 400")
    colour = page.evaluate(
        """() => {
          const picture = document.querySelector("#evidence .gb-canvas img");
          const paper = new OffscreenCanvas(picture.naturalWidth, picture.naturalHeight).getContext("2d");
          paper.drawImage(picture, 0, 0);
          return [25, 175].map((x) => [...paper.getImageData(x, 25, 1, 1).data.slice(0, 3)]);
        }"""
    )
    assert colour[0][0] > 200 > 60 > colour[0][1]
    assert min(colour[1]) > 240
    assert drawn_boxes(page)[0] == pytest.approx([0, 0, 250, 125], abs=8)


def test_a_mark_its_chip_and_its_words_light_together_and_a_click_zooms(
    scripted_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    page = open_page(scripted_server)
    choose_fast(page)
    say(
        page,
        'The blue square is small.\n\n[{"bbox_2d": [312, 250, 572, 562], "label": "blue square"}, '
        '{"point_2d": [900, 900], "label": "corner"}]',
        picture,
    )
    words = page.locator("#chat a", has_text="blue square").first
    everything = {"gb-chip", "gb-mark", "#gb-marks-1"}
    for place in (words, page.locator(".gb-chip").first, page.locator(".gb-canvas .gb-mark").first.locator(".gb-box")):
        page.locator("#about").hover()
        place.hover()
        page.wait_for_function("document.querySelector('.gb-lit')")
        assert lit(page) == everything
    page.locator(".gb-chip .gb-show").last.focus()
    assert lit(page) == {"gb-chip", "gb-mark", "#gb-marks-2"}
    shoot(page, "desk-lit")
    words.click()
    zoomed = page.locator("#evidence .gb-zoomed")
    expect(zoomed).to_have_count(1)
    shown, frame = zoomed.locator(".gb-box").first.bounding_box(), zoomed.bounding_box()
    assert shown is not None
    assert frame is not None
    assert shown["height"] > 0.55 * frame["height"]
    shoot(page, "desk-zoomed")
    page.locator(".gb-chip .gb-show").first.press("Escape")
    expect(zoomed).to_have_count(0)
    expect(page.locator("#chat table")).to_contain_text("312, 250, 572, 562")
    raw = page.locator("#chat details code")
    expect(raw).to_be_hidden()
    page.locator("#chat summary").click()
    expect(raw).to_contain_text('"bbox_2d": [312')


def test_times_seek_the_player(scripted_server: PageServer, open_page: OpenPage, drawn_clip: Path) -> None:
    page = open_page(scripted_server, is_dark=True)
    choose_fast(page)
    say(page, f"It turns at 0:02 and runs from 1.5 s to 3 s.\n\n{TRACK}", drawn_clip)
    answer, pane = page.locator("#chat .bot").last, page.locator("#evidence")
    page.wait_for_function("document.querySelector('#evidence video').readyState > 0")
    expect_seek(page, answer.get_by_text("0:02", exact=True), 2.0)
    expect_seek(page, answer.get_by_text("1.5 s to 3 s"), 1.5)
    expect_seek(
        page,
        pane.locator(".gb-strip .gb-frame").last,
        float(pane.locator(".gb-frame").last.get_attribute("data-time") or 0),
    )
    expect_seek(page, pane.locator(".gb-chip .gb-show").last, 3.0)
    expect_seek(page, pane.locator(".gb-timeline circle").first, 1.0)
    expect(pane.locator(".gb-now")).to_have_count(1)
    captions = pane.locator(".gb-frame-marked figcaption").all_inner_texts()
    assert len(captions) == 2
    assert [abs(float(caption.split()[0]) - time_s) < 0.5 for caption, time_s in zip(captions, (1, 3), strict=True)]
    expect(pane.locator(".gb-track")).to_have_count(1)
    shoot(page, "desk-track-dark")


@pytest.mark.parametrize("sound", [False, True], ids=["silent", "sound-first"])
def test_a_clip_that_begins_late_is_sought_from_its_first_frame(
    scripted_server: PageServer, open_page: OpenPage, tmp_path: Path, sound: bool
) -> None:
    """The player has the clock of the file, as where a clip was cut out of a longer one, with its sound or without."""
    late = write_coded_clip(
        tmp_path / "late.mp4", frames=50, times_ms=[500 + 40 * n for n in range(50)], size=(320, 240), sound=sound
    )
    page = open_page(scripted_server)
    choose_fast(page)
    say(page, "It turns at 0:01.", late)
    page.locator("#chat").get_by_text("0:01", exact=True).click()
    page.wait_for_function(
        "() => { const player = document.querySelector('#evidence video');"
        " return player.paused && player.readyState > 1 && !player.seeking && player.currentTime > 0.9; }"
    )
    seen = page.evaluate(
        """() => {
          const player = document.querySelector("#evidence video");
          const canvas = new OffscreenCanvas(player.videoWidth, player.videoHeight);
          const context = canvas.getContext("2d");
          context.drawImage(player, 0, 0);
          return [...context.getImageData(0, 0, canvas.width, canvas.height).data];
        }"""
    )
    shown = np.array(seen, np.uint8).reshape(240, 320, 4)[:, :, :3]
    assert number_in(shown) == 25


def test_an_event_is_a_span_that_seeks(scripted_server: PageServer, open_page: OpenPage, drawn_clip: Path) -> None:
    page = open_page(scripted_server)
    choose_fast(page)
    say(page, '{"00:01.00 - 00:02.50": "it turns"}', drawn_clip)
    page.wait_for_function("document.querySelector('#evidence video').readyState > 0")
    expect_seek(page, page.locator("#evidence .gb-events button"), 1.0)
    expect_seek(page, page.locator("#chat a", has_text="1 s – 2.5 s"), 1.0)
    expect(page.locator("#evidence .gb-span")).to_have_count(1)


def test_marks_go_to_their_picture_and_the_tabs_follow(
    scripted_server: PageServer, open_page: OpenPage, picture: Path, drawn_clip: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.png"
    Image.new("RGB", (300, 200), "white").save(other)
    page = open_page(scripted_server)
    choose_fast(page)
    answer = (
        'Picture 2:\n[{"bbox_2d": [1, 2, 500, 600], "label": "wall"}]\n\n'
        '{"Video 1": [{"time": 1, "point_2d": [500, 500], "label": "ball"}]}'
    )
    say(page, answer, picture, drawn_clip, other)
    chosen = page.get_by_role("tab", selected=True)
    expect(page.get_by_role("tab")).to_have_text(["Picture 1", "Clip 1", "Picture 2"])
    expect(chosen).to_have_text("Clip 1")
    page.locator("#chat a", has_text="wall").click()
    expect(chosen).to_have_text("Picture 2")
    expect(page.locator("#evidence h2:visible")).to_contain_text("other.png")
    expect(page.locator("#evidence .gb-box:visible")).to_have_count(1)
    shoot(page, "desk-tabs")
    chosen.press("ArrowRight")
    expect(chosen).to_have_text("Picture 1")
    expect(page.locator("#evidence .gb-mark:visible")).to_have_count(0)
    page.locator("#chat a", has_text="ball").click()
    expect(chosen).to_have_text("Clip 1")


def test_what_is_no_evidence_of_this_answer_does_nothing(
    scripted_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    """Words of an earlier answer, a mark that is not there, and a time without a clip."""
    page = open_page(scripted_server)
    choose_fast(page)
    say(page, '[{"bbox_2d": [1, 2, 500, 600], "label": "wall"}]', picture)
    page.locator("#chat a", has_text="wall").first.hover()
    expect(page.locator("#chat a.gb-lit")).not_to_have_count(0)
    ask(page, f'{SAY}At 0:07 the [door](#gb-marks-9), [late](#gb-time-7), [roof](#gb-time-x) [{{"point_2d": [1, 2]}}]')
    expect(page.locator("#chat .user-row")).to_have_count(2)
    wait_for_end(page, "Done")
    expect(page.locator("#chat a.gb-lit")).to_have_count(0)
    chat = page.locator("#chat .bot-row")
    for row, text, line in (
        (chat.first, "wall", "none"),
        (chat.last, "late", "none"),
        (chat.last, "door", "underline"),
    ):
        expect(row.locator("a", has_text=text).first).to_have_css("text-decoration-line", line)
    expect(chat.last.locator("a", has_text="0:07")).to_have_count(0)
    for text in ("wall", "late", "door", "roof"):
        page.locator("#chat a", has_text=re.compile(f"^{text}$")).first.click()
    expect(page.locator("#evidence .gb-zoomed")).to_have_count(0)


TAGS = """() => [...document.querySelectorAll("#evidence .gb-tag")].map((tag) => {
    const [plate, text] = ["rect", "text"].map((part) => tag.querySelector(part).getBoundingClientRect());
    const front = document.elementFromPoint(plate.x + plate.width / 2, plate.y + plate.height / 2);
    return [text.left >= plate.left && text.right <= plate.right, tag.contains(front)];
})"""


def test_names_fit_their_tags_and_no_line_runs_through_them(
    scripted_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    """Broad letters and those of other scripts ran out of their tags, and lines of later boxes through them."""
    page = open_page(scripted_server)
    choose_fast(page)
    labels = ["WWWWWWWWWWWWWWWWWWWWWWWW", "一个红色的大圆形在图片的左上角旁边", "Щётка широкая", "😀😀 faces", "Mmm"]
    boxes = [{"bbox_2d": [40, 150 * n, 400, 150 * n + 100], "label": label} for n, label in enumerate(labels, 1)]
    boxes.append({"bbox_2d": [60, 100, 420, 950], "label": "all"})
    say(page, json.dumps(boxes, ensure_ascii=False), picture)
    assert page.evaluate(TAGS) == [[True, True]] * len(boxes)
    shoot(page, "desk-tags")


def test_a_box_within_another_is_pressed_and_not_the_one_around_it(
    scripted_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    """The one that the answer named last lay over all others."""
    page = open_page(scripted_server)
    choose_fast(page)
    say(
        page,
        '[{"bbox_2d": [400, 400, 600, 600], "label": "nut"}, {"bbox_2d": [0, 0, 1000, 1000], "label": "shell"}]',
        picture,
    )
    page.mouse.move(*centre(page.locator("#evidence .gb-canvas")))
    expect(page.locator("#evidence .gb-chip.gb-lit")).to_contain_text("nut")


def centre(found: Locator) -> tuple[float, float]:
    box = found.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.mark.parametrize("size", [(820, 1180), (1280, 900), PHONE], ids=["tablet", "small desk", "phone"])
def test_all_columns_of_the_times_can_be_read(
    size: tuple[int, int], scripted_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    """On a tablet the milliseconds were cut off, and nothing scrolled to them."""
    page = open_page(scripted_server, size)
    choose_fast(page)
    say(page, "It is a square.", picture)
    right = "found => found.getBoundingClientRect().right"
    table = page.locator("#waterfall table")
    expect(table.get_by_role("columnheader", name="clock")).to_be_visible()
    assert table.evaluate(right) <= page.locator("#waterfall").evaluate(right) + 1


@pytest.mark.parametrize("size", [PHONE, (820, 1180), (1024, 768), (1280, 900), DESK, (1920, 900)], ids=str)
def test_all_requests_can_be_read_below_the_evidence(
    size: tuple[int, int], scripted_server: PageServer, open_page: OpenPage, picture: Path
) -> None:
    """They were squeezed into the height that the evidence left of the pane, which is none, and cut off at its side."""
    page = open_page(scripted_server, size)
    choose_fast(page)
    say(page, '[{"bbox_2d": [1, 2, 500, 600], "label": "wall"}]', picture)
    page.locator("#requests .label-wrap").first.click()
    expect(page.locator("#past th[scope=row]")).to_be_visible()
    page.evaluate(SETTLED)
    cut = "pane => [pane.scrollHeight - pane.clientHeight, pane.scrollWidth - pane.clientWidth]"
    assert page.locator("#requests").evaluate(cut) == [0, 0]


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("shape", [(2000, 100), (100, 2000)], ids=["wide", "tall"])
def test_wide_and_tall_pictures_keep_their_marks(
    shape: tuple[int, int], size: tuple[int, int], scripted_server: PageServer, open_page: OpenPage, tmp_path: Path
) -> None:
    Image.new("RGB", shape, "white").save(tmp_path / "long.png")
    page = open_page(scripted_server, size)
    choose_fast(page)
    say(page, '[{"bbox_2d": [100, 200, 900, 800], "label": "wall"}]', tmp_path / "long.png")
    assert drawn_boxes(page)[0] == pytest.approx([100, 200, 900, 800], abs=30)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
