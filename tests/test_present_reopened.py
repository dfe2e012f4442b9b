"""The Evidence pane of a conversation that is opened again: as it was, from files and what is kept of replies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.archive import Archive
from pipelines.checkpoint import Checkpoint
from pipelines.conversation import Draft, Reply, Round, Seen
from pipelines.engine import ScriptedEngine
from pipelines.fusion import seen_pixels
from pipelines.models import DEMO_FOLDER
from pipelines.present.evidence import EMPTY, Given, evidence_html
from pipelines.present.reopened import reopened
from pipelines.present.shelf import Shelf
from pipelines.run import answer
from pipelines.serving.exchange import chat_of, replied
from pipelines.types import Clip, Grounding, Request, Result
from tests.media_makers import write_clip

MARKED = (
    '[{"bbox_2d": [312, 250, 572, 562], "label": "blue square", "image": "Picture 1"}]\n\n'
    '[{"time": 1.0, "bbox_2d": [100, 100, 300, 400], "label": "ball"}] and it turns from 0:01 to 0:02.'
)


def told(files: tuple[Path, ...], said: str = MARKED) -> Result:
    engine = ScriptedEngine(f"Look.</think>\n\n{said}", Checkpoint.open(DEMO_FOLDER))
    *_, result = answer(Request("Where?", files), engine)
    assert isinstance(result, Result)
    return result


def kept(archive: Archive, rounds: Sequence[Round], uploads: Path) -> list[Round]:
    """The rounds as the archive gives them back."""
    archive.save("a", rounds)
    found = archive.find("a")
    assert found is not None
    return archive.rounds(found, uploads)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "ball.mp4", frames=60)


def test_the_pane_is_drawn_as_it_was(archive: Archive, tmp_path: Path, picture: Path, clip: Path) -> None:
    """Marks, frames, their times, the sizes that the model saw, and its pixels."""
    files, shelf = (picture, clip), Shelf(tmp_path / "uploads")
    result = told(files)
    again = kept(archive, [Round(Draft("Where?", files), Reply.of(result))], shelf.folder)
    pane, answered = reopened(again, shelf)
    given = Given(2, 0, again[0].draft.files, shelf, seen_pixels)
    assert pane == evidence_html(result, given)
    assert "blue square" in pane
    assert answered is not None
    assert answered.grounding == result.grounding
    assert answered.request.files == again[0].draft.files
    assert answered.result is None


def test_hours_that_a_picture_shows_are_no_span_of_the_clip_beside_it(
    archive: Archive, tmp_path: Path, picture: Path, clip: Path
) -> None:
    files, shelf = (picture, clip), Shelf(tmp_path / "uploads")
    result = told(files, "The sign says: open 9:00 - 17:00.")
    assert result.grounding == Grounding()
    again = kept(archive, [Round(Draft("Where?", files), Reply.of(result))], shelf.folder)
    seen = result.media[1]
    assert isinstance(seen, Clip)
    assert again[0].reply.ends_s == pytest.approx((0.0, seen.duration_s), abs=0.5)
    _, answered = reopened(again, shelf)
    assert answered is not None
    assert answered.grounding == Grounding()
    for said, is_linked in {"The clock shows 10:10.": False, "It turns at 0:01.": True}.items():
        (*_, message) = replied(Reply.of(told(files, said)))
        assert ("#gb-time" in str(message["content"])) == is_linked
        assert "#gb-time" not in str(replied(Reply.of(told((picture,), said)))[-1]["content"])
    assert "names no place and no time" in evidence_html(told((picture,), "The clock shows 10:10."), Given(1))


def test_words_point_at_the_same_marks_as_before(archive: Archive, tmp_path: Path, picture: Path, clip: Path) -> None:
    """What tells two marks apart are the media that they lie on: these are known later too."""
    cup = '[{"bbox_2d": [100, 100, 300, 300], "label": "cup"}]'
    result = told((picture, clip), f"Picture 1: {cup}\n\nVideo 1: {cup}\n\n{cup.replace('cup', 'dog')} is a dog")
    rounds = [Round(Draft("Where?", (picture, clip)), Reply.of(result))]
    again = chat_of(kept(archive, rounds, Shelf(tmp_path / "uploads").folder))
    assert again[-1] == chat_of(rounds)[-1]
    assert "[3 dog](#gb-marks-3)" in str(again[-1])


def test_the_last_answer_is_shown_with_the_files_of_all(
    archive: Archive, tmp_path: Path, picture: Path, clip: Path
) -> None:
    first, second = told((clip,)), told((clip, picture), '[{"bbox_2d": [1, 2, 3, 4], "label": "it"}]')
    rounds = [
        Round(Draft("What?", (clip,)), Reply.of(first)),
        Round(Draft("In this region", (picture,), about=0), Reply.of(second)),
    ]
    again = kept(archive, rounds, tmp_path / "uploads")
    assert again[1].draft.about == 0
    pane, answered = reopened(again, Shelf(tmp_path / "uploads"))
    assert answered is not None
    assert [region.media_index for region in answered.grounding.regions] == [0]
    assert answered.request.history == (again[0].turn,)
    assert pane.count("<section") == 2
    pane, _ = reopened([*again, Round(Draft("And now?"), Reply("It stays."))], Shelf(tmp_path / "uploads"))
    assert "<h2>Clip 1 " in pane, "the question after it is about the same clip, and not about the part"
    assert pane.count("<section") == 1


def test_of_many_frames_those_are_opened_that_are_shown(archive: Archive, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "long.mp4", frames=200, rate=20)
    reply = Reply.of(told((clip,), '[{"time": 3.3, "point_2d": [1, 2], "label": "x"}]'))
    sight = replace(reply.seen[0].sight, num_frames=100)
    reply = replace(reply, seen=(Seen(sight, tuple(number / 10 for number in range(100))),))
    again = kept(archive, [Round(Draft("?", (clip,)), reply)], tmp_path / "uploads")
    pane, answered = reopened(again, Shelf(tmp_path / "uploads"))
    assert answered is not None
    assert len(answered.times_s[0]) < 40
    assert 3.3 in answered.times_s[0]
    assert "The model saw 100 frames of 10.0 s" in pane


def test_of_a_conversation_from_before_it_was_kept_some_frames_are_shown(tmp_path: Path, clip: Path) -> None:
    reply = replace(Reply.of(told((clip,))), seen=())
    pane, _ = reopened([Round(Draft("?", (clip,)), reply)], Shelf(tmp_path))
    assert "Some frames of 2.4 s" in pane
    assert "The model saw" not in pane
    assert "ball" in pane


def test_without_files_there_is_nothing_and_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    assert reopened([], Shelf(tmp_path)) == (EMPTY, None)
    assert reopened([Round(Draft("Hi"), Reply("Hello."))], Shelf(tmp_path)) == (EMPTY, None)
    pane, answered = reopened([Round(Draft("?", (tmp_path / "<gone>.png",)), Reply("A."))], Shelf(tmp_path))
    assert "&lt;gone&gt;.png" in pane
    assert answered is None
