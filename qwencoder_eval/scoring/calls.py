"""Score a Python function by calling it: what EvalPlus does, with the expected values out of its reach.

The candidate answers values from its sandbox; the comparison happens here (see ``comparison``).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import DatasetError, ReferenceFailsError
from ..types import Calls, Limits, Outcome, Problem, Program, Result
from .base import EVIDENCE_CHARS, Judgement, Runner, short
from .comparison import Comparison
from .oracles import ORACLES, Generation
from .recorded import VALUE, Expected, Recorded, answer_lines
from .values import Answer, Failure, ForgedError, decode_line, encode

TASK_S = 60.0  # EvalPlus's budget for all calls of a suite, beside the sum of their limits
REFERENCE_CALL_S = 60.0
# Answers of up to a megabyte travel whole. Longer ones travel as a digest, and again whole where that is another one
# than expected; what is longer than this (bytes) never does, and only its digest is compared.
WHOLE = 1 << 28
REFERENCE_LIMITS = Limits(cpu_s=600.0, answer_bytes=1 << 30)
ANSWER_ROOM = 1 << 24  # bytes that the answers of a suite may take beyond twice the expected ones
# An answer this much longer than the expected one cannot be equal: numpy's scalars take 25 times the room of a
# plain number. It is not decoded, so a hostile answer costs no more than an honest one.
LONGER, LONGER_BYTES = 32, 1 << 16


class TooLongError(Exception):
    """A value that decides came as a digest only."""


@dataclass(frozen=True, slots=True)
class Suite:
    """What is known of one suite of a problem: the calls to be made, and what the reference solution answered."""

    calls: Calls
    limits: Limits
    expected: Expected
    recorded: Recorded


@dataclass(frozen=True, slots=True)
class CallScorer:
    """Suites of inputs for one function, in order; a suite counts only where those before it passed.

    ``suites`` maps the name of a score to the field of ``Problem.tests`` that holds its inputs: a list of
    argument lists. ``Problem.tests`` also holds ``entry_point`` and ``atol``. The limit of a call is the larger of
    ``min_limit_s`` and ``factor`` times the reference solution's CPU time for it.
    """

    suites: Mapping[str, str]
    generation: Generation = "0.3"
    oracles: str = ""  # the benchmark whose tasks' own rules apply: see ``oracles.ORACLES``
    min_limit_s: float = 1.0  # as in releases 0.2.1 as Qwen ran it and 0.3.1; upstream has 4 s since
    factor: float = 4.0
    version: int = 2
    checks: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "checks", tuple(self.suites))

    def key(self) -> dict[str, Any]:
        return {
            "scorer": "calls",
            "version": self.version,
            "comparison": f"evalplus {self.generation} {self.oracles}".strip(),
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
            inputs = json.dumps(encode(problem.tests[tests]))
            limits = [REFERENCE_CALL_S] * len(problem.tests[tests])
            calls = Calls(problem.tests["entry_point"], inputs, limits, whole_bytes=WHOLE, timed=True)
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
            inputs = problem.tests[name]
            if not isinstance(inputs, list) or not all(isinstance(arguments, (list, tuple)) for arguments in inputs):
                raise DatasetError(
                    f"{problem.id}: tests[{name!r}] must be a list of argument lists: [[1], [2]], not [1, 2]"
                )

    def learn(self, problem: Problem, references: Sequence[Recorded]) -> list[Suite]:
        return [self._suite(recorded) for recorded in references]

    def _suite(self, recorded: Recorded) -> Suite:
        expected, asked = recorded.load(), recorded.program.calls
        if expected.error:
            raise ReferenceFailsError(f"the reference solution fails here ({short(expected.error)})")
        # Writing a value down is our doing, and must not cost a program its time.
        spent = zip(expected.cpu_s, expected.writing_s, strict=True)
        cpu_s = [max(self.min_limit_s, self.factor * call_s) + 2 * writing_s for call_s, writing_s in spent]
        assert asked
        calls = Calls(asked.function, asked.inputs, cpu_s)
        limits = Limits(
            cpu_s=min(TASK_S, sum(cpu_s)) + 2 * sum(expected.writing_s) + 1.0,
            answer_bytes=2 * len(expected.answers) + ANSWER_ROOM,
        )
        return Suite(calls, limits, expected, recorded)

    def score(self, problem: Problem, code: str, known: list[Suite], runner: Runner) -> Judgement:
        checks: dict[str, Outcome] = {}
        evidence: dict[str, str] = {}
        outcome = Outcome.PASSED
        for (check, tests), suite in zip(self.suites.items(), known, strict=True):
            if outcome is Outcome.PASSED:
                inputs = problem.tests[tests]
                outcome, evidence = self._run(problem, inputs, code, suite, runner)
                if evidence:
                    evidence["check"] = check
            checks[check] = outcome
        return Judgement(checks, evidence=evidence)

    def _run(
        self, problem: Problem, inputs: Sequence[Any], code: str, suite: Suite, runner: Runner
    ) -> tuple[Outcome, dict[str, str]]:
        program = Program("python", {"main.py": code}, limits=suite.limits, calls=suite.calls)
        whole = alone = False
        while True:
            run = runner.run_alone if alone else runner.run
            result = run(program, lambda answers: self.is_decided(problem, inputs, suite, answers))
            try:
                judged = self.judge(problem, inputs, suite, result, whole)
            except TooLongError:
                calls, whole = replace(suite.calls, whole_bytes=WHOLE), True
                limits = replace(suite.limits, answer_bytes=2 * suite.expected.whole_bytes + ANSWER_ROOM)
                program = replace(program, limits=limits, calls=calls)
                continue
            if judged[0] is not Outcome.TIMEOUT or not result.ambiguous or alone:
                return judged
            alone = True

    def is_decided(self, problem: Problem, inputs: Sequence[Any], suite: Suite, answers: bytes | bytearray) -> bool:
        """Whether a program that answered this so far has failed, whatever it answers from here on."""
        whole_lines = answers[: answers.rfind(b"\n") + 1]
        if suite.expected.answers.startswith(whole_lines):
            return False
        so_far = Result("stopped", 0, 0.0, 0.0, answers=whole_lines, over=-1)
        try:
            return self.judge(problem, inputs, suite, so_far, whole=False)[0] is not Outcome.TIMEOUT
        except TooLongError:
            return False

    def judge(
        self, problem: Problem, inputs: Sequence[Any], suite: Suite, result: Result, whole: bool = True
    ) -> tuple[Outcome, dict[str, str]]:
        """The outcome of a suite from what its program answered, with evidence where it did not pass.

        Raises TooLongError where a value came as a digest other than the expected one, unless that is all there is to
        have (``whole``).
        """
        function, atol = problem.tests["entry_point"], float(problem.tests["atol"])
        oracle = ORACLES[self.oracles][self.generation].get(function)
        ended = result.ending == "exit" and result.status == 0 and not result.timed_out
        if ended and oracle is None and suite.expected.plain and result.answers == suite.expected.answers:
            return Outcome.PASSED, {}
        expected = suite.expected.lines
        compare = Comparison(self.generation, oracle, atol, expected)
        lines = answer_lines(result.answers)
        read = suite.recorded.forward()
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
                exact = oracle is None and wanted.plain
                if exact and line == wanted.text:
                    continue
                too_long = LONGER * wanted.size + LONGER_BYTES
                answer = decode_line(line) if len(line) <= too_long else Answer(None, size=len(line))
                if answer.loaded:
                    raise ForgedError("it says twice that it is loaded")
                if isinstance(answer.value, Failure):
                    outcome, evidence = failed(answer.value)
                    return outcome, {"input": short(inputs[call]), **evidence}
                if answer.size:
                    got = f"an answer of {answer.size} bytes"
                    right = exact and wanted.same_digest(answer.size, answer.digest)
                    if not right and not whole and answer.size <= too_long:
                        raise TooLongError(got)
                else:
                    got = shown(line)
                    right = wanted.recorded and compare.right(call, inputs[call], answer, wanted.encoded(read))
                if not right:
                    truth = f"a value of {wanted.size} bytes" if wanted.sized else shown(wanted.text)
                    return Outcome.WRONG, {"input": short(inputs[call]), "expected": short(truth), "got": short(got)}
            if next(lines, None) is not None or not result.answers.endswith(b"\n"):
                raise ForgedError(f"more answers than the {len(expected)} calls")
        except ForgedError as error:
            return Outcome.WRONG, {"error": f"the program interfered with its answers: {error}"}
        return (Outcome.PASSED, {}) if ended else ending(result, "after the last call")


def shown(line: bytes) -> str:
    """The value of an answer line, as evidence: as Python writes it, or a long one as it came."""
    if len(line) <= EVIDENCE_CHARS:
        with contextlib.suppress(Exception):  # integers of many digits have no text, arrays may want numpy's help
            return repr(decode_line(line).value)
    return line.removeprefix(VALUE).decode("utf-8", "replace")[:-1]


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
