"""The moments at which long work on a CPU may be broken off, when nobody wants it any more.

A picture may take seconds there, and so may a piece of a prompt; between two layers there is always such a moment. On a
GPU it means little: all layers have been handed to it long before it is done with the first.
"""

from __future__ import annotations

from collections.abc import Callable

Rest = Callable[[], None]
"""Called between two layers. What it raises ends the work, of which nothing is left then."""


class Stopped(Exception):
    """Nobody wants the rest of the work."""


def no_rest() -> None:
    """Go on in any case."""
