"""What the page's figures are drawn from: intervals, pass@k curves, outcomes, sizes, and tables of two axes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from ..runs.reading import Finished
from ..statistics import pass_at_k
from .leaderboard import Column, Leaderboard, Row
from .rebuilt import Rebuilt

CURVE_POINTS = 24  # of a pass@k curve, evenly on a logarithmic axis
AXIS = 40  # values of an axis that are drawn; a table of more says nothing
GROUP = re.compile(r"(?P<check>.+)\[(?P<group>[^=\[\]]+)=(?P<value>.*)\]")


def curve(passed: Mapping[str, tuple[int, int]]) -> list[tuple[int, float]]:
    """pass@k for k from 1 to the samples that every problem has; empty where that is one."""
    n = min((n for n, _ in passed.values()), default=0)
    if n < 2:
        return []
    found = Counter(passed.values())
    return [
        (k, sum(times * pass_at_k(count, c, k) for (count, c), times in found.items()) / len(passed)) for k in ks(n)
    ]


def ks(n: int) -> list[int]:
    return sorted({max(1, round(n ** (step / (CURVE_POINTS - 1)))) for step in range(CURVE_POINTS)})


def by_group(runs: Mapping[Row, Finished], check: str, metric: str, places: Mapping[Row, int]) -> list[dict[str, Any]]:
    """For each group that problems are in, a table of models by its values."""
    groups: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row, run in runs.items():
        for name, metrics in run.groups.items():
            if (found := GROUP.fullmatch(name)) and found["check"] == check and metric in metrics:
                groups[found["group"]][found["value"]][places[row]] = metrics[metric]["value"]
    return [
        {"title": f"{check} by {group}", "columns": list(values)[:AXIS], "left_out": len(values) - AXIS,
         "rows": [[row, [values[value].get(row) for value in list(values)[:AXIS]]] for row in _rows(values)]}
        for group, values in groups.items() if len(values) > 1
    ]  # fmt: skip


def _rows(values: Mapping[str, Mapping[int, float]]) -> list[int]:
    return sorted({row for cells in values.values() for row in cells})


def two_groups(runs: Mapping[Row, Finished], check: str, known: Rebuilt, places: Mapping[Row, int]) -> dict[str, Any]:
    """One group by the other, a table for each model, where problems have exactly two groups; else empty."""
    names = sorted({name for problem in known.problems.values() for name in problem.groups})
    if len(names) != 2:
        return {}
    down, across = names
    axes = [list(dict.fromkeys(problem.groups.get(name, "") for problem in known.problems.values())) for name in names]
    if any(not 1 < len(axis) <= AXIS for axis in axes):
        return {}
    tables = []
    for row, run in runs.items():
        cells: dict[tuple[str, str], list[float]] = defaultdict(list)
        for problem, (n, c) in run.passed[check].items():
            if found := known.problems.get(problem):
                cells[found.groups.get(down, ""), found.groups.get(across, "")].append(c / n)
        means = {place: sum(values) / len(values) for place, values in cells.items()}
        tables.append([places[row], [[means.get((one, other)) for other in axes[1]] for one in axes[0]]])
    return {"title": f"{check}: {down} by {across}", "down": axes[0], "across": axes[1], "tables": tables}


def sheets(board: Leaderboard, known: Mapping[str, Rebuilt]) -> list[dict[str, Any]]:
    """Of all columns of the same runs what there is to draw. ``known`` goes by sheet."""
    places = {row: at for at, row in enumerate(board.rows)}
    grouped: dict[str, list[Column]] = defaultdict(list)
    for column in board.columns:
        grouped[column.sheet].append(column)
    return [sheet(board, columns, known.get(name, Rebuilt()), places) for name, columns in grouped.items()]


def sheet(board: Leaderboard, columns: Sequence[Column], known: Rebuilt, places: Mapping[Row, int]) -> dict[str, Any]:
    first = columns[0]
    heat: list[dict[str, Any]] = []
    curves: dict[str, list[Any]] = {}
    for check in dict.fromkeys(column.check for column in columns):
        metric = next(column for column in columns if column.check == check)
        runs = {
            row: board.runs[cell.run]
            for row in board.rows if (cell := board.cell(row, metric)) and cell.run is not None
        }  # fmt: skip
        heat += by_group(runs, check, metric.metric, places)
        if cross := two_groups(runs, check, known, places):
            heat.append(cross)
        curves[check] = [[places[row], points] for row, run in runs.items() if (points := curve(run.passed[check]))]
    if first.parts:
        heat += [parts(board, column, places) for column in columns]
    return {
        "id": first.sheet,
        "title": first.benchmark,
        "rules": first.rules,
        "family": first.family,
        "columns": [board.columns.index(column) for column in columns],
        "curves": {check: found for check, found in curves.items() if found},
        "heat": heat,
    }


def parts(board: Leaderboard, mean: Column, places: Mapping[Row, int]) -> dict[str, Any]:
    """Models by the parts of a mean."""
    cells = [(places[row], [board.cells.get((row, key)) for key in mean.parts.values()])
             for row in board.rows if board.cell(row, mean)]  # fmt: skip
    rows = [[row, [cell and cell.value for cell in own]] for row, own in cells]
    return {"title": f"{mean.benchmark}, {mean.metric}, by part", "columns": list(mean.parts), "rows": rows}
