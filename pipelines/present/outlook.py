"""What the next question will cost with the settings as they are, and with others: told before it is asked.

Tokens of pictures and clips are those that a request will report. Seconds come of `Pace`, and are left out where that
does not know them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from pipelines.present.choices import BY_NUMBER, CLIP_DETAILS, DETAILS, EFFORTS, FAST, THINK, Choices
from pipelines.present.counted import counted
from pipelines.present.figures.pace import Pace
from pipelines.present.preview import Foresee
from pipelines.types import (
    LONG_SYSTEM,
    MAX_SYSTEM_CHARACTERS,
    Probe,
    ProbedClip,
    ProbedPicture,
    Settings,
    Sight,
    UserError,
)

SHOWN_RATES = (1.0, 2.0, 4.0)
SHOWN_NUMBERS = (16, 64, 256)
"""Frames of a clip, whose costs stand beside those of the chosen ones."""
CHARACTERS_OF_A_TOKEN = 4
"""Characters to a token of a system prompt, about."""
AT_BEST = "Seconds at the best of this device: no request was measured yet."
UNKNOWN = "Seconds are not known before the first request."
LAST_ONE = "Seconds as in the last request."
LAST_ONES = "Seconds as in the last {count} requests."


@dataclass(frozen=True)
class Here:
    """What is known here: how the model sees a file, how fast requests went, and the settings within the limits."""

    foresee: Foresee
    pace: Pace
    lowered: Callable[[Settings], Settings] = lambda settings: settings


@dataclass(frozen=True)
class Outlook:
    """What a question costs: tokens, and seconds where they are known.

    `thought` and `answer` are as usual here, as far as `most` has room for both together, and None where nothing was
    answered yet.
    """

    num_frames: int
    num_visual: int
    read_s: float | None
    thought: int | None
    answer: int | None
    most: int
    most_thought: int
    reply_ms: float | None

    @property
    def reply_s(self) -> float | None:
        """The usual reply."""
        if self.thought is None or self.answer is None:
            return None
        return self.seconds(self.thought + self.answer)

    @property
    def total_s(self) -> float | None:
        """All of it, as usual."""
        return None if self.read_s is None or self.reply_s is None else self.read_s + self.reply_s

    def seconds(self, num_tokens: int) -> float | None:
        """What so many tokens of a reply take."""
        return None if self.reply_ms is None else num_tokens * self.reply_ms / 1000


def foretell(files: Sequence[Path], choices: Choices, here: Here) -> Outlook:
    """The outlook of a question about files."""
    settings, pace = here.lowered(choices.settings()), here.pace
    sights = [sight for _, sight in _seen(files, settings, here)]
    num_frames = sum(sight.num_frames for sight in sights)
    num_visual = sum(sight.num_visual_tokens or 0 for sight in sights)
    num_text = pace.text + len(settings.system) // CHARACTERS_OF_A_TOKEN
    parts = [
        (num_frames, pace.frame_ms),
        (num_visual, pace.visual_ms),
        (num_visual + num_text, pace.prompt_ms),
    ]
    is_known = all(each is not None for count, each in parts if count)
    bound = min(settings.max_thinking_tokens or settings.max_new_tokens, settings.max_new_tokens)
    usual = None if pace.thought is None else min(pace.thought, bound)
    thought = usual if settings.thinking else 0
    return Outlook(
        num_frames=num_frames,
        num_visual=num_visual,
        read_s=sum(count * (each or 0) for count, each in parts) / 1000 if is_known else None,
        thought=thought,
        answer=None if pace.answer is None else min(pace.answer, settings.max_new_tokens - (thought or 0)),
        most=settings.max_new_tokens,
        most_thought=bound if settings.thinking else 0,
        reply_ms=pace.reply_ms,
    )


def _seen(files: Sequence[Path], settings: Settings, here: Here) -> Iterator[tuple[Probe, Sight]]:
    for path in files:
        with suppress(UserError):  # told beside the file
            yield here.foresee(path, settings)


def _of_kind(kind: type[Probe], files: Sequence[Path], here: Here) -> list[Path]:
    """The files of one kind."""
    pairs = ((path, seen) for path in files for seen in _seen([path], Settings(), here))
    return [path for path, (probe, _) in pairs if isinstance(probe, kind)]


def line_html(outlook: Outlook, pace: Pace, system: str = "") -> str:
    """The line below the composer; that the system prompt is too long is told here too, before it is asked."""
    if len(system) > MAX_SYSTEM_CHARACTERS:
        return f'<p class="gb-outlook gb-bad">{escape(LONG_SYSTEM)}</p>'
    parts = [f"{outlook.num_visual:,} visual tokens"] if outlook.num_visual else []
    if outlook.read_s is not None:
        parts.append(f"{_s(outlook.read_s)} to read")
    if outlook.thought:
        parts.append(f"{outlook.thought:,} tokens of thought{_took(outlook.seconds(outlook.thought))}")
    if outlook.answer:
        unit = "" if outlook.thought else "tokens "
        parts.append(f"{outlook.answer:,} {unit}of answer{_took(outlook.seconds(outlook.answer))}")
    parts.append(f"at most {outlook.most:,} new tokens{_took(outlook.seconds(outlook.most))}")
    return f'<p class="gb-outlook" title="{escape(_source(pace))}">Next question: {escape(" · ".join(parts))}</p>'


def table_html(files: Sequence[Path], choices: Choices, here: Here) -> str:
    """What each choice costs beside the others of its kind; the chosen ones stand out."""
    groups = [
        ("Mode", _modes(files, choices, here)),
        ("Thought at most", _efforts(choices, here) if choices.mode == THINK else []),
        ("Picture detail", _details(files, choices, here)),
        ("Clip detail", _clip_details(files, choices, here)),
        ("Frames of a clip", _frames(files, choices, here)),
    ]
    rows = "".join(f"<div><dt>{name}</dt><dd>{' · '.join(told)}</dd></div>" for name, told in groups if told)
    return f'<dl class="gb-facts gb-choices">{rows}</dl><p class="gb-note">{escape(_source(here.pace))}</p>'


def _modes(files: Sequence[Path], choices: Choices, here: Here) -> list[str]:
    looks = ((mode, foretell(files, replace(choices, mode=mode), here)) for mode in (THINK, FAST))
    told = ((mode, _about(look.total_s) or f"at most {look.most:,} tokens") for mode, look in looks)
    return [_option(mode, cost, is_chosen=mode == choices.mode) for mode, cost in told]


def _efforts(choices: Choices, here: Here) -> list[str]:
    def cost(name: str) -> str:
        look = foretell((), replace(choices, effort=name), here)
        return f"{look.most_thought:,} tokens{_took(look.seconds(look.most_thought))}"

    return [_option(name, cost(name), is_chosen=name == choices.effort) for name in EFFORTS]


def _details(files: Sequence[Path], choices: Choices, here: Here) -> list[str]:
    pictures = _of_kind(ProbedPicture, files, here)
    looks = ((name, foretell(pictures, replace(choices, detail=name), here)) for name in DETAILS)
    return [_option(name, _visual(look), is_chosen=name == choices.detail) for name, look in looks if pictures]


def _clip_details(files: Sequence[Path], choices: Choices, here: Here) -> list[str]:
    clips = _of_kind(ProbedClip, files, here)
    looks = ((name, foretell(clips, replace(choices, clip_detail=name), here)) for name in CLIP_DETAILS)
    return [_option(name, _visual(look), is_chosen=name == choices.clip_detail) for name, look in looks if clips]


def _frames(files: Sequence[Path], choices: Choices, here: Here) -> list[str]:
    clips = _of_kind(ProbedClip, files, here)
    if choices.frames_by == BY_NUMBER:
        numbers = sorted({*SHOWN_NUMBERS, choices.max_frames})
        ways = [(f"{number:,} frames", replace(choices, max_frames=number)) for number in numbers]
    else:
        rates = sorted({*SHOWN_RATES, choices.sample_fps})
        ways = [(f"{rate:g} a second", replace(choices, sample_fps=rate)) for rate in rates]
    looks = ((name, way, foretell(clips, way, here)) for name, way in ways if clips)
    return [
        _option(
            name,
            f"{counted(look.num_frames, 'frame')}, {_visual(look)}",
            is_chosen=way == choices,
        )
        for name, way, look in looks
    ]


def _visual(look: Outlook) -> str:
    return f"{look.num_visual:,} tokens{_took(look.read_s)}"


def _option(name: str, cost: str, *, is_chosen: bool) -> str:
    told = escape(f"{name}: {cost}")
    return f"<b>{told}</b>" if is_chosen else told


def _source(pace: Pace) -> str:
    if not pace.num_requests:
        return AT_BEST if pace.reply_ms else UNKNOWN
    return LAST_ONE if pace.num_requests == 1 else LAST_ONES.format(count=pace.num_requests)


def _took(seconds: float | None) -> str:
    return f" ({_s(seconds)})" if seconds is not None else ""


def _about(seconds: float | None) -> str:
    return f"about {_s(seconds)}" if seconds is not None else ""


def _s(seconds: float) -> str:
    if seconds < 0.1:
        return "< 0.1 s"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"
