"""Completion within a repository as Qwen's fim-bench asks for it; shared by CrossCodeEval, CrossCodeLongEval, RepoEval.

Source: QwenLM/Qwen3-Coder at 0ae30f5, qwencoder-eval/base/benchmarks/fim-bench: utils.py (``prepare_prompt``), the
three scripts and what runs them (run_cceval.sh, run_cclongeval.sh, run_repoeval.sh). Lengths are tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

from .benchmark import Asking
from .datasets.rows import Row, Rows
from .types import Continue, Infill, Problem, Sampling

TOTAL, RIGHT, RETRIEVED = 8192, 2048, 2048
SHORT, LONG = 50, 256  # what may be generated; the longer one is meant for whole functions


@dataclass(frozen=True, slots=True)
class RetrievedInSuffix:
    """The retrieved text stands where the right context ends. ``left`` tokens are kept of the left context."""

    left: int

    def __call__(self, problem: Problem) -> Infill:
        return Infill(
            problem.stub, problem.fields["right"], prefix_tokens=self.left, suffix_tokens=RIGHT,
            retrieved="\n\n" + problem.fields["retrieved"], retrieved_tokens=RETRIEVED,
        )  # fmt: skip


def by_qwen(rows: Rows, generated: int = SHORT, reckoned: int = SHORT) -> Asking:
    """``reckoned`` is the length that the left context makes room for; the scripts do not always generate as much."""
    left = TOTAL - reckoned - RIGHT - RETRIEVED
    return Asking(rows, RetrievedInSuffix(left), Sampling(max_tokens=generated))


@dataclass(frozen=True, slots=True)
class RetrievedFirst:
    """From left to right, the retrieved text above the code: the way of the benchmarks' authors. None cuts nothing."""

    left: int | None = None
    retrieved: int | None = None

    def __call__(self, problem: Problem) -> Continue:
        return Continue(problem.stub, problem.fields["retrieved"], self.retrieved, self.left)


def problem_of(row: Row, language: str = "python", by_repository: bool = False) -> Problem:
    """Of a row as the scripts read it: its whole right context where it has that. Raises KeyError and TypeError.

    ``crossfile_context`` is a text, or has one.
    """
    retrieved, right = row["crossfile_context"], row.get("full_right_context")
    fields = {
        "right": row["right_context"] if right is None else right,
        "retrieved": retrieved if isinstance(retrieved, str) else retrieved["text"],
    }
    id = row["metadata"]["task_id"]
    groups = {"repository": id.partition("/")[0]} if by_repository else {}
    return Problem(
        id, fields, {"target": row["groundtruth"]}, stub=row["prompt"], reference=row["groundtruth"],
        language=language, groups=groups,
    )  # fmt: skip
