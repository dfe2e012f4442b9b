"""What the page shows of a closer look: whatever is looked at, it is drawn, and it never costs the answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipelines.conversation import Reply
from pipelines.present import closer
from pipelines.present.closer import looked
from pipelines.serving.exchange import replied
from pipelines.types import Box, Look, Picture


def look_at(box: Box, height: int = 300, width: int = 400) -> Look:
    rgb = np.zeros((height, width, 3), np.uint8)
    return Look("", "", "zoom", {}, 1.0, Picture("part", rgb[:9, :9]), box=box, whole=Picture("photo.jpg", rgb))


def text_of(look: Look) -> str:
    return str(looked(look.reduced(), 1)["content"])


@pytest.mark.parametrize(
    "box", [(500.0, 500.0, 500.9, 501.1), (999.9, 0.0, 1000.0, 1000.0), (10.0, 500.0, 600.0, 501.0)]
)
def test_a_part_thinner_than_a_pixel_of_the_reduced_picture_is_framed(box: Box) -> None:
    """Its far edge was drawn a pixel before the near one, which Pillow refuses, and the whole answer was lost."""
    assert text_of(look_at(box, 3000, 1000)).count("<img") == 2


def test_what_all_thoughts_took_is_not_told_of_the_last() -> None:
    """The thought behind a look had the tokens and the seconds of those before it, too."""
    reply = Reply("A star.", "It is a star.", thought_s=2.0, num_thought_tokens=44)
    (alone, _), (*_, last, _) = replied(reply), replied(replace(reply, looks=(look_at((0.0, 0.0, 500.0, 500.0)),)))
    assert alone["metadata"] == {"title": "Thought", "status": "done", "duration": 2.0, "log": "44 tokens"}
    assert last["metadata"] == {"title": "Thought", "status": "done"}


def test_a_look_that_cannot_be_drawn_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise ValueError("no")

    monkeypatch.setattr(closer, "data_uri", fail)
    text = text_of(look_at((0.0, 0.0, 500.0, 500.0)))
    assert "a part at (0, 0, 500, 500) of photo.jpg" in text
    assert "<img" not in text
