"""A repeated function: the same syntax tree passes, and no answer is any trouble."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.scoring.needles import NeedleScorer
from qwencoder_eval.types import Outcome, Problem

NEEDLE = 'def fold(a, b=2):\n    """Fold."""\n    c = a * 37 + len("k9")\n    return c - b\n'
PROBLEM = Problem("p", {}, {"needle": NEEDLE, "name": "fold"})
SCORER = NeedleScorer("needle")
RUNNER: Any = None


def scored(code: str) -> tuple[str, float]:
    judgement = SCORER.score(PROBLEM, code, None, RUNNER)
    assert judgement.measures.keys() == {"exact"}
    assert bool(judgement.evidence) == (judgement.checks["needle"] != "passed")
    assert all(len(text) <= 4000 for text in judgement.evidence.values())
    return judgement.checks["needle"].value, judgement.measures["exact"]


@pytest.mark.parametrize(
    ("code", "outcome", "exact"),
    [
        (NEEDLE, "passed", 1.0),
        (NEEDLE.rstrip(), "passed", 1.0),
        (NEEDLE.replace("\n", "  \n") + "\n\n", "passed", 1.0),
        (NEEDLE.replace('"k9"', "'k9'"), "passed", 0.0),
        (NEEDLE.replace("return c - b", "return (c - b)  # so"), "passed", 0.0),
        (NEEDLE.replace("    ", "  "), "passed", 0.0),
        (NEEDLE.replace("37", "0x25"), "passed", 0.0),
        (NEEDLE.replace("37", "37.0"), "wrong", 0.0),
        (NEEDLE.replace("37", "38"), "wrong", 0.0),
        (NEEDLE.replace("b=2", "b=3"), "wrong", 0.0),
        (NEEDLE.replace("Fold.", "fold."), "wrong", 0.0),
        (NEEDLE.replace("fold(", "folds("), "wrong", 0.0),
        (NEEDLE.replace("c", "d"), "wrong", 0.0),
        (NEEDLE.replace('    """Fold."""\n', ""), "wrong", 0.0),
        (NEEDLE + "    pass\n", "wrong", 0.0),
        (NEEDLE + "def g():\n    pass\n", "wrong", 0.0),
        ("def fold(a, b=2):\n", "wrong", 0.0),
        ("", "wrong", 0.0),
    ],
)
def test_verdicts(code: str, outcome: str, exact: float) -> None:
    assert scored(code) == (outcome, exact)


HOSTILE = {
    "nul": "def fold():\n    x = '\0'\n",
    "surrogate": "def fold():\n    x = '\ud800'\n",
    "brackets": "def fold():\n    return " + "(" * 8000,
    "closed brackets": "def fold():\n    return " + "(" * 4000 + ")" * 4000,
    "minus": "def fold():\n    return " + "-" * 8000 + "1",
    "not": "def fold():\n    return " + "not " * 2000 + "1",
    "attributes": "def fold():\n    return a" + ".a" * 4000,
    "sums": "def fold():\n    return 1" + "+1" * 4000,
    "powers": "def fold():\n    return 1" + "**1" * 2600,
    "calls": "def fold():\n    return a" + "()" * 4000,
    "lambdas": "def fold():\n    return " + "lambda:" * 1100 + "1",
    "blocks": "".join(" " * at + "if a:\n" for at in range(110)),
    "escape": "def fold():\n    return '\\d\\q'\n",
    "large number": "def fold():\n    return " + "9" * 8000,
    "megabytes": "def fold():\n" + "    x\n" * 1_000_000,
    "f-strings": "def fold():\n    return " + "f'{" * 200,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_answer_is_any_trouble(name: str) -> None:
    """In a thread, as scorers work: its stack is smaller than the main one's."""
    found: list[Any] = []

    def score() -> None:
        began = time.thread_time()
        found.extend((scored(HOSTILE[name]), time.thread_time() - began))

    thread = threading.Thread(target=score)
    thread.start()
    thread.join(60)
    assert found[0] == ("wrong", 0.0)
    assert found[1] < 2


@given(st.text(max_size=200))
def test_any_text_has_a_verdict(code: str) -> None:
    assert scored(code)[0] in ("passed", "wrong")


def test_what_a_verdict_rests_on_is_in_the_key() -> None:
    assert SCORER.key() == {"scorer": "needles", "version": 1, "check": "needle"}
    assert SCORER.checks == ("needle",)
    assert SCORER.reference_programs(PROBLEM) == []
    assert Outcome.WRONG in SCORER.score(PROBLEM, "", None, RUNNER).checks.values()
