"""Products with what follows them, and the recurrence in chunks, against what they amount to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from pipelines.engine import affine as affines
from pipelines.engine.affine import affine, affine_gelu
from pipelines.engine.chunks import chunked

HEADS, DIM = 3, 16


@pytest.mark.parametrize("num_rows", [7, affines.LEAST_ROWS])
@pytest.mark.parametrize("is_onednn", [True, False], ids=["one operation", "as torch has them"])
@pytest.mark.parametrize(("dtype", "apart"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)], ids=["fp32", "bf16"])
@torch.inference_mode()
def test_a_linear_layer_with_what_follows_it(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, apart: float, is_onednn: bool, num_rows: int
) -> None:
    if not is_onednn:
        monkeypatch.setattr(affines, "_has_onednn", lambda _weight: False)
    linear, values = nn.Linear(48, 33).to(dtype), torch.randn(num_rows, 48, dtype=dtype) * 3
    expected = F.linear(values.double(), linear.weight.double(), linear.bias.double())
    for found, wanted in (
        (affine(linear)(values), expected),
        (affine_gelu(linear)(values), F.gelu(expected, approximate="tanh")),
    ):
        assert found.dtype == dtype
        assert torch.allclose(found.double(), wanted, atol=apart, rtol=apart)


@torch.inference_mode()
def test_a_gelu_in_the_product_of_a_gpu() -> None:
    """Which is the exact one where no GPU is, and as close to that by tanh."""
    linear, values = nn.Linear(48, 33), torch.randn(7, 48) * 3
    found = affines._cublas_gelu(linear.weight, linear.bias, values)
    assert torch.allclose(found, F.gelu(linear(values), approximate="tanh"), atol=1e-3)


@contextmanager
def numbers_that_fade_are_zero() -> Iterator[None]:
    """As the engine's thread has it."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.parametrize("rate", [0.01, 1.0, 30.0, 1000.0])
@pytest.mark.parametrize("num_tokens", [1, 64, 150])
@torch.inference_mode()
def test_the_recurrence_in_chunks_is_that_of_one_token_after_another(num_tokens: int, rate: float) -> None:
    """Also where next to nothing, or nothing, is left of the state after each token."""
    query, key, value = torch.randn(3, num_tokens, HEADS, DIM, dtype=torch.float64).unbind()
    query, key = F.normalize(query, dim=-1), F.normalize(key, dim=-1)
    decay, strength = -rate * torch.rand(num_tokens, HEADS).double(), torch.rand(num_tokens, HEADS).double()
    state = torch.randn(HEADS, DIM, DIM, dtype=torch.float64)
    ours, given, seen = state.float(), [part.float() for part in (query, key, value)], []
    for one in range(num_tokens):
        state = state * decay[one].exp()[:, None, None]
        written = strength[one, :, None] * (value[one] - torch.einsum("hk,hkv->hv", key[one], state))
        state = state + torch.einsum("hk,hv->hkv", key[one], written)
        seen.append(torch.einsum("hk,hkv->hv", query[one], state))
    with numbers_that_fade_are_zero():
        found = chunked(given[0], given[1], given[2], decay.float(), strength.float(), ours)
    # The decays of a chunk add up to 64 times the rate, of which float32 keeps seven digits.
    assert torch.allclose(found.double(), torch.stack(seen), atol=1e-4 + 4e-6 * rate)
    assert torch.allclose(ours.double(), state, atol=1e-4)
