"""The score of a benchmark of several parts: the mean of what its parts got."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def mean_of_parts(
    reports: Sequence[dict[str, Any]], apart: Mapping[str, str], weighted: bool = False
) -> dict[str, Any] | None:
    """One more document for the reports of a benchmark's parts; None where fewer than two of them have a score.

    Parts that are ``apart`` are left out of the mean, and said. ``weighted``: each of the others weighs as many
    problems as it has, and else the same.
    """
    inside = [each for each in reports if each["scores"] and part_of(each) not in apart]
    if len(inside) < 2:
        return None
    name = inside[0]["benchmark"].partition(":")[0]
    found: dict[str, Any] = {}
    for metric in inside[0]["scores"][inside[0]["benchmark"]]:
        scores = [each["scores"][each["benchmark"]].get(metric) for each in inside]
        if all(scores):
            weights = [score["problems"] for score in scores] if weighted else ()
            found[metric] = {"name": f"{name} {inside[0]['dataset']['version']}", **mean_of_scores(scores, weights)}
    others = [part_of(each) for each in reports if each not in inside]
    left_out = [f"not in the mean: {part}" + (f" ({apart[part]})" if part in apart else "") for part in others]
    how = f"mean of {len(inside)} parts{', weighted by problems' if weighted else ''}"
    return {
        **{key: inside[0][key] for key in ("model", "profile", "dataset", "sandbox", "n")},
        "benchmark": name,
        "parts": [part_of(each) for each in inside],
        "problems": sum(each["problems"] for each in inside),
        "samples": sum(each["samples"] for each in inside),
        "scores": {name: found},
        "outcomes": {},
        "notes": [f"{how}: {', '.join(part_of(each) for each in inside)}", *left_out],
    }


def mean_of_scores(scores: Sequence[Mapping[str, Any]], weights: Sequence[float] = ()) -> dict[str, Any]:
    """Their mean, each weighing the same where no ``weights`` are given.

    Scores are independent of each other, so the halves of the interval are theirs, added as variances are.
    """
    total = sum(weights) or len(scores)
    shares = [weight / total for weight in weights or [1.0] * len(scores)]
    value = sum(share * score["value"] for share, score in zip(shares, scores, strict=True))
    low, high = (
        math.hypot(*(share * (score["value"] - score[end]) for share, score in zip(shares, scores, strict=True)))
        for end in ("low", "high")
    )
    counted = {key: sum(score[key] for score in scores) for key in ("problems", "samples")}
    return {"value": value, "low": max(0.0, value - low), "high": min(1.0, value + high), **counted}


def part_of(report: Mapping[str, Any]) -> str:
    return str(report["benchmark"]).partition(":")[2]
