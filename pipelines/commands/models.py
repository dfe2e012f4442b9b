"""The command `models`: what there is, what each needs and whether it fits here; `models pull` brings one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pipelines.catalogue.choosing import TOKENS, VISITORS, here
from pipelines.catalogue.download import Fetched, HubModel, at_hub, pull
from pipelines.catalogue.forecast import SMALL_PARAMETERS, as_rate, tokens_per_s
from pipelines.catalogue.known import DEMO, DEMO_FOLDER, KNOWN, KnownModel, model_in
from pipelines.catalogue.shape import FORMATS, Format, Shape, gigabytes
from pipelines.commands.output import aligned, harmless, say
from pipelines.disk import expanded, resolved
from pipelines.types import Sampling, UserError

NOTHING = "–"

HEAD = ("model", "parameters", "download", *FORMATS, "fits here", "tok/s", "in int8", "is here", "thinks")


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
    if options.action == "pull" and options.model == DEMO:
        say(f'The model "{DEMO}" comes with the program, and nothing is to be downloaded: use it with --model {DEMO}')
        return 0
    if options.action == "pull":
        wanted = at_hub(options.model)
        model = HubModel(wanted.hub_id, options.revision or wanted.revision)
        folder = pull(model, _tell, _show if sys.stderr.isatty() else None)
        name = f"{options.model.partition('@')[0]}@{options.revision}" if options.revision else options.model
        say(f"{model.hub_id} is whole, revision {folder.name}: use it with --model {name}")
        return 0
    if options.tokens < 1 or options.visitors < 1:
        raise UserError("Tokens and visitors are counted from 1: give a larger --tokens or --visitors.")
    say(table(options.tokens, options.visitors, options.also))
    return 0


def _tell(text: str) -> None:
    print(f"{harmless(text)} ...", file=sys.stderr, flush=True)


def _show(fetched: Fetched) -> None:
    """On a line that is written over."""
    end = "\n" if fetched.done == fetched.total else ""
    print(f"\r\033[KDownloading {fetched}", end=end, file=sys.stderr, flush=True)


def table(num_tokens: int, num_visitors: int, folders: list[str]) -> str:
    """All known models and those in `folders`, with what they need for so many visitors of so many tokens each."""
    from pipelines.catalogue.device import this_device  # torch takes seconds

    device = this_device()
    models = [KnownModel(DEMO, "", model_in(DEMO_FOLDER, DEMO).shape), *KNOWN]
    models += [model_in(folder, resolved(folder).name) for folder in map(expanded, folders)]
    rows = [HEAD]
    for model in models:
        shape, held = model.shape, device.held(model.shape)
        needs = [
            NOTHING
            if form == "int8" and shape.experts
            else gigabytes(held.memory_bytes(form, num_tokens, num_visitors))
            for form in FORMATS
        ]
        form = device.fitting(shape, num_tokens, num_visitors)
        rates = [_rate(shape, device.form), NOTHING if shape.experts else _rate(shape, "int8")]
        is_here = not model.hub_id or here(model) is not None
        count = _parameters(shape.parameters) + (
            f", {_parameters(shape.active_parameters)} active" * bool(shape.experts)
        )
        download = gigabytes(shape.download_bytes) if model.hub_id else NOTHING
        told = (form or "no", *rates, "yes" if is_here else "no", "yes" if model.thinks else "no")
        rows.append((model.name, count, download, *needs, *told))
    about = (
        f"{device.name}, {gigabytes(device.free_bytes)} free. Memory counted from the configs for {num_visitors} "
        f"visitor{'s' * (num_visitors != 1)} of {num_tokens:,} tokens, with 1 GB for activations; not measured. Tokens "
        f"a second are the most that its memory lets through, in {device.form} and in int8, as busy as it is now."
    )
    return "\n".join([*aligned(rows), "", *_presets(models), "", about])


def _presets(models: Sequence[KnownModel]) -> list[str]:
    """What each model is sampled with where nothing else is asked for."""
    from pipelines.engine.presets import preset

    lines = ["Sampling by the model cards: temperature, top-p, top-k, presence penalty. The demo takes the likeliest."]
    kinds = ((True, True), (True, False), (False, True), (False, False))
    groups: dict[tuple[Sampling, ...], list[str]] = {}
    for model in models:
        if model.name != DEMO:
            hidden, is_mixture = model.shape.hidden, bool(model.shape.experts)
            of_kinds = (preset(hidden, thinking=on, has_media=media, is_mixture=is_mixture) for on, media in kinds)
            groups.setdefault(tuple(of_kinds), []).append(model.name)
    for samplings, names in groups.items():
        told = [
            f"{'thinking' if on else 'not thinking'}{' with media' if media else ''} {_sampling(sampling)}"
            for (on, media), sampling in zip(kinds, samplings, strict=True)
        ]
        lines.append(f"  {', '.join(names)}: {'; '.join(told)}")
    return lines


def _sampling(sampling: Sampling) -> str:
    numbers = (sampling.temperature, sampling.top_p, sampling.top_k, sampling.presence_penalty)
    return " / ".join(f"{number:g}" for number in numbers)


def _parameters(count: int) -> str:
    return f"{count / 1e9:.2f} B" if count >= 10**8 else f"{count / 1e6:.1f} M"


def _rate(shape: Shape, form: Format) -> str:
    return NOTHING if shape.parameters < SMALL_PARAMETERS else as_rate(tokens_per_s(shape, form))
