"""What the tools do, for files that lie here: which question goes to the model, and what comes back as it grows.

How a file is named, each interface says itself: see `endpoints` and `mcp_server`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import TypedDict

from pipelines.media import probe
from pipelines.models import HUB_IDS
from pipelines.present.model import Model
from pipelines.present.told import Told
from pipelines.programs import questions
from pipelines.programs.stream import stream
from pipelines.types import ProbedClip, Request, Settings, UserError


class ToldModel(TypedDict):
    """A model by the name to start it with; what is None is not known before it runs."""

    name: str
    is_running: bool
    device: str | None
    dtype: str | None
    context_tokens: int | None


@dataclass(frozen=True)
class Tools:
    """The tools over one model. Each raises UserError for what whoever calls it can put right."""

    model: Model

    def ask(self, question: str, paths: Sequence[Path], settings: Settings) -> Iterator[Told]:
        """A question about any number of files."""
        yield from stream(self.model, Request(question, tuple(paths), settings))

    def detect(self, path: Path, what: str, *, thinking: bool) -> Iterator[Told]:
        """Boxes of the kinds of things in `what`, which commas part."""
        yield from self._about(path, questions.detecting(what), thinking)

    def point(self, path: Path, what: str, *, thinking: bool) -> Iterator[Told]:
        """Points on what is named."""
        yield from self._about(path, questions.pointing(what), thinking)

    def events(self, path: Path, what: str, *, thinking: bool) -> Iterator[Told]:
        """When what is named is visible in a clip, or all events."""
        if not _is_clip(path):
            raise UserError("Events are found in clips, and this file is a picture: send a clip.")
        yield from self._about(path, questions.spotting(what), thinking)

    def describe(self, path: Path, *, thinking: bool) -> Iterator[Told]:
        """A description."""
        yield from self._about(path, questions.describing(is_clip=_is_clip(path)), thinking)

    def read(self, path: Path, *, thinking: bool) -> Iterator[Told]:
        """The text that is written."""
        yield from self._about(path, questions.reading(is_clip=_is_clip(path)), thinking)

    def models(self) -> list[ToldModel]:
        """The model that answers here, then the others that the program knows by name."""
        info = self.model.load().info
        running: ToldModel = {
            "name": info.model,
            "is_running": True,
            "device": info.device,
            "dtype": info.dtype,
            "context_tokens": info.context_tokens,
        }
        others: list[ToldModel] = [
            {"name": name, "is_running": False, "device": None, "dtype": None, "context_tokens": None}
            for name in HUB_IDS
            if name != info.model
        ]
        return [running, *others]

    def _about(self, path: Path, question: str, thinking: bool) -> Iterator[Told]:
        yield from self.ask(question, [path], Settings(thinking=thinking))


def _is_clip(path: Path) -> bool:
    return isinstance(probe(path), ProbedClip)
