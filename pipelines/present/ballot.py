"""What a visitor thought of two replies: the list of votes, and the same as files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape

from pipelines.compare.votes import Choice, Contender, Vote
from pipelines.present.figures.history_file import Value, as_csv
from pipelines.present.figures.past import short
from pipelines.present.figures.waterfall import download

EMPTY = '<div class="gb-past gb-empty"><p>Votes appear here, for you to take along.</p></div>'
CHOICES: dict[Choice, str] = {
    "first": "A is better",
    "both": "Both are good",
    "neither": "Neither is",
    "second": "B is better",
}
"""As the buttons say it, in their order."""
MAX_SHOWN = 20


def votes_html(votes: Sequence[Vote]) -> str:
    """The last votes, newest first, what they come to, and the files of them all."""
    if not votes:
        return EMPTY
    rows = "".join(map(_row, reversed(votes[-MAX_SHOWN:])))
    files = " or ".join(
        (
            download("glassbox-votes.json", "application/json", as_json_file(votes), "JSON"),
            download("glassbox-votes.csv", "text/csv", as_csv([_flat(vote) for vote in votes]), "CSV"),
        )
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Question", "A", "B", "Vote"))
    won = "; ".join(f"{escape(model)} {count}" for model, count in _won(votes).most_common(8))
    told = f'<p class="gb-note">Won: <span translate="no">{won}</span></p>' if won else ""
    return (
        '<div class="gb-past"><table class="gb-votes"><caption class="gb-spoken">Votes, newest first</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f'{told}<p class="gb-note">All {len(votes)} as {files}</p></div>'
    )


def as_json_file(votes: Sequence[Vote]) -> str:
    """A JSON array, one object a vote, oldest first."""
    return json.dumps([asdict(vote) for vote in votes], ensure_ascii=False, indent=1)


def _row(vote: Vote) -> str:
    words = " ".join(vote.question.split())
    models = "".join(f'<td translate="no">{escape(side.model)}</td>' for side in (vote.first, vote.second))
    asked = f'<span translate="no" title="{escape(words)}">{escape(short(words))}</span>'
    return f'<tr><th scope="row">{asked}</th>{models}<td>{CHOICES[vote.choice]}</td></tr>'


def _won(votes: Sequence[Vote]) -> Counter[str]:
    """How often each model was the better one."""
    better = [
        vote.first if vote.choice == "first" else vote.second for vote in votes if vote.choice in ("first", "second")
    ]
    return Counter(side.model for side in better)


def _flat(vote: Vote) -> dict[str, Value]:
    return {
        "asked_at": datetime.fromtimestamp(vote.asked_at, UTC).isoformat(timespec="milliseconds"),
        "question": vote.question,
        "media": " ".join(vote.media),
        **_of("first", vote.first),
        **_of("second", vote.second),
        "same": vote.is_same,
        "box_overlap": vote.overlap,
        "vote": vote.choice,
    }


def _of(side: str, contender: Contender) -> dict[str, Value]:
    return {f"{side}_{name}": value for name, value in asdict(contender).items()}
