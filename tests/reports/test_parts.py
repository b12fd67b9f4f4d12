"""The mean of a benchmark's parts."""

from __future__ import annotations

import math
from typing import Any

import pytest

from qwencoder_eval.reports.parts import mean_of_parts
from qwencoder_eval.reports.table import draw


def report(part: str, value: float, half: float = 0.1, problems: int = 100, **others: Any) -> dict[str, Any]:
    name = f"m:{part}"
    score = {"value": value, "low": value - half, "high": value + half, "problems": problems, "samples": problems}
    return {
        "benchmark": name, "model": "a", "profile": "p", "dataset": {"version": "1", "sha256": "x"}, "n": 1,
        "sandbox": "docker", "problems": problems, "samples": problems, "outcomes": {}, "notes": [],
        "scores": {name: {"pass@1": {"name": f"{name} 1", **score}}}, **others,
    }  # fmt: skip


def test_every_part_weighs_the_same() -> None:
    mean = mean_of_parts([report("a", 0.2, problems=10), report("b", 0.6, problems=1000)], {})
    assert mean is not None
    score = mean["scores"]["m"]["pass@1"]
    assert score["value"] == pytest.approx(0.4)
    assert (score["problems"], score["name"]) == (1010, "m 1")
    assert mean["notes"] == ["mean of 2 parts: a, b"]


def test_parts_can_weigh_as_many_problems_as_they_have() -> None:
    reports = [report("a", 0.2, 0.1, problems=10), report("b", 0.6, 0.01, problems=30), report("c", 0.9, problems=9)]
    mean = mean_of_parts(reports, {"c": "another matter"}, weighted=True)
    assert mean is not None
    score = mean["scores"]["m"]["pass@1"]
    assert score["value"] == pytest.approx((10 * 0.2 + 30 * 0.6) / 40)
    half = math.hypot(0.25 * 0.1, 0.75 * 0.01)
    assert (score["low"], score["high"]) == pytest.approx((0.5 - half, 0.5 + half))
    assert mean["notes"] == [
        "mean of 2 parts, weighted by problems: a, b", "not in the mean: c (another matter)",
    ]  # fmt: skip


def test_the_interval_of_a_mean_is_narrower() -> None:
    mean = mean_of_parts([report(part, 0.5, 0.1) for part in "abcd"], {})
    assert mean is not None
    score = mean["scores"]["m"]["pass@1"]
    assert (score["low"], score["high"]) == pytest.approx((0.45, 0.55))


def test_parts_that_stand_apart_or_have_no_score_are_named() -> None:
    reports = [report("a", 0.2), report("b", 0.4), report("python", 0.9), report("c", 0.1, scores={})]
    mean = mean_of_parts(reports, {"python": "its score is HumanEval's"})
    assert mean is not None
    assert mean["scores"]["m"]["pass@1"]["value"] == pytest.approx(0.3)
    assert mean["parts"] == ["a", "b"]
    assert mean["notes"][1:] == ["not in the mean: python (its score is HumanEval's)", "not in the mean: c"]


def test_one_part_has_no_mean() -> None:
    assert mean_of_parts([report("a", 0.2)], {}) is None
    assert mean_of_parts([report("a", 0.2), report("python", 0.2)], {"python": "apart"}) is None


def test_only_metrics_that_all_parts_have() -> None:
    more = report("b", 0.4)
    more["scores"]["m:b"]["pass@10"] = more["scores"]["m:b"]["pass@1"]
    mean = mean_of_parts([more, report("a", 0.2)], {})
    assert mean is not None
    assert list(mean["scores"]["m"]) == ["pass@1"]


def test_it_can_be_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    reports = [report("a", 0.2), report("b", 0.4)]
    mean = mean_of_parts(reports, {})
    assert mean is not None
    draw([*reports, mean])
    assert "30.0 %" in capsys.readouterr().out
