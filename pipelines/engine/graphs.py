"""The decode step, and short pieces of prompts, as CUDA graphs: hundreds of launches become one.

A graph is captured for a number of rows and a window of the caches, in the moment when it is first needed, without
torch's compiler. It reads and writes fixed buffers: the numbers given here, and the slots, whose growth makes all
graphs void. Where Triton is, the step is made of its kernels, which look at what is filled by themselves: one window is
enough. So are pieces of prompts there, see `pipelines.engine.pieces`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from typing import Any, TypeVar

import torch

from pipelines.engine.captured import Captured, SharedPool
from pipelines.engine.draws import Draws
from pipelines.engine.lean import LeanStack
from pipelines.engine.pieces import PIECE_TOKENS, Pieces
from pipelines.engine.proof import Step, are_right, draw_alike
from pipelines.engine.sampler import Choice, Chosen, Likeliest, Likely, Stepped
from pipelines.engine.sending import send, sent
from pipelines.engine.slots import SlotCache

LEAST_WINDOW = 512
LEAST_CAPABILITY = (8, 0)
"""GPUs from here on have bf16, and the shared memory that the kernels need."""

T = TypeVar("T")
N = TypeVar("N", int, float)

_log = logging.getLogger(__name__)


class Graphs:
    """Stands for a `LeanStack` on a GPU; rows and windows are rounded up to powers of two."""

    def __init__(self, stack: LeanStack, slots: SlotCache) -> None:
        self._stack, self._slots = stack, slots
        self._fused: Step | None = None
        self.pieces: Pieces | None = None
        self.likeliest: Likeliest | None = None
        self.draws: Draws | None = None
        """For pieces of any length, and to choose the next token, where the kernels are used."""
        self._graphs: dict[tuple[str, int, int], Captured[Any]] = {}
        self._generation = 0
        self._can_step = self._can_draw = self._can_piece = True
        self._last: tuple[int, int, Stepped] | None = None
        """The rows and the window of the last step, and what it gave."""

    def use_kernels(self) -> None:
        """Have Triton's kernels stand for plain torch, where they run and do the same. No row may be in use."""
        device = self._stack.embed.device
        if not can_fuse(device, has_experts=self._stack.has_experts):
            return
        try:
            from pipelines.engine.fused_choice import FusedChoice
            from pipelines.engine.fused_draw import drawn
            from pipelines.engine.fused_piece import FusedPiece
            from pipelines.engine.fused_step import FusedStep
        except Exception as error:  # of a Triton that is too old, or whose library this system cannot load
            _log.warning("The kernels of Triton are not used on this GPU: %s: %s", type(error).__name__, error)
            return
        step, piece = FusedStep(self._stack, self._slots), FusedPiece(self._stack, self._slots)
        likeliest = FusedChoice(device)
        if are_right(self._stack, self._slots, step, piece, likeliest):
            self.likeliest = likeliest
            self._fused, self.pieces = step, Pieces(piece, self._slots, lambda: SharedPool(self._stream))
            draws = Draws(drawn, self._slots.rows - 1, len(self._stack.embed), device)
            if draw_alike(draws, self._stack.embed):
                self.draws = draws

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
        self._last = None
        if self.pieces is not None:
            self.pieces.clear()

    def windows(self, most: int) -> list[int]:
        """The windows that a step up to `most` places may have a graph for."""
        if self._fused:
            return [most]
        return [LEAST_WINDOW << number for number in range((most // LEAST_WINDOW).bit_length())]

    def step(self, numbers: Sequence[Sequence[int]], size: int, ahead: torch.Tensor | None = None) -> Stepped:
        """As `LeanStack.step` for `numbers` [3][rows], where the first `size` places are looked at.

        Where a token is below 0, that of `ahead` int64 [rows] is taken. The next step overwrites all that is given.
        """
        num_rows = len(numbers[0])
        rows = min(_power_of_two(num_rows), self._slots.rows - 1)
        size = self._slots.capacity if self._fused else self._size(size)
        given = [[*line, *[0] * (rows - num_rows)] for line in numbers]
        if ahead is not None and ahead.data_ptr() != self._chosen.data_ptr():
            self._chosen[: len(ahead)].copy_(ahead)

        def step(given: torch.Tensor) -> Stepped:
            return self._step(given, size)

        stepped = self._replayed(("step", rows, size), step, given, self._sent) if self._can_step else None
        if stepped is None:
            self._can_step = False
            stepped = step(self._sent(given))
        self._last = rows, size, stepped
        return stepped if rows == num_rows else _first(stepped, num_rows)

    def draw(self, choices: Sequence[Choice]) -> Chosen | None:
        """The next token of each of the first rows behind the last step; None where plain torch has to choose it.

        They are where the next step looks for them. Captured, a draw reads what the step of its graph wrote.
        """
        if self.draws is None or self._last is None:
            return None
        draws, (rows, size, stepped) = self.draws, self._last
        given = draws.numbers(choices, rows)
        if given is None:
            return None

        def draw(numbers: torch.Tensor) -> torch.Tensor:
            return draws(stepped, numbers, self._chosen[:rows])

        can_draw = self._can_step and self._can_draw
        pairs = self._replayed(("draw", rows, size), draw, given, draws.sent) if can_draw else None
        if pairs is None:
            self._can_draw = False
            pairs = draw(draws.sent(given))
        return Chosen(self._chosen[: len(choices)], pairs[: len(choices)])

    def _step(self, given: torch.Tensor, size: int) -> Stepped:
        """What is captured of a step: all of it, up to the tokens that are likeliest, where kernels find these."""
        rows, tokens = given.shape[1], given[0]
        chosen = self._chosen[:rows]
        if self._fused:
            logits = self._fused(given, chosen)
        else:
            torch.where(tokens < 0, chosen, tokens, out=tokens)
            logits = self._stack.step(given, self._slots.window(slice(rows), size, is_masked=True))
        return Stepped(logits, tokens, self.likeliest(logits, chosen) if self.likeliest else None)

    @cached_property
    def _chosen(self) -> torch.Tensor:
        """The tokens that were chosen last, int64 [rows]: where a step finds those that only the device knows, and
        leaves those that it finds likeliest for the next.
        """
        return torch.zeros(self._slots.rows - 1, dtype=torch.int64, device=self._stack.embed.device)

    def _sent(self, numbers: Sequence[Sequence[int]]) -> torch.Tensor:
        return sent(torch.tensor(numbers), self._stack.embed.device)

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

        padded = [
            torch.nn.functional.pad(hidden, (0, 0, 0, fill)),
            self._sent([[held], [num_tokens]]),
            torch.nn.functional.pad(positions, (0, fill)),
        ]
        graph = self._captured(("piece", row, size), piece, lambda: padded)
        if graph is None:
            self._can_piece = False
            return None
        return graph(padded).clone()

    def _size(self, size: int) -> int:
        return min(max(_power_of_two(size), LEAST_WINDOW), self._slots.capacity)

    def _replayed(
        self,
        key: tuple[str, int, int],
        work: Callable[[torch.Tensor], T],
        given: list[list[N]],
        put: Callable[[list[list[N]]], torch.Tensor],
    ) -> T | None:
        """What some work gives for numbers, which `put` brings to the device, replayed; None where it cannot be."""
        graph = self._captured(key, work, lambda: [put(given)])
        if graph is None:
            return None
        send(given, graph.inputs[0])
        return graph.replay()

    def _captured(
        self, key: tuple[str, int, int], work: Callable[..., T], inputs: Callable[[], Sequence[torch.Tensor]]
    ) -> Captured[T] | None:
        """The graph of some work, captured now where there was none; None where it cannot be on this device."""
        if self._slots.generation != self._generation:
            self._graphs.clear()
            self._generation = self._slots.generation
        if key not in self._graphs:
            try:
                with self._unchanged():
                    self._graphs[key] = Captured(work, inputs(), self._stream)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:  # as of a library that synchronises within its triangular solver
                _log.warning("A %s goes on without CUDA graphs: %s: %s", key[0], type(error).__name__, error)
                return None
        return self._graphs[key]

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        """Undo what is done within, where the next replay does not do it again."""
        chosen = self._chosen.clone()
        with self._slots.unchanged():
            try:
                yield
            finally:
                self._chosen.copy_(chosen)


def can_fuse(device: torch.device, *, has_experts: bool) -> bool:
    """Whether a step can be made of Triton's kernels: on an NVIDIA GPU from Ampere on, and not one of experts."""
    if device.type != "cuda" or torch.version.cuda is None or find_spec("triton") is None or has_experts:
        return False
    return torch.cuda.get_device_capability(device) >= LEAST_CAPABILITY


def _first(stepped: Stepped, rows: int) -> Stepped:
    """The first rows of what a step gave."""
    logits, fed, likely = stepped
    if likely is not None:
        likely = Likely(*(one[:rows] for one in likely))
    return Stepped(logits[:rows], fed[:rows], likely)


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()
