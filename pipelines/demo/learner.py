"""One process of a training run: the model, what it is judged by, and how its weights are changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import distributed, nn

from pipelines.demo.batches import IGNORED, Batch
from pipelines.demo.course import Lesson
from pipelines.demo.heads import VisionHeads
from pipelines.demo.model import HIDDEN, hasten, new_model
from pipelines.demo.muon import Muon
from pipelines.demo.tokenizer import COORDINATES, Encoder

COORDINATE_WEIGHT = 1.3
COORDINATE_BLUR = 0.8
"""The width of the soft target of a coordinate, in steps of the grid."""
MAX_NORM = 2.0
NOT_MUON = ("embed_tokens", "pos_embed", "conv1d", "lm_head", "heads.")


@dataclass(frozen=True)
class Standing:
    """How a step went: its mean loss, and the share of the words predicted rightly (None where there were none)."""

    loss: float
    words_right: float | None


class Learner:
    """A model in training. All processes hold the same weights and see different lessons."""

    def __init__(self, encoder: Encoder, seed: int) -> None:
        self.model = new_model(encoder, seed)
        self.heads = VisionHeads(HIDDEN)
        hasten(self.model)
        self.model.train()
        self.coordinates = torch.tensor([encoder.id(number) for number in COORDINATES])
        self.place = torch.full((encoder.size,), -1)
        self.place[self.coordinates] = torch.arange(len(COORDINATES))
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
        self.adam = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), eps=1e-9)

    def learn(self, lessons: Iterable[Lesson], rate: float, is_settling: bool = False) -> Standing:
        """One step at a learning rate, together with the other processes.

        While it is settling, what the visual tokens show teaches the heads alone: new heads know nothing yet, and a
        tower that does would be led astray by them.
        """
        for parameter in self.parameters:
            parameter.grad = None
        standings = [self._study(lesson, is_settling) for lesson in lessons]
        self._share_gradients()
        self.muon.step(rate)
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()
        right = [standing.words_right for standing in standings if standing.words_right is not None]
        return Standing(sum(s.loss for s in standings), right[0] if right else None)

    def _study(self, lesson: Lesson, is_settling: bool) -> Standing:
        """Add the gradient of one lesson."""
        material, right = lesson.material, None
        loss = torch.zeros(())
        views = material.views if isinstance(material, Batch) else (material,)
        visual = [self.model.model.visual(view.patches, grid_thw=view.grids).pooler_output for view in views]
        for view, tokens in zip(views, visual, strict=True):
            if view.dense is not None:
                shown = tokens.detach() if is_settling else tokens
                loss = loss + lesson.sight * self.heads.loss(shown, view.dense)
        if isinstance(material, Batch):
            words, right = self._words(material, visual)
            loss = loss + lesson.words * words
        torch.autograd.backward(loss)
        return Standing(loss.item(), right)

    def _words(self, batch: Batch, visual: Sequence[torch.Tensor]) -> tuple[torch.Tensor, float]:
        """The weighted loss of the replies, and the share of their tokens predicted rightly."""
        hidden = self.hidden(batch, visual)
        asked = batch.targets[:, 1:] != IGNORED
        targets, weights = batch.targets[:, 1:][asked], batch.weights[:, 1:][asked]
        scores = self.model.lm_head(hidden[:, :-1][asked]).log_softmax(-1)
        losses = -scores.gather(1, targets[:, None])[:, 0]
        places = self.place[targets]
        is_place = places >= 0
        if is_place.any():
            soft = self._soft(places[is_place]) * scores[is_place][:, self.coordinates]
            losses = losses.masked_scatter(is_place, -COORDINATE_WEIGHT * soft.sum(-1))
        right = (scores.argmax(1) == targets)[~is_place].float().mean().item()
        return (losses * weights).sum() / weights.sum(), right

    def hidden(self, batch: Batch, visual: Sequence[torch.Tensor]) -> torch.Tensor:
        """The last hidden states, float32 [B, S, hidden]; padding on the right needs no mask.

        `visual` holds the visual tokens of each of the batch's views, float32 [N, hidden].
        """
        inner, config = self.model.model, self.model.config
        inner.rope_deltas = None
        embeddings = inner.language_model.embed_tokens(batch.ids)
        positions = None
        if visual:
            is_picture = batch.source == "picture"
            is_visual = batch.ids == (config.image_token_id if is_picture else config.video_token_id)
            count = len(batch.ids)
            in_order = torch.cat([tokens.reshape(count, -1, HIDDEN) for tokens in visual], dim=1)
            embeddings = embeddings.masked_scatter(is_visual[..., None], in_order)
            rows = torch.stack([view.grids for view in batch.views], dim=1).flatten(0, 1)
            grids = {"image_grid_thw" if is_picture else "video_grid_thw": rows}
            positions, _ = inner.get_rope_index(batch.ids, is_visual.int() * (1 if is_picture else 2), **grids)
        output = inner.language_model(inputs_embeds=embeddings, position_ids=positions, use_cache=False)
        hidden: torch.Tensor = output.last_hidden_state
        return hidden

    def _soft(self, places: torch.Tensor) -> torch.Tensor:
        """Targets that forgive a coordinate its neighbours, float32 [N, number of coordinates]."""
        distance = places[:, None] - torch.arange(len(COORDINATES))
        return torch.softmax(-(distance.float() ** 2) / (2 * COORDINATE_BLUR**2), -1)

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
