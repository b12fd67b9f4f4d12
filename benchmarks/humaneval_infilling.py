"""HumanEval infilling: lines or spans left out of HumanEval's solutions, tested by running them (arXiv 2207.14255).

Upstream fixes the rows, the program (prefix, answer, suffix, tests), 3 seconds, 100 samples a problem (its README) and
pass@1, 10 and 100; nothing is cut off an answer, so a model has to stop by itself. It names no temperature and no
length: 0.2, top-p 0.95 and 512 tokens are ours.
"""

from functools import cached_property

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.infilling import filled_in
from qwencoder_eval.scoring.programs import ProgramScorer
from qwencoder_eval.types import Infill, Problem, Sampling

ROWS = {
    "single-line": Rows(
        file="humaneval_infilling/HumanEval-SingleLineInfilling.jsonl.gz", count=1033,
        sha256="27a5076d0c5918593e47f421f74a588740caf85068df64da2ec1f0524740b7c5",
    ),
    "multi-line": Rows(
        file="humaneval_infilling/HumanEval-MultiLineInfilling.jsonl.gz", count=5815,
        sha256="80253b806d6b86b141c7c683a8357bbaa8667b352c30475342fd9bf25c6b1f31",
    ),
    "random-span": Rows(
        file="humaneval_infilling/HumanEval-RandomSpanInfilling.jsonl.gz", count=1640,
        sha256="650b4f5e825645a3b88b741a9c6f9593b2c65923a13bd6d0221ca4036f061b7a",
    ),
    "random-span-light": Rows(
        file="humaneval_infilling/HumanEval-RandomSpanInfillingLight.jsonl.gz", count=164,
        sha256="408aa855b95d5bde56f2f567f67270d372a3bc09f8cae2e9091873621e72318e",
    ),
}  # fmt: skip
ROW = {
    "task_id": "golden", "entry_point": "twice", "prompt": "def twice(x):\n    y = ", "suffix": "\n    return y\n",
    "canonical_solution": "2 * x", "test": "def check(candidate):\n    assert candidate(-3) == -6\n",
}  # fmt: skip


def between(problem):
    return Infill(problem.stub, problem.fields["suffix"])


class HumanEvalInfilling(Benchmark):
    name = "humaneval-infilling"
    version = "1"
    reference = "https://github.com/openai/human-eval-infilling/blob/88062ff/human_eval_infilling/execution.py"
    parts = ("single-line", "multi-line", "random-span", "random-span-light")
    languages = ("python",)
    apart = dict.fromkeys(parts, "each set has a score of its own; upstream has no mean of them")
    profiles = {"greedy": ("greedy", "tests"), "openai": ("openai", "tests")}
    decontaminate = ("prompt", "canonical_solution", "suffix")

    @cached_property
    def asking(self):
        rows = ROWS[self.part]
        return {
            "greedy": Asking(rows, between, Sampling(max_tokens=512)),
            "openai": Asking(rows, between, Sampling(n=100, temperature=0.2, top_p=0.95, max_tokens=512)),
        }

    @cached_property
    def scoring(self):
        return {"tests": Scoring(filled_in, ProgramScorer(self.name, cpu_s=3), ks=(1, 10, 100))}

    @cached_property
    def golden(self):
        return (
            Golden(ROW, "2 * x", {self.name: "passed"}),
            Golden(ROW, "x + x  # y", {self.name: "passed"}, profile="openai"),
            Golden(ROW, "abs(2 * x)", {self.name: "wrong"}),
            Golden(ROW, "abs(2 * x)", {self.name: "wrong"}, profile="openai"),
            Golden(ROW, "", {self.name: "compile_error"}),
            Golden(ROW, "(2 * x", {self.name: "compile_error"}),
            Golden(ROW, "0\nimport os; os._exit(0)\nif 1:\n    y = 0", {self.name: "compile_error"}),
            Golden(ROW, "twice(x)", {self.name: "runtime_error"}),
        )

    def problem(self, row):
        tests = {"before": f"{row['test']}\ncheck({row['entry_point']})\n", "after": ""}
        return Problem(
            row["task_id"], {"suffix": row["suffix"]}, tests, stub=row["prompt"], reference=row["canonical_solution"],
        )  # fmt: skip
