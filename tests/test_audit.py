"""The audit of the lock without a network: pip-audit itself, answered from a file of advisories."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from packaging.version import Version

from tests.audit import Record, accepted, is_affected, main


def advisory(name: str, *events: dict[str, str], versions: tuple[str, ...] = ()) -> Record:
    return {
        "id": "TEST-2026-1",
        "summary": "A picture can do harm",
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": name},
                "ranges": [{"type": "ECOSYSTEM", "events": list(events)}],
                "versions": list(versions),
            }
        ],
    }


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A file of advisories: one of a package of the lock, and one that is mended in it."""
    file = tmp_path / "all.zip"
    with zipfile.ZipFile(file, "w") as records:
        records.writestr("1.json", json.dumps(advisory("Pillow", {"introduced": "0"})))
        mended = {**advisory("numpy", {"introduced": "0"}, {"fixed": "1.22"}), "id": "TEST-2026-2"}
        records.writestr("2.json", json.dumps(mended))
    return file


def test_a_known_advisory_fails_until_it_is_accepted_with_a_reason(
    export: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "accepted.txt"
    command = ["--advisories", str(export), "--accepted", str(listed)]
    for text, code, told in (
        ("# none\n", 1, "TEST-2026-1"),
        ("TEST-2026-1 pictures are decoded in the worker alone\n", 0, "accepted advisories: 1"),
        ("TEST-2026-1\n", 2, "TEST-2026-1 is accepted without a reason"),
    ):
        listed.write_text(text)
        assert main(command) == code
        said = "".join(capfd.readouterr())
        assert told in said
        assert "TEST-2026-2" not in said


@pytest.mark.parametrize("text", ["", "[]", "{}", '[{"affected": [3]}]', "no JSON"])
def test_a_file_without_advisories_is_no_audit(tmp_path: Path, text: str) -> None:
    (tmp_path / "all.json").write_text(text)
    assert main(["--advisories", str(tmp_path / "all.json")]) == 2


@pytest.mark.parametrize(
    ("events", "is_hit"),
    [
        pytest.param([{"introduced": "0"}], True, id="never mended"),
        pytest.param([{"introduced": "0"}, {"fixed": "2.0"}], False, id="mended in it"),
        pytest.param([{"fixed": "2.0.1"}, {"introduced": "0"}], True, id="mended later"),
        pytest.param([{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "1.5"}], True, id="came back"),
        pytest.param([{"introduced": "0"}, {"last_affected": "2.0"}], True, id="the last one"),
        pytest.param([{"introduced": "0"}, {"last_affected": "1.9"}], False, id="after the last one"),
        pytest.param([{"introduced": "2.1"}], False, id="before"),
        pytest.param([{"introduced": "0"}, {"fixed": "unknown"}], True, id="no version"),
    ],
)
def test_ranges(events: list[dict[str, str]], is_hit: bool) -> None:
    assert is_affected(advisory("Torch_Vision", *events), "torch-vision", Version("2.0")) is is_hit


def test_a_listed_version_is_affected_and_that_of_another_package_is_not() -> None:
    record = advisory("torch", versions=("2.0",))
    assert is_affected(record, "torch", Version("2.0"))
    assert not is_affected(record, "numpy", Version("2.0"))


def test_reasons_are_read_behind_their_ids() -> None:
    assert accepted("# why\n\nA-1 it is not called here\n") == {"A-1": "it is not called here"}
