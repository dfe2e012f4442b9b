"""What the last requests of a visitor took."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pipelines.compare.votes import Vote, latest
from pipelines.types import Record, Span

MAX_RECORDS = 50
MAX_VOTES = 500


@dataclass
class History:
    """The last requests, oldest first, each with its number; `num_seen` were there in all.

    `votes` are what the visitor thought of two replies to the same question, oldest first.
    """

    records: list[Record] = field(default_factory=list)
    num_seen: int = 0
    votes: list[Vote] = field(default_factory=list)

    def add(self, record: Record) -> int:
        """Keep one more, in the place of the oldest where there are too many; its number."""
        self.records = [*self.records, record][-MAX_RECORDS:]
        self.num_seen += 1
        return self.num_seen

    def vote(self, vote: Vote) -> None:
        """Keep a vote, in the place of an earlier one about the same replies."""
        self.votes = latest([*self.votes, vote])[-MAX_VOTES:]

    @property
    def numbered(self) -> list[tuple[int, Record]]:
        """The records with their numbers, from 1 on."""
        return list(enumerate(self.records, self.num_seen - len(self.records) + 1))

    def end(self, number: int, total_ms: float) -> Record | None:
        """Note that one was done so long after it was asked, when it was shown; its record, where it is still kept."""
        place = len(self.records) - 1 - (self.num_seen - number)
        if not 0 <= place < len(self.records):
            return None
        self.records[place] = delivered(self.records[place], total_ms)
        return self.records[place]


def delivered(record: Record, total_ms: float) -> Record:
    """The record of a request that took so long in all, until it was shown."""
    timing = record.timing
    span = Span("deliver", timing.total_ms, max(total_ms - timing.total_ms, 0.0))
    return replace(record, timing=replace(timing, spans=(*timing.spans, span), total_ms=span.end_ms))
