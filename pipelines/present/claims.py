"""What the answers of a conversation name, gathered again from the conversation alone, to be taken along.

The pixels are not kept with a conversation: its files are. They are opened again, with the eyes of one who wants the
whole picture and of a clip the frames that marks lie on.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.conversation import Round, subjects
from pipelines.grounding import parse_grounding
from pipelines.media import footage, probe
from pipelines.present.coco import Annotated
from pipelines.present.evidence import shown_media
from pipelines.present.moments import AtTimes, shown_at
from pipelines.present.overlay import Mark, numbered
from pipelines.types import Event, Grounding, Probe, ProbedClip

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Claimed:
    """One answer: its round, the medium it is about, all files up to it, and what it names in them."""

    round: Round
    subject: int
    files: tuple[Path, ...]
    probes: tuple[Probe, ...]
    grounding: Grounding

    @cached_property
    def marks(self) -> tuple[Mark, ...]:
        """The places, by their numbers."""
        return numbered(self.grounding.regions)

    def marks_of(self, medium: int) -> list[Mark]:
        """The marks on the medium of that index."""
        return [mark for mark in self.marks if mark.region.media_index == medium]

    def events_of(self, medium: int) -> list[Event]:
        """The events in the clip of that index."""
        return [event for event in self.grounding.events if event.media_index == medium]

    def times_of(self, medium: int) -> list[float]:
        """When there are marks on a clip, in seconds, ascending; one without a time lies on the first frame."""
        return sorted({mark.region.at_s for mark in self.marks_of(medium)})

    @property
    def shown(self) -> list[int]:
        """The media that the page showed with the answer."""
        draft = self.round.draft
        return shown_media(len(self.files), len(draft.files), self.grounding.media_indices, self.subject)

    @property
    def annotated(self) -> list[Annotated]:
        """Its pictures with their places: of a clip, one for each time at which there is a place.

        Files of one name are told apart by their number, as a folder.
        """
        found: list[Annotated] = []
        names = Counter(self.probes[medium].name for medium in self.shown)
        for medium in self.shown:
            item, regions = self.probes[medium], [mark.region for mark in self.marks_of(medium)]
            for time_s in self.times_of(medium) if isinstance(item, ProbedClip) else [None]:
                here = tuple(one for one in regions if time_s is None or one.at_s == time_s)
                file = item.name if names[item.name] == 1 else f"{medium + 1}/{item.name}"
                found.append(Annotated(file, item.width, item.height, here, time_s))
        return found


def claims(rounds: Sequence[Round]) -> list[Claimed]:
    """What each answer names, oldest first. Raises UserError where a file cannot be read any more."""
    found: list[Claimed] = []
    files: tuple[Path, ...] = ()
    probes: tuple[Probe, ...] = ()
    for past, current in zip(rounds, subjects(rounds), strict=True):
        files += past.draft.files
        probes += tuple(probe(path) for path in past.draft.files)
        kinds, ends_s = [item.kind for item in probes], [item.duration_s for item in probes]
        grounding = parse_grounding(past.reply.answer, kinds, current, ends_s)
        found.append(Claimed(past, current, files, probes, grounding))
    return found


@dataclass(frozen=True, eq=False)
class MarkedFrame:
    """A frame of a clip with the marks on it: uint8 [height, width, 3], which holds until the next is asked for."""

    rgb: NDArray[np.uint8]
    time_s: float
    marks: tuple[Mark, ...]


def marked_frames(
    claimed: Claimed, medium: int, limit: int, should_stop: Callable[[], bool] | None = None
) -> Iterator[MarkedFrame]:
    """The frames of a clip at its first `limit` times with marks, one at a time; without any, its first frame.

    Marks of later times are on none of them. Raises UserError where the file cannot be read any more, and Cancelled
    when `should_stop` says so.
    """
    probed = claimed.probes[medium]
    assert isinstance(probed, ProbedClip)
    times_s = claimed.times_of(medium)[:limit]
    marks = [mark for mark in claimed.marks_of(medium) if mark.region.at_s in times_s]
    placed = [(shown_at(probed.times_s, mark.region.at_s), mark) for mark in marks]
    waiting = deque(sorted(placed, key=lambda pair: pair[0]))
    with footage(claimed.files[medium], AtTimes(tuple(times_s or [0.0])).choose, should_stop) as moving:
        for frame in moving.frames:
            here: list[Mark] = []
            while waiting and waiting[0][0] <= frame.number:
                here.append(waiting.popleft()[1])
            yield MarkedFrame(frame.rgb, frame.time_s, tuple(here))
