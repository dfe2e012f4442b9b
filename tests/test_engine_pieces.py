"""When pieces of prompts and pictures are recorded, and what happens where that fails; without a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import Qwen3_5Config

from pipelines.engine import LocalEngine, tower_graphs
from pipelines.engine.captured import Recordable, Replay
from pipelines.engine.lean_tower import LeanTower
from pipelines.engine.pieces import MOST_GRAPHS, Pieces
from pipelines.engine.places import Keep
from pipelines.engine.slots import SlotCache, States
from pipelines.engine.stack import Stack
from pipelines.engine.tower_graphs import TowerGraphs
from pipelines.models import DEMO_FOLDER
from tests.imitated_gpu import piece_of, states_of

ROW = 1


class Recorder:
    """Stands for what captures CUDA graphs, and counts."""

    def __init__(self) -> None:
        self.pools, self.sizes = 0, list[int]()
        self.error: Exception | None = None

    def begin(self) -> Callable[[Recordable, Sequence[torch.Tensor]], Replay]:
        self.pools += 1
        return self._capture

    def _capture(self, work: Recordable, inputs: Sequence[torch.Tensor]) -> Replay:
        work(*inputs)
        if self.error:
            raise self.error
        self.sizes.append(len(inputs[0]))
        return lambda given: work(*given)


class Piece:
    """Stands for the kernels: adds what counts to the row's states, keeps those within, and gives the last back."""

    def __init__(self, slots: SlotCache) -> None:
        self._slots, self.error, self.rooms = slots, list[Exception](), list[States]()

    def __call__(
        self, row: int, hidden: torch.Tensor, numbers: torch.Tensor, positions: torch.Tensor, kept: States
    ) -> torch.Tensor:
        held, count, num_kept = numbers.flatten().tolist()
        assert len(hidden) % 64 == 0
        assert held == self._slots.lengths[row]
        assert positions.shape == (3, len(hidden))
        self.rooms.append(kept)
        for number, (_, state) in enumerate(states_of(self._slots)):
            kept[1][number] = state[row] + hidden[:num_kept].sum()
            state[row] += hidden[:count].sum()
        if self.error:
            raise self.error[0]
        return hidden[count - 1 : count]


@pytest.fixture
def slots() -> SlotCache:
    config = Qwen3_5Config.from_pretrained(DEMO_FOLDER).text_config
    slots = SlotCache(config, 2, torch.float32, torch.device("cpu"))
    slots.reserve(512)
    return slots


def given(pieces: Pieces, num_tokens: int, keep: Keep | None = None) -> torch.Tensor:
    hidden = torch.arange(num_tokens * 4.0).view(num_tokens, 4)
    return pieces(ROW, hidden, 0, torch.zeros(3, num_tokens).long(), keep)


def total(slots: SlotCache) -> float:
    return float(states_of(slots)[0][1][ROW].flatten()[0])


def test_short_pieces_are_recorded_at_once_and_long_ones_when_they_come_again(slots: SlotCache) -> None:
    recorder = Recorder()
    pieces = Pieces(Piece(slots), slots, recorder.begin)
    for num_tokens in (3, 64, 100, 500):
        assert given(pieces, num_tokens).tolist() == [[4.0 * num_tokens - 4 + i for i in range(4)]]
    assert recorder.sizes == [64]
    given(pieces, 128)
    given(pieces, 65)
    assert recorder.sizes == [64, 128]
    slots.reserve(1000)
    given(pieces, 110)
    assert recorder.sizes == [64, 128, 128]
    assert pieces.num_captured == 1
    assert recorder.pools == 2


def test_what_was_recorded_on_buffers_that_were_given_back_is_void(
    slots: SlotCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the new ones lie where those did: other tensors that were read may lie elsewhere."""
    recorder = Recorder()
    pieces = Pieces(Piece(slots), slots, recorder.begin)
    given(pieces, 64)
    layers = slots.layers
    slots.release()
    monkeypatch.setattr(slots, "layers", layers)
    slots.reserve(512)
    given(pieces, 64)
    assert recorder.sizes == [64, 64]


def test_recording_leaves_one_trace_in_the_row(slots: SlotCache) -> None:
    pieces = Pieces(Piece(slots), slots, Recorder().begin)
    given(pieces, 2)
    assert total(slots) == sum(range(8))


def test_one_graph_keeps_states_wherever_they_are_wanted(slots: SlotCache) -> None:
    """In one place, out of which they are copied: the next piece writes there too."""
    recorder, piece = Recorder(), Piece(slots)
    pieces = Pieces(piece, slots, recorder.begin)
    keeps = [Keep(count, slots.new_states()) for count in (1, 2, 5)]
    before = 0.0
    for keep in keeps:
        given(pieces, 7, keep)
        assert set(keep.states[1].flatten().tolist()) == {before + sum(range(4 * keep.count))}
        before = total(slots)
    given(pieces, 7)
    assert recorder.sizes == [64]
    assert len({id(room) for room in piece.rooms}) == 1
    assert keeps[0].states[1].max() == sum(range(4))
    slots.release()
    slots.reserve(512)
    given(pieces, 7, keeps[0])
    assert len({id(room) for room in piece.rooms}) == 2


def test_the_graphs_that_were_used_last_are_kept(slots: SlotCache) -> None:
    recorder = Recorder()
    pieces = Pieces(Piece(slots), slots, recorder.begin)
    for size in range(1, MOST_GRAPHS + 2):
        for _ in range(2):
            given(pieces, 64 * size)
        given(pieces, 64)
    assert pieces.num_captured == MOST_GRAPHS
    assert recorder.sizes == [64 * size for size in range(1, MOST_GRAPHS + 2)]
    given(pieces, 128)
    assert recorder.sizes[-1] == 128
    assert recorder.pools == 1


def test_what_cannot_be_recorded_runs_as_it_is(slots: SlotCache, caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder()
    recorder.error = RuntimeError("synchronises")
    pieces = Pieces(Piece(slots), slots, recorder.begin)
    for turn in range(1, 3):
        given(pieces, 2)
        assert total(slots) == turn * sum(range(8))
    assert recorder.pools == 1
    assert len(caplog.records) == 1


def test_running_out_of_memory_is_told(slots: SlotCache) -> None:
    piece = Piece(slots)
    piece.error.append(torch.OutOfMemoryError())
    pieces = Pieces(piece, slots, Recorder().begin)
    with pytest.raises(torch.OutOfMemoryError):
        given(pieces, 100)
    piece.error.clear()
    slots.clear(ROW)
    given(pieces, 3)
    assert total(slots) == sum(range(12))


@pytest.fixture(scope="module")
def model() -> Any:
    return LocalEngine.load(DEMO_FOLDER, "demo").model


@pytest.fixture(scope="module")
def tower(model: Any) -> Any:
    return model.model.visual


@torch.inference_mode()
def test_a_stack_gives_all_pieces_to_the_kernels_where_they_are_used(model: Any) -> None:
    """But for those of other slots."""
    ours, theirs = Stack(model, 3), Stack(model, 3)
    sizes = []

    def kernels(
        row: int, hidden: torch.Tensor, numbers: torch.Tensor, positions: torch.Tensor, kept: States
    ) -> torch.Tensor:
        sizes.append(len(hidden))
        held, count, _ = numbers.flatten().tolist()
        if not held:
            ours.slots.clear(row)
        return piece_of(ours, row, hidden[:count], numbers, positions[:, :count], kept)

    ours.graphs = SimpleNamespace(pieces=Pieces(kernels, ours.slots, Recorder().begin))  # type: ignore[assignment]
    start = 0
    for num_tokens in (100, 7, 70):
        embeddings = ours.model.model.language_model.embed_tokens(torch.randint(0, 1000, (1, num_tokens)))
        positions = torch.arange(start, start + num_tokens).expand(4, 1, -1)
        found, expected = (stack.prefill(ROW, embeddings, positions) for stack in (ours, theirs))
        assert torch.allclose(found, expected, atol=1e-4)
        start += num_tokens
    assert ours.slots.lengths == theirs.slots.lengths == [0, start, 0]
    assert sizes == [128, 64, 64, 128, 128]
    ours.prefill(0, embeddings, positions, ours.new_slots(1))
    assert len(sizes) == 5
    for count in (30, num_tokens):
        (found, copied), (expected, wanted) = (
            stack.prefill_kept(ROW, embeddings, positions, count) for stack in (ours, theirs)
        )
        state, other = copied(), wanted()
        assert torch.allclose(found, expected, atol=1e-4)
        assert state.length == other.length == start + count
        for one, another in zip((*state.states, state.places), (*other.states, other.places), strict=True):
            assert torch.allclose(one, another, atol=1e-3)
        start += num_tokens
    assert len(sizes) == 7  # what is kept within a piece takes none of its own


def patches_of(num_patches: int) -> torch.Tensor:
    return torch.randn(num_patches, 3 * 2 * 16 * 16)


@torch.inference_mode()
@pytest.mark.parametrize("grid", [(1, 8, 12), (1, 2, 2), (3, 6, 4), (2, 14, 2)])
def test_the_tower_sees_what_that_of_transformers_sees(tower: Any, grid: tuple[int, int, int]) -> None:
    lean, patches = LeanTower(tower), patches_of(grid[0] * grid[1] * grid[2])
    expected = tower(patches, grid_thw=torch.tensor([grid])).pooler_output
    assert torch.allclose(lean(patches, lean.places(grid)), expected, atol=1e-4)


@torch.inference_mode()
def test_a_picture_of_a_size_that_comes_again_is_recorded_and_gives_the_same(tower: Any) -> None:
    recorder, lean = Recorder(), LeanTower(tower)
    graphs = TowerGraphs(lean, recorder.begin)

    def seen(grid: tuple[int, int, int], patches: torch.Tensor | None = None) -> torch.Tensor | None:
        given = patches_of(grid[0] * grid[1] * grid[2]) if patches is None else patches
        return graphs(given, grid, lean.places(grid))

    for grid in ((1, 8, 12), (1, 4, 6)):
        for turn in range(3):
            patches = patches_of(grid[1] * grid[2])
            found = seen(grid, patches)
            assert (found is None) == (turn == 0)
            if found is not None:
                assert torch.equal(found, lean(patches, lean.places(grid)))
    assert recorder.sizes == [96, 24]
    assert seen((2, 4, 6)) is None
    assert seen((2, 4, 6)) is None
    for columns in range(2, 2 * tower_graphs.MOST_GRAPHS + 4, 2):
        for _ in range(2):
            seen((1, 2, columns))
    assert graphs.num_captured == tower_graphs.MOST_GRAPHS
    assert recorder.pools == 1
    graphs.clear()
    assert seen((1, 4, 6)) is not None
    assert recorder.pools == 2


@torch.inference_mode()
def test_a_tower_that_cannot_be_recorded(tower: Any, caplog: pytest.LogCaptureFixture) -> None:
    recorder, lean = Recorder(), LeanTower(tower)
    recorder.error = RuntimeError("synchronises")
    graphs = TowerGraphs(lean, recorder.begin)
    grid = 1, 4, 6
    places = lean.places(grid)
    for _ in range(4):
        assert graphs(patches_of(24), grid, places) is None
    assert len(caplog.records) == 1
    recorder.error = torch.OutOfMemoryError()
    graphs = TowerGraphs(lean, recorder.begin)
    graphs(patches_of(24), grid, places)
    with pytest.raises(torch.OutOfMemoryError):
        graphs(patches_of(24), grid, places)
