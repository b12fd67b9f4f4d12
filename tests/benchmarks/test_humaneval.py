"""HumanEval+ against what was published: recorded outputs, replayed through the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from replaying import published, qceval, score

BACKENDS = [
    pytest.param("docker", marks=pytest.mark.docker),
    pytest.param("namespaces", marks=pytest.mark.namespaces),
]


def passed(report: dict[str, Any], name: str) -> tuple[int, float]:
    return report["outcomes"][name]["passed"], report["scores"][name]["pass@1"]["value"]


@contextmanager
def busy_cores() -> Iterator[None]:
    """Another process on every core, for as long as the block lasts."""
    burners = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(len(os.sched_getaffinity(0)))
    ]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", BACKENDS, indirect=True)
def test_published_verdicts(sandbox: str, recorded: Path, shared_data: Path, tmp_path: Path) -> None:
    report, verdicts = score(recorded, "humaneval", sandbox, "qwen", tmp_path)
    assert verdicts == published(recorded, "humaneval")
    assert passed(report, "humaneval") == (72, 72 / 164)
    assert passed(report, "humaneval+") == (60, 60 / 164)
    assert report["dataset"]["version"] == "v0.1.9"


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", BACKENDS, indirect=True)
def test_published_verdicts_while_the_machine_is_busy(
    sandbox: str, recorded: Path, shared_data: Path, tmp_path: Path
) -> None:
    with busy_cores():
        _, verdicts = score(recorded, "humaneval", sandbox, "qwen", tmp_path)
    assert verdicts == published(recorded, "humaneval")


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", BACKENDS, indirect=True)
def test_profile_of_today_on_the_same_file(sandbox: str, recorded: Path, shared_data: Path, tmp_path: Path) -> None:
    """evalplus.evaluate 0.3.1 with data v0.1.10 gives the published verdicts on this file (run beside it once)."""
    report, verdicts = score(recorded, "humaneval", sandbox, "evalplus", tmp_path)
    assert verdicts == published(recorded, "humaneval")
    assert report["dataset"]["version"] == "v0.1.10"


CHECKED = [
    pytest.param("docker", "evalplus", marks=pytest.mark.docker),
    pytest.param("namespaces", "qwen", marks=pytest.mark.namespaces),
]


@pytest.mark.slow
@pytest.mark.parametrize(("sandbox", "profile"), CHECKED, indirect=["sandbox"])
def test_every_reference_passes(sandbox: str, profile: str, shared_data: Path, tmp_path: Path) -> None:
    report = qceval("check", "--bench", "humaneval", "--profile", profile, "--sandbox", sandbox, "--out", str(tmp_path))
    assert report["exceptions"] == []
    assert report["golden"] == []
    assert passed(report, "humaneval+") == (164, 1.0)
