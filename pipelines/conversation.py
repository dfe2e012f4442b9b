"""What a person and a model have said, as values that outlive the answer itself.

A `Result` holds every frame that the model saw. A `Reply` is what remains once the frames are gone: enough to show the
conversation again, and to continue it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.types import (
    Clip,
    FinishReason,
    Grounding,
    Look,
    MediaKind,
    Result,
    Settings,
    Sight,
    ThoughtEnd,
    Timing,
    Turn,
    subject,
)


@dataclass(frozen=True)
class Draft:
    """What a user wrote and added; `about` is the medium of the conversation of which a part was pointed at."""

    question: str
    files: tuple[Path, ...] = ()
    about: int | None = None

    def is_like(self, other: Draft) -> bool:
        """Whether both say the same about files of the same names, wherever these lie."""
        names, others = ([path.name for path in one.files] for one in (self, other))
        return (self.question, names) == (other.question, others)

    def joined(self, later: Draft) -> Draft:
        """This one and a later one as one: the later text below, the later files at the end."""
        if later == Draft(""):
            return self
        questions = filter(str.strip, (self.question, later.question))
        return Draft("\n".join(questions), tuple(dict.fromkeys((*self.files, *later.files))), self.about)


@dataclass(frozen=True)
class Seen:
    """How the model saw a medium, and the times of its frames in seconds where it is a clip."""

    sight: Sight
    times_s: tuple[float, ...] = ()


@dataclass(frozen=True)
class Reply:
    """A reply that has ended. Its thoughts took `thought_s` seconds and `num_thought_tokens` tokens together.

    `seen` are all media of the conversation, none where that is not known. `looks` are what the model looked at more
    closely on the way, with small pictures. `grounding` and `timing` are known while the program runs, and not kept for
    later.
    """

    answer: str
    reasoning: str = ""
    finish_reason: FinishReason = "stop"
    thought_s: float = 0.0
    num_thought_tokens: int = 0
    thought_end: ThoughtEnd | None = None
    seen: tuple[Seen, ...] = ()
    looks: tuple[Look, ...] = ()
    grounding: Grounding | None = field(default=None, compare=False)
    timing: Timing | None = field(default=None, compare=False)

    @classmethod
    def of(cls, result: Result) -> Reply:
        """What is kept of a result."""
        return cls(
            answer=result.answer,
            reasoning=result.reasoning,
            finish_reason=result.finish_reason,
            thought_s=result.timing.stage_ms.get("think", 0.0) / 1000,
            num_thought_tokens=result.tokens.reasoning,
            thought_end=result.thought_end,
            seen=tuple(
                Seen(sight, item.times_s if isinstance(item, Clip) else ())
                for sight, item in zip(result.sights, result.media, strict=False)
            ),
            looks=tuple(look.reduced() for look in result.looks),
            grounding=result.grounding,
            timing=result.timing,
        )

    @property
    def kinds(self) -> tuple[MediaKind, ...]:
        """The kinds of `seen`."""
        return tuple("clip" if seen.times_s else "picture" for seen in self.seen)

    @property
    def ends_s(self) -> tuple[float, ...]:
        """Where the last frame of each of `seen` is, in seconds; 0 of a picture."""
        return tuple(max(seen.times_s, default=0.0) for seen in self.seen)

    def behind(self, part: Reply) -> Reply:
        """The whole reply: first `part`, then this one, with the time and the tokens of both thoughts."""
        thought_s, num_tokens = part.thought_s + self.thought_s, part.num_thought_tokens + self.num_thought_tokens
        return replace(self, thought_s=thought_s, num_thought_tokens=num_tokens)


@dataclass(frozen=True, eq=False)
class CutOff:
    """A reply that ran out of tokens and may go on: its words without the frames of its media, and its settings."""

    result: Result
    settings: Settings

    @classmethod
    def of(cls, result: Result, settings: Settings) -> CutOff | None:
        """What is kept of a result; None of one that has ended."""
        return cls(replace(result, media=(), sights=()), settings) if result.can_go_on else None


@dataclass(frozen=True)
class Round:
    """A question and its reply."""

    draft: Draft
    reply: Reply

    @property
    def turn(self) -> Turn:
        """The exchange as the model is shown it: without the reasoning."""
        return Turn(self.draft.question, self.draft.files, self.reply.answer, self.draft.about)


def files_of(rounds: Sequence[Round]) -> tuple[Path, ...]:
    """The files of rounds, in the order in which the model gets them."""
    return tuple(path for past in rounds for path in past.draft.files)


def subjects(rounds: Sequence[Round]) -> Iterator[int]:
    """The medium that each question is about."""
    turns = [past.turn for past in rounds]
    for at in range(len(turns)):
        yield subject(turns[: at + 1])
