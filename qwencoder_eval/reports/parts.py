"""The score of a benchmark of several parts: the mean of what its parts got, each part weighing the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def mean_of_parts(reports: Sequence[dict[str, Any]], apart: Mapping[str, str]) -> dict[str, Any] | None:
    """One more document for the reports of a benchmark's parts; None where fewer than two of them have a score.

    Parts that are ``apart`` are left out of the mean, and said. Parts are independent of each other, so the halves of
    the interval are those of the parts, added as variances are.
    """
    inside = [each for each in reports if each["scores"] and part_of(each) not in apart]
    if len(inside) < 2:
        return None
    name = inside[0]["benchmark"].partition(":")[0]
    found: dict[str, Any] = {}
    for metric in inside[0]["scores"][inside[0]["benchmark"]]:
        scores = [each["scores"][each["benchmark"]].get(metric) for each in inside]
        if all(scores):
            value = sum(score["value"] for score in scores) / len(scores)
            low, high = (math.hypot(*(score["value"] - score[end] for score in scores)) for end in ("low", "high"))
            found[metric] = {
                "name": f"{name} {inside[0]['dataset']['version']}",
                "value": value,
                "low": max(0.0, value - low / len(scores)),
                "high": min(1.0, value + high / len(scores)),
                "problems": sum(score["problems"] for score in scores),
                "samples": sum(score["samples"] for score in scores),
            }
    others = [part_of(each) for each in reports if each not in inside]
    left_out = [f"not in the mean: {part}" + (f" ({apart[part]})" if part in apart else "") for part in others]
    return {
        **{key: inside[0][key] for key in ("model", "profile", "dataset", "sandbox", "n")},
        "benchmark": name,
        "parts": [part_of(each) for each in inside],
        "problems": sum(each["problems"] for each in inside),
        "samples": sum(each["samples"] for each in inside),
        "scores": {name: found},
        "outcomes": {},
        "notes": [f"mean of {len(inside)} parts: {', '.join(part_of(each) for each in inside)}", *left_out],
    }


def part_of(report: Mapping[str, Any]) -> str:
    return str(report["benchmark"]).partition(":")[2]
