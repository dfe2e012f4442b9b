"""Questions about clips, reasoning and answers agree with what the clip shows."""

from __future__ import annotations

import json
import random
import re

import pytest

from pipelines.demo.clip_questions import CLIP_TASKS, ask_clip
from pipelines.demo.clip_reasoning import clock
from pipelines.demo.clips import draw_clip

TIMES = tuple(i * 0.5 for i in range(8))


@pytest.mark.parametrize("seed", range(20))
def test_what_is_said_of_a_clip_is_so(seed: int) -> None:
    rng = random.Random(seed)
    clip = draw_clip(rng, (64, 64), TIMES)
    for task in CLIP_TASKS:
        exchange = ask_clip(rng, clip, task)
        for time in re.findall(r"\d+\.\d(?= s)", exchange.reasoning) if exchange else ():
            assert time in clip.patch_times
    told = [exchange.answer for exchange in (ask_clip(rng, clip, "happens") for _ in range(60)) if exchange]
    for answer in told:
        assert answer.count(" appears") == len(clip.newcomers)
        assert answer.count(" disappears") == len(clip.leavers)
    spans = json.loads(next(answer for answer in told if answer.startswith("[")))
    assert [span["start"] for span in spans[1:]] == sorted(span["end"] for span in spans[1:])
    assert spans[0]["description"] == f"The {clip.actors[0].name} moves {clip.direction}."


def test_times_are_written_as_minutes_and_seconds() -> None:
    assert [clock(time) for time in ("0.2", "9.8", "61.5")] == ["00:00.20", "00:09.80", "01:01.50"]


def test_what_comes_and_goes_is_marked_with_its_time() -> None:
    """Each thing stands in the line of every time that shows it, and of the first that no longer does."""
    for seed in range(40):
        clip = draw_clip(random.Random(seed), (64, 64), TIMES)
        exchange = ask_clip(random.Random(seed), clip, "happens")
        assert exchange
        lines = dict(re.findall(r"^(\d+\.\d) s: (.*[a-z0-9A-Z])$", exchange.reasoning, re.MULTILINE))
        for patch, time in enumerate(clip.patch_times):
            told = lines[time].split(", ")
            there = [actor.name for actor in clip.actors if actor.at(patch)]
            assert [re.sub(r" new .*", "", name) for name in told if " gone " not in name] == there
        assert len(re.findall(r"^\d\. new ", exchange.reasoning, re.MULTILINE)) == len(clip.newcomers)
        assert len(re.findall(r"^\d\. gone ", exchange.reasoning, re.MULTILINE)) == len(clip.leavers)


def test_when_something_is_visible_is_told_from_what_is_there_at_first_comes_and_goes() -> None:
    for seed in range(40):
        clip = draw_clip(random.Random(seed), (64, 64), TIMES)
        exchange = ask_clip(random.Random(seed), clip, "visible")
        assert exchange
        found = re.findall(r"^\d\. (there|new|gone) ([\d.]+) s .*: yes$", exchange.reasoning, re.MULTILINE)
        spans = re.findall(r"^First: ([\d.]+) s\nLast: ([\d.]+) s$", exchange.reasoning, re.MULTILINE)
        assert len(re.findall(r"^\d\. there 0", exchange.reasoning, re.MULTILINE)) == sum(
            actor.at(0) is not None for actor in clip.actors
        )
        assert len(spans) == len([sort for sort, _ in found if sort != "gone"])
        for first, last in spans:
            assert first == found[0][1]
            end = clip.patch_times.index(found[1][1]) if found[1:] else clip.num_patches
            assert last == clip.patch_times[end - 1]


def test_where_something_is_at_a_time_is_told_from_the_line_of_that_time() -> None:
    for seed in range(40):
        clip = draw_clip(random.Random(seed), (64, 64), TIMES)
        exchange = ask_clip(random.Random(seed), clip, "box_at")
        assert exchange
        asked = re.findall(r"^Find: .* at (\d+\.\d) s$", exchange.reasoning, re.MULTILINE)[0]
        *_, last = re.findall(r"^(\d+\.\d) s, (\d+\.\d) s: ", exchange.reasoning, re.MULTILINE)
        assert last == (asked, asked)
        assert (exchange.answer == "[]") == (": yes (" not in exchange.reasoning)
