"""Where the time of a request goes, stage by stage.

A `Stopwatch` is told when a piece of work begins; whoever does the work does not know that it is timed. Two clocks are
passed in: the host's for what the CPU does, and the engine's for what the model's device does. The latter records CUDA
events on the stream that does the work, or is the host's clock again. The thread that feeds the device records the
events, and `stop` reads them: nothing is synchronised before, and the reading counts as delivery. Each stage is
measured from its own beginning to its own end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from math import ceil
from typing import NamedTuple

from pipelines.clocks import Clock, HostClock, Mark
from pipelines.types import Gaps, Span, Stage, Task, Timing, Work

DEVICE_TASKS: frozenset[Task] = frozenset({"restore", "send", "vision", "prefill", "decode", "others"})
WAITED: tuple[Task, Task] = ("queue", "deliver")
"""The tasks that begin when a question starts to wait for its turn, and when that wait ends."""


class _Begun(NamedTuple):  # made at every token, and in half the time of a frozen dataclass
    work: Work
    host: Mark
    device: Mark | None


class _Piece(NamedTuple):
    """Work from its beginning to its end, with the tokens that went into it or came out of it."""

    stage: Stage
    begun: _Begun
    end: _Begun
    num_tokens: int

    @property
    def is_on_device(self) -> bool:
        return self.begun.device is not None and self.end.device is not None

    @property
    def kind(self) -> tuple[object, ...]:
        """What the pieces of one span have in common. The pieces of a prompt have a span each."""
        work = self.begun.work
        is_apart = work.task in ("send", "vision", "prefill")
        return self.stage, work.num_rows, work.medium, self.is_on_device, id(self) if is_apart else None


class Stopwatch:
    """The times of one request, counted from the mark `asked` of the host's clock, or else from its construction.

    Until the first work is announced the question counts as on its way here, except between the two marks `waited`,
    when it waited for its turn.

    Whichever thread does the work announces it, one piece after the other; the thread that reads the reply announces
    tokens.
    """

    def __init__(
        self,
        device: Clock,
        host: Clock | None = None,
        asked: Mark | None = None,
        waited: tuple[Mark, Mark] | None = None,
    ) -> None:
        self._host: Clock = host or (device if isinstance(device, HostClock) else HostClock())
        self._device = device
        asked = waited[0] if asked is None and waited is not None else asked
        self._asked = self._host.mark() if asked is None else asked
        self._begun = [] if asked is None else [_Begun(Work("deliver"), asked, None)]
        if waited is not None:
            self._begun += [_Begun(Work(task), mark, None) for task, mark in zip(WAITED, waited, strict=True)]
        self._tokens: list[tuple[Stage, Mark]] = []
        self._first_answer: Mark | None = None
        self._is_stopped = False

    def enter(self, work: Work) -> None:
        """End the previous work, if any, and begin this."""
        if self._is_stopped:
            return
        is_of_device = work.task in DEVICE_TASKS or bool(self._begun and self._begun[-1].work.task in DEVICE_TASKS)
        host = self._host.mark() if work.at_s is None else work.at_s
        device = host if self._device is self._host else self._device.mark() if is_of_device else None
        self._begun.append(_Begun(work, host, device if is_of_device else None))

    @property
    def passed_ms(self) -> float:
        """Milliseconds since it was asked."""
        return self._since_asked(self._host.mark())

    def note_units(self, num_units: int) -> None:
        """Note how much of the latest work is done; called by whoever does it."""
        last = self._begun[-1]
        self._begun[-1] = last._replace(work=replace(last.work, num_units=num_units))

    def note_token(self, stage: Stage) -> None:
        """Note a token as it arrives, and what it belongs to."""
        self._tokens.append((stage, self._host.mark()))

    def note_answer(self) -> None:
        """Note a word of the answer; the first one counts."""
        if self._first_answer is None:
            self._first_answer = self._host.mark()

    def settle(self, num_thought: int = 0) -> None:
        """Count the first `num_thought` tokens as the reasoning after all, and the others as the answer."""
        kinds: tuple[Stage, Stage] = ("think", "answer")
        told = enumerate(self._tokens)
        self._tokens = [(kinds[at >= num_thought] if stage in kinds else stage, mark) for at, (stage, mark) in told]
        if self._tokens:
            self._first_answer = self._tokens[min(num_thought, len(self._tokens) - 1)][1]

    def stop(self) -> Timing:
        """End the last piece of work, however far it is, and read every clock; the request ends when that is done."""
        self._is_stopped = True
        reading = _Begun(Work("deliver", cuts=True), self._host.mark(), None)
        pieces = self._pieces([*self._with_steps(self._worked()), reading])
        gaps, before, last = self._gaps(pieces), *self._delivered(list(self._spans(pieces)), reading.host)
        end = self._host.mark()
        duration_ms = max(self._since_asked(end) - last.start_ms, 0.0)
        return Timing(
            spans=(*before, replace(last, duration_ms=duration_ms)),
            total_ms=self._since_asked(end),
            time_to_first_token_ms=self._since_asked(self._tokens[0][1]) if self._tokens else None,
            clock=self._device.name,
            time_to_answer_ms=None if self._first_answer is None else self._since_asked(self._first_answer),
            gaps=gaps,
        )

    def _worked(self) -> list[_Begun]:
        """The work without steps that were begun ahead in vain: on the device, what follows starts where they did."""
        if self._device is self._host:
            return list(self._begun)
        found = self._begun[:1]
        for one in self._begun[1:]:
            before, is_end = found[-1], one.work.task == "deliver"
            if is_end and before.work.task == "decode" and before.work.num_before > self._num_told(one.host):
                found[-1] = one._replace(device=before.device)
            else:
                found.append(one)
        return found

    def _num_told(self, moment: Mark) -> int:
        """Tokens up to the end of the reply that ends around `moment`: up to the next look, if there is one."""
        looks = [one.host for one in self._begun if one.work.task == "look" and one.host >= moment]
        return sum(mark <= looks[0] for _, mark in self._tokens) if looks else len(self._tokens)

    def _with_steps(self, begun: list[_Begun]) -> list[_Begun]:
        """What was begun, with a decode step after each token if the engine announces none.

        A token that was read after the engine had ended has no step after it.
        """
        if any(one.work.task == "decode" for one in begun):
            return begun
        arrived = enumerate(self._tokens, 1)
        steps = [_Begun(Work("decode", num_before=number), mark, None) for number, (_, mark) in arrived]
        found: list[_Begun] = []
        for one in sorted([*steps, *begun], key=lambda one: one.host):
            is_late = one.work.task == "decode" and bool(found) and found[-1].work.task == "deliver"
            found += [] if is_late else [one]
        return found

    def _pieces(self, begun: Sequence[_Begun]) -> list[_Piece]:
        pieces: list[_Piece] = []
        num_told = most = len(self._tokens)
        for one, after in reversed(list(pairwise(begun))):
            work = one.work
            if work.task == "look":  # the first token behind it came with its prompt
                num_told = most = min(num_told, self._num_told(one.host))
            if work.task == "decode":
                pieces.append(
                    _Piece(self._stage_of(work.num_before, most), one, after, max(num_told - work.num_before, 0))
                )
                num_told = min(num_told, work.num_before)
            else:
                pieces.append(_Piece(work.task, one, after, 0 if after.work.cuts else work.num_tokens))
        return pieces[::-1]

    def _stage_of(self, number: int, most: int) -> Stage:
        """What token `number` belongs to; a step that gave none of the first `most` belongs with the last of them."""
        return self._tokens[max(min(number, most - 1), 0)][0] if self._tokens else "answer"

    def _spans(self, pieces: Sequence[_Piece]) -> Iterator[Span]:
        """The spans. While the device works without a break, its clock alone places them."""
        anchor: _Begun | None = None
        for _, group in groupby(pieces, lambda piece: piece.kind):
            parts = list(group)
            begun, end, work = parts[0].begun, parts[-1].end, parts[0].begun.work
            if parts[0].is_on_device:
                anchor = anchor or begun
                start_ms = self._since_asked(anchor.host) + self._device.elapsed_ms(anchor.device, begun.device)
                duration_ms, clock = self._device.elapsed_ms(begun.device, end.device), self._device.name
            else:
                anchor = None
                start_ms = self._since_asked(begun.host)
                duration_ms, clock = self._host.elapsed_ms(begun.host, end.host), self._host.name
            num_tokens = sum(part.num_tokens for part in parts)
            num_units = sum(part.begun.work.num_units for part in parts)
            yield Span(parts[0].stage, start_ms, duration_ms, clock, num_tokens, work.num_rows, work.medium, num_units)

    def _delivered(self, spans: list[Span], reading: Mark) -> tuple[list[Span], Span]:
        """The spans before the delivery, and the delivery: it begins when the device is done, and includes the reading
        of all clocks.
        """
        if spans and spans[-1].stage == "deliver":
            *before, last = spans
        else:
            before, last = spans, Span("deliver", self._since_asked(reading), 0.0)
        return before, replace(last, start_ms=max([last.start_ms, *(span.end_ms for span in before)]))

    def _gaps(self, pieces: Sequence[_Piece]) -> Gaps | None:
        """The times between the ends of steps that gave tokens, whatever was done between."""
        ends = [piece.end.host for piece in pieces if piece.begun.work.task == "decode" and piece.num_tokens]
        gaps = sorted(self._host.elapsed_ms(one, after) for one, after in pairwise(ends))
        if not gaps:
            return None
        p50, p95 = (gaps[ceil(share * len(gaps)) - 1] for share in (0.5, 0.95))
        return Gaps(p50, p95, gaps[-1])

    def _since_asked(self, mark: Mark) -> float:
        return self._host.elapsed_ms(self._asked, mark)
