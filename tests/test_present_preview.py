"""What is told of files before they are asked about."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.present.preview import FIRST_FRAME, preview_html
from pipelines.present.status import SERVER_FAULT
from pipelines.types import Probe, ProbedClip, ProbedPicture, Settings, Sight, UserError
from tests.present_values import HOSTILE

KNOWN: dict[str, tuple[Probe, Sight]] = {
    "shapes.png": (ProbedPicture("shapes.png", 512, 384), Sight(192, 160, 1, 30)),
    "walk.webp": (ProbedPicture("walk.webp", 512, 384, is_animated=True), Sight(192, 160, 1, 30)),
    "walk.mp4": (ProbedClip("walk.mp4", 640, 360, [], 12.0), Sight(320, 192, 24, 720)),
    "one.mp4": (ProbedClip("one.mp4", 32, 32, [0.0], 0.04), Sight(32, 32, 1, 1)),
}


def foresee(path: Path, _settings: Settings) -> tuple[Probe, Sight]:
    if path.name == "bad.png":
        raise UserError(f'"{HOSTILE}" is empty.')
    return KNOWN[path.name]


def lines(*names: str) -> list[str]:
    return re.findall("<li.*?>(.*?)</li>", preview_html([Path(name) for name in names], Settings(), foresee))


def test_nothing_is_told_of_nothing() -> None:
    assert preview_html([], Settings(), foresee) == ""


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("shapes.png", "shapes.png: 512 × 384 px, seen at 192 × 160: 30 visual tokens"),
        ("walk.webp", f"walk.webp: 512 × 384 px, seen at 192 × 160: 30 visual tokens · {FIRST_FRAME}"),
        ("walk.mp4", "walk.mp4: 12.0 s, 24 frames seen at 320 × 192: 720 visual tokens"),
        ("one.mp4", "one.mp4: 0.0 s, 1 frame seen at 32 × 32: 1 visual token"),
    ],
)
def test_a_file_has_its_line(name: str, told: str) -> None:
    assert lines(name) == [told]


def test_what_a_server_is_sent_is_not_told_as_what_it_sees() -> None:
    """transformers' server made 192 × 160 of a picture that was told as seen at 512 × 384."""

    def sent(path: Path, settings: Settings) -> tuple[Probe, Sight]:
        probe, sight = foresee(path, settings)
        return probe, replace(sight, num_visual_tokens=None)

    told = preview_html([Path("shapes.png"), Path("walk.mp4")], Settings(), sent)
    assert "shapes.png: 512 × 384 px, sent at 192 × 160<" in told
    assert "walk.mp4: 12.0 s, 24 frames sent at 320 × 192<" in told


def test_several_files_have_their_sum() -> None:
    assert lines("shapes.png", "walk.mp4")[-1] == "Together 750 visual tokens"


def test_a_bad_file_has_its_sentence_among_the_others() -> None:
    assert lines("bad.png", "shapes.png")[0] == "&quot;&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&quot; is empty."
    assert len(lines("bad.png", "shapes.png")) == 2


def test_a_fault_of_the_server_is_told_and_not_raised() -> None:
    assert lines("unheard-of.png") == [SERVER_FAULT]
