"""A checkpoint's weights into transformers' model: safetensors alone, no code of its own, placed by accelerate."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sized
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import Qwen3_5ForConditionalGeneration, Qwen3_5MoeForConditionalGeneration
from transformers.utils import logging

from pipelines.engine.memory import is_out_of_memory
from pipelines.engine.placement import Placement
from pipelines.engine.progress import report
from pipelines.types import UserError

TOO_LARGE = '"{name}" does not fit on {device}: choose a smaller model.'
DAMAGED = 'The weights of "{name}" are missing or damaged: download the checkpoint again.'


def load_model(folder: Path, name: str, placement: Placement, *, is_staged: bool = False) -> Any:
    """The model of a folder. Raises UserError where its weights are not whole or their memory is not to be had.

    One that `is_staged` has its weights as they are stored, which on a host are read when they are used.
    """
    _quieten()
    placement.claim_threads()
    try:
        model, loaded = _class_of(folder).from_pretrained(
            folder,
            dtype="auto" if is_staged else placement.dtype,
            device_map="cpu" if is_staged else placement.device_map,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, MemoryError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise UserError(TOO_LARGE.format(name=name, device=placement.device_name)) from error
        raise UserError(DAMAGED.format(name=name)) from error
    if loaded["missing_keys"]:  # transformers would go on with random weights in their place
        raise UserError(DAMAGED.format(name=name))
    return model.eval()


def _class_of(folder: Path) -> Any:
    """What transformers calls the kind of model that a folder's config names; whatever is no mixture is dense."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    is_mixture = isinstance(config, dict) and config.get("model_type") == "qwen3_5_moe"
    return Qwen3_5MoeForConditionalGeneration if is_mixture else Qwen3_5ForConditionalGeneration


class _Told:
    """A progress bar of transformers whose steps are reported."""

    def __init__(self, bar: Any, num_steps: int) -> None:
        self._bar, self._num_steps = bar, num_steps

    def __iter__(self) -> Iterator[Any]:
        for done, step in enumerate(self._bar, 1):
            yield step
            report(done / self._num_steps)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bar, name)


def _told(make: Callable[..., Any], values: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Make a progress bar as transformers asks for it, and report the steps of what it iterates over."""
    bar = make(*values, **keywords)
    return _Told(bar, len(values[0])) if values and isinstance(values[0], Sized) and values[0] else bar


def _quieten() -> None:
    """Keep transformers' advice out of the user's terminal, its progress bar out of files, and hear how far it is."""
    logging.set_verbosity_error()
    logging.set_tqdm_hook(_told)
    if not sys.stderr.isatty():
        logging.disable_progress_bar()
