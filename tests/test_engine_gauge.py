"""What requests hold and draw, with meters that the test turns by hand."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from pipelines.engine import LocalEngine, gauge
from pipelines.engine.gauge import Gauge, Measured, asked_joules, counted_joules
from pipelines.types import Usage
from tests.engine_cases import GREEDY, ignore, inputs_of

CPU = torch.device("cpu")


def usage(measured: Measured | None) -> Usage:
    assert measured is not None
    return measured.usage()


class Meters:
    """A device whose memory and energy are set by hand."""

    def __init__(self) -> None:
        self.now, self.joules = 100, 0.0
        self._most = 100
        self.gauge = Gauge(CPU, self.memory, self.asked)

    def memory(self) -> tuple[int, int]:
        most, self._most = self._most, self.now
        return most, self.now

    def asked(self) -> Future[float | None]:
        future: Future[float | None] = Future()
        future.set_result(self.joules)
        return future

    def use(self, num_bytes: int) -> None:
        self.now += num_bytes
        self._most = max(self._most, self.now)


def test_the_highest_point_is_that_of_the_time_in_which_a_request_ran() -> None:
    meters = Meters()
    meters.use(900)
    meters.use(-900)
    meters.gauge.begin("first")
    meters.use(50)
    meters.use(-50)
    meters.gauge.begin("second")
    meters.use(20)
    meters.joules += 7
    first = meters.gauge.end("first")
    meters.use(300)
    second = meters.gauge.end("second")
    assert usage(first) == Usage(150, 120, 7.0)
    assert usage(second) == Usage(420, 420, 7.0)


class Nvml:
    """NVML with one GPU, which counts its energy or does not."""

    class NVMLError(Exception):
        """As NVML raises it."""

    def __init__(self, *millijoules: int) -> None:
        self._left = list(millijoules)

    def nvmlInit(self) -> None:  # noqa: N802
        """Begin."""

    def nvmlDeviceGetHandleByUUID(self, name: str) -> str:  # noqa: N802
        return name

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: N802
        if handle != "GPU-1" or not self._left:
            raise self.NVMLError
        return self._left.pop(0)


def test_energy_is_in_joules_and_one_that_stops_counting_fails_no_request() -> None:
    drawn = counted_joules(Nvml(0, 1500, 2500), "GPU-1")
    assert drawn is not None
    assert [drawn(), drawn(), drawn()] == [1.5, 2.5, None]
    assert counted_joules(Nvml(), "GPU-1") is None
    assert counted_joules(Nvml(1), "GPU-2") is None


def test_the_rest_of_a_request_adds_to_what_it_used_before() -> None:
    assert Usage(50, 20, 1.5).behind(Usage(70, 30, 2.0)) == Usage(70, 20, 3.5)
    assert Usage(50, 20).behind(Usage(40, 30, 2.0)) == Usage(50, 20, None)
    assert Usage(50, 20, 1.0).behind(None) == Usage(50, 20, 1.0)


def test_a_request_that_never_began_used_nothing() -> None:
    assert Meters().gauge.end("who") is None


def test_a_device_that_counts_no_energy_has_none() -> None:
    meter = Gauge(CPU)
    meter.begin("one")
    used = usage(meter.end("one"))
    assert used.joules is None
    assert used.peak_bytes >= used.present_bytes > 2**20


class SlowNvml(Nvml):
    """Counts a joule a question, and answers only while it is let, from the second on."""

    def __init__(self) -> None:
        super().__init__()
        self.lets, self.num = threading.Event(), 0
        self.error: Exception | None = None
        self.threads: set[str] = set()

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:  # noqa: ARG002, N802
        self.num += 1
        if self.num > 1:
            self.threads.add(threading.current_thread().name)
            assert self.lets.wait(30)
            if self.error:
                raise self.error
        return 1000 * self.num


@pytest.fixture
def nvml() -> Iterator[SlowNvml]:
    nvml = SlowNvml()
    yield nvml
    nvml.lets.set()


def test_nobody_but_who_reads_the_figures_waits_for_them(nvml: SlowNvml) -> None:
    meter = Gauge(CPU, joules=asked_joules(nvml, "GPU-1"))
    meter.begin("one")
    measured = meter.end("one")
    nvml.lets.set()
    assert usage(measured).joules == 1.0
    assert nvml.threads == {"gauge"}


def test_what_is_not_said_in_time_or_fails_is_not_known(nvml: SlowNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauge, "MOST_WAIT_S", 0.05)
    meter = Gauge(CPU, joules=asked_joules(nvml, "GPU-1"))
    meter.begin("one")
    measured = meter.end("one")
    assert usage(measured).joules is None
    nvml.error = OSError("the driver is gone")
    nvml.lets.set()
    meter.begin("two")
    assert usage(meter.end("two")).joules is None


def test_a_thread_that_does_not_start_ends_no_request_and_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    asker = gauge.Asker()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fails)
        with pytest.raises(RuntimeError, match="new thread"):
            asker.ask(lambda: 1.0).result(0)
    assert asker.ask(lambda: 2.0).result(10) == 2.0


def test_the_interpreter_ends_while_a_question_hangs() -> None:
    hanging = "import threading; from pipelines.engine.gauge import Asker; Asker().ask(threading.Event().wait)"
    subprocess.run([sys.executable, "-c", hanging], check=True, timeout=60)


def test_a_thread_for_all_requests_counts_what_they_draw(engine: LocalEngine, nvml: SlowNvml) -> None:
    """Also for one that is stopped."""
    nvml.lets.set()
    engine.scheduler._gauge = Gauge(CPU, joules=asked_joules(nvml, "GPU-1"))
    inputs, settings = inputs_of(engine, "text"), replace(GREEDY, max_new_tokens=3)

    def one(seed: int) -> list[Usage]:
        stop = threading.Event()
        if random.Random(seed).random() < 0.3:
            stop.set()
        return [step for step in engine.generate(inputs, settings, ignore, stop) if isinstance(step, Usage)]

    one(0)
    engine.scheduler.wait_idle()
    threads = set(threading.enumerate())
    with ThreadPoolExecutor(4) as pool:
        used = [step for steps in pool.map(one, range(60)) for step in steps]
    engine.scheduler.wait_idle()
    assert set(threading.enumerate()) <= threads  # those of engines before may end meanwhile
    assert len(used) >= 30
    assert all(step.joules for step in used)
