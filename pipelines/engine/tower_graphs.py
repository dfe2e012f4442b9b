"""The vision tower as CUDA graphs: hundreds of launches, which may take longer than their work, become one.

A graph is captured when pictures of the same size come a second time. What the tower makes of the size alone, for which
it waits for the GPU, is made beforehand, and given to it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch

from pipelines.engine.captured import Capture, Recordings
from pipelines.inputs import Grid

MOST_GRAPHS = 4

_log = logging.getLogger(__name__)


class TowerGraphs:
    """Stands for a vision tower where pictures are of a size that was seen before."""

    def __init__(self, tower: Any, begin_pool: Callable[[], Capture]) -> None:
        self._tower = tower
        self._recordings = Recordings(MOST_GRAPHS, begin_pool)
        self._seen: set[Grid] = set()
        self._can_record = True

    @property
    def num_captured(self) -> int:
        """Graphs that are at hand."""
        return len(self._recordings)

    def clear(self) -> None:
        """Give back the memory of all graphs."""
        self._recordings.clear()

    def __call__(self, patches: torch.Tensor, grid: Grid) -> torch.Tensor | None:
        """Features [visual tokens, hidden] of patches [patches, numbers] in a grid of frames, lines and columns.

        None for clips, for a size that is new, and where the tower cannot be captured.
        """
        if grid[0] != 1 or not self._can_record:
            return None
        if grid not in self._seen:
            self._seen.add(grid)
            return None
        if grid not in self._recordings:
            self._record(grid, patches)
        return self._recordings.replay(grid, [patches]) if self._can_record else None

    def _record(self, grid: Grid, patches: torch.Tensor) -> None:
        known = self._known(grid, patches.device)

        def work(patches: torch.Tensor) -> torch.Tensor:
            features: torch.Tensor = self._tower(patches, **known).pooler_output
            return features

        try:
            self._recordings.record(grid, work, [patches])
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # of a library that synchronises
            self._can_record = False
            self.clear()
            _log.warning("Pictures go on without CUDA graphs: %s: %s", type(error).__name__, error)

    def _known(self, grid: Grid, device: torch.device) -> dict[str, torch.Tensor]:
        """What the tower makes of the grid by itself where it is not given."""
        from transformers import vision_utils

        tower, given = self._tower, torch.tensor([grid], device=device)
        merge = tower.config.spatial_merge_size
        indices, weights = vision_utils.get_vision_interpolation_indices_and_weights(
            given,
            num_grid_per_side=tower.num_grid_per_side,
            mode=tower.interpolation_mode,
            align_corners=tower.interpolation_align_corners,
            spatial_merge_size=merge,
        )
        return {
            "grid_thw": given,
            "interp_indices": indices,
            "interp_weights": weights,
            "position_ids": vision_utils.get_vision_position_ids(given, merge),
            "cu_seqlens": torch.tensor([0, grid[1] * grid[2]], dtype=torch.int32),  # on the host, where it is read
        }
