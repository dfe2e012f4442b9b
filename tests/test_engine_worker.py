"""The thread of an engine, which outlives its work and no engine."""

from __future__ import annotations

import gc
import threading
import weakref
from dataclasses import replace

import torch

from pipelines.engine import LocalEngine
from pipelines.engine.placement import choose_placement
from pipelines.engine.worker import LastingThread
from pipelines.models import DEMO_FOLDER

PATIENCE_S = 20.0


class Owner:
    """Whoever has work."""

    def __init__(self) -> None:
        self.worker = LastingThread(self, "test of a worker")
        self.threads: list[threading.Thread] = []
        self.done = threading.Event()

    def work(self) -> None:
        self.threads.append(threading.current_thread())
        self.done.set()

    def let_work(self) -> threading.Thread:
        """Have it work once: the thread in which it did."""
        self.done.clear()
        self.worker.start(self.work)
        assert self.done.wait(PATIENCE_S)
        return self.threads[-1]


def test_one_thread_does_one_work_after_the_other_and_ends_with_its_owner() -> None:
    owner = Owner()
    thread = owner.let_work()
    assert owner.let_work() is thread
    assert thread.daemon
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    thread.join(PATIENCE_S)
    assert gone() is None
    assert not thread.is_alive()


def test_another_thread_takes_over_from_one_that_is_dead() -> None:
    owner = Owner()
    first = owner.let_work()
    owner.worker._end()  # as a fork leaves it behind
    first.join(PATIENCE_S)
    assert owner.let_work() is not first


def test_an_engine_rests_between_two_requests_and_keeps_its_thread() -> None:
    engine = LocalEngine.load(DEMO_FOLDER, "demo")
    thread = engine.scheduler.between(threading.current_thread)
    engine.scheduler.wait_idle()
    assert engine.scheduler.between(threading.current_thread) is thread
    engine.scheduler.wait_idle()
    gone = weakref.ref(engine.scheduler)
    del engine
    gc.collect()
    thread.join(PATIENCE_S)
    assert gone() is None
    assert not thread.is_alive()


def test_an_engine_has_the_threads_that_suit_it_beside_one_that_has_others() -> None:
    """What was loaded last, to be compared, decided for both: a large model ran on the one thread of a small one."""
    before = torch.get_num_threads()
    placement = choose_placement(DEMO_FOLDER)
    large, small = (
        LocalEngine.load(DEMO_FOLDER, "demo", replace(placement, num_threads=number))
        for number in (2, placement.num_threads)
    )
    counts = [engine.scheduler.between(torch.get_num_threads) for engine in (large, small, large)]
    for engine in (large, small):
        engine.scheduler.close()
    torch.set_num_threads(before)
    assert counts == [2, 1, 2]
