"""CUDA graphs, streams and events imitated on a CPU, so that what is written for a GPU runs where none is.

A graph notes the operations of its capture, on the tensors that they had, and runs them again on those: what a real one
would do too, so that whatever was fixed in it by mistake shows. Torch's own `torch.cuda.graph` stands around it.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from pipelines.engine import LocalEngine
from pipelines.engine.captured import SharedPool
from pipelines.engine.draws import TOP, Draws
from pipelines.engine.graphs import Graphs
from pipelines.engine.pieces import Pieces
from pipelines.engine.places import Keep
from pipelines.engine.sampler import Likely, paired
from pipelines.engine.slots import SlotCache, States
from pipelines.engine.stack import Stack
from pipelines.engine.tower_graphs import TowerGraphs

DEVICE = torch.device("cuda", 0)


def states_of(slots: SlotCache) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The convolution and recurrent states of all rows, of each linear layer."""
    return [pair for pair, is_linear in zip(slots.layers, slots.is_linear, strict=True) if is_linear]


def piece_of(
    stack: Stack, row: int, hidden: torch.Tensor, numbers: torch.Tensor, positions: torch.Tensor, kept: States
) -> torch.Tensor:
    """What the kernels do of a piece that has no filling."""
    held, count, num_kept = numbers.flatten().tolist()
    window = stack.slots.window(slice(row, row + 1), held + count, is_masked=True)
    keep = Keep(num_kept, kept) if num_kept < count else None
    return stack.lean.piece(hidden, stack.lean.span(row, count, numbers[:2], positions, window, keep=keep))


class Stream:
    """Work on it is done at once."""

    device, device_index = DEVICE, 0

    def wait_stream(self, other: Stream) -> None:
        """All of it was done."""


class Event:
    """A moment."""

    def __init__(self, **_: object) -> None:
        self._moment_s = 0.0

    def record(self) -> None:
        """Now."""
        self._moment_s = time.perf_counter()

    def synchronize(self) -> None:
        """It was reached."""

    def query(self) -> bool:
        """It was reached."""
        return True

    def elapsed_time(self, end: Event) -> float:
        """Milliseconds."""
        return (end._moment_s - self._moment_s) * 1000


@dataclass
class Gpu:
    """What a test may look at, and `error`, which a capture raises where it ends."""

    default: Stream = field(default_factory=Stream)
    streams: list[Stream] = field(default_factory=list)
    num_replays: int = 0
    num_capturing: int = 0
    most_capturing: int = 0
    ended_pools: list[object] = field(default_factory=list)
    error: Exception | None = None
    _threads: threading.local = field(default_factory=threading.local)

    @property
    def current(self) -> Stream:
        """The stream of this thread."""
        stream: Stream = getattr(self._threads, "stream", self.default)
        return stream

    @current.setter
    def current(self, stream: Stream) -> None:
        self._threads.stream = stream

    def new_stream(self, _device: object = None) -> Stream:
        """One more."""
        self.streams.append(Stream())
        return self.streams[-1]


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the operations within, and runs them again."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._noted: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one, and note it."""
        given = operation(*args, **(kwargs or {}))
        self._noted.append((operation, args, kwargs or {}, given))
        return given

    def again(self) -> None:
        """Run all, and have what they give where it was."""
        for operation, args, kwargs, before in self._noted:
            read = {_memory(one) for one in torch.utils._pytree.tree_leaves((args, kwargs))}
            given = operation(*args, **kwargs)
            for old, new in zip(*map(torch.utils._pytree.tree_leaves, (before, given)), strict=True):
                if isinstance(old, torch.Tensor) and _memory(old) not in read:
                    old.copy_(new)


def _memory(value: object) -> int | None:
    return value.untyped_storage().data_ptr() if isinstance(value, torch.Tensor) else None


def imitate(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """Have `torch.cuda` go on as if there were a GPU, whose memory is that of the CPU."""
    gpu = Gpu()

    class Graph:
        def __init__(self) -> None:
            self._operations = _Operations()

        def capture_begin(self, *_: object, **__: object) -> None:
            gpu.num_capturing += 1
            gpu.most_capturing = max(gpu.most_capturing, gpu.num_capturing)
            self._operations.__enter__()  # type: ignore[no-untyped-call]

        def capture_end(self) -> None:
            gpu.num_capturing -= 1
            self._operations.__exit__(None, None, None)  # type: ignore[no-untyped-call]
            if gpu.error:
                raise gpu.error

        def replay(self) -> None:
            gpu.num_replays += 1
            with _disable_current_modes():  # none of these is asked of the host
                self._operations.again()

    class On:
        def __init__(self, stream: Stream) -> None:
            self._stream = stream

        def __enter__(self) -> Self:
            self._before, gpu.current = gpu.current, self._stream
            return self

        def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
            gpu.current = self._before

    @contextmanager
    def nothing(*_: object):  # type: ignore[no-untyped-def]
        yield

    stands_for: dict[str, Any] = {
        "Stream": gpu.new_stream,
        "Event": Event,
        "CUDAGraph": Graph,
        "stream": On,
        "current_stream": lambda _device=None: gpu.current,
        "graph_pool_handle": object,
        "synchronize": lambda _device=None: None,
        "empty_cache": lambda: None,
    }
    for name, value in stands_for.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch._C, "_host_emptyCache", lambda: None, raising=False)
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", lambda _device, pool: gpu.ended_pools.append(pool))
    monkeypatch.setattr(torch._C, "_cuda_releasePool", lambda _device, _pool: None)
    return gpu


def likeliest(logits: torch.Tensor, ids: torch.Tensor | None = None) -> Likely:
    """What the kernels of the choice give, by plain torch."""
    wholes = logits.float().logsumexp(-1)
    top, found = logits.max(-1)
    ids = found if ids is None else ids.copy_(found)
    return Likely(ids, paired(ids, top.float() - wholes), wholes)


def drawn(
    logits: torch.Tensor,
    wholes: torch.Tensor,
    fed: torch.Tensor,
    numbers: torch.Tensor,
    said: torch.Tensor,
    ids: torch.Tensor,
) -> torch.Tensor:
    """What the kernels of draws do, by plain torch without a look at any number."""
    temperature, last, top_p, min_p, presence, repetition = numbers[:6, :, None].float()
    is_penalised = (presence != 0) | (repetition != 1)
    is_marked, fed = is_penalised & (fed >= 0)[:, None], fed.clamp(min=0)[:, None]
    said.scatter_(1, fed, torch.where(is_marked, 3, said.gather(1, fed)).to(said.dtype))
    values = logits.float()
    values = torch.where(said > 0, torch.where(values > 0, values / repetition, values * repetition), values)
    values, tokens = torch.topk(values - presence * (said & 1), min(TOP, logits.shape[1]))
    rank = torch.arange(values.shape[1])
    likely = (values / temperature.where(temperature > 0, 1)).masked_fill(rank >= last, -torch.inf).softmax(-1)
    is_out = (likely.cumsum(-1) - likely >= top_p) | (likely < min_p * likely[:, :1])
    reached = likely.masked_fill(is_out & (rank > 0), 0.0).double().cumsum(-1)
    place = (reached <= numbers[6, :, None] * reached[:, -1:]).sum(-1, keepdim=True)
    ids.copy_(tokens.gather(1, place.where(temperature > 0, 0).clamp(max=values.shape[1] - 1))[:, 0])
    return torch.stack([ids.float(), logits.gather(1, ids[:, None])[:, 0].float() - wholes], -1)


def lend(engine: LocalEngine, *, has_kernels: bool = False) -> Graphs:
    """Have an engine on a CPU go a GPU's ways: graphs of steps, of pieces and of the tower, and a step begun ahead.

    With `has_kernels` plain torch stands for Triton's kernels, as far as pieces of prompts and the choice go.
    """
    scheduler = engine.scheduler
    stack, tower = scheduler.stack, scheduler.tower
    graphs = stack.graphs = Graphs(stack.lean, stack.slots)
    scheduler._running.runs_ahead = True
    tower._graphs = TowerGraphs(tower._layers, lambda: SharedPool(graphs._stream))

    def piece(
        row: int, hidden: torch.Tensor, numbers: torch.Tensor, positions: torch.Tensor, kept: States
    ) -> torch.Tensor:
        slots = stack.slots
        # a kernel reads what stands in the memory of the numbers whenever it runs, and so does this
        is_held = numbers[0] > 0
        for pair in states_of(slots):
            for tensor in pair:
                tensor[row].mul_(is_held.to(tensor.dtype))
        window = slots.window(slice(row, row + 1), slots.capacity, is_masked=True)

        def run(*which: int) -> torch.Tensor:
            span = stack.lean.span(row, len(hidden), numbers[list(which)], positions, window)
            return stack.lean.piece(hidden, span)

        before = [[tensor[row].clone() for tensor in pair] for pair in states_of(slots)]
        run(0, 2)  # only what stands before the place where states are kept
        for number, (pair, values) in enumerate(zip(states_of(slots), before, strict=True)):
            for tensor, value, room in zip(pair, values, kept, strict=True):
                room[number].copy_(tensor[row])
                tensor[row].copy_(value)
        return run(0, 1)

    if has_kernels:
        graphs.likeliest = likeliest
        graphs.draws = Draws(drawn, stack.slots.rows - 1, len(stack.lean.embed), stack.device)
        graphs.pieces = Pieces(piece, stack.slots, lambda: SharedPool(graphs._stream))
    return graphs
