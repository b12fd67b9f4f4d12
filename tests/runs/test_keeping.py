"""Runs on disk as a whole: found, described, and removed only where they are meant."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.errors import InfrastructureError, RunError
from qwencoder_eval.runs.keeping import Kept, find, kept, remove, superfluous


def run(results: Path, name: str, changed: float = 1000.0, report: object = None) -> Path:
    path = results / name
    path.mkdir(parents=True)
    (path / "run.json").write_text("{}")
    if report is not None:
        (path / "scores.json").write_text(report if isinstance(report, str) else json.dumps(report))
    for file in path.iterdir():
        os.utime(file, (changed, changed))
    return path


def test_runs_are_found_wherever_they_lie(tmp_path: Path) -> None:
    paths = [run(tmp_path, name) for name in ("a/humaneval/p-1", "a/mbpp/p-1", "b/deeper/still/mbpp/p-1", "top")]
    run(paths[0], "not-a-run-of-its-own")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(paths[0])
    assert [found.path for found in find(tmp_path)] == sorted(paths)
    assert list(find(tmp_path / "nowhere")) == []


def test_a_run_says_how_far_it_got(tmp_path: Path) -> None:
    whole = kept(run(tmp_path, "whole", 5000.0, {"scores": {"x": {}}}))
    assert whole.complete
    assert whole.changed == 5000.0
    assert whole.size == 2 + len('{"scores": {"x": {}}}')
    for number, report in enumerate((None, {}, {"scores": {}}, "{", "[]", "[" * 100_000)):
        assert not kept(run(tmp_path, f"part{number}", report=report)).complete
    with pytest.raises(RunError, match="not a run directory"):
        kept(tmp_path)


SERIES = ("m/humaneval/qwen", "m/humaneval/evalplus", "n/humaneval/qwen")
RUNS = st.lists(st.tuples(st.sampled_from(SERIES), st.integers(0, 50)), max_size=20)


@given(RUNS, st.none() | st.integers(0, 4), st.none() | st.integers(0, 50))
def test_what_is_superfluous(runs: list[tuple[str, int]], keep: int | None, older_than: int | None) -> None:
    all_runs = [Kept(Path(f"{series}-v1-{n}"), {}, float(at), 1) for n, (series, at) in enumerate(runs)]
    gone = superfluous(all_runs, keep, older_than)
    assert len(set(map(id, gone))) == len(gone)
    for series in SERIES:
        of_series = [run for run in all_runs if str(run.path).startswith(f"{series}-")]
        stay = [run for run in of_series if run not in gone]
        assert len(stay) >= min(keep or 0, len(of_series))
        left = [run for run in of_series if run in gone]
        assert all(older_than is None or run.changed < older_than for run in left)
        if left and stay and older_than is None:  # the newest stay
            assert max(run.changed for run in left) <= min(run.changed for run in stay)
        if keep is None and older_than is not None:
            assert all(run.changed >= older_than for run in stay)


def test_a_run_that_is_being_written_stays(tmp_path: Path) -> None:
    path = run(tmp_path, "m/b/p-1")
    (path / "deep").mkdir()
    with (path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert remove(kept(path)) is False
        assert (path / "run.json").is_file()
    assert remove(kept(path)) is True
    assert not path.exists()


def test_what_cannot_be_removed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = run(tmp_path, "m/b/p-1")

    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("qwencoder_eval.runs.keeping.shutil.rmtree", refuse)
    with pytest.raises(InfrastructureError, match=r"cannot be removed \(Permission denied\)"):
        remove(kept(path))
