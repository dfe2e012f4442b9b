"""Whether the kernels for a GPU do what plain torch does there, with the weights that they are for.

No two generations of GPUs and compilers are alike, and a wrong kernel gives fluent, wrong text without an error. So
when a model is loaded both run a short piece, a step of each number of rows, as each is shared out over the GPU in a
way of its own, draws of the next token, and small frames through the vision tower, and must come to the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from itertools import count, takewhile
from math import prod

import torch

from pipelines.engine.captured import Recordable
from pipelines.engine.draws import Draws
from pipelines.engine.lean import LeanStack
from pipelines.engine.lean_tower import LeanTower
from pipelines.engine.places import Keep
from pipelines.engine.sampler import AHEAD, Choice, Likeliest, Likely, Stepped, sampled
from pipelines.engine.slots import SlotCache
from pipelines.types import Sampling

NUM_TOKENS, NUM_KEPT = 150, 100
"""Of the piece, and behind how many its states are kept: three chunks of the recurrence, of which one is full."""
GRID = 2, 4, 6
"""Frames, lines and columns of the patches."""
TOLERANCE = {torch.float32: 0.01}
"""How far apart the two may be, as a share of the length of what torch gives."""
HALF_TOLERANCE = 0.25
"""For numbers of two bytes, which lose some in every layer: after 32 of them two right ways are further from each other
than either is from float32."""
SAMPLINGS = (
    Sampling(temperature=1.0, top_k=20, top_p=0.95, presence_penalty=1.53),
    Sampling(temperature=0.6, top_k=40, repetition_penalty=1.137),
    Sampling(temperature=2.0, top_k=64, top_p=0.9, min_p=0.05),
    Sampling(presence_penalty=1.53, repetition_penalty=1.317),
)
"""What tokens are drawn by. The penalties make no two of the highest logits equal."""
NUM_DRAWS = 6
NUM_HIGH = 100
NEAR = 1e-3
"""As near to a number that is drawn by, the token may be that of another one."""

Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Logits [rows, vocabulary] of `given` int64 [3, rows], whose tokens are those of the second, int64 [rows], where they
are below 0, and are written there then.
"""

_log = logging.getLogger(__name__)


@torch.inference_mode()
def are_right(stack: LeanStack, slots: SlotCache, step: Step, piece: Recordable, likeliest: Likeliest) -> bool:
    """Whether `step` and `piece` stand for those of `stack`, and `likeliest` finds what torch does; a warning says why
    not.

    No row may be in use; the slots are released. Raises torch.OutOfMemoryError.
    """
    wrong = _wrong(stack, slots, step, piece, likeliest)
    is_right = _may_stand("The kernels of Triton", stack.embed.device, wrong)
    slots.release()
    return is_right


@torch.inference_mode()
def see_alike(ours: Recordable, theirs: LeanTower) -> bool:
    """Whether a tower of kernels, called as `LeanTower` is, stands for that of plain torch; a warning says why not.

    Raises torch.OutOfMemoryError.
    """
    return _may_stand("The kernels of Triton for pictures", theirs.device, _wrong_sight(ours, theirs))


@torch.inference_mode()
def draw_alike(draws: Draws, embed: torch.Tensor) -> bool:
    """Whether tokens are drawn as plain torch does, on the device and in the dtype of `embed` [vocabulary, hidden]; a
    warning says why not.

    Raises torch.OutOfMemoryError.
    """
    return _may_stand("The kernels of Triton for draws", embed.device, _wrong_draws(draws, embed))


def _may_stand(kernels: str, device: torch.device, wrong: Iterator[str]) -> bool:
    """Whether nothing is wrong with some kernels; a warning says what is."""
    try:
        # kernels are launched on a thread's current GPU
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            said = next(wrong, None)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # of a compiler or a library that does not know this GPU
        said = f"{type(error).__name__}: {error}"
    if said is not None:
        _log.warning("%s are not used on this GPU: %s", kernels, said)
    return said is None


def _wrong_sight(ours: Recordable, theirs: LeanTower) -> Iterator[str]:
    """What differs."""
    patches, places = theirs.patches(prod(GRID)), theirs.places(GRID)
    yield from _apart("what is seen", [ours(patches, places)], [theirs(patches, places)])


def _wrong(stack: LeanStack, slots: SlotCache, step: Step, piece: Recordable, likeliest: Likeliest) -> Iterator[str]:
    """What differs."""
    slots.reserve(NUM_TOKENS + 1)
    device, vocabulary = stack.embed.device, len(stack.embed)
    hidden = stack.embed[torch.arange(NUM_TOKENS, device=device) * 7 % vocabulary]
    positions = torch.arange(NUM_TOKENS, device=device).expand(3, -1).contiguous()
    numbers = torch.tensor([[0], [NUM_TOKENS], [NUM_KEPT]], device=device)
    for row in range(slots.rows):
        slots.clear(row)
    window = slots.window(slice(0, 1), NUM_TOKENS, is_masked=True)
    keep, room = Keep(NUM_KEPT, slots.new_states()), slots.new_states()
    theirs = stack.piece(hidden, stack.span(0, NUM_TOKENS, numbers[:2], positions, window, keep=keep))
    expected = [*_held(slots, NUM_TOKENS), *keep.states]
    slots.clear(0)
    ours = piece(0, hidden, numbers, positions, room)
    yield from _apart("a piece", [ours, *_held(slots, NUM_TOKENS), *room], [theirs, *expected])
    for rows in _numbers_of_rows(slots.rows - 1):
        held = torch.tensor([NUM_TOKENS, *[0] * (rows - 1)], device=device)
        given = torch.stack([held % vocabulary, held, held])
        before = [[tensor.clone() for tensor in pair] for pair in slots.layers]
        theirs = stack.step(given, slots.window(slice(rows), NUM_TOKENS + 1, is_masked=True))
        expected = _held(slots, NUM_TOKENS + 1)
        for pair, kept in zip(slots.layers, before, strict=True):
            for tensor, values in zip(pair, kept, strict=True):
                tensor.copy_(values)
        asked, ids = given.clone(), given[0].clone()
        asked[0, ::2] = AHEAD
        ours = step(asked, ids)
        yield from _apart(f"a step of {rows}", [ours, *_held(slots, NUM_TOKENS + 1)], [theirs, *expected])
        _, pairs, wholes = likeliest(theirs, ids)
        expected = [theirs.float().log_softmax(-1).max(-1).values, theirs.float().logsumexp(-1)]
        yield from _apart("what is likeliest", [pairs[:, 1], wholes], expected)
        is_likeliest = torch.equal(theirs.gather(1, ids[:, None]), theirs.max(-1, keepdim=True).values)
        if not is_likeliest or not torch.equal(pairs[:, 0], ids.float()):
            yield "the likeliest token is another one"
        if not torch.equal(asked, given):
            yield "a step was fed other tokens"


def _wrong_draws(draws: Draws, embed: torch.Tensor) -> Iterator[str]:
    """What differs. Tokens among the likeliest are in the prompt, in the reply, and fed."""
    device, rows = embed.device, draws.rows
    generator = torch.Generator().manual_seed(0)
    order = torch.stack([torch.randperm(len(embed), generator=generator) for _ in range(rows)])
    high = order[:, :NUM_HIGH].to(device)
    logits = torch.randn(order.shape, generator=generator).to(device, embed.dtype)
    values = 12 - torch.arange(high.shape[1], device=device) / 16  # which differ in two bytes too
    logits.scatter_(1, high, values.to(logits.dtype).expand(rows, -1))
    likely = Likely(high[:, 0], logits[:, :2].float(), logits.float().logsumexp(-1))
    for first in range(len(SAMPLINGS)):
        settings = [SAMPLINGS[(first + row) % len(SAMPLINGS)] for row in range(rows)]
        ours, theirs = (
            [Choice(one, row, *order[row, 3:9].view(2, -1).tolist()) for row, one in enumerate(settings)]
            for _ in range(2)
        )
        for turn in range(NUM_DRAWS):
            fed, ids = high[:, turn].contiguous(), torch.empty_like(high[:, 0])
            numbers = draws.numbers(ours, rows)
            assert numbers is not None
            pairs = draws(Stepped(logits, fed, likely), draws.sent(numbers), ids)
            marks = [choice.draw() for choice in theirs]
            near = [
                sampled(logits.float(), theirs, fed, [min(max(mark + by, 0.0), 1.0) for mark in marks])
                for by in (-NEAR, 0.0, NEAR)
            ]
            if not torch.equal(ids.float(), pairs[:, 0]) or not bool((torch.stack(near) == ids).any(0).all()):
                yield "a token that is drawn is another one"
            expected = logits.float().log_softmax(-1).gather(1, ids.clamp(0, len(embed) - 1)[:, None])[:, 0]
            yield from _apart("what a token is drawn by", [pairs[:, 1]], [expected])


def _numbers_of_rows(most: int) -> list[int]:
    """Those that steps are rounded up to: powers of two, and `most`."""
    return [*takewhile(lambda rows: rows < most, (1 << power for power in count())), most]


def _held(slots: SlotCache, num_tokens: int) -> list[torch.Tensor]:
    """What the first row holds of so many tokens, as tensors of their own."""
    return [
        (tensor[0] if is_linear else tensor[0, :, :num_tokens]).clone()
        for is_linear, pair in zip(slots.is_linear, slots.layers, strict=True)
        for tensor in pair
    ]


def _apart(what: str, ours: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor]) -> Iterator[str]:
    for one, other in zip(ours, theirs, strict=True):
        most = TOLERANCE.get(ours[0].dtype, HALF_TOLERANCE)
        share = float((one.float() - other.float()).norm() / other.float().norm().clamp(min=1e-6))
        if not share <= most:  # nor is what is no number
            yield f"{what} is {share:.0%} off"
