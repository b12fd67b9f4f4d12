"""Score a function that had to be repeated: the same syntax tree passes. Nothing is run.

``Problem.tests`` holds ``needle``, its source. The measure ``exact`` is whether the text is the same, too, but for
blanks at the ends of lines. The rule is ours: the Qwen2.5-Coder report says only that a cell is correct or not.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..extraction.python import warnings_lock
from ..types import Outcome, Problem, Program
from .base import Judgement, Runner, short
from .recorded import Recorded

MAX_CODE = 8192  # characters; a needle has a few hundred


def tree(code: str) -> str | None:
    """Its syntax tree without positions; None where it cannot be parsed, or is not to be."""
    if len(code) > MAX_CODE:
        return None
    try:
        with warnings_lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes
            return ast.dump(ast.parse(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def plain(code: str) -> list[str]:
    return [line.rstrip() for line in code.rstrip().splitlines()]


@dataclass(frozen=True, slots=True)
class NeedleScorer:
    check: str
    version: int = 1
    checks: tuple[str, ...] = field(init=False, default=())

    runs: ClassVar[bool] = False
    measured: ClassVar[tuple[str, ...]] = ("exact",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "checks", (self.check,))

    def key(self) -> dict[str, Any]:
        return {"scorer": "needles", "version": self.version, "check": self.check}

    def reference_programs(self, problem: Problem) -> list[Program]:
        return []

    def learn(self, problem: Problem, references: Sequence[Recorded]) -> None:
        return None

    def score(self, problem: Problem, code: str, known: None, runner: Runner) -> Judgement:
        needle = problem.tests["needle"]
        same = tree(code) == tree(needle)
        measures = {"exact": float(plain(code[:MAX_CODE]) == plain(needle))}
        said = {} if same else {"expected": short(needle), "got": short(code), "check": self.check}
        return Judgement({self.check: Outcome.PASSED if same else Outcome.WRONG}, measures, said)
