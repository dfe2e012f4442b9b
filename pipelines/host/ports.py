"""Ports of this machine: what keeps one from being opened, and the sentence that tells it."""

from __future__ import annotations

import errno
import os
import socket

Obstacle = OSError | OverflowError
LOCAL = "127.0.0.1"
"""Where the page is unless --host says otherwise, and where Gradio wants its port to be free besides."""


def obstacle(host: str, port: int) -> Obstacle | None:
    """What keeps a port from being opened; one that can be is given back at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as server:
            if os.name == "posix":  # else a port that was just given back would seem taken; Windows would share it
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((host, port))
    except (OSError, OverflowError) as error:
        return error
    return None


def of_page(host: str, port: int) -> tuple[str, Obstacle] | None:
    """What keeps a page that is to be at `host` from its port, and the address that it is about."""
    found = ((place, obstacle(place, port)) for place in (host, LOCAL))
    return next(((place, error) for place, error in found if error is not None), None)


def is_taken(found: Obstacle) -> bool:
    """Whether something listens there already."""
    return isinstance(found, OSError) and found.errno == errno.EADDRINUSE


def told(found: Obstacle, host: str, port: int, options: str) -> str:
    """What keeps a port from being opened, and what to do; `options` choose another."""
    if is_taken(found):
        return f"Port {port} of {host} is taken: end what listens there, or choose another with {options}."
    why = (isinstance(found, OSError) and found.strerror) or found
    return f"Port {port} of {host} cannot be opened ({why}): choose another with {options}."
