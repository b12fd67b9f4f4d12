"""The gate: did anything get worse, beyond what chance explains, and by how much could it have without being seen?

Of the allowed rate of false alarms (``alpha``, over all that a gate looks at together) half goes to the models' pooled
matrices, all problems of all benchmarks in one test, and half to the single scores, by Holm. A small drop everywhere is
found by the first, a large one somewhere by the second. What is one score of one model gets all of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..statistics import detectable, difference_interval, holm, sign_flip
from .compare import Comparison

FLIPS = 0.1  # share of problems that are taken to flip between two checkpoints of the same quality, at the least


@dataclass(frozen=True)
class Rule:
    """``alpha``: how often the gate may fail where nothing has changed. ``least``: a drop below this (a fraction) is
    let through, however sure it is.
    """

    alpha: float = 0.05
    least: float = 0.0


@dataclass(frozen=True)
class Judged:
    """One test of the gate. ``p`` is one-sided, for a drop, adjusted for all tests so that it is held against alpha.

    ``detectable``: the smallest true drop that this test finds four times of five, a fraction; None if it finds none.
    ``comparison`` is None for a pooled matrix.
    """

    model: str
    name: str
    difference: float
    low: float
    high: float
    problems: int
    p: float
    failed: bool
    detectable: float | None
    comparison: Comparison | None = None


def judge(comparisons: Sequence[Comparison], rule: Rule) -> list[Judged]:
    """Every test of the gate over all these comparisons, the pooled ones first."""
    models = list(dict.fromkeys(each.model for each in comparisons))
    pools = {model: pooled for model in models if len(pooled := _pooled(comparisons, model)) > 1}
    single = rule.alpha / 2 if pools else rule.alpha
    adjusted = holm([each.p_lower for each in comparisons])
    found = [_judged_pool(model, pool, rule, rule.alpha / 2 / len(pools)) for model, pool in pools.items()]
    for each, p in zip(comparisons, adjusted, strict=True):
        found.append(
            Judged(
                each.model,
                each.name,
                each.difference,
                each.low,
                each.high,
                each.problems,
                min(1.0, p * rule.alpha / single),
                p <= single and -each.difference >= rule.least and each.difference < 0,
                detectable(each.problems, variance(each), single / len(comparisons), rule.least),
                each,
            )
        )
    return found


def _pooled(comparisons: Sequence[Comparison], model: str) -> list[Comparison]:
    """The model's scores that are in its pool: each benchmark once, by its own check or else by its first."""
    chosen: dict[tuple[str, str], Comparison] = {}
    for each in comparisons:
        key = (each.benchmark, each.profile)
        if each.model == model and (key not in chosen or each.primary):
            chosen[key] = each
    return list(chosen.values())


def _judged_pool(model: str, pool: Sequence[Comparison], rule: Rule, alpha: float) -> Judged:
    whole = math.lcm(*(each.per_problem for each in pool))
    units = [unit * (whole // each.per_problem) for each in pool for unit in each.units]
    difference, low, high = difference_interval([unit / whole for unit in units], 1 / whole)
    _, p, _ = sign_flip(units)
    spread = sum(variance(each) * each.problems for each in pool) / len(units)
    return Judged(
        model,
        f"all {len(pool)} benchmarks",
        difference,
        low,
        high,
        len(units),
        min(1.0, p * rule.alpha / alpha),
        p <= alpha and -difference >= rule.least and difference < 0,
        detectable(len(units), spread, alpha, rule.least),
    )


def variance(comparison: Comparison) -> float:
    """Of a problem's difference between two models of the same quality, as ``detectable`` takes it.

    With one sample each it is the share of problems that flip: ``FLIPS``, or what repeats show if that is more. More
    samples bring it down. What is seen to flip both ways counts too, if it is more.
    """
    flips = max(FLIPS, comparison.floor.flips if comparison.floor else 0.0)
    base, new = (samples / comparison.problems for samples in comparison.samples)
    return max(flips * (1 / base + 1 / new) / 2, comparison.variance)
