"""Ways to share out the products of a decode step over a GPU, beside cuBLAS: `python -m benchmarks.tiles`.

For each product of the real shapes, with one row and with four, the quickest ways stand beside what reading its
weights takes at least. `pipelines/engine/tiles.py` is written by this table. Weights change from one launch to the
next, so that none are read from a cache, and launches follow each other in a CUDA graph, as in a step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import triton

from benchmarks.shapes import SHAPES
from pipelines.engine import fused
from pipelines.engine.fused import can_overlap
from pipelines.engine.tiles import Tile

TILES = {
    1: (
        Tile(1, 2, 512, 2, 4), Tile(1, 4, 256, 1, 2), Tile(1, 4, 512, 2, 1), Tile(1, 4, 512, 2, 2),
        Tile(1, 4, 512, 2, 4), Tile(1, 4, 1024, 4, 1), Tile(1, 4, 1024, 4, 2), Tile(1, 4, 1024, 4, 4),
        Tile(1, 8, 512, 2, 1), Tile(1, 8, 512, 2, 2),
    ),
    4: (
        Tile(4, 2, 512, 2, 2), Tile(4, 4, 512, 2, 2), Tile(4, 4, 1024, 4, 2), Tile(16, 8, 256, 2, 6),
        Tile(16, 16, 256, 2, 4), Tile(16, 16, 512, 4, 3), Tile(16, 32, 256, 4, 3), Tile(16, 64, 128, 4, 4),
    ),
}  # fmt: skip
"""By the number of rows."""
SHOWN = 3
ROTATED_BYTES = 4 * 10**8
"""Of weights that take turns: some times what a cache holds."""
READ_BYTES = 2**30
VOCABULARY = 248_320


@dataclass(frozen=True)
class Product:
    """Weights [outputs, inputs], twice the outputs where they are gated, and whether the input is normed on the way."""

    name: str
    outputs: int
    inputs: int
    kind: triton.language.constexpr
    has_norm: bool

    @property
    def num_lines(self) -> int:
        """Rows of its weight."""
        return 2 * self.outputs if self.kind == fused.GATE else self.outputs


def products(size: str) -> list[Product]:
    """Those of a layer of Gated DeltaNet and of the head."""
    shape = SHAPES[size]
    hidden, inner, values = shape["hidden_size"], shape["intermediate_size"], 128 * shape["v"]
    into = 2 * 128 * 16 + 2 * values + 2 * shape["v"]
    return [
        Product(f"{size} in", into, hidden, fused.PLAIN, has_norm=True),
        Product(f"{size} out", hidden, values, fused.ADD, has_norm=False),
        Product(f"{size} up", inner, hidden, fused.GATE, has_norm=True),
        Product(f"{size} down", hidden, inner, fused.ADD, has_norm=False),
        Product(f"{size} head", VOCABULARY, hidden, fused.PLAIN, has_norm=True),
    ]


def microseconds(launch: Callable[[int], object], count: int) -> float:
    """The least that one of `count` launches in a row takes, of several tries."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        launch(0)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for number in range(count):
            launch(number)
    return min(_elapsed_ms(graph.replay) for _ in range(6)) / count * 1000


def _elapsed_ms(work: Callable[[], object]) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    start.record()
    work()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end))


@dataclass(frozen=True, eq=False)
class Trial:
    """A product with some rows, and the tensors for it; weights take turns."""

    product: Product
    values: torch.Tensor
    weights: list[torch.Tensor]
    norm: torch.Tensor
    out: torch.Tensor

    def by_cublas(self, number: int) -> None:
        """Launch it as torch does."""
        torch.nn.functional.linear(self.values, self.weights[number])

    def by_tile(self, tile: Tile, number: int) -> None:
        """Launch it in one of our ways."""
        product, rows, out = self.product, len(self.values), self.out
        overlaps = can_overlap(torch.device("cuda"))
        fused.product[(-(-product.num_lines // tile.outputs),)](
            self.values, self.weights[number], self.norm, self.norm, out, out, out,
            rows, product.outputs, product.inputs, 0, 1e-6,
            PAD=tile.rows, BLOCK_N=tile.outputs, BLOCK_K=tile.inputs, DEPTH=tile.depth,
            HAS_NORM=product.has_norm and rows == 1, HAS_SCALE=False, OVERLAP=overlaps, KIND=product.kind,
            num_warps=tile.warps, num_stages=tile.stages, **({"launch_pdl": True} if overlaps else {}),
        )  # fmt: skip


def show(product: Product, bytes_per_s: float) -> None:
    """Print the rows of one product."""
    num_bytes = product.num_lines * product.inputs * 2
    count = max(2, min(40, ROTATED_BYTES // num_bytes))
    weights = [_drawn(product.num_lines, product.inputs) * 0.02 for _ in range(count)]
    for rows, tiles in TILES.items():
        out = _drawn(rows, product.outputs)
        trial = Trial(product, _drawn(rows, product.inputs), weights, _drawn(product.inputs), out)
        cublas = microseconds(trial.by_cublas, count)
        found = sorted((microseconds(partial(trial.by_tile, tile), count), tile) for tile in tiles)
        best = ", ".join(
            f"{took:.1f} ({tile.outputs} x {tile.inputs}, {tile.warps} warps, depth {tile.depth}, {tile.rows} rows)"
            for took, tile in found[:SHOWN]
        )
        print(f"| {product.name} | {rows} | {num_bytes / bytes_per_s * 1e6:.1f} | {cublas:.1f} | {best} |", flush=True)


def _drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, device="cuda", dtype=torch.bfloat16)


def main() -> None:
    """Measure every product of every size."""
    if not torch.cuda.is_available():
        raise SystemExit("The tiles are those of an NVIDIA GPU: run this where there is one.")
    numbers = torch.ones(READ_BYTES // 4, device="cuda")
    bytes_per_s = numbers.nbytes / min(_elapsed_ms(numbers.sum) for _ in range(10)) * 1000
    del numbers
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, reads {bytes_per_s / 1e9:.0f} GB/s\n")
    print("| product | rows | at least, µs | cuBLAS | the quickest |\n|---|---|---|---|---|")
    for size in SHAPES:
        for product in products(size):
            show(product, bytes_per_s)


if __name__ == "__main__":
    main()
