"""How far a request was from the best that its device could do."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.present.figures.rates import DECODING
from pipelines.types import Record, Roofline

ROUNDS_UP = 0.9995
"""Of a prefix: from so much on three digits are 1,000 of the one below."""


@dataclass(frozen=True)
class Limit:
    """A rate in tokens a second beside the best one, and what that comes of."""

    name: str
    rate: float
    best_rate: float
    basis: str

    @property
    def share(self) -> float:
        """The part of the best that was reached; above 1 where a cache gave more than was measured."""
        return self.rate / self.best_rate

    @property
    def in_words(self) -> str:
        """As `20% of the 100 tok/s that this device could do (10 MB a token at 1 GB/s)`."""
        share = f"{self.share:.0%}" if self.share >= 0.095 else f"{self.share:.1%}"
        return f"{share} of the {self.best_rate:,.0f} tok/s that this device could do ({self.basis})"


def limits(record: Record, best: Roofline | None) -> list[Limit]:
    """Of the decoding and of the prefill, as far as there was any."""
    if best is None:
        return []
    return [limit for limit in (_decode(record, best), _prefill(record, best)) if limit is not None]


def _decode(record: Record, best: Roofline) -> Limit | None:
    spans = [span for span in record.timing.spans if span.stage in DECODING and span.num_tokens]
    num_tokens, spent_ms = sum(span.num_tokens for span in spans), sum(span.duration_ms for span in spans)
    if not num_tokens or spent_ms <= 0:
        return None
    tokens = record.tokens
    prompt = tokens.text + tokens.visual + tokens.resumed
    held = prompt + (tokens.reasoning + tokens.answer) / 2  # of the mean step
    best_ms = sum(span.num_tokens * best.step_ms(span.num_rows, held) for span in spans)
    step_bytes = best.weight_bytes + best.state_bytes + held * best.token_bytes
    basis = f"{amount(step_bytes)}B a token at {amount(best.bytes_per_s)}B/s"
    return Limit("decode", num_tokens / spent_ms * 1000, num_tokens / best_ms * 1000, basis)


def _prefill(record: Record, best: Roofline) -> Limit | None:
    num_tokens = record.timing.stage_tokens.get("prefill", 0)
    spent_ms = record.timing.stage_ms.get("prefill", 0.0)
    if not num_tokens or spent_ms <= 0:
        return None
    basis = f"{amount(best.token_flops)}FLOP a token at {amount(best.flops_per_s)}FLOP/s"
    return Limit("prefill", num_tokens / spent_ms * 1000, num_tokens / best.prefill_ms(num_tokens) * 1000, basis)


def amount(number: float) -> str:
    """A number with a prefix of the metric system, as `12.8 M`."""
    for power, prefix in ((15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if number >= ROUNDS_UP * 10**power:
            return f"{number / 10**power:.3g} {prefix}"
    return f"{number:.3g} "
