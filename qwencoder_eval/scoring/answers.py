"""Score the value of an expression that a model wrote: CRUXEval's two questions.

Upstream runs ``assert VALUE == ANSWER`` behind the benchmark's function, and the answer decides: ``1 or True`` is right
whatever was asked, and so is an object that is equal to everything. Here the answer alone is evaluated in the sandbox,
and its value is compared by the host. A literal is read by the host and runs nothing.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

from ..types import Calls, Limits, Outcome, Problem, Program
from .asserts import ANSWER_BYTES, equal, judged
from .base import Judgement, Runner, run_surely, short
from .recorded import LOADED, Recorded, answer_lines

ASKED = "qceval_asks"
LITERAL_CHARS, LITERAL_DEPTH = 2000, 20  # of an answer that the host reads itself; longer or deeper ones are run
BRACKETS = re.compile(r"[(\[{]")
COMPUTED = "rest on an input that is computed and not a plain value"


# Answers many calls, each of a function of its own.
MANY = f"""import sys
sys.setrecursionlimit(sys.getrecursionlimit() + 1)
def {ASKED}(code, call):
    space = {{}}
    exec(code, space)
    return eval(call, space)
"""


class Asked(NamedTuple):
    """An expression to be run: its source, that of statements behind it, and whether it is a call with plain values."""

    source: str
    behind: str
    plain_call: bool


@dataclass(frozen=True, slots=True)
class AnswerScorer:
    """One answer, one value. ``Problem.tests`` holds ``code``, which is trusted, and ``value``, a literal.

    An answer that holds ``refused`` or lacks ``required`` (texts of ``Problem.tests``, where they are there) is wrong,
    unless ``skips``: then it does not count at all where another sample of the problem passes, as upstream has it.
    ``missing`` are methods that the Python of a published evaluation did not have: calling one raises.
    """

    check: str
    cpu_s: float = 3.0
    skips: bool = False
    missing: tuple[str, ...] = ()
    version: int = 1
    checks: tuple[str, ...] = field(init=False, default=())

    explains: ClassVar[dict[str, str]] = {"computed": COMPUTED}

    def __post_init__(self) -> None:
        object.__setattr__(self, "checks", (self.check,))

    def key(self) -> dict[str, Any]:
        own = {"scorer": "answers", "version": self.version, "check": self.check, "cpu_s": self.cpu_s}
        return {**own, "skips": self.skips, "missing": list(self.missing)}

    def reference_programs(self, problem: Problem) -> list[Program]:
        return []

    def learn(self, problem: Problem, references: list[Recorded]) -> Any:
        return ast.literal_eval(problem.tests["value"])

    def score(self, problem: Problem, code: str, known: Any, runner: Runner) -> Judgement:
        asked = self._read(problem, code, known)
        return asked if isinstance(asked, Judgement) else self._run(problem, asked, known, runner)

    def score_many(self, items: Sequence[tuple[Problem, str, Any]], runner: Runner) -> list[Judgement]:
        """The same, with the calls of the benchmark's functions with plain values in one process, one after the other.

        Nothing that a model wrote runs there but the benchmark's own functions, so answers cannot harm each other. A
        call that does not come to its end is made again on its own.
        """
        found: dict[int, Judgement] = {}
        calls: list[tuple[int, Asked]] = []
        for number, (problem, code, known) in enumerate(items):
            asked = self._read(problem, code, known)
            if isinstance(asked, Judgement):
                found[number] = asked
            elif asked.plain_call:
                calls.append((number, asked))
            else:
                found[number] = self._run(problem, asked, known, runner)
        while calls:
            inputs = [[self._without_missing(items[number][0].tests["code"]), asked.source] for number, asked in calls]
            program = Program(
                "python", {"main.py": MANY}, calls=Calls(ASKED, json.dumps(inputs), [self.cpu_s] * len(calls)),
                limits=Limits(self.cpu_s * len(calls), answer_bytes=ANSWER_BYTES),
            )  # fmt: skip
            result = runner.run(program)
            answered = None if result.over is None else result.over + 1  # the first line says that it was loaded
            for line in list(itertools.islice(answer_lines(result.answers), 1, answered))[: len(calls)]:
                number, _ = calls.pop(0)
                alone = replace(result, ending="exit", status=0, answers=LOADED + line + b"\n", over=None)
                found[number] = self._said(*judged(alone, [("the answer", items[number][2])]))
            if calls:  # the first of them is where it ended
                number, asked = calls.pop(0)
                problem, _, known = items[number]
                if result.ending == "cpu_limit" and result.over not in (None, -1):  # its own limit
                    alone = replace(result, answers=LOADED, over=0)
                    found[number] = self._said(*judged(alone, [("the answer", known)]))
                else:
                    found[number] = self._run(problem, asked, known, runner)
        return [found[number] for number in range(len(items))]

    def _read(self, problem: Problem, code: str, known: Any) -> Judgement | Asked:
        """The judgement of an answer that need not be run, or what is to be run."""
        refused, required = problem.tests.get("refused"), problem.tests.get("required")
        if (refused and refused in code) or (required and required not in code):
            why = f"holds {short(refused)}" if refused and refused in code else f"has no {required}"
            return self._said(Outcome.NO_CODE, {"error": f"refused: the answer {why}"}, skipped=self.skips)
        asserted = expression(code)
        if isinstance(asserted, str):
            return self._said(Outcome.COMPILE_ERROR, {"error": asserted})
        asked, source, behind = asserted
        if not behind and not required and (found := literal(asked)) is not None:
            right = equal(found[0], known)
            said = {} if right else {"expected": short(repr(known)), "got": short(repr(found[0]))}
            return self._said(Outcome.PASSED if right else Outcome.WRONG, said)
        return Asked(source, behind, not behind and is_plain_call(asked))

    def _run(self, problem: Problem, asked: Asked, known: Any, runner: Runner) -> Judgement:
        whole = f"{problem.tests['code']}\n_ = ({asked.source})\n{asked.behind}\ndef {ASKED}(): return _\n"
        program = Program(
            "python", {"main.py": self._without_missing(whole)}, limits=Limits(self.cpu_s, answer_bytes=ANSWER_BYTES),
            calls=Calls(ASKED, json.dumps([[]]), [self.cpu_s]),
        )  # fmt: skip
        result = run_surely(program, runner)
        outcome, evidence = judged(result, [("the answer", known)])
        plain = not problem.tests.get("required") or asked.plain_call
        return self._said(outcome, evidence, computed=outcome is Outcome.PASSED and not plain)

    def _without_missing(self, source: str) -> str:
        for method in self.missing:
            source = re.sub(rf"\.{method}\b", f".no_{method}", source)
        return source

    def _said(self, outcome: Outcome, evidence: dict[str, str], **measures: bool) -> Judgement:
        found = {name: 1.0 for name, there in measures.items() if there}
        return Judgement({self.check: outcome}, found, {**evidence, "check": self.check} if evidence else {})


def expression(answer: str) -> tuple[ast.expr, str, str] | str:
    """The expression of ``assert VALUE == answer``, its source and that of statements behind it; or why not."""
    try:
        body = ast.parse(f"assert None == {answer}").body
        test, more = body[0], body[1:]
        assert isinstance(test, ast.Assert)
        plain = isinstance(test.test, ast.Compare) and len(test.test.ops) == 1
        if isinstance(test.test, ast.Compare) and plain:
            found = test.test.comparators[0]
        else:  # what would decide by itself is a value like any other
            found, more = ast.parse(f"({answer})", mode="eval").body, []
        return found, ast.unparse(found), "\n".join(map(ast.unparse, more))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"[:300]


def literal(found: ast.expr) -> tuple[Any] | None:
    """The value of a literal that is safe to read here, as a tuple of one; None where it has to be run."""
    try:
        text = ast.unparse(found)
        if len(text) > LITERAL_CHARS or len(BRACKETS.findall(text)) > LITERAL_DEPTH:
            return None
        return (ast.literal_eval(text),)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def is_plain_call(found: ast.expr) -> bool:
    """Whether it is a call of the benchmark's function with nothing but literals."""
    if not (isinstance(found, ast.Call) and isinstance(found.func, ast.Name) and found.func.id == "f"):
        return False
    given = [*found.args, *(each.value for each in found.keywords)]
    return all(each.arg for each in found.keywords) and all(literal(each) is not None for each in given)
