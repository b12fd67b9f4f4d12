"""Score a text by how it matches the expected one; nothing is run.

``Problem.tests`` holds ``target``, and what else a rule reads. Passing is an exact match, and is called ``em``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..extraction.repository_level import function_bodies
from ..types import Outcome, Problem, Program
from .base import Judgement, Runner, short
from .recorded import Recorded
from .similarity import (
    as_many_lines,
    edit_ratio,
    edit_ratio_difflib,
    edit_similarity,
    equal_lines,
    equal_tokens,
    identifier_f1,
    identifiers,
    without_comments,
)

Matched = tuple[bool, dict[str, float]]  # whether it is an exact match, and the measures


def line(answer: str, problem: Problem) -> Matched:
    """HumanEval-FIM in Qwen's evaluation, hm_fim/humaneval_fim.py, and in BigCode's: equal but for blanks around it."""
    target = problem.tests["target"]
    return answer.strip() == target.strip(), {"es": edit_ratio(answer, target)}


def qwen(answer: str, problem: Problem) -> Matched:
    """CrossCodeEval, CrossCodeLongEval and RepoEval in Qwen's evaluation, fim-bench/eval_metric.py."""
    return compared_by_qwen(answer, problem.tests["target"])


def qwen_function(answer: str, problem: Problem) -> Matched:
    """Their function tasks, in Python: bodies of functions are compared, with what the prompt has of them."""
    return compared_by_qwen(*function_bodies(problem.stub, answer, problem.tests["target"]))


def compared_by_qwen(answer: str, target: str) -> Matched:
    plain = edit_similarity(answer.strip(), target.strip())
    return equal_tokens(answer, target), {"es": edit_ratio(answer, target), "es_repoeval": plain}


def cceval(answer: str, problem: Problem) -> Matched:
    """CrossCodeEval upstream: comments count for nothing; identifiers in order and as sets."""
    answer, target = without_comments(answer), without_comments(problem.tests["target"])
    given, wanted = (identifiers(text, problem.language) for text in (answer, target))
    measures = {"es": edit_ratio_difflib(answer, target), "id_em": float(given == wanted)}
    return equal_lines(answer, target), {**measures, "id_f1": identifier_f1(given, wanted)}


def repoeval(answer: str, problem: Problem) -> Matched:
    """RepoEval upstream: as many lines as the target has."""
    given, wanted = as_many_lines(answer, problem.tests["target"])
    return given == wanted, {"es": edit_similarity(given, wanted)}


RULES: Mapping[str, tuple[Callable[[str, Problem], Matched], tuple[str, ...]]] = {
    "line": (line, ("es",)),
    "qwen": (qwen, ("es", "es_repoeval")),
    "qwen-function": (qwen_function, ("es", "es_repoeval")),
    "cceval": (cceval, ("es", "id_em", "id_f1")),
    "repoeval": (repoeval, ("es",)),
}


@dataclass(frozen=True, slots=True)
class MatchScorer:
    """``rule`` is a key of ``RULES``."""

    check: str
    rule: str
    version: int = 1
    checks: tuple[str, ...] = field(init=False, default=())
    measured: tuple[str, ...] = field(init=False, default=())

    runs: ClassVar[bool] = False
    passing: ClassVar[str] = "em"

    def __post_init__(self) -> None:
        object.__setattr__(self, "checks", (self.check,))
        object.__setattr__(self, "measured", RULES[self.rule][1])

    def key(self) -> dict[str, Any]:
        return {"scorer": "matches", "version": self.version, "check": self.check, "rule": self.rule}

    def reference_programs(self, problem: Problem) -> list[Program]:
        return []

    def learn(self, problem: Problem, references: Sequence[Recorded]) -> None:
        return None

    def score(self, problem: Problem, code: str, known: None, runner: Runner) -> Judgement:
        equal, measures = RULES[self.rule][0](code, problem)
        said = {} if equal else {"expected": short(problem.tests["target"]), "got": short(code), "check": self.check}
        return Judgement({self.check: Outcome.PASSED if equal else Outcome.WRONG}, measures, said)
