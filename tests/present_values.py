"""Results as the page gets them, for the tests of what it shows."""

from __future__ import annotations

import numpy as np

from pipelines.types import (
    Clip,
    EngineInfo,
    Event,
    FinishReason,
    Gaps,
    Grounding,
    Media,
    Outcome,
    Picture,
    Record,
    Region,
    Result,
    Roofline,
    Span,
    Timing,
    TokenCounts,
    Upload,
    Usage,
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
    2510.0,
    Gaps(50.0, 60.0, 75.0),
)
BEST = Roofline(
    bytes_per_s=1e9, flops_per_s=1e11, weight_bytes=10_000_000, state_bytes=0, token_bytes=0, token_flops=10**7
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


def record(
    timing: Timing = TIMING,
    tokens: TokenCounts = TokenCounts(text=20, visual=100, reasoning=40, answer=10),  # noqa: B008 - a frozen value
    outcome: Outcome = "stop",
    question: str = "How many?",
    media: tuple[str, ...] = ("shapes.png",),
    usage: Usage | None = None,
    price_per_hour: float = 0.0,
    engine: EngineInfo = INFO,
    uploads: tuple[Upload, ...] = (),
) -> Record:
    """What a request took, as the page gets it."""
    return Record(question, media, len(media), engine, timing, tokens, outcome, 1.8e9, usage, price_per_hour, uploads)
