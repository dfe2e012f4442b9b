"""One request inside the engine: its state, and what it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event as Flag

from pipelines.checkpoint import Checkpoint
from pipelines.engine.base import Closed, Enter, Kept, Step, Waiting
from pipelines.engine.decoder import Detokenizer
from pipelines.engine.gauge import Measured
from pipelines.engine.memory import is_out_of_memory
from pipelines.engine.rest import Stopped
from pipelines.engine.sampler import Choice
from pipelines.engine.slots import RowState
from pipelines.engine.snapshots import Snapshot, Snapshots
from pipelines.engine.thought import Thought
from pipelines.inputs import ModelInputs
from pipelines.interrupts import ROUND_S
from pipelines.types import FinishReason, Sampling, Settings, Token, Work

THOUGHT_ENDS = ("</think>", "<tool_call>")
CLOSING = "\n</think>\n\n"


class Job:
    """A prompt and its growing reply: the engine's thread writes it, and whoever asked reads `steps`."""

    def __init__(
        self,
        inputs: ModelInputs,
        settings: Settings,
        sampling: Sampling,
        max_new_tokens: int,
        checkpoint: Checkpoint,
        enter: Enter,
        stop: Flag,
        hurry: Flag,
    ) -> None:
        ids: list[int] = inputs.input_ids[0].tolist()
        replied = ids[len(ids) - inputs.num_replied :]
        self.inputs, self._enter = inputs, enter
        self.choice = Choice(sampling, settings.seed, ids[: len(ids) - len(replied)], replied)
        self.max_new_tokens = max_new_tokens
        self.ids = ids
        self.next_position = 0
        self._num_prompt = len(ids)
        self._checkpoint, self._stop, self._left, self._is_cut = checkpoint, stop, Flag(), False
        self._detokenizer = Detokenizer(checkpoint.tokenizer)
        end_ids = frozenset(filter(None, map(checkpoint.tokenizer.token_to_id, THOUGHT_ENDS)))
        budget, closing = settings.max_thinking_tokens, checkpoint.encode(CLOSING)
        self._thought = Thought(inputs.thinking_open, budget, hurry, end_ids, closing)
        self._outbox: SimpleQueue[Step | Measured | Exception] = SimpleQueue()
        reason = self._thought.recall(map(self._detokenizer.take, replied))
        if reason is not None:
            self._outbox.put(Closed(reason))

    @property
    def is_stopped(self) -> bool:
        """Whether nobody wants the rest of the reply."""
        return self._stop.is_set() or self._left.is_set()

    def enter(self, work: Work) -> None:
        """Announce what begins. If the listener fails, so does this request, and no other."""
        try:
            self._enter(work)
        except Exception as error:
            self._outbox.put(error)
            self._left.set()

    def rest(self) -> None:
        """In the middle of a piece of work: raise Stopped if nobody wants the rest of the reply."""
        if self.is_stopped:
            self._is_cut = True
            raise Stopped

    @property
    def num_new_tokens(self) -> int:
        """Tokens that this request has added to the reply."""
        return len(self.ids) - self._num_prompt

    @property
    def is_last(self) -> bool:
        """Whether the next token is the last there is room for."""
        return self.num_new_tokens + 1 >= self.max_new_tokens

    @property
    def forced(self) -> int | None:
        """The next token, if it is not the model's to choose."""
        return self._thought.forced

    @property
    def can_be_kept(self) -> bool:
        """Whether all of its media can be told from others, so that a later prompt may continue from this one."""
        return all(self.inputs.media_keys)

    def leave_behind(self, snapshots: Snapshots, copied: Callable[[], RowState]) -> None:
        """Keep the state of its row for a prompt that begins the same; keep nothing for whoever has left.

        If memory runs out while it is `copied`, all snapshots are dropped, and such a prompt is read anew.
        """
        if self.is_stopped:
            return
        try:
            snapshot = Snapshot.of(self.inputs, self.ids, copied())
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            snapshots.clear()
        else:  # whoever left while it was copied may be forgotten by now
            snapshots.keep(snapshot, is_over=lambda: self.is_stopped)

    def steps(self) -> Iterator[Step]:
        """What whoever asked gets; after a stop, only that it stopped. Raises what the engine failed with."""
        is_cut = False
        try:
            while True:
                item = self._next()
                if isinstance(item, Exception):
                    raise item
                if isinstance(item, str):
                    yield "cancelled" if is_cut else item
                    return
                is_cut = is_cut or self._stop.is_set()
                if isinstance(item, Measured):
                    yield item.usage()
                elif not is_cut:
                    yield item
        finally:
            self._left.set()

    def _next(self) -> Step | Measured | Exception:
        while True:
            with suppress(Empty):
                return self._outbox.get(timeout=ROUND_S)

    def wait(self, place: int) -> None:
        """Tell the place in the queue, from 1."""
        self._outbox.put(Waiting(place))

    def keep(self, num_tokens: int, num_visual: int) -> None:
        """Tell how much of the prompt was kept and needs no work."""
        self._outbox.put(Kept(num_tokens, num_visual))

    def take(self, chosen: int, logprob: float) -> FinishReason | None:
        """Take the next token, chosen or forced, and pass it on; return why the reply ends here, if it does."""
        forced = self.forced
        token_id = chosen if forced is None else forced
        if token_id in self._checkpoint.eos_token_ids:
            return "stop"
        token: Token = self._detokenizer.take(token_id, logprob if forced is None else None)
        self.ids.append(token_id)
        self.choice.note(token_id)
        self._outbox.put(token)
        reason = self._thought.after(token_id, token.text)
        if reason is not None:
            self._outbox.put(Closed(reason))
        if self.is_stopped:
            return "cancelled"
        return "length" if self.num_new_tokens >= self.max_new_tokens else None

    def end(self, reason: FinishReason | Exception, measured: Measured | None = None) -> None:
        """Tell how it ended and what it used: the engine is done with it."""
        self.enter(Work("deliver", cuts=self._is_cut or isinstance(reason, Exception)))
        if measured is not None:
            self._outbox.put(measured)
        self._outbox.put(reason)
