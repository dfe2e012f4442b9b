"""Taking along what was answered: the buttons and their handlers."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from pipelines.disk import is_full
from pipelines.page.components import PRIVATE
from pipelines.present.album import conversation_report
from pipelines.present.claims import Claimed, claims
from pipelines.present.film import marked_clips
from pipelines.present.shelf import MAX_AGE_S
from pipelines.present.takeaway import NOTHING_MARKED, marked_pictures, marks_as_coco, marks_as_table, num_left_out
from pipelines.serving.session import Session
from pipelines.types import UserError

Write = Callable[[list[Claimed], Path, Callable[[float], None]], list[Path]]
MAX_WRITING = 2
"""Clips are encoded on the processors that the model may need."""


def _of_last(write: Callable[[Claimed, Path], list[Path]]) -> Write:
    """A writer for the last answer alone."""

    def write_last(claimed: list[Claimed], folder: Path, _on_progress: Callable[[float], None]) -> list[Path]:
        if not claimed:
            raise UserError(NOTHING_MARKED)
        return write(claimed[-1], folder)

    return write_last


def _pictures(claimed: Claimed, folder: Path) -> list[Path]:
    paths = marked_pictures(claimed, folder)
    if left_out := num_left_out(claimed):
        gr.Info(f"Times with marks that are not shown: {left_out}")
    return paths


def _film(claimed: list[Claimed], folder: Path, on_progress: Callable[[float], None]) -> list[Path]:
    if not claimed:
        raise UserError(NOTHING_MARKED)
    return marked_clips(claimed[-1], folder, on_progress)


def _report(claimed: list[Claimed], folder: Path, _on_progress: Callable[[float], None]) -> list[Path]:
    return conversation_report(claimed, folder)


CHOICES: dict[str, Write] = {
    "Marked pictures": _of_last(_pictures),
    "Marked clip": _film,
    "COCO": _of_last(marks_as_coco),
    "Table (CSV)": _of_last(marks_as_table),
    "Report": _report,
}


def takeaway(session: gr.State, uploads: Callable[[], Path]) -> None:
    """The buttons, and the files that they give."""
    with gr.Accordion("Take it along", open=False, elem_id="take"):
        with gr.Row():
            buttons = {name: gr.Button(name, size="sm", min_width=110) for name in CHOICES}
        files = gr.File(
            label="Files", file_count="multiple", interactive=False, visible=False, elem_id="taken", height=160
        )
    for name, button in buttons.items():
        button.click(
            _taking(CHOICES[name], uploads),
            session,
            files,
            concurrency_id="take",
            concurrency_limit=MAX_WRITING,
            **{**PRIVATE, "show_progress": "full"},
        )


NO_ROOM = "Nothing could be written: the disk of the server is full."


def _swept(folder: Path) -> Path:
    """The folder without what was taken longer ago than a day."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if time.time() - old.stat().st_mtime > MAX_AGE_S:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def _taking(write: Write, uploads: Callable[[], Path]) -> Callable[..., Any]:
    """The handler that writes the files; what is wrong is told, and changes nothing."""

    def take(session: Session, progress: gr.Progress = gr.Progress()) -> Any:  # noqa: B008 - how it is asked for
        try:
            folder = _swept(uploads() / "taken")
            progress(0.0, desc="Writing")
            paths = write(
                claims(session.rounds),
                Path(tempfile.mkdtemp(dir=folder)),
                lambda share: progress(share, desc="Writing"),
            )
        except UserError as error:
            gr.Warning(str(error))
            return gr.skip()
        except OSError as error:
            if not is_full(error):
                raise
            gr.Warning(NO_ROOM)
            return gr.skip()
        return gr.File([str(path) for path in paths], visible=True)

    return take
