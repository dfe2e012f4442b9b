"""A process with the decoders loaded and nothing else, that workers are forked from: `python -c ... nursery.main()`.

The server asks over the socket that is standard input: a record with two descriptors asks for a worker, which gets
them, and its number comes back; a record with a number ends that worker. When the server is gone, everything ends.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
from multiprocessing.connection import Connection

RECORD = struct.Struct("=I")
NEW = 0


def main() -> None:
    """Serve until the other end of standard input is closed."""
    link = socket.socket(fileno=os.dup(0))
    _load_decoders()
    signal.signal(signal.SIGCHLD, _reap)
    try:
        while True:
            record, fds, _, _ = socket.recv_fds(link, RECORD.size, 2)
            if len(record) < RECORD.size:
                return
            (number,) = RECORD.unpack(record)
            if number != NEW:
                _end(number)
            elif len(fds) == 2:
                link.sendall(RECORD.pack(_fork(link, *fds)))
    finally:
        for number in list(_RUNNING):
            _end(number)


_RUNNING: set[int] = set()


def _fork(link: socket.socket, talk: int, memory: int) -> int:
    from pipelines.media.wire import Region
    from pipelines.media.worker import Worker

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    number = os.fork()
    if number:
        _RUNNING.add(number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        os.close(talk)
        os.close(memory)
        return number
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        link.close()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        Worker(Connection(talk), Region(memory)).run()
    finally:
        os._exit(0)


def _end(number: int) -> None:
    if number in _RUNNING:
        os.kill(number, signal.SIGKILL)


def _reap(_signal: int, _frame: object) -> None:
    """Let go of workers that have ended. Only then may the system give their numbers to others."""
    while _RUNNING:
        number, _ = os.waitpid(-1, os.WNOHANG)
        if not number:
            return
        _RUNNING.discard(number)


def _load_decoders() -> None:
    import pipelines.media.worker

    if sys.platform != "darwin":  # its frameworks do not stand a fork once they are loaded
        import pillow_heif  # noqa: F401
        from PIL import Image

        import pipelines.media.opencv_reader
        import pipelines.media.picture
        import pipelines.media.probing
        import pipelines.media.pyav_reader  # noqa: F401

        Image.init()
