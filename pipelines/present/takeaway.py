"""What a person takes along of an answer: pictures with their marks, COCO, a table; and of a conversation, a report.

Names of files come from what people uploaded: here they are cut down to letters, digits and dashes.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from pipelines.present.burnt import burnt
from pipelines.present.claims import Claimed, marks_on, opened
from pipelines.present.coco import coco_json
from pipelines.types import Clip, UserError

MAX_FRAMES = 50
"""Marked frames of one clip."""
COLUMNS = (
    *("number", "label", "file", "picture", "time_s", "end_s"),
    *("x1", "y1", "x2", "y2", "x1_px", "y1_px", "x2_px", "y2_px"),
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet runs a cell that begins with one of these."""
NOTHING_MARKED = "The answer marks nothing that could be taken along: ask for places or times first."


def marked_pictures(claimed: Claimed, folder: Path) -> list[Path]:
    """Write every picture, and every frame of a clip, that has marks: full size, with these on it, as PNG."""
    written: list[Path] = []
    for medium in claimed.shown:
        marks = claimed.marks_of(medium)
        if not marks:
            continue
        item = opened(claimed, medium, MAX_FRAMES)
        frames = zip(item.rgb, marks_on(item, marks), item.times_s, strict=True) if isinstance(item, Clip) else ()
        pictures = [(rgb, here, f"-{time_s:.2f}s") for rgb, here, time_s in frames] or [(item.rgb, marks, "")]
        for rgb, here, moment in pictures:
            path = folder / f"{file_stem(item.name)}-{medium + 1}{moment}-marked.png"
            burnt(rgb, here).save(path)
            written.append(path)
    if not written:
        raise UserError(NOTHING_MARKED)
    return written


def marks_as_coco(claimed: Claimed, folder: Path) -> list[Path]:
    """Write the places in the form of COCO."""
    if not claimed.marks:
        raise UserError(NOTHING_MARKED)
    path = folder / "marks.coco.json"
    path.write_text(coco_json(claimed.annotated), encoding="utf-8")
    return [path]


def marks_as_table(claimed: Claimed, folder: Path) -> list[Path]:
    """Write the places and the events as CSV: coordinates of 0 to 1000, and px of the upright original."""
    if not (claimed.marks or claimed.events):
        raise UserError(NOTHING_MARKED)
    path = folder / "marks.csv"
    path.write_text(table(claimed), encoding="utf-8-sig", newline="")
    return [path]


def table(claimed: Claimed) -> str:
    """The text of the CSV: a line for each place, then one for each event."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for mark in claimed.marks:
        medium, region = mark.region.media_index, mark.region
        is_known = medium < len(claimed.probes)
        name = claimed.probes[medium].name if is_known else ""
        place = region.box or (*(region.point or (0.0, 0.0)),) * 2
        size = (claimed.probes[medium].width, claimed.probes[medium].height) * 2 if is_known else ()
        pixels = [round(value * side / 1000, 1) for value, side in zip(place, size, strict=False)]
        time_s = "" if region.time_s is None else region.time_s
        writer.writerow([mark.number, _cell(mark.label), _cell(name), medium + 1, time_s, "", *place, *pixels])
    for event in claimed.events:
        writer.writerow(["", _cell(event.label), "", "", event.start_s, event.end_s])
    return text.getvalue()


def file_stem(name: str) -> str:
    """A name for a file: letters, digits and dashes of the name that a person gave."""
    return re.sub(r"[^A-Za-z0-9]+", "-", Path(name).stem).strip("-")[:60] or "picture"


def _cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(FORMULA) else text
