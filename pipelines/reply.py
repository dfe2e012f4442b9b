"""Splits a streamed reply into reasoning, answer and tool calls.

Contract: whatever the cuts of the stream, `feed` for each piece and one `flush` give the same text on each channel, in
the same order. The start comes from the prompt's end (`thinking_open`), since a prompt that thinks already holds the
`<think>`. A reply that runs out before `</think>` is reasoning only.

- `<think>` counts only while nothing else has come; later it is plain text, as is every tag out of its place.
- `</think>` ends the reasoning, and inside an answer it is dropped. `unopened` is how much of an answer stood before
  the first one, where no reasoning did: a model that was told not to think may have thought in it.
- `<tool_call>` ends the reasoning too; after `</tool_call>` the answer goes on, so the white space around a call in
  the middle of an answer stays as the gap between its two parts.
- Each channel starts at its first character that is not a space and ends at its last.

Held back are the beginning of a possible tag and the white space that may turn out to be the last of its channel.
Nothing raises, and the work is linear in the text even for one character at a time.
"""

from __future__ import annotations

from itertools import groupby

from pipelines.types import Channel, Delta

_THINK, _END_OF_THOUGHT = "<think>", "</think>"
_EXITS: dict[Channel, dict[str, Channel]] = {
    "reasoning": {_END_OF_THOUGHT: "answer", "<tool_call>": "tool_call"},
    "answer": {_END_OF_THOUGHT: "answer", "<tool_call>": "tool_call"},
    "tool_call": {"</tool_call>": "answer"},
}


class ReplySplitter:
    """An incremental splitter of one reply: `feed` each piece of text, then `flush` once."""

    def __init__(self, thinking_open: bool) -> None:
        self._channel: Channel = "reasoning" if thinking_open else "answer"
        self._is_at_start = True
        self._held = ""
        self._spaces: dict[Channel, list[str]] = {}
        self._num_answered = 0
        self.unopened: int | None = None

    @property
    def channel(self) -> Channel:
        """The channel in which the next token counts."""
        return self._channel

    def switch(self, channel: Channel) -> list[Delta]:
        """Go on in `channel`, as whoever sends the reply tells it apart, and give what was held back before."""
        if channel == self._channel:
            return []
        pieces = self.flush()
        self._channel, self._is_at_start = channel, channel == "answer" and not self._spaces
        return pieces

    def begin_anew(self) -> list[Delta]:
        """Go on with a reply of its own, which is to answer at once, and give what was held back before.

        Where it thinks all the same, that stands on a line of its own.
        """
        pieces = self.flush()
        self._channel, self._is_at_start = "answer", True
        self._spaces = {channel: ["\n"] for channel in self._spaces}
        return pieces

    def feed(self, text: str) -> list[Delta]:
        """Take the next piece of the reply and give what is certain by now."""
        return self._read(self._held + text, is_last=False)

    def flush(self) -> list[Delta]:
        """Give what was held back, at the end of the reply."""
        return self._read(self._held, is_last=True)

    def _read(self, text: str, is_last: bool) -> list[Delta]:
        pieces: list[Delta] = []
        self._held = ""
        at = 0
        while at < len(text):
            exits = self._exits()
            tag = next((tag for tag in exits if text.startswith(tag, at)), None)
            if tag:
                self._note_unopened(tag)
                self._channel = exits[tag]
                self._is_at_start = tag == _THINK
                at += len(tag)
            elif not is_last and any(tag.startswith(text[at : at + len(tag)]) for tag in exits):
                self._held = text[at:]
                break
            else:
                end = text.find("<", at + 1)
                end = len(text) if end < 0 else end
                self._add(text[at:end], pieces)
                at = end
        return _merge(pieces)

    def _exits(self) -> dict[str, Channel]:
        exits = _EXITS[self._channel]
        return {_THINK: "reasoning", **exits} if self._is_at_start else exits

    def _note_unopened(self, tag: str) -> None:
        is_first = self._num_answered and self.unopened is None and "reasoning" not in self._spaces
        if tag == _END_OF_THOUGHT and self._channel == "answer" and is_first:
            self.unopened = self._num_answered

    def _add(self, text: str, pieces: list[Delta]) -> None:
        body = text.rstrip()
        spaces = self._spaces.get(self._channel)
        if not body:
            if spaces is not None:
                spaces.append(text)
            return
        lead = body.lstrip() if spaces is None else "".join(spaces) + body
        pieces.append(Delta(self._channel, lead))
        self._num_answered += len(lead) if self._channel == "answer" else 0
        self._spaces[self._channel] = [text[len(body) :]]
        self._is_at_start = False


def _merge(pieces: list[Delta]) -> list[Delta]:
    runs = groupby(pieces, key=lambda piece: piece.channel)
    return [Delta(channel, "".join(piece.text for piece in run)) for channel, run in runs]
