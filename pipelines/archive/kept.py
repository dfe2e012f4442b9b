"""What is kept of a conversation, and how it is written as JSON.

The form is `{"title", "system", "cut_off", "rounds": [{"question", "files": [{"name", "content"}], "about", "reply":
{...}}]}`; `content` is the SHA-256 of a file, by which the file itself is found, and `cut_off` has a form of its own.
It is read from files of strangers too, so nothing in it is taken on trust.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from pipelines.archive.cut_off import cut_off_as_json, cut_off_of_json
from pipelines.conversation import CutOff, Reply, Seen
from pipelines.types import MAX_SYSTEM_CHARACTERS, FinishReason, Json, Sight, ThoughtEnd

TITLE_CHARACTERS = 80
MAX_SIDE_PX, MAX_FRAMES = 65_536, 4096
"""Of a medium as it was seen: more is no model's. A long screenshot is wider or higher than any picture of a camera."""
CONTENT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class KeptFile:
    """A picture or a clip: what it was called, and the SHA-256 of what it holds, in hexadecimal."""

    name: str
    content: str

    def __post_init__(self) -> None:
        if not CONTENT.fullmatch(self.content):
            raise ValueError("a kept file is told by the SHA-256 of its content")


@dataclass(frozen=True)
class KeptRound:
    """A question with its files, and its reply; `about` is the medium that it pointed at, see `Draft`."""

    question: str
    files: tuple[KeptFile, ...]
    reply: Reply
    about: int | None = None


@dataclass(frozen=True)
class Kept:
    """A conversation. `system` is the prompt that its last question was asked with.

    `cut_off` is how its last reply may go on, where it ran out of tokens. `updated_s` is when it was kept, in seconds
    since 1970, and 0 where it is not yet: no two of one archive have the same.
    """

    title: str
    rounds: tuple[KeptRound, ...]
    system: str = ""
    updated_s: float = 0.0
    cut_off: CutOff | None = None

    @property
    def contents(self) -> set[str]:
        """Of all of its files."""
        return {file.content for past in self.rounds for file in past.files}

    def as_json(self) -> Json:
        """The conversation in the form that the module's docstring gives."""
        rounds = [_round_as_json(kept) for kept in self.rounds]
        cut_off = None if self.cut_off is None else cut_off_as_json(self.cut_off)
        return {"title": self.title, "system": self.system, "cut_off": cut_off, "rounds": rounds}

    @classmethod
    def of_json(cls, value: Json) -> Kept:
        """What `as_json` wrote. Raises ValueError for anything else."""
        fields = _object(value)
        rounds = tuple(map(_round_of_json, _list(fields, "rounds")))
        system = _text(fields, "system")[:MAX_SYSTEM_CHARACTERS] if "system" in fields else ""
        cut_off = cut_off_of_json(fields.get("cut_off"), rounds[-1].reply) if rounds else None
        return cls(_text(fields, "title")[:TITLE_CHARACTERS], rounds, system, cut_off=cut_off)


@dataclass(frozen=True)
class Listed:
    """A conversation as the list shows it. `updated_s` is in seconds since 1970."""

    id: str
    title: str
    updated_s: float
    num_rounds: int


def draw_id() -> str:
    """A name for a conversation that nobody can guess: who knows it may read the conversation."""
    return secrets.token_urlsafe(16)


def title_of(question: str) -> str:
    """What a conversation is called that begins with `question`, until it is given another title."""
    words = " ".join(question.split())
    return words if len(words) <= TITLE_CHARACTERS else words[: TITLE_CHARACTERS - 1] + "…"


def plain(text: str) -> str:
    """A text that can be kept and shown, which half of a surrogate pair cannot: it is a question mark then."""
    return text.encode("utf-8", "replace").decode()


def _round_as_json(kept: KeptRound) -> Json:
    reply = kept.reply
    return {
        "question": kept.question,
        "files": [{"name": file.name, "content": file.content} for file in kept.files],
        "about": kept.about,
        "reply": {
            "answer": reply.answer,
            "reasoning": reply.reasoning,
            "finish_reason": reply.finish_reason,
            "thought_s": reply.thought_s,
            "num_thought_tokens": reply.num_thought_tokens,
            "thought_end": reply.thought_end,
            "seen": [_seen_as_json(seen) for seen in reply.seen],
        },
    }


def _seen_as_json(seen: Seen) -> Json:
    sight = seen.sight
    return {
        "width": sight.width,
        "height": sight.height,
        "frames": sight.num_frames,
        "tokens": sight.num_visual_tokens,
        "times_s": list(seen.times_s),
    }


def _all_seen(reply: Mapping[str, Json]) -> tuple[Seen, ...]:
    """How all media were seen: it goes by their order, so of one that cannot be, none is known."""
    try:
        return tuple(map(_seen_of_json, _list(reply, "seen")))
    except ValueError:
        return ()


def _seen_of_json(value: Json) -> Seen:
    fields = _object(value)
    width, height, frames = (int(_number(fields, key)) for key in ("width", "height", "frames"))
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        raise ValueError("a medium was seen in a size that cannot be")
    tokens = None if fields.get("tokens") is None else int(_number(fields, "tokens"))
    times = [_number({"time": time_s}, "time") for time_s in _list(fields, "times_s")[:MAX_FRAMES]]
    return Seen(Sight(width, height, frames, tokens), tuple(map(float, times)))


def _round_of_json(value: Json) -> KeptRound:
    fields = _object(value)
    files = (_object(file) for file in _list(fields, "files"))
    reply = _object(fields.get("reply"))
    finish_reason, thought_end = reply.get("finish_reason"), reply.get("thought_end")
    if finish_reason not in get_args(FinishReason) or thought_end not in (None, *get_args(ThoughtEnd)):
        raise ValueError("a reply ended in a way that is not known")
    return KeptRound(
        _text(fields, "question"),
        tuple(KeptFile(_text(file, "name"), _text(file, "content")) for file in files),
        Reply(
            answer=_text(reply, "answer"),
            reasoning=_text(reply, "reasoning"),
            finish_reason=finish_reason,  # type: ignore[arg-type]
            thought_s=_number(reply, "thought_s"),
            num_thought_tokens=int(_number(reply, "num_thought_tokens")),
            thought_end=thought_end,  # type: ignore[arg-type]
            seen=_all_seen(reply),
        ),
        None if fields.get("about") is None else int(_number(fields, "about")),
    )


def _object(value: Json) -> Mapping[str, Json]:
    if not isinstance(value, Mapping):
        raise ValueError("an object is missing")
    return value


def _list(fields: Mapping[str, Json], key: str) -> list[Json]:
    value = fields.get(key)
    if not isinstance(value, list):
        raise ValueError(f'"{key}" is no list')
    return value


def _text(fields: Mapping[str, Json], key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str):
        raise ValueError(f'"{key}" is no text')
    return plain(value)


def _number(fields: Mapping[str, Json], key: str) -> float:
    value = fields.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ValueError(f'"{key}" is no number in range')
    return value
