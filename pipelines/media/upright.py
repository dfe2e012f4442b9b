"""Which way is up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UPRIGHT = (1, 0, 0, 1)
"""The axes of what is stored as it is shown; see `turned`."""


def turned(rgb: NDArray[np.uint8], axes: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """Turn or mirror [height, width, 3]; a view.

    `axes` (a, b, c, d) send the point (x, y) as stored to (a x + c y, b x + d y) as shown. Other angles than quarter
    turns take the nearest one.
    """
    a, b, c, d = axes
    if abs(a) < abs(b):
        rgb, a, d = rgb.transpose(1, 0, 2), c, b
    if a < 0:
        rgb = rgb[:, ::-1]
    if d < 0:
        rgb = rgb[::-1]
    return rgb
