"""`qceval report` as it is typed."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from made_contamination import document_of, made_report
from made_runs import made_run, outcomes_of

QcEval = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    made_run(folder, outcomes_of([1] * 8), model="lab/good-7B")
    made_run(folder, outcomes_of([0] * 8), model="lab/bad-1.5B")
    return folder


def test_without_a_file_it_is_markdown_of_all_results(qceval: QcEval, results: Path) -> None:
    ran = qceval("report")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "| lab/good-7B | **100.0** (67.6–100.0) |" in ran.stdout


@pytest.mark.parametrize(
    ("name", "begin"), [("b.html", "<!doctype html>"), ("b.md", "# Mine"), ("b.csv", "model,"), ("b.tex", "% ")]
)
def test_each_format(qceval: QcEval, results: Path, tmp_path: Path, name: str, begin: str) -> None:
    ran = qceval("report", results, "--out", tmp_path / "new" / name, "--title", "Mine")
    assert (ran.returncode, ran.stdout) == (0, "")
    assert ran.stderr.startswith(f"→ {tmp_path / 'new' / name}: 2 models, 1 columns, 2 runs")
    assert (tmp_path / "new" / name).read_text().startswith(begin)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [name]


def test_as_json(qceval: QcEval, results: Path, tmp_path: Path) -> None:
    found = json.loads(qceval("report", results, "--json", "--size", "lab/good-7B=8").stdout)
    assert [(row["model"], row["size_b"]) for row in found["rows"]] == [("lab/bad-1.5B", 1.5), ("lab/good-7B", 8)]
    assert [column["check"] for column in found["columns"]] == ["bench"]
    assert [(cell["value"], cell["best"]) for cell in found["cells"]] == [(0.0, False), (1.0, True)]
    ran = qceval("report", results, "--json", "--out", tmp_path / "b.html")
    assert json.loads(ran.stdout)["written"]["side_files"] == 0


def test_published_models_beside_ours(qceval: QcEval, tmp_path: Path) -> None:
    made_run(tmp_path / "r", outcomes_of([1, 0], "humaneval"), benchmark="humaneval", profile="qwen", model="mine")
    ran = qceval("report", tmp_path / "r", "--published", "--out", tmp_path / "b.csv")
    assert ran.returncode == 0
    with (tmp_path / "b.csv").open() as file:
        kinds = {row["model"]: row["kind"] for row in csv.DictReader(file)}
    assert kinds["mine"] == "model"
    assert kinds["Qwen2.5-Coder-7B"] == "published"


def test_with_a_contamination_report(qceval: QcEval, results: Path, tmp_path: Path) -> None:
    made_run(results, outcomes_of([1] * 8, "other"), model="lab/good-7B", benchmark="other")
    made_report(tmp_path / "a.json", ["p0"])
    made_report(tmp_path / "b.json", ["p1"])
    both = ("--contamination", "a.json", "--contamination", "b.json")
    ran = qceval("report", results, "--json", *both)
    assert ran.stderr.splitlines() == ["other v1: not looked for in a.json", "other v1: not looked for in b.json"]
    document = json.loads(ran.stdout)
    found = document["contamination"]
    assert found["notes"] == ran.stderr.splitlines()
    assert [line.partition(":")[0] for line in found["files"]] == ["a.json", "b.json"]
    assert [(document["rows"][each["row"]]["model"], each["all"]["value"]) for each in found["scores"]] == [
        ("lab/bad-1.5B", 0.0), ("lab/good-7B", 1.0),
    ]  # fmt: skip
    assert [(each["clean"]["problems"], each["hit"]["problems"]) for each in found["scores"]] == [(6, 2), (6, 2)]
    assert found["scores"][0]["difference"]["low"] == pytest.approx(-0.39033, abs=1e-5)  # Wilson's 0 of 6
    ran = qceval("report", results, *both)
    assert "## Contamination" in ran.stdout
    assert "| lab/good-7B | bench v1 · p pass@1 | 100.0 (67.6–100.0) | 100.0 (61.0–100.0) |" in ran.stdout
    for suffix, sign in (("html", "hit − clean"), ("tex", "Hit $-$ clean"), ("csv", "bench v1 · p pass@1 hit - clean")):
        ran = qceval("report", results, *both, "--out", tmp_path / f"b.{suffix}")
        assert ran.returncode == 0
        assert sign in (tmp_path / f"b.{suffix}").read_text()
    assert json.loads(qceval("report", results, "--json").stdout)["contamination"] is None


def test_what_is_left_out_is_said(qceval: QcEval, results: Path) -> None:
    half = made_run(results, outcomes_of([1] * 8), model="half")
    (half / "scores.json").unlink()
    old = made_run(results, outcomes_of([1] * 8), model="old")
    (old / "run.json").write_text('{"format": 0, "scoring": {}}')
    torn = made_run(results, outcomes_of([1] * 8), model="torn")
    with (torn / "verdicts.jsonl").open("a") as file:
        file.write("{torn")
    short = made_run(results, outcomes_of([1] * 8), model="short")
    (short / "verdicts.jsonl").write_text("")
    odd = made_run(results, outcomes_of([1] * 8), model="odd")
    (odd / "scores.json").write_text((odd / "scores.json").read_text().replace('"low"', '"lo"'))
    null = made_run(results, outcomes_of([1] * 8), model="null")
    (null / "verdicts.jsonl").write_text((null / "verdicts.jsonl").read_text().replace('{"bench": "passed"}', "null"))
    again = made_run(results, outcomes_of([1] * 8), model="lab/good-7B", started="2025-01-01T00:00:00Z", folder="again")
    ran = qceval("report", results)
    assert ran.returncode == 0
    lines = ran.stderr.splitlines()
    assert len(lines) == 7
    for path, said in (
        (half, "has no scores"), (old, "format 0, this qceval reads 1"), (torn, "verdicts.jsonl:9: damaged"),
        (short, "0 verdicts, and its scores are of 8"), (again, "does not count, as"),
        (odd, "scores.json: damaged (scores)"), (null, "verdicts.jsonl: damaged"),
    ):  # fmt: skip
        assert any(str(path) in line and said in line for line in lines), said
    assert "lab/good-7B" in ran.stdout
    assert "Left out:" in ran.stdout


@pytest.mark.parametrize(
    "model", ["../../etc/passwd", "a/b/c", '"quoted"', "<b>bold</b>", "a|b\nc", " ", "=1+1", "\x1b[31mred"]
)
def test_names_of_models(qceval: QcEval, tmp_path: Path, model: str) -> None:
    made_run(tmp_path / "r", outcomes_of([1, 0]), model=model)
    for suffix in ("html", "md", "csv", "tex"):
        ran = qceval("report", tmp_path / "r", "--out", tmp_path / f"b.{suffix}")
        assert ran.returncode == 0
        assert "\x1b" not in (tmp_path / f"b.{suffix}").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.csv", "b.html", "b.md", "b.tex", "r"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nowhere"], "nowhere: not a folder"),
        ([], "no runs there"),
        (["empty"], "no finished run there"),
        (["half"], "scores.json: cannot be read"),
        (["r", "--out", "b.pdf"], "--out b.pdf: of which format? end it in .html, .md, .csv, .tex"),
        (["r", "--size", "x"], "--size x: write MODEL=BILLIONS"),
        (["r", "--size", "x=-1"], "--size x=-1: write MODEL=BILLIONS"),
        (["r", "--size", "x=nan"], "--size x=nan: write MODEL=BILLIONS"),
        (["r", "--out", "r"], "r"),
        (["r", "--contamination", "none.json"], "none.json: cannot be read (No such file or directory); name the"),
        (["r", "--contamination", "r"], "r: cannot be read (Is a directory); name the report.json that"),
        (["r", "--contamination", "torn.json"], "torn.json: damaged, not JSON; run qceval decontaminate again"),
        (["r", "--contamination", "new.json"], "new.json: format 2, this qceval reads 1; run qceval decontaminate"),
    ],
)  # fmt: skip
def test_an_error_is_one_line(qceval: QcEval, tmp_path: Path, args: list[str], said: str) -> None:
    made_run(tmp_path / "r", outcomes_of([1, 0]))
    (tmp_path / "empty").mkdir()
    half = made_run(tmp_path / "half", outcomes_of([1, 0]), folder="x")
    (half / "scores.json").write_text("{")
    (tmp_path / "torn.json").write_text("{")
    (tmp_path / "new.json").write_text(json.dumps(document_of([]) | {"contamination": 2}))
    ran = qceval("report", *args)
    assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (2, "", 1)
    assert said in ran.stderr
