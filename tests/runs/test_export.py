"""Runs as a flat table: every sample and check once, in CSV and Parquet, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import json
import random
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
from made_runs import made_run, outcomes_of

from qwencoder_eval.errors import InfrastructureError, RunError, UsageError
from qwencoder_eval.runs import export as module
from qwencoder_eval.runs.export import COLUMNS, export, groups, rows
from qwencoder_eval.runs.reading import Finished, finished

TWO_CHECKS = {
    "p0": [{"bench": "passed", "bench+": "wrong"}, {"bench": "timeout", "bench+": "timeout"}],
    "p1": [{"bench": "passed", "bench+": "passed"}, {"bench": "passed", "bench+": "passed"}],
}


@pytest.fixture
def run(tmp_path: Path) -> Finished:
    return finished(made_run(tmp_path / "r", TWO_CHECKS, model="org/m", texts={"p0": "=1+1\n", "p1": "ü\n"}))


def read_csv(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def test_a_row_for_each_sample_and_check(run: Finished) -> None:
    found = list(rows(run))
    assert len(found) == 8
    assert set(found[0]) == set(COLUMNS)
    assert [(r["problem"], r["sample"], r["check"], r["outcome"], r["passed"]) for r in found[:4]] == [
        ("p0", 0, "bench", "passed", True), ("p0", 0, "bench+", "wrong", False),
        ("p0", 1, "bench", "timeout", False), ("p0", 1, "bench+", "timeout", False),
    ]  # fmt: skip
    assert {(r["model"], r["benchmark"], r["profile"], r["version"], r["started"]) for r in found} == {
        ("org/m", "bench", "p", "v1", "2026-01-01T00:00:00Z")
    }
    assert {r["finish_reason"] for r in found} == {"stop"}


def test_answers_are_found_in_whatever_order_they_lie(run: Finished) -> None:
    file = run.path / "completions.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for number, line in enumerate(lines):
        line["tokens"], line["prompt_tokens"] = number + 1, 10 * (number + 1)
    expected = {(line["problem"], line["sample"]): line["tokens"] for line in lines}
    random.Random(0).shuffle(lines)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = list(rows(run, texts=True))
    assert {(r["problem"], r["sample"]): r["tokens"] for r in found} == expected
    assert all(r["prompt_tokens"] == 10 * r["tokens"] for r in found)
    assert {r["problem"]: r["text"] for r in found} == {"p0": "=1+1\n", "p1": "ü\n"}


def test_csv_is_harmless_in_a_spreadsheet(run: Finished, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    assert export([run], file, texts=True) == 8
    found = read_csv(file)
    assert list(found[0]) == [*COLUMNS, "text"]
    assert found[0]["text"] == "'=1+1\n"
    assert found[0]["passed"] == "True"
    assert found[0]["tokens"] == ""
    evil = finished(made_run(tmp_path / "e", outcomes_of([1]), model="=HYPERLINK(1)"))
    export([evil], file)
    assert read_csv(file)[0]["model"] == "'=HYPERLINK(1)"
    assert "text" not in read_csv(file)[0]


def test_parquet_holds_types_and_row_groups(run: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: extra `tables`")
    monkeypatch.setattr(module, "GROUP", 3)
    file = tmp_path / "out.parquet"
    assert export([run, run], file, texts=True) == 16
    opened = parquet.ParquetFile(file)
    assert opened.num_row_groups == 6
    table = opened.read().to_pylist()
    assert table[:8] == list(rows(run, texts=True))
    assert {str(field.type) for field in opened.schema_arrow} == {"string", "int64", "bool"}


def test_long_texts_make_small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP", 4)
    monkeypatch.setattr(module, "GROUP_CHARS", 10)
    texts = ["x" * 9, "x", "", None, "x", "", "x" * 100, "x"]
    found = [[row["text"] for row in group] for group in groups({"text": text} for text in texts)]
    assert found == [texts[:2], texts[2:6], texts[6:7], texts[7:]]
    assert list(groups([])) == []


def test_memory_does_not_grow_with_samples(tmp_path: Path) -> None:
    import tracemalloc

    def peak(samples: int) -> int:
        run = finished(made_run(tmp_path / str(samples), outcomes_of([[1] * samples] * 2)))
        tracemalloc.start()
        export([run], tmp_path / "out.csv")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    few, many = peak(100), peak(3000)
    assert many < few + 500_000


def test_half_a_surrogate_pair_is_written(tmp_path: Path) -> None:
    run = finished(made_run(tmp_path / "r", outcomes_of([1]), texts={"p0": "a\ud800b"}))
    export([run], tmp_path / "out.csv", texts=True)
    assert read_csv(tmp_path / "out.csv")[0]["text"] == "a?b"


def full(folder: Path) -> sqlite3.Connection:
    raise sqlite3.OperationalError("disk is full")


def test_what_cannot_be_written(run: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"out.xlsx: give a name that ends in .parquet or .csv"):
        export([run], tmp_path / "out.xlsx")
    with pytest.raises(InfrastructureError, match=r"out.csv: cannot be written \(No such file or directory\)"):
        export([run], tmp_path / "nowhere" / "out.csv")
    with monkeypatch.context() as patched:
        patched.setattr(module, "_table", full)
        with pytest.raises(
            InfrastructureError, match=r": no room to sort in \(disk is full\); make some, or set TMPDIR"
        ):
            export([run], tmp_path / "out.csv")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        InfrastructureError, match=r"out.parquet: pyarrow is not installed; pip install 'qwencoder_eval\[t"
    ):
        export([run], tmp_path / "out.parquet")


def test_a_damaged_run_leaves_nothing_behind(run: Finished, tmp_path: Path) -> None:
    with (run.path / "verdicts.jsonl").open("a") as file:
        file.write("{}\n")
    with pytest.raises(RunError, match=r"verdicts.jsonl:5: damaged"):
        export([run], tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_one_line_reads_a_run_in_pandas(run: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very line that results/README.md gives."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    page = (Path(__file__).resolve().parents[2] / "results" / "README.md").read_text()
    line = next(line for line in page.splitlines() if "pandas.read_json" in line)
    monkeypatch.chdir(run.path.parents[2])
    where = line.replace("results/MODEL/BENCHMARK/RUN", str(run.path))
    scope: dict[str, Any] = {"pandas": pandas}
    exec(where, scope)
    table = scope["table"]
    assert len(table) == 4
    assert table.groupby("problem")["checks"].count().to_dict() == {"p0": 2, "p1": 2}
    assert (table["checks"].str["bench"] == "passed").sum() == 3
