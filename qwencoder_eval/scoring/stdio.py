"""Score programs of several languages by standard input and output: compiled once, one process for each test.

The rules are ExecEval's, ntunlp/ExecEval at dd69386, execution_engine/, as SAFIM calls it (gonglinyuan/safim at
9543286, exec_utils.py): no limits of its own, all tests must pass, the first that fails ends it. Expected outputs never
leave the host, so a program can only print what is right.

ExecEval counts wall-clock seconds, 2 for C++, 6 for Java and C#, 4 for Python; here the same numbers are CPU seconds
with a backstop (see ``Limits``), so that a verdict does not depend on how busy the machine is. Its Python is PyPy 3.9,
which runs such programs several times as fast as CPython does: here Python gets five times the seconds. Its C++ is
GCC 12, its "Java 17" is JDK 21, its C# compiler is csc on Mono; what they are here is said in sandbox/languages.toml.
Its limits on files and processes, which keep programs from opening or starting any, are not reproduced.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from functools import lru_cache, partial
from typing import Any

from ..errors import ReferenceFailsError
from ..sandboxes.languages import language
from ..types import Limits, Outcome, Problem, Program, Result
from .api_calls import compared
from .base import Judgement, Runner, short
from .calls import ending
from .contest import OUTPUT_SPARE, kept
from .programs import shows
from .recorded import Recorded


@dataclass(frozen=True, slots=True)
class Way:
    """How programs of a language are compiled and run, beside what sandbox/languages.toml says (seconds, bytes)."""

    cpu_s: float
    compile_args: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    stack_bytes: int = 0


COMPILE_S = 60.0
DEEP = 1 << 30  # of stack: ExecEval sets no limit but that of memory, which is 2 GiB
WAYS = {
    "python": Way(20.0),
    "cpp": Way(
        2.0, ("-O2", "-w", "-s", "-static", "-DONLINE_JUDGE", "-include", "limits.h", "-include", "math.h", "-lm"),
        stack_bytes=DEEP,
    ),
    # -da:... takes back the language's -ea for classes without a package.
    "java": Way(6.0, ("-nowarn",), (("JDK_JAVA_OPTIONS", "-DONLINE_JUDGE=true -Xmx2g -Xss256k -da:..."),)),
    "csharp": Way(6.0, ("-optimize+", "-r:System.Numerics.dll"), stack_bytes=DEEP),
}  # fmt: skip
# As with ``pypy3 -OO -S``: no assertions, and nothing of what the module ``site`` adds. PyPy 3.9 has no limit on the
# digits of integers.
PYTHON = """import builtins, sys
for name in ("copyright", "credits", "exit", "help", "license", "quit"):
    vars(builtins).pop(name, None)
sys.set_int_max_str_digits(0)
del builtins, sys, name
qceval_program = {code!r}
exec(compile(globals().pop("qceval_program"), "<main.py>", "exec", dont_inherit=True, optimize=2))
"""
CSHARP = "#undef DEBUG\n"  # which the language's own way defines, and ExecEval does not
NAME_BYTES = 200  # of a file's name
OUT_OF_MEMORY = re.compile(r"out ?of ?memory|bad[_ ]alloc|memoryerror", re.IGNORECASE)

WORDS = {"yes", "no", "true", "false"}
NUMBER = re.compile(r"[+-]?((\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|inf(inity)?)", re.ASCII | re.IGNORECASE)
DIGITS = Context(prec=39, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])  # ExecEval has 129 bits; nothing raises
PRECISION = 1e-12


@dataclass(frozen=True, slots=True)
class Test:
    input: str
    outputs: tuple[str, ...]  # each of them is right

    __test__ = False  # to pytest


@dataclass(frozen=True, slots=True)
class StdioScorer:
    """``Problem.tests`` holds ``before`` and ``after``, the file around what a model wrote; ``right``, what stood
    there; ``unit_tests``: JSON, a list of {"input": text, "output": [text, ...]}. Without any, the texts are compared.

    unrun  what is written as it stood there passes without being run, as upstream
    """

    check: str
    unrun: bool = True
    version: int = 1
    checks: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "checks", (self.check,))

    def key(self) -> dict[str, Any]:
        return {"scorer": "stdio", **asdict(self), "ways": {name: asdict(way) for name, way in WAYS.items()}}

    def reference_programs(self, problem: Problem) -> list[Program]:
        return []

    def learn(self, problem: Problem, references: Sequence[Recorded]) -> None:
        """Nothing that would be kept: tests are read when they are needed."""

    def score(self, problem: Problem, code: str, known: None, runner: Runner) -> Judgement:
        before, after = problem.tests["before"], problem.tests["after"]
        written = code[len(before) : len(code) - len(after)]
        tests = tests_of(problem)
        if not tests:
            return compared(self.check, problem, written)
        if self.unrun and written == problem.tests["right"]:
            return Judgement({self.check: Outcome.PASSED})
        outcome, evidence = self.judged(problem.language, code, tests, runner)
        if not written.strip() and outcome not in (Outcome.PASSED, Outcome.TIMEOUT):
            outcome = Outcome.NO_CODE
        return Judgement({self.check: outcome}, evidence={**evidence, "check": self.check} if evidence else {})

    def judged(self, spoken: str, code: str, tests: Sequence[Test], runner: Runner) -> tuple[Outcome, dict[str, str]]:
        longest = max(len(output) for test in tests for output in (*test.outputs, ""))
        program = program_of(spoken, code, 4 * longest + OUTPUT_SPARE)
        if program is None:
            return Outcome.COMPILE_ERROR, {"error": "no public class to name the file after"}
        done = 0
        while done < len(tests):
            left = tests[done:]
            found = runner.run_each(program, [test.input for test in left], partial(goes_on, program, left))
            at, last = done + len(found) - 1, found[-1]
            if last.timed_out and last.ambiguous:
                last = runner.run_alone(replace(program, stdin=tests[at].input))
            if not right(program, tests[at], last):
                return failure(program, tests[at], last, f"{at + 1} of {len(tests)}")
            done = at + 1
        return Outcome.PASSED, {}


def goes_on(program: Program, tests: Sequence[Test], number: int, result: Result) -> bool:
    return right(program, tests[number], result)


def right(program: Program, test: Test, result: Result) -> bool:
    ended = (result.ending, result.status, result.timed_out) == ("exit", 0, False)
    if not ended or result.compiling or len(result.stdout) >= program.limits.output_bytes:
        return False
    output = bytes(result.stdout).decode("utf-8", "ignore")
    return any(same_output(output, expected) for expected in test.outputs)


def failure(program: Program, test: Test, result: Result, number: str) -> tuple[Outcome, dict[str, str]]:
    """What became of a program that did not pass a test, with evidence."""
    said = bytes(result.stderr).decode("utf-8", "replace").strip()
    if result.compiling:
        outcome = Outcome.TIMEOUT if result.timed_out else Outcome.COMPILE_ERROR
        return outcome, {"error": f"compiler: {result.ending.replace('_', ' ')}", "stderr": short(said[-1000:])}
    seen = {"input": kept(test.input), "expected": kept((*test.outputs, "")[0]), "test": number}
    if (result.ending, result.status, result.timed_out) == ("exit", 0, False):
        return Outcome.WRONG, {**seen, "got": kept(bytes(result.stdout).decode("utf-8", "ignore"))}
    outcome, evidence = ending(result, f"in test {number}")
    if outcome is Outcome.RUNTIME_ERROR and OUT_OF_MEMORY.search(said):
        outcome = Outcome.OUT_OF_MEMORY
    if outcome is Outcome.RUNTIME_ERROR and shows(language(program.language).broken, said):
        outcome = Outcome.COMPILE_ERROR
    return outcome, {**evidence, **seen}


def program_of(spoken: str, code: str, output_bytes: int) -> Program | None:
    """The program for a sandbox; None where a file of Java has no name. Carriage returns are taken out, as upstream."""
    way, main = WAYS[spoken], language(spoken).file
    code = code.replace("\r", "")
    if spoken == "python":
        code = PYTHON.format(code=code)
    elif spoken == "csharp":
        code = CSHARP + code.removeprefix("\ufeff")
    elif spoken == "java":
        name = public_class(code)
        if name is None:
            return None
        main = f"{name}.java"
    return Program(
        spoken, {main: code}, main=main, script=spoken == "python", compile_args=way.compile_args,
        limits=Limits(way.cpu_s, COMPILE_S, output_bytes=output_bytes, stack_bytes=way.stack_bytes),
        environment=dict(way.environment),
    )  # fmt: skip


def public_class(code: str) -> str | None:
    r"""The name of a file of Java: what ``public.* class (\w+)`` finds before a brace (settings.py)."""
    start, brace = 0, code.rfind("{")
    for line in code.split("\n"):
        public = line.find("public")
        names = list(re.finditer(r" class (\w+)", line[public + 6 :])) if public >= 0 else []
        for found in reversed(names):
            if start + public + 6 + found.end() <= brace and len(found[1].encode()) <= NAME_BYTES:
                return found[1]
        start += len(line) + 1
    return None


@lru_cache(maxsize=8)  # samples of a problem come one after the other
def unpacked(text: str) -> tuple[Test, ...]:
    """Raises ValueError, KeyError or TypeError."""
    found = []
    for test in json.loads(text) or ():
        given, outputs = test["input"], test["output"]
        if not isinstance(given, str) or not isinstance(outputs, list) or not all(isinstance(x, str) for x in outputs):
            raise TypeError("an input that is no text, or an output that is no list of texts")
        found.append(Test(given.replace("\r", ""), tuple(output.replace("\r", "") for output in outputs)))
    return tuple(found)


def tests_of(problem: Problem) -> tuple[Test, ...]:
    """Raises ReferenceFailsError where they cannot be read."""
    try:
        return unpacked(problem.tests["unit_tests"] or "[]")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise ReferenceFailsError(f"{problem.id}: unit tests that cannot be read ({said}); get the row again") from None


def same_output(output: str, expected: str) -> bool:
    """Equal lines, blanks around them aside; or words that are equal one by one, numbers to 1e-12 and yes as YES.

    execution_engine.py (``validate_outputs``), but for numbers that are none: there a NaN equals every number, here it
    is a word; and but for what its library reads as numbers as well (0x10, 1_000, 1@3), which are words here.
    """
    output, expected = output.strip(), expected.strip()
    ours, theirs = ([line.strip() for line in text.split("\n")] for text in (output, expected))
    if ours == theirs:
        return True
    words, others = output.split(), expected.split()
    return len(words) == len(others) and all(map(same_word, words, others))


def same_word(one: str, other: str) -> bool:
    if one == other:
        return True
    ours, theirs = number(one), number(other)
    if ours is None or theirs is None:
        lower, low = one.lower(), other.lower()
        return lower == low and low in WORDS
    return ours == theirs or abs(float(DIGITS.subtract(ours, theirs))) <= PRECISION


def number(word: str) -> Decimal | None:
    found = DIGITS.create_decimal(word) if NUMBER.fullmatch(word) else None
    return None if found is None or found.is_nan() else found  # an exponent beyond all measure may give NaN
