"""The values that pass between the parts of the program.

A leaf: it imports nothing of the project, and every class is a frozen value. Coordinates are 0 to 1000 on each axis
of the upright original (x / 1000 * width, y / 1000 * height); times are seconds from the start of the clip. Pixels
appear in `Picture.rgb` and `Clip.rgb` alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NotRequired, Self, TypedDict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Channel = Literal["reasoning", "answer", "tool_call"]
Stage = Literal[
    "queue", "open", "frames", "fuse", "restore", "send", "vision", "prefill",
    "think", "tool", "look", "answer", "others", "deliver",
]  # fmt: skip
"""Where the time of a request goes; what each is, in words, stands in `pipelines.present.rates`."""
Task = Literal[
    "queue", "open", "frames", "fuse", "restore", "send", "vision", "prefill",
    "decode", "look", "others", "deliver",
]  # fmt: skip
"""The same for whoever does the work, and does not know whether a token belongs to a thought or to an answer."""
ClockName = Literal["perf_counter", "cuda event"]
FinishReason = Literal["stop", "length", "cancelled"]
ThoughtEnd = Literal["budget", "asked", "loop"]
"""Why the engine ended the reasoning, where the model did not: it used its tokens up, the user asked, or it circled."""
ClipReader = Literal["pyav", "decord"]
MediaKind = Literal["picture", "clip"]
EngineName = Literal["local", "reference", "openai"]
WeightFormat = Literal["full", "int8", "fp8"]
"""How the text layers' weights are held: as the checkpoint gives them, or in eight bits."""

MAX_SYSTEM_CHARACTERS = 8_000
"""Of a system prompt: some 2,000 tokens, which every question of the conversation begins with."""
MAX_KEPT_SIDE_PX = 480
MAX_KEPT_FRAMES = 8
"""Of what a model looked at more closely, as far as it is kept for the eye."""

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in 0 to 1000, with x1 <= x2 and y1 <= y2."""
Point = tuple[float, float]
"""x, y in 0 to 1000."""


class UserError(Exception):
    """What a user can cause and can put right.

    The message is one sentence for a person: what is wrong and what to do. The page shows it and the command line
    prints it; it never holds a traceback or a path that the user did not name.
    """


class TooLittleMemoryError(UserError):
    """The device has not the memory that a request needs."""


class ContentPart(TypedDict):
    """One item of a message's content, in the chat format that Qwen's templates read."""

    type: Literal["text", "image", "video"]
    text: NotRequired[str]


class ToolCall(TypedDict):
    """A call of a tool with its arguments as they were written."""

    name: str
    arguments: dict[str, str]


Json = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None


class Tool(TypedDict):
    """A tool as the model is told of it: its name, its description and the JSON schema of its parameters."""

    type: Literal["function"]
    function: Mapping[str, Json]


class Message(TypedDict):
    """One turn of a conversation, in the chat format that Qwen's templates read."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | Sequence[ContentPart]
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[Sequence[ToolCall]]


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded still. `rgb` is uint8 [height, width, 3], upright, in sRGB.

    `content` tells equal files from others, whatever they are called; empty where it is not known.
    """

    name: str
    rgb: NDArray[np.uint8]
    content: str = ""

    @property
    def height(self) -> int:
        return int(self.rgb.shape[0])

    @property
    def width(self) -> int:
        return int(self.rgb.shape[1])


@dataclass(frozen=True, eq=False)
class Clip:
    """The sampled frames of a clip.

    `rgb` is uint8 [frames, height, width, 3], upright, in sRGB. `times_s` holds the presentation time of each sampled
    frame, and `indices` its number in the file. `duration_s` is that of the file. `file_size` is the width and height
    of the file's frames where `rgb` was brought to the size at which the model sees them, and None where it has still
    the size of the file. `content` tells equal files from others; empty where it is not known.
    """

    name: str
    rgb: NDArray[np.uint8]
    times_s: tuple[float, ...]
    indices: tuple[int, ...]
    duration_s: float
    file_size: tuple[int, int] | None = None
    content: str = ""

    def __post_init__(self) -> None:
        if not len(self.rgb) == len(self.times_s) == len(self.indices):
            raise ValueError("a clip needs one time and one index for each frame")

    @property
    def height(self) -> int:
        return self.file_size[1] if self.file_size else int(self.rgb.shape[1])

    @property
    def width(self) -> int:
        return self.file_size[0] if self.file_size else int(self.rgb.shape[2])


Media = Picture | Clip


@dataclass(frozen=True)
class ProbedPicture:
    """What the header of a picture says: its size in px, upright."""

    name: str
    width: int
    height: int


@dataclass(frozen=True)
class ProbedClip:
    """What the packets of a clip say: its size in px, upright, and when each of its frames is shown, ascending."""

    name: str
    width: int
    height: int
    times_s: Sequence[float]
    duration_s: float


Probe = ProbedPicture | ProbedClip


@dataclass(frozen=True)
class Sight:
    """How the model sees a medium: `num_frames` frames (1 of a picture), their size in px, and what they cost.

    `num_visual_tokens` is None where a server counts them, and does not tell.
    """

    width: int
    height: int
    num_frames: int
    num_visual_tokens: int | None


@dataclass(frozen=True)
class Limits:
    """The least and the most pixels after resizing: of a picture, or of a clip over frames x height x width."""

    min_pixels: int
    max_pixels: int

    def __post_init__(self) -> None:
        if not 0 < self.min_pixels <= self.max_pixels:
            raise ValueError(f"limits need 0 < min_pixels <= max_pixels, not {self.min_pixels} and {self.max_pixels}")

    def at_most(self, max_pixels: int) -> Limits:
        """These limits, brought down to `max_pixels` as far as the least allows."""
        return Limits(self.min_pixels, max(self.min_pixels, min(self.max_pixels, max_pixels)))


@dataclass(frozen=True, eq=False)
class Vision:
    """What bounds how a model sees: the pixels of a picture and of a clip, and the frames that a clip is sampled to."""

    picture_limits: Limits
    clip_limits: Limits
    sample_fps: float
    min_frames: int
    max_frames: int

    def limited(self, max_pixels: int) -> Self:
        """The same, with pictures seen at no more than `max_pixels`."""
        return replace(self, picture_limits=self.picture_limits.at_most(max_pixels))


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. `temperature` 0 is greedy, and then the rest but the penalties has no effect."""

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


@dataclass(frozen=True)
class Settings:
    """What a user may choose for one request.

    The reasoning may take `max_thinking_tokens`, then the answer begins; None sets it no bound of its own. `sampling`
    None takes the official preset of the model for the mode; `seed` makes it repeatable. Of a clip,
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
        bounds = (self.max_new_tokens, self.max_frames, self.max_clip_tokens, self.max_pixels)
        if (
            min(*bounds, *(n for n in (self.num_frames, self.max_thinking_tokens) if n is not None)) < 1
            or not 0 < self.sample_fps < math.inf
            or not 0 <= self.price_per_hour < math.inf
        ):
            raise ValueError("settings need positive limits")


@dataclass(frozen=True)
class Turn:
    """An earlier exchange: the question, the media files that came with it, and the answer without its reasoning."""

    question: str
    media: tuple[Path, ...]
    answer: str


@dataclass(frozen=True)
class Request:
    """A question about files, with the turns before it, oldest first.

    `resumed` is the reply to this very question that ran out of tokens, and goes on. `conversation` names the visitor's
    conversation: what an engine keeps of it serves nobody else. `asked_s` is when it was asked, by `time.perf_counter`;
    None is now. `about` is the medium, counted from 0 over `files`, that the question is about where it is not what
    came last.
    """

    question: str
    media: tuple[Path, ...] = ()
    settings: Settings = field(default_factory=Settings)
    history: tuple[Turn, ...] = ()
    resumed: Result | None = None
    conversation: str = ""
    asked_s: float | None = None
    about: int | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the conversation, in the order in which the prompt holds them."""
        return tuple(path for turn in self.history for path in turn.media) + self.media


@dataclass(frozen=True)
class Token:
    """One generated token: its id, and the text that it completes (empty inside a multi-byte character).

    `logprob` is the natural logarithm of the model's own probability of it, before any sampling; None where the model
    did not choose it, or its engine does not tell.
    """

    id: int
    text: str
    logprob: float | None = None


@dataclass(frozen=True)
class Said:
    """A token of a reply, and the channel that it belongs to."""

    token: Token
    channel: Channel


@dataclass(frozen=True, eq=False)
class Gaze:
    """Where the model looked as it wrote the tokens of a reply, from the token `first` on.

    `weights` is float16 [tokens, visual tokens]: the share of attention, averaged over heads and layers, that each
    visual token got from the position that predicts the token. `grids` are those of the media in the order of the
    prompt: t, h, w in visual tokens.
    """

    weights: NDArray[np.float16]
    grids: tuple[tuple[int, int, int], ...]
    first: int = 0

    def of(self, tokens: range) -> tuple[NDArray[np.float32], ...]:
        """The mean over some tokens of the reply, float32 [t, h, w] for each medium; zero where none is known."""
        rows = range(max(tokens.start - self.first, 0), max(tokens.stop - self.first, 0))
        known = self.weights[rows.start : rows.stop].astype("float32")
        seen = known.mean(0) if len(known) else self.weights[:1].astype("float32").sum(0) * 0
        starts = [0, *accumulate(math.prod(grid) for grid in self.grids)]
        return tuple(
            seen[start : start + math.prod(grid)].reshape(grid) for start, grid in zip(starts, self.grids, strict=False)
        )


@dataclass(frozen=True)
class Delta:
    """A piece of the reply, on the channel it belongs to."""

    channel: Channel
    text: str


@dataclass(frozen=True, eq=False)
class Look:
    """A call of a tool on the way to an answer, and what the model got: a part of a medium to see, or a refusal.

    `reasoning` and `remark` are what was thought and said before it, `name` and `arguments` the call as it was written.
    `shown` is what came back, and None where the sentence `refused` did. It shows `box` of the medium `media_index`, or
    the span `span_s` of it, in seconds; `whole` is that medium. It took `duration_ms` from the call until it was there.
    """

    reasoning: str
    remark: str
    name: str
    arguments: Mapping[str, str]
    duration_ms: float
    shown: Media | None = None
    refused: str = ""
    media_index: int = 0
    box: Box | None = None
    span_s: tuple[float, float] | None = None
    whole: Media | None = None

    def reduced(self) -> Look:
        """The same with pictures small enough to be kept for as long as the conversation is shown."""
        return replace(self, shown=_reduced(self.shown), whole=_reduced(self.whole))


def _reduced(item: Media | None) -> Media | None:
    """Every so manieth pixel of a picture, and of the first frames of a clip."""
    if item is None:
        return None
    step = max(1, max(item.rgb.shape[-3:-1]) // MAX_KEPT_SIDE_PX)
    if isinstance(item, Picture):
        return replace(item, rgb=item.rgb[::step, ::step].copy())
    frames = slice(0, MAX_KEPT_FRAMES)
    rgb = item.rgb[frames, ::step, ::step].copy()
    return replace(item, rgb=rgb, times_s=item.times_s[frames], indices=item.indices[frames])


@dataclass(frozen=True)
class Region:
    """A place that the answer names: exactly one of `box` and `point`, in 0 to 1000 on the upright original.

    `media_index` counts the media of the request from 0, and `time_s` is set for a place in a clip. `source` is where
    the answer holds it as data: its first character and the one behind; it does not tell regions apart.
    """

    label: str
    box: Box | None = None
    point: Point | None = None
    media_index: int = 0
    time_s: float | None = None
    source: tuple[int, int] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if (self.box is None) == (self.point is None):
            raise ValueError("a region is either a box or a point")


@dataclass(frozen=True)
class Event:
    """A span of a clip that the answer names, in seconds from its start, `start_s` <= `end_s`.

    `source` is where the answer holds it as data, as in `Region`; None where its prose says it.
    """

    start_s: float
    end_s: float
    label: str
    source: tuple[int, int] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Grounding:
    """All places and spans of one answer."""

    regions: tuple[Region, ...] = ()
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Work:
    """A piece of work that begins, and lasts until the next one does.

    `num_tokens` of the prompt go through it, `medium` is the number of the picture or clip that it is about. A decode
    step is shared by `num_rows` requests, and the reply to this one holds `num_before` tokens before it.
    """

    task: Task
    num_tokens: int = 0
    medium: int | None = None
    num_rows: int = 1
    num_before: int = 0


@dataclass(frozen=True)
class Span:
    """A stretch of one stage: when it began after the question was asked, and how long it took, in ms, by `clock`.

    `num_tokens` went through it or came out of it, shared in each step with `num_rows` - 1 other requests; `medium` is
    the number of the picture or clip that it was about.
    """

    stage: Stage
    start_ms: float
    duration_ms: float
    clock: ClockName = "perf_counter"
    num_tokens: int = 0
    num_rows: int = 1
    medium: int | None = None

    @property
    def end_ms(self) -> float:
        return self.start_ms + self.duration_ms


@dataclass(frozen=True)
class Gaps:
    """How long one waits for the next token, in ms."""

    p50_ms: float
    p95_ms: float
    max_ms: float


@dataclass(frozen=True)
class Timing:
    """Where the time of a request went, from asked to done. `clock` names what measured the engine's stages."""

    spans: tuple[Span, ...]
    total_ms: float
    time_to_first_token_ms: float | None
    clock: ClockName
    time_to_answer_ms: float | None = None
    """To the first word of the answer."""
    gaps: Gaps | None = None
    """None where fewer than two steps brought tokens."""

    @property
    def other_ms(self) -> float:
        """What no stage measured."""
        return self.total_ms - sum(span.duration_ms for span in self.spans)

    @property
    def stage_ms(self) -> Mapping[Stage, float]:
        """Milliseconds by stage, a stage entered more than once summed."""
        summed: dict[Stage, float] = {}
        for span in self.spans:
            summed[span.stage] = summed.get(span.stage, 0.0) + span.duration_ms
        return summed

    @property
    def stage_tokens(self) -> Mapping[Stage, int]:
        """Tokens that passed through each stage."""
        summed: dict[Stage, int] = {}
        for span in self.spans:
            summed[span.stage] = summed.get(span.stage, 0) + span.num_tokens
        return summed


@dataclass(frozen=True)
class Reported:
    """What a server says of a request itself, as far as it does: tokens, and ms of its own work.

    `cached` of the tokens of the prompt were there from before; `reasoning` is the part of `reply` that was thought.
    """

    prompt: int | None = None
    reply: int | None = None
    cached: int | None = None
    reasoning: int | None = None
    prefill_ms: float | None = None
    decode_ms: float | None = None


@dataclass(frozen=True)
class TokenCounts:
    """Tokens of the prompt (`text`, `visual`) and of the reply (`reasoning`, `answer`) that this request took.

    `kept` of the prompt were there from before and not prefilled, and `kept_visual` not looked at by the tower. Where
    a server counted the prompt as a whole, `text` is all of it.
    """

    text: int
    visual: int
    reasoning: int
    answer: int
    kept: int = 0
    kept_visual: int = 0


@dataclass(frozen=True)
class Usage:
    """What the model's device held and drew while a request ran, for this request and those beside it.

    `peak_bytes` and `present_bytes` are memory, at the most and at the end; `joules` is None where nothing counts them.
    """

    peak_bytes: int
    present_bytes: int
    joules: float | None = None


@dataclass(frozen=True)
class Roofline:
    """The best that a device does with a model: bytes read a second, and operations a second of matrix products.

    A decode step reads `weight_bytes` once for all rows, and for each row `state_bytes`, and `token_bytes` for each
    token that it holds. A token of a prompt takes `token_flops`.
    """

    bytes_per_s: float
    flops_per_s: float
    weight_bytes: int
    state_bytes: int
    token_bytes: int
    token_flops: int

    def step_ms(self, num_rows: int, num_tokens: float) -> float:
        """The least time of a decode step of rows that hold `num_tokens` each."""
        of_rows = num_rows * (self.state_bytes + num_tokens * self.token_bytes)
        return (self.weight_bytes + of_rows) / self.bytes_per_s * 1000

    def prefill_ms(self, num_tokens: int) -> float:
        """The least time of so many tokens of a prompt."""
        return num_tokens * self.token_flops / self.flops_per_s * 1000


@dataclass(frozen=True)
class EngineInfo:
    """What runs: the model's name, the device and dtype it runs on, and the size of its context in tokens.

    `kernels` says in a line what its decode step and its prefill are made of, empty where that is not known; `engine`
    names the implementation. Of a model on a server of somebody's, `server` is its address, `device` tells what serves
    it, and `dtype` and `context_tokens` may be unknown: empty and 0.
    """

    model: str
    device: str
    dtype: str
    context_tokens: int
    kernels: str = ""
    engine: str = "local"
    server: str = ""

    @property
    def place(self) -> str:
        """What it runs on, in words."""
        return f"{self.device}, {self.dtype}" if self.dtype else self.device


@dataclass(frozen=True, eq=False)
class Result:
    """A finished (or stopped) reply and everything a page or a program may show of it."""

    engine: EngineInfo
    reasoning: str
    answer: str
    grounding: Grounding
    timing: Timing
    tokens: TokenCounts
    finish_reason: FinishReason
    media: tuple[Media, ...]
    sights: tuple[Sight, ...] = ()
    """How the model saw each of `media`; empty where it was stopped before."""
    thought_end: ThoughtEnd | None = None
    """Why the engine ended the reasoning; None where the model did, or has not yet."""
    token_ids: tuple[int, ...] = ()
    """The reply as the model wrote it; empty where a server did."""
    looks: tuple[Look, ...] = ()
    """What the model looked at more closely before it answered, each with the thought before it."""
    said: tuple[Said, ...] = ()
    """The tokens of the last thought and of the answer; empty where a server wrote them."""
    reported: Reported | None = None
    """What a server says of the request."""
    certainty: float | None = None
    """How likely the model held each token of its answer, 0 to 1, their geometric mean; None where nobody tells."""

    @property
    def can_go_on(self) -> bool:
        """Whether it ran out of tokens where more may follow. A server's replies cannot go on."""
        return self.finish_reason == "length" and not self.engine.server


@dataclass(frozen=True)
class Progress:
    """How far a stage is: `done` of `total` frames read, or `done` tokens written, where `total` is not known and 0.

    In the queue, `done` is the place, from 1.
    """

    stage: Stage
    done: int = 0
    total: int = 0


Outcome = FinishReason | Literal["refused", "out of memory", "failed"]


@dataclass(frozen=True)
class Record:
    """What one request took, however it ended.

    `asked_at` is when it was asked, in Unix seconds; `price_per_hour` what an hour of the machine costs, in whatever
    currency, and 0 where that is not known.
    """

    question: str
    media: tuple[str, ...]
    num_frames: int
    engine: EngineInfo
    timing: Timing
    tokens: TokenCounts
    outcome: Outcome
    asked_at: float
    usage: Usage | None = None
    price_per_hour: float = 0.0


Observe = Callable[[Progress | Record], None]
"""Told how far a request is and, once, when it has ended, what it took."""
Deltas = Iterator[Delta | Look | Result]
