"""Where the uploads of one server lie: in a folder that no other server shares, nor any other user of the machine.

The page's framework gives all servers of a machine the same one. There the one that keeps uploads for the shortest time
takes away what the others still show, and whoever is not its owner cannot even start.
"""

from __future__ import annotations

import errno
import os
import tempfile
from argparse import ArgumentError, ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.types import UserError

NAMED_BY = "GRADIO_TEMP_DIR"
"""In the environment: the framework's name for the folder, which a person may give too."""
PORT = 7860
TRIED_BYTES = 1_000_000
"""Room for what the page itself puts there as it starts: its examples."""


def port_of(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """The port that a server is started with, which tells it from the others; it is checked where it is used."""
    parser = ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--port", default=environment.get("GRADIO_SERVER_PORT", ""))
    try:
        port = str(parser.parse_known_args(list(arguments))[0].port)
    except ArgumentError:  # the program tells it
        port = ""
    return port if port.isascii() and port.isdecimal() else str(PORT)


def own_uploads(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Path:
    """The folder that is named, or one of this user and this port: a server that starts again finds drafts in it.

    It is not made here.
    """
    if named := environment.get(NAMED_BY):
        return Path(named)
    return Path(tempfile.gettempdir()).resolve() / _of_user() / port_of(arguments, environment)


def _of_user() -> str:
    return f"glassbox-{os.getuid()}" if hasattr(os, "getuid") else "glassbox"  # elsewhere each has a temporary folder


def made(folder: Path) -> Path:
    """Make the folder, for this user alone. Raises UserError where nothing can be written there, or it is another's."""
    try:
        for place in (folder.parent, folder):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            if place.name == _of_user() and hasattr(os, "getuid") and place.lstat().st_uid != os.getuid():
                raise PermissionError(errno.EPERM, "somebody else has made it, who would read what is uploaded")
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(TRIED_BYTES))
    except OSError as error:
        raise UserError(
            f'Uploads cannot be kept in "{folder}": see whether the disk is full, or name another folder by {NAMED_BY}.'
        ) from error
    return folder
