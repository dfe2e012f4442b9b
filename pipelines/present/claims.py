"""What the answers of a conversation name, gathered again from the conversation alone, to be taken along.

The pixels are not kept with a conversation: its files are. They are opened again, with the eyes of one who wants the
whole picture and of a clip the frames that marks lie on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.conversation import Round
from pipelines.grounding import parse_grounding
from pipelines.media import open_once, probe
from pipelines.present.coco import Annotated
from pipelines.present.moments import AtTimes, shown_at
from pipelines.present.overlay import Mark
from pipelines.types import Clip, Event, Media, MediaKind, Probe, ProbedClip


@dataclass(frozen=True)
class Claimed:
    """One answer: its round, all files of the conversation up to it, and what it names in them."""

    round: Round
    files: tuple[Path, ...]
    probes: tuple[Probe, ...]
    marks: tuple[Mark, ...]
    events: tuple[Event, ...]

    def marks_of(self, medium: int) -> list[Mark]:
        """The marks on the medium of that index."""
        return [mark for mark in self.marks if mark.region.media_index == medium]

    @property
    def shown(self) -> list[int]:
        """The media that came with the question, and those with a mark."""
        new = range(len(self.files) - len(self.round.draft.files), len(self.files))
        marked = {mark.region.media_index for mark in self.marks if mark.region.media_index < len(self.files)}
        return sorted({*new, *marked})

    @property
    def annotated(self) -> list[Annotated]:
        """Its pictures with their places: of a clip, one for each time at which there is a place."""
        found: list[Annotated] = []
        for medium in self.shown:
            item, regions = self.probes[medium], [mark.region for mark in self.marks_of(medium)]
            is_clip = isinstance(item, ProbedClip)
            times = sorted({region.time_s or 0.0 for region in regions}) if is_clip else [None]
            for time_s in times:
                here = tuple(one for one in regions if time_s is None or (one.time_s or 0.0) == time_s)
                found.append(Annotated(item.name, item.width, item.height, here, time_s))
        return found


def claims(rounds: Sequence[Round]) -> list[Claimed]:
    """What each answer names, oldest first. Raises UserError where a file cannot be read any more."""
    found: list[Claimed] = []
    files: tuple[Path, ...] = ()
    probes: tuple[Probe, ...] = ()
    current = 0
    for past in rounds:
        current = len(files) if past.draft.files else current
        files += past.draft.files
        probes += tuple(probe(path) for path in past.draft.files)
        kinds: list[MediaKind] = ["clip" if isinstance(item, ProbedClip) else "picture" for item in probes]
        about = current if past.draft.about is None else past.draft.about
        grounding = parse_grounding(past.reply.answer, kinds, about)
        marks = tuple(Mark(number, region) for number, region in enumerate(grounding.regions, 1))
        found.append(Claimed(past, files, probes, marks, grounding.events))
    return found


def opened(claimed: Claimed, medium: int, limit: int) -> Media:
    """A medium: a picture, or of a clip its first frame and those with marks, at most `limit`."""
    times = sorted({mark.region.time_s or 0.0 for mark in claimed.marks_of(medium)} or {0.0})
    return open_once(claimed.files[medium], AtTimes(tuple(times[:limit])))


def marks_on(clip: Clip, marks: Sequence[Mark]) -> list[list[Mark]]:
    """The marks of each frame of a clip that was opened for them."""
    found: list[list[Mark]] = [[] for _ in clip.times_s]
    for mark in marks:
        found[shown_at(clip.times_s, mark.region.time_s or 0.0)].append(mark)
    return found
