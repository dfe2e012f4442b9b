"""Proxies that the environment or the system names: none belongs between this process and itself.

The page's framework makes ready to go through them as it is imported, and asks the page itself as it starts. Most lead
nowhere near this machine, and of an unknown kind it takes none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

PASSED_BY = "no_proxy"
"""Goes before the same name in capitals; where it is set, the system's own settings are not looked at."""


@contextmanager
def no_proxies() -> Iterator[None]:
    """Have nothing go through a proxy for the length of a `with` block; what is downloaded later does again."""
    before = os.environ.get(PASSED_BY)
    os.environ[PASSED_BY] = "*"
    try:
        yield
    finally:
        if before is None:
            del os.environ[PASSED_BY]
        else:
            os.environ[PASSED_BY] = before
