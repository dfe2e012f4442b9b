"""How a product of few rows is shared out over a GPU: as was quickest on an H100, see LOG.md and `benchmarks.tiles`."""

from __future__ import annotations

from dataclasses import dataclass

MANY_OUTPUTS = 100_000


@dataclass(frozen=True, order=True)
class Tile:
    """Outputs and inputs that a block of threads works on at once, its warps, and how far it fetches ahead."""

    outputs: int
    inputs: int
    warps: int
    stages: int


def tile_for(rows: int, num_outputs: int, *, has_norm: bool) -> Tile:
    """The tile of a product of `rows` rows with `num_outputs` outputs, where the input is normed on the way or not."""
    if rows > 1:
        return Tile(16, 256, 2, 4)
    if num_outputs >= MANY_OUTPUTS:
        return Tile(4, 512, 4, 2)
    return Tile(2, 512, 1, 2) if has_norm else Tile(4, 1024, 4, 2)
