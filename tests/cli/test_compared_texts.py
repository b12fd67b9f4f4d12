"""A benchmark that compares texts, through the command: nothing is run, so nothing needs a sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PLUGIN = '''"""Lines: for tests."""

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.scoring.matches import MatchScorer
from qwencoder_eval.types import Infill, Problem, Sampling

ROWS = (
    {"id": "l/0", "target": "total = 1"},
    {"id": "l/1", "target": ""},
    {"id": "l/2", "target": "x"},
    {"id": "l/3", "target": "abcd"},
)


def ask(problem):
    return Infill("before\\n", "after\\n")


def text(problem, completion):
    return None if completion.text == "nothing" else completion.text


class Lines(Benchmark):
    name = "lines"
    version = "1"
    reference = "original"
    asking = {"greedy": Asking(Rows(inline=ROWS), ask, Sampling())}
    scoring = {"line": Scoring(text, MatchScorer("lines", "line"))}
    profiles = {"lines": ("greedy", "line")}
    decontaminate = ("target",)
    golden = (Golden(ROWS[0], " total = 1\\n", {"lines": "passed"}), Golden(ROWS[0], "", {"lines": "wrong"}))

    def problem(self, row):
        return Problem(row["id"], row, {"target": row["target"]}, reference=row["target"])
'''


@pytest.fixture
def folder(tmp_path: Path, env: dict[str, str]) -> Path:
    """The benchmark's; there is no engine, and no user namespace either that a test could rely on."""
    env["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "lines.py").write_text(PLUGIN)
    return tmp_path / "plugins"


def test_texts_are_compared_without_a_sandbox(
    qceval: Callable[..., Any], document: Callable[..., Any], folder: Path, tmp_path: Path
) -> None:
    answers = {"l/0": "  total = 1 ", "l/1": "", "l/2": "nothing", "l/3": "abc"}
    samples = tmp_path / "samples.jsonl"
    samples.write_text("".join(json.dumps({"task_id": id, "completion": text}) + "\n" for id, text in answers.items()))
    common = ("--bench", "lines", "--plugins", folder, "--samples", samples)
    found = document("score", *common, "--sandbox", "docker")
    scores = found["scores"]["lines"]
    assert {name: score["value"] for name, score in scores.items()} == {"em": 0.5, "es": (1 + 1 + 0 + 0.86) / 4}
    assert found["outcomes"] == {"lines": {"passed": 2, "wrong": 1, "no_code": 1}}
    assert found["sandbox"] == "not needed"
    assert "unsandboxed" not in found["notes"]
    run = json.loads((Path(found["run"]) / "run.json").read_text())
    assert run["scoring"]["sandbox"] == {}
    again = qceval("score", *common)
    assert "complete; nothing is run again" in again.stderr


def test_references_of_texts_pass_without_a_sandbox(document: Callable[..., Any], folder: Path) -> None:
    found = document("check", "--bench", "lines", "--plugins", folder, "--sandbox", "docker")
    assert found["scores"]["lines"]["em"]["value"] == 1.0
    assert found["golden"] == []
