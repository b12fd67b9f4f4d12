"""The gate over simulated nights: how often it fails where nothing has changed, and where something has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from qwencoder_eval.regression.compare import Comparison, Floor
from qwencoder_eval.regression.gate import FLIPS, Rule, judge, variance
from qwencoder_eval.statistics import difference_interval, sign_flip

# Of what a night may have: problems of each benchmark. With HumanEval and MBPP come their stricter checks.
PYTHON = {"humaneval": 164, "mbpp": 378}
MATRIX = {
    **PYTHON, "multipl-e:cpp": 161, "multipl-e:cs": 158, "multipl-e:java": 158, "multipl-e:js": 161,
    "multipl-e:php": 161, "multipl-e:sh": 158, "multipl-e:ts": 159,
}  # fmt: skip


def comparison(units: Sequence[int], name: str = "bench", check: str = "", model: str = "m", n: int = 1) -> Comparison:
    difference, low, high = difference_interval([unit / n for unit in units], 1 / n) if len(units) < 50 else (
        sum(units) / len(units) / n, -1.0, 1.0,
    )  # fmt: skip
    p, lower, higher = sign_flip(units)
    samples = (len(units) * n, len(units) * n)
    return Comparison(
        model, name, "p", check or name, "v1", 0.5, 0.5 + difference, samples, difference, low, high, p, lower, higher,
        tuple(int(unit) for unit in units), n, (), (),
    )  # fmt: skip


def night(rng: np.random.Generator, matrix: dict[str, int], drop: float, flips: float = FLIPS) -> list[Comparison]:
    """One sample each. Of every benchmark ``flips`` of the problems flip for nothing, and ``drop`` of them are lost.

    A stricter check loses what the plain one loses, and flips where it does.
    """
    found = []
    for name, problems in matrix.items():
        units = rng.choice([-1, 1, 0], size=problems, p=[flips / 2 + drop, flips / 2, 1 - flips - drop])
        found.append(comparison(units.tolist(), name))
        if name in PYTHON:
            strict = np.where(rng.random(problems) < 0.9, units, 0)
            found.append(comparison(strict.tolist(), name, f"{name}+"))
    return found


def failing(matrix: dict[str, int], drop: float, rule: Rule, nights: int, flips: float = FLIPS) -> float:
    """The share of nights in which the gate fails."""
    rng = np.random.default_rng(len(matrix) + int(drop * 1000))
    return (
        sum(any(each.failed for each in judge(night(rng, matrix, drop, flips), rule)) for _ in range(nights)) / nights
    )


@pytest.mark.slow
@pytest.mark.parametrize("flips", [0.03, FLIPS, 0.25])
def test_false_alarms_stay_under_the_level(flips: float) -> None:
    assert failing(MATRIX, 0.0, Rule(alpha=0.05), 1000, flips) <= 0.05


@pytest.mark.slow
def test_false_alarms_of_a_single_benchmark_stay_under_the_level() -> None:
    assert 0.01 <= failing({"other": 400}, 0.0, Rule(alpha=0.05), 1000) <= 0.05


@pytest.mark.slow
def test_a_drop_of_five_points_over_the_matrix_is_caught() -> None:
    assert failing(MATRIX, 0.05, Rule(alpha=0.05), 300) >= 0.8
    assert failing(MATRIX, 0.05, Rule(alpha=0.05, least=0.02), 300, 0.2) >= 0.8
    assert failing(PYTHON, 0.05, Rule(alpha=0.05), 300) >= 0.8


@pytest.mark.slow
def test_the_smallest_drop_that_is_promised_is_caught() -> None:
    rng = np.random.default_rng(0)
    for matrix in (PYTHON, MATRIX):
        pooled = judge(night(rng, matrix, 0.0), Rule())[0]
        assert pooled.comparison is None
        assert pooled.problems == sum(matrix.values())
        assert pooled.detectable is not None
        assert failing(matrix, pooled.detectable, Rule(), 300) >= 0.77


def test_one_score_gets_the_whole_level() -> None:
    units = [-1] * 5 + [0] * 40  # one-sided p of 1/32
    (found,) = judge([comparison(units)], Rule(alpha=0.05))
    assert (found.failed, found.p) == (True, pytest.approx(1 / 32))
    (found,) = judge([comparison(units)], Rule(alpha=0.03))
    assert not found.failed


def test_two_scores_of_one_benchmark_have_no_pool() -> None:
    units = [-1] * 5 + [0] * 40
    found = judge([comparison(units), comparison(units, check="bench+")], Rule())
    assert [each.name for each in found] == ["bench v1", "bench+ v1"]
    assert [each.p for each in found] == pytest.approx([2 / 32, 2 / 32])
    assert not any(each.failed for each in found)


def test_a_pool_finds_what_no_score_shows_alone() -> None:
    small = [-1] * 3 + [0] * 40
    found = judge([comparison(small, name) for name in ("a", "b", "c")], Rule())
    assert [(each.name, each.failed) for each in found] == [
        ("all 3 benchmarks", True), ("a v1", False), ("b v1", False), ("c v1", False),
    ]  # fmt: skip
    assert found[0].p == pytest.approx(2 / 2**9)
    assert found[0].problems == 129


def test_one_score_shows_what_a_pool_hides() -> None:
    found = judge([comparison([-1] * 12 + [0] * 30, "a"), comparison([1] * 12 + [0] * 30, "b")], Rule())
    assert [(each.name, each.failed) for each in found] == [
        ("all 2 benchmarks", False), ("a v1", True), ("b v1", False),
    ]  # fmt: skip


def test_a_pool_takes_the_own_check_of_each_benchmark_and_weighs_problems_alike() -> None:
    several = comparison([-4, 0, 0, 0], "b", n=4)
    plus = comparison([-1] * 4, "a", "a+")
    found = judge([plus, comparison([0, 0, 0, 0], "a"), several], Rule())
    assert found[0].difference == pytest.approx(-1 / 8)
    assert found[0].p == pytest.approx(1.0)  # one problem lost: 1/2, twice


def test_each_model_has_a_pool_and_shares_the_level() -> None:
    small = [-1] * 6 + [0] * 40
    both = [comparison(small if model == "x" else [0] * 46, name, model=model) for model in "xy" for name in "ab"]
    found = judge(both, Rule())
    assert [(each.model, each.name) for each in found][:2] == [("x", "all 2 benchmarks"), ("y", "all 2 benchmarks")]
    assert found[0].p == pytest.approx(4 / 2**12)
    assert [each.failed for each in found] == [True, False, False, False, False, False]


def test_gains_and_small_drops_are_let_through() -> None:
    (gain,) = judge([comparison([1] * 30)], Rule())
    assert not gain.failed
    assert gain.p == 1.0
    units = [-1] * 10 + [0] * 990
    (small,) = judge([comparison(units)], Rule(least=0.02))
    assert (small.failed, small.p < 0.01) == (False, True)
    (counted,) = judge([comparison(units)], Rule(least=0.01))
    assert counted.failed


def test_nothing_changed_is_never_a_regression() -> None:
    (found,) = judge([comparison([0] * 100)], Rule(alpha=0.99))
    assert not found.failed


def test_what_a_test_can_find_rests_on_samples_and_on_noise() -> None:
    one, ten = comparison([0] * 100), comparison([0] * 100, n=10)
    assert variance(one) == FLIPS
    assert variance(ten) == pytest.approx(FLIPS / 10)
    assert variance(replace(one, floor=Floor(2, 0.3, 0.01))) == pytest.approx(0.3)
    assert variance(replace(one, floor=Floor(2, 0.0, 0.0))) == FLIPS
    assert variance(comparison([1, -1] * 20 + [0] * 60)) == pytest.approx(0.4)
    assert variance(comparison([-1] * 40 + [0] * 60)) == FLIPS  # a drop is no noise
    (few,), (many,) = judge([comparison([0] * 24)], Rule()), judge([comparison([0] * 1000)], Rule())
    assert few.detectable is not None
    assert many.detectable is not None
    assert many.detectable < 0.05 < few.detectable
