"""A function has as much room to recurse as under EvalPlus: some published verdicts rest on it."""

from __future__ import annotations

import json

import pytest

from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.recorded import answer_lines
from qwencoder_eval.scoring.values import Failure, decode_line
from qwencoder_eval.types import Calls, Program

DEEP = """
def f(n):
    return 0 if n == 0 else 1 + f(n - 1)
"""
OWN_LIMIT = "import sys\nsys.setrecursionlimit(5000)\n" + DEEP


def answers(pool: Pool, source: str, *depths: int) -> list[object]:
    calls = Calls("f", json.dumps([[depth] for depth in depths]), [5.0] * len(depths))
    result = pool.run(Program("python", {"main.py": source}, calls=calls))
    return [decode_line(line).value for line in answer_lines(result.answers)][1:]


def test_the_room_of_evalplus(pool: Pool) -> None:
    """Measured with ``evalplus.evaluate`` 0.3.1: the first call and 970 below it."""
    fits, does_not = answers(pool, DEEP, 970, 971)
    assert fits == 970
    assert isinstance(does_not, Failure)
    assert does_not.type_name == "RecursionError"


@pytest.mark.parametrize("depth", [2000, 4000])
def test_a_program_may_ask_for_more(pool: Pool, depth: int) -> None:
    assert answers(pool, OWN_LIMIT, depth) == [depth]
