"""The vision tower as CUDA graphs: hundreds of launches, which may take longer than their work, become one.

A graph is captured when pictures of the same size come a second time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch

from pipelines.engine.captured import Capture, Recordings
from pipelines.engine.lean_tower import FramePlaces, LeanTower
from pipelines.inputs import Grid

MOST_GRAPHS = 4

_log = logging.getLogger(__name__)


class TowerGraphs:
    """Stands for a vision tower where pictures are of a size that was seen before."""

    def __init__(self, tower: LeanTower, begin_pool: Callable[[], Capture]) -> None:
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

    def __call__(self, patches: torch.Tensor, grid: Grid, places: FramePlaces) -> torch.Tensor | None:
        """As `LeanTower`, for patches in a grid of frames, lines and columns.

        None for clips, for a size that is new, and where the tower cannot be captured.
        """
        if grid[0] != 1 or not self._can_record:
            return None
        if grid not in self._seen:
            self._seen.add(grid)
            return None
        if grid not in self._recordings:
            self._record(grid, patches, places)
        return self._recordings.replay(grid, [patches]) if self._can_record else None

    def _record(self, grid: Grid, patches: torch.Tensor, places: FramePlaces) -> None:
        try:
            self._recordings.record(grid, lambda patches: self._tower(patches, places), [patches])
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # of a library that synchronises
            self._can_record = False
            self.clear()
            _log.warning("Pictures go on without CUDA graphs: %s: %s", type(error).__name__, error)
