"""Rows of completion within a repository, of our own making, and what becomes of answers to them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from replaying import qceval

from qwencoder_eval.benchmark import Benchmark, profile
from qwencoder_eval.registry import discover
from qwencoder_eval.sandboxes.choose import backend
from qwencoder_eval.scoring.base import Judgement, Runner
from qwencoder_eval.stream.golden import failing
from qwencoder_eval.types import Completion, Outcome

Row = dict[str, Any]
NOBODY = cast(Runner, None)  # nothing is run


def row(prompt: str, target: str, id: str = "a/1", **others: Any) -> Row:
    kept = {"right_context": "\nend()\n", "crossfile_context": {"text": "# other.py\n# x = 1\n", "list": []}}
    return {"prompt": prompt, "groundtruth": target, **kept, "metadata": {"task_id": id}, **others}


@cache
def load(bench: str) -> Benchmark:
    """Kept, as looking for all benchmarks takes longer than any of these tests."""
    found: Benchmark = discover().load(bench)
    return found


def judged(bench: str, which: str, row: Row, answer: str) -> dict[str, float]:
    """The measures of one answer; ``em`` is whether it passed."""
    benchmark = load(bench)
    scoring, problem = profile(benchmark, which).scoring, benchmark.problem(row)
    code = scoring.extract(problem, Completion(answer))
    assert code is not None
    judgement: Judgement = scoring.scorer.score(problem, code, None, NOBODY)
    return {"em": float(judgement.checks[bench] is Outcome.PASSED), **judgement.measures}


def failing_golden(name: str) -> dict[str, list[str]]:
    """Of each part the golden vectors that do not hold; nothing is run for them."""
    parts = [load(f"{name}:{part}") for part in discover().entries[name].parts]
    assert all({each.profile or "qwen" for each in part.golden} == {*part.profiles} for part in parts)
    return {part.name: found for part in parts if (found := failing(part, backend("none")))}


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class Scored:
    """`qceval score` on rows that are the only data there is."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setenv("QCEVAL_DATA", str(folder / "data"))
        monkeypatch.setenv("QCEVAL_RESULTS", str(folder / "results"))
        monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")  # where nobody answers
        (folder / "data").mkdir()

    def samples(self, file: str, rows: Sequence[Row], answers: Sequence[str]) -> str:
        """Write rows where the benchmark looks for them, and answers; the path of these."""
        write(self.folder / "data" / file, rows)
        ids = [row["metadata"]["task_id"] for row in rows]
        made = [{"task_id": id, "completion": answer} for id, answer in zip(ids, answers, strict=True)]
        return str(write(self.folder / f"{file.replace('/', '-')}.samples.jsonl", made))

    def scores(self, bench: str, which: str, *samples: str) -> dict[str, dict[str, float]]:
        """Of each benchmark and mean its metrics, without those of groups."""
        files = [part for file in samples for part in ("--samples", file)]
        said: Any = qceval("score", "--bench", bench, "--profile", which, *files)
        found: dict[str, dict[str, float]] = {}
        for report in said if isinstance(said, list) else [said]:
            for name, metrics in report["scores"].items():
                if "[" not in name:
                    found[name] = {metric: score["value"] for metric, score in metrics.items()}
        return found
