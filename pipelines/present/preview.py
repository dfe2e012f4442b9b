"""What each file will cost, told before it is asked about: how the model will see it, in visual tokens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from pipelines.present.counted import counted
from pipelines.present.status import SERVER_FAULT
from pipelines.types import Probe, ProbedClip, Settings, Sight, UserError

LOGGER = logging.getLogger(__name__)
SENT = "sent"
FIRST_FRAME = "only the first frame of this animation is seen: add it as a GIF or an MP4 to ask about all of it"

Foresee = Callable[[Path, Settings], tuple[Probe, Sight]]


def preview_html(files: Sequence[Path], settings: Settings, foresee: Foresee) -> str:
    """A line for each file, and their sum where there are several; nothing without files.

    A file that cannot be read shows why. Nothing is raised: a preview must not keep anyone from asking.
    """
    seen: list[Sight] = []
    lines = [_line(path, settings, foresee, seen) for path in files]
    counts = [sight.num_visual_tokens for sight in seen if sight.num_visual_tokens is not None]
    if len(counts) > 1:
        lines.append(f"<li>Together {counted(sum(counts), 'visual token')}</li>")
    return f'<ul class="gb-preview" aria-live="polite">{"".join(lines)}</ul>' if lines else ""


def seen_or_sent(sight: Sight) -> str:
    """A server may make what it is sent smaller still, as its model wants it, and does not tell."""
    return SENT if sight.num_visual_tokens is None else "seen"


def _line(path: Path, settings: Settings, foresee: Foresee, seen: list[Sight]) -> str:
    try:
        probe, sight = foresee(path, settings)
    except UserError as error:
        return f'<li class="gb-bad">{escape(str(error))}</li>'
    except Exception:
        LOGGER.exception("a file could not be looked at")
        return f'<li class="gb-bad">{escape(SERVER_FAULT)}</li>'
    seen.append(sight)
    return f"<li>{escape(_cost(probe, sight))}</li>"


def _cost(probe: Probe, sight: Sight) -> str:
    size, count = f"{sight.width} × {sight.height}", sight.num_visual_tokens
    tokens = "" if count is None else f": {counted(count, 'visual token')}"
    if isinstance(probe, ProbedClip):
        frames = counted(sight.num_frames, "frame")
        return f"{probe.name}: {probe.duration_s:.1f} s, {frames} {seen_or_sent(sight)} at {size}{tokens}"
    still = f" · {FIRST_FRAME}" if probe.is_animated else ""
    return f"{probe.name}: {probe.width} × {probe.height} px, {seen_or_sent(sight)} at {size}{tokens}{still}"
