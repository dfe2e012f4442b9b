"""The report of a conversation: one file that holds what the page showed, and nothing that runs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from pipelines.conversation import Draft, Reply, Round
from pipelines.present.album import conversation_report, report_html
from pipelines.present.claims import claims
from pipelines.present.linked import NOTHING_NAMED
from pipelines.types import UserError
from tests.media_makers import write_clip
from tests.present_values import HOSTILE, TIMING
from tests.test_present_closer import look_at

BOX = '[{"bbox_2d": [100, 200, 300, 600], "label": "red corner"}]'


def test_a_report_holds_the_conversation_and_nothing_active(picture: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    hostile = Round(Draft(HOSTILE, (picture,)), Reply(f"{HOSTILE} {BOX}", reasoning=HOSTILE, timing=TIMING))
    track = '[{"time": 1, "bbox_2d": [1, 2, 300, 400], "label": "a"}]\n\n0:00 - 0:01 it turns'
    html = report_html(claims([hostile, Round(Draft("And now?", (clip,)), Reply(track))]))
    assert "<img src=x" not in html
    assert "<script" not in html
    assert html.count("<section>") == 2
    assert html.count("<figure") == 2
    assert "open 100 ms, fuse 50 ms" in html
    assert "red corner" in html
    assert "it turns" in html


def test_a_report_shows_what_the_page_showed_with_each_answer(picture: Path, tmp_path: Path) -> None:
    """Of a second question about a clip it had no clip, and of one about a part of a picture the part alone."""
    clip = write_clip(tmp_path / "clip.mp4")
    first = Round(Draft("Look.", (picture, clip)), Reply("I do."))
    again = Round(Draft("When does it turn?"), Reply('{"0:00 - 0:01": "it turns"}'))
    part = Round(Draft("In this region?", (picture,), about=0), Reply("A circle."))
    found = claims([first, again, part])
    assert [one.shown for one in found] == [[0, 1], [1], [0, 2]]
    assert "it turns" in report_html(found).split("<section>")[2].split("gb-events")[1]
    assert claims([Round(Draft("Hello"), Reply("Hello."))])[0].shown == []


def test_a_report_holds_all_thoughts_and_closer_looks_and_how_each_reply_ended(picture: Path) -> None:
    """It had the last thought alone, with what all had taken, and half an answer looked like a whole one."""
    look = replace(look_at((0.0, 0.0, 500.0, 500.0)), reasoning="It is <small>.")
    looked = Reply("A star.", "So it is.", thought_s=2.0, num_thought_tokens=44, looks=(look.reduced(),))
    stopped = Reply("A st", "Hm.", "cancelled", 0.04, 1, "asked")
    unanswered = Reply("", "Hm", "length")
    html = report_html(claims([Round(Draft("What?", (picture,)), one) for one in (looked, stopped, unanswered)]))
    first, second, third = html.split("<section>")[1:]
    assert re.findall("<summary>(.*?)</summary>|Look 1: ([^<]+) at", first) == [
        ("Thought", ""), ("", "a part"), ("Thought", ""),
    ]  # fmt: skip
    assert "It is &lt;small&gt;." in first
    assert first.count("<img") == 3
    assert "<summary>Thought, 0.0 s, 1 token</summary>" in second
    assert "<p>The thought was ended by you.</p><pre>A st</pre><p>Stopped by you.</p>" in second
    assert "<p>No answer: it was still thinking when its tokens ran out.</p>" in third


def test_a_report_of_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ask something first"):
        conversation_report([], tmp_path)


def test_a_report_folds_the_data_away_of_which_it_has_a_table(tmp_path: Path) -> None:
    Image.new("RGB", (64, 48), "red").save(tmp_path / "a.png")
    draft = Draft("Where?", (tmp_path / "a.png",))
    box = '[{"bbox_2d": [100, 100, 300, 300], "label": "ball"}]'
    found = report_html(claims([Round(draft, Reply(f"Here:\n{box}\nNo more."))]))
    assert "<pre>Here:</pre><details><summary>As the model wrote it</summary><pre>[{" in found
    assert "</pre></details><pre>No more.</pre>" in found
    assert "<td>ball</td><td>100, 100, 300, 300</td>" in found
    assert NOTHING_NAMED in report_html(claims([Round(draft, Reply("[]"))]))
