"""Needle in the Code with real engines: prompts as long as asked for in the model's tokens, and a run's picture."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_processes import rows

pytest.importorskip("vllm", reason="no engines here: .ci/vllm puts them into build/vllm")
pytestmark = [pytest.mark.engine]
CODE = Path(__file__).resolve().parents[2] / "qwencoder_eval"
GRID = ("--bench", "needle-in-the-code:2k", "--haystack", CODE)
RUN = ("run", *GRID, "--dtype", "float32", "--max-tokens", 8)


@pytest.mark.parametrize(("backend", "kind"), [("vllm", "base"), ("transformers", "chat")])
def test_a_whole_grid(
    tiny: Path, document: Callable[..., Any], qceval: Callable[..., Any], tmp_path: Path, backend: str, kind: str
) -> None:
    report = document(*RUN, "--backend", backend, "--model", tiny / kind, "--max-model-len", 2048)
    assert report["profile"] == {"base": "repository", "chat": "chat"}[kind]
    assert any(note.startswith("haystack: qwencoder_eval ") for note in report["notes"])
    found = rows(report["run"], "completions.jsonl")
    assert len(found) == report["problems"] == 100
    assert all(row["prompt_tokens"] == int(row["problem"].partition("/")[0]) for row in found)
    (score,) = (metrics["pass@1"] for name, metrics in report["scores"].items() if "[" not in name)
    assert score["problems"] == 100
    page = tmp_path / "page.html"
    ran: subprocess.CompletedProcess[str] = qceval("report", report["run"], "--out", page)
    assert ran.returncode == 0, ran.stderr
    assert "needle-in-the-code:2k: depth by length" in page.read_text()


def test_what_does_not_fit_the_context_is_an_outcome(tiny: Path, document: Callable[..., Any]) -> None:
    report = document(*RUN, "--backend", "transformers", "--model", tiny / "base", "--max-model-len", 1024)
    (outcomes,) = report["outcomes"].values()
    too_long = {row["problem"] for row in rows(report["run"], "verdicts.jsonl") if "prompt_too_long" in str(row)}
    lengths = {int(problem.partition("/")[0]) for problem in too_long}
    assert lengths == {1167, 1333, 1500, 1667, 1833, 2000}
    assert outcomes["prompt_too_long"] == len(too_long) == 60


def test_the_prompt_is_shown(tiny: Path, qceval: Callable[..., Any], document: Callable[..., Any]) -> None:
    options = ("show-prompt", *GRID, "--model", tiny / "base", "--problem", "1000/33.3%")
    shown = qceval(*options)
    assert shown.returncode == 0, shown.stderr
    assert "⟦<|repo_name|>⟧qwencoder_eval\n⟦<|file_sep|>⟧" in shown.stdout
    assert "1000 tokens; ends at" in shown.stdout
    rendered = document(*options)["rendered"]
    assert rendered.count("from above, once more") == 1
    name = rendered.rpartition("def ")[2]
    assert rendered.count(f"def {name}") == 2
    assert json.dumps(document(*options)["prompt"]).count("sha256") == 1
