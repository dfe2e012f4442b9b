"""Files that were whole once: bytes flipped, cut out, doubled, or taken from another file. Repeatable by their seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

MAX_SEED_BYTES = 200_000
EDGES = (0, 1, 0x7F, 0x80, 0xFF)


def mutants(seeds: Sequence[Path], folder: Path, count: int, seed: int) -> Iterator[Path]:
    """Write `count` mutants of the small ones among `seeds`, each under a name that tells where it is from."""
    rng = random.Random(seed)
    small = [path for path in seeds if 0 < path.stat().st_size <= MAX_SEED_BYTES]
    for number in range(count):
        origin, other = rng.choice(small), rng.choice(small)
        path = folder / f"mutant-{number}-of-{origin.name}"
        path.write_bytes(mutant(origin.read_bytes(), other.read_bytes(), rng))
        yield path


def mutant(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """One changed copy. The first bytes mostly stay, or every mutant would be refused as of no known kind."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 2, 4, 16, 64))):
        at = rng.randrange(min(8, len(changed) - 1), len(changed)) if len(changed) > 1 else 0
        _change(changed, other, at, rng)
        if not changed:
            break
    return bytes(changed)


def _change(changed: bytearray, other: bytes, at: int, rng: random.Random) -> None:
    length = rng.choice((1, 2, 4, 8, 256))
    how = rng.randrange(6)
    if how == 0:
        changed[at] ^= 1 << rng.randrange(8)
    elif how == 1:
        changed[at : at + length] = bytes([rng.choice(EDGES)] * length)
    elif how == 2:
        del changed[at : at + length]
    elif how == 3:
        changed[at:at] = changed[at : at + length]
    elif how == 4:
        start = rng.randrange(len(other))
        changed[at : at + length] = other[start : start + length]
    elif rng.random() < 0.2:
        del changed[at:]
