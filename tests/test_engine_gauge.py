"""What requests hold and draw, with meters that the test turns by hand."""

from __future__ import annotations

import torch

from pipelines.engine.gauge import Gauge, counted_joules
from pipelines.types import Usage

CPU = torch.device("cpu")


class Meters:
    """A device whose memory and energy are set by hand."""

    def __init__(self) -> None:
        self.now, self.joules = 100, 0.0
        self._most = 100
        self.gauge = Gauge(CPU, self.memory, lambda: self.joules)

    def memory(self) -> tuple[int, int]:
        most, self._most = self._most, self.now
        return most, self.now

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
    assert first == Usage(150, 120, 7.0)
    assert second == Usage(420, 420, 7.0)


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
    assert [drawn(), drawn(), drawn()] == [1.5, 2.5, None]
    assert counted_joules(Nvml(), "GPU-1")() is None
    assert counted_joules(Nvml(1), "GPU-2")() is None


def test_the_rest_of_a_request_adds_to_what_it_used_before() -> None:
    assert Usage(50, 20, 1.5).behind(Usage(70, 30, 2.0)) == Usage(70, 20, 3.5)
    assert Usage(50, 20).behind(Usage(40, 30, 2.0)) == Usage(50, 20, None)
    assert Usage(50, 20, 1.0).behind(None) == Usage(50, 20, 1.0)


def test_a_request_that_never_began_used_nothing() -> None:
    assert Meters().gauge.end("who") is None


def test_a_device_that_counts_no_energy_has_none() -> None:
    gauge = Gauge(CPU)
    gauge.begin("one")
    usage = gauge.end("one")
    assert usage is not None
    assert usage.joules is None
    assert usage.peak_bytes >= usage.present_bytes > 2**20
