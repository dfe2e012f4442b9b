"""The decode step, and short pieces of prompts, as CUDA graphs: hundreds of launches become one.

A graph is captured for a number of rows and a window of the caches, in the moment when it is first needed, without
torch's compiler. It reads and writes fixed buffers: the numbers given here, and the slots, whose growth makes all
graphs void. Where Triton is, the step is made of its kernels, which look at what is filled by themselves: one window is
enough. So are pieces of prompts there, see `pipelines.engine.pieces`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.util import find_spec

import torch

from pipelines.engine.captured import Captured, SharedPool
from pipelines.engine.lean import LeanStack
from pipelines.engine.pieces import PIECE_TOKENS, Pieces
from pipelines.engine.proof import are_right
from pipelines.engine.sampler import Likeliest
from pipelines.engine.sending import sent
from pipelines.engine.slots import SlotCache

LEAST_WINDOW = 512
LEAST_CAPABILITY = (8, 0)
"""GPUs from here on have bf16, and the shared memory that the kernels need."""

_log = logging.getLogger(__name__)


class Graphs:
    """Stands for a `LeanStack` on a GPU; rows and windows are rounded up to powers of two."""

    def __init__(self, stack: LeanStack, slots: SlotCache) -> None:
        self._stack, self._slots = stack, slots
        self._fused: Callable[[torch.Tensor], torch.Tensor] | None = None
        self.pieces: Pieces | None = None
        self.likeliest: Likeliest | None = None
        """For pieces of any length, and to choose the next token, where the kernels are used."""
        self._graphs: dict[tuple[str, int, int], Captured] = {}
        self._generation = 0
        self._can_step = self._can_piece = True

    def use_kernels(self) -> None:
        """Have Triton's kernels stand for plain torch, where they run and do the same. No row may be in use."""
        device = self._stack.embed.device
        if not can_fuse(device, has_experts=self._stack.has_experts):
            return
        try:
            from pipelines.engine.fused_choice import likeliest
            from pipelines.engine.fused_piece import FusedPiece
            from pipelines.engine.fused_step import FusedStep
        except Exception as error:  # of a Triton that is too old, or whose library this system cannot load
            _log.warning("The kernels of Triton are not used on this GPU: %s: %s", type(error).__name__, error)
            return
        step, piece = FusedStep(self._stack, self._slots), FusedPiece(self._stack, self._slots)
        if are_right(self._stack, self._slots, step, piece, likeliest):
            self.likeliest = likeliest
            self._fused, self.pieces = step, Pieces(piece, self._slots, lambda: SharedPool(self._stream))

    @property
    def num_captured(self) -> int:
        """Graphs that are at hand."""
        return len(self._graphs) + (self.pieces.num_captured if self.pieces else 0)

    @cached_property
    def _stream(self) -> torch.cuda.Stream:
        """Where all of them are captured."""
        stream: torch.cuda.Stream = torch.cuda.Stream(self._stack.embed.device)  # type: ignore[no-untyped-call]
        return stream

    def clear(self) -> None:
        """Give back the memory of all graphs."""
        self._graphs.clear()
        if self.pieces is not None:
            self.pieces.clear()

    def windows(self, most: int) -> list[int]:
        """The windows that a step up to `most` places may have a graph for."""
        if self._fused:
            return [most]
        return [LEAST_WINDOW << number for number in range((most // LEAST_WINDOW).bit_length())]

    def step(self, given: torch.Tensor, size: int) -> torch.Tensor:
        """As `LeanStack.step`, where the first `size` places are looked at. The next step overwrites the logits."""
        num_rows = given.shape[1]
        rows = min(_power_of_two(num_rows), self._slots.rows - 1)
        size = self._slots.capacity if self._fused else self._size(size)

        def step(given: torch.Tensor) -> torch.Tensor:
            if self._fused:
                return self._fused(given)
            return self._stack.step(given, self._slots.window(slice(rows), size, is_masked=True))

        padded = torch.nn.functional.pad(given, (0, rows - num_rows))
        logits = self._replayed(("step", rows, size), step, [padded]) if self._can_step else None
        if logits is None:
            self._can_step = False
            logits = step(padded)
        return logits[:num_rows]

    def piece(self, row: int, hidden: torch.Tensor, held: int, positions: torch.Tensor) -> torch.Tensor | None:
        """The last hidden state [1, hidden] of a short piece in a row; None where it cannot be captured on this device.

        The slots have room for `PIECE_TOKENS` behind what is held.
        """
        if not self._can_piece:
            return None
        num_tokens = len(hidden)
        size, fill = self._size(held + num_tokens), PIECE_TOKENS - num_tokens

        def piece(hidden: torch.Tensor, numbers: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
            window = self._slots.window(slice(row, row + 1), size, is_masked=True)
            return self._stack.piece(hidden, self._stack.span(row, len(hidden), numbers, positions, window))

        numbers = sent(torch.tensor([[held], [num_tokens]]), hidden.device)
        padded = [
            torch.nn.functional.pad(hidden, (0, 0, 0, fill)),
            numbers,
            torch.nn.functional.pad(positions, (0, fill)),
        ]
        hidden_state = self._replayed(("piece", row, size), piece, padded)
        if hidden_state is None:
            self._can_piece = False
            return None
        return hidden_state.clone()

    def _size(self, size: int) -> int:
        return min(max(_power_of_two(size), LEAST_WINDOW), self._slots.capacity)

    def _replayed(
        self, key: tuple[str, int, int], work: Callable[..., torch.Tensor], inputs: Sequence[torch.Tensor]
    ) -> torch.Tensor | None:
        """What the work gives, until its next replay; None where it cannot be captured on this device."""
        if self._slots.generation != self._generation:
            self._graphs.clear()
            self._generation = self._slots.generation
        if key not in self._graphs:
            try:
                with self._slots.unchanged():
                    self._graphs[key] = Captured(work, inputs, self._stream)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:  # as of a library that synchronises within its triangular solver
                _log.warning("A %s goes on without CUDA graphs: %s: %s", key[0], type(error).__name__, error)
                return None
        return self._graphs[key](inputs)


def can_fuse(device: torch.device, *, has_experts: bool) -> bool:
    """Whether a step can be made of Triton's kernels: on an NVIDIA GPU from Ampere on, and not one of experts."""
    if device.type != "cuda" or torch.version.cuda is None or find_spec("triton") is None or has_experts:
        return False
    return torch.cuda.get_device_capability(device) >= LEAST_CAPABILITY


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()
