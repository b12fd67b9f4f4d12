"""Does the harness need more memory for more samples? Its peak for 1,000 and for 100,000.

    python tests/perf/memory.py [--samples 1000,100000] [--out OUT.json]

The whole stream with an engine that answers at once and a scorer that looks at the text: requests, completions on disk,
queue, workers, verdicts on disk, scores. A process each, that reports its own peak (resident bytes).
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

from measure import report

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Profile, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.programs import as_program
from qwencoder_eval.models.base import Answer, Request
from qwencoder_eval.sandboxes.none import NoneBackend
from qwencoder_eval.scoring.base import Judgement
from qwencoder_eval.stream.evaluate import Progress
from qwencoder_eval.stream.session import Settings, run_benchmarks
from qwencoder_eval.types import Completion, Continue, Outcome, Problem

WORK = Path("build/perf/memory").resolve()
PROBLEMS = 100


class Instant:
    name, instant = "instant", False

    def key(self) -> dict[str, Any]:
        return {"model": self.name}

    def provenance(self) -> dict[str, Any]:
        return {}

    def rendered(self, prompt: Any) -> Any:
        return prompt.text

    def generate(self, requests: Iterable[Request]) -> Generator[Answer, None, None]:
        for request in requests:
            for number in request.numbers:
                text = f"    return {number}  # {'x' * 1000}\n"
                yield Answer(request, number, Completion(text, prompt_tokens=100, tokens=300))


class Looks:
    checks = ("looks",)

    def key(self) -> dict[str, Any]:
        return {"scorer": "looks"}

    def reference_programs(self, problem: Problem) -> list[Any]:
        return []

    def learn(self, problem: Problem, references: Any) -> None: ...

    def score(self, problem: Problem, code: str, known: Any, runner: Any) -> Judgement:
        return Judgement({"looks": Outcome.PASSED if "0 " in code else Outcome.WRONG}, evidence={"got": code[:200]})


class Many(Benchmark):
    name, version, reference, decontaminate, golden = "many", "1", "original", (), (Golden({}, "", {}),)
    asking = {"a": Asking(Rows(inline=tuple({"id": f"m/{i}"} for i in range(PROBLEMS))), lambda p: Continue(p.stub))}
    scoring = {"s": Scoring(as_program, Looks())}
    profiles = {"many": ("a", "s")}
    file = Path(__file__)

    def problem(self, row: dict[str, Any]) -> Problem:
        return Problem(row["id"], row, {}, stub="def f():\n")


def one(samples: int) -> None:
    folder = WORK / str(samples)
    shutil.rmtree(folder, ignore_errors=True)
    settings = Settings(folder, 2, n=samples // PROBLEMS, temperature=1.0, cached=False)
    began = time.perf_counter()
    (found,) = run_benchmarks(
        [Profile(Many(), "many")], Instant(), NoneBackend(), settings, Progress(), lambda text: None
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    counted = sum(found["outcomes"]["looks"].values())
    print(json.dumps({"samples": counted, "s": time.perf_counter() - began, "peak MiB": peak}))


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--samples", default="1000,100000")
    options.add_argument("--one", type=int)
    options.add_argument("--out")
    given = options.parse_args()
    if given.one:
        one(given.one)
        return
    rows = []
    for samples in given.samples.split(","):
        ran = subprocess.run([sys.executable, __file__, "--one", samples], check=True, capture_output=True, text=True)
        found = json.loads(ran.stdout)
        rows.append({**found, "s": round(found["s"], 2), "peak MiB": round(found["peak MiB"], 1)})
    report("memory of the harness", rows, given.out)


if __name__ == "__main__":
    main()
