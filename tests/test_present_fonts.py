"""Letters that are drawn into pictures and clips, of whatever script."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pipelines.present.burnt import burnt
from pipelines.present.film import captioned
from pipelines.present.fonts import fitted, font_for, own_font
from pipelines.present.overlay import Mark
from pipelines.types import Region

IN_NO_FONT = "\U000f1234\U000f1235"
"""For private use."""
GREY = np.full((240, 320, 3), 128, np.uint8)


def tagged(label: str) -> Image.Image:
    return burnt(GREY, [Mark(1, Region(label, box=(100.0, 300.0, 900.0, 900.0)))])


def test_a_label_that_no_font_can_write_leaves_its_number() -> None:
    """It was a row of empty boxes, as was every label in Japanese, Chinese or Arabic."""
    assert font_for(IN_NO_FONT, 20) is None
    assert tagged(IN_NO_FONT) == tagged(IN_NO_FONT * 4)
    assert tagged(IN_NO_FONT) != tagged("circle")


def test_a_label_that_is_cut_off_says_so() -> None:
    """It looked as one that ends there, and in a narrow picture its letters ran out of it."""
    assert tagged("x" * 22) != tagged("x" * 30)
    narrow = burnt(GREY[:, :60], [Mark(1, Region("blue square", box=(0.0, 300.0, 900.0, 900.0)))])
    assert narrow.crop((57, 60, 60, 71)).getcolors() == [(33, (128, 128, 128))]


def test_a_font_of_the_machine_writes_what_pillows_own_cannot() -> None:
    font = font_for("Круг", 20)
    if font is None:
        pytest.skip("no font of this machine has Cyrillic letters")
    assert font.getmask("Кру").getbbox() != own_font(20).getmask("Кру").getbbox()
    assert tagged("Круг") != tagged(IN_NO_FONT)


def test_a_caption_stays_within_its_picture() -> None:
    frame = captioned(GREY, [], "it turns around and around and comes back again and again and stops")
    band = frame[-20:]
    assert band[:, :300].max() > 200
    assert band[:, -10:].max() < 60
    assert (captioned(GREY, [], IN_NO_FONT) == captioned(GREY, [], "event")).all()


def test_a_text_is_shortened_to_the_room_that_it_has() -> None:
    font = own_font(20)
    assert fitted("circle", font, 200) == "circle"
    short = fitted("a circle that goes on " * 1000, font, 200)
    assert short.endswith("…")
    assert 100 < font.getlength(short) <= 200
