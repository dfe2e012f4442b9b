"""What a worker may use: memory, processor time, open files, nothing to write to, no secrets, no network.

What the kernel does not take from it (an old Linux, macOS), an audit hook of Python refuses; that holds back a mistake
of ours, and not a file that has taken over a decoder.
"""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.media.kernel import forbid_files_and_network
from pipelines.media.limits import WORKER_BYTES, WORKER_OPEN_FILES

ADDRESS_BYTES = 4 * 1024**3
"""Threads reserve room that they never use; what is written is bounded by `WORKER_BYTES`."""
_OUTSIDE = ("socket.", "subprocess.", "os.exec", "os.posix_spawn", "os.system", "os.fork")


@dataclass(frozen=True)
class Confinement:
    """What is shut off by the kernel; the rest is only by Python."""

    files: bool
    network: bool


def confine() -> Confinement:
    """Give up, for good, whatever reading a file does not need."""
    os.environ.clear()
    os.environ["PATH"] = os.defpath  # decord fails without one
    _go_first()
    _limit(resource.RLIMIT_AS, ADDRESS_BYTES)
    _limit(resource.RLIMIT_DATA, WORKER_BYTES)
    _limit(resource.RLIMIT_NOFILE, WORKER_OPEN_FILES)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    confinement = Confinement(*forbid_files_and_network())
    sys.addaudithook(_refuse_outside)
    return confinement


def allow_processor(seconds: int) -> None:
    """Give so much time of a processor, from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds, hard))


def _go_first() -> None:
    """Where memory runs out, have Linux end this process: the server is the larger one."""
    with suppress(OSError):  # of another system
        Path("/proc/self/oom_score_adj").write_text("1000")


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def _refuse_outside(event: str, _arguments: object) -> None:
    if event.startswith(_OUTSIDE):
        raise PermissionError(event)
