"""The decode step recorded as a TorchScript trace: on a CPU, what a CUDA graph is on a GPU.

A small model spends half of a step in the interpreter of Python. A trace runs the same operations, unchanged and in the
same order, without it, and other threads run meanwhile. It is recorded in the moment when a number of rows is first
needed, in some 20 ms, and knows the slots' buffers, whose growth makes all traces void.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.jit import _state
from torch.jit._fuser import optimized_execution
from torch.jit._trace import trace

from pipelines.engine.lean import LeanStack
from pipelines.engine.slots import SlotCache, Window
from pipelines.engine.weights import Held

HAS_TORCHSCRIPT = sys.version_info < (3, 14)
"""Newer Pythons have none: there the step runs as it is."""

Traced = Callable[..., torch.Tensor]

_RECORDING = threading.Lock()
"""One engine records at a time: what is not to be warned of is a setting of the whole process."""


def can_trace(device: torch.device, weights: Held, *, has_experts: bool) -> bool:
    """Whether a step can be recorded: not tensors of a library's own, nor a step that is another one for each token."""
    return HAS_TORCHSCRIPT and device.type == "cpu" and weights == "full" and not has_experts


class StepTraces:
    """Stands for `LeanStack.step` on a CPU."""

    def __init__(self, stack: LeanStack, slots: SlotCache, *, is_traced: bool) -> None:
        self._stack, self._slots = stack, slots
        self._traces: dict[tuple[int, bool], Traced] = {}
        self._generation = 0
        self._is_traced = is_traced

    def clear(self) -> None:
        """Give back what the traces hold: the states of the slots that they were recorded on."""
        self._traces.clear()

    def __call__(self, given: torch.Tensor, window: Window) -> torch.Tensor:
        """As `LeanStack.step`."""
        if not self._is_traced:
            return self._stack.step(given, window)
        if self._slots.generation != self._generation:
            self._traces.clear()
            self._generation = self._slots.generation
        # what is written has to come in from outside: what no later operation reads would be left out of a trace
        inputs = [tensor for pair in (*window.pairs, *window.lists) for tensor in pair]
        if window.numbers is not None:
            inputs.append(window.numbers)
        which = given.shape[1], window.numbers is not None
        if which not in self._traces:
            self._traces[which] = self._record(given, inputs, is_masked=which[1])
        with optimized_execution(False):  # fusing would take the first two runs, and change what is rounded
            return self._traces[which](given, *inputs)

    def _record(self, given: torch.Tensor, inputs: list[torch.Tensor], *, is_masked: bool) -> Traced:
        def step(given: torch.Tensor, *inputs: torch.Tensor) -> torch.Tensor:
            tensors = inputs[:-1] if is_masked else inputs
            pairs = list(zip(tensors[::2], tensors[1::2], strict=True))
            half = len(pairs) // 2
            return self._stack.step(given, Window(pairs[:half], pairs[half:], inputs[-1] if is_masked else None))

        with _RECORDING, _apart(), self._slots.unchanged(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is deprecated, and of numbers that are the same each time
            traced: Traced = trace(  # type: ignore[no-untyped-call]
                step, (given, *inputs), check_trace=False
            )
        return traced


@contextmanager
def _apart() -> Iterator[None]:
    """Have what is recorded within belong to whoever holds it: torch's own unit keeps all functions of a process for
    ever, and with a trace its constants, which are the weights of the model and the states of the slots.
    """
    unit = _state._python_cu
    _state._python_cu = torch._C.CompilationUnit()
    try:
        yield
    finally:
        _state._python_cu = unit
