"""Linear heads on the visual tokens, used in training alone: they teach the vision tower before it has any words."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pipelines.demo.dense import CHARACTERS, SORTS
from pipelines.demo.sheets import Sheet
from pipelines.demo.things import COLOURS, DIGITS

NUM_BINS = 50
BLUR = 0.9
"""The width of the soft target of a box side, in bins."""
OFF_WEIGHT = 0.3
"""How much it counts what a visual token shows that shows nothing."""


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

    def loss(self, visual: torch.Tensor, sheet: Sheet) -> torch.Tensor:
        """The loss of the visual tokens that show something known, float32 [N, hidden], a scalar."""
        weight = torch.where(sheet.sort > 0, 1.0, OFF_WEIGHT) * sheet.sight
        sort = F.cross_entropy(self.sort(visual), sheet.sort, reduction="none") * weight
        colour = F.cross_entropy(self.colour(visual), sheet.colour, reduction="none") * weight
        centre = F.binary_cross_entropy_with_logits(self.centre(visual)[:, 0], sheet.centre, reduction="none")
        seen = visual.index_select(0, sheet.on)
        first = F.cross_entropy(self.first(seen), sheet.first, reduction="none")
        second = F.cross_entropy(self.second(seen), sheet.second, reduction="none")
        bins = self.box(seen).view(-1, 4, NUM_BINS).log_softmax(-1)
        places = (sheet.box * NUM_BINS - 0.5)[..., None] - torch.arange(NUM_BINS, device=bins.device)
        box = -(torch.softmax(-(places**2) / (2 * BLUR**2), -1) * bins).sum(-1).mean(-1)
        every = sort + colour + 2 * centre * sheet.sight
        return torch.as_tensor(every.sum() + ((first + second + 0.7 * box) * sheet.on_sight).sum())
