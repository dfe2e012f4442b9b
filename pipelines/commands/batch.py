"""The command `batch`: its arguments, its progress, what it says at its end."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from pipelines.batch.copies import check_copies
from pipelines.batch.items import find_items
from pipelines.batch.lines import Line, Results
from pipelines.batch.tables import annotated, csv_text
from pipelines.commands.output import harmless
from pipelines.disk import resolved, write_whole
from pipelines.options import add_model, add_settings, check_apart, load_chosen, positive, settings_of
from pipelines.present.coco import coco_json
from pipelines.types import UserError

AT_ONCE = 4
"""As many as an engine runs at once on a CPU; one with room for fewer has the others wait."""

SOME_FAILED = 1


def add_command(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add = parser.add_argument
    add("source", type=Path, metavar="FOLDER_OR_LIST", help="a folder, or a text file with a path on each line")
    add("--question", "-q", help="what to ask about each; in a list a line may have its own, behind a tab")
    add("--out", type=Path, required=True, metavar="FILE", help="the results, a line of JSON for each file")
    add("--csv", type=Path, metavar="FILE", help="the results as a table too")
    add("--coco", type=Path, metavar="FILE", help="the boxes and points as COCO annotations too")
    add("--marked", type=Path, metavar="FOLDER", help="copies with the boxes and points drawn on them")
    add(
        "--at-once", type=positive, default=AT_ONCE, metavar="N", help="files that are asked about at once (default: 4)"
    )
    add("--retry", action="store_true", help="ask again about the files whose lines are errors")
    add_model(parser)
    add_settings(parser)


def run_command(options: argparse.Namespace) -> int:
    """Ask about what is not done yet, and return the exit code: 1 where lines are errors."""
    settings = settings_of(options)
    items = find_items(options.source, options.question, options.marked)
    written = {f"--{name}": getattr(options, name) for name in ("out", "csv", "coco", "marked")}
    check_apart(written, [options.source, *(item.path for item in items)])
    with Results(options.out, settings) as results:
        if options.retry:
            results.drop_errors(items)
        left = results.left(items)
        num_before = len(items) - len(left)
        if left:
            if options.marked:
                check_copies(options.marked)
            from pipelines.batch.work import Asking, run  # torch and transformers take seconds

            print("Loading the model ...", file=sys.stderr)
            engine = load_chosen(options)
            results.check_model(engine.info.model)
            with tqdm(total=len(items), initial=num_before, unit="file", disable=None) as bar:
                asking = Asking(engine, settings, options.marked)
                run(left, asking, results, options.at_once, lambda line: _count(line, bar))
        if options.csv:
            write_table(options.csv, csv_text(results.lines()))
        if options.coco:
            write_table(options.coco, coco_json(annotated(results.lines())))
        before = f", {num_before} of them before" if num_before else ""
        failed = f"; {results.num_errors} could not be answered, see their lines" if results.num_errors else ""
        print(f"{len(items)} asked about{before}{failed}: {options.out}", file=sys.stderr)
        return SOME_FAILED if results.num_errors else 0


def _count(line: Line, bar: tqdm[None]) -> None:
    bar.update()
    if line["error"] is not None:
        bar.write(harmless(f"{line['file']}: {line['error']}"), file=sys.stderr)


def write_table(path: Path, text: str) -> None:
    """Write a file whole, in a folder that is made where it is missing. Raises UserError where it cannot be written."""
    try:
        resolved(path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise UserError(f'"{path.name}" cannot be written: check its folder and the free disk space.') from error
