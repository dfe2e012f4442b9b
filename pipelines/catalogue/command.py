"""The command `models`: what there is, what each needs and whether it fits here; `models pull` brings one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pipelines.catalogue.choosing import TOKENS, VISITORS, here
from pipelines.catalogue.download import Fetched, HubModel, at_hub, pull
from pipelines.catalogue.known import DEMO, DEMO_FOLDER, KNOWN, Model, model_in
from pipelines.catalogue.shape import FORMATS
from pipelines.types import UserError

HEAD = ("model", "parameters", "download", *FORMATS, "fits here", "is here", "thinks")


def add_command(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--tokens", type=int, default=TOKENS, metavar="N", help="of each conversation (default: 8192)")
    parser.add_argument("--visitors", type=int, default=VISITORS, metavar="N", help="at once (default: 1)")
    parser.add_argument("--also", nargs="*", default=[], metavar="FOLDER", help="checkpoint folders to count too")
    actions = parser.add_subparsers(dest="action")
    bring = actions.add_parser("pull", help="download a model, or what is missing of it, and check it")
    bring.add_argument("model", help="0.8B, 2B, 4B, 9B or a hub id")
    bring.add_argument("--revision", help="a commit, a tag or a branch (default: the newest)")


def run_command(options: argparse.Namespace) -> int:
    """Print the table, or bring a model; 0 is the exit code."""
    if options.action == "pull":
        wanted = at_hub(options.model)
        model = HubModel(wanted.hub_id, options.revision or wanted.revision)
        folder = pull(model, _tell, _show if sys.stderr.isatty() else None)
        print(f"{model.hub_id} is whole, revision {folder.name}: use it with --model {options.model}")
        return 0
    if options.tokens < 1 or options.visitors < 1:
        raise UserError("Tokens and visitors are counted from 1: give a larger --tokens or --visitors.")
    print(table(options.tokens, options.visitors, options.also))
    return 0


def _tell(text: str) -> None:
    print(f"{text} ...", file=sys.stderr, flush=True)


def _show(fetched: Fetched) -> None:
    """On a line that is written over."""
    end = "\n" if fetched.done == fetched.total else ""
    print(f"\r\033[KDownloading {fetched}", end=end, file=sys.stderr, flush=True)


def table(num_tokens: int, num_visitors: int, folders: list[str]) -> str:
    """All known models and those in `folders`, with what they need for so many visitors of so many tokens each."""
    from pipelines.catalogue.device import this_device  # torch takes seconds

    device = this_device()
    models = [Model(DEMO, "", model_in(DEMO_FOLDER, DEMO).shape), *KNOWN]
    models += [model_in(Path(folder).expanduser(), Path(folder).name) for folder in folders]
    rows = [HEAD]
    for model in models:
        shape = model.shape
        needs = [_size(shape.memory_bytes(form, num_tokens, num_visitors)) for form in FORMATS]
        form = device.fitting(shape, num_tokens, num_visitors)
        is_here = not model.hub_id or here(model) is not None
        count = _parameters(shape.parameters) + (
            f", {_parameters(shape.active_parameters)} active" * bool(shape.experts)
        )
        download = _size(shape.download_bytes) if model.hub_id else "–"
        told = (form or "no", "yes" if is_here else "no", "yes" if model.thinks else "no")
        rows.append((model.name, count, download, *needs, *told))
    about = (
        f"{device.name}, {_size(device.free_bytes)} free. Memory counted from the configs for {num_visitors} "
        f"visitor{'s' * (num_visitors != 1)} of {num_tokens:,} tokens, with 1 GB for activations; not measured."
    )
    return "\n".join([*_aligned(rows), "", about])


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(HEAD))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _parameters(count: int) -> str:
    return f"{count / 1e9:.2f} B" if count >= 10**8 else f"{count / 1e6:.1f} M"


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB"
