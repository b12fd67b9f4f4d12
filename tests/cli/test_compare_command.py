"""`qceval compare` as a command."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import made_run, outcomes_of

Cli = Callable[..., subprocess.CompletedProcess[str]]
Document = Callable[..., Any]
Refused = Callable[..., str]
BASE = [1] * 12 + [0] * 8
WORSE = [0] * 10 + [1] * 2 + [0] * 7 + [1]


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    base = made_run(tmp_path / "base", outcomes_of(BASE), texts={"p0": "def right(): ..."})
    new = made_run(
        tmp_path / "new",
        outcomes_of(WORSE),
        texts={"p0": "\x1b[2Jdef wrong(): ..."},
        evidence={"p0": {"got": "\x1b]0;x"}},
    )
    return base, new


def test_a_table_for_people(sides: tuple[Path, Path], qceval: Cli) -> None:
    ran = qceval("compare", *sides)
    assert ran.returncode == 0, ran.stderr
    assert "bench v1   60.0 %   15.0 %        -45.0" in ran.stdout
    assert "lost p0, p1, p2, p3, p4, p5, p6, p7, p8, p9" in ran.stdout
    assert "gained p19" in ran.stdout
    assert "gate" not in ran.stdout


def test_both_answers_side_by_side_and_nothing_that_a_terminal_acts_on(sides: tuple[Path, Path], qceval: Cli) -> None:
    ran = qceval("compare", *sides, "--show", 2)
    assert ran.returncode == 0
    assert "def right(): ..." in ran.stdout
    assert "def wrong(): ..." in ran.stdout
    assert ran.stdout.index("bench v1: p0") < ran.stdout.index("bench v1: p1")
    assert "bench v1: p2" not in ran.stdout
    assert "\x1b" not in ran.stdout


def test_a_document_for_programs(sides: tuple[Path, Path], document: Document) -> None:
    found = document("compare", *sides)
    (each,) = found["comparisons"]
    assert "gate" not in found
    assert (each["base"], each["new"], each["difference"]) == (0.6, 0.15, pytest.approx(-0.45))
    assert each["low"] < -0.45 < each["high"] < 0
    assert each["p"] == pytest.approx(2 * 12 / 2**11)
    assert len(each["lost"]) == 10
    flip = each["flips"]["p0"]
    assert (flip["base"]["text"], flip["base"]["checks"]) == ("def right(): ...", {"bench": "passed"})
    assert flip["new"]["checks"] == {"bench": "wrong"}


def test_the_gate(sides: tuple[Path, Path], qceval: Cli, document: Document) -> None:
    ran = qceval("compare", *sides, "--gate")
    assert ran.returncode == 1
    assert "gate: false alarms in at most 5 of 100" in ran.stdout
    assert "FAILED" in ran.stdout
    (test,) = document("compare", *sides, "--gate", status=1)["gate"]
    assert test["failed"]
    assert test["detectable"] > 0.1
    assert qceval("compare", sides[0], sides[0], "--gate").returncode == 0
    assert qceval("compare", sides[1], sides[0], "--gate").returncode == 0  # better
    assert qceval("compare", *sides, "--gate", "--least", 50).returncode == 0
    assert qceval("compare", *sides, "--gate", "--alpha", 0.001).returncode == 0


def test_folders_of_runs(tmp_path: Path, document: Document) -> None:
    for name, right in (("a", BASE), ("b", WORSE)):
        for bench in ("one", "two:x"):
            made_run(tmp_path / name, outcomes_of(right, bench), benchmark=bench)
    found = document("compare", tmp_path / "a", tmp_path / "b", "--gate", status=1)
    assert [each["check"] for each in found["comparisons"]] == ["one", "two:x"]
    assert [each["name"] for each in found["gate"]] == ["all 2 benchmarks", "one v1", "two:x v1"]


def test_what_cannot_be_compared(sides: tuple[Path, Path], tmp_path: Path, refused: Refused) -> None:
    assert refused("compare", sides[0], tmp_path / "nowhere").endswith(
        "name a run or a folder of runs, see qceval runs list"
    )
    other = made_run(tmp_path / "other", outcomes_of(BASE), dataset="e" * 64, version="v2")
    assert refused("compare", sides[0], other).startswith("cannot be compared: bench: differs in dataset")
    (sides[1] / "scores.json").unlink()
    assert "has no scores, as it is not complete" in refused("compare", *sides)


def test_hostile_names(tmp_path: Path, qceval: Cli) -> None:
    name = "a/<b>\x1b[31m'\"\n|"
    base = made_run(tmp_path / "a", {f"\x1b]0;{at}": [{"bench": "passed"}] for at in range(9)}, model=name)
    new = made_run(tmp_path / "b", {f"\x1b]0;{at}": [{"bench": "wrong"}] for at in range(9)}, model=name)
    ran = qceval("compare", base, new, "--gate")
    assert ran.returncode == 1
    assert "\x1b" not in ran.stdout
