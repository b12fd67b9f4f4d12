"""Tests that run beside the candidate: what a result means, with a sandbox that says what it is told to say.

Real sandboxes are in tests/sandboxes/test_languages.py and tests/benchmarks/test_multipl_e.py.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator

import pytest

from qwencoder_eval.sandboxes.base import Decided
from qwencoder_eval.scoring.programs import ProgramScorer
from qwencoder_eval.types import Outcome, Problem, Program, Result

Answer = Callable[[Program], Result]
NONCE = re.compile(r"[0-9a-f]{32}")


class Told:
    """A runner whose results are given, one after the other; keeps what it was asked to run."""

    def __init__(self, *answers: Answer | Result) -> None:
        self.answers: Iterator[Answer | Result] = iter(answers)
        self.programs: list[Program] = []
        self.alone = 0

    def run(self, program: Program, decided: Decided | None = None) -> Result:
        self.programs.append(program)
        answer = next(self.answers)
        return answer(program) if callable(answer) else answer

    def run_alone(self, program: Program, decided: Decided | None = None) -> Result:
        self.alone += 1
        return self.run(program)


def problem(language: str = "cpp", before: str = "int main() {\n", after: str = "}\n") -> Problem:
    return Problem("HumanEval_1_f", {}, {"before": before, "after": after}, language=language)


def finished(status: int = 0, stdout: bytes = b"", stderr: bytes = b"", ending: str = "exit") -> Answer:
    """The program came past its last test: it says the nonce that stands in its source."""

    def answer(program: Program) -> Result:
        (source,) = program.files.values()
        (nonce,) = set(NONCE.findall(source))
        return Result(ending, status, 0.1, 0.1, stdout, stderr, nonce.encode())  # type: ignore[arg-type]

    return answer


def ended(ending: str = "exit", status: int = 0, **others: object) -> Result:
    return Result(ending, status, 0.1, 0.1, **others)  # type: ignore[arg-type]


def outcome(scorer: ProgramScorer, *answers: Answer | Result, of: Problem | None = None) -> Outcome:
    judged = scorer.score(of or problem(), "code", None, Told(*answers))
    assert list(judged.checks) == [scorer.check]
    passed = judged.checks[scorer.check] is Outcome.PASSED
    assert passed or judged.evidence["error"]
    return judged.checks[scorer.check]


PLAIN = ProgramScorer("x")


def test_the_program_is_candidate_tests_and_the_statement_behind_the_last_test() -> None:
    told = Told(finished(), finished())
    for _ in range(2):
        PLAIN.score(problem(), "long f() {", None, told)
    first, second = (program.files["main.cpp"] for program in told.programs)
    assert first.startswith("long f() {\nint main() {\n{ FILE *qceval = fopen(")
    assert first.endswith("}\n}\n")
    assert told.programs[0].reports
    nonces = {NONCE.search(text)[0] for text in (first, second)}  # type: ignore[index]
    assert len(nonces) == 2, "a nonce is used once"


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (finished(), "passed"),
        (finished(stdout=b"hello", stderr=b"warning"), "passed"),
        (finished(status=1), "runtime_error"),
        (finished(status=11, ending="signal"), "runtime_error"),
        (ended(), "wrong"),
        (ended(answers=b"0" * 32), "wrong"),
        (ended(stdout=b"ok"), "wrong"),
        (ended(status=1), "runtime_error"),
        (ended("signal", 6, stderr=b"main: main.cpp:3: int main(): Assertion `f() == 1' failed."), "wrong"),
        (ended("signal", 11), "runtime_error"),
        (ended("compile_error", 1, compiling=True, stderr=b"error: expected ';'"), "compile_error"),
        (ended("compile_error", 11, compiling=True, stderr=b"internal compiler error"), "compile_error"),
        (ended("cpu_limit", 9, compiling=True), "timeout"),
        (ended("memory_limit", 9, compiling=True), "compile_error"),
        (ended("cpu_limit", 9), "timeout"),
        (ended("memory_limit", 9), "out_of_memory"),
    ],
)
def test_outcomes(result: Answer | Result, expected: str) -> None:
    assert outcome(PLAIN, result) == expected


def test_an_ambiguous_timeout_is_tried_once_more_alone() -> None:
    told = Told(ended("wall_limit", 9), finished())
    judged = PLAIN.score(problem(), "code", None, told)
    assert (judged.checks["x"], told.alone) == (Outcome.PASSED, 1)


@pytest.mark.parametrize(("status", "printed"), [(0, ""), (0, "x"), (1, ""), (1, "x")])
def test_silent(status: int, printed: str) -> None:
    """JavaScript in Qwen's evaluation of base models: whatever is printed is a failure."""
    scorer = ProgramScorer("x", silent=True)
    result = finished(status=status, stdout=printed.encode())
    assert (outcome(scorer, result) == "passed") == (status == 0 and not printed)
    assert outcome(scorer, finished(stderr=b"warning")) == "wrong"


@pytest.mark.parametrize(
    ("stderr", "expected"),
    [
        (b"", "passed"),
        (b"Unhandled Exception:\nSystem.DivideByZeroException", "wrong"),
        (b"   at System.Diagnostics.DefaultTraceListener.Fail (System.String message)", "wrong"),
        (b"Failed to do something else", "passed"),
    ],
)
def test_a_language_says_what_is_a_failure_beyond_the_status(stderr: bytes, expected: str) -> None:
    assert outcome(PLAIN, finished(stderr=stderr), of=problem("csharp")) == expected


def test_the_lenient_rule_is_upstreams_and_counted() -> None:
    scorer = ProgramScorer("x", fails_on="Fail", lenient=True)
    for result, passed, unfinished in (
        (finished(), True, False),
        (ended(), True, True),
        (ended(status=1, stderr=b"Unhandled Exception"), True, True),
        (finished(stderr=b"Failed"), False, False),
        (ended(stdout=b"Fail"), True, True),  # the standard error alone counts
        (ended("cpu_limit", 9), False, False),
        (ended("compile_error", 1, compiling=True), False, False),
    ):
        judged = scorer.score(problem("csharp"), "code", None, Told(result))
        assert (judged.checks["x"] is Outcome.PASSED) == passed, result
        assert bool(judged.measures.get("unfinished")) == unfinished, result


def test_attempts() -> None:
    """TypeScript in Qwen's evaluation: other options where the first do not pass, but not after a timeout."""
    scorer = ProgramScorer("x", attempts=(("--target", "ES2015"), ()))
    refused = ended("compile_error", 2, compiling=True, stderr=b"first")
    told = Told(refused, finished())
    judged = scorer.score(problem("typescript"), "code", None, told)
    assert judged.checks["x"] is Outcome.PASSED
    assert [program.compile_args for program in told.programs] == [("--target", "ES2015"), ()]
    judged = scorer.score(problem("typescript"), "code", None, Told(refused, ended(status=1)))
    assert (judged.checks["x"], judged.evidence["output"]) == (Outcome.COMPILE_ERROR, "first")
    told = Told(ended("cpu_limit", 9))
    assert scorer.score(problem("typescript"), "code", None, told).checks["x"] is Outcome.TIMEOUT
    assert len(told.programs) == 1


def test_linked_libraries_and_environment_and_limits() -> None:
    scorer = ProgramScorer("x", 7, 9, linked=(("_1_", ("-lssl",)), ("_2_", ("-lz",))), environment=(("A", "b"),))
    told = Told(finished())
    scorer.score(problem(), "code", None, told)
    (program,) = told.programs
    assert program.compile_args == ("-lssl",)
    assert program.environment == {"A": "b"}
    assert (program.limits.cpu_s, program.limits.compile_cpu_s) == (7, 9)


def test_evidence_is_bounded_and_any_bytes_are_read() -> None:
    judged = PLAIN.score(problem(), "code", None, Told(ended(status=1, stderr=b"\xff\x00\x1b[31m" * 5000)))
    assert len(judged.evidence["output"]) <= 4000


def test_every_field_of_the_rule_is_in_its_key() -> None:
    keys = [
        ProgramScorer("x", **changes).key()  # type: ignore[arg-type]
        for changes in (
            {},
            {"cpu_s": 1.0},
            {"compile_cpu_s": 1.0},
            {"attempts": (("a",),)},
            {"linked": (("a", ("b",)),)},
            {"environment": (("a", "b"),)},
            {"silent": True},
            {"fails_on": "x"},
            {"lenient": True},
            {"version": 2},
        )
    ]
    assert all(one != other for one, other in itertools.combinations(keys, 2))
