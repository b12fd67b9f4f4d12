"""Counts of verdicts, and the scores they make."""

from __future__ import annotations

import random

import pytest

from qwencoder_eval.errors import UsageError
from qwencoder_eval.statistics import mean_with_interval, pass_at_k
from qwencoder_eval.stream.tally import Tally, default_ks
from qwencoder_eval.types import Outcome, Problem, Score, Verdict


def problem(name: str, **groups: str) -> Problem:
    return Problem(name, {}, {}, groups=groups)


def tally_of(problems: list[Problem], passed: dict[str, str], check: str = "c") -> Tally:
    """``passed``: a string of 1 and 0, a sample each."""
    tally = Tally([check], problems)
    for name, marks in passed.items():
        for number, mark in enumerate(marks):
            outcome = Outcome.PASSED if mark == "1" else Outcome.WRONG
            tally.add(Verdict(name, number, {check: outcome}))
    return tally


def test_pass_at_1_of_two_checks() -> None:
    problems = [problem(f"p/{i}") for i in range(4)]
    tally = Tally(["h", "h+"], problems)
    plus = [Outcome.PASSED, Outcome.WRONG, Outcome.TIMEOUT, Outcome.NO_CODE]
    for i, outcome in enumerate(plus):
        base = Outcome.NO_CODE if outcome is Outcome.NO_CODE else Outcome.PASSED
        tally.add(Verdict(f"p/{i}", 0, {"h": base, "h+": outcome}))
    scores = tally.scores([1])
    assert list(scores) == ["h", "h+"]
    assert scores["h"]["pass@1"] == Score("pass@1", *mean_with_interval([1, 1, 1, 0]), 4, 4)
    assert scores["h+"]["pass@1"] == Score("pass@1", *mean_with_interval([1, 0, 0, 0]), 4, 4)
    assert scores["h"]["pass@1"].value == 0.75
    assert tally.outcomes["h"] == {"passed": 3, "no_code": 1}
    assert tally.outcomes["h+"] == {"passed": 1, "wrong": 1, "timeout": 1, "no_code": 1}


def test_scores_are_the_statistics_of_each_problems_counts() -> None:
    rng = random.Random(7)
    problems = [problem(f"p/{i}") for i in range(30)]
    marks = {p.id: "".join(rng.choice("01") for _ in range(12)) for p in problems}
    scores = tally_of(problems, marks).scores([1, 5, 10])["c"]
    assert list(scores) == ["pass@1", "pass@5", "pass@10"]
    for k in (1, 5, 10):
        values = [pass_at_k(12, text.count("1"), k) for text in marks.values()]
        assert scores[f"pass@{k}"] == Score(f"pass@{k}", *mean_with_interval(values), 30, 360)


def test_the_order_of_verdicts_does_not_matter() -> None:
    problems = [problem("a"), problem("b")]
    verdicts = [
        Verdict(name, i, {"c": Outcome.PASSED if (name, i) in {("a", 0), ("b", 2)} else Outcome.WRONG})
        for name in "ab"
        for i in range(3)
    ]
    forward, backward = Tally(["c"], problems), Tally(["c"], problems)
    for verdict in verdicts:
        forward.add(verdict)
    for verdict in reversed(verdicts):
        backward.add(verdict)
    assert forward.scores([1, 2]) == backward.scores([1, 2])


def test_groups_have_scores_of_their_own() -> None:
    problems = [
        problem("a", difficulty="easy", kind="x"),
        problem("b", difficulty="easy"),
        problem("c", difficulty="hard"),
    ]
    scores = tally_of(problems, {"a": "11", "b": "10", "c": "00"}).scores([1])
    assert list(scores) == ["c", "c[difficulty=easy]", "c[kind=x]", "c[difficulty=hard]"]
    assert scores["c"]["pass@1"] == Score("pass@1", *mean_with_interval([1, 0.5, 0]), 3, 6)
    assert scores["c[difficulty=easy]"]["pass@1"] == Score("pass@1", *mean_with_interval([1, 0.5]), 2, 4)
    assert scores["c[kind=x]"]["pass@1"] == Score("pass@1", *mean_with_interval([1]), 1, 2)
    assert scores["c[difficulty=hard]"]["pass@1"] == Score("pass@1", *mean_with_interval([0]), 1, 2)


def test_more_draws_than_samples_are_refused() -> None:
    tally = tally_of([problem("a"), problem("b")], {"a": "111", "b": "11"})
    assert tally.scores([2])["c"]["pass@2"].value == 1
    with pytest.raises(UsageError, match=r"^-k 3: needs 3 samples a problem, there are 2; generate more with -n$"):
        tally.scores([1, 3])


def test_an_iterator_of_ks_serves_all_checks() -> None:
    tally = Tally(["x", "y"], [problem("a", group="g")])
    tally.add(Verdict("a", 0, {"x": Outcome.PASSED, "y": Outcome.WRONG}))
    scores = tally.scores(iter([1]))
    assert list(scores) == ["x", "x[group=g]", "y", "y[group=g]"]
    assert all(list(metrics) == ["pass@1"] for metrics in scores.values())


@pytest.mark.parametrize(
    ("n", "ks"), [(1, [1]), (9, [1]), (10, [1, 10]), (99, [1, 10]), (100, [1, 10, 100]), (500, [1, 10, 100])]
)
def test_default_ks(n: int, ks: list[int]) -> None:
    assert default_ks(n) == ks


@pytest.mark.parametrize(
    ("passed", "skipped", "k", "value"),
    [
        ("1000", "0000", 1, 1 / 4),
        ("1000", "0011", 1, 1 / 2),
        ("1000", "0111", 1, 1.0),
        ("0000", "1111", 1, 0.0),
        ("1000", "0011", 3, 1.0),  # fewer count than are drawn: one that passed is enough
        ("0000", "0011", 3, 0.0),
        ("1100", "0001", 2, 1.0),
        ("1000", "0001", 2, 2 / 3),
    ],
)
def test_samples_that_a_scorer_leaves_out(passed: str, skipped: str, k: int, value: float) -> None:
    tally = Tally(["c"], [problem("p")])
    for number, (mark, skip) in enumerate(zip(passed, skipped, strict=True)):
        outcome = Outcome.PASSED if mark == "1" else Outcome.NO_CODE
        tally.add(Verdict("p", number, {"c": outcome}, {"skipped": 1.0} if skip == "1" else {}))
    found = tally.scores([k])["c"][f"pass@{k}"]
    assert found.value == pytest.approx(value)
    assert (found.problems, found.samples) == (1, 4)


def test_ks_of_a_scoring() -> None:
    assert default_ks(10, (1, 5)) == [1, 5]
    assert default_ks(1, (1, 5)) == [1]
    assert default_ks(10) == [1, 10]


def test_means_of_measures_are_scores_too() -> None:
    """Over the samples of a problem, then over problems; of the first check, and by group."""
    problems = [problem("a", kind="x"), problem("b")]
    tally = Tally(["c", "d"], problems, "em", ("es", "f1"))
    for name, number, es in (("a", 0, 1.0), ("a", 1, 0.5), ("b", 0, 0.0), ("b", 1, 0.2)):
        outcome = Outcome.PASSED if es == 1 else Outcome.WRONG
        measures = {"es": es, "f1": 0.5, "not named": 1.0}
        tally.add(Verdict(name, number, {"c": outcome, "d": outcome}, measures))
    scores = tally.scores([1, 2])
    assert list(scores["c"]) == ["em", "em@2", "es", "f1"]
    assert list(scores["d"]) == ["em", "em@2"]
    assert scores["c"]["es"] == Score("es", *mean_with_interval([0.75, 0.1]), 2, 4)
    assert scores["c[kind=x]"]["es"] == Score("es", *mean_with_interval([0.75]), 1, 2)
    assert scores["c"]["f1"].value == 0.5
    assert scores["c"]["em"].value == 0.25


def test_a_verdict_without_a_measure_counts_as_nothing() -> None:
    """No code, or a prompt that was too long: nobody compared anything."""
    tally = Tally(["c"], [problem("a"), problem("b")], "em", ("es",))
    tally.add(Verdict("a", 0, {"c": Outcome.PASSED}, {"es": 1.0}))
    tally.add(Verdict("b", 0, {"c": Outcome.PROMPT_TOO_LONG}))
    assert tally.scores([1])["c"]["es"].value == 0.5
