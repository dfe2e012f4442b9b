"""When a disk takes no more: the errors of the system that say so."""

from __future__ import annotations

import errno

FULL = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""No room, too large a file for the disk or the user's limit, the user's share used up."""


def is_full(error: OSError) -> bool:
    """Whether an error means that there is no room left."""
    return error.errno in FULL
