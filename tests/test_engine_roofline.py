"""How fast a device could be at best."""

from __future__ import annotations

import threading

import pytest
import torch

from pipelines.engine import LocalEngine
from pipelines.engine.roofline import real_bytes
from pipelines.fusion import fuse
from pipelines.models import DEMO_FOLDER
from pipelines.types import Roofline, Token, Work
from tests.engine_cases import CASES, GREEDY


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    return LocalEngine.load(DEMO_FOLDER, "demo")


def test_the_bytes_of_a_step_are_those_of_the_tensors(engine: LocalEngine) -> None:
    found = engine.roofline()
    text = engine.model.config.text_config
    layers = engine.model.model.language_model.layers
    num_weights = sum(one.numel() for one in layers.parameters()) + engine.model.lm_head.weight.numel()
    assert found.weight_bytes == 4 * num_weights
    num_full = sum(kind != "linear_attention" for kind in text.layer_types)
    assert found.token_bytes == num_full * 2 * 4 * text.num_key_value_heads * text.head_dim
    assert found.state_bytes > 0
    assert found.bytes_per_s > 1e8
    assert found.flops_per_s > 1e8


def test_it_is_measured_once(engine: LocalEngine) -> None:
    assert engine.roofline() is engine.roofline()


def test_the_least_time_of_a_step_is_shared_by_its_rows() -> None:
    best = Roofline(bytes_per_s=1e6, flops_per_s=1e6, weight_bytes=800, state_bytes=20, token_bytes=1, token_flops=500)
    assert best.step_ms(1, 180) == pytest.approx(1.0)
    assert best.step_ms(2, 180) == pytest.approx(1.2)
    assert best.prefill_ms(4) == pytest.approx(2.0)


def test_a_tensor_made_of_others_takes_their_bytes() -> None:
    assert real_bytes(torch.nested.nested_tensor([torch.ones(3), torch.ones(5)], layout=torch.jagged)) >= 32
    assert real_bytes(torch.ones(4, dtype=torch.bfloat16)) == 8


def test_what_is_run_between_two_turns_is_run_while_a_request_runs(engine: LocalEngine) -> None:
    entered: list[Work] = []
    steps = engine.generate(fuse(*CASES["picture"], engine.checkpoint, True), GREEDY, entered.append, threading.Event())
    while not isinstance(next(steps), Token):
        pass
    assert engine.scheduler.between(threading.current_thread) is not threading.current_thread()
    assert isinstance(list(steps)[-1], str)
    assert Work("others") in entered


def test_what_fails_between_two_turns_fails_where_it_was_asked_for(engine: LocalEngine) -> None:
    with pytest.raises(ZeroDivisionError):
        engine.scheduler.between(lambda: 1 // 0)
    engine.scheduler.wait_idle()
