"""What small files that ask for much cost before they are refused: `make hostile` prints it for each.

Each is given to a fresh worker that has opened a small picture before, so that what is told is what the bomb cost: the
seconds, and by how much the most memory that the worker ever held has grown.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pipelines.media.guarded import open_guarded
from pipelines.media.pool import Pool
from pipelines.types import UserError
from tests.hostile.clips import endless_stts, stating_huge_frames
from tests.hostile.memory import resident_bytes
from tests.hostile.pictures import picture_bombs
from tests.media_makers import At, write_clip

MAX_S = 0.5
MAX_BYTES = 100 * 1024**2
WIDE = 8192


@dataclass(frozen=True)
class Cost:
    """What one file cost: its size, the seconds, the memory, and the sentence (None where it was opened after all)."""

    name: str
    file_bytes: int
    seconds: float
    grown_bytes: int
    sentence: str | None

    @property
    def problem(self) -> str | None:
        """What is wrong with that, None where nothing is."""
        if self.grown_bytes > MAX_BYTES:
            return f"{self.name} took {self.grown_bytes / 1e6:.0f} MB"
        return f"{self.name} took {self.seconds:.1f} s" if self.seconds > MAX_S else None


def write_bombs(folder: Path) -> list[Path]:
    """Pictures and clips."""
    for name, content in picture_bombs().items():
        (folder / name).write_bytes(content)
    clips = [
        write_clip(folder / "wide.mp4", options={"preset": "ultrafast"}, frames=2, size=(WIDE, WIDE)),
        stating_huge_frames(folder / "huge-frames.mp4"),
        endless_stts(folder / "stts.mp4"),
    ]
    return [*(folder / name for name in picture_bombs()), *clips]


def costs(paths: Sequence[Path], folder: Path) -> list[Cost]:
    """The cost of each file."""
    small = folder / "small.png"
    Image.new("RGB", (64, 64)).save(small)
    return [_cost(path, small) for path in paths]


def _cost(path: Path, small: Path) -> Cost:
    pool = Pool(1)
    try:
        open_guarded(small, At(), pool=pool)
        (number,) = pool.numbers()
        before, began_s, sentence = resident_bytes(number), time.monotonic(), None
        try:
            open_guarded(path, At(numbers=(0,)), pool=pool)
        except UserError as error:
            sentence = str(error)
        took_s = time.monotonic() - began_s
        # a worker that the file broke is gone, and its memory with it: the sentence tells of that
        return Cost(path.name, path.stat().st_size, took_s, max(0, resident_bytes(number) - before), sentence)
    finally:
        pool.close()


def table(measured: Sequence[Cost]) -> str:
    """The costs, in Markdown."""
    lines = ["| bomb | file, KB | seconds | memory, MB | what is told |", "|---|---|---|---|---|"]
    for cost in measured:
        told = cost.sentence or "opened"
        size = f"{cost.file_bytes / 1e3:,.0f}"
        lines.append(f"| {cost.name} | {size} | {cost.seconds:.2f} | {cost.grown_bytes / 1e6:.0f} | {told} |")
    return "\n".join(lines)
