"""The recurrence of Gated DeltaNet over many tokens, in its parallel form (Yang et al. 2024, "Gated Delta Networks").

Within a chunk, what a token writes depends on what those before it wrote: a triangular system, which is solved for all
chunks at once, both for what they write by themselves and for what the state takes away from that. From chunk to chunk
only the state goes on.
"""

from __future__ import annotations

import torch

CHUNK_TOKENS = 64
"""At most: what the tokens of a chunk do to each other grows by the square of their number."""
FADED = -80.0
"""Logarithm of what is nothing to a float32: a CPU takes far longer for powers that it can hardly hold."""


def chunked(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    decay: torch.Tensor,
    strength: torch.Tensor,
    state: torch.Tensor,
) -> torch.Tensor:
    """What tokens see, [tokens, heads, head_dim] as `query`, `key` and `value`; `state` is brought on, in place.

    `decay` [tokens, heads] are the logarithms of what each leaves of the state [heads, key_dim, value_dim], `strength`
    [tokens, heads] is how much of a value it writes. All are float32.
    """
    num_tokens, heads = decay.shape
    num_chunks = -(-num_tokens // CHUNK_TOKENS)
    query, key, value, decay, strength = (
        _cut(one, num_chunks) for one in (query, key, value, decay, strength[:, :, None])
    )
    since = decay.cumsum(1)
    between = (since[:, :, None] - since[:, None]).tril().clamp_(min=FADED).exp_()
    left, whole = since.exp()[:, :, None], since[:, -1:, None]
    weaker = key * strength
    system = torch.bmm(weaker, key.transpose(1, 2)) * between  # below its diagonal: the solver reads nothing else
    sides = torch.cat([value * strength, weaker * left], dim=-1)
    # solved for all sides at once it takes a CPU longer than its inverse and the product by that
    identity = torch.eye(system.shape[1], dtype=system.dtype, device=system.device).expand_as(system)
    solved = torch.bmm(torch.linalg.solve_triangular(system, identity, upper=False, unitriangular=True), sides)
    parts = (
        *torch.split(solved, [value.shape[2], key.shape[2]], dim=-1),
        query * left,
        (torch.bmm(query, key.transpose(1, 2)) * between).tril(),
        (key * (whole - since[:, :, None]).exp()).transpose(1, 2),
        whole.exp(),
    )
    seen = []
    for own, taken, looking, among, writing, lasting in zip(*(torch.split(part, heads) for part in parts), strict=True):
        written = torch.baddbmm(own, taken, state, alpha=-1)
        seen.append(torch.baddbmm(torch.bmm(looking, state), among, written))
        state.mul_(lasting).baddbmm_(writing, written)
    return torch.stack(seen).transpose(1, 2).flatten(0, 1)[:num_tokens]


def _cut(values: torch.Tensor, num_chunks: int) -> torch.Tensor:
    """Values [tokens, heads, ...] as chunks of one size, [chunks x heads, tokens of a chunk, ...].

    Zeros fill the last one: such tokens change nothing.
    """
    size = -(-len(values) // num_chunks)
    fill = num_chunks * size - len(values)
    if fill:
        values = torch.cat([values, values.new_zeros(fill, *values.shape[1:])])
    return values.view(num_chunks, size, *values.shape[1:]).transpose(1, 2).flatten(0, 1)
