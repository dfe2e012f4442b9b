"""The command `compare`: two models on the files of a folder or a list, and a table of what they said.

The models are asked one after the other, so that only one has to fit the memory at a time.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from tqdm import tqdm
from typing_extensions import TypedDict

from pipelines.batch.items import Item, find_items
from pipelines.batch.lines import why
from pipelines.commands.output import aligned, say, whole_json
from pipelines.compare.pairs import Pair, Reply, answer_of
from pipelines.compare.places import check, load
from pipelines.options import add_price, add_settings, add_weights, price, settings_of
from pipelines.present.figures.rates import cost_of, decode_rate, in_digits
from pipelines.present.told import Told, told
from pipelines.types import Result, Settings

if TYPE_CHECKING:
    from pipelines.engine import Engine

MAX_SHOWN = 60
LINGERS_S, LOOK_S = 5.0, 0.05
HEAD = ("file", "first", "second", "same", "boxes", "s", "s", "tokens", "tokens")


class Failed(TypedDict):
    """The sentence why there is no result."""

    error: str


@dataclass(frozen=True)
class Asked:
    """What a model said, without any pixels, as they are of all files of a folder; and the same in plain values."""

    reply: Reply
    told: Told | Failed


@dataclass(frozen=True)
class Both:
    """What both models said to one question."""

    first: Asked
    second: Asked

    @property
    def pair(self) -> Pair:
        """Held against each other."""
        return Pair(self.first.reply, self.second.reply)


def add_command(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add = parser.add_argument
    add("source", type=Path, metavar="FOLDER_OR_LIST", help="a folder, or a text file with a path on each line")
    add("--question", "-q", help="what to ask about each; in a list a line may have its own, behind a tab")
    add(
        "--models",
        nargs=2,
        required=True,
        metavar="MODEL",
        help="two names as --model takes them, or NAME@http://HOST:PORT/v1 for a model on a server",
    )
    add("--prices", nargs=2, type=price, metavar="P", help="of an hour of each, to tell what their answers cost")
    add("--json", action="store_true", help="print a line of JSON for each question instead of the table")
    add_weights(parser)
    add_settings(parser)
    add_price(parser, "of the machine, to tell below the table what an answer cost; --prices where theirs differ")


def run_command(options: argparse.Namespace) -> int:
    """Ask both models everything, and print what they said; 0 is the exit code."""
    settings, items = settings_of(options), find_items(options.source, options.question)
    for name in options.models:
        check(name)
    replies = []
    for name in options.models:
        print(f"Loading the model {name} ...", file=sys.stderr)
        engine = load(name, options.weights)
        with tqdm(items, desc=engine.info.model, unit="question", disable=None) as bar:
            replies.append([ask(item, engine, settings) for item in bar])
        left = weakref.ref(engine)
        del engine
        _wait_until_freed(left)
    asked = [(item, Both(*both)) for item, *both in zip(items, *replies, strict=True)]
    if options.json:
        say(whole_json("\n".join(as_json(*one) for one in asked)))
    else:
        pairs = [(item, both.pair) for item, both in asked]
        text = table(pairs, options.models, options.prices or [settings.price_per_hour] * 2)
        say(text.encode("utf-8", "backslashreplace").decode())  # a file's name may be no text
    return 0


def _wait_until_freed(engine: weakref.ref[Engine]) -> None:
    """Return when an engine that nobody wants any more is gone: its thread may still be at the end of its work."""
    from pipelines.engine.memory import free_memory

    until_s = time.monotonic() + LINGERS_S
    free_memory()
    while engine() is not None and time.monotonic() < until_s:
        time.sleep(LOOK_S)
        free_memory()


def ask(item: Item, engine: Engine, settings: Settings) -> Asked:
    """What a model says to an item; the sentence where it cannot be asked."""
    from pipelines.run import answer
    from pipelines.types import Request

    try:
        for step in answer(Request(item.question, (item.path,), settings), engine):
            if isinstance(step, Result):
                return Asked(replace(step, media=(), sights=(), looks=()), told(step))
        raise RuntimeError("an answer ended without its result")
    except Exception as error:  # one that is lost here would take all answers along
        sentence = why(error)
        return Asked(sentence, {"error": sentence})


def table(asked: Sequence[tuple[Item, Pair]], names: Sequence[str], prices: Sequence[float]) -> str:
    """A row for each question, what both come to, and the answers that differ."""
    lines, pairs = aligned([HEAD, *(_row(*one) for one in asked)]), [pair for _, pair in asked]
    same = sum(pair.is_same for pair in pairs)
    overlaps = [pair.overlap for pair in pairs if pair.overlap is not None]
    boxes = f"; boxes lie on each other by {fmean(overlaps):.2f}" if overlaps else ""
    lines += ["", f"{same} of {len(pairs)} answers are the same{boxes}."]
    sides = [pair.first for pair in pairs], [pair.second for pair in pairs]
    lines += list(map(_sum, names, sides, prices))
    for item, pair in asked:
        if not pair.is_same:
            first, second = pair.differing
            lines += [
                "",
                f"{item.file}: {item.question}",
                f"  {names[0]}: {first}",
                f"  {names[1]}: {second}",
            ]
    return "\n".join(lines)


def as_json(item: Item, both: Both) -> str:
    """Both results under the keys of `pipelines.present.told.Told`, or the sentence why there is none."""
    about = {"file": item.file, "question": item.question, "first": both.first.told, "second": both.second.told}
    found = {"same": both.pair.is_same, "box_overlap": both.pair.overlap}
    return json.dumps({**about, **found}, ensure_ascii=False)


def _row(item: Item, pair: Pair) -> tuple[str, ...]:
    both = (pair.first, pair.second)
    overlap = pair.overlap
    return (
        item.file,
        *(_short(answer_of(reply)) for reply in both),
        "yes" if pair.is_same else "no",
        "–" if overlap is None else f"{overlap:.2f}",
        *(f"{reply.timing.total_ms / 1000:.1f}" if isinstance(reply, Result) else "–" for reply in both),
        *(str(_num_tokens(reply)) if isinstance(reply, Result) else "–" for reply in both),
    )


def _sum(name: str, replies: Sequence[Reply], price_per_hour: float) -> str:
    results = [reply for reply in replies if isinstance(reply, Result)]
    failed = f"; {len(replies) - len(results)} could not be answered" if len(results) < len(replies) else ""
    if not results:
        return f"{name}: nothing was answered."
    spent_s = fmean(result.timing.total_ms for result in results) / 1000
    rates = [rate for result in results if (rate := decode_rate(result))]
    speed = f", {fmean(rates):.0f} tokens a second" if rates else ""
    costs = [spent for result in results if (spent := cost_of(result.timing, price_per_hour)) is not None]
    price = f", {in_digits(fmean(costs))} an answer at {price_per_hour:g} an hour" if costs else ""
    tokens = fmean(map(_num_tokens, results))
    return f"{name}: {spent_s:.1f} s and {tokens:.0f} tokens an answer{speed}{price}{failed}."


def _num_tokens(result: Result) -> int:
    return result.tokens.reasoning + result.tokens.answer


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_SHOWN else line[: MAX_SHOWN - 1].rstrip() + "…"
