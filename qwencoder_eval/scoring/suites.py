"""Score a Python program by unit tests that run in its process: BigCodeBench.

Tests of this kind cannot be kept apart from the program: they call it, mock what it calls and look at what it drew. So
passing means that all of them ran and a fresh word came out behind the last one, which sandbox/suite.py writes only if
nothing that unit tests stand on was changed on the way. What a program could still do is said in SECURITY.md.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..types import Limits, Outcome, Problem, Program, Result, Suite
from .base import Judgement, Runner, short
from .calls import ending
from .recorded import Recorded

ANSWER_BYTES = 1 << 18
WAITED = 0.5  # of its time: a program that used less of it computing was waiting, whatever else the machine does
COMPILE_ERRORS = ("SyntaxError", "IndentationError", "TabError")
WRONG = ("AssertionError", "InterferedError", "skipped", "succeeded", "did not come")


@dataclass(frozen=True, slots=True)
class SuiteScorer:
    """All tests of a problem must pass. ``Problem.tests`` holds ``tests``, source with a class ``TestCases``.

    calibrated  what ``Problem.tests`` has as ``before`` stands before the program: the prompt's imports and names are
                there even if the model forgot them
    cpu_s       seconds for loading and all tests together; the same for a program that waits
    """

    check: str
    calibrated: bool = True
    cpu_s: float = 241.0
    version: int = 1
    checks: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "checks", (self.check,))

    def key(self) -> dict[str, Any]:
        return {"scorer": "suites", **asdict(self)}

    def reference_programs(self, problem: Problem) -> list[Program]:
        return []

    def learn(self, problem: Problem, references: Sequence[Recorded]) -> None:
        return None

    def score(self, problem: Problem, code: str, known: None, runner: Runner) -> Judgement:
        word = secrets.token_hex(16)
        before = problem.tests["before"] if self.calibrated else ""
        program = Program(
            problem.language, {"main.py": before + code}, suite=Suite(problem.tests["tests"], word),
            limits=Limits(self.cpu_s, wall_factor=1.0, answer_bytes=ANSWER_BYTES),
        )  # fmt: skip
        result = runner.run(program)
        if result.timed_out and result.ambiguous and result.cpu_s > WAITED * result.wall_s:
            result = runner.run_alone(program)
        outcome, evidence = judged(result, word)
        return Judgement({self.check: outcome}, evidence={**evidence, "check": self.check} if evidence else {})


def judged(result: Result, word: str) -> tuple[Outcome, dict[str, str]]:
    """What came of the tests; everything that the program's process wrote may be a lie, but for the word."""
    said, _, last = bytes(result.answers).rpartition(b"\n")
    finished = (result.ending, result.status, result.timed_out) == ("exit", 0, False)
    if finished and last == word.encode():
        return Outcome.PASSED, {}
    try:
        report = json.loads(said)
        error, problems = report.get("error"), dict(report.get("problems") or {})
        lines = [f"{short(str(test))}: {short(str(line))}" for test, line in problems.items()]
    except (ValueError, AttributeError, TypeError, RecursionError):
        error, problems, lines = None, {}, []
    if not finished or not (error or problems):
        return ending(result, "before the last test") if not finished else (Outcome.WRONG, {"error": "left early"})
    if error:
        text = short(str(error))
        if text.startswith(COMPILE_ERRORS):
            return Outcome.COMPILE_ERROR, {"error": text}
        return (Outcome.WRONG if text.startswith(WRONG) else Outcome.RUNTIME_ERROR), {"error": text}
    wrong = any(str(line).startswith(WRONG) for line in problems.values())
    return (Outcome.WRONG if wrong else Outcome.RUNTIME_ERROR), {"error": short("\n".join(lines))}
