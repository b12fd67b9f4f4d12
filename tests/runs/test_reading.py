"""Reading finished runs back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_runs import made_run, outcomes_of

from qwencoder_eval.errors import RunError
from qwencoder_eval.runs.reading import all_finished, finished


def test_what_a_run_was(tmp_path: Path) -> None:
    path = made_run(tmp_path, outcomes_of([[1, 0], [1, 1], [0, 0]]), model="a/b", started="2026-02-03T04:05:06Z")
    run = finished(path)
    assert (run.model, run.benchmark, run.profile, run.version) == ("a/b", "bench", "p", "v1")
    assert run.started == "2026-02-03T04:05:06Z"
    assert run.checks == ["bench"]
    assert run.passed == {"bench": {"p0": (2, 1), "p1": (2, 2), "p2": (2, 0)}}
    assert [row["text"] for row in run.completions()][:2] == ["# p0\n", "# p0\n"]


def test_groups_are_no_checks(tmp_path: Path) -> None:
    groups = {"p0": {"level": "easy"}, "p1": {"level": "hard"}}
    run = finished(made_run(tmp_path, outcomes_of([1, 0]), groups=groups))
    assert run.checks == ["bench"]
    assert set(run.groups) == {"bench[level=easy]", "bench[level=hard]"}


@pytest.mark.parametrize(
    ("change", "same_identity", "same_column"),
    [
        ({}, True, True),
        ({"model": "other"}, True, True),
        ({"profile": "q"}, True, False),
        ({"version": "v2"}, True, True),
        ({"dataset": "e" * 64}, False, False),
        ({"benchmark": "other"}, False, False),
        ({"scoring": {"version": 2}}, False, False),
        ({"scoring": {"tests": "u"}}, False, False),
        ({"scoring": {"sandbox": {"python": {"image": "sha256:1"}}}}, True, True),
        ({"scoring": {"memory_bytes": {"python": 1}}}, True, True),
        ({"scoring": {"benchmark_file": "g"}}, True, True),
        ({"generation": {"revision": "r2"}}, True, True),
    ],
)
def test_what_makes_two_runs_comparable(
    tmp_path: Path, change: dict[str, object], same_identity: bool, same_column: bool
) -> None:
    one = finished(made_run(tmp_path, outcomes_of([1, 0]), folder="one"))
    other = finished(made_run(tmp_path, outcomes_of([1, 0]), folder="other", **change))  # type: ignore[arg-type]
    assert (one.identity == other.identity) is same_identity
    assert (one.column == other.column) is same_column


def test_all_below_a_folder_each_once(tmp_path: Path) -> None:
    one = made_run(tmp_path / "r", outcomes_of([1]), model="a")
    other = made_run(tmp_path / "r", outcomes_of([0]), model="b")
    half = made_run(tmp_path / "r", outcomes_of([0]), model="c")
    (half / "scores.json").unlink()
    found, left_out = all_finished([tmp_path / "r", one])
    assert [run.path for run in found] == [one, other]
    assert left_out == [f"{half}: has no scores, as it is not complete; start its command again"]


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"nowhere: not a folder; name a run"):
        all_finished([tmp_path / "nowhere"])
    with pytest.raises(RunError, match=r": no finished run there; see qceval runs list"):
        all_finished([tmp_path])
    with pytest.raises(RunError, match=r": not a run directory"):
        finished(tmp_path)
    path = made_run(tmp_path, outcomes_of([1, 0]))
    for name, text, said in (
        ("run.json", "{", r"run.json: cannot be read \(JSONDecodeError\)"),
        ("run.json", "[" * 100_000, r"run.json: cannot be read \(RecursionError\)"),
        ("run.json", '{"format": 0}', "format 0, this qceval reads 1"),
        ("run.json", "[]", "format None"),
        ("scores.json", "", "scores.json: cannot be read"),
        ("scores.json", '{"scores": {"a": {}}, "model": 1}', r"damaged \(model, benchmark, profile, dataset"),
    ):
        kept = (path / name).read_text()
        (path / name).write_text(text)
        with pytest.raises(RunError, match=said) as raised:
            all_finished([path])
        assert "\n" not in str(raised.value)
        (path / name).write_text(kept)
    (path / "scores.json").unlink()
    with pytest.raises(RunError, match=r"no finished run there; .*has no scores"):
        all_finished([tmp_path])


def test_a_run_whose_rows_are_gone(tmp_path: Path) -> None:
    path = made_run(tmp_path, outcomes_of([1, 0]))
    rows = (path / "verdicts.jsonl").read_text().splitlines(keepends=True)
    (path / "verdicts.jsonl").write_text(rows[0])
    with pytest.raises(RunError, match="1 verdicts, and its scores are of 2; start its command again"):
        _ = finished(path).passed
    (path / "verdicts.jsonl").write_text(rows[0] + "{}\n")
    with pytest.raises(RunError, match=r"verdicts.jsonl:2: damaged"):
        _ = finished(path).passed


def test_every_group_of_scores_is_a_number(tmp_path: Path) -> None:
    run = finished(made_run(tmp_path, outcomes_of([[1] * 10, [0] * 10])))
    assert json.loads((run.path / "scores.json").read_text())["scores"]["bench"].keys() == {"pass@1", "pass@10"}
