"""Score a call of a library by its syntax tree; nothing is run.

SAFIM, gonglinyuan/safim at 9543286, evaluate.py (``syntax_match``).
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..extraction.python import warnings_lock
from ..types import Outcome, Problem, Program
from .base import Judgement, Runner, short
from .recorded import Recorded


@dataclass(frozen=True, slots=True)
class ApiCallScorer:
    """``Problem.tests`` holds ``right``, the call as it should be."""

    check: str
    version: int = 1
    checks: tuple[str, ...] = field(init=False, default=())

    runs: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "checks", (self.check,))

    def key(self) -> dict[str, Any]:
        return {"scorer": "api-calls", "version": self.version, "check": self.check}

    def reference_programs(self, problem: Problem) -> list[Program]:
        return []

    def learn(self, problem: Problem, references: Sequence[Recorded]) -> None:
        return None

    def score(self, problem: Problem, code: str, known: None, runner: Runner) -> Judgement:
        return compared(self.check, problem, code)


def compared(check: str, problem: Problem, code: str) -> Judgement:
    right = problem.tests["right"]
    if same_call(code, right, problem.language):
        return Judgement({check: Outcome.PASSED})
    return Judgement({check: Outcome.WRONG}, evidence={"expected": short(right), "got": short(code), "check": check})


def same_call(one: str, other: str, language: str) -> bool:
    """Equal but for white space, that inside strings too; in Python also two calls with equal arguments.

    Of those, arguments by position are compared in order and keywords by name. What is called is not compared: so it is
    upstream, where ``f(1)`` counts as ``g(1)``.
    """
    one, other = ("".join(re.split(r"\s+", text)) for text in (one, other))
    if one == other:
        return True
    if language != "python":
        return False
    ours, theirs = arguments(one), arguments(other)
    return ours is not None and ours == theirs


def arguments(text: str) -> tuple[list[str], dict[str | None, str]] | None:
    """Those of a call, by position and by keyword; None where the text is no call."""
    try:
        with warnings_lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes; as errors they would become SyntaxError
            call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call):
            return None
        return [ast.dump(each) for each in call.args], {each.arg: ast.dump(each.value) for each in call.keywords}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
