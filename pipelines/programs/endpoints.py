"""The tools as endpoints of the page's server: functions whose hints become the schema that clients read.

A file is one that the client uploaded to this server before; a path of the server and an address are refused. Each
endpoint streams the result as it grows, and a client that wants no stream takes the last value.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args, get_type_hints

from pipelines.present.composer import uploaded
from pipelines.present.told import Told
from pipelines.programs.tools import ToldModel, Tools
from pipelines.types import Sampling, Settings, UserError

Endpoint = Callable[..., Iterator[object]]


class UploadMeta(TypedDict):
    """What tells a file from other objects."""

    _type: Literal["gradio.FileData"]


class Upload(TypedDict):
    """A file as a client names it: the path that the server gave it when it was uploaded."""

    path: str
    meta: UploadMeta


@dataclass(frozen=True)
class Endpoints:
    """The tools, for files that lie in `uploads()`."""

    tools: Tools
    uploads: Callable[[], Path]

    def ask(
        self,
        question: str,
        files: list[Upload] | None = None,
        thinking: bool = True,
        max_new_tokens: int = Settings.max_new_tokens,
        max_thinking_tokens: int | None = None,
        fps: float = Settings.sample_fps,
        frames: int | None = None,
        max_frames: int = Settings.max_frames,
        max_clip_tokens: int = Settings.max_clip_tokens,
        max_pixels: int = Settings.max_pixels,
        greedy: bool = False,
        seed: int = 0,
        system: str = "",
    ) -> Iterator[Told]:
        """Ask a question about any number of pictures and clips. The settings have the command line's names."""
        settings = _given(
            thinking=_flag(thinking),
            max_new_tokens=_whole(max_new_tokens),
            max_thinking_tokens=None if max_thinking_tokens is None else _whole(max_thinking_tokens),
            sampling=Sampling() if _flag(greedy) else None,
            seed=_whole(seed),
            sample_fps=_number(fps),
            num_frames=None if frames is None else _whole(frames),
            max_frames=_whole(max_frames),
            max_clip_tokens=_whole(max_clip_tokens),
            max_pixels=_whole(max_pixels),
            system=_text(system),
        )
        yield from self.tools.ask(_text(question), self._paths(files or []), settings)

    def detect(self, file: Upload, what: str, thinking: bool = True) -> Iterator[Told]:
        """Find things on a picture or in a clip: a box in `regions` for each. Commas part several kinds of things."""
        yield from self.tools.detect(self._path(file), _text(what), thinking=_flag(thinking))

    def point(self, file: Upload, what: str, thinking: bool = True) -> Iterator[Told]:
        """Point to a thing on a picture or in a clip: points in `regions`."""
        yield from self.tools.point(self._path(file), _text(what), thinking=_flag(thinking))

    def events(self, file: Upload, what: str = "", thinking: bool = True) -> Iterator[Told]:
        """Find when something is visible in a clip, or all of its events where nothing is named: spans in `events`."""
        yield from self.tools.events(self._path(file), _text(what), thinking=_flag(thinking))

    def describe(self, file: Upload, thinking: bool = True) -> Iterator[Told]:
        """Describe a picture or a clip in words."""
        yield from self.tools.describe(self._path(file), thinking=_flag(thinking))

    def read(self, file: Upload, thinking: bool = False) -> Iterator[Told]:
        """Read the text in a picture or a clip (OCR): it is the `answer`."""
        yield from self.tools.read(self._path(file), thinking=_flag(thinking))

    def models(self) -> Iterator[list[ToldModel]]:
        """The model that answers here, then the others that the program knows by name."""
        yield self.tools.models()

    def all(self) -> tuple[Endpoint, ...]:
        """Every endpoint."""
        return self.ask, self.detect, self.point, self.events, self.describe, self.read, self.models

    def _path(self, file: Upload) -> Path:
        [path] = self._paths([file])
        return path

    def _paths(self, files: Sequence[Upload]) -> tuple[Path, ...]:
        if not isinstance(files, list) or not all(isinstance(file, dict) and file.get("path") for file in files):
            raise UserError(
                "A file is missing or was not uploaded: upload it first, and send what the server gives back."
            )
        return uploaded([file["path"] for file in files], self.uploads())


def _given(**values: Any) -> Settings:
    try:
        return Settings(**values)
    except ValueError as error:
        raise UserError(f"The settings do not fit: {error}.") from error


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise UserError("A setting is neither true nor false: send one of the two.")
    return value


def _whole(value: object) -> int:
    if (number := _number(value)) != int(number):
        raise UserError("A setting is no whole number: send one without a fraction.")
    return int(number)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise UserError("A setting is no number, or far too large a one: send a number.")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise UserError("The question or the system prompt is not a text: send a string.")
    return value


def signature_of(endpoint: Endpoint) -> inspect.Signature:
    """The signature of an endpoint, returning the type of what it yields: what a client gets."""
    [yielded] = get_args(get_type_hints(endpoint)["return"])
    return inspect.signature(endpoint).replace(return_annotation=yielded)
