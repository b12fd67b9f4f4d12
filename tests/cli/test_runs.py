"""`qceval runs`: what lies on disk, what failed in it, and removing what is old."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]
Document = Callable[..., Any]
Refused = Callable[..., str]
Samples = Callable[..., Path]

NAME = "starter 1"


@pytest.fixture
def run(document: Document, samples: Samples, starter: list[dict[str, Any]]) -> Path:
    """A run in which half of the answers are wrong, one of them with much to say."""
    rows = [
        {"task_id": row["task_id"], "completion": row["canonical_solution"] if n % 2 else row["wrong"][0]}
        for n, row in enumerate(starter)
    ]
    rows[0]["completion"] = "    raise ValueError('\\x1b[31m' + 'long ' * 2000)\n"
    report = document("score", "--bench", "starter", "--samples", samples(rows), "--sandbox", "none", "--unsafe")
    return Path(report["run"])


def test_the_list_tells_scores_and_state(document: Document, qceval: Cli, run: Path) -> None:
    (listed,) = document("runs", "list")
    assert listed["run"] == str(run)
    assert (listed["benchmark"], listed["complete"], listed["samples"]) == ("starter", True, 24)
    assert listed["scores"] == {NAME: 0.5}
    assert listed["dataset"]["version"] == "1"
    assert f"{run}: {NAME} 50.0 %" in qceval("runs", "list").stdout
    (run / "scores.json").unlink()
    assert "not complete; the same command continues it" in qceval("runs", "list").stdout


def test_a_folder_without_runs(document: Document, qceval: Cli, tmp_path: Path) -> None:
    assert document("runs", "list", "--out", tmp_path / "nowhere") == []
    assert "no runs in" in qceval("runs", "list", "--out", tmp_path / "nowhere").stderr


def test_the_version_of_the_dataset_is_in_every_name(document: Document, run: Path) -> None:
    """In the table, in the folder's name, in scores.json and in what a script reads."""
    assert run.name.startswith("starter-1-")
    report = json.loads((run / "scores.json").read_text())
    assert report["scores"]["starter"]["pass@1"]["name"] == NAME
    assert report["dataset"]["version"] == "1"


def test_show_tells_what_failed_and_why(document: Document, qceval: Cli, run: Path) -> None:
    shown = qceval("runs", "show", run).stdout
    assert "50.0 %" in shown
    assert shown.count(" [0] ") == 12
    assert "error ValueError: ·" in shown
    assert "\x1b" not in shown
    assert max(map(len, shown.splitlines())) < 300
    found = document("runs", "show", run)
    assert len(found["failed"]) == 12
    assert all(row["evidence"] for row in found["failed"])


def test_show_tells_all_of_one_problem(
    document: Document, qceval: Cli, run: Path, starter: list[dict[str, Any]]
) -> None:
    problem = starter[0]["task_id"]
    found = document("runs", "show", run, problem)
    (sample,) = found["samples"]
    assert sample["checks"] == {"starter": "runtime_error"}
    assert "raise ValueError" in sample["text"]
    shown = qceval("runs", "show", run, problem).stdout
    assert "raise ValueError" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("what", ["no run", "no problem"])
def test_show_of_what_is_not_there(refused: Refused, run: Path, tmp_path: Path, what: str) -> None:
    if what == "no run":
        assert refused("runs", "show", tmp_path) == f"{tmp_path}: not a run directory; see qceval runs list"
    else:
        assert "no answer to 'nobody'" in refused("runs", "show", run, "nobody")


def test_long_evidence_is_kept_compressed_and_bounded(
    document: Document, samples: Samples, starter: list[dict[str, Any]], rows_of: Callable[[Path], list[dict[str, Any]]]
) -> None:
    long = "    raise ValueError('x' * 100)\n"
    wrong = "    return ['" + "y" * 5000 + "']\n"
    rows = [{"task_id": row["task_id"], "completion": (long, wrong)[n % 2]} for n, row in enumerate(starter)]
    report = document("score", "--bench", "starter", "--samples", samples(rows), "--sandbox", "none", "--unsafe")
    kept = rows_of(Path(report["run"]) / "verdicts.jsonl")
    assert len([row for row in kept if "evidence" in row]) == 12
    assert len([row for row in kept if "evidence_zlib" in row]) == 12
    assert max(len(json.dumps(row)) for row in kept) < 1000
    failed = {row["problem"]: row["evidence"] for row in document("runs", "show", report["run"])["failed"]}
    assert max(len(evidence.get("got", "")) for evidence in failed.values()) == 4000


def test_prune_removes_nothing_that_it_was_not_told_to(
    qceval: Cli, refused: Refused, document: Document, run: Path
) -> None:
    assert "would remove every run" in refused("runs", "prune")
    assert document("runs", "prune", "--keep", 1) == []
    assert document("runs", "prune", "--older-than", 1) == []
    assert document("runs", "prune", "--keep", 0, "--older-than", 1) == []
    (line,) = document("runs", "prune", "--keep", 0)
    assert (line["run"], line["removed"]) == (str(run), False)
    assert "add --yes" in qceval("runs", "prune", "--keep", 0).stderr
    assert run.is_dir()


def test_prune_removes_old_runs(document: Document, run: Path) -> None:
    old = time.time() - 3 * 86_400
    for file in run.iterdir():
        os.utime(file, (old, old))
    assert document("runs", "prune", "--older-than", 4, "--yes") == []
    (line,) = document("runs", "prune", "--older-than", 2, "--yes")
    assert (line["run"], line["removed"]) == (str(run), True)
    assert not run.exists()
    assert document("runs", "list") == []
