"""The vision tower as CUDA graphs: hundreds of launches, which may take longer than their work, become one.

A graph is captured when pictures of the same size come a second time. What the tower makes of the size alone, for which
it waits for the GPU, is made beforehand, and given to it.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch

from pipelines.engine.captured import Replay, Work

MOST_GRAPHS = 4
Grid = tuple[int, int, int]
Capture = Callable[[Work, list[torch.Tensor]], Replay]

_log = logging.getLogger(__name__)


class TowerGraphs:
    """Stands for a vision tower where pictures are of a size that was seen before.

    `begin_pool` gives what captures graphs that live together, and is asked again when none is left.
    """

    def __init__(self, tower: Any, begin_pool: Callable[[], Capture]) -> None:
        self._tower, self._begin_pool = tower, begin_pool
        self._capture: Capture | None = None
        self._graphs: OrderedDict[Grid, tuple[Replay, Work]] = OrderedDict()
        self._seen: set[Grid] = set()
        self._has_failed = False

    def clear(self) -> None:
        """Give back the memory of all graphs."""
        self._graphs.clear()
        self._capture = None

    def __call__(self, patches: torch.Tensor, grid: Grid) -> torch.Tensor | None:
        """Features [visual tokens, hidden] of patches [patches, numbers] in a grid of frames, lines and columns.

        None for clips, for a size that is new, and where the tower cannot be captured.
        """
        if grid[0] != 1 or self._has_failed:
            return None
        if grid not in self._seen:
            self._seen.add(grid)
            return None
        try:
            replay = self._graph_of(grid, patches)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # of a library that synchronises
            self._has_failed = True
            self.clear()
            _log.warning("Pictures go on without CUDA graphs: %s: %s", type(error).__name__, error)
            return None
        return replay([patches]).clone()

    def _graph_of(self, grid: Grid, patches: torch.Tensor) -> Replay:
        if grid not in self._graphs:
            if self._capture is None or not self._graphs:
                self._capture = self._begin_pool()
            known = self._known(grid, patches.device)

            def work(patches: torch.Tensor) -> torch.Tensor:
                features: torch.Tensor = self._tower(patches, **known).pooler_output
                return features

            # the work stays alive with its graph, which reads what is known of the size
            self._graphs[grid] = self._capture(work, [patches]), work
            if len(self._graphs) > MOST_GRAPHS:
                self._graphs.popitem(last=False)
        self._graphs.move_to_end(grid)
        return self._graphs[grid][0]

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
