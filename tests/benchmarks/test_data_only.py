"""Benchmarks that are data only: their rows are the pinned ones, and each is a problem with an id of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwencoder_eval.benchmark import DataOnly
from qwencoder_eval.datasets.rows import load
from qwencoder_eval.registry import discover

NAMES = sorted(name for name, entry in discover().entries.items() if entry.data_only)
# name -> how many rows, how the first one begins, how its answer ends
KNOWN = {
    "gsm8k": (1319, "Janet\u2019s ducks lay 16 eggs per day.", "#### 18"),
    "math": (5000, "How many vertical asymptotes does the graph of", "$\\boxed{2}$ vertical asymptotes."),
}


def test_all_of_them_are_known_here() -> None:
    assert sorted(KNOWN) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_rows_and_problems(name: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCEVAL_DATA", str(shared_data))
    benchmark = discover().load(name)
    assert isinstance(benchmark, DataOnly)
    ((spec, select),) = benchmark.datasets()
    if not (shared_data / spec.file).is_file():
        pytest.skip(f"no {spec.file} in {shared_data}")
    rows = load(spec, benchmark.file.parent, offline=True, select=select)
    count, asked, answer = KNOWN[name]
    assert len(rows) == spec.count == count
    assert all(isinstance(row[field], str) and row[field] for row in rows for field in benchmark.decontaminate)
    problems = [benchmark.problem(row) for row in rows]
    assert [problem.id for problem in problems] == [f"{name}/{number}" for number in range(count)]
    (text,) = problems[0].fields.values()
    assert text.startswith(asked)
    assert problems[0].reference
    assert problems[0].reference.endswith(answer)
    assert rows[0][benchmark.decontaminate[0]] == text
    assert rows[0][benchmark.decontaminate[1]] == problems[0].reference
