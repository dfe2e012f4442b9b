"""What is found in answers of all forms, and that none of them, however damaged, breaks the reading."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.grounding import MAX_TOKENS, parse_grounding, told_times
from pipelines.types import Grounding
from tests.grounding_cases import CASES, ITEM_A


@pytest.mark.parametrize(("answer", "expected"), CASES.values(), ids=CASES.keys())
def test_reads(answer: str, expected: Grounding) -> None:
    assert parse_grounding(answer) == expected


def test_a_fence_at_the_beginning_belongs_to_what_it_encloses() -> None:
    answer = f"```json\n[{ITEM_A}]\n```"
    assert [region.source for region in parse_grounding(answer).regions] == [(0, len(answer))]


def check(answer: str) -> None:
    found = parse_grounding(answer)
    for region in found.regions:
        if region.box:
            x1, y1, x2, y2 = region.box
            assert 0 <= x1 <= x2 <= 1000
            assert 0 <= y1 <= y2 <= 1000
        assert all(0 <= value <= 1000 for value in region.box or region.point or ())
        assert len(region.label) <= 200
    for told in told_times(answer):
        assert 0 <= told.start < told.end <= len(answer)
        assert 0 <= told.start_s <= told.end_s < float("inf")
    for source in [region.source for region in found.regions] + [event.source for event in found.events]:
        assert source is None or 0 <= source[0] < source[1] <= len(answer)
    for event in found.events:
        assert 0 <= event.start_s <= event.end_s < float("inf")
        assert len(event.label) <= 200


SYNTAX = (
    *'[]{}()<>:,"',
    "'",
    "\\",
    "\n",
    "`",
    "```",
    "-",
    "- ",
    ".",
    "1e999",
    "-1e999",
    "0.5",
    "7",
    "700",
    "0:01",
    "9" * 400,
)
WORDS = ('"bbox_2d":', '"x":', '"width":', '"label":', '"time":', '"start":', '"end":', "None", "\\ud800", "<box>")
TAGS = ("</box>", "<ref>", "<|box_start|>", "<|box_end|>", "<point>", "Picture 2", "٣", "²", "日", "\u202e", "\x00")
good_replies = st.sampled_from([answer for answer, _ in CASES.values()])


@settings(deadline=None)
@given(st.text())
def test_any_text(answer: str) -> None:
    check(answer)


@settings(deadline=None)
@given(st.lists(st.sampled_from([*SYNTAX, *WORDS, *TAGS])).map("".join))
def test_any_syntax(answer: str) -> None:
    check(answer)


@settings(deadline=None)
@given(good_replies, st.integers(0, 200), st.integers(0, 40), st.sampled_from([*SYNTAX, *WORDS, *TAGS, ""]))
def test_damaged_replies(answer: str, at: int, num_lost: int, put_in: str) -> None:
    check(answer[:at] + put_in + answer[at + num_lost :])


@settings(deadline=None)
@given(good_replies, good_replies)
def test_replies_after_one_another(one: str, other: str) -> None:
    check(one + other)


coordinate = st.integers(0, 1000)
item = st.fixed_dictionaries(
    {
        "bbox_2d": st.tuples(coordinate, coordinate, coordinate, coordinate),
        "label": st.text("ab\"\\',:é ]}", max_size=6),
    }
)
span_item = st.fixed_dictionaries({"start": coordinate, "end": coordinate, "description": st.text("ab :,", max_size=6)})


@settings(deadline=None)
@given(st.lists(item | span_item, max_size=6), st.integers(0, 500), st.booleans(), st.sampled_from([None, 2]))
def test_a_list_cut_off_gives_its_first_items(
    items: list[dict[str, object]], num_kept: int, is_fenced: bool, indent: int | None
) -> None:
    answer = ("```json\n" if is_fenced else "") + json.dumps(items, indent=indent)
    whole, part = parse_grounding(answer), parse_grounding(answer[:num_kept])
    assert part.regions == whole.regions[: len(part.regions)]
    assert part.events == whole.events[: len(part.events)]


def cleaned(label: object) -> str:
    return " ".join(str(label).split())


@settings(deadline=None)
@given(st.lists(item, max_size=6, unique_by=lambda one: cleaned(one["label"])))
def test_good_json_gives_every_box(items: list[dict[str, object]]) -> None:
    given = [(cleaned(one["label"]), one["bbox_2d"]) for one in items if isinstance(one["bbox_2d"], tuple)]
    ordered = [(label, (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))) for label, (x1, y1, x2, y2) in given]
    assert [(region.label, region.box) for region in parse_grounding(json.dumps(items)).regions] == ordered


UNITS = [
    "[",
    "{",
    "9",
    '"',
    "'",
    "\\",
    "(",
    "[]",
    "{a:",
    '{"box":',
    '{"label":',
    "<box>",
    "<ref>",
    "[1,",
    "0:",
    "1.",
    " ",
    "-",
]
UNITS += ['["', '"a" ', "] ", "0:01 - \n", "```", ITEM_A, ITEM_A + ",", "0:01 - 0:02 a\n"]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("opening", ["", '[{"bbox_2d": ['])
def test_a_long_text_of_one_thing(opening: str, unit: str) -> None:
    """Sizes at which recursion would overflow and work that grows with the square of the text would not come back."""
    check(opening + unit * (300_000 // len(unit)))


def test_reads_no_more_than_the_tokens_it_may() -> None:
    answer = "[" + ",".join(f"[{5 * (at % 100)},{5 * (at // 100)},999,999]" for at in range(10_000)) + "]"
    regions = parse_grounding(answer).regions
    assert regions[0].box == (0, 0, 999, 999)
    assert MAX_TOKENS / 12 < len(regions) < MAX_TOKENS / 9
