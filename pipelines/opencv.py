"""OpenCV, where it can be loaded. What needs it here has another way, slower, or does without.

The wheel of opencv-python is linked to libraries of a desktop (libxcb, libGL, GLib), which a small server lacks.
"""

from __future__ import annotations

from functools import cache


@cache
def has_opencv() -> bool:
    """Whether `import cv2` succeeds."""
    try:
        import cv2  # noqa: F401
    except ImportError:
        return False
    return True
