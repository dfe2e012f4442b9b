"""The likeliest token by the kernels for GPUs in Triton's interpreter, beside plain torch: a process of its own, as
TRITON_INTERPRET=1 has to be set before Triton is imported.

It prints a line of JSON for each case: whether the tokens are the same, and how far apart their log probabilities and
the sums of all powers are.
"""

from __future__ import annotations

import json

import torch

from pipelines.engine.fused_choice import PARTS, FusedChoice

SIZES = 1, 3, PARTS - 1, PARTS, PARTS + 1, 5 * PARTS, 5 * PARTS + 3


def cases() -> list[tuple[str, torch.Tensor]]:
    """Logits [rows, vocabulary]."""
    torch.manual_seed(0)
    drawn = [(f"{size} tokens", torch.randn(3, size)) for size in SIZES]
    equal = torch.zeros(2, 5 * PARTS)
    barred = torch.randn(2, 5 * PARTS)
    barred[:, PARTS : 3 * PARTS] = -torch.inf  # whole parts
    alone = torch.full((1, 5 * PARTS), -torch.inf)
    alone[0, 7] = 3.0
    short = ("bfloat16", torch.randn(2, 5 * PARTS).bfloat16())
    return [*drawn, ("equal ones", equal), ("some barred", barred), ("all but one barred", alone), short]


if __name__ == "__main__":
    likeliest = FusedChoice(torch.device("cpu"))
    for name, logits in cases():
        ids = torch.full((len(logits),), -1)
        _, pairs, wholes = likeliest(logits, ids)
        found, logprobs = pairs.unbind(-1)
        expected = logits.float().log_softmax(-1).max(-1).values
        is_same = torch.equal(ids, logits.float().argmax(-1)) and torch.equal(found, ids.float())
        apart = (logprobs - expected).abs().max(), (wholes - logits.float().logsumexp(-1)).abs().max()
        print(json.dumps([name, is_same, *map(float, apart)]), flush=True)
