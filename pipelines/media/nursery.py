"""A process with the decoders loaded and nothing else, that workers are forked from: `python -c ... nursery.main()`.

The server asks over the socket that is standard input, in records of what is asked and the number of a worker:

    NEW, with two descriptors    a worker, which gets them; its number comes back
    END                          it is ended
    SPENT                        it is ended; whether its processor time had ended it before comes back

When the server is gone, everything ends.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import time
from multiprocessing.connection import Connection

RECORD, ANSWER = struct.Struct("=II"), struct.Struct("=I")
NEW, END, SPENT = range(3)
PATIENCE_MS = 1000
"""For a process to be gone after it was killed."""


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
            task, number = RECORD.unpack(record)
            if task == END:
                _end(number)
            elif task == SPENT:
                link.sendall(ANSWER.pack(_is_spent(number)))
            elif len(fds) == 2:
                link.sendall(ANSWER.pack(_fork(link, *fds)))
    finally:
        for number in list(_RUNNING):
            _end(number)


_RUNNING: set[int] = set()
_SPENT: set[int] = set()


def _fork(link: socket.socket, talk: int, memory: int) -> int:
    from pipelines.media.wire import Region
    from pipelines.media.worker import Worker

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    number = os.fork()
    if number:
        _RUNNING.add(number)
        _SPENT.discard(number)
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


def _is_spent(number: int) -> bool:
    _end(number)
    for _ in range(PATIENCE_MS):
        if number not in _RUNNING:
            break
        time.sleep(0.001)
    return number in _SPENT


def _reap(_signal: int, _frame: object) -> None:
    """Let go of workers that have ended. Only then may the system give their numbers to others."""
    while _RUNNING:
        number, status = os.waitpid(-1, os.WNOHANG)
        if not number:
            return
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
            _SPENT.add(number)
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
