"""Calls that are compared as SAFIM compares them: without white space, and in Python by their arguments."""

from __future__ import annotations

import pytest

from qwencoder_eval.scoring.api_calls import ApiCallScorer, same_call
from qwencoder_eval.scoring.base import needs_sandbox
from qwencoder_eval.types import Problem

LANGUAGES = ("python", "java", "cpp", "csharp")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("f(a, b)", "f(a,b)", True),
        ("f( a,\n\tb\r\n)", "f(a,b)", True),
        ("f(a\x0c,\u2003b)", "f(a,b)", True),
        ("f('a b')", "f('ab')", True),
        ("f(a)", "f(b)", False),
        ("f(a, b)", "f(b, a)", False),
        ("", "f()", False),
        ("", " \n", True),
        ("f(\ud800)", "f( \ud800 )", True),
        ("f(", "f(", True),
        ("f(", "f", False),
        ("f(" * 5000, "f(1)", False),
        ("x", "y", False),
        ("newA(1)", "new A(1)", True),
    ],
)
def test_calls_of_every_language(language: str, one: str, other: str, same: bool) -> None:
    assert same_call(one, other, language) is same
    assert same_call(other, one, language) is same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("f(1, a=2, b=3)", "f(1, b=3, a=2)", True),
        ("f(1, a=2)", "f(1, a=3)", False),
        ("f(1, a=2)", "f(1, 2)", False),
        ("f(1, 2)", "f(2, 1)", False),
        ("f('x')", 'f("x")', True),
        ("f(1,)", "f(1)", True),
        ("f((1))", "f(1)", True),
        ("f(0x10)", "f(16)", True),
        ("f(1.0)", "f(1)", False),
        ("f(*a, **b)", "f(*a, **b)", True),
        ("f(*a)", "f(a)", False),
        ("f(**a)", "f(**b)", False),
        ("f(x.y(1, z=2))", "f(x.y(1,z=2))", True),
        ("f(x.y(a=1, z=2))", "f(x.y(z=2, a=1))", False),  # of the outer call alone
        ("f(lambda x: x)", "f(lambda  x:x)", True),
        ("f(x if y else z)", "f(xifyelsez)", True),
        # Upstream looks at no names of functions.
        ("f(1)", "g(1)", True),
        ("torch.zeros(3)", "torch.ones(3)", True),
        ("f(1)", "f(1)(2)", False),
        ("f(1)", "f(1).g", False),
        ("a + f(1)", "b + f(1)", False),
        ("f('\\d', a=1, b=2)", "f('\\d', b=2, a=1)", True),
        ("f(1if a else 2, b=1, c=1)", "f(1if a else 2, c=1, b=1)", False),
    ],
)
def test_calls_of_python(one: str, other: str, same: bool) -> None:
    assert same_call(one, other, "python") is same
    assert same_call(other, one, "python") is same


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_keywords_have_an_order_elsewhere(language: str) -> None:
    assert not same_call("f(a=1, b=2)", "f(b=2, a=1)", language)
    assert not same_call("f(1)", "g(1)", language)


@pytest.mark.parametrize(
    "text",
    ["(" * 100_000, "f(" * 20_000 + ")" * 20_000, "f(" + "-" * 100_000 + "1)", "\0", "f(1" + "0" * 5000 + ")", "f(\\"],
)
def test_hostile_texts_are_wrong_and_no_more(text: str) -> None:
    scorer = ApiCallScorer("api")
    problem = Problem("x", {}, {"right": "f(1)"})
    found = scorer.score(problem, text, None, None)  # type: ignore[arg-type]
    assert found.checks == {"api": "wrong"}
    assert len(found.evidence["got"]) <= 4000


def test_a_scorer_without_a_sandbox() -> None:
    scorer = ApiCallScorer("safim:api")
    assert not needs_sandbox(scorer)
    assert scorer.checks == ("safim:api",)
    assert scorer.key() == {"scorer": "api-calls", "version": 1, "check": "safim:api"}
    problem = Problem("x", {}, {"right": "f(1)"})
    assert scorer.score(problem, "f( 1 )", None, None).checks == {"safim:api": "passed"}  # type: ignore[arg-type]
