"""Words with their tokens, heat maps as styles, and the check of a claim by the model that ships."""

from __future__ import annotations

import base64
import io
import json
import math
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event as Flag
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipelines.asides import check, check_claim, gaze, grounded, with_article
from pipelines.checkpoint import Checkpoint
from pipelines.conversation import Draft, Reply, Round
from pipelines.demo.scenes import draw_named
from pipelines.engine import Enter, LocalEngine, ScriptedEngine, Step
from pipelines.engine.placement import choose_placement
from pipelines.host.policy import PUBLIC_HOST
from pipelines.inputs import ModelInputs
from pipelines.models import DEMO_FOLDER
from pipelines.present.answered import Answered
from pipelines.present.heat import NOT_TOLD, heat_html, soft, top
from pipelines.present.reopened import reopened
from pipelines.present.shelf import Shelf
from pipelines.present.word_by_word import EMPTY, MAX_WORDS, OF_A_SERVER, words_html
from pipelines.present.words import words_of
from pipelines.serving.asking import ask
from pipelines.serving.looking_back import checked, where_it_looked
from pipelines.serving.model import Model
from pipelines.serving.session import Session
from pipelines.types import Gaze, Grounding, Picture, Region, Request, Said, Sampling, Settings, Token
from tests.media_makers import write_clip
from tests.present_values import result


def test_words_that_a_server_does_not_tell_are_not_promised() -> None:
    """The panel went on saying that they appear there."""
    there = replace(result().engine, engine="openai", server="box:8000")
    assert words_html(replace(result(), engine=there)) == OF_A_SERVER
    assert words_html(result()) == words_html(None) == EMPTY


def test_a_word_holds_the_tokens_that_begin_in_it_and_their_probability() -> None:
    texts = [("reasoning", "Hm", None), ("reasoning", "</think>", -0.1), ("answer", "A", -0.5), ("answer", " st", -1.0)]
    texts += [("answer", "ar", -0.25), ("answer", ".", None)]
    said = [Said(Token(0, text, logprob), channel) for channel, text, logprob in texts]  # type: ignore[arg-type]
    words = words_of(said, "answer")
    assert [(word.text, word.tokens) for word in words] == [("A", range(2, 3)), (" star.", range(3, 6))]
    assert words[0].probability == pytest.approx(math.exp(-0.5))
    assert words[1].probability is None
    assert [word.text for word in words_of(said, "reasoning")] == ["Hm"]
    assert words_of([], "answer") == []


def no_frame(number: int, time_s: float) -> NDArray[np.uint8]:
    raise AssertionError(f"no frame was asked for: {number} {time_s}")


def test_the_line_names_the_picture_that_has_the_ring() -> None:
    """It lay behind a tab, and nothing told behind which."""
    weights = np.zeros((1, 8), np.float16)
    weights[0, 6] = 0.5
    gaze = Gaze(weights, ((1, 2, 2), (1, 2, 2)))
    two = Answered(Request("Where?", (Path("a.png"), Path("b.png"))), Grounding(), {})
    assert "The ring in Picture 2 is where most of it met." in heat_html(gaze, range(1), two, no_frame)


def test_a_frame_that_the_strip_leaves_out_is_taken_from_the_file() -> None:
    """Of 200 frames 32 are shown; the one that weighs most is none of them."""
    weights = np.zeros((1, 400), np.float16)
    weights[0, 4 * 2 + 1] = 0.5
    asked: list[tuple[int, float]] = []

    def frame_at(number: int, time_s: float) -> NDArray[np.uint8]:
        asked.append((number, time_s))
        return np.zeros((20, 30, 3), np.uint8)

    answered = Answered(Request("?", (Path("a.mp4"),)), Grounding(), {0: tuple(n / 2 for n in range(200))})
    html = heat_html(Gaze(weights, ((100, 2, 2),)), range(1), answered, frame_at)
    assert asked == [(0, 2.0)]
    assert "<figcaption>2.0 s</figcaption>" in html
    assert "#heat .gb-frame .gb-stage::after" in html


def test_the_heat_map_of_a_clip_brings_the_frames_that_weigh_most_forward() -> None:
    weights = np.zeros((1, 12), np.float16)
    weights[0, 9] = 0.5
    answered = Answered(Request("?", (Path("a.mp4"),)), Grounding(), {0: (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)})
    html = heat_html(Gaze(weights, ((3, 2, 2),)), range(1), answered, no_frame)
    forward = html[: html.index("order:-1")].rsplit("}", 1)[-1]
    assert forward.count('data-time="2"') == forward.count('data-time="2.5"') == 1
    assert "50% of the attention" in html
    assert "cannot be told" in heat_html(Gaze(weights, ((3, 2, 2),)), range(5, 6), answered, no_frame)


def test_the_map_that_is_drawn_is_highest_between_the_tokens_that_share_the_weight() -> None:
    """Its picture is densest there, and so is the ring; a lone token has it in its middle."""
    weights = np.zeros((1, 20), np.float16)
    weights[0, [6, 7, 11]] = 0.4, 0.2, 0.1
    answered = Answered(Request("?", (Path("a.png"),)), Grounding(), {})
    html = heat_html(Gaze(weights, ((1, 4, 5),)), range(1), answered, no_frame)
    drawn = base64.b64decode(re.findall(r"base64,([^)]+)", html)[0])
    alpha = np.asarray(Image.open(io.BytesIO(drawn)))[..., 3]
    assert alpha.shape == (154, 192)
    rows, columns = (alpha == alpha.max()).nonzero()
    expected = np.array([1.5 + 0.2 / 0.6, 1.5 + 0.1 / 0.7])  # the middle of token 6, and its neighbours' pull
    assert [columns.mean() / 192 * 5, rows.mean() / 154 * 4] == pytest.approx(expected, abs=0.08)
    [(x, y)] = re.findall(r"circle at ([\d.]+)% ([\d.]+)%", html)
    assert [float(x) / 100 * 5, float(y) / 100 * 4] == pytest.approx(expected, abs=0.08)
    lone = np.zeros((3, 3), np.float32)
    lone[1, 2] = 1
    assert top(soft(lone)) == pytest.approx((833, 500), abs=5)


@pytest.mark.parametrize(
    ("label", "words"), [("red circle", "a red circle"), ("orange star", "an orange star"), ("the  cat", "the cat")]
)
def test_a_label_gets_its_article(label: str, words: str) -> None:
    assert with_article(label) == words


def test_a_true_claim_is_held_likelier_than_a_false_one() -> None:
    engine = LocalEngine.load(DEMO_FOLDER, "demo")
    names = [("circle", "red"), ("square", "blue"), ("star", "green")]
    scene = draw_named(random.Random(3), names, (256, 256))
    for thing in scene.things:
        x1, y1, x2, y2 = thing.box_coords
        told = [
            check(
                Picture("a.png", scene.rgb),
                Region(label, box=(float(x1), float(y1), float(x2), float(y2))),
                engine,
                Settings(),
                Flag(),
            )
            for label in (thing.name, "yellow triangle")
        ]
        assert told[0] is not None
        assert told[1] is not None
        assert told[0] > told[1]


@pytest.mark.parametrize("most", [1, 4])
def test_a_claim_is_checked_whatever_room_there_was_for_the_answer(engine: LocalEngine, most: int) -> None:
    """It is thought about to its end; and of what it took, nothing stays."""
    scene = draw_named(random.Random(3), [("circle", "red")], (256, 256))
    x1, y1, x2, y2 = map(float, scene.things[0].box_coords)
    item, region = Picture("a.png", scene.rgb, "red circle"), Region("red circle", box=(x1, y1, x2, y2))
    whole, short = (check(item, region, engine, Settings(max_new_tokens=n), Flag()) for n in (2048, most))
    assert whole is not None
    assert short == pytest.approx(whole)
    engine.scheduler.wait_idle()
    assert engine.scheduler.snapshots.num_bytes == 0


class Counted(ScriptedEngine):
    """Counts the tokens that it gives."""

    num_tokens = 0

    def generate(
        self, inputs: ModelInputs, settings: Settings, enter: Enter, stop: Flag, hurry: Flag | None = None
    ) -> Iterator[Step]:
        for step in super().generate(inputs, settings, enter, stop, hurry):
            self.num_tokens += isinstance(step, Token)
            yield step


def test_a_check_takes_no_more_tokens_than_the_host_allows(picture: Path) -> None:
    """It took as many as a reply may think, which hosts do not bound: they bound the reply."""
    engine = Counted("The circle is red. " * 2000, Checkpoint.open(DEMO_FOLDER))
    settings = PUBLIC_HOST.lowered(Settings(max_thinking_tokens=4096))
    region = Region("red circle", box=(0.0, 0.0, 1000.0, 1000.0))
    assert check_claim(Request("Where?", (picture,), settings), region, engine, Flag()) is None
    assert 0 < engine.num_tokens <= PUBLIC_HOST.max_new_tokens


def test_of_a_file_that_is_not_opened_because_of_a_stop_nothing_is_told(engine: LocalEngine, tmp_path: Path) -> None:
    """It raised what only the reader of files knows."""
    clip = write_clip(tmp_path / "a.mp4", frames=36)  # of no other test: it would be kept
    request, region, stop = (
        Request("Where?", (clip,)),
        Region("square", box=(0.0, 0.0, 500.0, 500.0), time_s=0.5),
        Flag(),
    )
    stop.set()
    assert check_claim(request, region, engine, stop) is None
    assert gaze(request, replace(result(), token_ids=(5, 6)), engine, stop) is None


def test_a_thought_about_a_claim_that_does_not_end_tells_nothing(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.asides.CLOSING_TOKENS", 0)
    item = Picture("a.png", np.full((64, 64, 3), 200, np.uint8), "plain")
    region = Region("red circle", box=(0.0, 0.0, 1000.0, 1000.0))
    assert check(item, region, engine, Settings(max_thinking_tokens=1), Flag()) is None


def answered(model: Model, settings: Settings, file: Path) -> Session:
    """A question about a file, and what the page keeps of its answer."""
    session = Session()
    session.begin(Draft("What moves?", (file,)))
    *_, last = ask(session, settings, model.answer)
    assert "Done" in last.status
    return session


def test_what_is_looked_back_at_is_what_was_seen_within_the_limits_of_the_host(
    engine: LocalEngine, tmp_path: Path
) -> None:
    """Which are lower than what the page asked for."""
    model = Model("demo", engine)
    model.policy = replace(PUBLIC_HOST, max_frames=4)
    session = answered(model, Settings(num_frames=12, sampling=Sampling()), write_clip(tmp_path / "a.mp4", frames=48))
    assert where_it_looked(session, "0 1", model) != NOT_TOLD
    assert session.answered is not None
    assert session.answered.gaze is not None
    assert session.answered.gaze.grids[0][0] == 2
    assert len(session.answered.times_s[0]) == 4


def test_where_another_model_looked_is_not_told(engine: LocalEngine, loaded: LocalEngine, picture: Path) -> None:
    session = answered(Model("demo", engine), Settings(sampling=Sampling()), picture)
    other = LocalEngine(loaded.model, loaded.checkpoint, "other", choose_placement(DEMO_FOLDER))
    assert where_it_looked(session, "0 1", Model("other", other)) == NOT_TOLD
    other.scheduler.close()
    assert where_it_looked(session, "0 1", Model("demo", engine)) != NOT_TOLD


def test_what_stands_next_to_a_mark_does_not_count() -> None:
    """The part is shown alone: none of its neighbours, in the middle of a ground of its own colour."""
    rgb = np.full((100, 200, 3), 200, np.uint8)
    rgb[40:60, 90:110] = 0, 0, 255
    part = grounded(Picture("part", rgb[35:65, 85:125], "one"))
    assert part.rgb.shape == (120, 120, 3)
    assert np.array_equal(part.rgb[45:75, 40:80], rgb[35:65, 85:125])
    assert (part.rgb[:45] == 200).all()
    assert part.content == "one alone"
    large = Picture("large", np.zeros((3000, 10, 3), np.uint8))
    assert grounded(large).rgb.shape == (3000, 2048, 3)


def test_a_mark_of_a_conversation_that_is_opened_again_is_checked_too(tmp_path: Path) -> None:
    """A red circle that is called a green star is doubtful."""
    model = Model("demo", LocalEngine.load(DEMO_FOLDER, "demo"))
    scene = draw_named(random.Random(3), [("circle", "red")], (256, 256))
    Image.fromarray(scene.rgb).save(tmp_path / "circle.png")
    box = list(scene.things[0].box_coords)
    said = json.dumps([{"bbox_2d": box, "label": "red circle"}, {"bbox_2d": box, "label": "green star"}])
    session = Session(rounds=[Round(Draft("Where?", (tmp_path / "circle.png",)), Reply(said))])
    _, session.answered = reopened(session.rounds, Shelf(tmp_path))
    right, wrong = (checked(session, number, model) for number in ("1", "2"))
    assert (right["number"], right["is_doubtful"]) == ("1", False)
    assert (wrong["number"], wrong["is_doubtful"]) == ("2", True)
    assert where_it_looked(session, "0 1", model) == NOT_TOLD
    assert words_html(None) == EMPTY


def test_a_check_of_an_answer_that_another_one_followed_is_written_on_no_mark(picture: Path) -> None:
    class Following(Counted):
        """Has a further question answered while the thought about a mark is written."""

        def generate(self, inputs: ModelInputs, settings: Settings, *flags: Any) -> Iterator[Step]:
            _, session.answered = reopened(session.rounds, Shelf(picture.parent))
            yield from super().generate(inputs, settings, *flags)

    engine = Following("The circle is red.</think>\n\nYes", Checkpoint.open(DEMO_FOLDER))
    session = Session(
        rounds=[Round(Draft("Where?", (picture,)), Reply('{"bbox_2d": [0, 0, 900, 900], "label": "dog"}'))]
    )
    _, session.answered = reopened(session.rounds, Shelf(picture.parent))
    assert checked(session, "1", Model("demo", engine)) == {}


def test_a_check_ends_with_its_conversation_and_is_written_on_no_mark_of_the_next(picture: Path) -> None:
    """It went on for nobody, and then stood on the mark of that number, whatever that was."""

    class Leaving(Counted):
        """Has the conversation left as the thought about a mark begins."""

        def generate(self, inputs: ModelInputs, settings: Settings, *flags: Any) -> Iterator[Step]:
            for step in super().generate(inputs, settings, *flags):
                session.close()
                yield step

    engine = Leaving("The circle is red.</think>\n\nYes", Checkpoint.open(DEMO_FOLDER))
    session = Session(
        rounds=[Round(Draft("Where?", (picture,)), Reply('{"bbox_2d": [0, 0, 900, 900], "label": "dog"}'))]
    )
    _, session.answered = reopened(session.rounds, Shelf(picture.parent))
    assert checked(session, "1", Model("demo", engine)) == {}
    assert engine.num_tokens == 1


def test_words_that_are_not_shown_are_counted() -> None:
    """A long thought ended in the middle without a word."""
    long = [Said(Token(0, " step", -0.1), "reasoning")] * (MAX_WORDS + 1234)
    html = words_html(replace(result(), said=tuple(long)))
    assert "1,234 more are not shown." in html
    assert html.count("data-tokens") == MAX_WORDS
    assert "<h3>Thought</h3>" in html  # below the page's second level
    assert "not shown" not in words_html(replace(result(), said=tuple(long[:MAX_WORDS])))
