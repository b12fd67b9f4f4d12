"""Published cells held against scores of ours: which agree, which differ for a known reason, which just differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Any, Literal

from .golden import Target
from .parts import mean_of_scores
from .published import counts, prints
from .table import for_terminal

State = Literal["agrees", "explained", "differs", "not available"]
COLOURS = {"agrees": "green", "explained": "yellow", "differs": "bold red", "not available": "dim"}
MEAN = "a mean, and not all its columns are there"


@dataclass(frozen=True)
class Ours:
    """What there is of a benchmark: the document of its run. ``recorded``: of outputs that were recorded elsewhere."""

    report: Mapping[str, Any]
    recorded: bool


@dataclass(frozen=True)
class Row:
    """A published cell and what became of it; ``score`` is None where it is not available."""

    target: Target
    state: State
    why: str
    score: Mapping[str, Any] | None = None
    profile: str = ""
    recorded: bool = False
    run: str = ""
    notes: tuple[str, ...] = ()  # of the run

    def plain(self) -> dict[str, Any]:
        """The row of the document that --json prints; published is a percentage, ours are fractions."""
        cell, score = self.target.cell, self.score
        return {
            "report": cell.source, "table": cell.table, "row": cell.model, "column": cell.benchmark,
            "metric": cell.metric, "published": cell.value, "note": cell.note, "benchmark": self.target.bench or None,
            "profile": self.profile or None, "recorded": self.recorded if score else None,
            "ours": {key: score[key] for key in ("value", "low", "high", "problems", "samples")} if score else None,
            "state": self.state, "why": self.why, "notes": list(self.notes), "run": self.run or None,
        }  # fmt: skip


def held_against(targets: Sequence[Target], ours: Mapping[str, Ours], missing: Mapping[str, str]) -> list[Row]:
    """A row for each target. ``ours`` goes by benchmark; ``missing`` says of the others why there is nothing."""
    found: dict[tuple[str, str, str], Row] = {}

    def key(target: Target, column: str) -> tuple[str, str, str]:
        return target.cell.source, target.cell.table, column

    for target in targets:
        if not target.of:
            found[key(target, target.cell.benchmark)] = _of_benchmark(target, ours, missing)
    for target in targets:
        if target.of:
            parts = {column: found.get(key(target, column)) for column in target.of}
            found[key(target, target.cell.benchmark)] = _of_mean(target, parts)
    return [found[key(target, target.cell.benchmark)] for target in targets]


def _of_benchmark(target: Target, ours: Mapping[str, Ours], missing: Mapping[str, str]) -> Row:
    cell = target.cell
    if target.bench not in ours:
        return Row(target, "not available", missing[target.bench])
    report, recorded = ours[target.bench].report, ours[target.bench].recorded
    score = report["scores"].get(target.check, {}).get(cell.metric)
    run, profile = str(report.get("run", "")), str(report["profile"])
    if score is None:
        lost = report.get("missing")
        why = (
            f"{lost['samples']} samples have no verdict"
            if lost
            else f"{target.bench} gives no {cell.metric} of {target.check}"
        )
        return Row(target, "not available", why, None, profile, recorded, run)
    if is_partial(report["notes"]):
        return Row(target, "not available", "only a part of its problems", None, profile, recorded, run)
    state, why = judged(target, score, recorded)
    return Row(target, state, why, score, profile, recorded, run, tuple(report["notes"]))


def is_partial(notes: Sequence[str]) -> bool:
    return any(note.startswith("partial:") for note in notes)


def _of_mean(target: Target, parts: Mapping[str, Row | None]) -> Row:
    if without := [column for column, row in parts.items() if row is None or row.score is None]:
        shown = ", ".join(without[:2]) + (f" and {len(without) - 2} more" if len(without) > 2 else "")
        return Row(target, "not available", f"a mean, and there is no {shown}")
    rows = [row for row in parts.values() if row]
    scores = [row.score for row in rows if row.score]
    score = mean_of_scores(scores, [each["problems"] for each in scores] if target.by_problems else ())
    recorded = all(row.recorded for row in rows)
    profiles = dict.fromkeys(row.profile for row in rows)
    state, why = judged(target, score, recorded)
    return Row(target, state, why, score, ", ".join(profiles), recorded)


def judged(target: Target, score: Mapping[str, Any], recorded: bool) -> tuple[State, str]:
    """Of recorded outputs the number itself must come out; of a model that answered anew, what chance allows for."""
    cell, value = target.cell, score["value"]
    off = f"{100 * value - cell.value:+.2f} points"
    if recorded:
        if prints(Decimal(str(round(100 * value, 9))), cell.printed):
            return "agrees", ""
        for explanation in target.explanations:
            if explanation.fits(value, score["problems"]):
                return "explained", explanation.why
        state: State = "differs"
        why = [off]
        if target.explanations:
            why.append(f"what is explained is {' or '.join(each.ours for each in target.explanations)}")
    elif score["low"] <= cell.value / 100 <= score["high"]:
        state, why = "agrees", ["inside the interval"]
    else:
        state, why = "differs", [f"{off}, outside the interval"]
    if not target.of and cell.metric == "pass@1" and not any(True for _ in counts(cell.printed, score["problems"])):
        why.append(f"no count of {score['problems']} problems prints as {cell.printed}: of other data, or a misprint")
    return state, "; ".join(why)


def summary(rows: Sequence[Row]) -> str:
    states = Counter(row.state for row in rows)
    said = [
        f"{states['agrees']} agree",
        f"{states['explained']} differ and are explained",
        f"{states['differs']} differ",
    ]
    reasons = Counter(_reason(row) for row in rows if row.score is None)
    listed = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    said.append(f"{states['not available']} not available" + (f" ({listed})" if listed else ""))
    return f"{len(rows)} cells: " + ", ".join(said)


def draw(rows: Sequence[Row]) -> None:
    """A table for each published one, with the cells that are not available below it; then how many cells agree."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=140)
    for (source, name), cells_of_it in groupby(rows, lambda row: (row.target.cell.source, row.target.cell.table)):
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("column", no_wrap=True)
        for title in ("published", "ours", "95 % interval", "solved"):
            table.add_column(title, justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        table.add_column("why", ratio=1)
        absent: dict[str, list[str]] = {}
        for row in cells_of_it:
            cell = row.target.cell
            if row.score is None:
                absent.setdefault(_reason(row), []).append(f"{cell.benchmark} {cell.printed}")
                continue
            why = "; ".join(filter(None, (row.why, *row.notes)))
            numbers = _numbers(row, row.score)
            table.add_row(
                cell.benchmark,
                cell.printed,
                *numbers,
                Text(row.state, style=COLOURS[row.state]),
                Text(for_terminal(why)),
            )
        console.print(Text(f"{name} · {source}", style="bold"))
        if table.row_count:
            console.print(table)
        for reason, named in absent.items():
            console.print(Text(for_terminal(f"{reason}: {', '.join(named)}"), style="dim"))
        console.print()
    console.print(Text(for_terminal(summary(rows))), soft_wrap=True)


def _reason(row: Row) -> str:
    return MEAN if row.target.of else row.why


def _numbers(row: Row, score: Mapping[str, Any]) -> tuple[str, str, str]:
    solved = score["value"] * score["problems"]
    whole = not row.target.of and abs(solved - round(solved)) < 1e-6
    return (
        f"{100 * score['value']:.2f}",
        f"{100 * score['low']:.1f} – {100 * score['high']:.1f}",
        f"{round(solved)}/{score['problems']}" if whole else "",
    )
