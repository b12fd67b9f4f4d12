"""ExecRepoBench: prompts, rows that lead astray, and rows of our own over tiny repositories."""

from __future__ import annotations

import dataclasses
import json
import re
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from made_repositories import HOLES, REPOSITORIES, write
from replaying import qceval

from qwencoder_eval.benchmark import Benchmark, profile
from qwencoder_eval.errors import DatasetError
from qwencoder_eval.extraction.infilling import filled_in
from qwencoder_eval.registry import discover
from qwencoder_eval.types import Completion, Infill, Sampling

DOCKER = pytest.param("docker", marks=pytest.mark.docker)


@pytest.fixture(scope="module")
def bench() -> Benchmark:
    found: Benchmark = discover().load("execrepobench")
    return found


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("QCEVAL_DATA", str(folder))
    write(folder)
    return folder


# ---------------------------------------------------------------- prompts


@pytest.mark.parametrize(
    ("name", "context", "side", "new"), [("qwen", 8192, 11776, 1024), ("qwen-defaults", 4096, 1792, 512)]
)
def test_what_is_asked(bench: Benchmark, name: str, context: int, side: int, new: int) -> None:
    """The README's command line, and the defaults of eval.py: half of what answer and files leave is for each side."""
    chosen = profile(bench, name)
    prompt = chosen.prompt(bench.problem(HOLES[0].row))
    assert isinstance(prompt, Infill)
    assert (prompt.files_tokens, prompt.prefix_tokens, prompt.suffix_tokens) == (context, side, side)
    assert chosen.asking.sampling == Sampling(1, 0.0, 0.95, new)
    assert prompt.files == tuple((path, text) for path, text in HOLES[0].row["context_code"])
    assert (prompt.path, prompt.repository) == ("/shapes/shapes/area.py", "shapes")
    assert (prompt.by_relevance, prompt.file_title, prompt.around) == (True, "##{path}##:\n", ("\n", "\n"))
    assert prompt.prefix.endswith("return ")
    assert prompt.suffix.startswith("\n\n\ndef circle")


def test_a_problem(bench: Benchmark) -> None:
    problem = bench.problem(HOLES[0].row)
    assert problem.id == "shapes/shapes/area.py:75-86"
    assert problem.assets == ("execrepobench/repos/shapes",)
    assert (problem.language, problem.reference) == ("python-execrepobench", "side * side")
    assert problem.groups == {"fill_type": "grammar-based: expression"}
    assert (problem.tests["repository"], problem.tests["path"]) == ("shapes", "shapes/area.py")
    without_slash = bench.problem({**HOLES[0].row, "file_name": "shapes/shapes/area.py"})
    assert (without_slash.id, without_slash.tests) == (problem.id, problem.tests)


def test_ids_are_unique(bench: Benchmark) -> None:
    assert len(HOLES) >= 20
    assert len({hole.fill_type for hole in HOLES}) == 6
    assert [bench.problem(hole.row).id for hole in HOLES] == [hole.id for hole in HOLES]
    assert len({hole.id for hole in HOLES}) == len(HOLES)


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("x", "continuation", "axb"),
        ("", "continuation", "ab"),
        ("\r\n\t\f", "continuation", "a\r\n\t\fb"),
        ("whole file", "whole", "whole file"),
        ("x" * (1 << 20), "continuation", "a" + "x" * (1 << 20) + "b"),
        ("x" * ((1 << 20) + 1), "continuation", None),
    ],
)
def test_the_file_with_the_answer(bench: Benchmark, text: str, form: Any, expected: str | None) -> None:
    problem = bench.problem({**HOLES[0].row, "prefix_code": "a", "suffix_code": "b"})
    assert filled_in(problem, Completion(text, form)) == expected


@pytest.mark.parametrize(
    ("repo_name", "file_name"),
    [
        ("shapes", "/shapes/../../etc/passwd"),
        ("shapes", "../shapes/area.py"),
        ("shapes", "/etc/passwd"),
        ("shapes", "/words/words/table.py"),
        ("shapes", "shapes/area/../../x.py/.."),
        ("shapes", "/shapes"),
        ("shapes", ""),
        ("shapes", "/"),
        ("shapes", "/shapes/a\0.py"),
        ("shapes", "/shapes/evaluate_repo.py"),
        ("shapes", "/shapes//./evaluate_repo.py"),
        ("..", "../shapes/area.py"),
        (".", "./shapes/area.py"),
        ("", "/shapes/area.py"),
        ("a/b", "a/b/c.py"),
        ("/shapes", "//shapes/c.py"),
    ],
)
def test_names_that_lead_out_are_refused(bench: Benchmark, data: Path, repo_name: str, file_name: str) -> None:
    row = {**HOLES[0].row, "repo_name": repo_name, "file_name": file_name}
    with pytest.raises(ValueError, match=r"^(repo|file)_name is "):
        bench.problem(row)
    with (data / "execrepobench" / "exec_repo_bench.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    with pytest.raises(DatasetError, match=r"execrepobench.py: problem: ValueError: (repo|file)_name is ") as caught:
        profile(bench, None).problems()
    assert "\n" not in str(caught.value)


def test_a_row_without_a_field_is_one_line(bench: Benchmark, data: Path) -> None:
    row = HOLES[0].row
    del row["suffix_code"]
    (data / "execrepobench" / "exec_repo_bench.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DatasetError, match=r"KeyError: 'suffix_code'; the rows are not what this benchmark expects$"):
        profile(bench, None).problems()


# ---------------------------------------------------------------- verdicts


def scored(samples: Path, out: Path, *more: str, status: int = 0) -> dict[str, Any]:
    arguments = ("score", "--bench", "execrepobench", "--samples", str(samples), "--out", str(out), *more)
    return qceval(*arguments, status=status)


def means_of(rows: list[tuple[str, float]]) -> dict[str, float]:
    return {
        "pass@1": statistics.mean(float(verdict == "passed") for verdict, _ in rows),
        "es": statistics.mean(es for _, es in rows),
    }


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", [DOCKER], indirect=True)
def test_rows_of_our_own(data: Path, tmp_path: Path, sandbox: str) -> None:
    """Every verdict and similarity by hand, and the means of them: over all, and of each fill type."""
    document = scored(data / "answers.jsonl", tmp_path / "results")
    rows = [json.loads(line) for line in (Path(document["run"]) / "verdicts.jsonl").read_text().splitlines()]
    found = {row["problem"]: (row["checks"]["execrepobench"], row["measures"]["es"]) for row in rows}
    assert found == {hole.id: (hole.verdict, hole.es) for hole in HOLES}
    expected: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for hole in HOLES:
        expected["execrepobench"].append((hole.verdict, hole.es))
        expected[f"execrepobench[fill_type={hole.fill_type}]"].append((hole.verdict, hole.es))
    assert set(document["scores"]) == set(expected)
    for name, values in expected.items():
        score = {metric: each["value"] for metric, each in document["scores"][name].items()}
        assert score == pytest.approx(means_of(values), abs=1e-9), name
    assert document["problems"] == len(HOLES)
    again = scored(data / "answers.jsonl", tmp_path / "results")
    assert again["scores"] == document["scores"]


def test_a_missing_repository_is_one_line_and_nothing_is_scored(data: Path, tmp_path: Path) -> None:
    (data / "execrepobench" / "repos" / "words").rename(data / "elsewhere")
    command = [sys.executable, "-m", "qwencoder_eval", "score", "--bench", "execrepobench", "--out", str(tmp_path)]
    ran = subprocess.run([*command, "--samples", str(data / "answers.jsonl")], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (2, "")
    where = r"execrepobench/repos/words: not found in .*set QCEVAL_DATA to the folder that holds it"
    assert re.search(where, ran.stderr.splitlines()[-1])
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("sandbox", [DOCKER], indirect=True)
def test_a_repository_without_its_tests_leaves_its_problems_missing(data: Path, tmp_path: Path, sandbox: str) -> None:
    """The others are scored, no mean is given, and the reason is said."""
    holes = tuple(hole for hole in HOLES if hole.repository != "words")[-3:]
    holes += (next(hole for hole in HOLES if hole.repository == "words"),)
    samples = write(data, holes)
    (data / "execrepobench" / "repos" / "words" / "evaluate_repo.py").unlink()
    document = scored(samples, tmp_path / "results", status=3)
    assert document["scores"] == {}
    reason = "execrepobench/repos/words: has no file evaluate_repo.py; get the repository again"
    assert document["missing"]["problems"] == {holes[-1].id: reason}
    assert sum(document["outcomes"]["execrepobench"].values()) == len(holes) - 1


def test_a_changed_repository_changes_the_scoring_key(bench: Benchmark, data: Path, tmp_path: Path) -> None:
    from qwencoder_eval.datasets import assets

    (place,) = bench.problem(HOLES[0].row).assets
    before = assets.digest(assets.locate(place))
    (data / place / "tests" / "test_shapes.py").write_text("")
    assert assets.digest(assets.locate(place)) != before


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", [DOCKER], indirect=True)
def test_references_pass(data: Path, tmp_path: Path, sandbox: str) -> None:
    document = qceval("run", "--bench", "execrepobench", "--out", str(tmp_path / "results"))
    assert document["scores"]["execrepobench"]["pass@1"]["value"] == 1.0
    assert document["scores"]["execrepobench"]["es"]["value"] == 1.0
    assert set(REPOSITORIES) == {hole.repository for hole in HOLES}


def test_golden_rows_bring_their_repository(bench: Benchmark) -> None:
    problem = bench.problem(dict(bench.golden[0].row))
    assert problem.assets == ()
    assert set(problem.tests["files"]) == {"area.py", "shapes.py", "tests.py", "evaluate_repo.py"}
    assert dataclasses.replace(problem, id="").tests["path"] == "area.py"
