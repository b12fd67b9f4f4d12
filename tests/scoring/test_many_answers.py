"""Many answers at once: the same judgements as one by one, in fewer processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from qwencoder_eval.sandboxes.none import NoneBackend
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.answers import AnswerScorer
from qwencoder_eval.scoring.base import Judgement
from qwencoder_eval.types import Outcome, Problem, Program, Result

TWICE = "def f(x):\n    return [x, x]"
ENDLESS = "def f(n):\n    while n:\n        pass\n    return n"
COUNTS = "import itertools\nseen = itertools.count()\ndef f(x):\n    return next(seen) + x"
DEEP = "def f(n):\n    return n and 1 + f(n - 1)"
SCORER = AnswerScorer("value", cpu_s=1.0)


def problem(code: str, value: str, **others: str) -> Problem:
    return Problem("p", {}, {"code": code, "value": value, "required": "f(", **others})


ITEMS = [
    (problem(TWICE, "['a', 'a']"), "f('a')"),
    (problem(TWICE, "['a', 'a']"), "f('b')"),
    (problem(TWICE, "['a', 'a']"), "f()"),
    (problem(TWICE, "['a', 'a']"), "f('a') if True else 1"),
    (problem(TWICE, "['a', 'a']"), "g('a')"),
    (problem(TWICE, "['a', 'a']"), "f('a"),
    (problem(TWICE, "['a', 'a']"), "f(x='a')"),
    (problem(COUNTS, "3"), "f(3)"),
    (problem(COUNTS, "3"), "f(3)"),  # a namespace of its own: it counts from 0 again
    (problem(TWICE, "[1, 1]", refused="f(1)"), "f(1)"),
    (problem(DEEP, "900"), "f(900)"),
    (problem(DEEP, "2000"), "f(2000)"),
    (problem("def f(x):\n    raise SystemExit", "1"), "f(1)"),
    (problem("import os\ndef f(x):\n    os._exit(0)", "1"), "f(1)"),
    (problem(TWICE, "[2, 2]"), "f(2)"),
]


class Counting:
    def __init__(self, pool: Pool) -> None:
        self.pool, self.programs = pool, list[Program]()

    def run(self, program: Program, decided: Any = None) -> Result:
        self.programs.append(program)
        return self.pool.run(program, decided)

    run_alone = run


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(NoneBackend(), 1) as opened:
        yield opened


def known(items: list[tuple[Problem, str]], scorer: AnswerScorer = SCORER) -> list[tuple[Problem, str, Any]]:
    return [(each, answer, scorer.learn(each, [])) for each, answer in items]


def said(judgement: Judgement) -> tuple[Any, ...]:
    """All of it but where an error was raised: alone, the answer is run while the program is loaded."""
    evidence = {name: text for name, text in judgement.evidence.items() if name != "input"}
    ended = "error" in evidence and evidence["error"].startswith("exit")
    return dict(judgement.checks), dict(judgement.measures), {} if ended else evidence


@pytest.mark.parametrize("missing", [(), ("removeprefix",)])
def test_as_one_by_one(pool: Pool, missing: tuple[str, ...]) -> None:
    scorer = AnswerScorer("value", cpu_s=1.0, missing=missing)
    cut = problem("def f(x):\n    return x.removeprefix('a')", "'b'")
    items = known([*ITEMS, (cut, "f('ab')")], scorer)
    together = Counting(pool)
    many = scorer.score_many(items, together)
    assert list(map(said, many)) == [said(scorer.score(*item, pool)) for item in items]
    assert (many[-1].checks["value"] is Outcome.PASSED) is not bool(missing)
    assert [judgement.checks["value"] for judgement in many].count(Outcome.PASSED) >= 6
    assert len(together.programs) < len(items) / 2


def test_a_call_that_never_ends_costs_its_own_limit_and_no_other_its_verdict(pool: Pool) -> None:
    endless = (problem(ENDLESS, "0"), "f(1)")
    items = known([ITEMS[0], endless, ITEMS[0], ITEMS[1], endless, ITEMS[14]])
    together = Counting(pool)
    found = [judgement.checks["value"].value for judgement in SCORER.score_many(items, together)]
    assert found == ["passed", "timeout", "passed", "wrong", "timeout", "passed"]
    assert len(together.programs) == 3  # what is left goes on in another process, the endless one is not run again


def test_plain_calls_alone_share_a_process(pool: Pool) -> None:
    """An answer with anything of the model's own in it has a process of its own."""
    hostile = "f([c for c in ().__class__.__base__.__subclasses__()])"
    together = Counting(pool)
    SCORER.score_many(known([ITEMS[0], (problem(TWICE, "1"), hostile), ITEMS[14]]), together)
    sources = [program.calls.inputs for program in together.programs if program.calls]
    assert len(sources) == 2
    assert not any("__subclasses__" in source for source in sources)
    assert any("__subclasses__" in program.files["main.py"] for program in together.programs)
