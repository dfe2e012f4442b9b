"""Many questions at once to a checkpoint of the demo model, through the program's own early fusion, greedily."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import Qwen3_5ForConditionalGeneration

from pipelines.checkpoint import Checkpoint
from pipelines.fusion.fuse import fuse
from pipelines.inputs import ModelInputs
from pipelines.types import ContentPart, Media, Message, Picture

END_OF_THINKING = "</think>"


@dataclass(frozen=True, eq=False)
class Query:
    """A question, about a picture or a clip or nothing."""

    question: str
    media: Media | None = None

    @property
    def message(self) -> Message:
        """The user's turn, the media first."""
        parts: list[ContentPart] = []
        if self.media is not None:
            parts.append({"type": "image" if isinstance(self.media, Picture) else "video"})
        return {"role": "user", "content": [*parts, {"type": "text", "text": self.question}]}


@dataclass(frozen=True)
class Reply:
    """What the model wrote: the reasoning (empty where it was not to think) and the answer."""

    reasoning: str
    answer: str


class Answerer:
    """A checkpoint in float32 on the CPU."""

    def __init__(self, folder: Path, batch_size: int = 100, max_new_tokens: int = 260) -> None:
        self.checkpoint = Checkpoint.open(folder)
        self.model = Qwen3_5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self.batch_size, self.max_new_tokens = batch_size, max_new_tokens

    def reply_all(self, queries: Sequence[Query], thinking: bool) -> list[Reply]:
        """A reply to each query; those of like length are answered together."""
        inputs = [fuse([q.message], [q.media] if q.media else [], self.checkpoint, thinking) for q in queries]
        order = sorted(range(len(queries)), key=lambda i: inputs[i].num_tokens)
        replies: dict[int, Reply] = {}
        for start in range(0, len(order), self.batch_size):
            group = order[start : start + self.batch_size]
            replies.update(zip(group, self._generate([inputs[i] for i in group], thinking), strict=True))
        return [replies[i] for i in range(len(queries))]

    @torch.inference_mode()
    def _generate(self, group: Sequence[ModelInputs], thinking: bool) -> list[Reply]:
        longest = max(item.num_tokens for item in group)
        pad = self.model.config.text_config.pad_token_id
        ids, types, mask = (
            torch.full((len(group), longest), pad),
            *torch.zeros((2, len(group), longest), dtype=torch.int64),
        )
        for row, item in enumerate(group):
            room = longest - item.num_tokens
            ids[row, room:], types[row, room:], mask[row, room:] = item.input_ids[0], item.mm_token_type_ids[0], 1
        seen = {
            "pixel_values": _join([item.pixel_values for item in group]),
            "image_grid_thw": _join([item.image_grid_thw for item in group]),
            "pixel_values_videos": _join([item.pixel_values_videos for item in group]),
            "video_grid_thw": _join([item.video_grid_thw for item in group]),
        }
        self.model.model.rope_deltas = None
        output = self.model.generate(
            input_ids=ids,
            attention_mask=mask,
            mm_token_type_ids=types,
            **{name: tensor for name, tensor in seen.items() if tensor is not None},
            max_new_tokens=self.max_new_tokens,
            do_sample=False,
        )
        return [self._read(row[longest:].tolist(), thinking) for row in output]

    def _read(self, ids: list[int], thinking: bool) -> Reply:
        ends = self.checkpoint.eos_token_ids
        length = next((i for i, token in enumerate(ids) if token in ends), len(ids))
        text = self.checkpoint.tokenizer.decode(ids[:length], skip_special_tokens=False)
        reasoning, mark, answer = text.partition(END_OF_THINKING)
        if mark:
            return Reply(reasoning.strip(), answer.strip())
        return Reply(text.strip(), "") if thinking else Reply("", text.strip())


def _join(tensors: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    there = [tensor for tensor in tensors if tensor is not None]
    return torch.cat(there) if there else None
