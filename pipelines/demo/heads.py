"""Linear heads on the visual tokens, used in training alone: they teach the vision tower before it has any words."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pipelines.demo.clips import MovingScene
from pipelines.demo.scenes import TOKEN_PX, Scene
from pipelines.demo.things import COLOURS, DIGITS, LETTERS, SHAPES, SPECK, Thing

NUM_BINS = 50
BLUR = 0.9
"""The width of the soft target of a box side, in bins."""
FEWEST_PIXELS = 25
SORTS = (*SHAPES, "glyph", "number", SPECK)
CHARACTERS = DIGITS + LETTERS


@dataclass(frozen=True, eq=False)
class Dense:
    """What each visual token shows.

    `sort` (of SORTS) and `colour` int64 [N] (0: nothing), `first` and `second` int64 [N], the characters of what is to
    be read there (0: none), `box` float32 [N, 4] and `centre` float32 [N].
    """

    sort: torch.Tensor
    colour: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    box: torch.Tensor
    centre: torch.Tensor

    @classmethod
    def join(cls, parts: list[Dense]) -> Dense:
        """The targets of several pictures, one after the other."""
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    @classmethod
    def of_scene(cls, scene: Scene) -> Dense:
        """The targets of a picture, in the order of its visual tokens."""
        return cls._of_labels(scene.labels, list(scene.things))

    @classmethod
    def of_clip(cls, clip: MovingScene) -> Dense:
        """The targets of a clip: those of each pair of frames in turn."""
        parts = []
        for patch in range(len(clip.labels) // 2):
            first, second = clip.labels[2 * patch : 2 * patch + 2]
            labels = np.where(second > 0, second, first)
            parts.append(cls._of_labels(labels, [actor.at(patch) for actor in clip.actors]))
        return cls.join(parts)

    @classmethod
    def _of_labels(cls, labels: NDArray[np.uint8], things: list[Thing | None]) -> Dense:
        rows, columns = labels.shape[0] // TOKEN_PX, labels.shape[1] // TOKEN_PX
        cells = labels.reshape(rows, TOKEN_PX, columns, TOKEN_PX).swapaxes(1, 2).reshape(rows * columns, -1)
        areas = np.stack([(cells == i).sum(1) for i in range(len(things) + 1)], axis=1)
        shown = np.where(areas[:, 1:].max(1) >= FEWEST_PIXELS, areas[:, 1:].argmax(1) + 1, 0)
        centre = np.zeros(rows * columns, np.float32)
        named = np.zeros((4, len(things) + 1), np.int64)
        box = np.zeros((len(things) + 1, 4), np.float32)
        for i, thing in enumerate(things, start=1):
            if thing:
                x, y = thing.centre
                cell = int(y * rows) * columns + int(x * columns)
                shown[cell], centre[cell] = i, 1.0
                named[:, i] = _indices(thing)
                box[i] = thing.box
        arrays = (*named[:, shown], box[shown], centre)
        return cls(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))


def _indices(thing: Thing) -> tuple[int, int, int, int]:
    """The sort, the colour and the characters of a thing, as numbers from 1 on."""
    is_text = thing.kind not in (*SHAPES, SPECK)
    sort = thing.kind if not is_text else "number" if len(thing.kind) == 2 else "glyph"
    first = CHARACTERS.index(thing.kind[0]) + 1 if is_text else 0
    second = CHARACTERS.index(thing.kind[1]) + 1 if sort == "number" else 0
    return SORTS.index(sort) + 1, list(COLOURS).index(thing.colour) + 1, first, second


class VisionHeads(nn.Module):
    """What each visual token shows, read off by linear layers."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.sort = nn.Linear(hidden, len(SORTS) + 1)
        self.first = nn.Linear(hidden, len(CHARACTERS) + 1)
        self.second = nn.Linear(hidden, len(DIGITS) + 1)
        self.colour = nn.Linear(hidden, len(COLOURS) + 1)
        self.centre = nn.Linear(hidden, 1)
        self.box = nn.Linear(hidden, 4 * NUM_BINS)

    def loss(self, visual: torch.Tensor, dense: Dense) -> torch.Tensor:
        """The loss of float32 [N, hidden] against the targets, a scalar."""
        on = dense.sort > 0
        weight = torch.where(on, 1.0, 0.3)
        sort = (F.cross_entropy(self.sort(visual), dense.sort, reduction="none") * weight).mean()
        colour = (F.cross_entropy(self.colour(visual), dense.colour, reduction="none") * weight).mean()
        seen = visual[on]
        read = F.cross_entropy(self.first(seen), dense.first[on]) + F.cross_entropy(self.second(seen), dense.second[on])
        centre = F.binary_cross_entropy_with_logits(self.centre(visual)[:, 0], dense.centre)
        bins = self.box(seen).view(-1, 4, NUM_BINS).log_softmax(-1)
        places = (dense.box[on] * NUM_BINS - 0.5)[..., None] - torch.arange(NUM_BINS)
        box = -(torch.softmax(-(places**2) / (2 * BLUR**2), -1) * bins).sum(-1).mean()
        return torch.as_tensor(sort + colour + read + 2 * centre + 0.7 * box)
