"""What every command that asks a model takes: which model, and how it is asked."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from pipelines.disk import resolved
from pipelines.types import ClipReader, EngineName, Sampling, Settings, UserError, WeightFormat

if TYPE_CHECKING:
    from pipelines.engine import Engine

MAX_PORT = 65_535
HOST_NAME = re.compile(r"[\w.-]+", re.ASCII)


def add_model(parser: argparse.ArgumentParser, default: str = "demo") -> None:
    """Which model, run by what."""
    parser.add_argument(
        "--model",
        default=default,
        help="demo (default), 0.8B, 2B, 4B, 9B, a folder, a hub id, or auto: the largest that is here and fits",
    )
    parser.add_argument(
        "--engine",
        choices=get_args(EngineName),
        default="local",
        help="reference is transformers' own generate, slower; openai a server that speaks its protocol",
    )
    parser.add_argument("--base-url", metavar="URL", help="of that server, as http://127.0.0.1:8000/v1")
    parser.add_argument(
        "--timeout", type=positive_number, metavar="S", help="how long that server may be silent (default: 300)"
    )
    add_weights(parser)


def add_weights(parser: argparse.ArgumentParser) -> None:
    """How the weights are held."""
    parser.add_argument(
        "--weights",
        choices=get_args(WeightFormat),
        default="full",
        help="int8 takes less memory, and on a quiet CPU less time for a token, at some loss of precision; fp8 is for "
        "newer GPUs (default: full)",
    )


def load_chosen(options: argparse.Namespace) -> Engine:
    """The engine that was chosen. Raises UserError where it cannot be had."""
    from pipelines.models import Running, load_engine  # torch and transformers take seconds: --help should not

    running = Running(options.engine, options.weights, base_url=options.base_url, timeout_s=options.timeout)
    return load_engine(options.model, running, lambda sentence: print(sentence, file=sys.stderr))


def add_settings(parser: argparse.ArgumentParser) -> None:
    """How it is asked: what `settings_of` reads."""
    add = parser.add_argument
    add("--thinking", choices=("on", "off"), default="on", help="reason before answering (default: on)")
    add(
        "--max-new-tokens",
        type=positive,
        default=Settings.max_new_tokens,
        metavar="N",
        help="of the thought, the calls and the answer together (default: %(default)s)",
    )
    add("--max-thinking-tokens", type=positive, metavar="N", help="then the answer begins (default: no bound)")
    add(
        "--fps",
        type=positive_number,
        default=Settings.sample_fps,
        help="frames a second taken from a clip (default: %(default)g)",
    )
    add("--frames", type=positive, metavar="N", help="just so many of a clip, instead of --fps")
    add(
        "--max-frames",
        type=positive,
        default=Settings.max_frames,
        metavar="N",
        help="of a clip at most (default: %(default)s)",
    )
    add(
        "--max-clip-tokens",
        type=positive,
        default=Settings.max_clip_tokens,
        metavar="N",
        help="visual tokens that the frames of a clip share (default: %(default)s)",
    )
    add(
        "--max-pixels",
        type=positive,
        default=Settings.max_pixels,
        metavar="N",
        help="of a picture as the model sees it (default: %(default)s)",
    )
    add(
        "--clip-reader",
        choices=get_args(ClipReader),
        default="pyav",
        help="pyav (default); decord is for trusted files only",
    )
    add("--look-closer", action="store_true", help="let the model call for parts of a picture or more frames")
    add("--greedy", action="store_true", help="always take the likeliest token (default: the preset)")
    add("--seed", type=int, default=0, help="of the sampling (default: 0)")
    add("--system", default="", metavar="TEXT", help="comes before every question, as what the model is to be like")
    parser.set_defaults(price_per_hour=Settings.price_per_hour)  # asked for by `add_price` alone


def add_price(parser: argparse.ArgumentParser, told: str) -> None:
    """What the machine costs, where a command has a place to tell what came of it."""
    parser.add_argument("--price-per-hour", type=price, default=Settings.price_per_hour, metavar="P", help=told)


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings that were given."""
    return Settings(
        thinking=options.thinking == "on",
        max_new_tokens=options.max_new_tokens,
        max_thinking_tokens=options.max_thinking_tokens,
        sampling=Sampling() if options.greedy else None,
        seed=options.seed,
        sample_fps=options.fps,
        num_frames=options.frames,
        max_frames=options.max_frames,
        max_clip_tokens=options.max_clip_tokens,
        max_pixels=options.max_pixels,
        clip_reader=options.clip_reader,
        price_per_hour=options.price_per_hour,
        look_closer=options.look_closer,
        system=options.system,
    )


def check_apart(written: Mapping[str, Path | None], read: Iterable[Path]) -> None:
    """Raise UserError where two options name one file to write, or one names a file that is read: it would be lost."""
    inputs = {resolved(path) for path in read}
    taken: dict[Path, str] = {}
    for option, path in written.items():
        if path is None:
            continue
        if (place := resolved(path)) in inputs:
            raise UserError(f'{option} names "{path.name}", which is read: name another file.')
        if (other := taken.setdefault(place, option)) != option:
            raise UserError(f'{option} and {other} name the same file, "{path.name}": name one of its own for each.')


def address(text: str) -> str:
    """A name or an address to listen at; one of IPv6 may stand in brackets, as it does before a port."""
    return text.strip("[]").lower()


def host_name(text: str) -> str:
    """A name as browsers ask for it: one with anything around it would be that of no request."""
    if not HOST_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError("must be a name alone, as box.example: without https:// and port")
    return text


def port_number(text: str) -> int:
    """The number of a port."""
    if not 1 <= (number := int(text)) <= MAX_PORT:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {MAX_PORT}")
    return number


def positive(text: str) -> int:
    """A whole number from 1."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def positive_number(text: str) -> float:
    """A number above 0."""
    if not 0 < (number := _number(text)) < math.inf:
        raise argparse.ArgumentTypeError("must be a number above 0")
    return number


def price(text: str) -> float:
    """A number from 0."""
    if not 0 <= (number := _number(text)) < math.inf:
        raise argparse.ArgumentTypeError("must be a number, and 0 or above")
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
