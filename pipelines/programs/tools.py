"""What the tools do, for files that lie here: which question goes to the model, and what comes back as it grows.

How a file is named, each interface says itself: see `endpoints` and `mcp_server`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import TypedDict

from pipelines.catalogue.choosing import here
from pipelines.catalogue.known import KNOWN, KnownModel
from pipelines.media import probe
from pipelines.present.told import Told
from pipelines.programs import questions
from pipelines.programs.stream import stream
from pipelines.serving.model import Model
from pipelines.types import Request, Settings, UserError


class ToldModel(TypedDict):
    """A model by the name to start it with, its id at the hub and what it needs; what is None is not known here."""

    name: str
    hub_id: str | None
    parameters: int | None
    download_bytes: int | None
    is_downloaded: bool
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
        if probe(path).kind != "clip":
            raise UserError("Events are found in clips, and this file is a picture: send a clip.")
        yield from self._about(path, questions.spotting(what), thinking)

    def describe(self, path: Path, *, thinking: bool) -> Iterator[Told]:
        """A description."""
        yield from self._about(path, questions.describing(probe(path).kind), thinking)

    def read(self, path: Path, *, thinking: bool) -> Iterator[Told]:
        """The text that is written."""
        yield from self._about(path, questions.reading(probe(path).kind), thinking)

    def models(self) -> list[ToldModel]:
        """The model that answers here, then the others that the program knows by name."""
        info = self.model.load().info
        known = {model.name: model for model in KNOWN}
        running = _told(known.get(info.model), info.model)
        running["is_running"] = running["is_downloaded"] = True
        running["device"], running["dtype"] = info.device, info.dtype
        running["context_tokens"] = info.context_tokens
        return [running, *(_told(model, name) for name, model in known.items() if name != info.model)]

    def _about(self, path: Path, question: str, thinking: bool) -> Iterator[Told]:
        yield from self.ask(question, [path], Settings(thinking=thinking))


def _told(model: KnownModel | None, name: str) -> ToldModel:
    """A model that does not run."""
    shape = model.shape if model else None
    return {
        "name": name,
        "hub_id": model.hub_id if model else None,
        "parameters": shape.parameters if shape else None,
        "download_bytes": shape.download_bytes if shape else None,
        "is_downloaded": model is not None and here(model) is not None,
        "is_running": False,
        "device": None,
        "dtype": None,
        "context_tokens": shape.context_tokens if shape else None,
    }
