"""How a product of few rows is shared out over a GPU: as was quickest on an H200, see LOG.md and `benchmarks.tiles`."""

from __future__ import annotations

from dataclasses import dataclass

MANY_LINES = 100_000
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


ALONE, ALONE_SHORT, FOR_TWO = Tile(1, 4, 512, 2, 1), Tile(1, 8, 512, 2, 1), Tile(2, 4, 512, 2, 1)
SHORT_INPUTS = 1024
"""Inputs up to which an output has so few that more of them are worked on at once."""
HEAD = Tile(1, 4, 512, 2, 2)
TOGETHER = Tile(MOST_ROWS, 16, 256, 2, 4)
FEW_OUTPUTS = {1: Tile(1, 4, 1024, 4, 4), 2: Tile(2, 4, 1024, 4, 1), 4: Tile(4, 4, 1024, 4, 2)}
"""By the number of rows: more weights are on their way at once, as there are fewer blocks of threads."""
FEW_TOGETHER = Tile(MOST_ROWS, 8, 256, 2, 6)


def tile_for(rows: int, num_lines: int, num_inputs: int, *, has_norm: bool) -> Tile:
    """The tile of a product of `rows` rows by a weight [num_lines, num_inputs].

    Those into a layer, or out of the last one, have their input normed; those back have far fewer outputs.
    """
    padded = 4 if rows == 3 else rows
    if not has_norm:
        return FEW_OUTPUTS.get(padded, FEW_TOGETHER)
    if num_lines >= MANY_LINES:
        return HEAD if rows == 1 else TOGETHER
    alone = ALONE_SHORT if num_inputs <= SHORT_INPUTS else ALONE
    return {1: alone, 2: FOR_TWO}.get(rows, TOGETHER)
