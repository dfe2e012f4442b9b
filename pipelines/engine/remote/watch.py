"""When the thought of a reply has to end: its tokens are used up, or the user wants the answer."""

from __future__ import annotations

from threading import Event as Flag

from pipelines.engine.base import Piece
from pipelines.types import Settings, ThoughtEnd


class Watch:
    """Watches one reply. Its thought is open from its first piece on, where it thinks."""

    def __init__(self, settings: Settings, hurry: Flag) -> None:
        self._may_think, self._left, self._hurry = settings.thinking, settings.max_thinking_tokens, hurry
        self._is_open = False
        self._text = ""

    def after(self, piece: Piece | None) -> ThoughtEnd | None:
        """Take in the next piece, or that none came; why the thought ends here, where it does."""
        if piece is not None:
            self._take(piece)
        if not self._is_open:
            return None
        return "asked" if self._hurry.is_set() else "budget" if self._left is not None and self._left <= 0 else None

    def _take(self, piece: Piece) -> None:
        self._text = (self._text + piece.text)[-32:] if piece.channel is None else ""
        if piece.channel in ("answer", "tool_call") or "</think>" in self._text:
            self._may_think = False
        self._is_open = self._may_think
        if self._left is not None:
            self._left -= piece.num_tokens
