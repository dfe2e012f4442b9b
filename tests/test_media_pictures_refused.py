"""Pictures that are damaged, none, or too large, and files that are none at all: each is refused in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from pipelines.media import open_media
from pipelines.types import UserError
from tests.media_makers import At
from tests.opened_pictures import opened, png, refusal

pillow_heif.register_heif_opener()

REPOSITORY = Path(__file__).parent.parent


@pytest.mark.parametrize(("width", "height"), [(7072, 7072), (13300, 13300), (60000, 60000)])
def test_bombs_are_refused_by_their_header(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(width, height, b"\0" * 1000))
    start = time.process_time()
    assert refusal(path) == '"bomb.png" has more than 50 megapixels: make it smaller and try again.'
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "avif", "heic", "gif"])
def test_a_picture_cut_off_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    for part in (0.1, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * part)])
        assert refusal(path) == f'"photo.{suffix}" is cut off or damaged: export or download it again.'


@pytest.mark.parametrize(
    "content",
    [
        b"notes\n" * 100,
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"8BPS\x00\x01" + bytes(200),
        b"II*\x00\x08\x00\x00\x00" + bytes(200),
        b"SIMPLE  =                    T",
        b"BLP2" + bytes(200),
        b"\x00\x00\x01\x00\x01\x00" + bytes(200),
        b"RIFF\x00\x00\x00\x00WAVE" + bytes(200),
        b"\x00",
        bytes(1000),
    ],
    ids=["text", "eps", "psd", "tiff", "fits", "blp", "ico", "wav", "byte", "zeros"],
)
def test_other_kinds_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.png"
    path.write_bytes(content)
    assert refusal(path) == (
        '"notes.png" is not a picture or clip that can be read: '
        "use JPEG, PNG, WEBP, GIF, BMP, AVIF, HEIC, MP4, MOV, WEBM, MKV or AVI."
    )


SCARCE = """
import resource, sys
from pathlib import Path
from pipelines.media.picture import open_picture
from pipelines.types import UserError
used_kb = int(Path("/proc/self/status").read_text().split("VmData:")[1].split()[0])
resource.setrlimit(resource.RLIMIT_DATA, (used_kb * 1024 + 60_000_000,) * 2)
try:
    open_picture(Path(sys.argv[1]))
except UserError as error:
    print(error)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it is bounded as Linux bounds it")
def test_a_picture_that_the_memory_does_not_hold(tmp_path: Path) -> None:
    """It was told to be damaged, and to be downloaded again."""
    Image.new("RGB", (5000, 5000), "red").save(tmp_path / "large.png", compress_level=1)
    told = subprocess.run(
        [sys.executable, "-c", SCARCE, str(tmp_path / "large.png")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == '"large.png" takes too much memory to read: make it smaller and try again.\n'


def test_no_file(tmp_path: Path) -> None:
    told = 'There is no file "gone.png" here, or not any more: check its name, or upload it again.'
    assert refusal(tmp_path / "gone.png") == told


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.touch()
    assert refusal(path) == '"x.png" is empty (0 bytes): upload it again.'


def test_folder(tmp_path: Path) -> None:
    path = tmp_path / "album"
    path.mkdir()
    assert refusal(path) == '"album" is not a file: choose a picture or a clip.'
    with pytest.raises(UserError, match=r'^"\." is not a file'):  # it has no name
        opened(Path())


def test_pipe_does_not_wait(tmp_path: Path) -> None:
    path = tmp_path / "pipe.png"
    os.mkfifo(path)
    assert "is not a file" in refusal(path)


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "loop.png"
    path.symlink_to(path)
    assert refusal(path) == '"loop.png" cannot be read: check that you may open it.'


@pytest.mark.parametrize("name", ["no\0name.png", "x" * 5000])
def test_impossible_names(tmp_path: Path, name: str) -> None:
    assert "cannot be read" in refusal(tmp_path / name)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1/a.png", "HTTPS://example.org/a.mp4", "file:///etc/hostname", "rtsp://h/a"]
)
def test_addresses_are_refused(address: str) -> None:
    with pytest.raises(UserError, match="give a file, not an address"):
        open_media(Path(address), At())


def test_a_file_too_large(tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    with path.open("wb") as file:
        file.truncate(2 * 1024**3 + 1)
    assert refusal(path) == '"long.mp4" is larger than 2 GB: cut it to the part you ask about.'
