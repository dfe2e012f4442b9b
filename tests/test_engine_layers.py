"""Our own layers against transformers': a step, a piece of a prompt, a trace, and where the tokens stand."""

from __future__ import annotations

import pytest
import torch

from pipelines.engine import LocalEngine
from pipelines.engine.positions import position_ids
from pipelines.engine.prefill_view import PrefillView
from pipelines.engine.stack import Stack
from pipelines.engine.traces import HAS_TORCHSCRIPT, StepTraces
from pipelines.fusion import fuse
from pipelines.models import DEMO_FOLDER
from tests.engine_cases import CASES


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    return LocalEngine.load(DEMO_FOLDER, "demo")


@pytest.mark.parametrize("case", CASES)
def test_places_are_those_that_transformers_counts(engine: LocalEngine, case: str) -> None:
    inputs = fuse(*CASES[case], engine.checkpoint, True).followed_by([5, 6, 7])
    expected, _ = engine.model.model.get_rope_index(
        inputs.input_ids,
        mm_token_type_ids=inputs.mm_token_type_ids,
        image_grid_thw=inputs.image_grid_thw,
        video_grid_thw=inputs.video_grid_thw,
    )
    places = position_ids(inputs)
    assert torch.equal(places[1:], expected)
    assert places[0, 0].tolist() == list(range(inputs.num_tokens))
    for start in range(inputs.num_tokens):
        assert torch.equal(position_ids(inputs, start), places[:, :, start:])


@torch.inference_mode()
def test_layers_of_transformers_run_over_the_slots_in_the_words_of_two_versions(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of 5.17 read the same states by other names."""
    ours, theirs = Stack(engine.model, 3), Stack(engine.model, 3)
    monkeypatch.setattr(theirs, "_piece", lambda *_: None)
    start = 0
    for num_tokens in (5, 1, 70):
        embeddings = engine.model.model.language_model.embed_tokens(torch.randint(0, 1000, (1, num_tokens)))
        positions = torch.arange(start, start + num_tokens).expand(4, 1, -1)
        found, expected = (stack.prefill(1, embeddings, positions) for stack in (theirs, ours))
        assert torch.allclose(found, expected, atol=1e-4)
        start += num_tokens
    empty, filled = (PrefillView(theirs.slots, row, 1) for row in (0, 1))
    assert not empty.has_previous_state(0)
    assert filled.has_previous_state(0)
    for index in (index for index, is_linear in enumerate(theirs.slots.is_linear) if is_linear):
        layer, states = filled.layers[index], (filled.get_conv_state(index), filled.get_recurrent_state(index))
        assert (empty.get_conv_state(index), empty.get_recurrent_state(index)) == (None, None)
        for [one], other in zip((layer.conv_states, layer.recurrent_states), states, strict=True):
            assert other is not None
            assert one.data_ptr() == other.data_ptr()
        assert (layer.record_past, filled.is_recording_past(index)) == (False, False)


def test_a_step_is_free_of_what_a_graph_would_freeze(engine: LocalEngine) -> None:
    """As a capture does, one step is recorded on fixed buffers, and replayed with other numbers in them."""
    from torch.fx.experimental.proxy_tensor import make_fx

    stack = Stack(engine.model, 3)
    with torch.inference_mode():
        stack.slots.reserve(600)
        given = torch.tensor([[5, 6], [0, 0], [0, 0]])
        window = stack.slots.window(slice(2), 512, is_masked=True)
        frozen = make_fx(lambda: stack.lean.step(given, window), tracing_mode="real")()
        for tensor in (tensor for pair in stack.slots.layers for tensor in pair):
            tensor.zero_()
        before = [tuple(tensor.clone() for tensor in pair) for pair in stack.slots.layers]
        numbers = [[[7, 8], [0, 0], [0, 0]], [[9, 7], [1, 1], [1, 1]], [[30, 40], [2, 2], [5, 2]]]
        replayed = []
        for number in numbers:
            given.copy_(torch.tensor(number))
            replayed.append(frozen().clone())
        for pair, kept in zip(stack.slots.layers, before, strict=True):
            for tensor, values in zip(pair, kept, strict=True):
                tensor.copy_(values)
        for number, logits in zip(numbers, replayed, strict=True):
            assert torch.allclose(stack.lean.step(torch.tensor(number), window), logits, atol=1e-5)


@pytest.mark.parametrize("num_tokens", [1, 3, 20, 64, 65, 250])
@pytest.mark.parametrize("start", [0, 2, 70])
def test_a_piece_is_what_the_layers_of_transformers_make_of_it(
    engine: LocalEngine, start: int, num_tokens: int
) -> None:
    """Also where it is filled up to a fixed size, as a graph needs it: what fills it up leaves no trace."""
    stack = Stack(engine.model, 3)
    torch.manual_seed(num_tokens)
    with torch.inference_mode():
        stack.slots.reserve(512)
        ids = torch.randint(0, 1000, (1, start + num_tokens))
        embeddings = engine.model.model.language_model.embed_tokens(ids)
        positions = torch.stack([torch.arange(start + num_tokens)] * 4)[:, None]
        positions[2] += 3  # height and width differ from the time, as within a picture
        for row in range(3):
            if start:
                stack._run(embeddings[:, :start], positions[:, :, :start], stack.slots, row)
                stack.slots.lengths[row] = start
        tail, places = embeddings[:, start:], positions[:, :, start:]
        expected = stack._run(tail, places, stack.slots, 0)
        exact = stack._piece(1, tail[0], places[1:, 0], stack.slots)
        if not start:
            stack.slots.clear(2)
        fill = -num_tokens % 64
        window = stack.slots.window(slice(2, 3), 512, is_masked=True)
        padded = torch.nn.functional.pad(tail[0], (0, 0, 0, fill)), torch.nn.functional.pad(places[1:, 0], (0, fill))
        numbers = torch.tensor([[start], [num_tokens]])
        filled = stack.lean.piece(padded[0], stack.lean.span(2, len(padded[0]), numbers, padded[1], window))
        assert exact is not None
        assert torch.allclose(exact, expected, atol=1e-4)
        assert torch.allclose(filled, expected, atol=1e-4)
        size = start + num_tokens
        for is_linear, pair in zip(stack.slots.is_linear, stack.slots.layers, strict=True):
            for tensor in pair:
                rows = tensor if is_linear else tensor[:, :, :size]
                assert torch.allclose(rows[1], rows[0], atol=1e-3)
                assert torch.allclose(rows[2], rows[0], atol=1e-3)


@pytest.mark.parametrize(("start", "count", "num_tokens"), [(0, 1, 9), (0, 70, 71), (5, 2, 80), (70, 100, 230)])
def test_what_a_row_held_within_a_piece_is_what_a_piece_of_that_length_leaves(
    engine: LocalEngine, start: int, count: int, num_tokens: int
) -> None:
    stack = Stack(engine.model, 3)
    with torch.inference_mode():
        ids = torch.randint(0, 1000, (1, start + num_tokens), generator=torch.Generator().manual_seed(1))
        embeddings = engine.model.model.language_model.embed_tokens(ids)
        positions = torch.arange(start + num_tokens).expand(4, 1, -1)

        def run(row: int, begin: int, end: int) -> torch.Tensor:
            return stack.prefill(row, embeddings[:, begin:end], positions[:, :, begin:end])

        for row in (0, 1) if start else ():
            run(row, 0, start)
        hidden, copied = stack.prefill_kept(0, embeddings[:, start:], positions[:, :, start:], count)
        run(1, start, start + count)
        expected = stack.slots.copy_out(1)
        last = run(1, start + count, start + num_tokens)
        state = copied()
    assert state.length == expected.length == start + count
    assert stack.slots.lengths[:2] == [start + num_tokens] * 2
    assert torch.allclose(hidden, last, atol=1e-4)
    for tensor, other in zip((*state.states, state.places), (*expected.states, expected.places), strict=True):
        assert tensor.shape == other.shape
        assert torch.allclose(tensor, other, atol=1e-3)


def test_steps_run_from_traces_that_give_what_plain_steps_give(engine: LocalEngine) -> None:
    """Rows of one and of different lengths, longer windows than at recording, and buffers that have moved."""
    traced, plain = Stack(engine.model, 4), Stack(engine.model, 4)
    plain._traces = StepTraces(plain.lean, plain.slots, is_traced=False)
    with torch.inference_mode():
        for rows in (1, 1, 2, 3, 2, 1):
            for turn in range(5):
                tokens = [7 * turn + row for row in range(rows)]
                logits = [stack.decode(tokens, stack.slots.lengths[:rows])[0] for stack in (traced, plain)]
                assert torch.allclose(logits[0], logits[1], atol=1e-4)
        for stack in (traced, plain):
            stack.slots.reserve(1000)
        assert torch.allclose(traced.decode([9], [25])[0], plain.decode([9], [25])[0], atol=1e-4)
    assert bool(traced._traces._traces) == HAS_TORCHSCRIPT
    assert not plain._traces._traces


def test_a_row_is_copied_and_moved_as_a_whole_and_alone(engine: LocalEngine) -> None:
    slots = Stack(engine.model, 4).slots
    with torch.inference_mode():
        slots.reserve(20)
        for tensor in (tensor for pair in slots.layers for tensor in pair):
            assert tensor.is_contiguous()
            tensor.normal_()
        slots.lengths[:3] = [5, 7, 9]
        others, state = [slots.copy_out(row) for row in (0, 2)], slots.copy_out(1)
        slots.reserve(1000)
        slots.move(1, 3)
        slots.clear(1)
        moved, cleared = slots.copy_out(3), slots.copy_out(1)
        slots.copy_in(1, state)
        found = [slots.copy_out(row) for row in (0, 2, 1)]
    assert slots.lengths == [5, 7, 9, 7]
    assert not any(tensor.any() for tensor in cleared.states)
    for one, other in zip([*found, moved], [*others, state, state], strict=True):
        assert one.length == other.length
        assert one.num_bytes == other.num_bytes > 0
        for tensor, expected in zip((*one.states, one.places), (*other.states, other.places), strict=True):
            assert torch.equal(tensor, expected)
