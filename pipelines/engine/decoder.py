"""Token ids to text as they come, and the choice of the next id."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from pipelines.types import Sampling, Token


class Detokenizer:
    """Gives the text of a reply piece by piece, a multi-byte character only when it is whole."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._stream = DecodeStream(skip_special_tokens=False)

    def take(self, token_id: int) -> Token:
        """The token with the text that it completes."""
        return Token(token_id, self._stream.step(self._tokenizer, token_id) or "")


class Sampler:
    """Chooses the next token of one reply, on the device of the logits.

    Order of the steps as in transformers' `generate`: penalty, temperature, top-k, top-p. The presence penalty takes a
    fixed amount from every token that the reply holds already (as vLLM defines it).
    """

    def __init__(self, sampling: Sampling, seed: int, device: torch.device) -> None:
        self._sampling = sampling
        self._generator = torch.Generator(device).manual_seed(seed)
        self._seen: list[int] = []

    def choose(self, logits: torch.Tensor) -> int:
        """The id of the next token for float logits [vocabulary]."""
        logits = logits.float()
        if self._sampling.presence_penalty and self._seen:
            seen = torch.tensor(sorted(set(self._seen)), device=logits.device)
            logits = logits.index_add(
                0, seen, torch.full_like(seen, -self._sampling.presence_penalty, dtype=torch.float)
            )
        chosen = int(self._draw(logits)) if self._sampling.temperature > 0 else int(logits.argmax())
        self._seen.append(chosen)
        return chosen

    def _draw(self, logits: torch.Tensor) -> torch.Tensor:
        top_k = min(self._sampling.top_k or logits.numel(), logits.numel())
        values, ids = torch.topk(logits / self._sampling.temperature, top_k)
        probabilities = values.softmax(-1)
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.masked_fill(before >= self._sampling.top_p, 0.0)
        return ids[torch.multinomial(probabilities, 1, generator=self._generator)]
