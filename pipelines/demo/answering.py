"""Many questions at once to a checkpoint of the demo model, through the program's own early fusion, greedily."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from transformers import Qwen3_5ForConditionalGeneration

from pipelines.checkpoint import Checkpoint
from pipelines.fusion.fuse import fuse
from pipelines.inputs import ModelInputs
from pipelines.tools.offer import ZOOM_TOOL
from pipelines.types import ContentPart, Media, Message, Picture

END_OF_THINKING = "</think>"
BATCH_SIZE, MAX_NEW_TOKENS = 100, 600


@dataclass(frozen=True, eq=False)
class Query:
    """A conversation that waits for a reply: what came before, and a question about pictures, a clip or nothing.

    `media` belong to the question, or to the first of the earlier turns where there are any; `along` goes with the
    question itself. `zooms` offers the zoom tool.
    """

    question: str
    media: tuple[Media, ...] = ()
    earlier: tuple[tuple[str, str], ...] = ()
    zooms: bool = False
    looked: tuple[Reply, Picture] | None = None
    along: tuple[Media, ...] = ()

    @classmethod
    def about(cls, media: Media, question: str) -> Query:
        """A question about one picture or clip."""
        return cls(question, (media,))

    @property
    def messages(self) -> list[Message]:
        """The conversation in the chat format, media first."""
        questions = [question for question, _ in self.earlier] + [self.question]
        shown = [self.media, *((),) * len(self.earlier)]
        shown[-1] += self.along
        turns: list[Message] = [_turn(questions[0], shown[0])]
        for (_, answer), question, media in zip(self.earlier, questions[1:], shown[1:], strict=True):
            turns += [{"role": "assistant", "content": answer}, _turn(question, media)]
        return turns

    @property
    def all_media(self) -> tuple[Media, ...]:
        """Every picture and clip of the conversation, in order."""
        return (*self.media, *self.along, *([self.looked[1]] if self.looked else []))


@dataclass(frozen=True)
class Reply:
    """What the model wrote: the reasoning (empty where it was not to think), the answer, and whether it ended."""

    reasoning: str
    answer: str
    ended: bool = True


def _turn(question: str, media: Sequence[Media] = ()) -> Message:
    parts: list[ContentPart] = [{"type": "image" if isinstance(item, Picture) else "video"} for item in media]
    return {"role": "user", "content": [*parts, {"type": "text", "text": question}]}


class Answerer:
    """A checkpoint in float32 on the CPU."""

    def __init__(self, folder: Path) -> None:
        self.checkpoint = Checkpoint.open(folder)
        self.model = Qwen3_5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()

    def reply_all(self, queries: Sequence[Query], thinking: bool) -> list[Reply]:
        """A reply to each query; those of like length are answered together."""
        inputs = [self._fused(query, thinking) for query in queries]
        order = sorted(range(len(queries)), key=lambda i: inputs[i].num_tokens)
        replies: dict[int, Reply] = {}
        for start in range(0, len(order), BATCH_SIZE):
            group = order[start : start + BATCH_SIZE]
            replies.update(zip(group, self._generate([inputs[i] for i in group], thinking), strict=True))
        return [replies[i] for i in range(len(queries))]

    def _fused(self, query: Query, thinking: bool) -> ModelInputs:
        if not query.zooms:
            return fuse(query.messages, query.all_media, self.checkpoint, thinking)
        messages = [*query.messages, *(_look(query.looked[0]) if query.looked else [])]
        return fuse(messages, query.all_media, self.checkpoint, thinking, [ZOOM_TOOL])

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
            max_new_tokens=MAX_NEW_TOKENS,
            do_sample=False,
        )
        return [self._read(row[longest:].tolist(), thinking) for row in output]

    def _read(self, ids: list[int], thinking: bool) -> Reply:
        ends = self.checkpoint.eos_token_ids
        length = next((i for i, token in enumerate(ids) if token in ends), len(ids))
        ended = length < len(ids)
        text = self.checkpoint.tokenizer.decode(ids[:length], skip_special_tokens=False)
        reasoning, mark, answer = text.partition(END_OF_THINKING)
        if mark:
            return Reply(reasoning.strip(), answer.strip(), ended)
        return Reply(text.strip(), "", ended) if thinking else Reply("", text.strip(), ended)


def _look(call: Reply) -> list[Message]:
    """The turns of a call of the tool and of the picture that it gave back."""
    turns: list[Mapping[str, object]] = [
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": call.reasoning,
            "tool_calls": [read_call(call.answer)],
        },
        {"role": "tool", "content": [{"type": "image"}]},
    ]
    return cast(list[Message], turns)


def read_call(answer: str) -> dict[str, object]:
    """A call of the tool as the template takes it: its name and its arguments, in the words of the answer."""
    name = re.search(r"<function=(\w+)>", answer)
    arguments = dict(re.findall(r"<parameter=(\w+)>\n(.*?)\n</parameter>", answer, re.DOTALL))
    return {"name": name[1] if name else "", "arguments": arguments}


def _join(tensors: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    there = [tensor for tensor in tensors if tensor is not None]
    return torch.cat(there) if there else None
