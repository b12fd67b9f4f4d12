"""Problems of contests for tests, and what becomes of a program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from suites import ended

from qwencoder_eval.scoring.base import Judgement
from qwencoder_eval.scoring.contest import ContestScorer
from qwencoder_eval.types import Problem, Result

UPSTREAM = ContestScorer("contest", cpu_s=2.0)
QWEN = ContestScorer("contest", cpu_s=2.0, inside="tabs", compare="floats")
BOTH = pytest.mark.parametrize("scorer", [UPSTREAM, QWEN], ids=["function", "tabs"])
SUM = [("3\n4\n", "7\n"), ("10\n-1\n", "9\n"), ("123456\n654321\n", "777777\n")]
READ = "a = int(input()); b = int(input())\n"
RIGHT = READ + "print(a + b)"


def of_tests(tests: Sequence[tuple[str, str]], method: str = "", hidden: int = 0) -> Problem:
    """A problem with these tests, the last ``hidden`` of them among the private ones."""
    rows = [{"input": given, "output": output, "testtype": "stdin"} for given, output in tests]
    split = len(rows) - hidden
    told = {"public": json.dumps(rows[:split]), "private": json.dumps(rows[split:]), "method": method}
    return Problem("p/0", {}, told)


def judged(
    runner: Any, code: str, tests: Sequence[tuple[str, str]], scorer: ContestScorer = UPSTREAM, method: str = ""
) -> Judgement:
    problem = of_tests(tests, method, hidden=1)
    assert scorer.reference_programs(problem) == []
    scorer.learn(problem, [])
    return scorer.score(problem, code, None, runner)


def outcome(
    runner: Any, code: str, tests: Sequence[tuple[str, str]] = SUM, scorer: ContestScorer = UPSTREAM, method: str = ""
) -> str:
    found = judged(runner, code, tests, scorer, method)
    assert bool(found.evidence) is (found.checks["contest"] != "passed")
    return found.checks["contest"].value


def printed(*texts: str, **changes: Any) -> list[Result]:
    """Results of programs that print this."""
    return [ended(stdout=text.encode(), **changes) for text in texts]


def solution(body: str, name: str = "f", parameters: str = "x") -> str:
    return f"class Solution:\n    def {name}(self, {parameters}):\n        {body}\n"
