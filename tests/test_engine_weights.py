"""Weights in eight bits, how many rows there is room for, and what is told of the kernels."""

from __future__ import annotations

import builtins
import json
from types import ModuleType

import pytest
import torch
from transformers import Qwen3_5Config

from pipelines.demo.examples import agrees
from pipelines.engine import LocalEngine
from pipelines.engine.kernels import kernels_of
from pipelines.engine.placement import choose_placement
from pipelines.engine.rows import bytes_of_row, rows_for
from pipelines.engine.weights import check_weights, joined
from pipelines.fusion import fuse
from pipelines.models import DEMO_FOLDER
from pipelines.run import answer
from pipelines.types import Request, Result, Sampling, Settings, UserError
from tests.engine_cases import CASES, run

EXAMPLES = DEMO_FOLDER.parent / "examples"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def int8_engine() -> LocalEngine:
    return LocalEngine.load(DEMO_FOLDER, "demo", weights="int8")


def test_int8_weights_answer_the_examples_as_well(int8_engine: LocalEngine) -> None:
    entries = json.loads((EXAMPLES / "manifest.json").read_text(encoding="utf-8"))
    right = 0
    for entry in entries:
        request = Request(entry["question"], (EXAMPLES / entry["file"],), Settings(sampling=Sampling()))
        *_, result = answer(request, int8_engine)
        assert isinstance(result, Result)
        right += agrees(result.answer, entry["answer"])
    assert right >= 0.8 * len(entries)


def test_int8_weights_take_half_of_bf16_with_the_head_among_them(int8_engine: LocalEngine) -> None:
    head = int8_engine.model.lm_head.weight
    assert head.qdata.dtype == torch.int8
    assert head.qdata.shape == int8_engine.model.model.language_model.embed_tokens.weight.shape
    for layer in int8_engine.model.model.language_model.layers:
        for linear in (module for module in layer.modules() if isinstance(module, torch.nn.Linear)):
            assert linear.weight.qdata.dtype == torch.int8  # type: ignore[attr-defined]


def test_int8_replies_go_on_from_what_is_kept(int8_engine: LocalEngine) -> None:
    """The pieces of a prompt are multiplied by torchao, and a step by torch itself: both by the same weights."""
    inputs = fuse(*CASES["picture"], int8_engine.checkpoint, True)
    settings = Settings(sampling=Sampling(), max_new_tokens=12)
    first = run(int8_engine, inputs, settings)
    assert run(int8_engine, inputs, settings) == first


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("inputs", [32, 40], ids=["in groups", "not in groups"])
def test_an_int8_product_is_near_the_true_one_and_its_parts_are_views(dtype: torch.dtype, inputs: int) -> None:
    """Torch's kernel reads beyond the end of rows that are no multiple of 32: it brought the process down."""
    torch.manual_seed(0)
    linears = [torch.nn.Linear(inputs, outputs, bias=False).to(dtype) for outputs in (6, 10)]
    true = torch.cat([linear.weight.detach().float() for linear in linears])
    product = joined(linears, "int8")
    values = torch.randn(3, inputs).to(dtype)
    expected = values.float() @ true.T
    assert torch.allclose(product(values).float(), expected, atol=0.03)
    parts = torch.cat([linear(values) for linear in linears], dim=-1)
    assert torch.allclose(parts.float(), expected, atol=0.03)


def test_full_weights_are_held_once() -> None:
    linears = [torch.nn.Linear(4, outputs, bias=False) for outputs in (2, 3)]
    product = joined(linears, "full")
    linears[1].weight.data.zero_()
    assert product(torch.ones(1, 4))[0, 2:].tolist() == [0, 0, 0]


def test_fp8_on_a_cpu_is_refused_in_a_sentence() -> None:
    with pytest.raises(UserError, match=r"fp8 weights need a GPU .*use --weights int8\."):
        LocalEngine.load(DEMO_FOLDER, "demo", weights="fp8")


def test_a_missing_torchao_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object) -> ModuleType:
        if name.startswith("torchao"):
            raise ImportError(name)
        return real(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match="int8 weights need torchao: install it"):
        check_weights("int8", CPU)


def test_int8_stands_beside_bf16_on_a_cpu() -> None:
    assert choose_placement(DEMO_FOLDER).dtype == torch.float32
    assert choose_placement(DEMO_FOLDER, "int8").dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("free_gib", "is_gpu", "rows"), [(100, True, 8), (100, False, 4), (9, True, 4), (6.5, True, 2), (5, True, 1)]
)
def test_rows_are_as_many_as_half_of_the_free_memory_holds(free_gib: float, is_gpu: bool, rows: int) -> None:
    assert rows_for(int(free_gib * 2**30), 2**30 * 9 // 10, is_gpu) == rows


def test_the_bytes_of_a_row_are_those_of_its_slot(int8_engine: LocalEngine) -> None:
    slots = int8_engine.scheduler.stack.slots
    slots.reserve(512)
    config = Qwen3_5Config.from_pretrained(DEMO_FOLDER).text_config
    assert bytes_of_row(config, torch.bfloat16, slots.capacity) * slots.rows == slots.num_bytes


def test_warming_up_changes_no_reply() -> None:
    engine = LocalEngine.load(DEMO_FOLDER, "demo")
    inputs = fuse(*CASES["picture"], engine.checkpoint, True)
    cold = run(engine, inputs)
    engine.scheduler.snapshots.clear()
    engine.warm_up()
    assert engine.scheduler.stack.slots.lengths == [0] * engine.scheduler.stack.slots.rows
    assert run(engine, inputs) == cold


def test_one_line_says_which_kernels_run(int8_engine: LocalEngine) -> None:
    assert int8_engine.info.kernels == "decode: torch, int8 weights; prefill: torch"
    assert kernels_of(torch.device("cpu"), "full") == "decode: TorchScript trace; prefill: torch"
    assert kernels_of(torch.device("cpu"), "full", has_experts=True) == "decode: torch; prefill: torch"
    assert kernels_of(torch.device("cuda"), "full", replays=False).startswith("decode: torch; prefill: ")
    assert kernels_of(torch.device("cuda"), "full").startswith("decode: CUDA graphs; prefill: ")
    told = kernels_of(torch.device("cuda"), "int8", is_fused=True)
    assert told == "decode: CUDA graphs of Triton kernels, int8 weights; prefill: Triton kernels"
