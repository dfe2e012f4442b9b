"""The workers that read files for this process: forked when they are needed, kept warm, ended when they are in the way.

A worker reads for one caller at a time. Whoever ends it needs no word from it: it is killed, and the next caller gets a
fresh one within milliseconds.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from multiprocessing.connection import Connection

from pipelines.media.errors import Cancelled, no_reader
from pipelines.media.hand import LOOK_S, Died, Hand, Silent, Spent
from pipelines.media.limits import MAX_WORKERS
from pipelines.media.nursery import ANSWER, END, NEW, RECORD, SPENT
from pipelines.media.wire import Region, new_region_fd
from pipelines.types import UserError

KEPT_ENVIRONMENT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "LC_ALL")
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
_BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from pipelines.media.nursery import main; main()"


class Nursery:
    """The process that workers are forked from, which is started here."""

    def __init__(self) -> None:
        self._link, theirs = socket.socketpair()
        kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _BOOT, json.dumps([os.path.abspath(entry) for entry in sys.path])],  # noqa: PTH100
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**kept, **ONE_THREAD},
                cwd=os.sep,
                start_new_session=True,
            )

    def fork(self) -> Hand:
        """A fresh worker. Raises OSError where the process is gone."""
        ours, theirs = socket.socketpair()
        memory = new_region_fd()
        with ours, theirs:
            try:
                socket.send_fds(self._link, [RECORD.pack(NEW, 0)], [theirs.fileno(), memory])
                return Hand(self._answer(), Connection(ours.detach()), Region(os.dup(memory)))
            finally:
                os.close(memory)

    def end(self, hand: Hand) -> None:
        """Kill a worker."""
        with suppress(OSError):
            self._link.sendall(RECORD.pack(END, hand.number))

    def is_spent(self, hand: Hand) -> bool:
        """Whether its processor time has ended a worker; one that has not ended is killed. Raises OSError."""
        self._link.sendall(RECORD.pack(SPENT, hand.number))
        return bool(self._answer())

    def close(self) -> None:
        """End the process, and every worker with it."""
        self._link.close()
        self._process.wait()

    def _answer(self) -> int:
        answer = self._link.recv(ANSWER.size, socket.MSG_WAITALL)
        if len(answer) < ANSWER.size:
            raise BrokenPipeError("the nursery is gone")
        (number,) = ANSWER.unpack(answer)
        return int(number)


class Pool:
    """At most `max_workers` at a time. Safe to use from several threads."""

    def __init__(self, max_workers: int = MAX_WORKERS) -> None:
        self._places = threading.Semaphore(max_workers)
        self._long = threading.Semaphore(max(1, max_workers - 1))
        self._lock = threading.Lock()
        self._idle: list[Hand] = []
        self._all: set[Hand] = set()
        self._nursery: Nursery | None = None

    @contextmanager
    def worker(self, should_stop: Callable[[], bool], *, is_long: bool = False) -> Iterator[Hand]:
        """A worker for one file, ended if that raises. Raises Cancelled where none was free before a stop.

        What `is_long` never takes the last place from files that are read at once. Died is raised again as Spent where
        that is what it died of.
        """
        long = _held(self._long, should_stop) if is_long else nullcontext()
        with long, _held(self._places, should_stop):
            hand = self._take()
            hand.num_files += 1
            hand.is_clean = False
            try:
                yield hand
            except Died as error:
                if self._is_spent(hand):
                    raise Spent from error
                raise
            finally:
                self._give_back(hand)

    def warm(self) -> None:
        """Make a worker ready, so that the first file does not wait for it; where none starts, that file tells."""
        with suppress(UserError), self.worker(lambda: False) as hand:
            hand.is_clean = True

    def numbers(self) -> list[int]:
        """The process numbers of the workers, at work or waiting."""
        with self._lock:
            return [hand.number for hand in self._all]

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            idle, self._idle, self._all = self._idle, [], set()
            nursery, self._nursery = self._nursery, None
        for hand in idle:
            hand.close()
        if nursery is not None:
            nursery.close()

    def _take(self) -> Hand:
        with self._lock:
            while self._idle:
                hand = self._idle.pop()
                if hand.is_fit:
                    return hand
                self._drop(hand)
            return self._fresh()

    def _fresh(self) -> Hand:
        """A new worker, of a new nursery where something has ended the old one. Raises UserError where that fails."""
        with suppress(OSError, Died, Silent):
            return self._forked()
        if self._nursery is not None:
            self._nursery.close()
            self._nursery = None
        try:
            return self._forked()
        except (OSError, Died, Silent) as error:
            raise no_reader() from error

    def _forked(self) -> Hand:
        self._nursery = self._nursery or Nursery()
        hand = self._nursery.fork()
        hand.hear(lambda: False)
        self._all.add(hand)
        return hand

    def _is_spent(self, hand: Hand) -> bool:
        with self._lock, suppress(OSError):
            return self._nursery is not None and self._nursery.is_spent(hand)
        return False

    def _give_back(self, hand: Hand) -> None:
        with self._lock:
            if hand.is_fit:
                hand.region.shrink()
                self._idle.append(hand)
            else:
                self._drop(hand)

    def _drop(self, hand: Hand) -> None:
        self._all.discard(hand)
        hand.close()
        if self._nursery is not None:
            self._nursery.end(hand)


@contextmanager
def _held(places: threading.Semaphore, should_stop: Callable[[], bool]) -> Iterator[None]:
    """A place for the length of a `with` block. Raises Cancelled where none was free before a stop."""
    while not places.acquire(timeout=LOOK_S):
        if should_stop():
            raise Cancelled
    try:
        yield
    finally:
        places.release()


POOL = Pool()
"""That of this process."""
atexit.register(POOL.close)
