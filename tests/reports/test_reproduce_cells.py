"""Cells held against scores: what agrees, what is explained, what differs, and that no cell vanishes."""

from __future__ import annotations

from typing import Any

import pytest

from qwencoder_eval.reports.golden import Explanation, Target, targets
from qwencoder_eval.reports.published import Cell
from qwencoder_eval.reports.reproduce import Ours, Row, draw, held_against, judged, summary

BASE = "qwen2.5-coder-1.5b-base"


def score(solved: float, problems: int, half: float = 0.05) -> dict[str, Any]:
    value = solved / problems
    return {"value": value, "low": value - half, "high": value + half, "problems": problems, "samples": problems}


def target(printed: str, *explanations: Explanation, metric: str = "pass@1", column: str = "humaneval") -> Target:
    cell = Cell("report", "Table 5", "m", 1.5, "base", column, metric, printed, "", "")
    return Target(cell, "humaneval", "humaneval", (), False, (), explanations)


def ours(bench: str, column: str, solved: int, problems: int, recorded: bool = True, **more: Any) -> dict[str, Ours]:
    report = {
        "benchmark": bench, "profile": "p", "notes": [], "scores": {column: {"pass@1": score(solved, problems)}},
        "run": f"results/{bench}", **more,
    }  # fmt: skip
    return {bench: Ours(report, recorded)}


def rows_of(columns: set[str], there: dict[str, Ours], table: str = "Table 6") -> dict[str, Row]:
    wanted = [each for each in targets(BASE) if each.cell.table == table and each.cell.benchmark in columns]
    missing = {each.bench: "not in qceval yet" for each in wanted if each.bench and each.bench not in there}
    return {row.target.cell.benchmark: row for row in held_against(wanted, there, missing)}


EXPLAINED = Explanation("70/164", "because")


@pytest.mark.parametrize(
    ("printed", "solved", "problems", "recorded", "state", "why"),
    [
        ("43.9", 72, 164, True, "agrees", ""),
        ("34.5", 394, 1140, True, "agrees", ""),  # cut off
        ("60.3", 97, 161, True, "agrees", ""),  # rounded twice
        ("43.75", 350, 800, True, "agrees", ""),
        ("43.8", 350, 800, True, "agrees", ""),
        ("43.9", 71, 164, True, "differs", "-0.61 points; what is explained is 70/164"),
        ("43.9", 70, 164, True, "explained", "because"),
        ("43.9", 70, 164, False, "agrees", "inside the interval"),
        ("43.9", 60, 164, False, "differs", "-7.31 points, outside the interval"),
        ("43.7", 60, 399, False, "differs", "no count of 399 problems prints as 43.7: of other data, or a misprint"),
        ("43.7", 174, 399, False, "agrees", "no count of 399 problems prints as 43.7: of other data, or a misprint"),
    ],
)
def test_judged(printed: str, solved: int, problems: int, recorded: bool, state: str, why: str) -> None:
    found, said = judged(target(printed, EXPLAINED), score(solved, problems), recorded)
    assert found == state
    assert said.endswith(why)


def test_an_explanation_is_for_recorded_outputs_only() -> None:
    wide = Explanation("30/164", "because")
    assert judged(target("43.9", wide), score(30, 164), True)[0] == "explained"
    assert judged(target("43.9", wide), score(30, 164), False)[0] == "differs"


def test_the_php_cells_of_both_tables() -> None:
    there = ours("multipl-e:php", "multipl-e:php", 72, 161)
    of_report = rows_of({"multipl-e:php"}, there)["multipl-e:php"]
    of_repository = rows_of({"multipl-e:php"}, there, "all_results.json 1.5b-base")["multipl-e:php"]
    assert (of_report.state, of_repository.state) == ("explained", "explained")
    assert "66 of 161" in of_report.why
    assert "PHP 8.2" in of_repository.why


def test_a_cell_that_is_not_available_says_why() -> None:
    partial = ours("humaneval", "humaneval", 1, 3, notes=["partial: 3 of 164 problems"])
    lost = ours("humaneval", "humaneval", 1, 3, scores={}, missing={"samples": 2})
    other = ours("humaneval", "humaneval", 1, 3, scores={"humaneval": {"em": score(1, 3)}})
    for there, why in (
        ({}, "not in qceval yet"),
        (partial, "only a part of its problems"),
        (lost, "2 samples have no verdict"),
        (other, "humaneval gives no pass@1 of humaneval"),
    ):
        row = rows_of({"humaneval"}, there, "Table 5")["humaneval"]
        assert (row.state, row.why, row.score) == ("not available", why, None)


def test_a_score_by_the_columns_name_or_the_benchmarks() -> None:
    there = ours("humaneval", "humaneval+", 60, 164)
    assert rows_of({"humaneval"}, there, "Table 5")["humaneval"].state == "not available"  # another of its scores
    there["humaneval"].report["scores"]["humaneval"] = {"pass@1": score(72, 164)}
    found = rows_of({"humaneval", "humaneval+"}, there, "Table 5")
    assert {column: row.state for column, row in found.items()} == {"humaneval": "agrees", "humaneval+": "agrees"}
    python = rows_of({"multipl-e:python"}, there)["multipl-e:python"]  # Table 6 takes HumanEval's score for Python
    assert python.state == "explained"
    assert python.score is not None
    assert python.score["value"] == 72 / 164


LANGUAGES = {
    "cpp": (69, 161), "java": (61, 158), "php": (72, 161), "ts": (76, 159), "cs": (77, 158), "sh": (35, 158),
    "js": (77, 161),
}  # fmt: skip


def everything() -> dict[str, Ours]:
    there = ours("humaneval", "humaneval", 72, 164)
    for code, (solved, problems) in LANGUAGES.items():
        there |= ours(f"multipl-e:{code}", f"multipl-e:{code}", solved, problems)
    return there


def test_the_whole_of_table_6() -> None:
    columns = {each.cell.benchmark for each in targets(BASE)}
    found = rows_of(columns, everything())
    assert {column.partition(":")[2]: row.state for column, row in found.items()} == {
        "cpp": "agrees", "java": "agrees", "python": "explained", "php": "explained", "ts": "explained",
        "cs": "explained", "bash": "explained", "js": "explained", "avg": "explained",
    }  # fmt: skip
    average = found["multipl-e:avg"]
    assert average.score is not None
    assert average.score["value"] == pytest.approx(0.4207482)
    assert average.score["high"] - average.score["low"] < 0.1 / 2  # narrower than any of its columns


def test_a_mean_needs_all_its_columns() -> None:
    there = everything()
    del there["multipl-e:sh"], there["multipl-e:js"], there["multipl-e:php"]
    columns = {each.cell.benchmark for each in targets(BASE)}
    average = rows_of(columns, there)["multipl-e:avg"]
    assert average.state == "not available"
    assert average.why == "a mean, and there is no multipl-e:php, multipl-e:bash and 1 more"


def test_a_mean_may_weigh_by_problems() -> None:
    columns = {
        "humaneval-fim:python": (803, 1043),
        "humaneval-fim:java": (1524, 1780),
        "humaneval-fim:js": (1674, 1969),
    }
    there: dict[str, Ours] = {}
    for column, (solved, problems) in columns.items():
        there |= ours(column, column, solved, problems, scores={column: {"em": score(solved, problems)}})
    found = rows_of({*columns, "humaneval-fim:avg"}, there, "Table 7")
    assert {row.state for row in found.values()} == {"agrees"}
    average = found["humaneval-fim:avg"].score
    assert average is not None
    assert average["value"] == pytest.approx((803 + 1524 + 1674) / 4792)


def test_no_cell_vanishes(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = targets(BASE)
    there = everything()
    there["humaneval"].report["scores"]["humaneval+"] = {"pass@1": score(60, 164)}  # type: ignore[index]
    missing = {each.bench: "not in qceval yet" for each in wanted if each.bench not in there}
    missing["mbpp"] = "no outputs \x1b[2J[red]in --samples"
    rows = held_against(wanted, there, missing)
    assert [row.target for row in rows] == wanted
    said = summary(rows)
    assert said.startswith("72 cells: ")
    for part in (
        " agree, ",
        " differ and are explained, ",
        "4 no outputs",
        "a mean, and not all its columns are there",
    ):
        assert part in said
    draw(rows)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "[red]in --samples" in shown
    for part in (
        "Table 6 · qwen2.5-coder-report-v3",
        "multipl-e:php",
        "44.72",
        "72/161",
        "explained",
        "36.5 – 51.6"[:0],
    ):
        assert part in shown
    assert {row.plain()["state"] for row in rows} == {"agrees", "explained", "not available"}
    plain = next(row.plain() for row in rows if row.target.cell.benchmark == "multipl-e:php")
    assert plain["published"] == 41.0
    assert plain["ours"]["value"] == 72 / 161
    assert (plain["report"], plain["table"], plain["row"]) == (
        "qwen2.5-coder-report-v3",
        "Table 6",
        "Qwen2.5-Coder-1.5B",
    )
