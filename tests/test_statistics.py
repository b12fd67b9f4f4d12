"""pass@k against brute force and exact fractions; intervals against scipy, published values and by simulation."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from fractions import Fraction
from itertools import combinations
from statistics import NormalDist, fmean, pvariance

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from qwencoder_eval.statistics import Z95, difference_of_groups, mean_with_interval, pass_at_k


@st.composite
def cases(draw: st.DrawFn, largest: int = 500) -> tuple[int, int, int]:
    n = draw(st.integers(1, largest))
    return n, draw(st.integers(0, n)), draw(st.integers(1, n))


def by_product(n: int, c: int, k: int) -> Fraction:
    """1 - the chance that k draws in a row are wrong, draw by draw: no binomials."""
    miss = Fraction(1)
    for i in range(k):
        miss *= Fraction(max(n - c - i, 0), n - i)
    return 1 - miss


@pytest.mark.parametrize(
    ("n", "c", "k", "expected"),
    [
        (1, 0, 1, 0.0),
        (1, 1, 1, 1.0),
        (10, 3, 1, 0.3),
        (5, 2, 2, 0.7),  # 1 - 3/10
        (10, 3, 5, 11 / 12),  # 1 - 21/252
        (20, 1, 10, 0.5),
        (200, 1, 100, 0.5),
        (6, 3, 4, 1.0),  # three wrong samples cannot fill four draws
        (10, 0, 10, 0.0),
    ],
)
def test_pass_at_k_by_hand(n: int, c: int, k: int, expected: float) -> None:
    assert pass_at_k(n, c, k) == expected


@given(cases(largest=9))
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(case: tuple[int, int, int]) -> None:
    n, c, k = case
    subsets = [any(i < c for i in chosen) for chosen in combinations(range(n), k)]
    assert pass_at_k(n, c, k) == sum(subsets) / len(subsets)


@given(cases())
@settings(deadline=None)
def test_pass_at_k_is_the_double_nearest_to_the_exact_value(case: tuple[int, int, int]) -> None:
    assert pass_at_k(*case) == float(by_product(*case))


@given(cases(largest=100_000))
def test_pass_at_1_is_the_share_of_right_samples(case: tuple[int, int, int]) -> None:
    n, c, _ = case
    assert pass_at_k(n, c, 1) == c / n


@given(cases())
@settings(deadline=None)
def test_pass_at_k_grows_with_c_and_with_k(case: tuple[int, int, int]) -> None:
    n, c, k = case
    value = pass_at_k(n, c, k)
    assert 0 <= value <= 1
    if c < n:
        assert value <= pass_at_k(n, c + 1, k)
    if k < n:
        assert value <= pass_at_k(n, c, k + 1)


@given(cases())
def test_drawing_every_sample_passes_iff_one_is_right(case: tuple[int, int, int]) -> None:
    n, c, _ = case
    assert pass_at_k(n, c, n) == float(c > 0)


def test_pass_at_k_of_100000_samples_is_sound() -> None:
    n = 100_000
    assert pass_at_k(n, 1, 50_000) == 0.5
    assert pass_at_k(n, 50_000, 1) == 0.5
    assert pass_at_k(n, 50_000, 50_000) == 1.0
    assert pass_at_k(n, 30_000, 100) == float(by_product(n, 30_000, 100))
    assert pass_at_k(n, 2, 3) == float(by_product(n, 2, 3))
    assert 0 < pass_at_k(n, 1, 1) == 1e-5


@pytest.mark.parametrize(
    ("n", "c", "k", "words"),
    [
        (5, 2, 6, "k=6 needs at least 6 samples, there are 5"),
        (0, 0, 1, "k=1 needs at least 1 samples, there are 0"),
        (5, 2, 0, "k must be at least 1, not 0"),
        (5, 2, -1, "k must be at least 1, not -1"),
        (5, -1, 1, "-1 right of 5"),
        (5, 6, 1, "6 right of 5"),
    ],
)
def test_pass_at_k_refuses_in_one_line(n: int, c: int, k: int, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        pass_at_k(n, c, k)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_z95_is_the_normal_quantile() -> None:
    assert pytest.approx(NormalDist().inv_cdf(0.975), abs=1e-12) == Z95


def test_interval_by_hand() -> None:
    # 8 of 10 right: Wilson's interval is the pair of roots of (m - p)² = z² p (1 - p) / n.
    mean, low, high = mean_with_interval([1.0] * 8 + [0.0] * 2)
    assert mean == 0.8
    assert (low, high) == pytest.approx((0.4901625, 0.9433178), abs=1e-7)
    for p in (low, high):
        assert (mean - p) ** 2 == pytest.approx(Z95**2 * p * (1 - p) / 10)
    # 1/4 and 3/4, twice: m = 1/2, s² = 1/16, so n_eff = (1/4) / (1/64) = 16.
    expected = binomtest(8, 16).proportion_ci(method="wilson")
    got = mean_with_interval([0.25, 0.75, 0.25, 0.75])
    assert got == pytest.approx((0.5, expected.low, expected.high))


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(deadline=None)
def test_zeros_and_ones_give_wilsons_interval(case: tuple[int, int]) -> None:
    right, n = case
    expected = binomtest(right, n).proportion_ci(confidence_level=0.95, method="wilson")
    mean, low, high = mean_with_interval([1.0] * right + [0.0] * (n - right))
    assert mean == right / n
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert right > 0 or low == 0.0
    assert right < n or high == 1.0


@given(st.floats(0, 1), st.integers(1, 300))
def test_equal_values_count_once_per_problem(value: float, n: int) -> None:
    mean, low, high = mean_with_interval([value] * n)
    assert mean == pytest.approx(value, abs=2**-64)
    for p in (low, high):  # the defining equation with n_eff = N
        assert (mean - p) ** 2 == pytest.approx(Z95**2 * p * (1 - p) / n, abs=1e-12)


shares = st.floats(0, 1) | st.integers(0, 20).map(lambda c: c / 20) | st.sampled_from([0.0, 1.0, 5e-324])


@given(st.lists(shares, min_size=1, max_size=60))
def test_interval_holds_the_mean_and_stays_inside(values: list[float]) -> None:
    mean, low, high = mean_with_interval(values)
    assert 0 <= low <= mean <= high <= 1
    assert low < high
    assert mean == pytest.approx(fmean(values), abs=1e-15)


@given(st.lists(st.integers(0, 20), min_size=2, max_size=60).filter(lambda c: len(set(c)) > 1))
def test_interval_solves_wilsons_equation_for_the_effective_number(counts: list[int]) -> None:
    values = [c / 20 for c in counts]
    mean, low, high = mean_with_interval(values)
    n_eff = mean * (1 - mean) / (pvariance(values) / len(values))
    assert n_eff >= len(values) * (1 - 1e-12)
    for p in (low, high):
        assert (mean - p) ** 2 == pytest.approx(Z95**2 * p * (1 - p) / n_eff, abs=1e-12)


@given(st.lists(shares, min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_order_does_not_matter_and_one_pass_is_enough(values: list[float], rng: random.Random) -> None:
    shuffled = rng.sample(values, len(values))
    assert mean_with_interval(iter(values)) == mean_with_interval(x for x in shuffled)


def test_nearly_equal_values_stay_finite() -> None:
    above = math.nextafter(0.5, 1)
    mean, low, high = mean_with_interval([0.5, above] * 50)
    assert 0.5 - 1e-15 <= low <= mean <= high <= 0.5 + 1e-15


def test_interval_covers_the_truth_where_samples_cluster_by_problem() -> None:
    rng = random.Random(20240411)
    repetitions, problems, samples = 400, 100, 5
    covered = covered_if_independent = 0
    for _ in range(repetitions):
        right = []
        for _ in range(problems):
            p = rng.betavariate(0.6, 0.4)  # truth: a mean of 0.6
            right.append(sum(rng.random() < p for _ in range(samples)))
        _, low, high = mean_with_interval(c / samples for c in right)
        covered += low <= 0.6 <= high
        # The same samples taken for 500 independent problems: repeats pass for evidence.
        _, low, high = mean_with_interval(float(i < c) for c in right for i in range(samples))
        covered_if_independent += low <= 0.6 <= high
    assert 0.92 <= covered / repetitions <= 0.99
    assert covered_if_independent / repetitions < 0.85


@pytest.mark.parametrize("value", [-0.1, 1.0000001, math.nan, math.inf, -math.inf])
def test_interval_refuses_values_outside(value: float) -> None:
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        mean_with_interval([0.5, value])


def test_interval_of_no_problems_is_refused() -> None:
    with pytest.raises(ValueError, match="there are none"):
        mean_with_interval([])


# -- two groups of problems ----------------------------------------------------------------------------


def between(right: int, n: int, other: int, m: int) -> tuple[float, float, float]:
    one, two = ([1.0] * right + [0.0] * (n - right), [1.0] * other + [0.0] * (m - other))
    return difference_of_groups(mean_with_interval(one), mean_with_interval(two))


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ],
)
def test_differences_of_newcombe(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    """Newcombe (1998, Stat. Med. 17:873-890), table II, method 10, contrasts a to h."""
    right, n, other, m = counts
    assert between(*counts) == pytest.approx((right / n - other / m, low, high), abs=5e-5)


@given(st.lists(shares, min_size=1, max_size=40), st.lists(shares, min_size=1, max_size=40))
def test_a_difference_of_groups(one: list[float], other: list[float]) -> None:
    first, second = mean_with_interval(one), mean_with_interval(other)
    difference, low, high = difference_of_groups(first, second)
    assert difference == first[0] - second[0]
    assert -1 - 1e-12 <= low < difference < high <= 1 + 1e-12
    assert difference_of_groups(second, first) == (-difference, -high, -low)
    scaled = difference_of_groups([3 * each for each in first], [3 * each for each in second])
    assert scaled == pytest.approx((3 * difference, 3 * low, 3 * high))
    # No narrower than either group alone, no wider than both intervals end to end.
    widths = [top - bottom for _, bottom, top in (first, second)]
    assert max(widths) - 1e-12 <= high - low <= sum(widths) + 1e-12


def coverage(hit: int, clean: int, samples: int, times: int) -> float:
    """Of intervals of differences, for groups of every difficulty; with several samples problems have rates."""
    rng = np.random.default_rng(hit * clean * samples)
    covered = 0
    for _ in range(times):
        truths = rng.uniform(0.1, 0.9, 2).tolist()
        found = []
        for problems, true in zip((hit, clean), truths, strict=True):
            rates = np.full(problems, true) if samples == 1 else rng.beta(true, 1 - true, size=problems)
            found.append(mean_with_interval((rng.binomial(samples, rates) / samples).tolist()))
        _, low, high = difference_of_groups(*found)
        covered += low <= truths[0] - truths[1] <= high
    return covered / times


@pytest.mark.parametrize(("hit", "clean"), [(3, 161), (10, 154), (82, 82)])
def test_a_difference_covers_the_truth(hit: int, clean: int) -> None:
    assert 0.93 <= coverage(hit, clean, 1, 1000) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hit", "clean", "samples", "least", "most"),
    [(5, 159, 1, 0.94, 0.965), (40, 124, 1, 0.94, 0.96), (500, 640, 1, 0.94, 0.96), (40, 124, 10, 0.93, 0.96),
     (20, 144, 10, 0.92, 0.95), (10, 154, 10, 0.89, 0.93), (3, 161, 10, 0.79, 0.85)],
)  # fmt: skip
def test_how_often_differences_cover_the_truth(hit: int, clean: int, samples: int, least: float, most: float) -> None:
    """Too seldom for few problems with several samples, as the interval of their mean does."""
    assert least <= coverage(hit, clean, samples, 8000) <= most


def test_importing_loads_neither_numpy_nor_scipy() -> None:
    code = "import sys, qwencoder_eval.statistics; print({'numpy', 'scipy', 'fractions'} & set(sys.modules) or 'none')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "none"


@pytest.mark.slow
@pytest.mark.parametrize(("problems", "samples"), [(164, 1), (378, 1), (1140, 1), (164, 10), (1000, 5)])
def test_intervals_of_scores_cover_94_to_96_of_100(problems: int, samples: int) -> None:
    """Benchmarks of every difficulty; with several samples each problem has a rate of its own."""
    rng = np.random.default_rng(problems * samples)
    times, covered = 8000, 0
    for _ in range(times):
        true = rng.uniform(0.1, 0.9)
        rates = np.full(problems, true) if samples == 1 else rng.beta(true, 1 - true, size=problems)
        _, low, high = mean_with_interval((rng.binomial(samples, rates) / samples).tolist())
        covered += low <= true <= high
    assert 0.94 <= covered / times <= 0.96
