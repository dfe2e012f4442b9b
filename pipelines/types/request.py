"""What is asked: the settings, the turns before, and the question itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipelines.types.media import ClipReader
from pipelines.types.times import Upload

if TYPE_CHECKING:
    from pipelines.types.result import Result

EngineName = Literal["local", "reference", "openai"]
WeightFormat = Literal["full", "int8", "fp8"]
"""How the text layers' weights are held: as the checkpoint gives them, or in eight bits."""

MAX_SYSTEM_CHARACTERS = 8_000
"""A system prompt's length at most: some 2,000 tokens, with which every question of the conversation begins."""
LONG_SYSTEM = f"The system prompt is longer than {MAX_SYSTEM_CHARACTERS:,} characters: shorten it."

LEAST_TEMPERATURE = 1e-5
"""What is lower draws the likeliest token anyway, until logits divided by it are no numbers any more."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. `temperature` 0 is greedy, and then the rest but the penalties has no effect.

    Below `LEAST_TEMPERATURE` it is 0.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.top_k < 0:
            raise ValueError("sampling needs temperature >= 0, 0 < top_p <= 1 and top_k >= 0")
        if not 0 <= self.min_p <= 1 or self.repetition_penalty <= 0:
            raise ValueError("sampling needs min_p from 0 to 1 and a repetition penalty above 0")
        if self.temperature < LEAST_TEMPERATURE:
            object.__setattr__(self, "temperature", 0.0)


COUNTS = ("max_new_tokens", "max_thinking_tokens", "num_frames", "max_frames", "max_clip_tokens", "max_pixels")
"""The settings that are counted from 1."""


@dataclass(frozen=True)
class Settings:
    """What a user may choose for one request.

    The whole reply may take `max_new_tokens`, all calls on its way included, and each thought of it
    `max_thinking_tokens`, behind which the answer begins; None sets no bound of its own. `sampling` None takes the
    official preset of the model for the mode; `seed` makes it repeatable. Of a clip,
    `num_frames` frames are taken, or where that is None `sample_fps` a second; in both cases at most `max_frames`, and
    together about `max_clip_tokens` visual tokens. `max_pixels` bounds the pixels of a picture as the model sees it.
    Both bounds lie within what the checkpoint allows. Where it may `look_closer`, the model can call for a
    part of a picture at full resolution, or for more frames of a clip, before it answers. `clip_reader` decodes clips;
    "decord" is for trusted files only.
    `price_per_hour` is what the machine costs, in whatever currency, and 0 where that is not known. `system` is the
    message that comes before the conversation, of at most `MAX_SYSTEM_CHARACTERS`; empty for none.
    """

    thinking: bool = True
    max_new_tokens: int = 2048
    max_thinking_tokens: int | None = None
    sampling: Sampling | None = None
    seed: int = 0
    sample_fps: float = 2.0
    num_frames: int | None = None
    max_frames: int = 768
    max_clip_tokens: int = 12_288
    max_pixels: int = 1024 * 1024
    clip_reader: ClipReader = "pyav"
    look_closer: bool = False
    price_per_hour: float = 0.0
    system: str = ""

    def __post_init__(self) -> None:
        for name in COUNTS:
            if (count := getattr(self, name)) is not None and count < 1:
                raise ValueError(f"{name} must be at least 1")
        if not 0 < self.sample_fps < math.inf:
            raise ValueError("sample_fps must be a number above 0")
        if not 0 <= self.price_per_hour < math.inf:
            raise ValueError("price_per_hour must be a number, and 0 or above")

    def going_on_from(self, begun: Settings) -> Settings:
        """These for the rest of a reply that was begun with others: what its prompt is made of stays as it was."""
        return replace(
            begun,
            max_new_tokens=self.max_new_tokens,
            max_thinking_tokens=self.max_thinking_tokens,
            sampling=self.sampling,
            seed=self.seed,
            price_per_hour=self.price_per_hour,
        )


@dataclass(frozen=True)
class Turn:
    """An earlier exchange: the question, the media files that came with it, and the answer without its reasoning.

    `about` is the medium that the question says it is about.
    """

    question: str
    media: tuple[Path, ...]
    answer: str
    about: int | None = None


@dataclass(frozen=True)
class Request:
    """A question about files, with the turns before it, oldest first.

    `resumed` is the reply to this very question that ran out of tokens, and goes on. `conversation` names the visitor's
    conversation: what an engine keeps of it serves nobody else. `asked_s` is when it was asked, by `time.perf_counter`;
    None is now. `waited_s` is from when to when, on the same clock, it waited for another question of its visitor, and
    `uploads` is how its files came here. `about` is the medium, counted from 0 over `files`, that the question is about
    where it is not what came last.
    """

    question: str
    media: tuple[Path, ...] = ()
    settings: Settings = field(default_factory=Settings)
    history: tuple[Turn, ...] = ()
    resumed: Result | None = None
    conversation: str = ""
    asked_s: float | None = None
    about: int | None = None
    waited_s: tuple[float, float] | None = None
    uploads: tuple[Upload, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the conversation, in the order in which the prompt holds them."""
        return tuple(path for turn in self.history for path in turn.media) + self.media


def subject(asked: Sequence[Turn | Request]) -> int:
    """The medium that the last of some questions is about: the one it says, or the first that came with it.

    One that neither says it nor brings any is about what the question before it was about. Media count from 0 over all.
    """
    last = max((at for at, one in enumerate(asked) if one.media or one.about is not None), default=0)
    about = asked[last].about
    return sum(len(one.media) for one in asked[:last]) if about is None else about
