"""Results as the page gets them, for the tests of what it shows."""

from __future__ import annotations

import numpy as np

from pipelines.types import (
    Clip,
    EngineInfo,
    Event,
    FinishReason,
    Grounding,
    Media,
    Picture,
    Region,
    Result,
    Span,
    Timing,
    TokenCounts,
)

INFO = EngineInfo("demo", "CPU", "float32", 4096)
TIMING = Timing(
    (
        Span("open", 0.0, 100.0),
        Span("fuse", 100.0, 50.0),
        Span("vision", 150.0, 250.0, num_tokens=100, medium=0),
        Span("prefill", 400.0, 100.0, num_tokens=120),
        Span("think", 500.0, 2000.0, num_tokens=40),
        Span("answer", 2500.0, 500.0, num_tokens=10),
    ),
    3000.0,
    510.0,
    "perf_counter",
)
HOSTILE = '<img src=x onerror="alert(1)">'


def picture(width: int = 40, height: int = 30, name: str = "shapes.png") -> Picture:
    return Picture(name, np.full((height, width, 3), 200, np.uint8))


def clip(num_frames: int = 5, fps: float = 2.0) -> Clip:
    rgb = np.zeros((num_frames, 12, 16, 3), np.uint8)
    times_s = tuple(frame / fps for frame in range(num_frames))
    return Clip("ball.mp4", rgb, times_s, tuple(range(num_frames)), num_frames / fps)


def result(
    *media: Media,
    regions: tuple[Region, ...] = (),
    events: tuple[Event, ...] = (),
    reasoning: str = "Look.",
    answer: str = "A circle.",
    timing: Timing = TIMING,
    tokens: TokenCounts = TokenCounts(text=20, visual=100, reasoning=40, answer=10),  # noqa: B008 - a frozen value
    finish_reason: FinishReason = "stop",
) -> Result:
    return Result(INFO, reasoning, answer, Grounding(regions, events), timing, tokens, finish_reason, media)
