"""The steps of the flow in `pipelines.run`, and the state that one request keeps between them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from threading import Event as Flag

from pipelines import tools
from pipelines.engine import Closed, Engine, Kept, Piece, Waiting
from pipelines.fusion import SpanLook, look_of, refused, sights
from pipelines.grounding import parse_grounding
from pipelines.inputs import ModelInputs
from pipelines.media import open_once
from pipelines.messages import fused
from pipelines.timing import Stopwatch
from pipelines.types import (
    LONG_SYSTEM,
    MAX_SYSTEM_CHARACTERS,
    Clip,
    Delta,
    FinishReason,
    Look,
    Media,
    Observe,
    Outcome,
    Progress,
    Record,
    Reported,
    Request,
    Result,
    ServerFailedError,
    Timing,
    Token,
    TokenCounts,
    TooLittleMemoryError,
    Usage,
    UserError,
    Work,
    subject,
)
from pipelines.writing import Writing

_MEDIA = r"(?:picture|image|photo|photograph|drawing|screenshot|clip|video|film)s?\b"
ABOUT_MEDIA = re.compile(
    rf"\b(?:this|these|those|my|attached|uploaded) (?:\w+ )?{_MEDIA}|\bthe {_MEDIA}\s*(?:[?.!,:]|\Z)"
    r"|\bdo you see\s*(?:[?.!]|\Z)|\b(?:bbox|point) coordinates\b",
    re.IGNORECASE,
)
"""Questions that make no sense without a picture or a clip. Others may be about anything."""

NO_TEXT = "The question or the system prompt holds bytes that are no characters: type it again."


class Answering:
    """One request: its state, and a method for each step of the flow."""

    def __init__(self, request: Request, engine: Engine, stop: Flag, observe: Observe, hurry: Flag) -> None:
        self._request, self._engine, self._stop, self._observe = request, engine, stop, observe
        self._hurry = hurry
        self._kept: Kept | None = None
        self._thought_end = request.resumed.thought_end if request.resumed else None
        if self._thought_end == "asked":  # the closing of the reasoning may have been cut off
            hurry.set()
        self._watch = Stopwatch(engine.clock, asked=request.asked_s, waited=request.waited_s)
        self._asked_at = time.time() - self._watch.passed_ms / 1000
        self._reply = Writing(request.resumed, self._watch)
        self._usage: Usage | None = None
        self._media: tuple[Media, ...] = ()
        self._inputs: ModelInputs | None = None
        self._finish_reason: FinishReason = "cancelled"
        self._reported: Reported | None = None
        self._looks = list(request.resumed.looks) if request.resumed else []
        self._num_before = 0

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Report once what the request took, however it ends."""
        outcome: Outcome = "failed"
        try:
            yield
            outcome = self._finish_reason
        except TooLittleMemoryError:
            outcome = "out of memory"
            raise
        except ServerFailedError:
            raise
        except UserError:
            outcome = "refused"
            raise
        except (GeneratorExit, KeyboardInterrupt):
            outcome = "cancelled"
            raise
        finally:
            self._observe(self._record(outcome))

    def check(self) -> None:
        """Refuse what no model can answer."""
        if not self._request.question.strip():
            raise UserError("There is no question: type one and send it again.")
        if not _is_text(self._request.question + self._request.settings.system):
            raise UserError(NO_TEXT)
        if len(self._request.settings.system) > MAX_SYSTEM_CHARACTERS:
            raise UserError(LONG_SYSTEM)
        if not self._request.files and ABOUT_MEDIA.search(self._request.question):
            raise UserError("The question is about a picture or a clip, and none is given: add one and ask again.")
        if self._request.settings.look_closer and not self._engine.vision.gives_ids:
            raise UserError("A model on a server cannot look closer: turn that off, or choose a model that runs here.")

    def open(self) -> None:
        """Decode every file of the conversation. Raises Cancelled if stopped meanwhile."""
        self._media = tuple(self._open(number, path) for number, path in enumerate(self._request.files))

    def fuse(self) -> ModelInputs:
        """Turn the conversation into the model's inputs, with token ids if the engine takes them."""
        self._enter(Work("fuse"))
        inputs = fused(self._request, self._media, self._looks, self._engine)
        self._inputs = inputs.followed_by(self._reply.ids)
        return self._inputs

    def generate(self, inputs: ModelInputs) -> Iterator[Delta]:
        """Yield the reply up to its end or to a tool call, within what is left of the limit on new tokens."""
        self._num_before = self._reply.num_tokens
        self._reply.begin(inputs.thinking_open)
        settings = self._request.settings
        settings = replace(settings, max_new_tokens=settings.max_new_tokens - self._num_before)
        for step in self._engine.generate(inputs, settings, self._enter, self._stop, self._hurry):
            if isinstance(step, Token | Piece):
                yield from self._take(step)
            elif isinstance(step, Reported):
                self._reported = step
            elif isinstance(step, Waiting):
                self._observe(Progress("queue", step.place))
            elif isinstance(step, Kept):
                self._kept = self._kept or step
            elif isinstance(step, Usage):
                self._usage = step.behind(self._usage)
            elif isinstance(step, Closed):
                self._thought_end = step.reason
                yield from self._reply.close(is_anew=step.is_anew)
            else:
                self._finish_reason = step
        self._enter(Work("deliver"))
        yield from self._reply.end()

    @property
    def has_called(self) -> bool:
        """Whether the reply ends in a call that may be followed; a model that goes on after the last is left alone."""
        is_asked = self._request.settings.look_closer and self._finish_reason == "stop"
        return is_asked and bool(self._reply.written.call) and len(self._looks) <= tools.MAX_LOOKS

    def look(self) -> Look:
        """Follow the call, and begin a new reply after what came back."""
        self._finish_reason = "cancelled"  # until the next reply ends: a stop may come before that begins
        self._enter(Work("look"))
        self._observe(Progress("look"))
        look = tools.follow(self._reply.written, self._media, self._looks, self._open_span)
        self._looks.append(look)
        self._reply.begin_anew()
        self._thought_end = None
        return look

    def result(self) -> Result:
        """Everything there is to say about the request."""
        is_whole = self._finish_reason == "stop"
        self._reply.settle(is_whole=is_whole, may_think=self._request.settings.thinking)
        written, inputs, tokens = self._reply.written, self._inputs, self._tokens
        seen = sights(inputs, (*self._media, *tools.shown(self._looks)))[: len(self._media)] if inputs else ()
        kinds, ends_s = [item.kind for item in self._media], [item.duration_s for item in self._media]
        current = subject([*self._request.history, self._request])
        grounding = parse_grounding(written.remark, kinds, current, ends_s)
        return Result(
            engine=self._engine.info,
            reasoning=written.reasoning,
            answer=written.remark,
            grounding=grounding,
            tokens=tokens,
            finish_reason=self._finish_reason,
            media=self._media,
            sights=seen,
            thought_end=self._thought_end,
            token_ids=tuple(self._reply.ids),
            looks=tuple(self._looks),
            said=tuple(self._reply.said),
            reported=self._reported,
            certainty=self._reply.certainty,
            timing=self._timing,  # last, so that all of the above is timed
        )

    def _record(self, outcome: Outcome) -> Record:
        """What the request took, as far as it got."""
        request = self._request
        return Record(
            question=request.question,
            media=tuple(path.name for path in request.files),
            num_frames=sum(len(item.times_s) if isinstance(item, Clip) else 1 for item in self._media),
            engine=self._engine.info,
            tokens=self._tokens,
            outcome=outcome,
            asked_at=self._asked_at,
            usage=self._usage,
            price_per_hour=request.settings.price_per_hour,
            uploads=request.uploads,
            timing=self._timing,
        )

    @cached_property
    def _timing(self) -> Timing:
        """The times; reading them stops the watch for good."""
        return self._watch.stop()

    @cached_property
    def _tokens(self) -> TokenCounts:
        """The tokens, counted before the watch is stopped."""
        kept, reported = self._kept or Kept(0, 0), self._reported or Reported()
        return self._reply.counts(self._inputs, self._num_before, kept, reported)

    def _open(self, number: int, path: Path) -> Media:
        self._enter(Work("open", medium=number))
        settings = self._request.settings
        look = look_of(settings, self._engine.vision)
        try:
            return open_once(path, look, settings.clip_reader, partial(self._report_frames, number), self._stop.is_set)
        except ValueError as error:
            raise refused(path.name, error) from error

    def _open_span(self, number: int, start_s: float, end_s: float, num_frames: int) -> Media:
        settings = self._request.settings
        look = SpanLook(start_s, end_s, num_frames, look_of(settings, self._engine.vision).limits)
        path = self._request.files[number]
        return open_once(path, look, settings.clip_reader, should_stop=self._stop.is_set)

    def _take(self, step: Token | Piece) -> Iterator[Delta]:
        for told in self._reply.take(step):
            if isinstance(told, Progress):
                self._observe(told)
            else:
                yield told

    def _enter(self, work: Work) -> None:
        if work.task == "decode" and self._num_before:  # numbered from the first token of the first reply
            work = replace(work, num_before=self._num_before + work.num_before)
        self._watch.enter(work)
        if work.task in ("open", "fuse", "send", "vision", "prefill"):
            self._observe(Progress(work.task))

    def _report_frames(self, number: int, done: int, total: int) -> None:
        if done:
            self._watch.note_units(done)
        else:
            self._enter(Work("frames", medium=number))
        self._observe(Progress("frames", done, total))


def _is_text(text: str) -> bool:
    """Whether it can be encoded as UTF-8: a terminal and JSON may pass on lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
