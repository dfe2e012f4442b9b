"""Photographs, decoded by OpenCV: with the library that Pillow uses too, without the copies that Pillow makes.

Only plain files go this way: three colours, no profile, and not cut off. Everything else is left to Pillow.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.opencv import has_opencv

if has_opencv():
    import cv2

_FORMATS = ("JPEG", "MPO")
_END = b"\xff\xd9"


def decode_jpeg(image: Image.Image, path: Path) -> NDArray[np.uint8] | None:
    """The pixels of a JPEG whose header `image` has read: uint8 [height, width, 3], as stored, not turned.

    None where it is not plain, where OpenCV makes something else of it, or where there is no OpenCV.
    """
    if image.format not in _FORMATS or image.mode != "RGB" or not has_opencv():
        return None
    content = path.read_bytes()
    if not content.rstrip(b"\0").endswith(_END):  # OpenCV fills with grey what is cut off; Pillow tells it
        return None
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    decoded: NDArray[np.uint8] | None = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    return decoded if decoded is not None and decoded.shape == (image.height, image.width, 3) else None
