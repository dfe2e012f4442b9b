"""Words with their tokens, heat maps as styles, and the check of a claim by the model that ships."""

from __future__ import annotations

import math
import random
import threading
from pathlib import Path

import numpy as np
import pytest

from pipelines.asides import check, with_article
from pipelines.demo.scenes import draw_named
from pipelines.engine import LocalEngine
from pipelines.models import DEMO_FOLDER
from pipelines.present.answered import Answered
from pipelines.present.heat import heat_html
from pipelines.present.words import words_of
from pipelines.types import Gaze, Picture, Region, Request, Said, Settings, Token
from tests.present_values import result


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


def test_the_heat_map_of_a_clip_brings_the_frames_that_weigh_most_forward() -> None:
    weights = np.zeros((1, 12), np.float16)
    weights[0, 9] = 0.5
    answered = Answered(Request("?", (Path("a.mp4"),)), result(), {0: (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)})
    html = heat_html(Gaze(weights, ((3, 2, 2),)), range(1), answered)
    forward = html[: html.index("order:-1")].rsplit("}", 1)[-1]
    assert forward.count('data-time="2"') == forward.count('data-time="2.5"') == 1
    assert "50% of the attention" in html
    assert "cannot be told" in heat_html(Gaze(weights, ((3, 2, 2),)), range(5, 6), answered)


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
                threading.Event(),
            )
            for label in (thing.name, "yellow triangle")
        ]
        assert told[0] is not None
        assert told[1] is not None
        assert told[0] > told[1]
