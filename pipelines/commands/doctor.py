"""The command `doctor`: what this machine has for the program, and for each thing that is wrong what to do.

It changes nothing: folders are tried with a file that has no name, and the port is given back at once.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from pipelines.catalogue.known import DEMO_FOLDER
from pipelines.commands.finding import Finding, installed, loaded, why
from pipelines.commands.machine import MACHINE
from pipelines.commands.output import say
from pipelines.host import ports
from pipelines.options import address, host_name, port_number
from pipelines.types import UserError

Kept = Callable[[], Path | None]
TRIED_BYTES = 4096
"""Enough for a full disk to show."""


def add_command(parser: argparse.ArgumentParser) -> None:
    """What the command takes: where the page would be served, as `app.py` takes it."""
    host = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1")
    parser.add_argument("--host", type=address, default=host, help="as of app.py")
    port = os.environ.get("GRADIO_SERVER_PORT", "7860")
    parser.add_argument("--port", type=port_number, default=port, help="as of app.py (default: 7860)")
    parser.add_argument("--data", metavar="FOLDER", help="as of app.py: where conversations are kept, or none")
    parser.add_argument("--public", action="store_true", help="as of app.py")
    parser.add_argument(
        "--allow-host", type=host_name, action="append", default=[], metavar="NAME", help="as of app.py"
    )
    parser.add_argument("--behind-proxy", action="store_true", help="as of app.py")


def run_command(options: argparse.Namespace) -> int:
    """Print what was found, then what is wrong; the exit code is 1 where anything is."""
    findings = list(examine(options.host, options.port, lambda: kept_in(options)))
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        say(f"{finding.name:{width}}  {finding.told}")
    wrong = [finding.wrong for finding in findings if finding.wrong]
    say("\n".join(["", *(wrong or ["All is well."])]))
    return int(bool(wrong))


def kept_in(options: argparse.Namespace) -> Path | None:
    """Where a page that is started so keeps conversations; None for nowhere. Raises what `data_folder` raises."""
    from pipelines.archive.store import data_folder
    from pipelines.host.policy import is_private, policy_of

    policy = policy_of(options.public, options.allow_host, is_proxied=options.behind_proxy)
    return data_folder(options.data, is_private=is_private(options.host, policy), is_public=policy.is_public)


def examine(host: str, port: int, kept: Kept) -> Iterator[Finding]:
    """Look at everything in turn. `kept` tells the folder of conversations."""
    for name, look in MACHINE.items():
        yield loaded(name, look)
    for package in ("torch", "transformers", "gradio"):
        yield installed(package)
    yield port_finding(host, port)
    yield from _folders(port, kept)
    yield model_finding(DEMO_FOLDER)


def port_finding(host: str, port: int) -> Finding:
    """Whether the page could be served there."""
    name, found = f"port {port}", ports.of_page(host, port)
    if found is None:
        return Finding(name, f"free on {host}")
    place, error = found
    wrong = ports.told(error, place, port, "`python app.py --host` or `--port`")
    return Finding(name, "taken" if ports.is_taken(error) else "cannot be opened", wrong)


def folder_finding(name: str, folder: Path, remedy: str) -> Finding:
    """Whether files can be written in `folder`, or where it would be made."""
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if os.path.lexists(place))
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(bytes(TRIED_BYTES))
    except OSError as error:
        wrong = f'The {name} "{folder}" cannot be written ({why(error)}): make room or mend its rights, or {remedy}.'
        return Finding(name, f"{folder} cannot be written", wrong)
    return Finding(name, f"{folder} can be written")


def model_finding(folder: Path) -> Finding:
    """Whether the shipped model is the one that was measured, and the files around its weights can be read."""
    from pipelines.checkpoint import Checkpoint
    from pipelines.demo.card import RESULTS, WEIGHTS, hash_of, read_evaluation

    name, remedy = "demo model", f"put back all of assets/{folder.name} as it was published."
    try:
        measured = read_evaluation(folder).weights
    except (OSError, ValueError, KeyError, TypeError):
        return Finding(name, "not whole", f"{RESULTS} of the shipped model is missing or damaged: {remedy}")
    try:
        is_whole = hash_of(folder) == measured
    except OSError as error:
        return Finding(name, "not whole", f"{WEIGHTS} of the shipped model cannot be read ({why(error)}): {remedy}")
    if not is_whole:
        wrong = f"{WEIGHTS} of the shipped model is damaged, or not the one that was measured: {remedy}"
        return Finding(name, "not whole", wrong)
    try:
        Checkpoint.open(folder)
    except UserError as error:
        return Finding(name, "not whole", f"The shipped model cannot be opened. {error}")
    return Finding(name, f"whole, SHA-256 {measured[:12]}")


def data_finding(name: str, kept: Kept) -> Finding:
    """Whether conversations can be kept where `kept` says. Raises what `kept` raises."""
    folder = kept()
    if folder is None:
        return Finding(name, "none: no conversation is kept")
    return folder_finding(name, folder, "choose another with `python app.py --data`")


def _folders(port: int, kept: Kept) -> Iterator[Finding]:
    from huggingface_hub.constants import HF_HUB_CACHE

    from pipelines.host.own_uploads import own_uploads

    yield loaded("data folder", lambda name: data_finding(name, kept))
    try:
        temporary = Path(tempfile.gettempdir())
    except OSError:
        yield Finding("temporary folder", "none", "No temporary folder can be written: make room, or set TMPDIR.")
    else:
        yield folder_finding("temporary folder", temporary, "set TMPDIR to another")
        yield folder_finding("upload folder", own_uploads(["--port", str(port)]), "set GRADIO_TEMP_DIR to another")
    yield folder_finding("hub cache", Path(HF_HUB_CACHE), "set HF_HOME to another")
