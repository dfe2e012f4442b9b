"""From a path to pixels: pictures and clips, opened safely and in one form.

What a file is, its content decides and never its name. Whatever is wrong with it is one `UserError`, in a sentence that
names the file and says what to do. Everything is decoded in the caller's own process: PyAV, Pillow and OpenCV, held to
closed lists of formats and to sizes checked beforehand, raise where decord is known to abort.
"""

from pipelines.media.content import is_readable_kind
from pipelines.media.errors import Cancelled
from pipelines.media.kept import open_once
from pipelines.media.look import Look
from pipelines.media.opening import open_media, probe

__all__ = ["Cancelled", "Look", "is_readable_kind", "open_media", "open_once", "probe"]
