"""What a container leaves of a machine, by control groups as Linux shows them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from pipelines.allotted import available_bytes, num_processors

MB = 10**6


def mounted(folder: Path, membership: str, files: Mapping[str, str]) -> tuple[Path, Path]:
    """Control groups as a kernel would show them, and what it tells of a process in them."""
    for name, text in files.items():
        file = folder / "groups" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n", encoding="utf-8")
    (folder / "membership").write_text(membership, encoding="utf-8")
    return folder / "groups", folder / "membership"


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        pytest.param(
            "0::/\n",
            {
                "memory.max": f"{50 * MB}",
                "memory.current": f"{30 * MB}",
                "memory.stat": f"anon {20 * MB}\nactive_file {4 * MB}\ninactive_file {6 * MB}",
                "cpu.max": "50000 100000",
            },
            id="its own the outermost",
        ),
        pytest.param(
            "0::/system.slice/glassbox.service\n",
            {
                "system.slice/memory.max": f"{30 * MB}",
                "system.slice/memory.current": f"{0 * MB}",
                "system.slice/cpu.max": "max 100000",
                "system.slice/glassbox.service/memory.max": "max",
                "system.slice/glassbox.service/cpu.max": "100000 100000",
            },
            id="a service among others",
        ),
        pytest.param(
            "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n0::/\n",
            {
                "memory/memory.limit_in_bytes": f"{40 * MB}",
                "memory/memory.usage_in_bytes": f"{20 * MB}",
                "memory/memory.stat": f"active_file {1 * MB}\ntotal_active_file {3 * MB}\ntotal_inactive_file {7 * MB}",
                "cpu/cpu.cfs_quota_us": "20000",
                "cpu/cpu.cfs_period_us": "50000",
            },
            id="of the first version, told as seen from outside",
        ),
    ],
)
def test_a_group_bounds_memory_and_processors(tmp_path: Path, membership: str, files: Mapping[str, str]) -> None:
    groups = mounted(tmp_path, membership, files)
    assert available_bytes(*groups) == 30 * MB
    assert num_processors(*groups) == 1


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"memory.max": "max", "memory.current": "5", "cpu.max": "max 100000"},
        {"memory.max": f"{2**63}", "cpu.max": "99900000 100000"},
    ],
    ids=["no groups", "no bounds", "bounds beyond the machine"],
)
def test_without_a_bound_the_machine_counts(tmp_path: Path, files: Mapping[str, str]) -> None:
    groups = mounted(tmp_path, "0::/\n", files)
    assert num_processors(*groups) == len(os.sched_getaffinity(0))
    assert available_bytes(*groups) > psutil.virtual_memory().total // 50


def test_where_nothing_is_told_of_groups_the_machine_counts(tmp_path: Path) -> None:
    assert num_processors(tmp_path, tmp_path / "none") >= 1
    assert available_bytes(tmp_path, tmp_path / "none") > 0


def test_a_group_that_is_full_leaves_nothing(tmp_path: Path) -> None:
    assert available_bytes(*mounted(tmp_path, "0::/\n", {"memory.max": "10", "memory.current": "12"})) == 0
