"""Starter: 24 original problems in HumanEval's format, to try qceval without any download."""

import json

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.programs import as_program
from qwencoder_eval.scoring.calls import CallScorer
from qwencoder_eval.types import Continue, Problem, Sampling

ROWS = Rows(
    version="1",
    file="starter.toml",
    sha256="bc9509e7efacfdfbc4f622dd149cc4c95ab385f304ce35d38b41ba2e54d34622",
    count=24,
)
STOP = ("\ndef ", "\nclass ", "\nif __name__", "\nprint(", "\nassert ", "```")
ROW = {
    "task_id": "starter/golden", "entry_point": "half", "atol": 0.0, "canonical_solution": "    return n // 2\n",
    "prompt": 'def half(n: int) -> int:\n    """Half of n, rounded down."""\n', "inputs": "[[4], [5], [-1]]",
}  # fmt: skip


class Starter(Benchmark):
    name = "starter"
    version = "1"
    reference = "original"
    asking = {"greedy": Asking(ROWS, lambda problem: Continue(problem.stub), Sampling(max_tokens=512, stop=STOP))}
    scoring = {"calls": Scoring(as_program, CallScorer({"starter": "inputs"}))}
    profiles = {"starter": ("greedy", "calls")}
    decontaminate = ("prompt", "canonical_solution")
    trusted = True
    golden = (
        Golden(ROW, "    return n >> 1\n", {"starter": "passed"}),
        Golden(ROW, "    return int(n / 2)\n", {"starter": "wrong"}),
        Golden(ROW, "    return m // 2\n", {"starter": "runtime_error"}),
        Golden(ROW, "    return (n // 2\n", {"starter": "compile_error"}),
    )

    def problem(self, row):
        tests = {"entry_point": row["entry_point"], "atol": row["atol"], "inputs": json.loads(row["inputs"])}
        return Problem(row["task_id"], row, tests, stub=row["prompt"], reference=row["canonical_solution"])
