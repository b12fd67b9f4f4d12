"""Two runs on the same problems: exact tests against scipy and brute force, intervals and power by simulation."""

from __future__ import annotations

import math
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap, permutation_test, t

from qwencoder_eval.statistics import _student, detectable, difference_interval, holm, sign_flip

differences = st.lists(st.integers(-12, 12), max_size=60)


# -- sign_flip ---------------------------------------------------------------------------------------


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 50))
def test_one_sample_each_is_mcnemar(lost: int, gained: int, same: int) -> None:
    both, lower, higher = sign_flip([-1] * lost + [1] * gained + [0] * same)
    if lost + gained == 0:
        assert (both, lower, higher) == (1.0, 1.0, 1.0)
        return
    for found, side in ((both, "two-sided"), (lower, "less"), (higher, "greater")):
        assert found == pytest.approx(binomtest(gained, lost + gained, 0.5, alternative=side).pvalue, rel=1e-9)


@given(st.lists(st.integers(-9, 9), max_size=9))
def test_it_counts_every_choice_of_signs(found: list[int]) -> None:
    sums = [
        sum(sign * each for sign, each in zip(signs, found, strict=True))
        for signs in product((-1, 1), repeat=len(found))
    ]
    seen = sum(found)
    expected = (
        [abs(each) >= abs(seen) for each in sums],
        [each <= seen for each in sums],
        [each >= seen for each in sums],
    )
    assert sign_flip(found) == pytest.approx([sum(each) / len(sums) for each in expected])


@pytest.mark.parametrize("seed", range(5))
def test_it_agrees_with_scipys_permutation_test(seed: int) -> None:
    found = np.random.default_rng(seed).integers(-10, 11, size=12)
    expected = [
        permutation_test(
            (found,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative=side, vectorized=True
        ).pvalue
        for side in ("two-sided", "less", "greater")
    ]
    # scipy calls twice the smaller tail two-sided, which is the same here as the distribution is symmetric
    assert sign_flip(found.tolist()) == pytest.approx(expected)


@given(differences, st.integers(1, 40))
def test_neither_order_nor_unit_nor_problems_that_did_not_change_matter(found: list[int], unit: int) -> None:
    expected = sign_flip(found)
    assert sign_flip([unit * each for each in reversed(found)] + [0, 0]) == pytest.approx(expected)
    both, lower, higher = sign_flip([-each for each in found])
    assert (both, higher, lower) == pytest.approx(expected)


@given(differences)
def test_p_values_are_chances(found: list[int]) -> None:
    both, lower, higher = sign_flip(found)
    assert all(0 < p <= 1 for p in (both, lower, higher))
    assert lower + higher >= 1 - 1e-9  # what is seen is in both
    assert both == pytest.approx(min(1.0, 2 * min(lower, higher))) or sum(found) == 0


def test_tiny_chances_are_not_lost() -> None:
    assert sign_flip([-1] * 2000)[1] == 0.5**2000 or sign_flip([-1] * 2000)[1] == pytest.approx(0.0, abs=1e-300)
    assert sign_flip([-1] * 1000)[1] == pytest.approx(0.5**1000, rel=1e-9)


def test_many_samples_of_many_problems_are_no_trouble() -> None:
    found = np.random.default_rng(1).integers(-10, 11, size=1140)
    assert 0 < sign_flip(found.tolist())[0] <= 1


# -- difference_interval -----------------------------------------------------------------------------


@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=1, max_size=80))
def test_an_interval_holds_the_mean_and_is_never_a_point(found: list[float]) -> None:
    mean, low, high = difference_interval(found, 0.5)
    assert mean == pytest.approx(math.fsum(found) / len(found))
    assert -1 <= low <= mean <= high <= 1
    assert low < high
    assert difference_interval(found, 0.5) == (mean, low, high)  # the same at every call


def test_mirrored_differences_mirror_the_interval() -> None:
    found = [1.0] * 30 + [-1.0] * 10 + [0.0] * 124
    mean, low, high = difference_interval(found, 1.0)
    back, under, over = difference_interval([-each for each in found], 1.0)
    assert (back, under, over) == pytest.approx((-mean, -high, -low), abs=1.01 / 166)  # one flip


def test_of_many_problems_it_is_the_plain_bootstrap() -> None:
    found = np.random.default_rng(3).integers(-10, 11, size=1000) / 10
    _, low, high = difference_interval(found.tolist(), 0.1)
    plain = bootstrap((found,), np.mean, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    assert (low, high) == pytest.approx((plain.low, plain.high), abs=0.002)


def test_no_flips_among_many_problems_say_more_than_among_few() -> None:
    _, low, high = difference_interval([0.0] * 24, 1.0)
    _, lower, higher = difference_interval([0.0] * 1140, 1.0)
    assert low < lower < 0 < higher < high
    assert 1 / 1140 < higher < 4 / 1140


def test_of_nothing_there_is_no_difference() -> None:
    with pytest.raises(ValueError, match="there are none"):
        difference_interval([], 1.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("problems", "samples", "nights"),
    [(164, 1, 5000), (378, 1, 5000), (1140, 1, 5000), (164, 10, 2000), (500, 5, 2000)],
)
def test_intervals_of_differences_cover_94_to_96_of_100(problems: int, samples: int, nights: int) -> None:
    """Over changes of every size. With several samples each problem has a rate of its own, and some are lost wholly.

    Where few problems flip, coverage at one size of change may be some points off, as sums of flips are few values.
    """
    rng = np.random.default_rng(problems + samples)
    covered = 0
    for _ in range(nights):
        drop, noise = rng.uniform(0, 0.08), rng.uniform(0.05, 0.25)
        if samples == 1:
            found = rng.choice([-1.0, 1.0, 0.0], size=problems, p=[noise / 2 + drop, noise / 2, 1 - noise - drop])
        else:
            rate = rng.beta(0.4, 0.6, size=problems)
            lower = np.where(rng.random(problems) < drop / 0.4, 0.0, 1.0) * rate
            base, new = rng.binomial(samples, rate), rng.binomial(samples, lower)
            found = (new - base) / samples
        _, low, high = difference_interval(found.tolist(), 1 / samples)
        covered += low <= -drop <= high
    assert 0.94 <= covered / nights <= 0.96


def test_students_quantile() -> None:
    for freedom in (3, 5, 10, 23, 163, 1000):
        assert _student(freedom) == pytest.approx(t.ppf(0.975, freedom), rel=0.011)


# -- holm --------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), max_size=7))
def test_holm_is_the_closed_test_of_bonferroni(ps: list[float]) -> None:
    """A hypothesis goes if every set that it is in goes (Marcus, Peritz and Gabriel 1976)."""
    for index, adjusted in enumerate(holm(ps)):
        sets = [
            chosen for size in range(1, len(ps) + 1) for chosen in combinations(range(len(ps)), size) if index in chosen
        ]
        assert adjusted == pytest.approx(max(min(1.0, len(chosen) * min(ps[i] for i in chosen)) for chosen in sets))


# -- detectable --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problems", "flips", "alpha", "least"),
    [
        (164, 0.1, 0.05, 0.0),
        (164, 0.2, 0.025, 0.0),
        (542, 0.1, 0.025, 0.0),
        (1140, 0.15, 0.05, 0.03),
        (2000, 0.1, 0.005, 0.0),
    ],
)
def test_the_smallest_drop_is_found_four_times_of_five(problems: int, flips: float, alpha: float, least: float) -> None:
    drop = detectable(problems, flips, alpha, least)
    assert drop is not None
    power = simulated(problems, flips, drop, alpha, least)
    assert 0.77 <= power <= 0.86
    assert simulated(problems, flips, drop * 0.6, alpha, least) < 0.6


def simulated(problems: int, flips: float, drop: float, alpha: float, least: float) -> float:
    rng = np.random.default_rng(problems)
    lost = rng.binomial(problems, flips / 2 + drop, size=4000)
    gained = rng.binomial(problems - lost, (flips / 2) / (1 - flips / 2 - drop))
    known: dict[tuple[int, int], bool] = {}
    found = 0
    for pair in zip(lost.tolist(), gained.tolist(), strict=True):
        if pair not in known:
            p = binomtest(pair[1], sum(pair), 0.5, alternative="less").pvalue if sum(pair) else 1.0
            known[pair] = p <= alpha and pair[0] - pair[1] >= least * problems
        found += known[pair]
    return found / 4000


def test_more_problems_find_smaller_drops_and_few_find_none() -> None:
    drops = [detectable(problems, 0.1, 0.05) for problems in (24, 164, 542, 1140, 5000)]
    assert None not in drops
    assert drops == sorted(drops, reverse=True)  # type: ignore[type-var]
    assert detectable(3, 0.1, 0.05) is None
    wanted = detectable(5000, 0.1, 0.05, least=0.05)
    assert wanted is not None
    assert wanted > 0.05  # what is let through is not found
