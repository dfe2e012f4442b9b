"""The engine that runs a Qwen3.5 checkpoint in this process, with transformers' model and a decode loop of our own.

Greedy output equals `model.generate(do_sample=False)` token for token. Position ids are passed at every step: the
model's own `rope_deltas` is state shared by all requests, and is never read or written here. A request holds its cache
itself, so several may run at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import DynamicCache, Qwen3_5ForConditionalGeneration
from transformers.utils import logging

from pipelines.checkpoint import Checkpoint
from pipelines.engine.base import Enter
from pipelines.engine.decoder import Detokenizer, Sampler
from pipelines.engine.placement import Placement, choose_placement
from pipelines.engine.presets import GREEDY, preset
from pipelines.inputs import ModelInputs, patches_of
from pipelines.timing import Clock, CudaClock, HostClock
from pipelines.types import EngineInfo, FinishReason, Sampling, Settings, Token, UserError

DAMAGED = 'The weights of "{name}" are missing or damaged: download the checkpoint again.'
OUT_OF_MEMORY = "The {device} ran out of memory: ask with fewer frames, a smaller picture or a shorter conversation."


@dataclass
class _State:
    """What one request carries from token to token."""

    cache: DynamicCache
    next_position: int
    num_cached: int


class LocalEngine:
    """A `qwen3_5` model on this machine."""

    def __init__(self, model: Any, checkpoint: Checkpoint, name: str, placement: Placement) -> None:
        self.checkpoint = checkpoint
        self.model = model
        self.info = EngineInfo(name, placement.device_name, placement.dtype_name, checkpoint.context_tokens)
        self.clock: Clock = CudaClock() if placement.is_cuda else HostClock()

    @classmethod
    def load(cls, folder: Path, name: str, placement: Placement | None = None) -> LocalEngine:
        """Load a checkpoint folder: safetensors alone, no code of its own, placed by accelerate.

        Raises UserError where the folder does not hold a whole Qwen3.5 checkpoint or its memory is not to be had.
        """
        checkpoint = Checkpoint.open(folder)
        placement = placement or choose_placement(folder)
        _quieten()
        if placement.num_threads:
            torch.set_num_threads(placement.num_threads)
        try:
            model, loaded = Qwen3_5ForConditionalGeneration.from_pretrained(
                folder,
                dtype=placement.dtype,
                device_map=placement.device_map,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        except torch.OutOfMemoryError as error:
            raise UserError(f'"{name}" does not fit on {placement.device_name}: choose a smaller model.') from error
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise UserError(DAMAGED.format(name=name)) from error
        if loaded["missing_keys"]:  # transformers would go on with random weights in their place
            raise UserError(DAMAGED.format(name=name))
        return cls(model.eval(), checkpoint, name, placement)

    def preset(self, *, thinking: bool, has_media: bool) -> Sampling:
        """The model card's values; greedy where the checkpoint's own generation_config does not sample."""
        if not self.model.generation_config.do_sample:
            return GREEDY
        return preset(self.model.config.text_config.hidden_size, thinking=thinking, has_media=has_media)

    @torch.inference_mode()
    def generate(
        self, inputs: ModelInputs, settings: Settings, enter: Enter, stop: Flag
    ) -> Iterator[Token | FinishReason]:
        """Prefill, then one token a step. Raises UserError where the prompt or the memory does not suffice."""
        room = self.info.context_tokens - inputs.num_tokens
        if room < 1:
            raise UserError(
                f"The question and its media take {inputs.num_tokens:,} tokens, and this model holds "
                f"{self.info.context_tokens:,}: shorten the text or take fewer frames or pictures."
            )
        budget = min(room, settings.max_new_tokens)
        sampling = settings.sampling or self.preset(thinking=settings.thinking, has_media=inputs.num_visual_tokens > 0)
        try:
            yield from self._run(inputs, Sampler(sampling, settings.seed, self.model.device), budget, enter, stop)
        except torch.OutOfMemoryError as error:
            raise UserError(OUT_OF_MEMORY.format(device=self.info.device)) from error

    def _run(
        self, inputs: ModelInputs, sampler: Sampler, max_new_tokens: int, enter: Enter, stop: Flag
    ) -> Iterator[Token | FinishReason]:
        if stop.is_set():
            yield "cancelled"
            return
        features = self._see(inputs, enter)
        if stop.is_set():
            yield "cancelled"
            return
        enter("prefill")
        logits, state = self._prefill(inputs, features)
        yield from self._decode(logits, state, sampler, max_new_tokens, stop)

    def _decode(
        self, logits: torch.Tensor, state: _State, sampler: Sampler, max_new_tokens: int, stop: Flag
    ) -> Iterator[Token | FinishReason]:
        detokenizer = Detokenizer(self.checkpoint.tokenizer)
        for left in reversed(range(max_new_tokens)):
            chosen = sampler.choose(logits)
            if chosen in self.checkpoint.eos_token_ids:
                yield "stop"
                return
            yield detokenizer.take(chosen)
            if stop.is_set():
                yield "cancelled"
                return
            if left:
                logits = self._step(chosen, state)
        yield "length"

    def _see(self, inputs: ModelInputs, enter: Enter) -> dict[str, Any] | None:
        """Run the vision tower: features of the pictures and of the clips, as the model's forward takes them.

        Pixels go to the device as they are, and are normalised and cut there.
        """
        if not inputs.num_visual_tokens:
            return None
        enter("vision")
        tower, device = self.model.model, self.model.device
        features = {}
        pictures, clips = patches_of(inputs.pictures, device), patches_of(inputs.clips, device)
        if pictures is not None and inputs.image_grid_thw is not None:
            features["image"] = tower.get_image_features(pictures, inputs.image_grid_thw.to(device), return_dict=True)
        if clips is not None and inputs.video_grid_thw is not None:
            features["video"] = tower.get_video_features(clips, inputs.video_grid_thw.to(device), return_dict=True)
        return features

    def _prefill(self, inputs: ModelInputs, features: dict[str, Any] | None) -> tuple[torch.Tensor, _State]:
        """Run the prompt: logits [vocabulary] of its end, and the state to go on from."""
        positions = self._positions(inputs)
        cache = DynamicCache(config=self.model.config.text_config)
        output = self.model.model(
            input_ids=inputs.input_ids.to(self.model.device),
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            mm_encoder_outputs=features,
        )
        return self._head(output.last_hidden_state), _State(cache, int(positions[1:].max()) + 1, inputs.num_tokens)

    def _positions(self, inputs: ModelInputs) -> torch.Tensor:
        """Position ids int64 [4, 1, S]: of the text, then time, height and width of multimodal rotary embedding."""
        device = self.model.device
        text = torch.arange(inputs.num_tokens, device=device).view(1, 1, -1)
        if not inputs.num_visual_tokens:
            return text.expand(4, -1, -1)
        rope, _ = self.model.model.get_rope_index(
            inputs.input_ids.to(device),
            mm_token_type_ids=inputs.mm_token_type_ids.to(device),
            image_grid_thw=None if inputs.image_grid_thw is None else inputs.image_grid_thw.to(device),
            video_grid_thw=None if inputs.video_grid_thw is None else inputs.video_grid_thw.to(device),
        )
        return torch.cat([text, rope])

    def _step(self, token_id: int, state: _State) -> torch.Tensor:
        """Run one token: logits [vocabulary] of the next. Its text position counts tokens, its rotary one goes on."""
        device = self.model.device
        positions = torch.full((4, 1, 1), state.next_position, device=device)
        positions[0] = state.num_cached
        output = self.model.model.language_model(
            input_ids=torch.tensor([[token_id]], device=device),
            position_ids=positions,
            past_key_values=state.cache,
            use_cache=True,
        )
        state.next_position += 1
        state.num_cached += 1
        return self._head(output.last_hidden_state)

    def _head(self, hidden: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model.lm_head(hidden[:, -1])[0]
        return logits


def _quieten() -> None:
    """Keep transformers' advice out of the user's terminal, and its progress bar out of files."""
    logging.set_verbosity_error()
    if not sys.stderr.isatty():
        logging.disable_progress_bar()
