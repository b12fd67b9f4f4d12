"""`qceval history` and `qceval runs export`, as they are called."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import made_run, outcomes_of

Cli = Callable[..., subprocess.CompletedProcess[str]]
Document = Callable[..., Any]
Refused = Callable[..., str]

HOSTILE = "org/=step-9\x1b[2J[red]<b>\"'"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    for number, right in enumerate([[0, 0, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0]]):
        made_run(folder, outcomes_of(right), model=f"org/step-{number}", started=f"2026-01-0{number + 1}T00:00:00Z")
    made_run(folder, outcomes_of([1, 0]), model=HOSTILE, profile="q")
    half = made_run(folder, outcomes_of([1, 0]), model="org/step-8")
    (half / "scores.json").unlink()
    return folder


def test_checkpoints_over_time(qceval: Cli, document: Document, results: Path, tmp_path: Path) -> None:
    shown = qceval("history", "*step-*", "bench", "--plot", tmp_path / "h.svg")
    assert shown.returncode == 0, shown.stderr
    lines = [line for line in shown.stdout.splitlines() if "org/step-" in line]
    assert [line.split()[2] for line in lines] == ["org/step-0", "org/step-1", "org/step-2"]
    assert "●" in lines[0]
    assert "\x1b" not in shown.stdout
    assert "2 series: their rules, data or profiles differ" in shown.stderr
    assert "left out: " in shown.stderr
    assert (tmp_path / "h.svg").read_text().startswith("<svg ")
    found = document("history", "step-*", "bench")
    assert [run["value"] for run in found["series"][0]["runs"]] == [0.25, 0.5, 0.75]
    assert len(document("history", "*step-*", "bench", "--profile", "q")["series"]) == 1


def test_what_history_refuses(refused: Refused, results: Path, tmp_path: Path) -> None:
    assert "no finished run of nobody for bench; see qceval runs list" in refused("history", "nobody", "bench")
    assert "for other" in refused("history", "step-*", "other")
    assert "under profile z" in refused("history", "step-*", "bench", "--profile", "z")
    assert "give a name that ends in .svg" in refused("history", "step-*", "bench", "--plot", "h.png")
    assert "not a folder" in refused("history", "step-*", "bench", "--out", tmp_path / "nowhere")
    said = refused("history", "step-*", "bench", "--plot", tmp_path / "no" / "h.svg", status=3)
    assert "cannot be written" in said


def test_export(qceval: Cli, document: Document, results: Path, tmp_path: Path) -> None:
    ran = qceval("runs", "export", results, "--out", tmp_path / "out.csv", "--texts")
    assert ran.returncode == 0, ran.stderr
    assert "4 runs, 14 rows" in ran.stderr
    assert "left out: " in ran.stderr
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 14
    assert {row["model"] for row in rows} == {"org/step-0", "org/step-1", "org/step-2", HOSTILE}
    one = next(results.glob("org--step-0/bench/*"))
    said = document("runs", "export", one, "--out", tmp_path / "one.csv")
    assert said == {"file": str(tmp_path / "one.csv"), "runs": 1, "rows": 4}


def test_what_export_refuses(refused: Refused, results: Path, tmp_path: Path) -> None:
    assert "ends in .parquet or .csv" in refused("runs", "export", results, "--out", tmp_path / "out.json")
    assert "not a folder" in refused("runs", "export", tmp_path / "no", "--out", tmp_path / "out.csv")
    assert "--out" in refused("runs", "export", results)


def test_parquet_that_pandas_reads(qceval: Cli, results: Path, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: extra `tables`")
    assert qceval("runs", "export", results, "--out", tmp_path / "out.parquet").returncode == 0
    table = pandas.read_parquet(tmp_path / "out.parquet")
    means = table[table["profile"] == "p"].groupby("model")["passed"].mean()
    assert means.to_dict() == {"org/step-0": 0.25, "org/step-1": 0.5, "org/step-2": 0.75}
