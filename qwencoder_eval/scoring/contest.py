"""Score contest programs: each test is an input and an output, on the standard streams or of a method that is called.

Inputs go in one after the other, each to a process of its own, and expected outputs never leave the host: a program can
only print, or return, what is right. Rules: LiveCodeBench at 28fef95, lcb_runner/evaluation/testing_util.py, and the
older copy in QwenLM/Qwen3-Coder at 0ae30f5, qwencoder-eval/instruct/livecode_bench.

Where upstream gives programs a mock for standard input, whose ``read`` forgets what was read and whose ``buffer`` knows
one line only, they get a real stream here, and a real one to write to: see docs/differences.md.
"""

from __future__ import annotations

import ast
import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Literal

from ..datasets.livecodebench import Test, hidden_tests, listed
from ..errors import DatasetError, ReferenceFailsError
from ..types import Calls, Limits, Outcome, Problem, Program
from .asserts import equal, judged
from .base import Judgement, Runner, run_surely, short
from .calls import ending
from .lines import by_decimals, by_floats
from .recorded import Recorded
from .values import encode

ASKED = "qceval_asks"
STARRED = [
    "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics", "itertools",
    "functools", "operator", "io", "sys", "json", "builtins", "typing",
]  # fmt: skip
IMPORTS = "".join([f"from {name} import *\n" for name in STARRED] + [f"import {name}\n" for name in STARRED[:-2]])
# What upstream's guard takes from programs: those that use it fail there. Qwen's copy takes ``exit`` too.
TAKEN = "import builtins, sys\nbuiltins.quit = None\n" + "".join(
    f"sys.modules[{name!r}] = None\n" for name in ("ipdb", "joblib", "resource", "psutil", "tkinter")
)
TAKEN_BY_QWEN = "builtins.exit = None\n"
Inside = Literal["function", "tabs"]
KEPT_CHARS = 300  # of an input or an output, as evidence; upstream's self-repair shows a model as much
WHOLE_BYTES = 1 << 26  # of one answer of a method
OUTPUT_SPARE = 1 << 16  # bytes that a program may print beyond what it should


@dataclass(frozen=True, slots=True)
class ContestScorer:
    """All tests of a problem must pass; the first that does not ends it.

    ``Problem.tests`` holds ``public`` and ``private``, as the dataset has them, and ``method``: the one to call, empty
    where programs read standard input.

    cpu_s    seconds of CPU time for each test     all_s  for all of them together, 0 where nothing says so
    inside   how a program on standard streams is run: within a function that is made of its syntax tree
             ("function"), or of its lines, each moved in by a tab ("tabs")
    compare  "decimals" or "floats": see ``scoring.lines``
    """

    check: str
    cpu_s: float = 6.0
    all_s: float = 0.0
    inside: Inside = "function"
    compare: Literal["decimals", "floats"] = "decimals"
    version: int = 1
    checks: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "checks", (self.check,))

    def key(self) -> dict[str, Any]:
        return {"scorer": "contest", **asdict(self)}

    def reference_programs(self, problem: Problem) -> list[Program]:
        return []

    def learn(self, problem: Problem, references: Sequence[Recorded]) -> None:
        """Nothing that would be kept: unpacked, the tests of all problems fill gigabytes."""

    def score(self, problem: Problem, code: str, known: None, runner: Runner) -> Judgement:
        tests = tests_of(problem)
        method = problem.tests["method"]
        found = self._called(problem, code, method, tests, runner) if method else self._piped(code, tests, runner)
        outcome, evidence = found
        return Judgement({self.check: outcome}, evidence={**evidence, "check": self.check} if evidence else {})

    # -- standard streams --------------------------------------------------------------------------------------------

    def _piped(self, code: str, tests: Sequence[Test], runner: Runner) -> tuple[Outcome, dict[str, str]]:
        source = script(code, self.inside)
        if source is None:
            return Outcome.COMPILE_ERROR, {"error": "does not parse, or has nothing in it to run"}
        same = by_decimals if self.compare == "decimals" else by_floats
        left = self.all_s or float("inf")
        for number, test in enumerate(tests, 1):
            limits = Limits(min(self.cpu_s, left), output_bytes=4 * len(test.output) + OUTPUT_SPARE)
            program = Program("python", {"main.py": source}, stdin=test.input, limits=limits, script=True)
            result = run_surely(program, runner)
            left = max(left - result.cpu_s, 0.001)
            output = bytes(result.stdout).decode("utf-8", "replace")
            ended = (result.ending, result.status, result.timed_out) == ("exit", 0, False)
            if ended and len(result.stdout) < limits.output_bytes and same(output, test.output):
                continue
            seen = {"input": kept(test.input), "expected": kept(test.output), "test": f"{number} of {len(tests)}"}
            if ended:
                return Outcome.WRONG, {**seen, "got": kept(output)}
            outcome, evidence = ending(result, f"in test {number}")
            error = bytes(result.stderr).decode("utf-8", "replace").strip().split("\n")[-1]
            if result.ending == "exit" and error.startswith("MemoryError"):
                outcome = Outcome.OUT_OF_MEMORY
            return outcome, {**evidence, **({"error": short(error)} if error and not result.timed_out else {}), **seen}
        return Outcome.PASSED, {}

    # -- a method ----------------------------------------------------------------------------------------------------

    def _called(
        self, problem: Problem, code: str, method: str, tests: Sequence[Test], runner: Runner
    ) -> tuple[Outcome, dict[str, str]]:
        try:
            inputs = [[json.loads(line, parse_int=integer) for line in test.input.split("\n")] for test in tests]
            expected = [json.loads(test.output, parse_int=integer) for test in tests]
            asked_for = json.dumps(encode(inputs))
        except (ValueError, RecursionError) as error:
            raise ReferenceFailsError(f"a test of a method that is not JSON ({error})"[:200]) from None
        made, call = ("qceval_on = Solution()\n", f"qceval_on.{method}") if "class Solution" in code else ("", method)
        source = f"{preamble(self.inside)}\n{code}\n{made}def {ASKED}(*given): return {call}(*given)\n"
        program = Program(
            "python", {"main.py": source}, limits=Limits(self.all_s or (self.cpu_s + 1) * len(tests) + 5),
            calls=Calls(ASKED, asked_for, [self.cpu_s] * len(tests), whole_bytes=WHOLE_BYTES),
        )  # fmt: skip
        same = as_upstream if self.compare == "decimals" else as_qwen
        asked = [(shown(given, test), value) for given, test, value in zip(inputs, tests, expected, strict=True)]
        outcome, evidence = judged(run_surely(program, runner), asked, same)
        return outcome, {name: kept(text) if name in ("expected", "got") else text for name, text in evidence.items()}


@lru_cache(maxsize=8)  # samples of a problem come one after the other
def unpacked(public: str, private: str) -> tuple[Test, ...]:
    """Raises DatasetError."""
    return (*listed(public), *hidden_tests(private))


def tests_of(problem: Problem) -> tuple[Test, ...]:
    """Public ones first. Raises ReferenceFailsError where there are none, or they cannot be read."""
    try:
        found = unpacked(problem.tests["public"], problem.tests["private"])
    except DatasetError as error:
        raise ReferenceFailsError(f"{error}; get the row again") from None
    if not found:
        raise ReferenceFailsError("no tests in the row; get it again")
    return found


def preamble(inside: Inside) -> str:
    """What stands before every program."""
    if inside == "function":
        return f"{TAKEN}{IMPORTS}sys.setrecursionlimit(50000)\nsys.set_int_max_str_digits(50000)\n"
    return f"{TAKEN}{TAKEN_BY_QWEN}{IMPORTS}sys.setrecursionlimit(600000)\n"


def integer(text: str) -> int:
    """An integer of up to upstream's 50,000 digits; Python itself reads 4,300. Raises ValueError."""
    if len(text) <= 4000:
        return int(text)
    if len(text) > 50_001:
        raise ValueError("an integer of more than 50,000 digits")
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    number = 0
    for start in range(0, len(digits), 4000):
        part = digits[start : start + 4000]
        number = number * 10 ** len(part) + int(part)
    return sign * number


def shown(given: list[Any], test: Test) -> str:
    """The arguments of a call, as evidence."""
    try:
        return kept(str(given))
    except ValueError:  # an integer of very many digits
        return kept(test.input)


def kept(text: str) -> str:
    """A long text with its middle left out, in upstream's way."""
    half = KEPT_CHARS // 2
    return text if len(text) <= KEPT_CHARS else f"{text[:half]}...(truncated) ...{text[-half:]}"


def without_guard(code: str) -> str:
    """``code`` with what stands under a main guard at its end put in the guard's place. Raises what ``ast`` raises."""
    tree = ast.parse(code)
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.If) and ast.unparse(last.test).strip() == "__name__ == '__main__'":
        return f"{ast.unparse(tree.body[:-1])}\n{ast.unparse(last.body)}"  # type: ignore[arg-type]
    return code


def script(code: str, inside: Inside) -> str | None:
    """The program that reads standard input, as upstream puts it into a function; None where it cannot be one."""
    try:
        if inside == "function":
            name, body = "wrapped_function", in_function(without_guard(code))
        else:
            name, body = "code", in_tabs(code)
        if not body:
            return None
        ast.parse(body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return f"{preamble(inside)}{body}\ntry:\n    {name}()\nexcept SystemExit:\n    pass\n"


def in_function(code: str) -> str:
    """Imports of the top level first, and all the rest as one function. Raises what ``ast`` raises."""
    tree = ast.parse(code)
    imports: list[ast.stmt] = [each for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom)]
    others = [each for each in tree.body if not isinstance(each, ast.Import | ast.ImportFrom)]
    if not others:
        return ""
    nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    function = ast.FunctionDef(name="wrapped_function", args=nothing, body=others, decorator_list=[], lineno=-1)
    return f"{ast.unparse(ast.Module(imports, []))}\n{ast.unparse(function)}\n"


def in_tabs(code: str) -> str:
    """Each line moved in by a tab, those of texts over several lines too; imports stay where they are until one is."""
    with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):  # said by who parses the whole
        code = without_guard(code)
    found, started = "", False
    for line in code.split("\n"):
        imports = line.startswith(("from ", "import "))
        if not started and not imports:
            found += "stdin = sys.stdin\nstdout = sys.stdout\ndef code():\n"
            started = True
        found += f"\t{line}\n" if started else f"{line}\n"
    return found if started else ""


def as_upstream(output: Any, expected: Any) -> bool:
    """Equal; a tuple counts as a list."""
    return equal(list(output) if isinstance(output, tuple) else output, expected)


def as_qwen(output: Any, expected: Any) -> bool:
    """As upstream, or equal to the first item of what is expected: APPS wrapped its answers in lists."""
    if as_upstream(output, expected):
        return True
    if not isinstance(expected, list) or not expected:
        return False
    output = list(output) if isinstance(output, tuple) else output
    if isinstance(output, list) and output and isinstance(output[0], tuple):
        try:
            return equal([list(item) for item in output], expected[0])
        except TypeError:
            return False
    return equal(output, expected[0])
