"""From a path to pixels: pictures and clips, opened safely and in one form.

What a file is, its content decides and never its name. Whatever is wrong with it is one `UserError`, in a sentence that
names the file and says what to do. `open_once` and `probe` leave the decoding to a worker process that may break or be
ended; `open_media` decodes in the caller's own, for files that we made ourselves.
"""

from pipelines.media.content import is_readable_kind, kind_of
from pipelines.media.errors import Cancelled
from pipelines.media.guarded import footage_guarded as footage
from pipelines.media.guarded import make_ready
from pipelines.media.kept import open_once
from pipelines.media.kept import probe_once as probe
from pipelines.media.look import Look
from pipelines.media.opening import open_media

__all__ = [
    "Cancelled",
    "Look",
    "footage",
    "is_readable_kind",
    "kind_of",
    "make_ready",
    "open_media",
    "open_once",
    "probe",
]
