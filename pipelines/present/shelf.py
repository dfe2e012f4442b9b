"""Where pictures lie that the page shows in full: written once by what they hold, and served to the browser as files.

What travels inside the page's own text is sent anew at every change; a file is fetched once.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from PIL import Image

from pipelines.disk import is_full
from pipelines.host.sweeping import files_in
from pipelines.types import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SERVED = "gradio_api/file="
"""Where the page's framework serves files from, beside the page."""
MAX_AGE_S = 86_400
MAX_LOSSLESS_PIXELS = 1024 * 1024
MAX_TRIES = 5
NO_ROOM = "What was seen could not be drawn: the disk of the server is full."
UNWRITABLE = "What was seen could not be drawn: the server cannot write its pictures. Tell who runs it."


@dataclass(frozen=True)
class Shelf:
    """A folder that is served, and below which uploads lie too. What nobody drew for a day is thrown away."""

    folder: Path

    def address(self, path: Path) -> str:
        """The address of a file that lies in the folder."""
        return SERVED + quote(path.as_posix())

    def put(self, rgb: NDArray[np.uint8]) -> str:
        """Write a picture, uint8 [height, width, 3], in its full size, and return its address. Raises as `keep`."""
        return self.address(self.keep(rgb))

    def keep(self, rgb: NDArray[np.uint8], name: str = "") -> Path:
        """Write a picture, uint8 [height, width, 3], and return its path: under `name`, where people are to read it.

        Raises UserError where it cannot be written.
        """
        try:
            return self._kept(rgb, name)
        except OSError as error:
            raise UserError(NO_ROOM if is_full(error) else UNWRITABLE) from error

    def _kept(self, rgb: NDArray[np.uint8], name: str) -> Path:
        key = hashlib.sha256(str(rgb.shape).encode() + rgb.tobytes()).hexdigest()
        is_lossless = rgb.shape[0] * rgb.shape[1] <= MAX_LOSSLESS_PIXELS
        file = f"{name or key}.{'png' if is_lossless else 'jpg'}"
        shown = self.folder / "shown"
        path = shown / key / file if name else shown / file
        _sweep(shown)
        try:
            os.utime(path)  # in one: between a look and a touch another visitor's sweep would leave an empty file
        except FileNotFoundError:
            data = io.BytesIO()
            kind, options = ("PNG", {}) if is_lossless else ("JPEG", {"quality": 92, "subsampling": 0})
            Image.fromarray(rgb).save(data, kind, **options)
            _write(path, data.getbuffer())
        return path


def _write(path: Path, data: memoryview) -> None:
    for tries_left in reversed(range(MAX_TRIES)):
        part = path.with_name(f"{secrets.token_hex(8)}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
            part.replace(path)
            return
        except FileNotFoundError:  # a sweep takes folders away that are empty, between any two of these lines
            if not tries_left:
                raise
        finally:  # what a full disk cut off must not be taken for the picture later
            part.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    for path, found in files_in(folder):
        if time.time() - found.st_mtime > MAX_AGE_S:
            with suppress(OSError):  # another visitor's sweep was faster, or something else lies beside it
                path.unlink()
                if path.parent != folder:
                    path.parent.rmdir()
