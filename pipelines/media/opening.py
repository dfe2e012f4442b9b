"""Opening a file, whatever it is: the one function for pictures and clips, and the one that only looks at headers.

Both decode in the process that calls them. What strangers give is opened through `pipelines.media.guarded` instead.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.media.content import PICTURE, kind_of
from pipelines.media.errors import Cancelled
from pipelines.media.footage import Choose, Footage, keep_footage
from pipelines.media.look import Look
from pipelines.types import ClipReader, Media, Picture, Probe

if TYPE_CHECKING:
    from pipelines.media.clip import Read


def open_media(
    path: Path | str,
    look: Look,
    clip_reader: ClipReader = "pyav",
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Media:
    """Open a picture or a clip.

    `Picture.rgb` is uint8 [height, width, 3] in the size of the file. Of a clip, `look` chooses the frames, and
    `Clip.rgb` is uint8 [frames, height, width, 3] in the size that it gives them. Both are upright and in sRGB. A GIF
    of several frames is a clip; any other animation is the picture of its first frame. `on_progress(done, total)` is
    called as the decoding of a clip begins and at each frame. `clip_reader` decodes them; "decord" is for trusted files
    only, see `pipelines.media.decord_reader`.

    Raises UserError for what cannot be read, ValueError for frames of a shape that `look` refuses, and Cancelled when
    `should_stop`, asked between frames, returns True.
    """
    path = Path(path)
    item = read_media(path, look.choose, clip_reader, should_stop or (lambda: False), may_move=look.may_move)
    if isinstance(item, Picture):
        return item
    on_progress = on_progress or (lambda _done, _total: None)
    on_progress(0, item.num_frames)
    return keep_footage(path.name, item, look, on_progress)


def read_media(
    path: Path, choose: Choose, clip_reader: ClipReader, should_stop: Callable[[], bool], *, may_move: bool
) -> Picture | Footage:
    """Decode a picture, or begin to decode a clip, whose frames `may_move` as `Look` has it; raises as `open_media`."""
    kind = kind_of(path)
    if should_stop():
        raise Cancelled
    if _is_picture(path, kind):
        from pipelines.media.picture import open_picture

        return open_picture(path)

    from pipelines.media.clip import read_footage

    return read_footage(path, kind, choose, _read_of(clip_reader), should_stop, may_move=may_move)


def probe(path: Path | str, should_stop: Callable[[], bool] | None = None) -> Probe:
    """The size of a picture or a clip, upright, in px, and when a clip's frames are shown: no pixels are decoded.

    Raises UserError for what cannot be read, as far as that shows, and Cancelled when `should_stop` says so.
    """
    path = Path(path)
    kind = kind_of(path)
    from pipelines.media.probing import probe_clip, probe_picture

    return probe_picture(path) if _is_picture(path, kind) else probe_clip(path, kind, should_stop or (lambda: False))


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
