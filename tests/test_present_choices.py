"""The settings of the page: as a request takes them, and what they will cost."""

from __future__ import annotations

from dataclasses import astuple, replace
from pathlib import Path

import pytest

from pipelines.engine.presets import FAST as FAST_SAMPLING
from pipelines.engine.presets import GREEDY, THINKING, THINKING_PRECISE
from pipelines.present.choices import BY_NUMBER, CLIP_DETAILS, DETAILS, FAST, THINK, Choices
from pipelines.present.figures.pace import Pace, Paces
from pipelines.present.outlook import Here, foretell, line_html, table_html
from pipelines.present.sampling import ADVISED, CUSTOM, NAMES, PRESETS, filling
from pipelines.types import (
    Probe,
    ProbedClip,
    ProbedPicture,
    Record,
    Roofline,
    Sampling,
    Settings,
    Sight,
    Span,
    Timing,
    TokenCounts,
    UserError,
)
from tests.present_values import INFO

START = Choices()


def test_choices_become_settings() -> None:
    assert START.settings() == Settings(max_frames=128)
    assert replace(START, frames_by=BY_NUMBER, max_frames=16).settings() == Settings(num_frames=16, max_frames=16)
    assert replace(START, effort="Brief").settings() == Settings(max_frames=128, max_thinking_tokens=256)
    assert replace(START, clip_detail="Low").settings() == Settings(max_frames=128, max_clip_tokens=1_536)
    assert replace(START, system="Be brief.").settings() == Settings(max_frames=128, system="Be brief.")
    assert replace(START, mode=FAST, seed=7).settings() == Settings(thinking=False, max_frames=128, seed=7)


def test_what_only_a_program_sends_is_brought_into_bounds() -> None:
    wild = Choices(FAST, "?", "?", "?", "?", -1.0, 0, "", False, -2.0, CUSTOM, -1, 0, -1, 5, 3, 0, 0, 0).settings()
    assert (wild.thinking, wild.max_new_tokens, wild.max_frames, wild.num_frames) == (False, 1, 1, None)
    assert (wild.max_pixels, wild.max_clip_tokens) == (DETAILS["Standard"], CLIP_DETAILS["Full"])
    assert wild.sampling == Sampling(0, 0.01, 0, 1, 3, 0.01)


def test_a_preset_is_sent_as_it_stands_and_the_cards_advice_is_left_to_the_model() -> None:
    assert START.settings().sampling is None
    assert replace(START, preset="Thinking, general", temperature=0.1).settings().sampling == THINKING
    own = replace(START, preset=CUSTOM, temperature=0.3, top_k=5, repetition_penalty=1.1)
    assert own.settings().sampling == Sampling(0.3, top_k=5, repetition_penalty=1.1)


@pytest.mark.parametrize(
    ("name", "model", "thinking", "sampling"),
    [
        ("Thinking, precise", "demo", False, THINKING_PRECISE),
        (ADVISED, "demo", True, GREEDY),
        (ADVISED, "4B", True, THINKING),
        (ADVISED, "0.8B", True, THINKING_PRECISE),
        (ADVISED, "9B", False, FAST_SAMPLING),
        (ADVISED, "another", True, None),
        (CUSTOM, "4B", True, None),
    ],
)
def test_a_preset_fills_the_fields(name: str, model: str, thinking: bool, sampling: Sampling | None) -> None:
    assert filling(name, model, thinking=thinking) == (None if sampling is None else astuple(sampling))


def test_every_official_preset_is_offered() -> None:
    assert {*PRESETS} < {*NAMES}
    assert {(value.temperature, value.top_p, value.top_k, value.presence_penalty) for value in PRESETS.values()} >= {
        (1.0, 0.95, 20, 1.5), (0.6, 0.95, 20, 0.0), (0.7, 0.8, 20, 1.5), (1.0, 1.0, 40, 2.0), (1.0, 1.0, 20, 2.0),
    }  # fmt: skip


PROBES: dict[str, tuple[Probe, int, int]] = {
    "a.png": (ProbedPicture("a.png", 2000, 1000), 2_000, 1),
    "still.mp4": (ProbedClip("still.mp4", 640, 480, [0.0], 0.1), 64, 1),
    "b.mp4": (ProbedClip("b.mp4", 640, 480, [0.0, 0.5], 1.0), 9_000, 2),
}


def foresee(path: Path, settings: Settings) -> tuple[Probe, Sight]:
    if path.name not in PROBES:
        raise UserError("It cannot be read.")
    probe, tokens, frames = PROBES[path.name]
    bound = settings.max_clip_tokens if isinstance(probe, ProbedClip) else settings.max_pixels // 1024
    return probe, Sight(32, 32, frames, min(tokens, bound))


PACE = Pace(frame_ms=100, visual_ms=1, prompt_ms=1, reply_ms=10, thought=200, answer=20, text=50, num_requests=3)
FILES = [Path("a.png"), Path("b.mp4"), Path("bad")]


def test_a_question_costs_what_its_files_and_the_usual_reply_do() -> None:
    outlook = foretell(FILES, START, Here(foresee, PACE))
    assert outlook.num_visual == 1_024 + 9_000
    assert outlook.read_s == pytest.approx(0.3 + 10.024 + 10.074)
    assert (outlook.thought, outlook.answer, outlook.reply_s) == (200, 20, 2.2)
    fast = foretell([], replace(START, mode=FAST), Here(foresee, PACE))
    assert fast.thought == 0
    assert fast.total_s == pytest.approx(0.25)
    brief = foretell([], replace(START, effort="Brief", max_new_tokens=128), Here(foresee, PACE))
    assert (brief.thought, brief.most_thought, brief.most) == (128, 128, 128)
    assert "128 tokens of thought (1.3 s) · at most 128 new tokens" in line_html(brief, PACE)
    cut = foretell([], replace(START, max_new_tokens=210), Here(foresee, PACE))
    assert (cut.thought, cut.answer, cut.reply_s) == (200, 10, 2.1), "both together are no more than may be written"
    low = Here(foresee, PACE, lambda settings: replace(settings, max_new_tokens=64))
    assert foretell([], START, low).most == 64


def test_a_long_system_prompt_costs_its_tokens() -> None:
    here = Here(foresee, PACE)
    long = foretell([], replace(START, system="word " * 800), here).read_s
    assert long == pytest.approx((foretell([], START, here).read_s or 0) + 1.0)


def test_the_line_and_the_table_tell_tokens_and_seconds() -> None:
    line = line_html(foretell(FILES, START, Here(foresee, PACE)), PACE)
    assert "10,024 visual tokens · 20 s to read · 200 tokens of thought (2.0 s) · 20 of answer (0.2 s)" in line
    assert "at most 2,048 new tokens (20 s)" in line
    fast = line_html(foretell([], replace(START, mode=FAST), Here(foresee, PACE)), PACE)
    assert "< 0.1 s to read · 20 tokens of answer (0.2 s) · at most" in fast.replace("&lt;", "<")
    table = table_html(FILES, START, Here(foresee, PACE))
    assert "<b>Think: about 23 s</b> · Fast: about 21 s" in table
    assert "Brief: 256 tokens (2.6 s)" in table
    assert "Low: 64 tokens (0.3 s) · <b>Standard: 1,024 tokens (2.2 s)</b> · High: 2,000 tokens" in table
    assert "<b>2 a second: 2 frames, 9,000 tokens (18 s)</b> · 4 a second: 2 frames, 9,000 tokens" in table
    by_number = table_html(FILES, replace(START, frames_by=BY_NUMBER, max_frames=32), Here(foresee, PACE))
    assert "16 frames: 2 frames, 9,000 tokens (18 s) · <b>32 frames: 2 frames, 9,000" in by_number
    still = table_html([Path("still.mp4")], START, Here(foresee, PACE))
    assert "<b>2 a second: 1 frame, 64 tokens (0.3 s)</b>" in still
    assert "Seconds as in the last 3 requests." in table
    assert "Thought" not in table_html([], replace(START, mode=FAST), Here(foresee, PACE))
    assert "Picture detail" not in table_html([], START, Here(foresee, PACE))
    assert "Frames" not in table_html([Path("a.png")], START, Here(foresee, PACE))


def test_a_system_prompt_that_is_too_long_is_told_before_it_is_asked() -> None:
    long = replace(START, system="x" * 8_001)
    assert "longer than 8,000 characters: shorten it" in line_html(
        foretell([], long, Here(foresee, PACE)), PACE, long.system
    )


def test_nothing_is_told_that_nobody_knows() -> None:
    line = line_html(foretell(FILES[:1], START, Here(foresee, Pace())), Pace())
    assert line.endswith("Next question: 1,024 visual tokens · at most 2,048 new tokens</p>")
    assert "not known before the first request" in table_html([], START, Here(foresee, Pace()))


def record(**spans: tuple[float, int]) -> Record:
    timing = Timing(
        tuple(Span(stage, 0, ms, num_tokens=tokens) for stage, (ms, tokens) in spans.items()),  # type: ignore[arg-type]
        100,
        5.0 if "answer" in spans else None,
        "perf_counter",
    )
    return Record("?", ("a.png",), 1, INFO, timing, TokenCounts(30, 64, 40, 8), "stop", 0.0)


def test_the_pace_is_the_median_of_what_was_measured() -> None:
    paces = Paces()
    assert paces.of(INFO.model) is None
    paces.note(record(open=(20, 0)))
    assert paces.of(INFO.model) is None
    for factor in (1, 2, 9):
        paces.note(
            record(open=(20 * factor, 0), vision=(64 * factor, 64), prefill=(94, 94), think=(40, 40), answer=(8, 8))
        )
    assert paces.of(INFO.model) == Pace(40, 2, 1, 1, 40, 8, 30, 3)
    assert Pace.of([record(answer=(8, 8))]).visual_ms is None


def test_without_requests_the_pace_is_the_best_of_the_device() -> None:
    assert Pace.at_best(None) == Pace()
    best = Pace.at_best(Roofline(1e9, 1e12, 2_000_000, 0, 0, 10**9))
    assert (best.reply_ms, best.prompt_ms, best.num_requests) == (2.0, 1.0, 0)
    assert "best of this device" in table_html([], replace(START, mode=THINK), Here(foresee, best))
