"""Score a program by tests that run beside it, in its own language and process: MultiPL-E and its like.

An exit status of 0 proves nothing: a program can end itself before its tests do. So behind the last test stands a
statement that writes a fresh nonce to a channel of its own (``Language.finish``), and passing means that the nonce
came out and the program then ended well. What a program could do that reads its own source is said in SECURITY.md.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from ..sandboxes.languages import Language, language
from ..types import Limits, Outcome, Problem, Program, Result
from .base import Judgement, Runner, run_surely, short
from .recorded import Recorded

EXPLAINED = "passed by upstream's rule alone: the program left before its last test"


@dataclass(frozen=True, slots=True)
class ProgramScorer:
    """``Problem.tests`` holds ``before`` and ``after``: the tests, cut where the statement behind the last one goes.

    cpu_s, compile_cpu_s  seconds of CPU time for the program and for its compiler
    attempts              arguments of the compiler; the next are tried where a program does not pass with the first
    linked                (part of a problem's id, arguments): what the compiler gets for these problems as well
    environment           variables that programs get, beside those of the language
    silent                any output is a failure, as in Qwen's evaluation of JavaScript
    fails_on              a pattern in the standard error that means failure, in place of the language's own
    lenient               upstream looks at nothing but ``fails_on``, neither at the exit status nor whether the tests
                          were reached (C# in Qwen's evaluation of base models). Reproduced, and each verdict that rests
                          on it is counted in the measure ``unfinished``
    """

    check: str
    cpu_s: float = 15.0
    compile_cpu_s: float = 15.0
    attempts: tuple[tuple[str, ...], ...] = ((),)
    linked: tuple[tuple[str, tuple[str, ...]], ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    silent: bool = False
    fails_on: str | None = None
    lenient: bool = False
    version: int = 1
    checks: tuple[str, ...] = field(init=False, default=())
    explains: ClassVar[Mapping[str, str]] = {"unfinished": EXPLAINED}

    def __post_init__(self) -> None:
        object.__setattr__(self, "checks", (self.check,))

    def key(self) -> dict[str, Any]:
        return {"scorer": "programs", **asdict(self)}

    def reference_programs(self, problem: Problem) -> list[Program]:
        return []

    def learn(self, problem: Problem, references: Sequence[Recorded]) -> None:
        return None

    def score(self, problem: Problem, code: str, known: None, runner: Runner) -> Judgement:
        spoken, nonce = language(problem.language), secrets.token_hex(16)
        linked = tuple(arg for part, args in self.linked if part in problem.id for arg in args)
        tests = problem.tests
        source = f"{code}\n{tests['before']}{spoken.finishing(nonce)}\n{tests['after']}"
        first: Judgement | None = None
        for args in self.attempts:
            program = Program(
                problem.language, {spoken.file: source}, limits=Limits(self.cpu_s, self.compile_cpu_s),
                reports=True, compile_args=(*args, *linked), environment=dict(self.environment),
            )  # fmt: skip
            result = run_surely(program, runner)
            found = self.judge(spoken, result, bytes(result.answers) == nonce.encode())
            if found.checks[self.check] in (Outcome.PASSED, Outcome.TIMEOUT):
                return found
            first = first or found
        assert first
        return first

    def judge(self, spoken: Language, result: Result, finished: bool) -> Judgement:
        """What a result means; ``finished``: the nonce came out."""
        stdout, stderr = (text.decode("utf-8", "replace") for text in (result.stdout, result.stderr))
        either = f"{stderr}\n{stdout}"
        bad = shows(self.fails_on, stderr) if self.fails_on else shows(spoken.fails_on, either)
        bad = bad or (self.silent and bool(stdout or stderr))
        ended = result.ending in ("exit", "signal") and not result.timed_out
        if ended and not bad and self.lenient:
            measures = {} if finished and result.status == 0 else {"unfinished": 1.0}
            said = {} if not measures else {"error": EXPLAINED, "output": short(either.strip())}
            return Judgement({self.check: Outcome.PASSED}, measures, said)
        if ended and not bad and finished and (result.ending, result.status) == ("exit", 0):
            return Judgement({self.check: Outcome.PASSED})
        outcome, cause = self.failure(spoken, result, either, bad, finished)
        return Judgement({self.check: outcome}, evidence={"error": cause, "output": short(either.strip())})

    def failure(self, spoken: Language, result: Result, output: str, bad: bool, finished: bool) -> tuple[Outcome, str]:
        who = "compiler" if result.compiling else "program"
        how = f"{result.ending.replace('_', ' ')} {result.status}" if result.ending != "compile_error" else "refused"
        if result.timed_out:
            return Outcome.TIMEOUT, f"{who}: {result.ending.replace('_', ' ')} after {result.cpu_s:.1f} s of CPU time"
        if result.ending == "memory_limit" and not result.compiling:
            return Outcome.OUT_OF_MEMORY, "program: out of memory"
        if result.compiling:
            return Outcome.COMPILE_ERROR, f"compiler: {how}"
        if shows(spoken.wrong, output) or (result.status == 0 and finished and not self.silent):
            return Outcome.WRONG, "program: a test failed"
        if shows(spoken.broken, output):
            return Outcome.COMPILE_ERROR, f"program: does not parse, {how}"
        if result.status == 0 and result.ending == "exit":
            return Outcome.WRONG, f"program: {'printed something' if bad else 'left before its last test'}"
        return Outcome.RUNTIME_ERROR, f"program: {how}"


def shows(pattern: str | None, output: str) -> bool:
    return pattern is not None and re.search(pattern, output, re.MULTILINE) is not None
