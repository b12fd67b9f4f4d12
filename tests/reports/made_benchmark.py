"""A benchmark file for tests of what a report rebuilds, and runs of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from made_runs import made_run

from qwencoder_eval.benchmark import profile
from qwencoder_eval.registry import Registry, discover

PLUGIN = '''"""Shown: what a report shows."""

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.programs import as_program
from qwencoder_eval.scoring.calls import CallScorer
from qwencoder_eval.types import Continue, Problem, Sampling

ROWS = tuple({"id": f"shown/{at}", "code": f"def f{at}(x):\\n"} for at in range(COUNT))


def prompt(problem):
    return Continue("PREFIX" + problem.stub)


class Shown(Benchmark):
    name = "shown"
    version = "VERSION"
    reference = "original"
    asking = {"greedy": Asking(Rows(inline=ROWS, version="v1"), prompt, Sampling())}
    scoring = {"calls": Scoring(as_program, CallScorer({"shown": "inputs"}))}
    profiles = {"p": ("greedy", "calls")}
    decontaminate = ("code",)
    golden = (Golden(ROWS[0], "    return x + x\\n", {"shown": "passed"}), Golden(ROWS[0], "", {"shown": "wrong"}))

    def problem(self, row):
        at = int(row["id"].partition("/")[2])
        groups = {"depth": "deep" if at % 2 else "flat", "length": "long" if at % 3 else "short"}
        return Problem(row["id"], row, {}, stub=row["code"], groups=groups)
'''


def registry_with(folder: Path, count: int = 4, version: str = "1", prefix: str = "", text: str = PLUGIN) -> Registry:
    folder.mkdir(parents=True, exist_ok=True)
    text = text.replace("COUNT", str(count)).replace("VERSION", version).replace("PREFIX", prefix)
    (folder / "shown.py").write_text(text)
    return discover([folder])


def shown_run(results: Path, registry: Registry, outcomes: dict[str, Any], **options: Any) -> Path:
    dataset = profile(registry.load("shown"), "p").dataset_hash
    scoring = {"benchmark_version": "1"}
    return made_run(results, outcomes, benchmark="shown", dataset=dataset, scoring=scoring, **options)


def shown_outcomes(*kinds: str) -> dict[str, Any]:
    return {f"shown/{at}": [{"shown": kind}] for at, kind in enumerate(kinds)}
