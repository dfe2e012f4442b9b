"""Caches that grow: in no more memory than it takes, and where there is too little of it, at nobody else's cost."""

from __future__ import annotations

import weakref

import pytest
import torch
from transformers import Qwen3_5Config

from pipelines.engine.slots import LEAST_CAPACITY, SlotCache
from pipelines.models import DEMO_FOLDER


@pytest.fixture(params=[2 * LEAST_CAPACITY, LEAST_CAPACITY + 20], ids=["doubled", "up to the whole context"])
def slots(request: pytest.FixtureRequest) -> SlotCache:
    """Some whose rows hold something."""
    config = Qwen3_5Config.from_pretrained(DEMO_FOLDER).text_config
    config.max_position_embeddings = request.param
    slots = SlotCache(config, 3, torch.float32, torch.device("cpu"))
    slots.reserve(1)
    torch.manual_seed(0)
    for pair in slots.layers:
        for tensor in pair:
            tensor.normal_()
    slots.lengths = [LEAST_CAPACITY, 7, 0]
    return slots


def held_in(slots: SlotCache) -> list[torch.Tensor]:
    """What all rows hold."""
    states = [slots.copy_out(row) for row in range(slots.rows)]
    return [tensor for state in states for tensor in (*state.states, state.places)]


def is_same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(map(torch.equal, one, other))


def test_only_the_layer_that_grows_is_there_twice(slots: SlotCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them were, until the last had grown: eight rows of 16,384 tokens could not become any longer on 24 GB."""
    before, real = held_in(slots), slots._zeros
    old = [weakref.ref(tensor) for pair in slots._full for tensor in pair]
    left = list[int]()

    def counted(shape: tuple[int, ...]) -> torch.Tensor:
        left.append(sum(tensor() is not None for tensor in old))
        return real(shape)

    monkeypatch.setattr(slots, "_zeros", counted)
    slots.reserve(LEAST_CAPACITY + 1)
    assert left == [count for count in range(len(old), 0, -2) for _ in range(2)]
    assert is_same(held_in(slots), before)


@pytest.mark.parametrize("has_any", [True, False], ids=["some memory left", "none left"])
def test_what_rows_hold_stays_where_the_last_layer_cannot_grow(
    slots: SlotCache, has_any: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, generation, real = held_in(slots), slots.generation, slots._zeros
    shapes = [tensor.shape for pair in slots.layers for tensor in pair]
    left = iter(range(2 * len(slots._full) - 1))

    def failing(shape: tuple[int, ...]) -> torch.Tensor:
        if next(left, None) is None:
            raise torch.OutOfMemoryError
        return real(shape)

    def full(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError

    with monkeypatch.context() as patched:
        patched.setattr(slots, "_zeros", failing)
        if not has_any:
            patched.setattr(torch.Tensor, "clone", full)
        with pytest.raises(torch.OutOfMemoryError):
            slots.reserve(LEAST_CAPACITY + 1)
    assert slots.capacity == LEAST_CAPACITY
    assert slots.generation > generation
    assert [tensor.shape for pair in slots.layers for tensor in pair] == shapes
    assert is_same(held_in(slots), before)
    memory = sum(tensor.untyped_storage().nbytes() for pair in slots._full for tensor in pair)
    assert (memory == sum(tensor.nbytes for pair in slots._full for tensor in pair)) == has_any
    assert all(tensor.is_contiguous() for pair in slots._full for tensor in pair)
    slots.reserve(LEAST_CAPACITY + 1)
    assert is_same(held_in(slots), before)


def test_slots_that_cannot_begin_hold_nothing(slots: SlotCache, monkeypatch: pytest.MonkeyPatch) -> None:
    slots.release()
    real, made = slots._zeros, list[weakref.ref[torch.Tensor]]()

    def failing(shape: tuple[int, ...]) -> torch.Tensor:
        if len(made) == 5:
            raise torch.OutOfMemoryError
        made.append(weakref.ref(zeros := real(shape)))
        return zeros

    with monkeypatch.context() as patched:
        patched.setattr(slots, "_zeros", failing)
        with pytest.raises(torch.OutOfMemoryError):
            slots.reserve(1)
    assert not slots.layers
    assert not slots.capacity
    assert all(tensor() is None for tensor in made)
    slots.reserve(1)
    assert slots.capacity == LEAST_CAPACITY
