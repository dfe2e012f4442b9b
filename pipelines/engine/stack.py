"""The text layers of the model over the slots: a piece of a prompt for one row, one token for all rows that run.

Position ids are passed each time, int64 [4, rows, tokens]: of the text, then time, height and width of multimodal
rotary embedding. The model's own `rope_deltas` is state shared by all requests, and is never read or written here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from pipelines.engine.graphs import Graphs
from pipelines.engine.lean import LeanStack
from pipelines.engine.pieces import PIECE_TOKENS
from pipelines.engine.placement import Put, stay
from pipelines.engine.places import Keep, PieceSpan
from pipelines.engine.prefill_view import PrefillView
from pipelines.engine.rest import Rest, no_rest
from pipelines.engine.rows import choose_rows
from pipelines.engine.sampler import AHEAD, Choice, Chosen, Stepped, pick
from pipelines.engine.sending import sent
from pipelines.engine.slots import RowState, SlotCache
from pipelines.engine.traces import StepTraces, can_trace
from pipelines.engine.weights import Held
from pipelines.inputs import ModelInputs
from pipelines.types import Sampling

WARM_TOKENS = 4096
"""The longest window that warming up is for: buffers of this capacity are kept while nothing runs."""


class Stack:
    """The text layers, the head and the slots of one model: of so many `rows`, or as many as there is room for."""

    def __init__(self, model: Any, rows: int | None, weights: Held = "full", put: Put = stay) -> None:
        self.model = model
        self.lean = LeanStack(model, weights, put)
        put(model.model.visual)
        self.device: torch.device = model.device
        self._dtype, self._hidden_size = self.lean.embed.dtype, self.lean.embed.shape[1]
        self.num_prefilled = 0
        self.slots = self.lean.slots = self.new_slots(rows or choose_rows(model) + 1)
        self.graphs = Graphs(self.lean, self.slots) if self.device.type == "cuda" else None
        is_traced = can_trace(self.device, weights, has_experts=self.lean.has_experts)
        self._traces = StepTraces(self.lean, self.slots, is_traced=is_traced)

    @property
    def has_kernels(self) -> bool:
        """Whether Triton's kernels stand for plain torch."""
        return self.graphs is not None and self.graphs.pieces is not None

    def first(self, hidden: torch.Tensor, choice: Choice, row: int) -> Chosen:
        """The first token of a reply that comes into a row, by the last state [1, hidden] of its prompt."""
        logits = self.logits(hidden)
        if self.graphs is None or self.graphs.likeliest is None:
            return pick(logits, [choice])
        likely, chosen = self.graphs.likeliest(logits, None), None
        if self.graphs.draws is not None:
            chosen = self.graphs.draws.first(logits, likely, choice, row)
        return chosen or pick(logits, [choice], None, likely)

    def next(self, stepped: Stepped, choices: Sequence[Choice]) -> Chosen:
        """The next token of each of the first rows behind the last step, which gave `stepped`."""
        chosen = None if self.graphs is None else self.graphs.draw(choices)
        return chosen or pick(stepped.logits, choices, stepped.fed, stepped.likely)

    def use_kernels(self) -> None:
        """Use Triton's kernels on a GPU where they do what plain torch does; no row may be in use."""
        if self.graphs is not None:
            self.graphs.use_kernels()

    def new_slots(self, rows: int) -> SlotCache:
        """Caches of their own, empty."""
        return SlotCache(self.model.config.text_config, rows, self._dtype, self.device)

    def release(self) -> None:
        """Give back the memory of the slots and of all graphs and traces; no row may be in use."""
        self.slots.release()
        self._traces.clear()
        if self.graphs is not None:
            self.graphs.clear()

    def release_pieces(self) -> None:
        """Give back the memory of the graphs of prompts, which is most of what graphs have."""
        if self.graphs is not None and self.graphs.pieces is not None:
            self.graphs.pieces.clear()

    def embed(
        self, inputs: ModelInputs, start: int, end: int, features: torch.Tensor | None, num_seen: int
    ) -> torch.Tensor:
        """The prompt's embeddings from `start` to `end`, [1, tokens, hidden].

        `features` [visual tokens, hidden] stand where the placeholders are, from that behind the first `num_seen` on;
        they may be None where there are none between `start` and `end`.
        """
        ids = sent(inputs.input_ids[:, start:end], self.device)
        embeddings = torch.nn.functional.embedding(ids, self.lean.embed)
        if features is not None and inputs.count_visual(start, end):
            before = inputs.count_visual(0, start) - num_seen
            places = inputs.mm_token_type_ids[0, start:end].nonzero()[:, 0]
            here = features[before : before + len(places)].to(embeddings.dtype)
            embeddings[0].index_copy_(0, sent(places, self.device), here)
        return embeddings

    def prefill(
        self,
        row: int,
        embeddings: torch.Tensor,
        positions: torch.Tensor,
        slots: SlotCache | None = None,
        keep: Keep | None = None,
        rest: Rest = no_rest,
    ) -> torch.Tensor:
        """Append a piece of a prompt to a row, of other slots where given: the last hidden state [1, hidden].

        What states the row has within the piece can be kept where plain torch runs it on a CPU, or kernels do on a GPU.
        On a CPU it may `rest`: a piece that ends then leaves the row in a state that is good for nothing.
        """
        slots = slots or self.slots
        start, num_tokens = slots.lengths[row], embeddings.shape[1]
        slots.reserve(start + num_tokens)
        positions = sent(positions, self.device)
        hidden = self._piece(row, embeddings[0], positions[1:, 0], slots, keep, rest)
        if hidden is None:
            hidden = self._run(embeddings, positions, slots, row)
        slots.lengths[row] += num_tokens
        self.num_prefilled += num_tokens
        return hidden

    def prefill_kept(
        self, row: int, embeddings: torch.Tensor, positions: torch.Tensor, count: int, rest: Rest = no_rest
    ) -> tuple[torch.Tensor, Callable[[], RowState]]:
        """As `prefill`, resting on a CPU; and what gives, as long as the row is in use, what it held behind the first
        `count` tokens of the piece.
        """
        length = self.slots.lengths[row] + count
        is_plain = self.device.type == "cpu" and self.graphs is None
        if count < embeddings.shape[1] and (is_plain or self.has_kernels):  # in one go: the weights are read once
            self.slots.reserve(self.slots.lengths[row] + embeddings.shape[1])
            keep = Keep(count, self.slots.new_states())
            hidden = self.prefill(row, embeddings, positions, keep=keep, rest=rest)
            return hidden, partial(self.slots.copy_out, row, length, keep.states)
        hidden = self.prefill(row, embeddings[:, :count], positions[:, :, :count])
        state = self.slots.copy_out(row)
        if count < embeddings.shape[1]:
            hidden = self.prefill(row, embeddings[:, count:], positions[:, :, count:])
        return hidden, lambda: state

    def span(
        self, row: int, num_tokens: int, positions: torch.Tensor, slots: SlotCache, keep: Keep | None = None
    ) -> PieceSpan:
        """Where the next tokens of a row stand, at their rotary positions int64 [3, tokens]; there is room for them."""
        start = slots.lengths[row]
        window = slots.window(slice(row, row + 1), start + num_tokens, is_masked=True)
        numbers = sent(torch.tensor([[start], [num_tokens]]), self.device)
        return self.lean.span(row, num_tokens, numbers, sent(positions, self.device), window, slots, keep)

    def decode(
        self, tokens: Sequence[int], next_positions: Sequence[int], ahead: torch.Tensor | None = None
    ) -> Stepped:
        """Append one token to each of the first rows, as many as `tokens`: what the next are chosen from.

        Where a token is `AHEAD`, that of `ahead` int64 [rows] is taken, which only the device knows yet. The next step
        may overwrite what is given.
        """
        lengths = self.slots.lengths[: len(tokens)]
        window = max(lengths) + 1
        self.slots.reserve(window)
        numbers = tokens, lengths, next_positions
        if self.graphs is not None:
            stepped = self.graphs.step(numbers, window, ahead)
        else:
            given = sent(torch.tensor(numbers), self.device)
            if ahead is not None:
                given[0] = torch.where(given[0] == AHEAD, ahead, given[0])
            is_masked = min(lengths) + 1 < window
            logits = self._traces(given, self.slots.window(slice(len(tokens)), window, is_masked=is_masked))
            stepped = Stepped(logits, given[0])
        for row in range(len(tokens)):
            self.slots.lengths[row] += 1
        return stepped

    def warm_up(self) -> None:
        """Run the step for 1, 2, 4 ... rows while nothing else does; on a GPU that captures its graphs.

        There it is done for every window up to `WARM_TOKENS`, in buffers that are large enough for the last, a draw
        behind it, and the kernels of prompts are compiled.
        """
        sizes = [1]
        if self.graphs is not None:
            self.slots.reserve(WARM_TOKENS)
            sizes = self.graphs.windows(WARM_TOKENS)
        rows = 1
        while rows < self.slots.rows:
            for size in sizes:
                self.slots.lengths[:rows] = [size - 1] * rows
                self.decode([0] * rows, [0] * rows)
                if self.graphs is not None:
                    self.graphs.draw([Choice(Sampling(temperature=1.0, top_k=1), 0)] * rows)
            for row in range(rows):
                self.slots.free(row)
            rows *= 2
        if self.graphs is not None and self.graphs.pieces is not None:
            for num_tokens in (1, PIECE_TOKENS + 1):  # as a graph, and as they are
                hidden = self.slots.first_places.new_zeros((num_tokens, self._hidden_size), dtype=self._dtype)
                self._piece(self.slots.rows - 1, hidden, torch.zeros(3, num_tokens).long().to(self.device), self.slots)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """The head, of hidden states [rows, hidden]: [rows, vocabulary]."""
        return self.lean.head(hidden)

    def _piece(
        self,
        row: int,
        hidden: torch.Tensor,
        positions: torch.Tensor,
        slots: SlotCache,
        keep: Keep | None = None,
        rest: Rest = no_rest,
    ) -> torch.Tensor | None:
        """The last hidden state of a piece, without what transformers' layers cost whatever they are given.

        None where it is theirs: on Apple's GPUs, and on others that have no kernels for more than a few tokens, or none
        for slots that graphs do not know.
        """
        start, num_tokens = slots.lengths[row], len(hidden)
        if self.graphs is not None:
            if slots is not self.slots:
                return None
            if self.graphs.pieces is not None:
                return self.graphs.pieces(row, hidden, start, positions, keep)
            if num_tokens > PIECE_TOKENS or self.lean.has_experts:
                return None
            slots.reserve(start + PIECE_TOKENS)
        elif self.device.type != "cpu":
            return None
        if not start:
            slots.clear(row)
        if self.graphs is not None:
            return self.graphs.piece(row, hidden, start, positions)
        return self.lean.piece(hidden, self.span(row, num_tokens, positions, slots, keep), rest)

    def _run(self, embeddings: torch.Tensor, positions: torch.Tensor, slots: SlotCache, row: int) -> torch.Tensor:
        start, num_tokens = slots.lengths[row], embeddings.shape[1]
        mask = None
        if start:
            after = torch.arange(start, start + num_tokens, device=self.device)
            mask = torch.arange(start + num_tokens, device=self.device) <= after[:, None]
            mask = mask[None, None]
        output = self.model.model.language_model(
            inputs_embeds=embeddings,
            position_ids=positions,
            attention_mask={"full_attention": mask, "linear_attention": None},
            past_key_values=PrefillView(slots, row, num_tokens),
            use_cache=True,
        )
        last: torch.Tensor = output.last_hidden_state[:, -1]
        return last
