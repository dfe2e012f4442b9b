"""The one way through: media, fusion, engine, reply, grounding, result.

Interfaces (the page, the command line) consume `answer`; a program that wants no stream takes its last value.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from threading import Event as Flag

from pipelines import tools
from pipelines.checkpoint import Checkpoint
from pipelines.engine import Closed, Engine, Kept, Piece, Waiting
from pipelines.fusion import SpanLook, estimate, fuse, gather, look_of, refused, seen_pixels, sights
from pipelines.grounding import parse_grounding
from pipelines.inputs import ModelInputs
from pipelines.media import Cancelled, open_once, probe
from pipelines.reply import ReplySplitter
from pipelines.timing import Stopwatch
from pipelines.types import (
    MAX_SYSTEM_CHARACTERS,
    Channel,
    Clip,
    ContentPart,
    Delta,
    Deltas,
    FinishReason,
    Look,
    Media,
    MediaKind,
    Message,
    Observe,
    Outcome,
    Probe,
    Progress,
    Record,
    Reported,
    Request,
    Result,
    Said,
    Settings,
    Sight,
    Stage,
    Timing,
    Token,
    TokenCounts,
    TooLittleMemoryError,
    Usage,
    UserError,
    Vision,
    Work,
)

__all__ = ["answer", "foresee", "messages_of", "seen_pixels"]

ABOUT_MEDIA = re.compile(
    r"\b(?:this|the|these|those|my|that|attached) (?:\w+ )?"
    r"(?:picture|image|photo|photograph|drawing|screenshot|clip|video|film)s?\b"
    r"|\b(?:do|can) you see\b|\b(?:bbox|bounding box|point coordinates)|\bhow many\b.*\bare there\b"
    r"|\bwhich (?:way|direction)\b",
    re.IGNORECASE | re.DOTALL,
)
"""Questions that make no sense without a picture or a clip."""

STAGES: Mapping[Channel, Stage] = {"reasoning": "think", "tool_call": "tool", "answer": "answer"}


def answer(
    request: Request,
    engine: Engine,
    stop: Flag | None = None,
    observe: Observe | None = None,
    hurry: Flag | None = None,
) -> Deltas:
    """Yield the reply as it is written, and last the whole `Result`, also when `stop` is set on the way.

    A set `hurry` ends the reasoning, and the answer begins. `observe` is told as a stage begins and how far it is, and
    once, however the request ended, what it took. Raises UserError for whatever a user can put right.
    """
    observe = observe or _ignore
    work = _Work(request, engine, stop or Flag(), observe, hurry or Flag())
    outcome: Outcome = "failed"
    try:
        work.check()
        with suppress(Cancelled):
            work.open()
            yield from work.reply()
        result = work.result()
        outcome = result.finish_reason
    except TooLittleMemoryError:
        outcome = "out of memory"
        raise
    except UserError:
        outcome = "refused"
        raise
    except (GeneratorExit, KeyboardInterrupt):
        outcome = "cancelled"
        raise
    finally:
        observe(work.record(outcome))
    yield result


def foresee(path: Path, settings: Settings, vision: Vision) -> tuple[Probe, Sight]:
    """What a file is, and how the model will see it when it is asked about. Raises UserError as `answer` would."""
    probed = probe(path)
    return probed, estimate(probed, settings, vision)


class _Work:
    """All that belongs to one request on its way."""

    def __init__(self, request: Request, engine: Engine, stop: Flag, observe: Observe, hurry: Flag) -> None:
        self._request, self._engine, self._stop, self._observe = request, engine, stop, observe
        self._hurry = hurry
        self._kept = Kept(0, 0)
        self._thought_end = request.resumed.thought_end if request.resumed else None
        self._ids = list(request.resumed.token_ids) if request.resumed else []
        self._asked_at = time.time()
        self._watch = Stopwatch(engine.clock, asked=request.asked_s)
        self._usage: Usage | None = None
        self._media: tuple[Media, ...] = ()
        self._inputs: ModelInputs | None = None
        self._finish_reason: FinishReason = "cancelled"
        self._reported: Reported | None = None
        self._is_supposed, self._logprob, self._num_likely = False, 0.0, 0
        self._looks = list(request.resumed.looks) if request.resumed else []
        self._said = list(request.resumed.said) if request.resumed else []
        self._num_before = 0
        self._text: dict[Channel, list[str]] = {"reasoning": [], "answer": [], "tool_call": []}
        self._num_tokens = {"reasoning": 0, "answer": 0, "tool_call": 0}

    def check(self) -> None:
        """Refuse what no model can answer."""
        if not self._request.question.strip():
            raise UserError("There is no question: type one and send it again.")
        if len(self._request.settings.system) > MAX_SYSTEM_CHARACTERS:
            raise UserError(f"The system prompt is longer than {MAX_SYSTEM_CHARACTERS:,} characters: shorten it.")
        if not self._request.files and ABOUT_MEDIA.search(self._request.question):
            raise UserError("The question is about a picture or a clip, and none is given: add one and ask again.")
        if self._request.settings.look_closer and not isinstance(self._engine.vision, Checkpoint):
            raise UserError("A model on a server cannot look closer: turn that off, or choose a model that runs here.")

    def open(self) -> None:
        """Decode every file of the conversation. Raises Cancelled when stopped on the way."""
        self._media = tuple(self._open(number, path) for number, path in enumerate(self._request.files))

    def reply(self) -> Iterator[Delta | Look]:
        """Yield the reply, and what the model looked at more closely on the way to it."""
        while True:
            yield from self.generate(self.fuse())
            if not self._calls:
                return
            yield self._look()

    def fuse(self) -> ModelInputs:
        """Make the model's inputs of the conversation, with token ids where the engine takes these."""
        self._enter(Work("fuse"))
        inputs = fused(self._request, self._media, self._looks, self._engine)
        self._inputs = inputs.followed_by(self._ids)
        return self._inputs

    @property
    def _calls(self) -> bool:
        """Whether the reply ends in a call that may be followed; a model that goes on after the last is left alone."""
        is_asked = self._request.settings.look_closer and self._finish_reason == "stop"
        return is_asked and bool(self._text["tool_call"]) and len(self._looks) <= tools.MAX_LOOKS

    def _look(self) -> Look:
        """Follow the call, and begin a new reply behind what came back."""
        self._enter(Work("look"))
        self._observe(Progress("look"))
        written = tools.Written(*("".join(self._text[channel]) for channel in ("reasoning", "answer", "tool_call")))
        look = tools.follow(written, self._media, self._looks, self._open_span)
        self._looks.append(look)
        self._text = {"reasoning": [], "answer": [], "tool_call": []}
        self._ids, self._said, self._thought_end = [], [], None
        return look

    def _open_span(self, number: int, start_s: float, end_s: float, num_frames: int) -> Media:
        settings = self._request.settings
        look = SpanLook(start_s, end_s, num_frames, look_of(settings, self._engine.vision).limits)
        path = self._request.files[number]
        return open_once(path, look, settings.clip_reader, should_stop=self._stop.is_set)

    def generate(self, inputs: ModelInputs) -> Iterator[Delta]:
        """Yield the reply up to its end, or to a call."""
        splitter, self._num_before = self._splitter(inputs), sum(self._num_tokens.values())
        for step in self._engine.generate(inputs, self._request.settings, self._enter, self._stop, self._hurry):
            if isinstance(step, Token | Piece):
                yield from self._take(step, splitter)
            elif isinstance(step, Reported):
                self._reported = step
            elif isinstance(step, Waiting):
                self._wait(step.place)
            elif isinstance(step, Kept):
                self._kept = step
            elif isinstance(step, Usage):
                self._usage = step
            elif isinstance(step, Closed):
                self._thought_end = step.reason
            else:
                self._finish_reason = step
        self._enter(Work("deliver"))
        yield from self._note(splitter.flush())

    def result(self) -> Result:
        """Everything there is to say of the request."""
        self._settle()
        answer_text, inputs = "".join(self._text["answer"]), self._inputs
        return Result(
            engine=self._engine.info,
            reasoning="".join(self._text["reasoning"]),
            answer=answer_text,
            grounding=parse_grounding(answer_text, [kind_of(item) for item in self._media], self._current()),
            timing=self._timing,
            tokens=self._tokens(),
            finish_reason=self._finish_reason,
            media=self._media,
            sights=sights(inputs, (*self._media, *tools.shown(self._looks)))[: len(self._media)] if inputs else (),
            thought_end=self._thought_end,
            token_ids=tuple(self._ids),
            looks=tuple(self._looks),
            said=tuple(self._said),
            reported=self._reported,
            certainty=math.exp(self._logprob / self._num_likely) if self._num_likely else None,
        )

    def record(self, outcome: Outcome) -> Record:
        """What it took, as far as it came."""
        request = self._request
        return Record(
            question=request.question,
            media=tuple(path.name for path in request.files),
            num_frames=sum(len(item.times_s) if isinstance(item, Clip) else 1 for item in self._media),
            engine=self._engine.info,
            timing=self._timing,
            tokens=self._tokens(),
            outcome=outcome,
            asked_at=self._asked_at,
            usage=self._usage,
            price_per_hour=request.settings.price_per_hour,
        )

    @cached_property
    def _timing(self) -> Timing:
        """From here on, nothing is timed any more."""
        return self._watch.stop()

    def _current(self) -> int:
        """The medium that the question is about: the one it says, or the first that came last."""
        if self._request.about is not None:
            return self._request.about
        counts = [len(turn.media) for turn in self._request.history] + [len(self._request.media)]
        last = max((at for at, count in enumerate(counts) if count), default=0)
        return sum(counts[:last])

    def _settle(self) -> None:
        """Take a whole reply that closed no thought for an answer, where nobody told that it would think."""
        text, counted = self._text, self._num_tokens
        if self._is_supposed and self._finish_reason == "stop" and not text["answer"] and not text["tool_call"]:
            text["answer"], text["reasoning"] = text["reasoning"], []
            counted["answer"], counted["reasoning"] = counted["reasoning"], 0

    def _tokens(self) -> TokenCounts:
        """Tokens as they were counted here, or where a server made them as it reports them."""
        inputs, counted = self._inputs, self._num_tokens
        thought, answered = counted["reasoning"], counted["answer"] + counted["tool_call"]
        if inputs is None or inputs.num_tokens:
            text, visual = (inputs.num_text_tokens, inputs.num_visual_tokens) if inputs else (0, 0)
            return TokenCounts(text, visual, thought, answered, self._kept.num_tokens, self._kept.num_visual)
        told = self._reported or Reported()
        reply = told.reply or thought + answered
        if told.reasoning is not None:
            thought = min(told.reasoning, reply)
        elif thought + answered:
            thought = round(reply * thought / (thought + answered))
        return TokenCounts(told.prompt or 0, 0, thought, reply - thought, told.cached or 0)

    def _splitter(self, inputs: ModelInputs) -> ReplySplitter:
        """What splits the reply, behind the part of it that is there already."""
        splitter = ReplySplitter(inputs.thinking_open)
        if self._ids:
            vision = self._engine.vision
            text = (
                vision.tokenizer.decode(self._ids, skip_special_tokens=False) if isinstance(vision, Checkpoint) else ""
            )
            for _ in self._note(splitter.feed(text)):
                pass
        return splitter

    def _wait(self, place: int) -> None:
        self._observe(Progress("queue", place))

    def _open(self, number: int, path: Path) -> Media:
        self._enter(Work("open", medium=number))
        settings = self._request.settings
        look = look_of(settings, self._engine.vision)
        try:
            return open_once(path, look, settings.clip_reader, partial(self._report_frames, number), self._stop.is_set)
        except ValueError as error:
            raise refused(path.name, error) from error

    def _take(self, step: Token | Piece, splitter: ReplySplitter) -> Iterator[Delta]:
        num_tokens = 1
        if isinstance(step, Token):
            self._ids.append(step.id)
            self._said.append(Said(step, splitter.channel))
        else:
            num_tokens, self._is_supposed = step.num_tokens, step.channel is None
            if step.channel:
                yield from self._note(splitter.switch(step.channel))
        stage = STAGES[splitter.channel]
        for _ in range(num_tokens):
            self._watch.note_token(stage)
        self._num_tokens[splitter.channel] += num_tokens
        if step.logprob is not None and splitter.channel == "answer":
            self._logprob, self._num_likely = self._logprob + step.logprob, self._num_likely + num_tokens
        self._observe(Progress(stage, self._num_tokens[splitter.channel]))
        yield from self._note(splitter.feed(step.text))

    def _note(self, deltas: list[Delta]) -> Iterator[Delta]:
        for delta in deltas:
            self._text[delta.channel].append(delta.text)
            if delta.channel == "answer" and delta.text.strip():
                self._watch.note_answer()
            yield delta

    def _enter(self, work: Work) -> None:
        if work.task == "decode":  # counted from the first token of all replies
            work = replace(work, num_before=self._num_before + work.num_before)
        self._watch.enter(work)
        if work.task in ("open", "fuse", "send", "vision", "prefill"):
            self._observe(Progress(work.task))

    def _report_frames(self, number: int, done: int, total: int) -> None:
        if not done:
            self._enter(Work("frames", medium=number))
        self._observe(Progress("frames", done, total))


def fused(request: Request, media: tuple[Media, ...], looks: Sequence[Look], engine: Engine) -> ModelInputs:
    """The model's inputs of a request whose files are opened, behind what it looked at more closely so far."""
    settings, vision = request.settings, engine.vision.limited(request.settings.max_pixels)
    messages, seen = [*messages_of(request, media), *tools.told(looks)], (*media, *tools.shown(looks))
    if isinstance(vision, Checkpoint):
        offer = tools.offered(media) if settings.look_closer else ()
        inputs = fuse(messages, seen, vision, settings.thinking, offer)
    else:
        inputs = gather(messages, seen, vision, settings.thinking)
    return replace(inputs, conversation=request.conversation)


def messages_of(request: Request, media: tuple[Media, ...]) -> list[Message]:
    """The conversation in the chat format: the system prompt, then each turn's media before its text."""
    kinds = iter("video" if isinstance(item, Clip) else "image" for item in media)
    system = request.settings.system.strip()
    messages: list[Message] = [{"role": "system", "content": system}] if system else []
    for turn in request.history:
        messages.append(_ask([next(kinds) for _ in turn.media], turn.question))
        messages.append({"role": "assistant", "content": turn.answer})
    messages.append(_ask(list(kinds), request.question))
    return messages


def kind_of(item: Media) -> MediaKind:
    """What a medium is."""
    return "clip" if isinstance(item, Clip) else "picture"


def _ask(kinds: list[str], question: str) -> Message:
    items: list[ContentPart] = [{"type": "video" if kind == "video" else "image"} for kind in kinds]
    return {"role": "user", "content": [*items, {"type": "text", "text": question}]}


def _ignore(told: Progress | Record) -> None:
    """Observe nothing."""
