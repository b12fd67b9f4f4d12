"""A benchmark's scores over time, as a table with a plot in it, or as an SVG: runs of one rule are one series."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from html import escape
from typing import Any

from ..runs.directory import safe_name
from ..runs.reading import Finished
from .table import for_terminal

PLOT = 40  # characters
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a")
LEFT, RIGHT, TOP, WIDTH, HEIGHT = 60, 20, 20, 1200, 300  # of the SVG and of the plot in it (pixels)
LABEL = 90  # what the label of a run needs: runs stand that far apart where there is room
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2)  # from line to line


@dataclass(frozen=True)
class Point:
    run: Finished
    value: float
    low: float
    high: float

    @property
    def revision(self) -> str:
        """Of the model, short; empty where nobody knows it."""
        return str(self.run.described.get("generation", {}).get("revision") or "")[:12]

    def plain(self) -> dict[str, Any]:
        report = self.run.report
        return {
            "started": self.run.started, "model": self.run.model, "revision": self.revision or None,
            "value": self.value, "low": self.low, "high": self.high, "problems": report["problems"],
            "samples": report["samples"], "notes": self.run.notes, "run": str(self.run.path),
        }  # fmt: skip


@dataclass(frozen=True)
class Series:
    """Runs whose scores may stand beside each other, the earliest first."""

    column: str
    check: str
    metric: str
    points: Sequence[Point]

    @property
    def name(self) -> str:
        run = self.points[0].run
        return f"{self.check} {run.version} · {self.metric} · profile {run.profile} · {run.report['problems']} problems"

    def plain(self) -> dict[str, Any]:
        run = self.points[0].run
        known = {"check": self.check, "metric": self.metric, "profile": run.profile, "version": run.version}
        return {"column": self.column, **known, "runs": [point.plain() for point in self.points]}


def named(model: str, pattern: str) -> bool:
    """A model by its name, its folder's name or the last part of either, or by a pattern of the shell's for them."""
    names = {model, safe_name(model), model.rstrip("/").rpartition("/")[2]}
    return pattern in names or any(fnmatchcase(name, pattern) for name in names)


def history(runs: Iterable[Finished], model: str, benchmark: str, profile: str | None = None) -> list[Series]:
    """The series of these models, in the order of their first runs. ``benchmark`` may be one of its scores, too."""
    found: dict[tuple[str, str, str], list[Point]] = {}
    for run in sorted(runs, key=lambda run: (run.started, run.model, str(run.path))):
        if not named(run.model, model) or profile not in (None, run.profile):
            continue
        check = benchmark if benchmark in run.checks else run.checks[0] if run.benchmark == benchmark else ""
        for metric, score in list(run.report["scores"].get(check, {}).items())[:1]:
            point = Point(run, score["value"], score["low"], score["high"])
            found.setdefault((run.column, check, metric), []).append(point)
    return [Series(*key, points) for key, points in found.items()]


def draw(series: Sequence[Series]) -> None:
    """A table for each series on standard output, with every score and its interval drawn to one scale."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    lowest, highest = _bounds(series)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=160)
    for one in series:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for title in ("started", "model", "revision"):
            table.add_column(title)
        table.add_column("score", justify="right", no_wrap=True)
        scale = f"{100 * lowest:.1f}"
        table.add_column(f"{scale}{100 * highest:>{PLOT - len(scale)}.1f}", no_wrap=True)
        table.add_column("run", overflow="fold")
        for point in one.points:
            table.add_row(
                Text(for_terminal(point.run.started[:16].replace("T", " "))), Text(for_terminal(point.run.model)),
                Text(for_terminal(point.revision)),
                f"{100 * point.value:.1f} ({100 * point.low:.1f} – {100 * point.high:.1f})",
                Text(bar(point, lowest, highest)), Text(for_terminal(point.run.path.name)),
            )  # fmt: skip
        console.print(Text(for_terminal(one.name), style="bold"))
        console.print(table)


def bar(point: Point, lowest: float, highest: float) -> str:
    """A score with its interval, as ``  ├──●───┤``."""

    def place(value: float) -> int:
        return round((value - lowest) / (highest - lowest) * (PLOT - 1))

    low, at, high = place(point.low), place(point.value), place(point.high)
    drawn = [" "] * low + ["─"] * (high - low + 1)
    drawn[low], drawn[high] = "├", "┤"
    drawn[at] = "●"
    return "".join(drawn)


def _bounds(series: Sequence[Series]) -> tuple[float, float]:
    """A range of whole hundredths that holds every interval."""
    points = [point for one in series for point in one.points]
    lowest = math.floor(100 * min(point.low for point in points)) / 100
    highest = math.ceil(100 * max(point.high for point in points)) / 100
    return (lowest, highest) if highest > lowest else (lowest - 0.01, highest + 0.01)


def svg(series: Sequence[Series], title: str) -> str:
    """The same as a picture: runs from left to right as they were begun, a colour for each series."""
    order = sorted({point.run.path: point.run for one in series for point in one.points}.values(), key=_when)
    step = max(4, min(LABEL, WIDTH // len(order)))
    column = {run.path: LEFT + LABEL // 2 + step * number for number, run in enumerate(order)}
    lowest, highest = _bounds(series)
    width, bottom = LEFT + step * (len(order) - 1) + LABEL + RIGHT, TOP + HEIGHT
    height = bottom + 60 + 18 * len(series)

    def y(value: float) -> float:
        return bottom - (value - lowest) / (highest - lowest) * HEIGHT

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="12"><title>{_text(title)}</title>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
    ]
    tick = next((each for each in TICKS if (highest - lowest) / each <= 7), TICKS[-1])
    for number in range(math.ceil(lowest / tick - 1e-9), math.floor(highest / tick + 1e-9) + 1):
        value = number * tick
        parts.append(f'<path d="M{LEFT} {y(value):.1f}H{width - RIGHT}" stroke="#d0d7de"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{100 * value:.0f} %</text>')
    for run in order[:: math.ceil(LABEL / step)]:
        x = column[run.path]
        parts.append(f'<text x="{x}" y="{bottom + 20}" text-anchor="middle">{_text(run.started[:10])}</text>')
        shown = run.model if len(run.model) <= 14 else f"…{run.model[-13:]}"
        parts.append(f'<text x="{x}" y="{bottom + 36}" text-anchor="middle">{_text(shown)}</text>')
    for number, one in enumerate(series):
        colour = COLOURS[number % len(COLOURS)]
        places = [(column[point.run.path], point) for point in one.points]
        line = " ".join(f"{x},{y(point.value):.1f}" for x, point in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, point in places:
            said = f"{point.run.model}: {100 * point.value:.1f} % ({100 * point.low:.1f} – {100 * point.high:.1f})"
            parts.append(
                f'<g stroke="{colour}" fill="{colour}"><title>{_text(said)}</title>'
                f'<path d="M{x} {y(point.low):.1f}V{y(point.high):.1f}"/>'
                f'<path d="M{x - 5} {y(point.low):.1f}h10M{x - 5} {y(point.high):.1f}h10"/>'
                f'<circle cx="{x}" cy="{y(point.value):.1f}" r="4"/></g>'
            )
        legend = f'<text x="{LEFT}" y="{bottom + 62 + 18 * number}" fill="{colour}">● {_text(one.name)}</text>'
        parts.append(legend)
    return "\n".join([*parts, "</svg>\n"])


def _when(run: Finished) -> tuple[str, str, str]:
    return run.started, run.model, str(run.path)


def _text(text: str) -> str:
    return escape(for_terminal(text))
