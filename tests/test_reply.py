from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.reply import ReplySplitter
from pipelines.types import Delta

LONGEST_TAG = len("</tool_call>")
ON, OFF = True, False

TAGS = ("<think>", "</think>", "<tool_call>", "</tool_call>")
CUT_TAGS = ("<th", "</thin", "<tool", "</", "<", ">", "k>", "_call>")
PLAIN = (
    " ",
    "\n",
    "\n\n",
    "\t",
    "\u00a0",
    "word",
    "a",
    "é",
    "日本",
    "\U0001f469\u200d\U0001f467",
    "\u202e",
    "<|im_end|>",
)
pieces_of_replies = st.sampled_from([*TAGS, *CUT_TAGS, *PLAIN])
replies = st.lists(pieces_of_replies | st.text(max_size=3), max_size=14).map("".join)


def split(pieces: Iterable[str], thinking_open: bool) -> list[tuple[str, str]]:
    """The reply as runs of (channel, text), adjacent ones of the same channel merged."""
    splitter = ReplySplitter(thinking_open)
    deltas = [delta for piece in pieces for delta in splitter.feed(piece)] + splitter.flush()
    assert all(delta.text for delta in deltas)
    runs = groupby(deltas, key=lambda delta: delta.channel)
    return [(channel, "".join(delta.text for delta in run)) for channel, run in runs]


CASES = {
    "empty": (ON, "", []),
    "thinks then answers": (ON, "so\n</think>\n\nYes.", [("reasoning", "so"), ("answer", "Yes.")]),
    "repeats the opening tag": (ON, "<think>\nso</think>Yes.", [("reasoning", "so"), ("answer", "Yes.")]),
    "repeats the opening tag twice": (ON, "\n<think>\n<think>so", [("reasoning", "so")]),
    "opening tag in the middle of reasoning is text": (
        ON,
        "a <think> b</think>c",
        [("reasoning", "a <think> b"), ("answer", "c")],
    ),
    "runs out before the closing tag": (ON, "the box is [1, 2, 3, 4]", [("reasoning", "the box is [1, 2, 3, 4]")]),
    "runs out inside the closing tag": (ON, "so </thin", [("reasoning", "so </thin")]),
    "empty reasoning": (ON, "\n\n</think>\n\nYes.", [("answer", "Yes.")]),
    "no answer": (ON, "so</think>\n", [("reasoning", "so")]),
    "space inside stays": (ON, " a \n b \n</think> c \n d \n", [("reasoning", "a \n b"), ("answer", "c \n d")]),
    "tool call ends the reasoning": (
        ON,
        "look\n<tool_call>\nzoom\n</tool_call>\nDone.",
        [("reasoning", "look"), ("tool_call", "zoom"), ("answer", "Done.")],
    ),
    "closing tag after a tool call is dropped": (
        ON,
        "look<tool_call>zoom</tool_call></think>Done.",
        [("reasoning", "look"), ("tool_call", "zoom"), ("answer", "Done.")],
    ),
    "tool call after the reasoning": (
        ON,
        "so</think>\n\n<tool_call>\nzoom\n</tool_call>",
        [("reasoning", "so"), ("tool_call", "zoom")],
    ),
    "tool call in the middle of an answer": (
        OFF,
        "Wait.\n<tool_call>\nzoom\n</tool_call>\nDone.",
        [("answer", "Wait."), ("tool_call", "zoom"), ("answer", "\n\nDone.")],
    ),
    "two tool calls": (OFF, "<tool_call>\na\n</tool_call>\n<tool_call>\nb\n</tool_call>", [("tool_call", "a\n\nb")]),
    "tool call never closed": (OFF, "<tool_call>\na </think> b", [("tool_call", "a </think> b")]),
    "thinking off": (OFF, "\nYes.", [("answer", "Yes.")]),
    "thinking off but opened": (OFF, "\n<think>\nso\n</think>\n\nYes.", [("reasoning", "so"), ("answer", "Yes.")]),
    "thinking off, opened, runs out": (OFF, "<think>so", [("reasoning", "so")]),
    "opening tag in the middle of an answer is text": (OFF, "a <think> b", [("answer", "a <think> b")]),
    "opening tag after the reasoning is text": (ON, "a</think><think>b", [("reasoning", "a"), ("answer", "<think>b")]),
    "stray closing tag is dropped": (ON, "a</think>b </think> c", [("reasoning", "a"), ("answer", "b  c")]),
    "stray closing tag with thinking off": (OFF, "</think>\n\nYes.", [("answer", "Yes.")]),
    "stray closing tag of a tool call is text": (OFF, "a</tool_call>b", [("answer", "a</tool_call>b")]),
    "less-than signs": (OFF, "1 < 2 << 3 <", [("answer", "1 < 2 << 3 <")]),
    "less-than sign before a tag": (ON, "a<</think>b", [("reasoning", "a<"), ("answer", "b")]),
    "other tags are text": (OFF, "<b>x</b><|im_end|>", [("answer", "<b>x</b><|im_end|>")]),
}


@pytest.mark.parametrize(("thinking_open", "text", "expected"), CASES.values(), ids=CASES.keys())
def test_splits(thinking_open: bool, text: str, expected: list[tuple[str, str]]) -> None:
    assert split([text], thinking_open) == expected
    assert split(text, thinking_open) == expected


@settings(deadline=None)
@given(text=replies, cuts=st.lists(st.integers(0, 80), max_size=12), thinking_open=st.booleans())
def test_cuts_do_not_matter(text: str, cuts: list[int], thinking_open: bool) -> None:
    ends = sorted(cuts)
    pieces = [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    assert split(pieces, thinking_open) == split([text], thinking_open) == split(text, thinking_open)


@settings(deadline=None)
@given(text=replies, thinking_open=st.booleans())
def test_one_feed_merges_adjacent_pieces(text: str, thinking_open: bool) -> None:
    channels = [delta.channel for delta in ReplySplitter(thinking_open).feed(text)]
    assert all(one != next_one for one, next_one in pairwise(channels))


@settings(deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_characters="<")), thinking_open=st.booleans())
def test_only_trailing_space_is_held_back(text: str, thinking_open: bool) -> None:
    splitter = ReplySplitter(thinking_open)
    assert "".join(delta.text for delta in splitter.feed(text)) == text.strip()
    assert splitter.flush() == []


@settings(deadline=None)
@given(words=st.lists(st.sampled_from(["a", "<", "<thin", "</thin", "<tool_cal", "k"])), thinking_open=st.booleans())
def test_holds_no_more_than_a_tag(words: list[str], thinking_open: bool) -> None:
    splitter = ReplySplitter(thinking_open)
    fed = "x"
    given_back = "".join(delta.text for delta in splitter.feed(fed))
    for word in words:
        fed += word
        given_back += "".join(delta.text for delta in splitter.feed(word))
        assert len(fed) - len(given_back) < LONGEST_TAG


def test_channel_follows_the_tags() -> None:
    splitter = ReplySplitter(thinking_open=True)
    channels = [splitter.channel]
    for piece in ["so", "</think>", "yes", "<tool_call>", "zoom", "</tool_call>"]:
        splitter.feed(piece)
        channels.append(splitter.channel)
    assert channels == ["reasoning", "reasoning", "answer", "answer", "tool_call", "tool_call", "answer"]


@pytest.mark.parametrize(
    ("thinking_open", "text", "unopened"),
    [
        (OFF, "so \n</think>\n\nYes.</think>", "so"),
        (OFF, "</think>\n\nYes.", None),
        (OFF, "<think>so</think>Yes. </think>", None),
        (ON, "so</think>Yes. </think>", None),
        (OFF, "Yes.", None),
    ],
    ids=["behind words", "at the start", "opened", "opened by the prompt", "none"],
)
def test_what_stood_before_a_tag_that_nothing_opened(thinking_open: bool, text: str, unopened: str | None) -> None:
    splitter = ReplySplitter(thinking_open)
    found = "".join(delta.text for piece in text for delta in splitter.feed(piece) if delta.channel == "answer")
    assert (None if splitter.unopened is None else found[: splitter.unopened]) == unopened


def test_flush_twice_gives_nothing_more() -> None:
    splitter = ReplySplitter(thinking_open=False)
    splitter.feed("a </th")
    assert splitter.flush() == [Delta("answer", " </th")]
    assert splitter.flush() == []


@pytest.mark.parametrize(
    ("second", "thought", "answer"), [("Yes.", "so <", "Yes."), ("<think>on</think>Yes.", "so <\non", "Yes.")]
)
def test_a_reply_of_its_own_follows_a_thought_that_was_cut_off(second: str, thought: str, answer: str) -> None:
    splitter = ReplySplitter(thinking_open=True)
    deltas = splitter.feed("so <") + splitter.begin_anew() + splitter.feed(second) + splitter.flush()
    told = {channel: "".join(d.text for d in deltas if d.channel == channel) for channel in ("reasoning", "answer")}
    assert told == {"reasoning": thought, "answer": answer}


@pytest.mark.parametrize("unit", ["<", " ", "</think", "a ", "</think>"])
def test_long_replies_one_character_at_a_time(unit: str) -> None:
    """Sizes at which work that grows with the square of the text would not come back."""
    text = "x" + unit * (100_000 // len(unit))
    assert split(text, thinking_open=False) == split([text], thinking_open=False)
