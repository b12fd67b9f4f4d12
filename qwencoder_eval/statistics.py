"""pass@k for one problem, the mean over problems with its 95 % interval, and two groups or two runs held together.

It imports nothing but ``math`` before it must, so that loading it costs next to nothing.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False  # importing ``typing`` or ``collections`` would cost more than this module
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

Z95 = 1.959963984540054  # the 97.5 % quantile of the standard normal: two-sided 95 %

# Values are summed as whole multiples of 2**-64, no coarser than the spacing of doubles from 2**-12 up,
# so sums are exact there, do not depend on the order of problems, and leave no residue that could
# pass for a variance. A smaller value moves by less than 2**-64.
_GRID = 2**64


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that k of n samples, c of them right, drawn without replacement, hold a right one.

    The unbiased estimator 1 - C(n-c, k) / C(n, k) of Chen et al. 2021 (arXiv 2107.03374, section 2.1).
    Binomials are whole numbers and Python rounds their quotient once, so the result is the double
    nearest to the true value for every n; the usual floating-point product gathers k roundings and
    loses the small results to cancellation. C(n-c, k) / C(n, k) = C(n-k, c) / C(n, c), so the smaller
    of c and k sets the cost.
    """
    if k < 1:
        raise ValueError(f"pass@k: k must be at least 1, not {k}")
    if k > n:
        raise ValueError(f"pass@k: k={k} needs at least {k} samples, there are {n}")
    if not 0 <= c <= n:
        raise ValueError(f"pass@k: {c} right of {n} samples; the count must lie between 0 and {n}")
    if k > n - c:
        return 1.0  # fewer wrong samples than draws
    low, high = min(c, k), max(c, k)
    draws = math.comb(n, low)
    return (draws - math.comb(n - high, low)) / draws


def mean_with_interval(values: Iterable[float]) -> tuple[float, float, float]:
    """The mean of per-problem values in [0, 1] and its 95 % interval: (mean, low, high).

    Wilson's score interval (E. B. Wilson 1927, JASA 22:209-212) around the mean m of N problems, for

        n_eff = m (1 - m) / (s² / N)        s²: the variance over problems, divided by N

    observations: as many yes/no ones as would give m the same standard error. The problem is the unit,
    as in Miller 2024 (arXiv 2411.00640, clustered by question): problems are assumed to be drawn
    independently from the population of such problems, while the samples of one problem may depend on
    each other in any way, because only their mean enters here.

    Values of 0 and 1 give n_eff = N, the plain Wilson interval. Values between give n_eff > N: several
    samples narrow the interval as far as they narrow the spread of problems, and no further. Where all
    values are equal the spread says nothing, and n_eff = N. It rests on the normal approximation: for
    few problems that score alike but not equal it is too narrow (covering 93 % at N = 20, 84 % at N = 5).

    One pass, constant memory.
    """
    count = total = squares = 0
    for value in values:
        if not 0 <= value <= 1:  # also refuses NaN
            raise ValueError(f"mean over problems: every value must lie between 0 and 1, not {value}")
        units = int(value * float(_GRID))
        count += 1
        total += units
        squares += units * units
    if count == 0:
        raise ValueError("mean over problems: there are none")

    mean = total / (count * _GRID)
    spread = count * squares - total * total  # s² and m (1 - m), both times (N · 2**64)²
    binomial = total * (count * _GRID - total)
    per_n_eff = (spread / binomial if spread else 1.0) / count  # 1 / n_eff
    a = Z95 * Z95 * per_n_eff
    centre = (mean + a / 2) / (1 + a)
    half = math.sqrt(a * mean * (1 - mean) + a * a / 4) / (1 + a)
    return mean, max(0.0, min(mean, centre - half)), min(1.0, max(mean, centre + half))


def difference_of_groups(one: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    """What ``one`` is above ``other`` and the 95 % interval of that: (difference, low, high).

    Both are (mean, low, high) of problems that the other has none of, as ``mean_with_interval`` gives them. The two
    distances from mean to limit that push the difference the same way are squared and added: for yes/no values method
    10 of Newcombe (1998, Stat. Med. 17:873-890), for other means MOVER of Zou and Donner (2008, Stat. Med.
    27:1693-1702), which keeps what the two intervals are. It covers 95 % from three problems on with one sample each.
    With ten samples each it is as narrow as theirs: 82 % with a group of 3 problems, 91 % of 10, 94 % of 20.
    """
    mean, low, high = one
    other_mean, other_low, other_high = other
    difference = mean - other_mean
    down = math.hypot(mean - low, other_high - other_mean)
    up = math.hypot(high - mean, other_mean - other_low)
    return difference, difference - down, difference + up


# -- two runs on the same problems --------------------------------------------------------------------

RESAMPLES = 10_000


def sign_flip(differences: Sequence[int]) -> tuple[float, float, float]:
    """Exact p-values of paired differences: (two-sided, new is lower, new is higher).

    ``differences`` are whole numbers, one a problem: by how many samples more the new run passed it, all problems
    counted in the same unit. Where nothing has changed, both runs' samples of a problem are exchangeable and each
    difference is as likely with the other sign (R. A. Fisher 1935, The Design of Experiments, section 21). The
    distribution of the sum over all 2^N signs is computed, not sampled. With one sample each it is McNemar's exact
    test (Q. McNemar 1947, Psychometrika 12:153-157): of the problems that flipped, half go each way.
    """
    import numpy

    sizes = sorted(abs(difference) for difference in differences if difference)
    unit = math.gcd(*sizes) if sizes else 1
    reach = sum(sizes) // unit
    seen = sum(differences) // unit
    chances = numpy.ones(1)  # of the sums from -reach to reach, by the signs so far
    for size in sizes:
        wider = numpy.zeros(len(chances) + 2 * (size // unit))
        wider[: len(chances)] = chances / 2
        wider[len(wider) - len(chances) :] += chances / 2
        chances = wider
    sums = numpy.arange(-reach, reach + 1)

    def chance(of: Any) -> float:
        return min(1.0, float(chances[of].sum()))

    return chance(abs(sums) >= abs(seen)), chance(sums <= seen), chance(sums >= seen)


def difference_interval(differences: Sequence[float], step: float) -> tuple[float, float, float]:
    """The mean of paired differences in [-1, 1] and its 95 % interval by the paired bootstrap: (mean, low, high).

    Problems are drawn with replacement, 10,000 times, the same at every call. Two problems are added, one that rose and
    one that fell by what changed problems changed (in root mean square; where none did by ``step``, one sample's
    worth): with one sample each that is the adjustment of Bonett and Price (2012, JEBS 37:479-488), without which few
    flips give too short an interval and none an empty one. Percentiles are widened as Hesterberg has it (2015, Am.
    Stat. 69:371-386, section 3.2), since a bootstrap's spread is that of N and not of N - 1.
    """
    from statistics import NormalDist

    import numpy

    if not differences:
        raise ValueError("difference of paired problems: there are none")
    mean = math.fsum(differences) / len(differences)
    changed = [difference * difference for difference in differences if difference]
    size = math.sqrt(math.fsum(changed) / len(changed)) if changed else step
    values, counts = numpy.unique(numpy.array([*differences, size, -size]), return_counts=True)
    count = len(differences) + 2
    drawn = numpy.random.default_rng(0).multinomial(count, counts / count, size=RESAMPLES) @ values / count
    tail = NormalDist().cdf(-_student(count - 1) * math.sqrt(count / (count - 1)))
    low, high = numpy.quantile(drawn, [tail, 1 - tail])
    return mean, max(-1.0, min(mean, float(low))), min(1.0, max(mean, float(high)))


def _student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, to 1 % from three degrees of freedom on (Cornish and Fisher 1938)."""
    z = Z95
    first = (z**3 + z) / (4 * freedom)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    return z + first + second + third


def holm(ps: Sequence[float]) -> list[float]:
    """p-values adjusted for being several, in their order (S. Holm 1979, Scand. J. Stat. 6:65-70)."""
    adjusted, most = [0.0] * len(ps), 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        most = max(most, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = most
    return adjusted


def detectable(problems: int, variance: float, alpha: float, least: float = 0.0, power: float = 0.8) -> float | None:
    """The smallest true drop of a score that a one-sided ``sign_flip`` at ``alpha`` finds with this power.

    ``variance`` is that of a problem's difference where nothing has changed: with one sample each the share of
    problems that flip between two equal models. A drop counts only if at least ``least`` of it is seen. Normal
    approximation, with one flip for the test's being discrete. None where no drop would be found.
    """
    from statistics import NormalDist

    beyond, sure = NormalDist().inv_cdf(1 - alpha), NormalDist().inv_cdf(power)

    def found(drop: float) -> bool:
        spread = min(1.0, variance + drop)
        needed = max(beyond * math.sqrt(spread / problems) + 1 / problems, least)
        return drop - needed >= sure * math.sqrt(max(0.0, spread - drop * drop) / problems)

    if not found(1.0):
        return None
    low, high = 0.0, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high
