"""Score a Python program by ``assert CALL == VALUE`` lines: calls are made beside the candidate, values stay here.

Running the line as it stands would let the program decide: it could bring an object that is equal to everything, or
end the process in time. So only the left side goes into the sandbox, as one more function behind the candidate's code,
and its value is compared by the host. A subclass or an object of the program's own making is judged by its data.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import DatasetError
from ..types import Calls, Limits, Outcome, Problem, Program, Result
from .base import Judgement, Runner, run_surely, short
from .calls import ending, failed, shown
from .recorded import Recorded, answer_lines
from .values import Failure, ForgedError, decode_line

ASKED = "qceval_asks"  # the function that is added to the program
ANSWER_BYTES = 1 << 22  # of all answers together; the values of such tests are a line of source code each


@dataclass(frozen=True, slots=True)
class AssertScorer:
    """All asserts of a problem must hold, in one process, in order.

    ``Problem.tests`` holds ``asserts``, a list of lines, ``setup``, code that runs before them and after the
    candidate's, and, where there is any, ``before``, code that runs before the candidate's. ``cpu_s``: for everything
    together, as of the Hugging Face metric ``code_eval`` (3 seconds there).
    """

    check: str
    cpu_s: float = 3.0
    version: int = 1
    checks: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "checks", (self.check,))

    def key(self) -> dict[str, Any]:
        return {"scorer": "asserts", "version": self.version, "check": self.check, "cpu_s": self.cpu_s}

    def reference_programs(self, problem: Problem) -> list[Program]:
        return []

    def learn(self, problem: Problem, references: Sequence[Recorded]) -> list[tuple[str, Any]]:
        """The calls, as source, and their values. Raises DatasetError where an assert is of another form."""
        found = []
        for line in problem.tests["asserts"]:
            try:
                (statement,) = ast.parse(line.strip()).body
                assert isinstance(statement, ast.Assert)
                assert isinstance(statement.test, ast.Compare)
                (operator,), (right,) = statement.test.ops, statement.test.comparators
                assert isinstance(operator, ast.Eq)
                found.append((ast.unparse(statement.test.left), ast.literal_eval(right)))
            except (SyntaxError, ValueError, AssertionError):
                raise DatasetError(f"{problem.id}: {short(line)!r} is not assert CALL == VALUE") from None
        return found

    def score(self, problem: Problem, code: str, known: list[tuple[str, Any]], runner: Runner) -> Judgement:
        calls = ", ".join(f"lambda: {call}" for call, _ in known)
        before = problem.tests.get("before", "")
        asked = f"{before}{code}\n{problem.tests['setup']}\ndef {ASKED}(number): return ({calls},)[number]()\n"
        inputs = json.dumps([[number] for number in range(len(known))])
        program = Program(
            "python", {"main.py": asked}, limits=Limits(self.cpu_s, answer_bytes=ANSWER_BYTES),
            calls=Calls(ASKED, inputs, [self.cpu_s] * len(known)),
        )  # fmt: skip
        result = run_surely(program, runner)
        return self._said(*judged(result, [(short(call), expected) for call, expected in known]))

    def _said(self, outcome: Outcome, evidence: dict[str, str]) -> Judgement:
        return Judgement({self.check: outcome}, evidence={**evidence, "check": self.check} if evidence else {})


def judged(
    result: Result, known: Sequence[tuple[str, Any]], same: Callable[[Any, Any], bool] | None = None
) -> tuple[Outcome, dict[str, str]]:
    """The outcome of a program that was asked for values one after the other: what each was, and what it must be.

    ``same`` compares them, by Python's own equality where it is not given.
    """
    same = same or equal
    lines = answer_lines(result.answers)
    try:
        if (first := next(lines, None)) is None:
            return ending(result, "before it was loaded")
        if isinstance(failure := decode_line(first).value, Failure):
            return failed(failure)
        for number, (call, expected) in enumerate(known):
            asked = {"input": call}
            if (line := next(lines, None)) is None or result.over in (number, -1):
                outcome, evidence = ending(result, f"in {call}")
                return outcome, {**evidence, **asked}
            answer = decode_line(line)
            if isinstance(failure := answer.value, Failure):
                outcome, evidence = failed(failure)
                return outcome, {**evidence, **asked}
            if answer.loaded or answer.size or not same(answer.value, expected):
                return Outcome.WRONG, {"expected": short(repr(expected)), "got": short(shown(line)), **asked}
    except ForgedError as error:
        return Outcome.WRONG, {"error": f"the program interfered with its answers: {error}"}
    if result.ending != "exit" or result.status != 0 or next(lines, None):
        return ending(result, "after the last assert")
    return Outcome.PASSED, {}


def equal(output: Any, expected: Any) -> bool:
    try:
        return bool(output == expected)
    except Exception:  # an array of several items is neither true nor false: the assert would have raised
        return False
