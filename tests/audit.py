"""`make audit`: pip-audit over requirements.lock, of every platform. A known advisory fails it, unless it is accepted.

pip-audit asks OSV over the network. Without one, `--advisories` names OSV's export (the ZIP of an ecosystem, or a JSON
list of records, https://ossf.github.io/osv-schema), and a server on this machine answers pip-audit from that file.
Exit codes: 0 for nothing known, 1 for advisories, 2 where it could not be audited.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import zip_longest
from pathlib import Path
from threading import Thread
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pipelines.types import UserError

ROOT = Path(__file__).resolve().parent.parent
ACCEPTED = ROOT / "advisories-accepted.txt"
NOT_AUDITED = 2
Record = dict[str, Any]
Records = dict[str, list[Record]]
"""The advisories of each package, by its normalised name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Audit the lock, print what pip-audit says, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.audit", description="Look for known advisories.")
    parser.add_argument("--advisories", type=Path, metavar="FILE", help="OSV's export, for a machine without a network")
    parser.add_argument("--accepted", type=Path, default=ACCEPTED, metavar="FILE", help="ids that pass, with reasons")
    options = parser.parse_args(arguments)
    try:
        passing = accepted(options.accepted.read_text(encoding="utf-8"))
        if options.advisories is None:
            return audit(passing)
        with answering(read_records(options.advisories)) as address:
            return audit(passing, "--osv-url", address)
    except UserError as error:
        print(error, file=sys.stderr)
        return NOT_AUDITED


def accepted(text: str) -> dict[str, str]:
    """The ids that pass, with the reason of each. Raises UserError for one without a reason."""
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if bare := [words[0] for words in lines if len(words) < 2]:
        raise UserError(f"{', '.join(bare)} is accepted without a reason: write it behind the id.")
    return {words[0]: words[1] for words in lines}


def audit(passing: dict[str, str], *where: str) -> int:
    """Run pip-audit over all that is locked. Raises UserError where it came to no result."""
    pins = re.findall(r"^[a-z0-9][^ ;\\]*==[^ ;\\]+", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.M)
    print(f"{len(pins)} packages; accepted advisories: {len(passing)}.")
    return max(_audit_each_once(some, passing, where) for some in _rounds(pins))


def _audit_each_once(pins: list[str], passing: dict[str, str], where: tuple[str, ...]) -> int:
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--strict", "--progress-spinner", "off"]
    command += ["--vulnerability-service", "osv", *where]
    command += [word for id in passing for word in ("--ignore-vuln", id)]
    local = {**os.environ, "NO_PROXY": "127.0.0.1"} if where else None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "requirements.txt")
        file.write_text("\n".join(pins), encoding="utf-8")
        done = subprocess.run([*command, "--requirement", str(file)], capture_output=True, text=True, env=local)
    if done.returncode and not done.stdout.strip():
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise UserError(f"Nothing was audited ({last[:200]}). Without a network, give OSV's export: ADVISORIES=FILE.")
    print(done.stdout + done.stderr)
    return done.returncode


def _rounds(pins: list[str]) -> list[list[str]]:
    """The pins, each package once a round, as pip-audit takes it: some have another version for another Python."""
    versions: dict[str, list[str]] = defaultdict(list)
    for pin in pins:
        versions[pin.partition("==")[0]].append(pin)
    return [[pin for pin in some if pin] for some in zip_longest(*versions.values())]


def read_records(file: Path) -> Records:
    """The advisories of an export. Raises UserError for a file that is none, or holds nothing."""
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as export:
                records = [json.loads(export.read(name)) for name in export.namelist() if name.endswith(".json")]
        else:
            records = json.loads(file.read_text(encoding="utf-8"))
        found: Records = defaultdict(list)
        for record in records:
            names = {affected["package"]["name"] for affected in record.get("affected", []) if "package" in affected}
            for name in {canonicalize_name(name) for name in names}:
                found[name].append(record)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f'"{file}" is no export of OSV: give its ZIP, or a JSON list of its records.') from error
    if not found:
        raise UserError(f'"{file}" holds no advisory: fetch the export again.')
    return found


def is_affected(record: Record, name: str, version: Version) -> bool:
    """Whether a version is listed, or lies in a range: introduced, until fixed or last affected."""
    for affected in record["affected"]:
        if canonicalize_name(affected.get("package", {}).get("name", "")) != name:
            continue
        if str(version) in affected.get("versions", []):
            return True
        ranges = (one["events"] for one in affected.get("ranges", []) if one.get("type") == "ECOSYSTEM")
        if any(_is_within(events, version) for events in ranges):
            return True
    return False


def _is_within(events: list[dict[str, str]], version: Version) -> bool:
    """The last event before a version decides. A bound that is no version is taken to hold: better told than missed."""
    is_in = False
    try:
        for kind, bound in sorted(((*event.items(),)[0] for event in events), key=lambda one: Version(one[1])):
            if kind == "last_affected" and version > Version(bound):
                is_in = False
            elif kind in ("introduced", "fixed") and version >= Version(bound):
                is_in = kind == "introduced"
    except InvalidVersion:
        return True
    return is_in


@contextmanager
def answering(records: Records) -> Iterator[str]:
    """The address of a server that answers as OSV does, from `records`."""

    class Osv(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name, version = query["package"]["name"], Version(query["version"])
            hits = [record for record in records.get(name, []) if is_affected(record, name, version)]
            body = json.dumps({"vulns": hits}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *values: object) -> None:
            """Nothing: each package would be a line."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Osv) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()


if __name__ == "__main__":
    sys.exit(main())
