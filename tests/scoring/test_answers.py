"""Answers as values: what is read, what is run, and what is refused."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from suites import FakeRunner, answers_of, ended

from qwencoder_eval.sandboxes.none import NoneBackend
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.answers import (
    LITERAL_CHARS,
    LITERAL_DEPTH,
    AnswerScorer,
    expression,
    is_plain_call,
    literal,
)
from qwencoder_eval.scoring.base import Judgement
from qwencoder_eval.types import Problem

CODE = "def f(x):\n    return [x, x]"
OUTPUT = Problem("o", {}, {"code": CODE, "value": "['a', 'a']", "refused": "f('a')"})
INPUT = Problem("i", {}, {"code": CODE, "value": "['a', 'a']", "required": "f("})
SCORER = AnswerScorer("value")


class NoRunner:
    def run(self, *_: Any) -> Any:
        raise AssertionError("nothing is to be run")

    run_alone = run


def judged(problem: Problem, answer: str, runner: Any, scorer: AnswerScorer = SCORER) -> Judgement:
    return scorer.score(problem, answer, scorer.learn(problem, []), runner)


def outcome(problem: Problem, answer: str, runner: Any) -> str:
    found = judged(problem, answer, runner)
    assert bool(found.evidence) is (found.checks["value"] != "passed")
    return found.checks["value"].value


# -- literals run nothing ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("['a', 'a']", "passed"),
        ('["a", "a"]  # twice', "passed"),
        ("(['a', 'a'])", "passed"),
        ("['a', 'a'], 'said with it'", "passed"),  # the message of an assert
        ("['a', 'b']", "wrong"),
        ("('a', 'a')", "wrong"),
        ("'a', 'a'", "wrong"),
        ("None", "wrong"),
        ("{1, 2}", "wrong"),
        ("['a',", "compile_error"),
        ("", "compile_error"),
        ("\x00", "compile_error"),
        ("f('a')", "no_code"),
        ("['a', 'a'] if f('a') else 1", "no_code"),
    ],
)
def test_an_output(answer: str, expected: str) -> None:
    assert outcome(OUTPUT, answer, NoRunner()) == expected


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda s: st.lists(s, max_size=3) | st.dictionaries(st.integers(), s, max_size=2) | st.tuples(s, s),
        max_leaves=8,
    )
)
def test_every_value_is_equal_to_what_it_is_written_as(value: Any) -> None:
    problem = Problem("o", {}, {"code": CODE, "value": repr(value)})
    assert outcome(problem, repr(value), NoRunner()) == "passed"
    assert outcome(problem, repr([value, 1]), NoRunner()) == "wrong"


@pytest.mark.parametrize(
    "answer", ["[" * 500 + "]" * 500, "-" * 900 + "1", "1" * 5000, "(" * 80 + "1" + ")" * 80, "'a'" * 900, "[1]" * 900]
)
def test_what_is_long_or_deep_is_never_read_here(answer: str) -> None:
    runner = FakeRunner(ended(answers_of([["a", "a"]])))
    assert outcome(OUTPUT, answer, runner) in ("passed", "wrong", "compile_error", "runtime_error")


def test_bounds_of_what_is_read_here() -> None:
    def read(text: str) -> Any:
        return literal(ast.parse(text, mode="eval").body)

    assert read("[" * LITERAL_DEPTH + "]" * LITERAL_DEPTH) is not None
    assert read("[" * (LITERAL_DEPTH + 1) + "]" * (LITERAL_DEPTH + 1)) is None
    assert read(repr("x" * (LITERAL_CHARS - 2))) is not None
    assert read(repr("x" * LITERAL_CHARS)) is None
    assert read("2 ** 9 ** 9") is None
    assert read("open('x')") is None
    assert read("None") == (None,)


# -- what decides by itself is a value like any other ------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "asked", "behind"),
    [
        ("1", "1", ""),
        ("f(1)", "f(1)", ""),
        ("1\nprint(2)", "1", "print(2)"),
        ("1; g = 3", "1", "g = 3"),
        ("1, 'message'", "1", ""),
        ("1 or True", "1 or True", ""),
        ("1 == 1", "1 == 1", ""),
        ("1 if x else 2", "1 if x else 2", ""),
        ("1 < 2", "1 < 2", ""),
        ("(y := 3)", "(y := 3)", ""),
    ],
)
def test_the_expression_of_an_answer(answer: str, asked: str, behind: str) -> None:
    found = expression(answer)
    assert not isinstance(found, str)
    assert ast.dump(found[0]) == ast.dump(ast.parse(asked, mode="eval").body)
    assert ast.dump(ast.parse(found[1], mode="eval").body) == ast.dump(found[0])
    assert found[2] == behind


@pytest.mark.parametrize("answer", ["", ")", "1 +", "assert 1", "return 2", "1\n  2", "x = ", "\ud800", "lambda: 1"])
def test_what_is_no_expression(answer: str) -> None:
    assert isinstance(expression(answer), str)


@pytest.fixture(scope="module")
def runner() -> Any:
    with Pool(NoneBackend(), 1) as pool:
        yield pool


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("f('a')", "passed"),
        ("f(x='a')", "passed"),
        ("f('b')", "wrong"),
        ("f('b') or True", "wrong"),
        ("f('b') if False else ['a', 'a']", "passed"),  # as upstream; told below
        ("f('a')\nassert f('b') == ['b', 'b']", "passed"),
        ("f('a')\nassert f('b') == 1", "runtime_error"),
        ("f('a', 'b')", "runtime_error"),
        ("f(", "compile_error"),
        ("['a', 'a']", "no_code"),
        ("f(type('E', (), {'__eq__': lambda s, o: True})())", "wrong"),
        ("f('a') and type('L', (list,), {'__eq__': lambda s, o: True})()", "wrong"),
        ("f(__import__('os')._exit(0))", "runtime_error"),
    ],
)
def test_an_input(runner: Any, answer: str, expected: str) -> None:
    assert outcome(INPUT, answer, runner) == expected


@pytest.mark.parametrize(
    ("answer", "computed"),
    [
        ("f('a')", False),
        ("f(x='a')", False),
        ("f('b') if False else ['a', 'a']", True),
        ("f('A'.lower())", True),
        ("f(*['a'])", True),
        ("f('a')\nx = 1", True),
    ],
)
def test_inputs_that_are_computed_are_counted(runner: Any, answer: str, computed: bool) -> None:
    found = judged(INPUT, answer, runner)
    assert found.checks["value"] == "passed"
    assert found.measures == ({"computed": 1.0} if computed else {})
    assert "computed" in SCORER.explains


def test_an_output_that_has_to_be_run(runner: Any) -> None:
    assert outcome(OUTPUT, "['a'] * 2", runner) == "passed"
    assert outcome(OUTPUT, "f('b'.replace('b', 'a'))", runner) == "passed"
    assert outcome(OUTPUT, "[c for c in 'ab']", runner) == "wrong"


def test_the_value_never_goes_into_the_sandbox() -> None:
    fake = FakeRunner(ended(answers_of([["a", "a"]])))
    problem = Problem("i", {}, {"code": CODE, "value": "['the secret']", "required": "f("})
    assert outcome(problem, "f('a')", fake) == "wrong"
    ((_, program),) = fake.asked
    assert "secret" not in program.files["main.py"]
    assert (program.limits.cpu_s, json.loads(program.calls.inputs)) == (3.0, [[]])


def test_methods_that_a_published_evaluation_lacked(runner: Any) -> None:
    code = "def f(x):\n    return x.removeprefix('a') if x else x.removeprefixes"
    problem = Problem("i", {}, {"code": code, "value": "'b'", "required": "f("})
    old = AnswerScorer("value", missing=("removeprefix",))
    assert judged(problem, "f('ab')", runner).checks["value"] == "passed"
    assert judged(problem, "f('ab')", runner, old).checks["value"] == "runtime_error"
    unused = Problem(
        "i", {}, {"code": "def f(x):\n    return 'b' if x else x.removeprefix(1)", "value": "'b'", "required": "f("}
    )
    assert judged(unused, "f('ab')", runner, old).checks["value"] == "passed"


def test_refused_answers_are_wrong_or_left_out() -> None:
    assert judged(OUTPUT, "f('a')", NoRunner()).measures == {}
    assert judged(OUTPUT, "f('a')", NoRunner(), AnswerScorer("value", skips=True)).measures == {"skipped": 1.0}
    assert judged(INPUT, "1", NoRunner(), AnswerScorer("value", skips=True)).measures == {"skipped": 1.0}


def test_key() -> None:
    keys = [AnswerScorer("a"), AnswerScorer("b"), AnswerScorer("a", 4.0), AnswerScorer("a", skips=True),
            AnswerScorer("a", missing=("x",)), AnswerScorer("a", version=2)]  # fmt: skip
    assert len({json.dumps(each.key(), sort_keys=True) for each in keys}) == len(keys)
    assert SCORER.reference_programs(OUTPUT) == []


def test_plain_calls() -> None:
    def plain(text: str) -> bool:
        return is_plain_call(ast.parse(text, mode="eval").body)

    assert plain("f()")
    assert plain("f(1, [2], a={'b': (3,)})")
    assert not plain("g(1)")
    assert not plain("f(1).real")
    assert not plain("f(**{})")
    assert not plain("f((x := 1))")
