"""A piece of a prompt out of kernels for NVIDIA GPUs: eleven launches a layer, or nine where it attends, of which four
are products by torch. A short piece, which looks at its past in parts, takes one more there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton

from pipelines.engine import fused, fused_attention, fused_convolution, fused_delta
from pipelines.engine.attention import Attention
from pipelines.engine.delta import GatedDelta
from pipelines.engine.lean import Feed, LeanStack
from pipelines.engine.norms import Norm
from pipelines.engine.slots import SlotCache, States
from pipelines.engine.weights import Matrix

CHUNK = fused_delta.CHUNK
COLUMNS = 256
"""Numbers of a token that are worked on at once where each is by itself."""
EXACT, CLOSE = "tf32x3", "bf16x3"
"""Precisions of float32: but for its last bits, and to about 1e-5, far below where numbers of two bytes are rounded."""
ENOUGH_BLOCKS, MOST_SPLITS = 128, 16
"""Blocks of threads that keep a GPU busy, and the parts of the past that are looked at side by side to reach them."""
FEW_CONV_TOKENS = 8
"""What a convolution takes at once of a short piece, for as many blocks."""
LEAST_BLOCK = 16
"""What tensor cores multiply at least, in each direction."""


@dataclass(frozen=True)
class BlockSizes:
    """How pieces are shared out over a GPU.

    So many `tokens` are worked on at once where each number is by itself. With attention they are `queries`, which look
    at so many `places`, by so many `warps`, and so many `stages` are fetched ahead. The chunks of a recurrence are
    prepared by `chunk_warps` each, and walked for `walk_columns` of the state by `walk_warps`. A convolution takes
    `conv_tokens` of `conv_columns`.
    """

    tokens: int
    queries: int
    places: int
    warps: int
    stages: int
    chunk_warps: int = 4
    walk_columns: int = 32
    walk_warps: int = 4
    walk_stages: int = 1
    conv_tokens: int = 32
    conv_columns: int = 512


SHORT, LONG = BlockSizes(8, 64, 32, 8, 2, walk_stages=2), BlockSizes(8, 16, 16, 4, 1, chunk_warps=8)
"""For numbers of two bytes, in what a GPU for consumers keeps beside its threads (99 KB), and of four, in more."""
WIDE = BlockSizes(8, 64, 32, 4, 2, walk_stages=3)
"""For numbers of two bytes on Hopper, with 227 KB: there four warps feed tensor cores together, with 64 rows."""
HOPPER = 9
"""The first number of its compute capability."""


def blocks_for(dtype: torch.dtype, capability: tuple[int, int]) -> BlockSizes:
    """How to share out pieces of a dtype over a GPU of a compute capability."""
    if dtype.itemsize == 4:
        return LONG
    return WIDE if capability[0] == HOPPER else SHORT


@dataclass(frozen=True, eq=False)
class _Given:
    """What all layers are told of a piece: `row`, `numbers` and the length of what attention sees, whole chunks."""

    row: int
    numbers: torch.Tensor
    turns: tuple[torch.Tensor, torch.Tensor]
    size: int


class FusedPiece:
    """Stands for `LeanStack.piece` on a GPU, over the same slots and weights; it looks at what is filled by itself.

    A row that holds nothing need not be cleared, and its caches need room for no more than the tokens that count.
    """

    def __init__(self, stack: LeanStack, slots: SlotCache) -> None:
        self._stack, self._slots = stack, slots
        device = stack.embed.device
        capability = torch.cuda.get_device_capability(device) if device.type == "cuda" else (0, 0)
        self.blocks = blocks_for(stack.embed.dtype, capability)

    def __call__(
        self, row: int, hidden: torch.Tensor, numbers: torch.Tensor, positions: torch.Tensor, kept: States
    ) -> torch.Tensor:
        """The last hidden state [1, hidden], as `LeanStack.piece` gives it.

        `numbers` int64 [3, 1] are how many tokens stand before the piece, how many of its own count, and behind how
        many of these the states of the linear layers are kept, in `kept`; as many as count say that they are not.
        """
        stack = self._stack
        hidden, numbers = hidden.clone(), numbers.flatten()
        cosines, sines = (one.contiguous() for one in stack.rotary.turns(positions, hidden.dtype))
        given = _Given(row, numbers, (cosines, sines), -(-len(hidden) // CHUNK) * CHUNK)
        kept_of = zip(*kept, strict=True)
        for index, layer in enumerate(stack.layers):
            values = _normed(hidden, layer.before)
            if isinstance(layer.mixer, GatedDelta):
                seen = self._recurred(values, layer.mixer, index, given, *next(kept_of))
            else:
                seen = self._attended(values, layer.mixer, index, given)
            _add(hidden, seen, layer.mixer.out)
            assert isinstance(layer.feed, Feed)
            both = layer.feed.up(_normed(hidden, layer.between))
            num_tokens, half = len(both), both.shape[1] // 2
            fed = hidden.new_empty(num_tokens, half)
            grid = (-(-half // COLUMNS), -(-num_tokens // self.blocks.tokens))
            fused.halve[grid](both, fed, num_tokens, half, BLOCK_T=self.blocks.tokens, BLOCK=COLUMNS, num_warps=4)
            _add(hidden, fed, layer.feed.down)
        return _normed(hidden.index_select(0, numbers[1:2] - 1), stack.norm)

    def _recurred(
        self,
        values: torch.Tensor,
        mixer: GatedDelta,
        index: int,
        given: _Given,
        kept_conv: torch.Tensor,
        kept_state: torch.Tensor,
    ) -> torch.Tensor:
        """What a layer of Gated DeltaNet sees, [tokens, heads x head_dim]."""
        conv, state = (tensor[given.row] for tensor in self._slots.layers[index])
        mixed = mixer.into(values)
        (num_tokens, width), num_conv, heads = mixed.shape, len(conv), mixer.heads
        key_dim, value_dim = mixer.key_dim, mixer.value_dim
        convolved = mixed.new_empty(num_tokens, num_conv)
        columns, tokens = self.blocks.conv_columns, self.blocks.conv_tokens
        tokens = tokens if num_tokens > CHUNK else min(tokens, FEW_CONV_TOKENS)
        fused_convolution.convolve[-(-num_conv // columns), -(-num_tokens // tokens)](
            mixed, given.numbers, conv, kept_conv, mixer.kernel, convolved, width, num_conv,
            BLOCK_T=tokens, BLOCK_C=columns, num_warps=4,
        )  # fmt: skip
        num_chunks = given.size // CHUNK + 1
        size = num_chunks * CHUNK
        queries, keys, reads = (mixed.new_empty(heads, size, key_dim) for _ in range(3))
        writes = mixed.new_empty(heads, size, value_dim)
        within = mixed.new_empty(heads, size, CHUNK)
        left = mixed.new_empty((heads, num_chunks), dtype=torch.float32)
        block_key, block_value = _block(key_dim), _block(value_dim)
        fused_delta.prepare[num_chunks, heads](
            convolved, mixed, given.numbers, mixer.rate, mixer.bias, queries, keys, reads, writes, within, left,
            num_conv, width, size, heads, heads // mixer.key_heads, key_dim, value_dim,
            CHUNK=CHUNK, BLOCK_KEY=block_key, BLOCK_VALUE=block_value, KIND=EXACT if mixed.itemsize == 4 else CLOSE,
            num_warps=self.blocks.chunk_warps, num_stages=1,
        )  # fmt: skip
        seen = mixed.new_empty(num_tokens, heads * value_dim)
        columns = min(block_value, self.blocks.walk_columns)
        fused_delta.walk[heads, -(-value_dim // columns)](
            queries, keys, reads, writes, within, left, given.numbers, state, kept_state, seen,
            size, heads, key_dim, value_dim,
            CHUNK=CHUNK, BLOCK_KEY=block_key, BLOCK_VALUE=columns,
            num_warps=self.blocks.walk_warps, num_stages=self.blocks.walk_stages,
        )  # fmt: skip
        gated, num_lines = torch.empty_like(seen), num_tokens * heads
        fused_delta.gate[(-(-num_lines // self.blocks.tokens),)](
            seen, mixed, given.numbers, mixer.norm, gated, width, num_conv, num_lines, heads, value_dim, mixer.eps,
            BLOCK_T=self.blocks.tokens, BLOCK=block_value, num_warps=4,
        )  # fmt: skip
        return gated

    def _attended(self, values: torch.Tensor, mixer: Attention, index: int, given: _Given) -> torch.Tensor:
        """What a layer of attention sees, [tokens, heads x head_dim]."""
        keys, kept = (tensor[given.row] for tensor in self._slots.layers[index])
        mixed, dim = mixer.into(values), mixer.dim
        num_tokens, capacity, block = len(mixed), keys.shape[1], _block(dim)
        sizes = (capacity, mixer.heads, mixer.key_heads, dim)
        queries = mixed.new_empty(num_tokens, mixer.heads, dim)
        fused_attention.place[mixer.heads + 2 * mixer.key_heads, -(-num_tokens // self.blocks.tokens)](
            mixed, given.numbers, mixer.norms, *given.turns, self._stack.rotary.partners, queries, keys, kept,
            num_tokens, *sizes, mixer.eps,
            BLOCK_T=self.blocks.tokens, BLOCK=block, num_warps=4,
        )  # fmt: skip
        seen = mixed.new_empty(given.size, mixer.heads * dim)
        blocks, num_blocks = self.blocks, given.size // self.blocks.queries
        splits = _splits(mixer.heads * num_blocks)
        room = mixer.heads, splits, given.size if splits > 1 else 0
        sums = mixed.new_empty((*room, dim), dtype=torch.float32)
        tops, weights = (sums.new_empty(room) for _ in range(2))
        fused_attention.look_back[mixer.heads, num_blocks, splits](
            queries, keys, kept, given.numbers, mixed, seen, sums, tops, weights, given.size, *sizes, mixer.scale,
            GROUP=mixer.heads // mixer.key_heads, BLOCK=block, BLOCK_T=blocks.queries, PLACES=blocks.places,
            SPLITS=splits, num_warps=blocks.warps, num_stages=blocks.stages,
        )  # fmt: skip
        if splits > 1:
            fused_attention.gather[mixer.heads, -(-given.size // blocks.tokens)](
                sums, tops, weights, given.numbers, mixed, seen, given.size, *sizes[1:],
                BLOCK=block, BLOCK_T=blocks.tokens, SPLITS=splits, num_warps=4,
            )  # fmt: skip
        return seen[:num_tokens]


def _normed(values: torch.Tensor, norm: Norm) -> torch.Tensor:
    rows, size = values.shape
    normed = torch.empty_like(values)
    fused.normed[(rows,)](values, norm.given, normed, size, norm.eps, BLOCK=_block(size), OVERLAP=False, num_warps=4)
    return normed


def _add(hidden: torch.Tensor, values: torch.Tensor, matrix: Matrix) -> None:
    """Add a product to `hidden`, in place."""
    if matrix.scale is None:
        hidden.addmm_(values, matrix.weight.t())
    else:
        hidden.add_(matrix(values))


def _splits(num_blocks: int) -> int:
    """Parts of the past that blocks of threads with attention are shared out over, where there are only so many."""
    splits = min(MOST_SPLITS, ENOUGH_BLOCKS // num_blocks)
    return 1 << splits.bit_length() - 1 if splits else 1


def _block(size: int) -> int:
    return max(LEAST_BLOCK, int(triton.next_power_of_2(size)))
