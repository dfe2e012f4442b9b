"""Token ids to text as they come."""

from __future__ import annotations

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from pipelines.types import Token


class Detokenizer:
    """Gives the text of a reply piece by piece, a multi-byte character only when it is whole."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._stream = DecodeStream(skip_special_tokens=False)

    def take(self, token_id: int, logprob: float | None = None) -> Token:
        """The token with the text that it completes."""
        return Token(token_id, self._stream.step(self._tokenizer, token_id) or "", logprob)
