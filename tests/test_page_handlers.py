"""The page's handlers as its framework calls them, without a browser: what they show, and what they leave as it is."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, replace
from itertools import count
from pathlib import Path

import gradio as gr
import pytest

from pipelines.archive import Archive
from pipelines.checkpoint import Checkpoint
from pipelines.conversation import Draft, Reply, Round
from pipelines.engine import ScriptedEngine
from pipelines.host import Audience
from pipelines.models import DEMO_FOLDER
from pipelines.page import asking as page_asking
from pipelines.page import compare as page_compare
from pipelines.page import host as page_host
from pipelines.page import outcome as page_outcome
from pipelines.page import takeaway as page_takeaway
from pipelines.page import turns as page_turns
from pipelines.page.host import Host
from pipelines.page.launch import USER_ERROR, launch
from pipelines.present.choices import Choices
from pipelines.present.claims import claims
from pipelines.present.comparison import Comparison
from pipelines.present.examples import Card
from pipelines.present.side_by_side import EMPTY as EMPTY_REPLIES
from pipelines.serving.model import Model
from pipelines.serving.session import Session
from pipelines.types import Result
from tests.archive_values import full_disk
from tests.media_makers import write_clip

UNCHANGED = gr.skip()
EMPTY = {"text": "", "files": []}


def asked(*questions: str) -> Session:
    """A session in which these were asked and answered."""
    return Session(rounds=[Round(Draft(question), Reply("A circle.")) for question in questions])


def test_nothing_is_taken_back_while_an_earlier_question_is_edited() -> None:
    """The line that tells of it went, and the way out; the next question then replaced the whole conversation."""
    session = asked("One", "Two")
    session.edit(0, Draft(""))
    assert page_turns.undoing(Host.of(Model()))(session, EMPTY) == UNCHANGED
    assert session.editing == 0
    assert len(session.rounds) == 2


def test_what_is_taken_back_is_not_kept_either(tmp_path: Path) -> None:
    """It came back when the page was loaded again."""
    archive, session = Archive(tmp_path), asked("One", "Two")
    session.kept_s = archive.save(session.name, session.rounds)
    undo = page_turns.undoing(Host.of(Model(), archive))
    undo(session, EMPTY)
    kept = archive.find(session.name)
    assert kept is not None
    assert [past.question for past in kept.rounds] == ["One"]
    undo(session, EMPTY)
    assert archive.listed() == []


def test_a_card_leaves_what_is_typed() -> None:
    """It wrote over the question and took its files away."""
    first, second = Card(Path("one.png"), ("One?", "And now?")), Card(Path("two.png"), ("Two?",))
    fill, session = page_turns.filling([first, second]), Session()

    def choose(index: int, text: str, *files: Path) -> dict[str, object]:
        message = {"text": text, "files": [str(page_host.uploads() / path) for path in files]}
        chosen = gr.SelectData(None, {"index": index, "value": ""})
        return fill(session, message, chosen)

    assert choose(0, "") == {"text": "One?", "files": ["one.png"]}
    assert choose(1, "One?", Path("cached/one.png")) == {"text": "Two?", "files": ["two.png"]}
    assert choose(0, "typed already") == {"text": "typed already\nOne?", "files": ["one.png"]}
    mine = str(page_host.uploads() / "mine.png")
    assert choose(0, "", Path("mine.png")) == {"text": "One?", "files": [mine, "one.png"]}


def test_an_answer_that_is_left_is_kept_and_shown_no_more(tmp_path: Path) -> None:
    archive, session = Archive(tmp_path), Session()
    engine = ScriptedEngine("Let me look. " * 200, Checkpoint.open(DEMO_FOLDER), token_delay_s=0.01)
    host = Host.of(Model(engine=engine), archive)
    session.begin(Draft("Hello"))
    updates = page_asking.answering(host)(session)
    while "Let me look" not in str(next(updates)):
        pass
    follower = threading.Thread(target=lambda: shown.extend(updates))
    shown: list[object] = []
    follower.start()
    fresh, *_ = page_turns.starting_anew(host)(session, EMPTY)
    follower.join()
    assert shown[-1] == (UNCHANGED,) * 5
    kept = archive.find(session.name)
    assert kept is not None
    assert [(past.question, past.reply.finish_reason) for past in kept.rounds] == [("Hello", "cancelled")]
    assert "Let me look" in kept.rounds[0].reply.reasoning
    assert fresh.rounds == []


def test_the_end_of_an_answer_leaves_the_next_question_on_its_way() -> None:
    session = asked("One")
    session.begin(Draft("Two"))
    assert page_outcome.finish(session, Model()) == (UNCHANGED,) * 3
    assert page_outcome.give_back(session, EMPTY) == UNCHANGED


def test_what_is_dropped_on_the_composer_while_an_answer_runs_stays() -> None:
    """What came back into the composer took its place: a question that failed, or the next one of a card."""
    photo = str(page_host.uploads() / "photo.png")
    dropped = {"text": "", "files": [photo]}
    session = asked("One")
    session.begin(Draft("Two", (page_host.uploads() / "two.png",)))
    session.give_back()
    shown = page_outcome.give_back(session, dropped).value
    assert (shown["text"], [file["orig_name"] for file in shown["files"]]) == ("Two", ["two.png", "photo.png"])
    session.returned = session.filled = Draft("The card's next?")
    assert "value" not in page_outcome.give_back(session, dropped).constructor_args
    assert session.returned is None


def test_a_comparison_that_cannot_begin_leaves_what_was_told() -> None:
    """The line that asks for the other model went at once: a page blanks what gets no value at all."""
    host, comparison = Host.of(Model()), Comparison()
    _, told, _ = page_compare.beginning(host.rivals)({"text": "Which?", "files": []}, comparison, "demo", "")
    assert "Which model is to answer as B? Choose one of the list." in told
    host.rivals.is_open = True
    _, told, _ = page_compare.beginning(host.rivals)({"text": "Which?", "files": []}, comparison, "demo", "")
    assert "NAME@http://HOST:PORT/v1" in told
    compare = page_compare.comparing(host)
    assert list(compare(comparison, Session(), 0, 0)) == [(UNCHANGED, UNCHANGED)]


@pytest.mark.parametrize(("options", "may_compare"), [([], True), (["--fixed-model"], False)])
def test_a_page_whose_model_is_fixed_loads_no_other_one_to_compare(options: list[str], may_compare: bool) -> None:
    """On a page of this machine alone, either side was any model that is here, or one on a server."""
    host = Host.of(Model(engine=ScriptedEngine("Yes.", Checkpoint.open(DEMO_FOLDER))))

    async def start() -> int:  # a page wants a loop
        return launch(host, gr.Blocks(), ["--data", __file__, *options])

    assert asyncio.run(start()) == USER_ERROR, "a file is no folder"
    assert host.rivals.may_compare == may_compare


def test_a_question_about_a_part_is_compared_with_the_picture_that_it_is_a_part_of() -> None:
    """Both models got the cut-out alone, with the place that it has in the whole."""
    whole, part = Path("whole.png"), Path("part.png")
    session = Session(rounds=[Round(Draft("What is it?", (whole,)), Reply("A circle."))])
    for draft, files in (
        (Draft("In this region: Why?", (part,), 0), [whole, part]),
        (Draft("And here?", (part,)), [part]),
        (Draft("Why?"), [whole]),
    ):
        rounds = [*session.rounds, Round(draft, Reply("So it is."))]
        filled = page_compare.filled(EMPTY, EMPTY, Session(rounds=rounds))
        assert [Path(file["path"]).name for file in filled.value["files"]] == [path.name for path in files]


def compared(engine: ScriptedEngine, *prices: float | None, files: Sequence[str] = ()) -> tuple[Comparison, Session]:
    """Two questions to the same model, with the price of the settings at 5, as far as they come with nobody there."""
    host, comparison, session = Host.of(Model(engine=engine)), Comparison(), Session()
    page_compare.beginning(host.rivals)({"text": "Which?", "files": files}, comparison, *[engine.info.model] * 2)
    controls = replace(Choices(), price_per_hour=5.0)
    for _ in page_compare.comparing(host)(comparison, session, *prices, *astuple(controls)):
        pass
    return comparison, session


def test_a_comparison_that_nobody_listens_to_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.host.audience.UNHEARD_S", 0.3)
    comparison, _ = compared(ScriptedEngine("word " * 400, Checkpoint.open(DEMO_FOLDER), token_delay_s=0.01), 0, 0)
    assert comparison.sides[0].reasoning + comparison.sides[0].answer
    assert [side.reply for side in comparison.sides] == [None, None]
    assert comparison.stop.is_set()
    page_compare.finish(comparison)


def test_on_a_full_disk_a_comparison_gives_the_composer_back_and_tells(
    tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Stop stayed for ever, and the page could compare no more until it was loaded again."""
    monkeypatch.setattr(page_compare, "uploads", lambda: tmp_path)
    engine = ScriptedEngine("A square.", Checkpoint.open(DEMO_FOLDER))
    comparison, _ = compared(engine, 0, 0, files=[str(picture)])
    with full_disk():
        composer, replies = page_compare.finish(comparison)
    assert composer.submit_btn is True
    assert replies.count("A square.") == 2
    assert "the disk of the server is full" in replies
    assert not any(side.reply.media for side in comparison.sides if isinstance(side.reply, Result))


def test_on_a_full_disk_what_is_opened_again_and_what_is_dragged_over_are_told(
    tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for handlers in (page_outcome, page_turns):
        monkeypatch.setattr(handlers, "uploads", lambda: tmp_path)
    session = Session(rounds=[Round(Draft("What?", (picture,)), Reply("A square."))])
    claims(session.rounds)  # what reads files cannot be started on such a disk, and would be what is told
    dragged = {"medium": 0, "box": [0, 0, 500, 500]}
    with full_disk():
        seen, *_ = page_outcome.redraw(session)
        _, told = page_turns.point_at(session, dragged)
    assert "the disk of the server is full" in seen
    assert "the disk of the server is full" in told
    assert session.pointed is None


def test_a_price_of_0_is_not_told_and_an_empty_one_is_that_of_the_settings() -> None:
    _, session = compared(ScriptedEngine("Yes.", Checkpoint.open(DEMO_FOLDER)), 0, None)
    assert [record.price_per_hour for record in session.history.records] == [0, 5]


def test_a_question_that_is_asked_again_twice_is_answered_once() -> None:
    session = asked("One")
    session.retry()
    session.is_running = True
    assert list(page_asking.answering(Host.of(Model()))(session)) == [(UNCHANGED,) * 5]


def test_what_is_sent_before_one_that_is_asked_again_is_shown_waits_for_it() -> None:
    """The question that was asked again went, with its answer."""
    session = asked("One")
    page_asking.retry(session)
    assert page_asking.begin({"text": "Two", "files": []}, session) == (UNCHANGED,) * 4
    session.give_back()
    assert [past.draft.question for past in session.rounds] == ["One"]


def test_a_question_without_a_place_in_the_queue_is_given_back_and_one_that_runs_is_not() -> None:
    session = asked("One")
    page_asking.begin({"text": "Two", "files": []}, session)
    session.is_running = True
    assert page_asking.refused(session) == (UNCHANGED, UNCHANGED)
    session.is_running = False
    chat, _ = page_asking.refused(session)
    assert len(chat) == 2
    assert page_outcome.give_back(session, EMPTY).value["text"] == "Two"


def test_a_comparison_without_a_place_in_the_queue_gives_the_composer_back() -> None:
    host, comparison = Host.of(Model()), Comparison()
    page_compare.beginning(host.rivals)({"text": "Which?", "files": []}, comparison, "demo", "other")
    composer, _, replies = page_compare.refused(comparison)
    assert (composer.submit_btn, composer.stop_btn, replies) == (True, False, EMPTY_REPLIES)


def test_an_answer_and_what_it_came_to_come_in_one_stream() -> None:
    """The page had to ask for the second, and waited in the queue once more; what comes last is sent twice."""
    session = Session()
    session.begin(Draft("Where?"))
    host = Host.of(Model(engine=ScriptedEngine("A circle.", Checkpoint.open(DEMO_FOLDER))))
    *_, done, drawn, last = page_asking.answering(host)(session)
    assert "Done" in done[1]
    assert done[2:] == (UNCHANGED,) * 3
    assert drawn[:2] == (UNCHANGED,) * 2
    assert "to the first token" in drawn[3]
    assert last == (UNCHANGED,) * 5


@pytest.mark.parametrize("choice", ["Marked clip", "Marked pictures", "Report"])
def test_nothing_is_written_for_a_page_that_was_closed(
    choice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clip was encoded to its end, minutes long, on the processors and with the worker that others waited for."""
    monkeypatch.setattr(page_takeaway, "uploads", lambda: tmp_path)
    clock_s: Iterator[float] = count(0.0, 5.0)  # each look at it is five seconds later
    host = replace(Host.of(Model()), audience=Audience(lambda: next(clock_s)))
    answer = '[{"time": 1, "bbox_2d": [100, 100, 900, 900], "label": "a"}]'
    session = Session(rounds=[Round(Draft("Where?", (write_clip(tmp_path / "a.mp4"),)), Reply(answer))])
    assert page_takeaway.taking(page_takeaway.CHOICES[choice], host)(session) == UNCHANGED
    assert list((tmp_path / "taken").iterdir()) == []


@pytest.mark.parametrize("choice", ["Table (CSV)", "COCO"])
def test_what_a_full_disk_cut_off_does_not_stay_on_it(
    choice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try took more of what room there was left, for a day."""
    monkeypatch.setattr(page_takeaway, "uploads", lambda: tmp_path)
    answer = '[{"time": 0.1, "bbox_2d": [100, 100, 900, 900], "label": "a"}]'
    session = Session(rounds=[Round(Draft("Where?", (write_clip(tmp_path / "a.mp4"),)), Reply(answer))])
    claims(session.rounds)  # what reads files cannot be started on such a disk, and would be what is told
    with full_disk(), pytest.warns(UserWarning, match="the disk of the server is full"):
        put_away = page_takeaway.taking(page_takeaway.CHOICES[choice], Host.of(Model()))(session)
    assert put_away.value is None
    assert list((tmp_path / "taken").iterdir()) == []


def test_two_who_take_along_at_once_sweep_what_is_old(tmp_path: Path) -> None:
    """Who met a folder that the other had just deleted got no files."""
    both = threading.Barrier(2)

    def sweep(folder: Path) -> Path:
        both.wait()
        return page_takeaway._swept(folder)

    with ThreadPoolExecutor(2) as pool:
        for number in range(5):
            for name in range(200):
                old = tmp_path / f"{number}" / f"{name}"
                old.mkdir(parents=True)
                os.utime(old, (0, 0))
            swept = [pool.submit(sweep, tmp_path / f"{number}") for _ in range(2)]
            assert swept[0].result() == swept[1].result()
    assert not list(tmp_path.glob("*/*"))
