"""The command line: `python -m pipelines ask PICTURE_OR_CLIP... --question "..."`.

`batch` asks about many files, and `compare` two models about them; `models` tells of the models and brings them,
`doctor` tells of this machine, `mcp` serves an agent.

Answers go to stdout, progress and errors to stderr. Exit code 2 means that the user can put something right, and the
last line of stderr says what.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.interrupts import end_at_once, raised
from pipelines.leaving import Leaving

if __name__ == "__main__":
    leaving = Leaving()
    end_at_once()  # what is imported takes a while

from pipelines.commands import batch, compare, doctor, models
from pipelines.commands.output import Unread, harmless, open_streams, say, whole_json
from pipelines.options import add_model, add_price, add_settings, check_apart, load_chosen, settings_of
from pipelines.present.figures.timing_text import timing_text
from pipelines.present.report import as_json, as_text, look_as_text
from pipelines.present.status import DOING
from pipelines.tracing import check_trace, traced
from pipelines.types import Channel, Delta, Look, Progress, Record, Request, Result, UserError

USER_ERROR = 2
INTERRUPTED = 130
CLOSED_PIPE = 141
"""As a shell tells of a program that a closed pipe ended."""
HEADINGS: dict[Channel, str] = {"reasoning": "Thought", "answer": "Answer", "tool_call": "Tool call"}
NO_THOUGHT = "The server told no thought apart: what stands above is the answer."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    open_streams()
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except UserError as error:
        told = harmless(str(error))
        print(f"\r\033[K{told}" if sys.stderr.isatty() else told, file=sys.stderr)
        return USER_ERROR
    except Unread:
        return CLOSED_PIPE
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipelines", description="Ask Qwen3.5 about pictures and clips.")
    commands = parser.add_subparsers(dest="command", required=True)
    ask = commands.add_parser("ask", help="ask one question about pictures or clips")
    ask.add_argument("media", nargs="*", metavar="PICTURE_OR_CLIP", help="files to ask about, in order")
    ask.add_argument("--question", "-q", required=True, help="what to ask")
    add_model(ask)
    ask.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    ask.add_argument("--timing", action="store_true", help="print where the time went (with --json to stderr)")
    ask.add_argument("--trace", type=Path, metavar="FILE", help="write a Chrome trace, kernels included; it is slower")
    add_settings(ask)
    add_price(ask, "of the machine, to tell with --timing what the request cost")
    ask.set_defaults(run=_ask)
    many = commands.add_parser("batch", help="ask about every picture and clip of a folder or a list")
    batch.add_command(many)
    many.set_defaults(run=batch.run_command)
    two = commands.add_parser("compare", help="ask two models about every picture and clip of a folder or a list")
    compare.add_command(two)
    two.set_defaults(run=compare.run_command)
    known = commands.add_parser("models", help="the models that there are, what they need, and downloads")
    models.add_command(known)
    known.set_defaults(run=models.run_command)
    health = commands.add_parser("doctor", help="what this machine has for the program, what is wrong, and what to do")
    doctor.add_command(health)
    health.set_defaults(run=doctor.run_command)
    agents = commands.add_parser("mcp", help="serve the tools to an agent, over the Model Context Protocol")
    agents.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="whose pictures and clips it may read")
    add_model(agents)
    agents.set_defaults(run=_serve_agent)
    return parser


def _ask(options: argparse.Namespace) -> int:
    from pipelines.media import kind_of, make_ready  # numpy, torch and transformers take seconds: --help should not

    media = tuple(Path(path) for path in options.media)
    for path in media:
        kind_of(path)  # what is wrong with a file is told before a model is loaded
    if media:
        make_ready()
    from pipelines.run import answer

    request, console = Request(options.question, media, settings_of(options)), _Console()
    check_apart({"--trace": options.trace}, media)
    check_trace(options.trace)
    console.note("Loading the model")
    engine = load_chosen(options)
    with traced(options.trace, lambda: console.record):
        try:
            for step in answer(request, engine, observe=console.show):
                if isinstance(step, Delta) and not options.json:
                    console.stream(step)
                elif isinstance(step, Look) and not options.json:
                    console.tell(look_as_text(step))
                elif isinstance(step, Result):
                    told = whole_json(as_json(step)) if options.json else as_text(step, has_times=not options.timing)
                    console.finish(told, has_answer=bool(step.answer))
        finally:
            console.leave()
            if options.timing and console.record is not None:
                table = timing_text(console.record, engine.roofline())
                if options.json:
                    print(f"\n{table}", file=sys.stderr)
                else:
                    say(f"\n{table}")
    return 0


def _serve_agent(options: argparse.Namespace) -> int:
    try:
        from pipelines.programs.mcp_server import Sandbox, serve
    except ModuleNotFoundError as error:
        raise UserError(
            f'"{error.name}" is not installed: the server for agents needs `pip install -r requirements-mcp.txt`.'
        ) from error
    from pipelines.serving.model import Model

    sandbox = Sandbox(options.folders)  # what is wrong with a folder is told before a model is loaded
    serve(Model(engine=load_chosen(options)), sandbox)
    return 0


class _Console:
    """Progress on stderr (one line that is written over on a terminal), the reply on stdout."""

    def __init__(self) -> None:
        self.record: Record | None = None
        self._channel: Channel | None = None
        self._noted = ""
        self._is_terminal = sys.stderr.isatty()

    def show(self, progress: Progress | Record) -> None:
        """Tell the stage, and the frames read; keep what the request took."""
        if isinstance(progress, Record):
            self.record = progress
        elif self._channel is None:
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
            say(f"{'' if self._channel is None else chr(10) * 2}{HEADINGS[delta.channel]}")
            self._channel = delta.channel
        say(delta.text, end="")

    def tell(self, text: str) -> None:
        """Print what came back of a call; what follows gets a heading of its own."""
        self._clear()
        say(f"\n\n{text}", end="")
        self._channel = "tool_call"

    def finish(self, text: str, *, has_answer: bool) -> None:
        """Print what comes after the reply; what was taken for a thought up to its end may be the answer."""
        self._clear()
        if has_answer and self._channel == "reasoning":
            text = f"\n{NO_THOUGHT}\n{text}"
        say(f"\n{text}" if self._channel else text)
        self._channel = None

    def leave(self) -> None:
        """End the line of a reply that broke off: what is told next would follow in it, or wipe it off a terminal."""
        if self._channel:
            say("")

    @property
    def _end(self) -> str:
        return "" if self._is_terminal else "\n"

    def _clear(self) -> None:
        if self._is_terminal and self._noted:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        self._noted = ""


if __name__ == "__main__":
    with raised():
        leaving.code = main()
    sys.exit(leaving.code)
