"""The vision tower, and what it made of the media that were looked at last."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pipelines.cache import Cache
from pipelines.engine.base import Enter
from pipelines.engine.captured import CAPTURING, SharedPool
from pipelines.engine.graphs import can_fuse
from pipelines.engine.lean_tower import FramePlaces, LeanTower
from pipelines.engine.proof import see_alike
from pipelines.engine.rest import Rest, no_rest
from pipelines.engine.tower_graphs import TowerGraphs
from pipelines.inputs import Frames, cut, grid_of, num_visual_tokens
from pipelines.opencv import has_opencv
from pipelines.types import Work

MAX_FEATURE_BYTES = 256 * 1024**2
MAX_PLACES_BYTES = 64 * 1024**2

_log = logging.getLogger(__name__)


class Tower:
    """Features of pictures and clips, kept by content, so that the same file asked about again is not looked at again.

    `num_runs` counts the times that the tower ran.
    """

    def __init__(self, model: Any) -> None:
        self._device, self._visual = model.device, model.model.visual
        self._layers = LeanTower(self._visual)
        self._places: Cache[tuple[int, int], FramePlaces] = Cache(MAX_PLACES_BYTES, lambda places: places.num_bytes)
        self._kept: Cache[str, torch.Tensor] = Cache(MAX_FEATURE_BYTES, lambda features: features.nbytes)
        self.num_runs = 0
        if self._device.type == "cpu":
            has_opencv()  # which cuts patches there: its import is for who loads a model, not the first request
        self._graphs = self._new_graphs()

    def use_kernels(self) -> None:
        """Have Triton's kernels stand for plain torch in the layers, where they run and do the same."""
        if not can_fuse(self._device, has_experts=False):
            return
        try:
            from pipelines.engine.fused_tower import FusedBlocks
        except Exception as error:  # as of those for text
            _log.warning("The kernels of Triton for pictures are not used: %s: %s", type(error).__name__, error)
            return
        fused = LeanTower(self._visual, FusedBlocks)
        if see_alike(fused, self._layers):
            self._layers = fused
            self._graphs = self._new_graphs()

    def _new_graphs(self) -> TowerGraphs | None:
        if self._device.type != "cuda" or torch.version.cuda is None:
            return None
        stream: torch.cuda.Stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        return TowerGraphs(self._layers, lambda: SharedPool(stream))

    @property
    def num_bytes(self) -> int:
        """What the kept features take."""
        return self._kept.num_bytes

    def clear(self) -> None:
        """Forget all features."""
        self._kept.clear()

    def release(self) -> None:
        """Give all memory back, that of what was recorded too."""
        self.clear()
        self._places.clear()
        if self._graphs is not None:
            self._graphs.clear()

    def see(self, frames: Frames, enter: Enter, medium: int, rest: Rest = no_rest) -> torch.Tensor:
        """Features [visual tokens, hidden] of a medium; `enter` is told of the work, with the medium's number.

        On a CPU it may `rest`, and is not kept where it ends then.
        """
        if not frames.content:
            return self._run(frames, enter, medium, rest)
        return self._kept.get(frames.content, lambda: self._run(frames, enter, medium, rest))

    def _run(self, frames: Frames, enter: Enter, medium: int, rest: Rest) -> torch.Tensor:
        """Pixels go to the device as they are, and are normalised and cut there."""
        self.num_runs += 1
        enter(Work("send", medium=medium, num_units=frames.pixels.nbytes))
        patches = cut(frames.pixels.to(self._device))
        grid = grid_of(frames.pixels)
        enter(Work("vision", num_visual_tokens(grid), medium))
        places = self._places.get(grid[1:], lambda: self._layers.places(grid))
        seen = self._graphs(patches, grid, places) if self._graphs is not None else None
        if seen is None:
            with _unplanned(self._device):
                seen = self._layers(patches, places, rest)
        return seen


@contextmanager
def _unplanned(device: torch.device) -> Iterator[None]:
    """Attention without cuDNN within, on an NVIDIA GPU: it plans for each number and size of frames, for longer than it
    then takes.

    It pays where it is replayed. Torch has one switch for all threads: two that turned it at once would leave it as the
    other had it. So they take turns, and nothing is captured meanwhile.
    """
    if device.type != "cuda" or torch.version.cuda is None:
        yield
        return
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with CAPTURING, sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]):
        yield
