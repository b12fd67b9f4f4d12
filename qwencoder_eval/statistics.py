"""pass@k for one problem, and the mean over problems with its 95 % interval.

It imports nothing but ``math``, so that loading it costs next to nothing.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False  # importing ``typing`` or ``collections`` would cost more than this module
if TYPE_CHECKING:
    from collections.abc import Iterable

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
