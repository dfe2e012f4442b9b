"""How a product of few rows is shared out over a GPU: as was quickest on an H200, see LOG.md and `benchmarks.tiles`."""

from __future__ import annotations

from dataclasses import dataclass

MANY_OUTPUTS = 100_000
MOST_ROWS = 16
"""What tensor cores multiply at once."""


@dataclass(frozen=True, order=True)
class Tile:
    """What a block of threads works on at once: rows of inputs, outputs, inputs; its warps, and how far it fetches
    ahead.

    With fewer than `MOST_ROWS` rows it does without tensor cores.
    """

    rows: int
    outputs: int
    inputs: int
    warps: int
    depth: int

    @property
    def stages(self) -> int:
        """How far Triton is to fetch ahead by itself, which it does for tensor cores."""
        return self.depth if self.rows == MOST_ROWS else 1


def tile_for(rows: int, num_outputs: int, *, has_norm: bool) -> Tile:
    """The tile of a product of `rows` rows with `num_outputs` outputs, where the input is normed on the way or not."""
    if rows > 4:
        return Tile(MOST_ROWS, 16, 256, 2, 4)
    if rows > 1:
        return Tile(2 if rows == 2 else 4, 2, 512, 2, 2)
    if num_outputs >= MANY_OUTPUTS:
        return Tile(1, 4, 512, 2, 2)
    return Tile(1, 4, 512, 2, 2) if has_norm else Tile(1, 4, 1024, 4, 2)
