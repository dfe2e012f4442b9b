"""What each visual token of a picture or clip shows: what the vision tower is taught before it has any words."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.demo.clips import MovingScene
from pipelines.demo.scenes import TOKEN_PX, Scene
from pipelines.demo.things import COLOURS, DIGITS, LETTERS, SHAPES, SPECK, Thing

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
    def nothing(cls) -> Dense:
        """The targets of no picture."""
        none = torch.empty(0, dtype=torch.int64)
        return cls(none, none, none, none, torch.empty(0, 4), torch.empty(0))

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
