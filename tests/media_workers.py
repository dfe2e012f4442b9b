"""The processes that read files, as the tests find them."""

from __future__ import annotations

import os
import select

from pipelines.media.pool import Pool

PATIENCE_S = 30.0


def number_of(pool: Pool) -> int:
    """The process that will read the next file."""
    pool.warm()
    (number,) = pool.numbers()
    return number


def wait_for_end(number: int) -> None:
    """Wait until a process is gone."""
    try:
        process = os.pidfd_open(number)
    except ProcessLookupError:
        return
    try:
        assert select.select([process], [], [], PATIENCE_S)[0], f"process {number} is still there"
    finally:
        os.close(process)
