"""Weights in eight bits, how many rows there is room for, and what is told of the kernels."""

from __future__ import annotations

import builtins
import json
from types import ModuleType
from typing import Any

import pytest
import torch
from transformers import Qwen3_5Config

from pipelines.demo.examples import agrees
from pipelines.engine import LocalEngine, kernels, local, placement, stack, weights
from pipelines.engine.kernels import kernels_of
from pipelines.engine.packed import PackedInt8, can_pack_int8
from pipelines.engine.placement import choose_placement
from pipelines.engine.reference import ReferenceEngine
from pipelines.engine.roofline import real_bytes
from pipelines.engine.rows import bytes_of_row, choose_rows, kept_for, rows_for
from pipelines.engine.traces import HAS_TORCHSCRIPT
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


@pytest.fixture(params=[True, False], ids=["by oneDNN", "by torch"])
def is_packed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways in which a CPU may multiply int8; the first where this one can."""
    if request.param and not can_pack_int8(CPU):
        pytest.skip("this CPU does not multiply int8")
    for module in (weights, placement, kernels):
        monkeypatch.setattr(module, "can_pack_int8", lambda _device: request.param)
    return bool(request.param)


def test_int8_weights_take_a_byte_each_with_the_head_among_them(is_packed: bool) -> None:
    del is_packed
    engine = LocalEngine.load(DEMO_FOLDER, "demo", weights="int8")
    linears = [one for one in engine.model.model.language_model.modules() if isinstance(one, torch.nn.Linear)]
    linears.append(engine.model.lm_head)
    outputs = sum(linear.out_features for linear in linears)
    least = sum(linear.in_features * linear.out_features for linear in linears)
    assert least <= sum(real_bytes(linear.weight) for linear in linears) <= least + 8 * outputs


def test_the_layers_of_transformers_multiply_by_the_same_int8_weights(is_packed: bool) -> None:
    """`generate` goes through them."""
    del is_packed
    ours, theirs = (kind.load(DEMO_FOLDER, "demo", weights="int8") for kind in (LocalEngine, ReferenceEngine))
    inputs = fuse(*CASES["picture"], ours.checkpoint, True)
    settings = Settings(sampling=Sampling(), max_new_tokens=12)
    assert run(theirs, inputs, settings) == run(ours, inputs, settings)


def test_int8_replies_go_on_from_what_is_kept(int8_engine: LocalEngine) -> None:
    inputs = fuse(*CASES["picture"], int8_engine.checkpoint, True)
    settings = Settings(sampling=Sampling(), max_new_tokens=12)
    first = run(int8_engine, inputs, settings)
    assert run(int8_engine, inputs, settings) == first


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("inputs", [32, 40], ids=["in groups", "not in groups"])
def test_an_int8_product_is_near_the_true_one_and_so_are_its_parts(
    dtype: torch.dtype, inputs: int, is_packed: bool
) -> None:
    """Torch's kernel reads beyond the end of rows that are no multiple of 32: it brought the process down."""
    del is_packed
    torch.manual_seed(0)
    linears = [torch.nn.Linear(inputs, outputs, bias=False).to(dtype) for outputs in (6, 10)]
    true = torch.cat([linear.weight.detach().float() for linear in linears])
    product = joined(linears, "int8")
    values = torch.randn(3, inputs).to(dtype)
    expected = values.float() @ true.T
    assert torch.allclose(product(values).float(), expected, atol=0.03)
    parts = torch.cat([linear(values) for linear in linears], dim=-1)
    assert torch.allclose(parts.float(), expected, atol=0.03)
    assert [linear(values[None]).shape for linear in linears] == [(1, 3, 6), (1, 3, 10)]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_weights_are_joined_once_for_all_engines_of_a_model(dtype: torch.dtype) -> None:
    linears = [torch.nn.Linear(32, outputs, bias=False).to(dtype) for outputs in (6, 10, 1)]
    expected = torch.cat([linear.weight.detach() for linear in linears])
    first = joined(linears, "full").weight
    again, parts = joined(linears, "full").weight, joined(linears[1:], "full").weight
    assert again.data_ptr() == first.data_ptr()
    assert parts.data_ptr() == linears[1].weight.data_ptr()
    assert torch.equal(again, expected)
    assert torch.equal(parts, expected[6:])
    assert torch.equal(joined([linears[2], linears[0]], "full").weight, torch.cat([expected[16:], expected[:6]]))


def test_int8_numbers_are_widened_part_by_part_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers, scale = torch.randint(-127, 128, (70, 96), dtype=torch.int8), torch.rand(70) + 0.1
    values = torch.randn(3, 96)
    exact = values @ (numbers.float() * scale[:, None]).T
    for num_bytes in (2**20, 16 * 96 * 4, 1):
        monkeypatch.setattr(weights, "WIDENED_BYTES", num_bytes)
        assert torch.allclose(weights._widened_product(numbers, scale, values), exact, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("num_bytes", [2**20, 16 * 2560 * 2], ids=["at once", "in parts"])
def test_int8_numbers_are_scaled_before_the_product_where_it_would_be_infinite(
    num_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In fp16, which ends at 65,504, an output of 50 was: of a row as the 4B has, by what lies along it."""
    monkeypatch.setattr(weights, "WIDENED_BYTES", num_bytes)
    torch.manual_seed(0)
    linears = [torch.nn.Linear(2560, outputs, bias=False).half() for outputs in (30, 34)]
    dense = torch.cat([linear.weight.detach() for linear in linears]).normal_(std=0.02)
    values = (dense[:3].float() * 50).half()
    exact = values.float() @ dense.float().T
    product = weights._widened(linears, *weights._int8_in_parts(dense))
    assert exact.max() > 45
    assert torch.allclose(product(values).float(), exact, atol=0.1)
    parts = torch.cat([linear(values[None]) for linear in linears], dim=-1)
    assert torch.allclose(parts[0].float(), exact, atol=0.1)


@pytest.mark.skipif(not can_pack_int8(CPU), reason="this CPU does not multiply int8")
@pytest.mark.parametrize("rows", [1, 2, 5, 300])
def test_a_packed_product_loses_hardly_anything_beside_its_weights(rows: int) -> None:
    """Also of activations that are zero, tiny, or a few that stand out by far, as those of language models do."""
    torch.manual_seed(rows)
    numbers, scale = torch.randint(-127, 128, (70, 96), dtype=torch.int8), torch.rand(70) + 0.1
    values = torch.randn(rows, 96)
    values[0] *= 1e-6
    values[rows // 2, 7] = 60.0
    exact = values.double() @ (numbers.double() * scale.double()[:, None]).T
    off = (PackedInt8(numbers, scale)(values) - exact).norm(dim=1) / exact.norm(dim=1)
    assert off.max() < 2e-4
    assert not PackedInt8(numbers, scale)(torch.zeros(rows, 96)).any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_full_products_are_the_same_for_any_number_of_rows(dtype: torch.dtype) -> None:
    """Which is the quickest differs with their number."""
    torch.manual_seed(0)
    linear = torch.nn.Linear(64, 48, bias=False, dtype=dtype)
    product, values = joined([linear], "full"), torch.randn(40, 64, dtype=dtype)
    expected = values.float() @ linear.weight.detach().float().T
    for rows in (1, 2, 3, 8, 16, 17, 40):
        given = product(values[:rows])
        assert given.is_contiguous()
        assert torch.allclose(given.float(), expected[:rows], atol=0.02)


@pytest.fixture
def packing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Full weights are packed, also on a processor that is as quick without, and small ones too."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        pytest.skip("this CPU has no oneDNN")
    monkeypatch.setattr(weights, "should_pack_float", lambda *_: True)
    monkeypatch.setattr(weights, "CACHED_BYTES", 0)


@pytest.mark.usefixtures("packing")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_packed_products_are_near_the_true_ones_for_any_number_of_rows(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this CPU does not multiply bfloat16")
    linears = [torch.nn.Linear(96, outputs, bias=False, dtype=dtype) for outputs in (30, 70, 1)]
    true = torch.cat([linear.weight.detach().float() for linear in linears])
    product, values = joined(linears, "packed"), torch.randn(40, 96, dtype=dtype)
    expected = values.float() @ true.T
    for rows in (1, 2, 3, 16, 17, 40):
        given = product(values[:rows])
        assert given.is_contiguous()
        assert given.dtype == dtype
        assert torch.allclose(given.float(), expected[:rows], atol=0.03 if dtype == torch.bfloat16 else 1e-5)
        parts = torch.cat([linear(values[None, :rows]) for linear in linears], dim=-1)
        assert torch.equal(parts[0], given)
    assert sum(linear.weight.nbytes for linear in linears) == true.numel() * dtype.itemsize
    assert joined(linears, "packed") is joined(linears, "full") is product


@pytest.mark.usefixtures("packing")
def test_packed_weights_reply_as_plain_ones_do() -> None:
    plain = ReferenceEngine.load(DEMO_FOLDER, "demo")
    packed = LocalEngine.load(DEMO_FOLDER, "demo")
    assert packed.info.kernels == "decode: torch, packed weights by oneDNN; prefill: torch"
    assert plain.info.kernels == "decode: torch; prefill: torch"
    assert packed.model.lm_head.weight.is_mkldnn
    assert not plain.model.lm_head.weight.is_mkldnn
    assert packed.roofline().weight_bytes == plain.roofline().weight_bytes
    settings = Settings(sampling=Sampling(), max_new_tokens=40)
    for case in CASES:
        inputs = fuse(*CASES[case], packed.checkpoint, True)
        assert run(packed, inputs, settings) == run(packed, inputs, settings) == run(plain, inputs, settings)


def test_small_weights_are_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are in the cache, and a trace of them is quicker."""
    monkeypatch.setattr(weights, "should_pack_float", lambda *_: True)
    model = LocalEngine.load(DEMO_FOLDER, "demo").model
    assert weights.held_as("full", model) == "full"
    monkeypatch.setattr(weights, "CACHED_BYTES", 2**20)
    assert weights.held_as("full", model) == "packed"
    assert weights.held_as("int8", model) == "int8"
    monkeypatch.setattr(weights, "should_pack_float", lambda *_: False)
    assert weights.held_as("full", model) == "full"


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


def test_int8_stands_beside_bf16_where_a_cpu_has_to_widen_it(is_packed: bool) -> None:
    assert choose_placement(DEMO_FOLDER).dtype == torch.float32
    assert choose_placement(DEMO_FOLDER, "int8").dtype == (torch.float32 if is_packed else torch.bfloat16)


@pytest.mark.parametrize(
    ("free_gib", "is_gpu", "rows"), [(100, True, 8), (100, False, 4), (9, True, 4), (6.5, True, 2), (5, True, 1)]
)
def test_rows_are_as_many_as_half_of_the_free_memory_holds(free_gib: float, is_gpu: bool, rows: int) -> None:
    assert rows_for(int(free_gib * 2**30), 2**30 * 9 // 10, is_gpu) == rows


@pytest.mark.parametrize(("free_gib", "kept_gib"), [(0, 0.5), (8, 0.5), (16, 1), (64, 4)])
def test_a_sixteenth_of_the_free_memory_keeps_conversations(free_gib: int, kept_gib: float) -> None:
    assert kept_for(free_gib * 2**30) == kept_gib * 2**30


def test_rows_are_chosen_for_what_the_quantised_weights_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """They were for what those of 16 bits left: two for the 9B on 24 GB, where there is room for eight."""
    num_bytes = list[int]()

    def chosen(model: Any) -> int:
        num_bytes.append(real_bytes(model.lm_head.weight))
        return choose_rows(model)

    monkeypatch.setattr(stack, "choose_rows", chosen)
    engine = LocalEngine.load(DEMO_FOLDER, "demo", weights="int8")
    head = engine.model.lm_head
    assert num_bytes == [real_bytes(head.weight)]
    assert num_bytes[0] < 2 * head.in_features * head.out_features
    assert engine.scheduler.stack.slots.rows == choose_rows(engine.model) + 1


def test_the_bytes_of_a_row_are_those_of_its_slot(int8_engine: LocalEngine) -> None:
    slots = int8_engine.scheduler.stack.slots
    slots.reserve(512)
    config = Qwen3_5Config.from_pretrained(DEMO_FOLDER).text_config
    assert bytes_of_row(config, int8_engine.model.dtype, slots.capacity) * slots.rows == slots.num_bytes


def test_warming_up_changes_no_reply_and_leaves_nothing_to_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = LocalEngine.load(DEMO_FOLDER, "demo")
    inputs = fuse(*CASES["picture"], engine.checkpoint, True)
    cold = run(engine, inputs)
    engine.scheduler.snapshots.clear()
    engine.warm_up()
    monkeypatch.setattr(local, "measure", lambda *_: pytest.fail("it is measured a second time"))
    assert engine.roofline().weight_bytes > 0
    assert engine.scheduler.stack.slots.lengths == [0] * engine.scheduler.stack.slots.rows
    assert run(engine, inputs) == cold


def test_one_line_says_which_kernels_run(int8_engine: LocalEngine) -> None:
    held = "int8 weights by oneDNN" if can_pack_int8(CPU) else "int8 weights"
    assert int8_engine.info.kernels == f"decode: torch, {held}; prefill: torch"
    decode = "TorchScript trace" if HAS_TORCHSCRIPT else "torch"
    assert kernels_of(torch.device("cpu"), "full") == f"decode: {decode}; prefill: torch"
    assert kernels_of(torch.device("cpu"), "full", has_experts=True) == "decode: torch; prefill: torch"
    assert kernels_of(torch.device("cuda"), "full", replays=False).startswith("decode: torch; prefill: ")
    assert kernels_of(torch.device("cuda"), "full").startswith("decode: CUDA graphs; prefill: ")
    told = kernels_of(torch.device("cuda"), "int8", is_fused=True)
    assert told == "decode: CUDA graphs of Triton kernels, int8 weights; prefill: Triton kernels"
