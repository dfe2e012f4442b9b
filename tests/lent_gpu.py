"""What `spaces.GPU` does on its host, imitated on a CPU: this file stands in for the package of that name.

A generator runs in a forked process, its arguments and what it yields are pickled on the way, closing it stops it at
its next yield, and whoever asked must be known and have the seconds left that are asked for (QUOTA_S in all). What is
lent and given back is told on stdout.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any

import gradio
from gradio.context import LocalContext

_fork = multiprocessing.get_context("fork")
_left_s = float(os.environ.get("QUOTA_S", "1000"))


def GPU(*, duration: Callable[..., int]) -> Callable[..., Any]:  # noqa: N802
    """Decorate a generator function; `duration` gets its arguments and gives seconds."""

    def decorate(task: Callable[..., Iterator[Any]]) -> Callable[..., Any]:
        @wraps(task)
        def lent(*arguments: Any) -> Iterator[Any]:
            _schedule(duration(*arguments))
            results, stop = _fork.SimpleQueue(), _fork.Event()
            sent = pickle.dumps(arguments)
            process = _fork.Process(target=_work, args=(task, sent, results, stop), daemon=True)
            process.start()
            try:
                while True:
                    kind, value = pickle.loads(results.get())
                    if kind == "end":
                        return
                    if kind == "error":
                        raise gradio.Error(value, title="ZeroGPU worker error", print_exception=False)
                    yield value
            finally:
                stop.set()
                while process.is_alive():
                    if not results.empty():
                        results.get()
                    process.join(0.01)
                print(f"given back by {process.pid}", flush=True)

        return lent

    return decorate


def _schedule(seconds: int) -> None:
    global _left_s
    if LocalContext.request.get(None) is None:
        raise gradio.Error("Internal Gradio error", title="ZeroGPU client error", print_exception=False)
    if seconds > _left_s:
        message = f"You have exceeded your <b>GPU quota</b> ({seconds}s requested vs. {_left_s:.0f}s left)."
        raise gradio.Error(message, title="ZeroGPU quota exceeded", print_exception=False)
    _left_s -= seconds
    print(f"lent for {seconds} s", flush=True)


def _work(task: Callable[..., Iterator[Any]], sent: bytes, results: Any, stop: Any) -> None:
    with ThreadPoolExecutor() as pool:  # as the host does: the task has a thread of its own
        pool.submit(_iterate, task, sent, results, stop).result()
    os._exit(0)


def _iterate(task: Callable[..., Iterator[Any]], sent: bytes, results: Any, stop: Any) -> None:
    steps = task(*pickle.loads(sent))
    try:
        for value in steps:
            if stop.is_set():
                break
            results.put(pickle.dumps(("value", value)))
    except Exception as error:
        results.put(pickle.dumps(("error", type(error).__name__)))
    finally:
        getattr(steps, "close", lambda: None)()
    results.put(pickle.dumps(("end", None)))
