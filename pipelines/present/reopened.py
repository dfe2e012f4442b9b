"""The evidence of a conversation that is opened again, or of one whose last question was taken back.

Pixels are not kept with a conversation, but its files are, and how the model saw them: the same frames are taken out of
the same clip in the same size, and the pane is drawn as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pipelines.conversation import Round, Seen
from pipelines.fusion import seen_pixels
from pipelines.media import open_once
from pipelines.present.answered import Answered
from pipelines.present.claims import Claimed, claims
from pipelines.present.evidence import EMPTY, Exhibit, Given, evidence_html
from pipelines.present.frames import chosen_frames, nearest
from pipelines.present.moments import AtTimes
from pipelines.present.shelf import Shelf
from pipelines.types import Clip, Media, Picture, ProbedClip, ProbedPicture, Request, Settings, UserError

NUM_FRAMES, MAX_SIDE_PX = 16, 960
"""Frames, and their longer side, of a clip of which it is not known how it was seen."""


def reopened(rounds: Sequence[Round], shelf: Shelf) -> tuple[str, Answered | None]:
    """The pane for the last answer, and the answer as later questions about it need it.

    Where a file cannot be read any more, or the disk is full, the pane says so.
    """
    if not any(past.draft.files for past in rounds):
        return EMPTY, None
    try:
        return _drawn(rounds, shelf)
    except UserError as error:
        return f'<div class="gb-evidence gb-empty"><p>{escape(str(error))}</p></div>', None


def _drawn(rounds: Sequence[Round], shelf: Shelf) -> tuple[str, Answered]:
    last = claims(rounds)[-1]
    seen = last.round.reply.seen
    seen = seen if len(seen) == len(last.files) else ()
    media = tuple(_opened(last, medium, seen) for medium in range(len(last.files)))
    draft, reply = last.round.draft, last.round.reply
    exhibit = Exhibit(media, tuple(one.sight for one in seen), last.grounding, reply.answer)
    about = draft.about if draft.about is not None and draft.about < len(media) else None
    given = Given(len(draft.files), last.subject, last.files, shelf, seen_pixels if _are_whole(media, seen) else None)
    turns = tuple(past.turn for past in rounds[:-1])
    request = Request(draft.question, draft.files, Settings(), turns, about=about)
    times_s = {number: item.times_s for number, item in enumerate(media) if isinstance(item, Clip)}
    return evidence_html(exhibit, given), Answered(request, last.grounding, times_s)


def _opened(last: Claimed, medium: int, seen: Sequence[Seen]) -> Media:
    """A medium as the model saw it; of a clip of many frames, only those that the pane shows."""
    probed, path = last.probes[medium], last.files[medium]
    if isinstance(probed, ProbedPicture):
        return open_once(path, AtTimes(()))
    marked_s = tuple(mark.region.at_s for mark in last.marks_of(medium))
    if not seen or not seen[medium].times_s:
        return open_once(path, AtTimes(_spread(probed.duration_s) + marked_s, _reduced(probed)))
    times_s, sight = seen[medium].times_s, seen[medium].sight
    shown = chosen_frames(len(times_s), [nearest(times_s, time_s) for time_s in marked_s])
    return open_once(path, AtTimes(tuple(times_s[at] for at in shown), (sight.height, sight.width)))


def _spread(duration_s: float) -> tuple[float, ...]:
    return tuple(duration_s * (number + 0.5) / NUM_FRAMES for number in range(NUM_FRAMES))


def _reduced(probed: ProbedClip) -> tuple[int, int]:
    scale = min(1.0, MAX_SIDE_PX / max(probed.height, probed.width))
    return max(1, round(probed.height * scale)), max(1, round(probed.width * scale))


def _are_whole(media: Sequence[Media], seen: Sequence[Seen]) -> bool:
    """Whether all that the model saw is there again."""
    return bool(seen) and all(
        isinstance(item, Picture) or len(item.times_s) == one.sight.num_frames
        for item, one in zip(media, seen, strict=True)
    )
