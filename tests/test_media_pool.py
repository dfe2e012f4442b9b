"""The processes that read files: how they are started, what is kept from them, and who gets one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.media import Cancelled
from pipelines.media.guarded import footage_guarded, open_guarded
from pipelines.media.pool import KEPT_ENVIRONMENT, ONE_THREAD, Pool
from pipelines.types import Picture, UserError
from tests.media_makers import At, write_clip
from tests.media_workers import number_of, wait_for_end

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def pool() -> Iterator[Pool]:
    """One worker at a time, of a nursery of its own."""
    with closing(Pool(1)) as pool:
        yield pool


def test_a_nursery_that_is_gone_is_started_anew(pool: Pool, picture: Path) -> None:
    number = number_of(pool)
    nursery = int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(nursery, signal.SIGKILL)
    wait_for_end(number)
    assert isinstance(open_guarded(picture, At(), pool=pool), Picture)


def test_a_nursery_that_does_not_start_is_told(pool: Pool, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a package is missing: it was the error of a broken connection."""
    with monkeypatch.context() as broken:
        broken.setattr("pipelines.media.pool._BOOT", "")
        pool.warm()
        with pytest.raises(UserError, match="does not start"):
            open_guarded(picture, At(), pool=pool)
    assert isinstance(open_guarded(picture, At(), pool=pool), Picture)


def test_nobody_waits_for_a_worker_after_stop(pool: Pool, picture: Path) -> None:
    with pool.worker(lambda: False), pytest.raises(Cancelled):
        open_guarded(picture, At(), should_stop=lambda: True, pool=pool)


def test_clips_that_are_read_for_long_leave_a_worker_for_other_files(picture: Path, tmp_path: Path) -> None:
    """Two exports took both workers for as long as they ran, and nobody could add a picture."""
    path, stop = write_clip(tmp_path / "clip.mp4"), threading.Event()
    with closing(Pool(2)) as pool, footage_guarded(path, lambda _times_s, _duration_s: [0], pool=pool):
        assert isinstance(open_guarded(picture, At(), pool=pool), Picture)
        stop.set()
        with (
            pytest.raises(Cancelled),
            footage_guarded(path, lambda _times_s, _duration_s: [0], stop.is_set, pool),
        ):
            pass


TRIES = """
import os, sys
from pathlib import Path
from pipelines.media.confinement import confine
parent = os.getppid()
confinement = confine()
print(confinement.files, confinement.network)
def grown():
    held = bytearray(2 * 1024**3)
def written():
    Path("/tmp/glassbox-never").write_text("x")
def environ():
    return Path(f"/proc/{parent}/environ").read_bytes()
def connected():
    import _socket
    _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
def executed():
    os.posix_spawn("/bin/true", ["true"], {})
def killed():
    os.kill(parent, 0)
for act in (grown, written, environ, connected, executed, killed):
    try:
        act()
        print(act.__name__, "done")
    except (MemoryError, OSError) as error:
        print(act.__name__, type(error).__name__)
print(sorted(os.environ))
"""


def test_a_worker_has_neither_the_environment_nor_the_network_nor_much_memory() -> None:
    printed = subprocess.run(
        [sys.executable, "-c", TRIES], cwd=ROOT, capture_output=True, text=True, check=True, env={"TOKEN": "secret"}
    ).stdout.splitlines()
    is_shut = dict(zip(("environ", "killed"), [printed[0].split()[0] == "True"] * 2, strict=True))
    assert printed[1:] == [
        "grown MemoryError",
        "written PermissionError" if is_shut["environ"] else "written OSError",
        "environ PermissionError" if is_shut["environ"] else "environ done",
        "connected PermissionError",
        "executed PermissionError",
        "killed PermissionError" if is_shut["killed"] else "killed done",
        "['PATH']",
    ]


def test_a_worker_is_started_without_the_environment_of_the_server(pool: Pool) -> None:
    number = number_of(pool)
    entries = Path(f"/proc/{number}/environ").read_bytes().split(b"\0")
    names = {entry.partition(b"=")[0].decode() for entry in entries if entry}
    assert names <= {*KEPT_ENVIRONMENT, *ONE_THREAD}


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
def test_where_memory_runs_out_a_worker_goes_before_the_server(pool: Pool) -> None:
    """In a container of 900 MB a picture of 49 megapixels ended the server, which is the larger process."""
    assert Path(f"/proc/{number_of(pool)}/oom_score_adj").read_text() == "1000\n"
