"""Score a Python function by calling it: what EvalPlus does, with the expected values out of its reach.

The candidate answers values from its sandbox; the comparison happens here. Two generations of EvalPlus's
comparison are kept apart, because published numbers rest on both:

- ``EvalPlus``: evalplus/evalplus at 26d6d00 (after 0.3.1), evalplus/eval/__init__.py.
- ``EvalPlus021``: the same file at tag v0.2.1, which the Qwen2.5-Coder evaluation ran.

Known differences from both, on purpose: the special oracle of ``find_zero`` is asked about the input as it was
given, not as the candidate may have changed it; a subclass is compared by its data, not by its own ``__eq__``.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import DatasetError, ReferenceFailsError
from ..types import Calls, Limits, Outcome, Problem, Program, Result
from .base import Judgement, Recorded, Runner, short
from .values import Answer, Failure, ForgedError, decode, decode_line, type_name

TASK_S = 60.0  # EvalPlus's budget for all calls of a suite, beside the sum of their limits
REFERENCE_CALL_S = 60.0
REFERENCE_LIMITS = Limits(cpu_s=600.0, answer_bytes=1 << 30)
ANSWER_ROOM = 1 << 24  # bytes that the answers of a suite may take beyond twice the expected ones
LONG_LINE = 1 << 16  # bytes; of longer expected answers only the digest stays in memory
# An answer this much longer than the expected one cannot be equal: numpy's scalars take 25 times the room of a
# plain number. It is not decoded, so a hostile answer costs no more than an honest one.
LONGER, LONGER_BYTES = 32, 1 << 16
# How a line starts that can hold nothing but floats: what else there is of a long line need not be parsed.
LEADING_FLOAT = re.compile(
    rb'\{"value": (\[|\{"\$": "tuple", "items": \[)(-?\d+(\.|e)|-?Infinity|NaN)|\{"value": \{"\$": "ndarray"'
)
MAX_RANGE = 1 << 20  # items of a range that are spread out for a comparison with tolerance


def polynomial(inputs: Sequence[Any], output: Any) -> float:
    """The polynomial of HumanEval's ``find_zero`` at the root that was found: xs[0] + xs[1] x + ..."""
    return float(sum(coefficient * math.pow(output, power) for power, coefficient in enumerate(inputs[0])))


@dataclass(frozen=True, slots=True)
class Expected:
    """One value of the reference solution, as the answer line that is equal to it to the byte.

    Of a long line only the digest is kept, and the line is read again in the rare case that it is needed.
    """

    size: int
    digest: bytes
    plain: bool  # whether equal lines mean equal values: of NaN and of objects they do not
    cpu_s: float
    short_line: bytes | None
    floats: bool  # of a long line: whether it is a sequence of nothing but floats; a short one can be looked at
    source: Recorded
    number: int

    @classmethod
    def of(cls, timed_line: bytes, source: Recorded, number: int) -> Expected:
        """From a timed answer: ``{"value": ..., "cpu_s": ...}``, taken apart as text because it may be long."""
        value, _, cpu_s = timed_line.rstrip().rpartition(b', "cpu_s": ')
        line = value + b"}"
        plain = b"NaN" not in line and b'"object"' not in line
        digest = hashlib.sha256(line).digest()
        if len(line) <= LONG_LINE:
            return cls(len(line), digest, plain, float(cpu_s[:-1]), line, False, source, number)
        floats = LEADING_FLOAT.match(line) is not None and only_floats(decode_line(line).value)
        return cls(len(line), digest, plain, float(cpu_s[:-1]), None, floats, source, number)

    def same_line(self, line: bytes) -> bool:
        if self.short_line is not None:
            return line == self.short_line
        return len(line) == self.size and hashlib.sha256(line).digest() == self.digest

    def encoded(self, read: Callable[[int], bytes]) -> Any:
        """The value in its encoded form; ``read`` gets a long line from disk, see ``Recorded.forward``."""
        line = self.short_line if self.short_line is not None else read(self.number)
        return json.loads(line, parse_constant=float)["value"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """EvalPlus's judgement of the calls of one suite, in order: a tolerance that it turns on stays on."""

    generation: Literal["0.2.1", "0.3"]
    function: str
    atol: float

    @property
    def oracle(self) -> bool:
        return self.function == "find_zero"

    def right(self, inputs: Sequence[Any], answer: Answer, wanted: Any, so_far: Sequence[Expected]) -> bool:
        """Whether an answer counts as right. Never raises.

        ``wanted`` is the expected value in its encoded form, ``so_far`` are all expected values up to it.
        """
        try:
            output, expected = answer.value, decode(wanted)
            if self.oracle:
                value = polynomial(inputs, output)
                if self.generation == "0.3":
                    return abs(value) <= self.atol
                if not value <= self.atol:  # without abs, and then the ordinary comparison as well
                    return False
            if output == expected:
                return True
            atol = self.atol
            if atol == 0 and any(map(self.turns_on, so_far)):
                atol = 1e-6
            same_type = type_name(answer.encoded) == type_name(wanted)
            return atol != 0 and self.close(output, expected, same_type, atol)
        except Exception:  # what cannot be compared is wrong, as upstream's assertion fails
            return False

    def close(self, output: Any, expected: Any, same_type: bool, atol: float) -> bool:
        import numpy

        for value in (output, expected):
            if isinstance(value, range) and len(value) > MAX_RANGE:
                return False
        with numpy.errstate(all="ignore"):
            if self.generation == "0.2.1":
                numpy.testing.assert_allclose(output, expected, rtol=1e-07, atol=atol)
                return True
            if not same_type or (isinstance(expected, (list, tuple)) and len(output) != len(expected)):
                return False
            return bool(numpy.allclose(output, expected, rtol=1e-07, atol=atol))

    def turns_on(self, expected: Expected) -> bool:
        """Whether this expected value makes the tolerance 1e-6 from here on, where a task names none."""
        if expected.short_line is None:
            return bool(expected.floats)
        value = decode(json.loads(expected.short_line, parse_constant=float)["value"])
        empty = isinstance(value, (list, tuple)) and not value
        return only_floats(value) or (empty and self.generation == "0.2.1")


def only_floats(value: Any) -> bool:
    """A float, or a list, tuple or array of nothing but floats; an empty one is not."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(item, float) for item in value)
    if type(value).__name__ == "ndarray":
        return str(value.dtype) in ("float64", "float32")
    return isinstance(value, float)


@dataclass(frozen=True, slots=True)
class CallScorer:
    """Suites of inputs for one function, in order; a suite counts only where those before it passed.

    ``suites`` maps the name of a score to the field of ``Problem.tests`` that holds its inputs: a list of
    argument lists. ``Problem.tests`` also holds ``entry_point`` and ``atol``. The limit of a call is the larger of
    ``min_limit_s`` and ``factor`` times the reference solution's CPU time for it.
    """

    suites: Mapping[str, str]
    generation: Literal["0.2.1", "0.3"] = "0.3"
    min_limit_s: float = 4.0
    factor: float = 4.0
    version: int = 1
    checks: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "checks", tuple(self.suites))

    def key(self) -> dict[str, Any]:
        return {
            "scorer": "calls",
            "version": self.version,
            "comparison": f"evalplus {self.generation}",
            "suites": dict(self.suites),
            "min_limit_s": self.min_limit_s,
            "factor": self.factor,
            "task_s": TASK_S,
        }

    def reference_programs(self, problem: Problem) -> list[Program]:
        self._validate(problem)
        code = problem.stub + (problem.reference or "")
        programs = []
        for tests in self.suites.values():
            inputs = problem.tests[tests]
            calls = Calls(problem.tests["entry_point"], inputs, [REFERENCE_CALL_S] * len(inputs), timed=True)
            programs.append(Program("python", {"main.py": code}, limits=REFERENCE_LIMITS, calls=calls))
        return programs

    def _validate(self, problem: Problem) -> None:
        """Raises DatasetError where ``Problem.tests`` is not what this scorer reads."""
        for name in ("entry_point", "atol", *self.suites.values()):
            if name not in problem.tests:
                given = ", ".join(problem.tests)
                raise DatasetError(
                    f"{problem.id}: tests has no {name!r}, which CallScorer reads; problem() gives {given}"
                )
        for name in self.suites.values():
            if not all(isinstance(arguments, (list, tuple)) for arguments in problem.tests[name]):
                raise DatasetError(
                    f"{problem.id}: tests[{name!r}] must be a list of argument lists: [[1], [2]], not [1, 2]"
                )

    def learn(self, problem: Problem, references: Sequence[Recorded]) -> list[list[Expected]]:
        return [
            expected_answers(problem.tests[tests], reference)
            for tests, reference in zip(self.suites.values(), references, strict=True)
        ]

    def score(self, problem: Problem, code: str, known: list[list[Expected]], runner: Runner) -> Judgement:
        checks: dict[str, Outcome] = {}
        evidence: dict[str, str] = {}
        outcome = Outcome.PASSED
        for (check, tests), expected in zip(self.suites.items(), known, strict=True):
            if outcome is Outcome.PASSED:
                outcome, evidence = self._suite(problem, problem.tests[tests], code, expected, runner)
                if evidence:
                    evidence["check"] = check
            checks[check] = outcome
        return Judgement(checks, evidence=evidence)

    def _suite(
        self, problem: Problem, inputs: Sequence[Any], code: str, expected: list[Expected], runner: Runner
    ) -> tuple[Outcome, dict[str, str]]:
        limits = [max(self.min_limit_s, self.factor * answer.cpu_s) for answer in expected]
        room = 2 * sum(answer.size for answer in expected) + ANSWER_ROOM
        budget = Limits(cpu_s=min(TASK_S, sum(limits)) + 1.0, answer_bytes=room)
        calls = Calls(problem.tests["entry_point"], inputs, limits)
        program = Program("python", {"main.py": code}, limits=budget, calls=calls)
        result = runner.run(program)
        judged = self.judge(problem, inputs, expected, result)
        if judged[0] is Outcome.TIMEOUT and result.ambiguous:
            judged = self.judge(problem, inputs, expected, runner.run_alone(program))
        return judged

    def judge(
        self, problem: Problem, inputs: Sequence[Any], expected: list[Expected], result: Result
    ) -> tuple[Outcome, dict[str, str]]:
        """The outcome of a suite from what its program answered, with evidence where it did not pass."""
        compare = Comparison(self.generation, problem.tests["entry_point"], float(problem.tests["atol"]))
        lines = answer_lines(result.answers)
        read = expected[0].source.forward() if expected else bytes  # without calls nothing is read
        try:
            if (first := next(lines, None)) is None:
                return ending(result, "before it was loaded")
            loaded = decode_line(first)
            if isinstance(loaded.value, Failure):
                return failed(loaded.value)
            if not loaded.loaded:
                raise ForgedError("the first line is not about loading")
            for call, wanted in enumerate(expected):
                number = f"call {call + 1} of {len(expected)}"
                if (line := next(lines, None)) is None or call == result.over:
                    return ending(result, f"in {number}: {short(inputs[call])}")
                if wanted.plain and not compare.oracle and wanted.same_line(line):
                    continue
                truth = wanted.encoded(read)
                if len(line) > LONGER * wanted.size + LONGER_BYTES:
                    got, right = f"an answer of {len(line)} bytes", False
                else:
                    answer = decode_line(line)
                    if answer.loaded:
                        raise ForgedError("it says twice that it is loaded")
                    if isinstance(answer.value, Failure):
                        outcome, evidence = failed(answer.value)
                        return outcome, {"input": short(inputs[call]), **evidence}
                    got = line.removeprefix(b'{"value": ').decode("utf-8", "replace")[:-1]
                    right = compare.right(inputs[call], answer, truth, expected[: call + 1])
                if not right:
                    said = {"input": short(inputs[call]), "expected": short(json.dumps(truth)), "got": short(got)}
                    return Outcome.WRONG, said
            if next(lines, None) is not None or not result.answers.endswith(b"\n"):
                raise ForgedError(f"more answers than the {len(expected)} calls")
        except ForgedError as error:
            return Outcome.WRONG, {"error": f"the program interfered with its answers: {error}"}
        if result.timed_out or result.ending != "exit" or result.status != 0:
            return ending(result, "after the last call")
        return Outcome.PASSED, {}


def failed(failure: Failure) -> tuple[Outcome, dict[str, str]]:
    evidence = {"error": short(failure.error)}
    if failure.type_name == "MemoryError":
        return Outcome.OUT_OF_MEMORY, evidence
    return (Outcome.COMPILE_ERROR if failure.stage == "compile" else Outcome.RUNTIME_ERROR), evidence


def ending(result: Result, where: str) -> tuple[Outcome, dict[str, str]]:
    """The outcome of a program that did not answer to the end."""
    evidence = {"error": f"{result.ending.replace('_', ' ')} {where}"}
    if result.stderr:
        evidence["stderr"] = short(result.stderr.decode("utf-8", "replace").strip()[-300:])
    if result.timed_out:
        return Outcome.TIMEOUT, evidence
    if result.ending == "memory_limit":
        return Outcome.OUT_OF_MEMORY, evidence
    return Outcome.RUNTIME_ERROR, evidence


def expected_answers(inputs: Sequence[Any], reference: Recorded) -> list[Expected]:
    """The reference solution's answers. Raises ReferenceFailsError where it did not answer every call."""
    found: list[Expected] = []
    for number, line in enumerate(reference.lines()):
        if line.startswith(b'{"value": '):
            found.append(Expected.of(line, reference, number))
        elif "error" in (answer := json.loads(line)):
            where = f" on {short(inputs[len(found)])}" if number else ""
            raise ReferenceFailsError(f"the reference solution fails here{where} ({short(answer['error'])})")
    if len(found) != len(inputs):
        raise ReferenceFailsError(f"the reference solution answers {len(found)} of {len(inputs)} calls here")
    return found


def answer_lines(answers: bytes | bytearray) -> Iterator[bytes]:
    """Whole lines without their newline, one at a time: together they can be hundreds of megabytes."""
    start = 0
    while (end := answers.find(b"\n", start)) >= 0:
        yield bytes(answers[start:end])
        start = end + 1
