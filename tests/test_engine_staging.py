"""Weights in eight bits on their way to a device that may have no room for them as they are stored."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pipelines.engine import LocalEngine, weights
from pipelines.engine.loading import load_model
from pipelines.engine.placement import SPREAD, Placement, choose_placement
from pipelines.engine.stack import Stack
from pipelines.fusion import fuse
from pipelines.models import DEMO_FOLDER
from pipelines.types import Sampling, Settings
from tests.engine_cases import CASES, run


def test_one_layer_at_a_time_is_on_the_device_as_it_is_stored() -> None:
    """All of them were: of the 9B, said to fit 16 GB in eight bits, 19 GB came there first."""
    placement = choose_placement(DEMO_FOLDER, "int8")
    model = load_model(DEMO_FOLDER, "demo", placement, is_staged=placement.is_staged("int8"))
    there: list[nn.Module] = []

    def put(part: nn.Module) -> None:
        is_whole = [
            one.weight.is_floating_point() and type(one.weight.data) is torch.Tensor
            for before in there
            for one in before.modules()
            if isinstance(one, nn.Linear)
        ]
        assert not any(is_whole)
        there.append(part)

    Stack(model, 2, "int8", put)
    assert there[0] is model.lm_head
    holding = {one for one in model.modules() if one._parameters or one._buffers}
    assert holding <= {one for part in there for one in part.modules()}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_staged_weights_have_the_number_format_of_their_place(dtype: torch.dtype) -> None:
    """As those have that are loaded where they belong; what positions turn by stays exact."""
    placement = Placement("cpu", dtype, "a CPU", 1)
    staged = LocalEngine.load(DEMO_FOLDER, "demo", placement, "int8")
    direct = LocalEngine(
        load_model(DEMO_FOLDER, "demo", placement), staged.checkpoint, "demo", placement, weights="int8"
    )
    ours, theirs = (
        {name: tensor.dtype for name, tensor in (*one.named_parameters(), *one.named_buffers())}
        for one in (staged.model, direct.model)
    )
    assert ours == theirs
    assert dtype in ours.values()
    inputs, settings = (
        fuse(*CASES["picture"], staged.checkpoint, True),
        Settings(sampling=Sampling(), max_new_tokens=12),
    )
    assert run(staged, inputs, settings) == run(direct, inputs, settings)


def test_only_weights_in_eight_bits_on_one_device_are_staged() -> None:
    placement = choose_placement(DEMO_FOLDER)
    assert [placement.is_staged(held) for held in ("full", "int8", "fp8")] == [False, True, True]
    assert not Placement(SPREAD, torch.bfloat16, "2 x H").is_staged("int8")


@pytest.mark.parametrize("numbers", [1, 5 * 96, 2**24])
def test_weights_that_are_quantised_in_parts_are_the_same(numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    weight = torch.randn(70, 96, dtype=torch.bfloat16)
    whole = weights._int8(weight)
    monkeypatch.setattr(weights, "QUANTISED_NUMBERS", numbers)
    given, scale = weights._int8_in_parts(weight)
    assert torch.equal(given, whole.qdata)  # type: ignore[attr-defined]
    assert torch.equal(scale, whole.scale.flatten().bfloat16())  # type: ignore[attr-defined]


def test_the_layers_of_transformers_widen_the_same_numbers_as_a_step_does() -> None:
    torch.manual_seed(0)
    linears = [nn.Linear(96, outputs, bias=False).bfloat16() for outputs in (30, 70, 1)]
    true = torch.cat([linear.weight.detach().float() for linear in linears])
    numbers, scale = weights._int8_in_parts(torch.cat([linear.weight.detach() for linear in linears]))
    product, values = weights._widened(linears, numbers, scale), torch.randn(3, 96).bfloat16()
    parts = torch.cat([linear(values[None]) for linear in linears], dim=-1)
    assert torch.allclose(parts[0], product(values), atol=1e-2)
    assert torch.allclose(product(values).float(), values.float() @ true.T, atol=0.1)
    assert sum(linear.weight.nbytes for linear in linears) == true.numel()
