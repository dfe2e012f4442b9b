"""From a path to pixels: pictures and clips, opened safely and in one form.

What a file is, its content decides and never its name. Whatever is wrong with it is one `UserError`, in a sentence that
names the file and says what to do. Everything is decoded in the caller's own process: PyAV and Pillow, held to closed
lists of formats and to sizes checked beforehand, raise where decord is known to abort.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.media.content import PICTURE, kind_of
from pipelines.media.errors import Cancelled
from pipelines.media.frames import kept_size
from pipelines.types import Clip, ClipReader, Picture, Probe, Settings

if TYPE_CHECKING:
    from pipelines.media.clip import Read

__all__ = ["Cancelled", "kept_size", "open_media", "probe"]


def open_media(
    path: Path | str,
    settings: Settings,
    choose: Callable[[int, float], Sequence[int]],
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Picture | Clip:
    """Open a picture or a clip.

    `Picture.rgb` is uint8 [height, width, 3] and `Clip.rgb` uint8 [frames, height, width, 3]; both are upright and in
    sRGB. A GIF of several frames is a clip; any other animation is the picture of its first frame. Of a clip, the
    frames are read that `choose(total frames, frames a second on average)` names by number, at most
    `settings.max_frames`, and `on_progress(done, total)` is called at each. `settings.clip_reader` decodes them;
    "decord" is for trusted files only, see `pipelines.media.decord_reader`.

    Raises UserError for what cannot be read, and Cancelled when `should_stop`, asked between frames, returns True.
    """
    path = Path(path)
    should_stop = should_stop or (lambda: False)
    kind = kind_of(path)
    if should_stop():
        raise Cancelled
    if _is_picture(path, kind):
        from pipelines.media.picture import open_picture

        return open_picture(path)

    from pipelines.media.clip import open_clip

    on_progress = on_progress or (lambda _done, _total: None)
    return open_clip(path, kind, settings.max_frames, choose, _read_of(settings.clip_reader), on_progress, should_stop)


def probe(path: Path | str) -> Probe:
    """The size of a picture or a clip, upright, in px, and how many frames a clip has: its pixels are not decoded.

    Raises UserError for what cannot be read, as far as that shows.
    """
    path = Path(path)
    kind = kind_of(path)
    from pipelines.media.probing import probe_clip, probe_picture

    return probe_picture(path) if _is_picture(path, kind) else probe_clip(path, kind)


def _is_picture(path: Path, kind: str) -> bool:
    if kind != "gif":
        return kind == PICTURE
    from pipelines.media.picture import is_animation

    return not is_animation(path)


def _read_of(reader: ClipReader) -> Read:
    if reader == "decord":
        from pipelines.media.decord_reader import read
    else:
        from pipelines.media.pyav_reader import read
    return read
