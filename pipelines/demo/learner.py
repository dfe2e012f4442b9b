"""One process of a training run: the model, what it is judged by, and how its weights are changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import distributed, nn

from pipelines.demo.digits import soft_targets
from pipelines.demo.forward import read, see
from pipelines.demo.heads import VisionHeads
from pipelines.demo.model import HIDDEN, new_model
from pipelines.demo.muon import Muon
from pipelines.demo.sheets import Sheet
from pipelines.demo.things import DIGITS
from pipelines.demo.tokenizer import Encoder

COORDINATE_WEIGHT = 1.3
MAX_NORM = 2.0
NOT_MUON = ("embed_tokens", "pos_embed", "conv1d", "lm_head", "heads.")


@dataclass(frozen=True, eq=False)
class Standing:
    """How a step went: its loss, and the share of the words predicted rightly (None where there were none).

    Both are scalars where the model is: to read them is to wait for it.
    """

    loss: torch.Tensor
    words_right: torch.Tensor | None


class Learner:
    """A model in training. All processes hold the same weights and see different lessons."""

    def __init__(self, encoder: Encoder, seed: int, device: torch.device | None = None) -> None:
        self.device = device or torch.device("cpu")
        self.model = new_model(encoder, seed).to(self.device)
        self.heads = VisionHeads(HIDDEN).to(self.device)
        self.digits = torch.tensor([encoder.id(digit) for digit in DIGITS], device=self.device)
        self.soft_targets = soft_targets().to(self.device)
        self._split_parameters()

    def _split_parameters(self) -> None:
        named = [*self.model.named_parameters(), *self.heads.named_parameters(prefix="heads")]
        matrices = [p for name, p in named if p.ndim >= 2 and not any(part in name for part in NOT_MUON)]
        taken = set(map(id, matrices))
        rest = [p for _, p in named if id(p) not in taken]
        self.parameters = [p for _, p in named]
        self.muon = Muon(matrices)
        groups = [
            {"params": [p for p in rest if p.ndim >= 2], "weight_decay": 0.01},
            {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
        ]
        is_fused = self.device.type == "cuda"
        self.adam = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), eps=1e-9, fused=is_fused)

    def learn(self, sheets: Iterable[Sheet], rate: float, is_settling: bool = False) -> Standing:
        """One step at a learning rate, together with the other processes.

        While it is settling, what the visual tokens show teaches the heads alone: new heads know nothing yet, and a
        tower that does would be led astray by them.
        """
        for parameter in self.parameters:
            parameter.grad = None
        standings = [self._study(sheet, is_settling) for sheet in sheets]
        self._share_gradients()
        self.muon.step(rate)
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()
        right = [standing.words_right for standing in standings if standing.words_right is not None]
        return Standing(torch.stack([s.loss for s in standings]).sum(), right[0] if right else None)

    def _study(self, sheet: Sheet, is_settling: bool) -> Standing:
        """Add the gradient of one sheet."""
        loss, right = torch.zeros((), device=self.device), None
        visual = see(self.model, sheet) if len(sheet.patches) else None
        if visual is not None and len(sheet.shown):
            shown = (visual.detach() if is_settling else visual).index_select(0, sheet.shown)
            loss = loss + self.heads.loss(shown, sheet)
        if len(sheet.asked):
            words, right = self._words(sheet, visual)
            loss = loss + words
        torch.autograd.backward(loss)
        return Standing(loss.detach(), right)

    def _words(self, sheet: Sheet, visual: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """The weighted loss of the replies, and the share of their tokens predicted rightly."""
        hidden = read(self.model, sheet, visual if len(sheet.slots) else None)
        scores = self.model.lm_head(hidden.flatten(0, 1).index_select(0, sheet.asked)).log_softmax(-1)
        losses = -scores.gather(1, sheet.targets[:, None])[:, 0]
        of_digits = scores.index_select(0, sheet.soft).index_select(1, self.digits)
        forgiving = -(self.soft_targets.index_select(0, sheet.likely) * of_digits).sum(-1)
        losses = losses.index_copy(0, sheet.soft, COORDINATE_WEIGHT * forgiving)
        is_right = (scores.detach().argmax(1) == sheet.targets).float()
        return (losses * sheet.weights).sum(), is_right.index_select(0, sheet.hard).mean()

    def _share_gradients(self) -> None:
        """Average the gradients of all processes, and bring a large one down to MAX_NORM."""
        active = [p for p in self.parameters if p.grad is not None]
        if distributed.is_initialized():
            flat = torch.cat([p.grad.flatten() for p in active if p.grad is not None])
            distributed.all_reduce(flat)
            flat /= distributed.get_world_size()
            for parameter, part in zip(active, torch.split(flat, [p.numel() for p in active]), strict=True):
                parameter.grad = part.view_as(parameter)
        nn.utils.clip_grad_norm_(active, MAX_NORM)
