"""Copies of a batch's pictures, and of the frames of its clips, with the boxes and points drawn on them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL.Image import Image

from pipelines.batch.items import Item
from pipelines.disk import try_folder
from pipelines.present.burnt import marked_copy
from pipelines.present.frames import marks_by_frame
from pipelines.present.overlay import numbered
from pipelines.types import Clip, Region, Result, UserError


def check_copies(folder: Path) -> None:
    """Make the folder of the copies. Raises UserError where none could be written to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try_folder(folder)
    except OSError as error:
        raise _unwritable(folder) from error


def drawn(item: Item, result: Result, folder: Path) -> dict[Path, Image]:
    """The copies of an item by their paths: none without places, and of a clip those of its frames that have some."""
    medium = result.media[0]
    marks = numbered(_here(result))
    if not isinstance(medium, Clip):
        pictures = {".png": marked_copy(medium.rgb, marks)} if marks else {}
    else:
        pictures = {
            f".{medium.times_s[frame]:.3f}s.png": marked_copy(medium.rgb[frame], of_frame)
            for frame, of_frame in marks_by_frame(medium, marks).items()
        }
    return {folder / f"{item.copy_name}{ending}": picture for ending, picture in pictures.items()}


def save(copies: Mapping[Path, Image]) -> None:
    """Write copies to their paths. Raises UserError where the disk does not take them."""
    for path, picture in copies.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
        except OSError as error:
            raise _unwritable(path.parent) from error


def _here(result: Result) -> list[Region]:
    """The places on the one file there is; a model may name others."""
    return [region for region in result.grounding.regions if region.media_index == 0]


def _unwritable(folder: Path) -> UserError:
    return UserError(f'No copy can be written to "{folder.name}": check that folder and the free disk space.')
