"""The lessons of a step laid out as one set of tensors, with everything worked out that needs no weights.

Which token stands where, which patch lies where, what is asked and how much it weighs: all of it is known when the
lessons are drawn, so it is worked out there, by whichever process draws them. A sheet travels as one piece of bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import accumulate, chain
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812

from pipelines.demo.batches import Batch, Seen
from pipelines.demo.course import Lesson
from pipelines.demo.dense import Dense
from pipelines.demo.tokenizer import END, IMAGE_PAD, VIDEO_PAD, Encoder
from pipelines.inputs import MERGE, ROW, Grid, num_visual_tokens

GRID_SIDE = 16
"""The side of the tower's square of learned places."""
ALIGNMENT = 64

Ints = NDArray[np.int64]
Layout = tuple[tuple[str, tuple[int, ...], int], ...]
"""For each tensor of a sheet its type, its shape and where its bytes begin."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """The tensors of one pass through the model. N patches, V visual tokens that text holds, M words that are asked.

    Seeing: `patches` uint8 [N, 1536]; of each the four learned places around it, `corners` int64 [N, 4] and their
    `shares` float32 [N, 4], and its `cells` int64 [N, 2] (row, column). `rows` int64 [frames, length] holds the patches
    frame by frame, padded where `there` bool [frames, length] says no; `back` int64 [N] leads back from there.
    Showing: what the visual tokens `shown` int64 show, `dense`, and how much that weighs.
    Reading: `ids` int64 [B, S], `positions` int64 [3, B, S]; into the text's places `slots` int64 [V] go the visual
    tokens `order` int64 [V]. The words behind the places `asked` int64 [M] are `targets` int64 [M] of `weights` float32
    [M]; those of `hard` int64 (into M) are nothing but right or wrong, those of `soft` are digits with targets of the
    rows `likely` int64.
    """

    patches: torch.Tensor
    corners: torch.Tensor
    shares: torch.Tensor
    cells: torch.Tensor
    rows: torch.Tensor
    there: torch.Tensor
    back: torch.Tensor
    shown: torch.Tensor
    sort: torch.Tensor
    colour: torch.Tensor
    centre: torch.Tensor
    sight: torch.Tensor
    on: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    box: torch.Tensor
    on_sight: torch.Tensor
    ids: torch.Tensor
    positions: torch.Tensor
    slots: torch.Tensor
    order: torch.Tensor
    asked: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    hard: torch.Tensor
    soft: torch.Tensor
    likely: torch.Tensor

    def pack(self) -> tuple[torch.Tensor, Layout]:
        """All tensors as one piece, uint8, and what lies where in it."""
        tensors = [getattr(self, field.name).contiguous() for field in fields(self)]
        starts = [0, *accumulate(-(-tensor.nbytes // ALIGNMENT) * ALIGNMENT for tensor in tensors)]
        piece = torch.empty(starts[-1], dtype=torch.uint8)
        for tensor, start in zip(tensors, starts, strict=False):
            if tensor.nbytes:
                piece[start : start + tensor.nbytes] = tensor.flatten().view(torch.uint8)
        kinds = [str(tensor.dtype).removeprefix("torch.") for tensor in tensors]
        shapes = [tuple(tensor.shape) for tensor in tensors]
        return piece, tuple(zip(kinds, shapes, starts, strict=False))

    @classmethod
    def unpack(cls, piece: torch.Tensor, layout: Layout) -> Sheet:
        """The sheet that was packed, on the device of the piece."""
        return cls(*(_part(piece, *entry) for entry in layout))


def _part(piece: torch.Tensor, kind: str, shape: tuple[int, ...], start: int) -> torch.Tensor:
    dtype = getattr(torch, kind)
    return piece[start : start + prod(shape) * dtype.itemsize].view(dtype).view(shape)


def lay_out(encoder: Encoder, lessons: Sequence[Lesson]) -> Sheet:
    """One sheet of all the lessons. Each keeps its own means, so together they teach what they teach one by one."""
    views = [view for lesson in lessons for view in _views(lesson)]
    firsts = list(accumulate((num_visual_tokens(view.grid) * view.count for view in views), initial=0))
    batches = [(lesson.material, lesson.words) for lesson in lessons if isinstance(lesson.material, Batch)]
    owners = list(chain.from_iterable([lesson] * len(_views(lesson)) for lesson in lessons))
    shown = [(view.dense, lesson.sight, first) for view, lesson, first in zip(views, owners, firsts, strict=False)]
    return Sheet(
        *_seeing(views),
        *_showing([(dense, sight, first) for dense, sight, first in shown if dense]),
        *_reading(encoder, batches, {id(view): first for view, first in zip(views, firsts, strict=False)}),
    )


def _views(lesson: Lesson) -> tuple[Seen, ...]:
    return lesson.material.views if isinstance(lesson.material, Batch) else (lesson.material,)


def _seeing(views: Sequence[Seen]) -> Iterator[torch.Tensor]:
    grids = [view.grid for view in views for _ in range(view.count)]
    yield torch.cat([view.patches for view in views]) if views else torch.empty(0, ROW, dtype=torch.uint8)
    cells = np.concatenate([np.tile(_cells(grid), (grid[0], 1)) for grid in grids] or [np.zeros((0, 2), np.int64)])
    sides = np.concatenate([np.tile(grid[1:], (prod(grid), 1)) for grid in grids] or [np.zeros((0, 2), np.int64)])
    places = cells * (GRID_SIDE - 1) / np.maximum(sides - 1, 1)
    low = np.floor(places).astype(np.int64)
    high, part = np.minimum(low + 1, GRID_SIDE - 1), (places - low).astype(np.float32)
    yield torch.from_numpy(np.stack([y[:, 0] * GRID_SIDE + x[:, 1] for y in (low, high) for x in (low, high)], axis=1))
    yield torch.from_numpy(np.stack([y[:, 0] * x[:, 1] for y in (1 - part, part) for x in (1 - part, part)], axis=1))
    yield torch.from_numpy(cells)
    yield from _frames([h * w for t, h, w in grids for _ in range(t)])


def _cells(grid: Grid) -> Ints:
    """Row and column of the patches of a frame, in their order: the four of each visual token together."""
    _, h, w = grid
    blocks = np.stack(np.meshgrid(np.arange(h), np.arange(w), indexing="ij"), axis=-1)
    split = blocks.reshape(h // MERGE, MERGE, w // MERGE, MERGE, 2).swapaxes(1, 2)
    return split.reshape(-1, 2).astype(np.int64)


def _frames(lengths: Sequence[int]) -> Iterator[torch.Tensor]:
    """Where the patches of frames of these lengths lie, and whether they are there; and the way back."""
    longest = max(lengths, default=0)
    longest = longest if len(set(lengths)) < 2 else -(-longest // 8) * 8
    there = np.arange(longest) < np.asarray(lengths, np.int64)[:, None]
    rows = np.zeros(there.shape, np.int64)
    rows[there] = np.arange(sum(lengths))
    yield torch.from_numpy(rows)
    yield torch.from_numpy(there)
    yield torch.from_numpy(np.flatnonzero(there))


def _showing(shown: Sequence[tuple[Dense, float, int]]) -> Iterator[torch.Tensor]:
    dense = Dense.join([part for part, _, _ in shown]) if shown else Dense.nothing()
    on = (dense.sort > 0).nonzero()[:, 0]
    counts = [len(part.sort) for part, _, _ in shown]
    yield torch.cat([torch.arange(n) + first for n, (_, _, first) in zip(counts, shown, strict=True)] or [on])
    yield from (dense.sort, dense.colour, dense.centre)
    yield _filled(counts, [sight / n for n, (_, sight, _) in zip(counts, shown, strict=True)])
    yield from (on, dense.first[on], dense.second[on], dense.box[on])
    nums_on = [int((part.sort > 0).sum()) for part, _, _ in shown]
    yield _filled(nums_on, [sight / max(1, n) for n, (_, sight, _) in zip(nums_on, shown, strict=True)])


def _filled(counts: Sequence[int], values: Sequence[float]) -> torch.Tensor:
    return torch.from_numpy(np.repeat(np.asarray(values, np.float32), np.asarray(counts, np.int64)))


def _reading(
    encoder: Encoder, batches: Sequence[tuple[Batch, float]], firsts: dict[int, int]
) -> Iterator[torch.Tensor]:
    longest = max((batch.ids.shape[1] for batch, _ in batches), default=0)
    ids = _stacked([batch.ids for batch, _ in batches], longest, encoder.id(END), torch.int64)
    weights = _stacked([batch.weights[:, 1:] * (words / batch.weights.sum()) for batch, words in batches],
                       longest, 0.0, torch.float32)  # fmt: skip
    rows = _stacked([batch.soft[:, 1:] for batch, _ in batches], longest, 0, torch.int64)
    is_visual = (ids == encoder.id(IMAGE_PAD)) | (ids == encoder.id(VIDEO_PAD))
    yield ids
    shapes = [shape for batch, _ in batches for _ in range(len(batch.ids)) for shape in _shapes(batch)]
    yield torch.from_numpy(_positions(is_visual.numpy(), shapes))
    yield is_visual.flatten().nonzero()[:, 0]
    yield torch.cat([_order(batch, firsts) for batch, _ in batches] or [torch.empty(0, dtype=torch.int64)])
    asked = weights.flatten().nonzero()[:, 0]
    yield asked
    yield ids.flatten()[asked + 1]
    yield weights.flatten()[asked]
    rows = rows.flatten()[asked]
    yield (rows == 0).nonzero()[:, 0]
    soft = rows.nonzero()[:, 0]
    yield soft
    yield rows[soft]


def _stacked(parts: Sequence[torch.Tensor], length: int, filling: float, dtype: torch.dtype) -> torch.Tensor:
    """Rows of several lengths one below the other, filled up on the right."""
    padded = [F.pad(part, (0, length - part.shape[1]), value=filling) for part in parts]
    return torch.cat(padded) if padded else torch.empty(0, 0, dtype=dtype)


def _shapes(batch: Batch) -> list[tuple[int, int]]:
    """Rows and columns of visual tokens of each run of placeholders of a conversation."""
    return [(h // MERGE, w // MERGE) for t, h, w in (view.grid for view in batch.views) for _ in range(t)]


def _order(batch: Batch, firsts: dict[int, int]) -> torch.Tensor:
    """The visual tokens of the batch's conversations, one conversation after the other."""
    parts = [torch.arange(len(batch.ids) * n).view(-1, n) + firsts[id(view)]
             for view, n in ((view, num_visual_tokens(view.grid)) for view in batch.views)]  # fmt: skip
    return torch.cat(parts, dim=1).flatten() if parts else torch.empty(0, dtype=torch.int64)


def _positions(is_visual: NDArray[np.bool_], shapes: Sequence[tuple[int, int]]) -> Ints:
    """Time, row and column of every token, int64 [3, B, S]; `shapes` are those of the runs of visual ones, in order."""
    steps = np.ones(is_visual.shape, np.int64)
    offsets = np.zeros((2, *is_visual.shape), np.int64)
    edges = np.diff(is_visual.astype(np.int8), axis=1, prepend=0, append=0)
    starts, ends = np.argwhere(edges > 0), np.argwhere(edges < 0)
    for (row, start), (_, end), (height, width) in zip(starts, ends, shapes, strict=True):
        steps[row, start : end - 1], steps[row, end - 1] = 0, max(height, width)
        offsets[0, row, start:end] = np.repeat(np.arange(height), width)
        offsets[1, row, start:end] = np.tile(np.arange(width), height)
    base = np.cumsum(steps, axis=1) - steps
    return np.stack([base, base + offsets[0], base + offsets[1]])
