"""The command line: `python -m pipelines ask PICTURE_OR_CLIP... --question "..."`.

Answers go to stdout, progress and errors to stderr. Exit code 2 means that the user can put something right, and the
last line of stderr says what.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from pipelines.present.report import as_json, as_text
from pipelines.present.status import DOING
from pipelines.types import (
    Channel,
    ClipReader,
    Delta,
    EngineName,
    Progress,
    Request,
    Result,
    Sampling,
    Settings,
    UserError,
)

USER_ERROR = 2
INTERRUPTED = 130
HEADINGS: dict[Channel, str] = {"reasoning": "Thought", "answer": "Answer", "tool_call": "Tool call"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        _ask(options)
    except UserError as error:
        print(f"\r\033[K{error}" if sys.stderr.isatty() else str(error), file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipelines", description="Ask Qwen3.5 about pictures and clips.")
    commands = parser.add_subparsers(dest="command", required=True)
    ask = commands.add_parser("ask", help="ask one question about pictures or clips")
    ask.add_argument("media", nargs="*", metavar="PICTURE_OR_CLIP", help="files to ask about, in order")
    ask.add_argument("--question", "-q", required=True, help="what to ask")
    ask.add_argument(
        "--model", default="demo", help="demo (default), 0.8B, 2B, 4B, 9B, a checkpoint folder or a hub id"
    )
    ask.add_argument(
        "--engine",
        choices=get_args(EngineName),
        default="local",
        help="reference is transformers' own generate, slower",
    )
    ask.add_argument("--thinking", choices=("on", "off"), default="on", help="reason before answering (default: on)")
    ask.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    ask.add_argument("--max-new-tokens", type=_positive, default=Settings.max_new_tokens, metavar="N")
    ask.add_argument("--max-thinking-tokens", type=_positive, metavar="N", help="then the answer begins")
    ask.add_argument("--fps", type=float, default=Settings.sample_fps, help="frames a second taken from a clip")
    ask.add_argument("--frames", type=_positive, metavar="N", help="just so many of a clip, instead of --fps")
    ask.add_argument("--max-frames", type=_positive, default=Settings.max_frames, metavar="N", help="with --fps")
    ask.add_argument(
        "--max-clip-tokens",
        type=_positive,
        default=Settings.max_clip_tokens,
        metavar="N",
        help="visual tokens that the frames of a clip share",
    )
    ask.add_argument("--max-pixels", type=_positive, default=Settings.max_pixels, metavar="N", help="of a picture")
    ask.add_argument(
        "--clip-reader", choices=get_args(ClipReader), default="pyav", help="decord is for trusted files only"
    )
    ask.add_argument("--greedy", action="store_true", help="always take the likeliest token (default: the preset)")
    ask.add_argument("--seed", type=int, default=0, help="of the sampling")
    return parser


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _ask(options: argparse.Namespace) -> None:
    from pipelines.models import load_engine  # torch and transformers take seconds: --help should not
    from pipelines.run import answer

    request, console = _request(options), _Console()
    console.note("Loading the model")
    engine = load_engine(options.model, options.engine)
    for step in answer(request, engine, observe=console.show):
        if isinstance(step, Delta) and not options.json:
            console.stream(step)
        elif isinstance(step, Result):
            console.finish(as_json(step) if options.json else as_text(step))


def _request(options: argparse.Namespace) -> Request:
    try:
        settings = Settings(
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
        )
    except ValueError as error:
        raise UserError(f"The settings do not fit: {error}.") from error
    return Request(options.question, tuple(Path(path) for path in options.media), settings)


class _Console:
    """Progress on stderr (one line that is written over on a terminal), the reply on stdout."""

    def __init__(self) -> None:
        self._channel: Channel | None = None
        self._noted = ""
        self._is_terminal = sys.stderr.isatty()

    def show(self, progress: Progress) -> None:
        """Tell the stage, and the frames read."""
        if self._channel is None:
            frames = f" ({progress.done} of {progress.total} frames)" if progress.total and self._is_terminal else ""
            self.note(DOING[progress.stage] + frames)

    def note(self, text: str) -> None:
        """Tell what is done now."""
        if text != self._noted:
            print(
                f"\r\033[K{text} ..." if self._is_terminal else f"{text} ...",
                end=self._end,
                file=sys.stderr,
                flush=True,
            )
        self._noted = text

    def stream(self, delta: Delta) -> None:
        """Print a piece of the reply, with a heading where its channel changes."""
        if delta.channel != self._channel:
            self._clear()
            print(f"{'' if self._channel is None else chr(10) * 2}{HEADINGS[delta.channel]}")
            self._channel = delta.channel
        print(delta.text, end="", flush=True)

    def finish(self, text: str) -> None:
        """Print what comes after the reply."""
        self._clear()
        print(f"\n{text}" if self._channel else text)

    @property
    def _end(self) -> str:
        return "" if self._is_terminal else "\n"

    def _clear(self) -> None:
        if self._is_terminal and self._noted:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        self._noted = ""


if __name__ == "__main__":
    sys.exit(main())
