"""Stores of baselines: a folder and a branch keep the same promises."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from made_runs import made_run, outcomes_of

from qwencoder_eval.errors import InfrastructureError, InputError, RunError
from qwencoder_eval.regression.baseline import FolderStore, GitStore, Store, store
from qwencoder_eval.runs.reading import Finished


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    ran = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit and something that is not committed."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "t")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "t@example.com")
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "kept").write_text("kept")
    git(folder, "add", "kept")
    git(folder, "commit", "-q", "-m", "first")
    (folder / "kept").write_text("changed")
    return folder


@pytest.fixture(params=["folder", "git"])
def kept(request: pytest.FixtureRequest, repository: Path) -> Store:
    return store("git:base-line/1" if request.param == "git" else "baselines", repository)


def fetched(kept: Store, model: str, tmp_path: Path) -> list[Finished]:
    into = tmp_path / f"into-{len(list(tmp_path.iterdir()))}"
    into.mkdir()
    return kept.fetch(model, into)


def test_what_was_accepted_comes_back(kept: Store, tmp_path: Path) -> None:
    paths = [
        made_run(tmp_path / "r", outcomes_of([1, 0, 1]), model="a/b"),
        made_run(tmp_path / "r", outcomes_of([[1, 1]], "x:y"), model="a/b", benchmark="x:y"),
    ]
    assert fetched(kept, "a b", tmp_path) == []
    kept.accept("a b", paths)
    found = fetched(kept, "a b", tmp_path)
    assert [(run.model, run.benchmark, run.passed) for run in found] == [
        ("a/b", "bench", {"bench": {"p0": (1, 1), "p1": (1, 0), "p2": (1, 1)}}),
        ("a/b", "x:y", {"x:y": {"p0": (2, 2)}}),
    ]
    assert not any("lock" in file.name for run in found for file in run.path.iterdir())


def test_another_acceptance_replaces_a_model_and_leaves_others(kept: Store, tmp_path: Path) -> None:
    first = made_run(tmp_path / "1", outcomes_of([1, 0]))
    kept.accept("one", [first, made_run(tmp_path / "1", outcomes_of([1], "c"), benchmark="c")])
    kept.accept("other", [first])
    kept.accept("one", [made_run(tmp_path / "2", outcomes_of([1, 1]))])
    assert [run.passed["bench"] for run in fetched(kept, "one", tmp_path)] == [{"p0": (1, 1), "p1": (1, 1)}]
    assert [run.passed["bench"] for run in fetched(kept, "other", tmp_path)] == [{"p0": (1, 1), "p1": (1, 0)}]


def test_repeats_of_a_name_are_kept_apart(kept: Store, tmp_path: Path) -> None:
    paths = [made_run(tmp_path / str(number), outcomes_of([number]), folder="same") for number in range(2)]
    kept.accept("m", paths)
    assert [run.passed["bench"]["p0"] for run in fetched(kept, "m", tmp_path)] == [(1, 0), (1, 1)]


def test_a_branch_leaves_the_work_tree_and_its_index_alone(repository: Path, tmp_path: Path) -> None:
    before = git(repository, "status", "--porcelain"), git(repository, "rev-parse", "HEAD")
    kept = GitStore(repository, "baseline")
    kept.accept("m", [made_run(tmp_path / "r", outcomes_of([1]))])
    kept.accept("m", [made_run(tmp_path / "r2", outcomes_of([0]))])
    assert (git(repository, "status", "--porcelain"), git(repository, "rev-parse", "HEAD")) == before
    assert git(repository, "rev-list", "--count", "baseline") == "2"
    assert git(repository, "log", "-1", "--format=%s", "baseline") == "Baseline of m: 1 runs"


def test_a_fresh_clone_reads_the_branch_of_its_origin(repository: Path, tmp_path: Path) -> None:
    GitStore(repository, "baseline").accept("m", [made_run(tmp_path / "r", outcomes_of([1]))])
    git(tmp_path, "clone", "-q", str(repository), "clone")
    assert len(fetched(GitStore(tmp_path / "clone", "baseline"), "m", tmp_path)) == 1
    assert fetched(GitStore(tmp_path / "clone", "other"), "m", tmp_path) == []


def test_what_cannot_be_is_one_line(repository: Path, tmp_path: Path) -> None:
    path = made_run(tmp_path / "r", outcomes_of([1]))
    with pytest.raises(InfrastructureError, match=r"git:b: git .*not a git repository"):
        GitStore(tmp_path, "b").accept("m", [path])
    for name in ("--upload-pack=x", "", "a b", "a;b", "$(x)"):
        with pytest.raises(InputError, match="no name of a branch"):
            store(f"git:{name}", repository)
    FolderStore(repository / "f").accept("m", [path])
    for file in (repository / "f").rglob("verdicts.jsonl"):
        file.unlink()
    with pytest.raises(RunError, match="0 verdicts, and its scores are of 1"):
        _ = FolderStore(repository / "f").fetch("m", tmp_path)[0].passed


def test_hostile_names_stay_inside(repository: Path, tmp_path: Path) -> None:
    path = made_run(tmp_path / "r", outcomes_of([1]))
    inside = repository / "deep" / "baselines"
    for name in ("../../out", "/etc", "..", "a\nb", "-rf"):
        FolderStore(inside).accept(name, [path])
    outside = [each for each in repository.iterdir() if each.name not in ("deep", "kept", ".git")]
    assert outside == []
    assert len(list(inside.iterdir())) == 5
