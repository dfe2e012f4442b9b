from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.grounding import parse_grounding
from pipelines.present import linked
from pipelines.present.linked import MAX_ROWS, NOTHING_NAMED
from pipelines.present.markdown import FENCE
from pipelines.types import Grounding, MediaKind
from tests.present_values import HOSTILE

ITEM = '{"bbox_2d": [100, 200, 300, 400], "label": "red circle"}'
CASES = {
    "a moment": ("At 0:07 it turns.", "At [0:07](#gb-time-7) it turns."),
    "a span": ("It runs from 3.2 s to 5 s.", "It runs from [3.2 s to 5 s](#gb-time-3.2-5)."),
    "late in a long clip": ("At 1234.567 s it turns.", "At [1234.567 s](#gb-time-1234.567) it turns."),
    "nearly at once": ("At 0.00001 s it turns.", "At [0.00001 s](#gb-time-0.00001) it turns."),
    "in a list of times": ("at 0:05, 0:07", "at [0:05](#gb-time-5), [0:07](#gb-time-7)"),
    "in angles": ("at <28.2 seconds>", "at [&lt;28.2 seconds>](#gb-time-28.2)"),
    "in bold": ("at **0:07**", "at **[0:07](#gb-time-7)**"),
    "in code": ("at `0:07`", "at `0:07`"),
    "in code with angles": ("at `<0:07`", "at <code>&lt;0&#58;07</code>"),
    "a sentence of places": (
        "A <ref>cat</ref><box>(100,200),(300,400)</box> and two cats.",
        "A [1 cat](#gb-marks-1) and two [cats](#gb-marks-1).",
    ),
    "a bare box": ("It is at [100, 200, 300, 400].", "It is at [1 box](#gb-marks-1)."),
    "no evidence": ("There are **3** red shapes.", "There are **3** red shapes."),
    "in an address": ("http://x.y/0:07/a and www.x.y/0:07", "http://x.y/0:07/a and www.x.y/0:07"),
    "in an address of a person": ("<ref>cat</ref><box>(1,2),(3,4)</box> of cat@x.y", "[1 cat](#gb-marks-1) of cat@x.y"),
    "in a link": ("[at 0:07](http://b.c?t=0:07 'in (2 s)')", "[at 0:07](http://b.c?t=0:07 'in (2 s)')"),
    "in a formula": (
        "$$t = 3 s$$ and $$[100, 200, 300, 400]$$",
        "$$\u2060t = 3 s\u2060$$ and $$\u2060&#91;100, 200, 300, 400&#93;\u2060$$",
    ),
    "in indented code": ("So:\n\n    at 0:07", f"So:\n\n\n{FENCE}\nat 0:07"),
    "in code of a list": ("- x\n\n      at 0:07 code", f"- x\n\n\n{FENCE}\nat 0:07 code"),
    "in a list of a list": ("- x\n    - at 0:07", "- x\n    - at [0:07](#gb-time-7)"),
    "behind a mark": ("It turns!0:07", "It turns&#33;[0:07](#gb-time-7)"),
    "behind a stroke": ("It turns \\0:07", "It turns &#92;[0:07](#gb-time-7)"),
    "in Chinese": ("红色汽车在0:07时离开", "红色汽车在[0:07](#gb-time-7)时离开"),
    "names in Chinese": (
        "<ref>汽车</ref><box>(1,2),(3,4)</box> 红色汽车在离开",
        "[1 汽车](#gb-marks-1) 红色[汽车](#gb-marks-1)在离开",
    ),
    "names in Japanese": (
        "<ref>cat</ref><box>(1,2),(3,4)</box> 黒いcatがいる",
        "[1 cat](#gb-marks-1) 黒い[cat](#gb-marks-1)がいる",
    ),
    "a name in lines": ("A <ref>ca\nt</ref><box>(1,2),(3,4)</box> sits.", "A [1 ca t](#gb-marks-1) sits."),
    "a link of the model": ("[a](http://b.c)", "[a](http://b.c)"),
    "a stand-in of the model": ("\ue0000\ue001x\ue002", "\ufffd0\ufffdx\ufffd"),
}


def linked_markdown(answer: str, media: Sequence[MediaKind] = (), current: int = 0) -> str:
    """An answer about these media, as Markdown."""
    return linked.linked_markdown(answer, parse_grounding(answer, media, current))


@pytest.mark.parametrize(("answer", "markdown"), CASES.values(), ids=CASES.keys())
def test_words_are_tied_to_their_evidence(answer: str, markdown: str) -> None:
    assert linked_markdown(answer).strip() == markdown


@pytest.mark.parametrize("answer", ["[]", "```json\n[]\n```", " [ ]\n"])
def test_an_empty_list_is_told_in_words(answer: str) -> None:
    """It stood in the chat as two brackets, which say nothing to whoever asked in words."""
    told, _, folded = linked_markdown(answer).partition("\n\n<details><summary>")
    assert told == NOTHING_NAMED
    assert "```json\n[" in folded
    assert NOTHING_NAMED not in linked_markdown(f"Nothing: {answer}")


def test_marks_have_the_numbers_of_the_evidence() -> None:
    """The same box on a picture and on a clip is one mark to whoever does not know of the clip."""
    cup, dog = '[{"bbox_2d": [100, 100, 300, 300], "label": "cup"}]', '[{"bbox_2d": [5, 5, 60, 60], "label": "dog"}]'
    answer = f"Picture 1: {cup}\n\nVideo 1: {cup}\n\n{dog}\n\nThe dog"
    assert linked_markdown(answer, ["picture", "clip"]).endswith("The [dog](#gb-marks-3)")


def test_fenced_code_has_no_links() -> None:
    assert "#gb" not in linked_markdown("```\nat 0:07\n```")


def test_data_becomes_a_table_with_the_raw_text_behind_it() -> None:
    markdown = linked_markdown(f"Here:\n```json\n[{ITEM}]\n```\nThe red circle is left.")
    assert "| [1](#gb-marks-1) | [red circle](#gb-marks-1) | 100, 200, 300, 400 |" in markdown
    assert markdown.index("<details>") < markdown.index(ITEM) < markdown.index("</details>")
    assert "The [red circle](#gb-marks-1) is left." in markdown


def test_a_track_and_its_events_are_told_with_their_times() -> None:
    markdown = linked_markdown(
        '[{"time": "0:02", "point_2d": [1, 2], "label": "ball"}]\n\n[{"start": 1, "end": 2.5, "description": "flies"}]'
    )
    assert "| 1, 2 at [2 s](#gb-time-2) |" in markdown
    assert "| | flies | [1 s – 2.5 s](#gb-time-1-2.5) |" in markdown
    assert markdown.count("| What |") == 1


def test_marks_of_one_name_are_lit_together() -> None:
    other = ITEM.replace("100", "500")
    assert "Both [red circles](#gb-marks-1-2)" in linked_markdown(f"[{ITEM}, {other}]\n\nBoth red circles")


@pytest.mark.parametrize("label", [HOSTILE, "![a](http://b/c.png)", "a|b", "**x**", "[x](y)", "`x", "x" * 10_000])
def test_a_label_is_text_in_the_table(label: str) -> None:
    markdown = linked_markdown(f'[{{"bbox_2d": [1, 2, 3, 4], "label": "{label.replace(chr(34), "")}"}}]')
    table = markdown[: markdown.index("<details>")]
    assert re.search(r"(?<!\\)!\[", markdown[: markdown.index("```")]) is None
    assert "<" not in table
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in table.strip().splitlines())


def test_a_long_table_is_cut() -> None:
    items = ", ".join(ITEM.replace("100", str(7 * at)) for at in range(MAX_ROWS + 20))
    markdown = linked_markdown(f"[{items}]")
    assert markdown.count("[red circle]") == MAX_ROWS
    assert "and 20 more" in markdown


PIECES = ["`", "``", "```", "\n", "|", "[", "]", "(", "<", "at 0:07", "1 s to 2 s", ITEM, f"[{ITEM}]", "red circle"]


@settings(deadline=None)
@example("```|`<ref>`")
@given(
    st.lists(st.sampled_from([*PIECES, "\ue000", "\ue001", "\ue002", "0", "<ref>", "<box>", "!", "\\"])).map("".join)
)
def test_any_answer_becomes_safe_markdown(answer: str) -> None:
    markdown = linked_markdown(answer)
    assert not set("\ue000\ue001\ue002") & set(markdown)
    outside = re.sub(r"(?s)`{12}.*?(`{12}|\Z)", "", markdown)
    assert set(re.findall(r"<\w+", outside)) <= {"<details", "<summary", "<code"}


@pytest.mark.parametrize(
    ("longest_s", "linked_times"),
    [(None, ["0:07", "10:10"]), (0.0, []), (12.0, ["0:07"])],
    ids=["nothing is known of the media", "pictures", "a short clip"],
)
def test_only_what_can_be_of_a_clip_is_linked(longest_s: float | None, linked_times: list[str]) -> None:
    """What a clock or a receipt in a picture shows was a link to a clip that is not there."""
    markdown = linked.linked_markdown("At 0:07 the clock shows 10:10.", Grounding(), longest_s)
    assert re.findall(r"\[([^\]]+)\]\(#gb-time", markdown) == linked_times
