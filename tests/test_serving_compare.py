"""Two models on one question for the page: their turns, their places on one picture, and the vote about them."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

import pytest

from pipelines.checkpoint import Checkpoint
from pipelines.compare.votes import FILE, Choice, keep, kept
from pipelines.conversation import Draft
from pipelines.engine import ScriptedEngine, Step
from pipelines.host.turns import Turns
from pipelines.models import DEMO_FOLDER, load_engine
from pipelines.present.ballot import as_json_file, votes_html
from pipelines.present.comparison import Comparison
from pipelines.present.figures.history_file import as_csv
from pipelines.present.linked import NOTHING_NAMED
from pipelines.present.side_by_side import compared_html, drawn_html
from pipelines.serving.comparing import STOPPED, Comparing
from pipelines.spreadsheet import UTF_8_MARK
from pipelines.types import Clip, Result, Settings, UserError
from tests.compare_desk import ASKING, FAST, Desk
from tests.dialect_server import Refusal, Stream, dialect_server, said
from tests.media_makers import write_clip
from tests.present_values import HOSTILE

FIRST = '[{"bbox_2d": [100, 100, 300, 300], "label": "red circle"}, {"point_2d": [900, 900], "label": "star"}]'
SECOND = f'[{{"bbox_2d": [110, 100, 310, 300], "label": {json.dumps(HOSTILE)}}}]'


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return Checkpoint.open(DEMO_FOLDER)


def test_a_comparison_that_is_stopped_while_it_waits_ends_at_once(checkpoint: Checkpoint) -> None:
    desk = Desk(checkpoint, FIRST, SECOND)
    with desk.turns.place(ASKING):
        lines = desk.begin("Where is what?")
        assert "Waiting for your question before this one" in next(lines)
        desk.comparison.stop.set()
        assert "Stopped by you." in list(lines)[-1]
    assert [side.reply for side in desk.comparison.sides] == [STOPPED, STOPPED]


def test_both_answer_and_what_differs_is_marked(checkpoint: Checkpoint, picture: Path) -> None:
    desk = Desk(checkpoint, FIRST, SECOND)
    assert "Their answers differ." in desk.ask("Where is what?", [picture])
    comparison = desk.comparison
    comparison.drawn = drawn_html(comparison, None)
    shown = compared_html(comparison)
    assert "gb-votable" in shown
    assert shown.count(" data-place=") == 3
    assert shown.count('class="gb-mark gb-dashed"') == 1
    assert "Of the places, A names 2, B 1, and 1 are the same. Their boxes lie on each other by 90%." in shown
    assert "as B1" in shown
    assert "as A1" in shown
    assert "only A" in shown
    assert HOSTILE not in shown
    assert "<mark>" in shown
    assert [record.engine.model for record in desk.history.records] == ["first", "demo"]
    assert [record.price_per_hour for record in desk.history.records] == [3600, 0]


def test_data_is_a_table_and_folded_away_as_it_was_written(checkpoint: Checkpoint, picture: Path) -> None:
    """It was shown as bare JSON, where the chat has a table."""
    place = '{"bbox_2d": [100, 100, 300, 300], "label": "ball"}'
    other = f'{{"bbox_2d": [600, 600, 900, 900], "label": {json.dumps(HOSTILE)}}}'
    desk = Desk(checkpoint, f"Two <b>:\n[{place}, {other}]\nThat is all.", f"One:\n[{place}]")
    desk.ask("Where is what?", [picture])
    first, second = compared_html(desk.comparison).split("</section>")[:2]
    before, folded = first.split("<details><summary>As the model wrote it</summary>")
    assert "Two</mark>" in before or "Two &lt;b&gt;" in before
    assert "<td>A1</td><td>ball</td><td>100, 100, 300, 300</td>" in before
    assert f"<td>A2</td><td><mark>{escape(HOSTILE)}</mark></td><td>600, 600, 900, 900</td>" in before
    assert "bbox_2d" not in before
    assert "bbox_2d" in folded
    assert "That is all." in re.sub("</?mark>", "", folded.split("</details>")[1])
    assert "<td>B1</td><td>ball</td>" in second
    assert HOSTILE not in first


def test_a_list_of_nothing_is_told_in_words(checkpoint: Checkpoint, picture: Path) -> None:
    desk = Desk(checkpoint, "[]", "Where?")
    desk.ask("Where is what?", [picture])
    first, second = compared_html(desk.comparison).split("</section>")[:2]
    assert NOTHING_NAMED in first
    assert NOTHING_NAMED not in second


def test_the_same_words_are_the_same(checkpoint: Checkpoint) -> None:
    desk = Desk(checkpoint, "Yes, it is.", "yes, IT is.")
    assert "Both say the same." in desk.ask("Is it so?")
    assert "<mark>" not in compared_html(desk.comparison)


def test_a_thought_of_one_token_is_told_as_one(checkpoint: Checkpoint) -> None:
    """It took "1 tokens"."""
    desk = Desk(checkpoint, "A", "A circle")
    for _ in desk.begin("Is it so?", settings=Settings()):
        pass
    first, second = compared_html(desk.comparison).split("</section>")[:2]
    assert "<summary>Thought · 1 token</summary>" in first
    assert "<summary>Thought · 2 tokens</summary>" in second


def test_what_both_named_in_a_clip_lies_on_one_frame_and_two_timelines(checkpoint: Checkpoint, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    events = '[{"start": 0.5, "end": 1.0, "description": "it moves"}]'
    place = '[{"time": 0.5, "bbox_2d": [100, 100, 300, 300], "label": "ball"}]'
    desk = Desk(checkpoint, events, place)
    desk.ask("When does it move?", [clip])
    assert isinstance(desk.comparison.sides[0].reply, Result)
    assert isinstance(desk.comparison.sides[0].reply.media[0], Clip)
    drawn = drawn_html(desk.comparison, None)
    assert drawn.count("gb-timeline") == 2
    assert "it moves" in drawn
    assert drawn.count("<figure") == 1


def test_one_that_named_nothing_in_a_clip_has_no_timeline(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """It had an empty bar."""
    desk = Desk(checkpoint, "It moves from 0.5 s to 1 s.", "It rests.")
    desk.ask("When does it move?", [write_clip(tmp_path / "clip.mp4")])
    assert drawn_html(desk.comparison, None).count("gb-timeline") == 1


def test_one_that_cannot_be_had_says_why_and_the_other_answers(checkpoint: Checkpoint) -> None:
    desk = Desk(checkpoint, "Yes.", UserError("It is not to be had: choose another."))
    assert "One of them could not answer." in desk.ask("Is it so?", other=str(DEMO_FOLDER))
    shown = compared_html(desk.comparison)
    assert "It is not to be had: choose another." in shown
    assert "Yes." in shown
    assert not desk.comparison.can_be_judged
    assert desk.comparison.judged("first") is None


def test_a_model_that_takes_text_alone_says_so_in_its_place(checkpoint: Checkpoint, picture: Path) -> None:
    refusal = Refusal(400, {"error": {"message": "At most 0 image(s) may be provided in one prompt."}})
    desk = Desk(checkpoint, "A square.", "unused")
    with dialect_server(refusal, model="gpt-oss-120b") as server:
        desk.rivals._load = load_engine
        place = f"gpt-oss-120b@{server.base_url}"
        assert "One of them could not answer." in desk.ask("What is it?", [picture], place)
    assert "takes text only" in compared_html(desk.comparison)


def test_one_that_the_server_calls_otherwise_is_told_in_its_place(checkpoint: Checkpoint) -> None:
    """llama.cpp answers to any name: two of them were compared, and voted about, that were one model."""
    desk = Desk(checkpoint, "A square.", "unused")
    chunks = [{**chunk, "model": HOSTILE} for chunk in said("A circle.")]
    with dialect_server(Stream(chunks)) as server:
        desk.rivals._load = load_engine
        desk.ask("What is it?", other=f"any@{server.base_url}")
    first, second = compared_html(desk.comparison).split("</section>")[:2]
    assert "The server calls" not in first
    assert f"The server calls the model that answered &quot;{escape(HOSTILE)}&quot;." in second


class Broken(ScriptedEngine):
    """Fails in a way that nobody foresaw."""

    def generate(self, *_: object, **__: object) -> Iterator[Step]:
        raise ZeroDivisionError


def test_a_fault_of_one_leaves_the_other_and_no_traceback(
    checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk(checkpoint, "unused", "Yes.")
    desk.model.use(Broken("", checkpoint))
    desk.comparison.begin(Draft("Is it so?"), ("scripted", "demo"))
    *_, last = desk.comparing.run(desk.comparison, FAST, (0.0, 0.0), desk.history, ASKING)
    assert "One of them could not answer." in last
    assert "Something went wrong on the server" in compared_html(desk.comparison)
    assert "ZeroDivisionError" in caplog.text


def test_where_no_more_questions_are_taken_both_places_say_so(checkpoint: Checkpoint) -> None:
    desk = Desk(checkpoint, "Yes.", "No.")
    desk.comparing = Comparing(desk.model, desk.rivals, Turns(0))
    assert "Your address has as many questions here as it may (0)" in desk.ask("Is it so?")
    assert compared_html(desk.comparison).count("Your address has as many questions here as it may (0)") == 2
    assert not desk.comparison.is_running


def test_stop_keeps_what_is_there_and_asks_nobody_else(checkpoint: Checkpoint) -> None:
    desk = Desk(checkpoint, "word " * 400, "unused", delay_s=0.01)
    running = desk.begin("Tell me.")
    while not desk.comparison.sides[0].answer:
        next(running)
    desk.comparison.stop.set()
    assert "Stopped by you." in list(running)[-1]
    first, second = desk.comparison.sides
    assert isinstance(first.reply, Result)
    assert first.reply.finish_reason == "cancelled"
    assert second.reply == "Stopped by you."
    assert desk.loaded == []


def test_an_answer_that_was_stopped_says_so_and_is_not_voted_about(checkpoint: Checkpoint) -> None:
    """Half an answer lost to a whole one, in a list of votes that is kept."""
    desk = Desk(checkpoint, "Yes.", "word " * 400, delay_s=0.01)
    running = desk.begin("Tell me.")
    second = desk.comparison.sides[1]
    while not second.answer:
        next(running)
    desk.comparison.stop.set()
    for _ in running:
        pass
    assert isinstance(second.reply, Result)
    assert second.reply.answer
    assert compared_html(desk.comparison).count("Stopped by you.") == 1
    assert not desk.comparison.can_be_judged
    assert desk.comparison.judged("first") is None


def test_nothing_works_for_a_page_that_is_gone(checkpoint: Checkpoint) -> None:
    desk = Desk(checkpoint, "word " * 400, "unused", delay_s=0.01)
    running = desk.begin("Tell me.")
    while not desk.comparison.sides[0].answer:
        next(running)
    running.close()  # type: ignore[attr-defined]
    assert desk.comparison.stop.is_set()
    assert not desk.comparison.is_running


@pytest.mark.parametrize(
    ("question", "places", "sentence"),
    [
        ("", ("demo", "demo"), "There is no question"),
        ("What?", ("demo", " "), "Which model is to answer as B"),
    ],
)
def test_what_is_missing_is_asked_for(question: str, places: tuple[str, str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        Comparison().begin(Draft(question), places)


def test_a_vote_is_kept_changed_and_taken_along(checkpoint: Checkpoint, tmp_path: Path, picture: Path) -> None:
    desk = Desk(checkpoint, "=SUM(A1)", "A square.")
    desk.ask("What is in this picture?", [picture])
    choices: tuple[Choice, Choice] = ("second", "first")
    for choice in choices:
        vote = desk.comparison.judged(choice)
        assert vote is not None
        desk.history.vote(vote)
        keep(vote, tmp_path)
    with (tmp_path / FILE).open("a") as file:
        file.write('{"id": "cut by a po')
    assert [one.choice for one in desk.history.votes] == ["first"]
    assert kept(tmp_path) == desk.history.votes
    told = json.loads(as_json_file(desk.history.votes))
    assert (told[0]["first"]["model"], told[0]["second"]["answer"]) == ("first", "A square.")
    assert told[0]["first"]["cost"] > 0
    shown = votes_html(desk.history.votes)
    assert "A is better" in shown
    assert ">first 1</span>" in shown
    data = re.findall(r"text/csv;base64,([^\"]+)", shown)[0]
    [line] = csv.DictReader(io.StringIO(base64.b64decode(data).decode("utf-8-sig")))
    assert line["first_answer"] == "'=SUM(A1)"
    assert (line["vote"], line["media"]) == ("first", "square.png")
    assert as_csv([]) == f"{UTF_8_MARK}\r\n"


def test_a_vote_that_cannot_be_kept_is_told(checkpoint: Checkpoint, tmp_path: Path) -> None:
    desk = Desk(checkpoint, "Yes.", "No.")
    desk.ask("Is it so?")
    vote = desk.comparison.judged("both")
    assert vote is not None
    with pytest.raises(UserError, match="could not be kept"):
        keep(vote, tmp_path / "nowhere")
    assert kept(tmp_path / "nowhere") == []
