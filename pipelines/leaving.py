"""The end of a process without the interpreter's last garbage collection.

That spends two seconds on all that torch and transformers hold, while whoever gave the command waits.
"""

from __future__ import annotations

import atexit
import os
import sys


class Leaving:
    """Ends the process with `code`, once that is set, behind everything that wants to be told of the end.

    It is to be made first: what was registered first is told last.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        atexit.register(self._end)

    def _end(self) -> None:
        if self.code is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.code)
