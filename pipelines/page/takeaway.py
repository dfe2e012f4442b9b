"""Taking along what was answered: the buttons and their handlers."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from pipelines.disk import is_full
from pipelines.media import Cancelled
from pipelines.page.components import PRIVATE
from pipelines.page.host import Host, uploads
from pipelines.present.album import conversation_report
from pipelines.present.claims import Claimed, claims
from pipelines.present.film import marked_clips
from pipelines.present.shelf import MAX_AGE_S
from pipelines.present.takeaway import NOTHING_MARKED, marked_pictures, marks_as_coco, marks_as_table, num_left_out
from pipelines.serving.session import Session
from pipelines.types import UserError

MAX_WRITING = 2
"""Clips are encoded on the processors that the model may need."""


@dataclass(frozen=True)
class Desk:
    """Where to write, whom to tell how much is done, 0 to 1, and what tells whether nobody waits for it any more."""

    folder: Path
    on_progress: Callable[[float], None]
    should_stop: Callable[[], bool]


Write = Callable[[list[Claimed], Desk], list[Path]]


def _of_last(write: Callable[[Claimed, Desk], list[Path]]) -> Write:
    """A writer for the last answer alone."""

    def write_last(claimed: list[Claimed], desk: Desk) -> list[Path]:
        if not claimed:
            raise UserError(NOTHING_MARKED)
        return write(claimed[-1], desk)

    return write_last


def _pictures(claimed: Claimed, desk: Desk) -> list[Path]:
    paths = marked_pictures(claimed, desk.folder, desk.should_stop)
    if left_out := num_left_out(claimed):
        gr.Info(f"Times with marks that are not shown: {left_out}")
    return paths


CHOICES: dict[str, Write] = {
    "Marked pictures": _of_last(_pictures),
    "Marked clip": _of_last(lambda last, desk: marked_clips(last, desk.folder, desk.on_progress, desk.should_stop)),
    "COCO": _of_last(lambda last, desk: marks_as_coco(last, desk.folder)),
    "Table (CSV)": _of_last(lambda last, desk: marks_as_table(last, desk.folder)),
    "Report": lambda claimed, desk: conversation_report(claimed, desk.folder, desk.should_stop),
}


def takeaway(session: gr.State, host: Host) -> gr.File:
    """The buttons, and the files that they give, which are those of the answer that is shown."""
    with gr.Accordion("Take it along", open=False, elem_id="take"):
        # above the buttons: below them they came outside of the window
        files = gr.File(
            label="Files", file_count="multiple", interactive=False, visible=False, elem_id="taken", height=160
        )
        with gr.Row():
            buttons = {name: gr.Button(name, size="sm", min_width=110) for name in CHOICES}
    for name, button in buttons.items():
        button.click(
            taking(CHOICES[name], host),
            session,
            files,
            concurrency_id="take",
            concurrency_limit=MAX_WRITING,
            **{**PRIVATE, "show_progress": "full"},
        )
    return files


def put_away() -> gr.File:
    """No files, where what they were written for is shown no more."""
    return gr.File(None, visible=False)


NO_ROOM = "Nothing could be written: the disk of the server is full."


def _swept(folder: Path) -> Path:
    """The folder without what was taken longer ago than a day."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        with suppress(FileNotFoundError):  # another visitor's sweep was faster
            if time.time() - old.stat().st_mtime > MAX_AGE_S:
                shutil.rmtree(old, ignore_errors=True)
    return folder


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    """A folder of its own in `folder`, which goes where what is written into it does not come about."""
    own = Path(tempfile.mkdtemp(dir=_swept(folder)))
    try:
        yield own
    except BaseException:
        shutil.rmtree(own, ignore_errors=True)
        raise


def taking(write: Write, host: Host) -> Callable[..., Any]:
    """The handler that writes the files, while somebody listens; what is wrong is told, and nothing is offered."""

    def take(session: Session, progress: gr.Progress = gr.Progress()) -> Any:  # noqa: B008 - how it is asked for
        try:
            with _fresh(uploads() / "taken") as folder:
                progress(0.0, desc="Writing")
                desk = Desk(folder, lambda share: progress(share, desc="Writing"), host.lost())
                paths = write(claims(session.rounds), desk)
        except Cancelled:
            return gr.skip()
        except UserError as error:
            gr.Warning(str(error))
            return put_away()
        except OSError as error:
            if not is_full(error):
                raise
            gr.Warning(NO_ROOM)
            return put_away()
        return gr.skip() if session.is_closed else gr.File([str(path) for path in paths], visible=True)

    return take
