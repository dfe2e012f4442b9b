"""What a person takes along of an answer: pictures with their marks, COCO, a table; and of a conversation, a report.

Names of files come from what people uploaded: here they are cut down to letters of any script, digits and dashes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import category, normalize

from pipelines.media import open_once
from pipelines.present.burnt import marked_copy
from pipelines.present.claims import Claimed, marked_frames
from pipelines.present.coco import coco_json
from pipelines.present.moments import AtTimes
from pipelines.present.overlay import Mark
from pipelines.spreadsheet import as_table
from pipelines.types import ProbedClip, UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_FRAMES = 50
"""Marked frames of one clip."""
MAX_STEM = 50
"""Letters of a file's name, of up to four bytes each: disks take 255 bytes, with what tells the frame."""
COLUMNS = (
    *("number", "label", "file", "picture", "time_s", "end_s"),
    *("x1", "y1", "x2", "y2", "x1_px", "y1_px", "x2_px", "y2_px"),
)
NOTHING_MARKED = "The answer marks nothing that could be taken along: ask for places or times first."


def marked_pictures(claimed: Claimed, folder: Path, should_stop: Callable[[], bool] | None = None) -> list[Path]:
    """Write every picture, and every frame of a clip, that has marks: full size, with these on it, as PNG.

    Small ones are enlarged. One is held at a time. Raises UserError where there is none, and Cancelled when
    `should_stop` says so.
    """
    written: list[Path] = []
    for medium in claimed.shown:
        for rgb, marks, moment in _pictures(claimed, medium, should_stop) if claimed.marks_of(medium) else ():
            path = folder / f"{file_stem(claimed.probes[medium].name)}-{medium + 1}{moment}-marked.png"
            marked_copy(rgb, marks).save(path)
            written.append(path)
    if not written:
        raise UserError(NOTHING_MARKED)
    return written


def num_left_out(claimed: Claimed) -> int:
    """How many times of clips have marks and are beyond `MAX_FRAMES`."""
    return sum(
        max(0, len(claimed.times_of(medium)) - MAX_FRAMES) for medium in claimed.shown if _is_clip(claimed, medium)
    )


def _pictures(
    claimed: Claimed, medium: int, should_stop: Callable[[], bool] | None
) -> Iterator[tuple[NDArray[np.uint8], Sequence[Mark], str]]:
    """The pixels of a picture or of the frames of a clip, the marks on them, and how the name tells their time."""
    if _is_clip(claimed, medium):
        for frame in marked_frames(claimed, medium, MAX_FRAMES, should_stop):
            yield frame.rgb, frame.marks, f"-{frame.time_s:.3f}s"
    else:
        item = open_once(claimed.files[medium], AtTimes(()), should_stop=should_stop)
        yield item.rgb, claimed.marks_of(medium), ""


def _is_clip(claimed: Claimed, medium: int) -> bool:
    return isinstance(claimed.probes[medium], ProbedClip)


def marks_as_coco(claimed: Claimed, folder: Path) -> list[Path]:
    """Write the places in the form of COCO."""
    if not claimed.marks:
        raise UserError(NOTHING_MARKED)
    path = folder / "marks.coco.json"
    path.write_text(coco_json(claimed.annotated), encoding="utf-8")
    return [path]


def marks_as_table(claimed: Claimed, folder: Path) -> list[Path]:
    """Write the places and the events as CSV: coordinates of 0 to 1000, and px of the upright original."""
    if not (claimed.marks or claimed.grounding.events):
        raise UserError(NOTHING_MARKED)
    path = folder / "marks.csv"
    path.write_text(table(claimed), encoding="utf-8", newline="")
    return [path]


def table(claimed: Claimed) -> str:
    """The text of the CSV: a line for each place, then one for each event."""
    return as_table(COLUMNS, [*_places(claimed), *_events(claimed)])


def _places(claimed: Claimed) -> Iterator[list[object]]:
    for mark in claimed.marks:
        medium, region = mark.region.media_index, mark.region
        is_known = medium < len(claimed.probes)
        name = claimed.probes[medium].name if is_known else ""
        size = (claimed.probes[medium].width, claimed.probes[medium].height) * 2 if is_known else ()
        pixels = [round(value * side / 1000, 1) for value, side in zip(region.corners, size, strict=False)]
        yield [mark.number, mark.label, name, medium + 1, region.time_s, "", *region.corners, *pixels]


def _events(claimed: Claimed) -> Iterator[list[object]]:
    for event in claimed.grounding.events:
        name = claimed.probes[event.media_index].name if event.media_index < len(claimed.probes) else ""
        yield ["", event.label, name, event.media_index + 1, event.start_s, event.end_s]


def file_stem(name: str) -> str:
    """A name for a file: letters with their accents, digits and dashes of the name that a person gave."""
    letters = normalize("NFC", Path(name).stem)
    words = "".join(one if category(one)[0] in "LMN" else " " for one in letters).split()
    return "-".join(words)[:MAX_STEM].strip("-") or "picture"
