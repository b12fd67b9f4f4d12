"""Scores over time: what is one series, how it is drawn, and that no name of a model's does harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from made_runs import made_run, outcomes_of

from qwencoder_eval.reports.history import PLOT, Point, Series, bar, draw, history, named, svg
from qwencoder_eval.runs.reading import Finished, all_finished, finished

HOSTILE = "org/step-3\x1b[2J<script>&\"'[red]"


def runs_of(results: Path, *runs: dict[str, Any]) -> list[Finished]:
    for number, run in enumerate(runs):
        right = run.pop("right", [1, 0])
        given = {"model": f"org/step-{number}", "started": f"2026-01-0{number + 1}T00:00:00Z", **run}
        made_run(results, outcomes_of(right), **given)
    return all_finished([results])[0]


@pytest.mark.parametrize(
    ("pattern", "is_meant"),
    [
        ("org/step-10", True), ("step-10", True), ("org--step-10", True), ("step-*", True), ("org/*", True),
        ("*", True), ("step-1", False), ("step-?", False), ("other/step-10", False), ("Step-*", False),
    ],
)  # fmt: skip
def test_which_models_are_meant(pattern: str, is_meant: bool) -> None:
    assert named("org/step-10", pattern) is is_meant


def test_a_name_with_the_shells_marks_is_itself() -> None:
    assert named("m[1]", "m[1]")
    assert named("/data/ckpt/step-7/", "step-7")


def test_the_earliest_first_and_checkpoints_together(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, {"started": "2026-03-01T00:00:00Z"}, {}, {"model": "other"}, {"right": [1, 1]})
    (series,) = history(runs, "step-*", "bench")
    assert [point.run.model for point in series.points] == ["org/step-1", "org/step-3", "org/step-0"]
    assert [point.value for point in series.points] == [0.5, 1.0, 0.5]
    assert series.name == "bench v1 · pass@1 · profile p · 2 problems"


@pytest.mark.parametrize(
    "change",
    [
        {"profile": "q"}, {"dataset": "e" * 64, "version": "v2"}, {"scoring": {"version": 2}},
        {"right": [1, 0, 1]},  # of more problems
    ],
)  # fmt: skip
def test_runs_of_other_rules_are_another_series(tmp_path: Path, change: dict[str, Any]) -> None:
    runs = runs_of(tmp_path, {}, change, {})
    found = history(runs, "step-*", "bench")
    assert [len(series.points) for series in found] == [2, 1]
    assert len({series.column for series in found}) == 2


def test_a_new_image_is_no_other_series(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, {}, {"scoring": {"sandbox": {"python": "sha256:2"}}})
    assert len(history(runs, "*", "bench")) == 1


def test_one_of_several_scores_and_a_profile(tmp_path: Path) -> None:
    outcomes = {"p0": [{"bench": "passed", "bench+": "wrong"}], "p1": [{"bench": "passed", "bench+": "passed"}]}
    run = finished(made_run(tmp_path, outcomes))
    assert [one.points[0].value for name in ("bench", "bench+") for one in history([run], "*", name)] == [1.0, 0.5]
    assert history([run], "*", "bench", "other") == []
    assert history([run], "*", "nothing") == []
    assert len(history([run], "*", "bench", "p")) == 1


def test_a_bar_is_drawn_to_scale(tmp_path: Path) -> None:
    run = finished(made_run(tmp_path, outcomes_of([1, 0])))
    assert bar(Point(run, 0.5, 0.0, 1.0), 0.0, 1.0) == "├" + "─" * 19 + "●" + "─" * 18 + "┤"
    assert bar(Point(run, 0.5, 0.5, 0.5), 0.0, 1.0).strip() == "●"
    assert len(bar(Point(run, 1.0, 0.9, 1.0), 0.0, 1.0)) == PLOT


def test_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = runs_of(tmp_path, {"generation": {"revision": "0123456789abcdef"}}, {"model": HOSTILE}, {"profile": "q"})
    draw(history(runs, "step-*", "bench"))
    shown = capsys.readouterr().out
    for part in (
        "2026-01-01 00:00",
        "0123456789ab ",
        "50.0 (9.5 – 90.5)",
        "├",
        "profile q",
        "[red]",
        "step-3·<script>",
    ):
        assert part in shown
    assert "\x1b" not in shown


def test_the_picture_is_svg_whatever_a_model_is_called(tmp_path: Path) -> None:
    runs = runs_of(tmp_path, {}, {"model": HOSTILE}, {"profile": "q"}, {"right": [0, 0]})
    series = history(runs, "step-*", "bench")
    text = svg(series, HOSTILE)
    root = ElementTree.fromstring(text)
    assert "\x1b" not in text
    assert "<script" not in text
    tags = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert tags.count("circle") == 4
    assert tags.count("polyline") == len(series) == 2
    circles = [element for element in root.iter() if element.tag.endswith("circle")]
    assert [float(circle.get("cx", "0")) for circle in circles[:3]] == sorted(
        float(c.get("cx", "0")) for c in circles[:3]
    )
    titles = [element.text or "" for element in root.iter() if element.tag.endswith("title")]
    assert any("50.0 % (9.5 – 90.5)" in title for title in titles)


def test_many_runs_fit_a_picture(tmp_path: Path) -> None:
    run = finished(made_run(tmp_path, outcomes_of([1, 0])))
    points = [
        Point(Finished(Path(f"run-{n}"), run.described, run.report), 0.4 + n / 1000, 0.3, 0.6) for n in range(200)
    ]
    root = ElementTree.fromstring(svg([Series("c", "bench", "pass@1", points)], "many"))
    assert 1000 < float(root.get("width", "0")) < 1500
    texts = [element.text or "" for element in root.iter() if element.tag.endswith("text")]
    assert sum(text.startswith("2026-") for text in texts) == 14
    assert [text for text in texts if text.endswith(" %")] == ["30 %", "35 %", "40 %", "45 %", "50 %", "55 %", "60 %"]


def test_a_run_is_one_line_of_json(tmp_path: Path) -> None:
    (series,) = history(runs_of(tmp_path, {"generation": {"revision": "r"}, "notes": ["unsandboxed"]}), "*", "bench")
    plain = series.plain()
    assert (plain["check"], plain["metric"], plain["profile"], plain["version"]) == ("bench", "pass@1", "p", "v1")
    (run,) = plain["runs"]
    assert (run["model"], run["revision"], run["value"], run["problems"]) == ("org/step-0", "r", 0.5, 2)
    assert run["notes"] == ["unsandboxed"]
