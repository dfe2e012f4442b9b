"""The lines of a batch as other files: a table for people (CSV), annotations for training tools (COCO)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import cast

from pipelines.batch.lines import Answer, Line
from pipelines.present.coco import Annotated
from pipelines.present.told import ToldBox, ToldPoint
from pipelines.spreadsheet import as_table
from pipelines.types import Region

COLUMNS = (
    "file",
    "question",
    "answer",
    "error",
    "regions",
    "events",
    "finish_reason",
    "total_ms",
    "prompt_tokens",
    "reply_tokens",
    "model",
)


def csv_text(lines: Iterable[Line]) -> str:
    """A row for each line; `regions` and `events` are JSON."""
    return as_table(COLUMNS, map(_row, lines))


def annotated(lines: Iterable[Line]) -> Iterator[Annotated]:
    """The pictures of the answers, and of clips the frames on which a place is named."""
    for line in lines:
        if line["error"] is None:
            yield from _images(cast(Answer, line))


def _row(line: Line) -> list[object]:
    if line["error"] is not None:
        return [line["file"], line["question"], "", line["error"], *[""] * 6, line["model"]]
    told = cast(Answer, line)
    tokens, places = told["tokens"], (told["regions"], told["events"])
    return [
        *(told["file"], told["question"], told["answer"], ""),
        *(json.dumps(some, ensure_ascii=False) if some else "" for some in places),
        *(told["finish_reason"], told["timing"]["total_ms"]),
        *(tokens["text"] + tokens["visual"], tokens["reasoning"] + tokens["answer"], told["model"]),
    ]


def _images(told: Answer) -> Iterator[Annotated]:
    medium = told["media"][0]
    width, height = medium["size"]
    regions = [_region(region) for region in told["regions"] if region["media_index"] == 0]
    times_s = cast(list[float], medium.get("times_s", []))
    if not times_s:
        yield Annotated(told["file"], width, height, tuple(regions))
        return
    by_time: dict[float, list[Region]] = {}
    for region in regions:
        near_s = min(times_s, key=lambda time_s: abs(time_s - region.at_s))
        by_time.setdefault(near_s, []).append(region)
    for time_s, of_frame in sorted(by_time.items()):
        yield Annotated(told["file"], width, height, tuple(of_frame), time_s)


def _region(told: ToldBox | ToldPoint) -> Region:
    if "box" in told:
        x1, y1, x2, y2 = told["box"]
        return Region(told["label"], (x1, y1, x2, y2), None, told["media_index"], told["time_s"])
    x, y = told["point"]
    return Region(told["label"], None, (x, y), told["media_index"], told["time_s"])
