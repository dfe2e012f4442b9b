"""Each server has a folder of its own for uploads, and one that cannot be written is told in a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipelines.host.own_uploads import made, own_uploads, port_of
from pipelines.types import UserError
from tests.archive_values import full_disk
from tests.page_server import ROOT


def test_servers_share_no_folder_unless_a_person_names_one(tmp_path: Path) -> None:
    """One that kept uploads for minutes took away what another one of the same user still showed."""
    one, other = (own_uploads(["--port", port], {}) for port in ("7861", "7862"))
    assert one != other
    assert own_uploads(["--port=7861"], {}) == one  # it finds drafts there when it starts again
    assert own_uploads(["--port", "7861"], {"GRADIO_TEMP_DIR": str(tmp_path)}) == tmp_path


@pytest.mark.parametrize(
    ("arguments", "given", "port"),
    [
        ([], "", "7860"),
        ([], "8000", "8000"),
        (["--public", "--port", "7861", "--data", "none"], "8000", "7861"),
        (["--port", "7861", "--port=7862"], "", "7862"),
        (["--por", "7861"], "", "7861"),
        (["--port"], "", "7860"),
        (["--port", "../../etc"], "", "7860"),
    ],
)
def test_the_port_is_read_as_the_program_reads_it(arguments: Sequence[str], given: str, port: str) -> None:
    assert port_of(arguments, {"GRADIO_SERVER_PORT": given}) == port


def test_nobody_else_reads_what_is_uploaded(tmp_path: Path) -> None:
    folder = made(tmp_path / "glassbox" / "7860")
    assert [place.stat().st_mode & 0o777 for place in (folder.parent, folder)] == [0o700, 0o700]
    assert made(folder) == folder
    assert list(folder.iterdir()) == []


def test_a_folder_that_somebody_else_has_put_there_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes a folder of this name in a place for all would read the uploads."""
    own = own_uploads([], {})
    folder = made(tmp_path / own.parent.name / own.name)
    monkeypatch.setattr(Path, "lstat", lambda _: os.stat_result((0o40700, 0, 0, 0, os.getuid() + 1, 0, 0, 0, 0, 0)))
    with pytest.raises(UserError, match="Uploads cannot be kept"):
        made(folder)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(UserError, match="see whether the disk is full"):
        made(tmp_path / "uploads")


def test_a_server_without_a_folder_for_uploads_ends_in_a_sentence(tmp_path: Path) -> None:
    """It was a traceback, and all users of a machine had the same folder."""
    (tmp_path / "file").touch()
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(tmp_path / "file")}
    run = subprocess.run([sys.executable, "app.py"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.splitlines() == [
        f'Uploads cannot be kept in "{tmp_path / "file"}": see whether the disk is full, or name another folder by '
        "GRADIO_TEMP_DIR."
    ]
