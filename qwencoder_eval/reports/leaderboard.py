"""Models by benchmarks: what every format of a report shows.

A column is one metric of one check under one rule: runs whose dataset, problems, scoring rule or profile differ never
share one. A row is a model; runs of other weights under the same name are another row.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..runs.directory import digest
from ..runs.reading import Finished
from ..statistics import sign_flip
from .families import family, size_of, stem
from .parts import mean_of_parts, part_of
from .table import for_terminal

if TYPE_CHECKING:
    from .contamination import Contamination

SIGNIFICANT = 0.05
REFERENCE, UNSANDBOXED = "reference solutions", "unsandboxed"
KINDS = ("model", REFERENCE, "published")  # of rows, in this order


@dataclass(frozen=True)
class Row:
    """``size`` is in billions of parameters; ``told_apart`` is what tells it from another row of this name."""

    model: str
    kind: str = "model"
    size: float | None = None
    told_apart: str = ""

    @property
    def name(self) -> str:
        return for_terminal(f"{self.model} ({self.told_apart})" if self.told_apart else self.model)

    @property
    def order(self) -> tuple[Any, ...]:
        return KINDS.index(self.kind), stem(self.model).lower(), self.size or math.inf, self.name


@dataclass(frozen=True)
class Column:
    """``sheet`` is equal for all columns of the same runs. ``notes`` are sentences for the legend."""

    key: str
    sheet: str
    benchmark: str
    check: str
    metric: str
    version: str
    profile: str
    told_apart: str = ""
    notes: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict, hash=False)  # of a mean: names, and keys of their columns
    ceiling: float | None = None

    @property
    def family(self) -> str:
        return family(self.benchmark)[2]

    @property
    def rules(self) -> str:
        return for_terminal(" · ".join(filter(None, (self.version, self.profile, self.told_apart))))

    @property
    def name(self) -> str:
        return f"{for_terminal(self.check)} {self.rules} {self.metric}"

    @property
    def order(self) -> tuple[Any, ...]:
        whole, _, part = self.benchmark.partition(":")
        k = int(self.metric.rpartition("@")[2]) if self.metric.rpartition("@")[2].isdecimal() else 0
        told = (self.version, self.profile, self.told_apart)
        return (*family(self.benchmark)[:2], whole, told, not part, part, self.check, k, self.metric)


@dataclass(frozen=True)
class Cell:
    """Values are fractions; a published one has no interval. ``run`` is a place in ``Leaderboard.runs``."""

    value: float
    low: float | None = None
    high: float | None = None
    problems: int = 0
    samples: int = 0
    notes: tuple[str, ...] = ()
    run: int | None = None
    best: bool = False


@dataclass
class Leaderboard:
    """``said``: a line for every run that was found and does not count. ``contamination``: where it was asked for."""

    rows: list[Row] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)
    cells: dict[tuple[Row, str], Cell] = field(default_factory=dict)
    runs: list[Finished] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    contamination: Contamination | None = None

    def cell(self, row: Row, column: Column) -> Cell | None:
        return self.cells.get((row, column.key))

    @property
    def families(self) -> dict[str, list[Column]]:
        found: dict[str, list[Column]] = {}
        for column in self.columns:
            found.setdefault(column.family, []).append(column)
        return found

    @property
    def legend(self) -> dict[str, str]:
        """Every note of a column or cell, in the order of the table, and its letter."""
        notes: dict[str, None] = {}
        for column in self.columns:
            notes |= dict.fromkeys(column.notes)
        for row in self.rows:
            for column in self.columns:
                if cell := self.cell(row, column):
                    notes |= dict.fromkeys(cell.notes)
        return {note: letter(number) for number, note in enumerate(notes)}


def letter(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    found = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        found = chr(ord("a") + rest) + found
    return found


def leaderboard(
    runs: Iterable[Finished],
    apart: Mapping[str, Mapping[str, str] | None] | None = None,
    sizes: Mapping[str, float] | None = None,
    weighted: Collection[str] = (),
) -> Leaderboard:
    """Raises RunError where the verdicts of a run cannot be read.

    ``apart``: of benchmarks of several parts those that are left out of the mean; without an entry they get none.
    ``weighted``: benchmarks whose parts weigh as many problems in the mean as they have.
    ``sizes``: billions of parameters by model, where its name does not tell them.
    """
    board = Leaderboard()
    board.runs = latest(runs, board.said)
    by_row = rows_of(board.runs, sizes or {})
    for number, run in enumerate(board.runs):
        notes = tuple(for_terminal(note) for note in run.notes)
        for check in run.checks:
            for metric, score in run.report["scores"][check].items():
                key = f"{run.column}/{check}/{metric}"
                board.cells[by_row[number], key] = _cell(score, notes, number)
    board.rows = sorted(set(by_row), key=lambda row: row.order)
    columns = [column for run in {run.column: run for run in board.runs}.values() for column in columns_of(run, board)]
    columns = _told_apart(columns, board.runs) + means(board, by_row, apart or {}, weighted)
    board.columns = sorted(columns, key=lambda column: column.order)
    _mark_sampling(board)
    for column in board.columns:
        _mark_best(board, column)
    return board


def latest(runs: Iterable[Finished], said: list[str]) -> list[Finished]:
    """Of several runs of one model (and its weights) in one column the one that was started last."""
    chosen: dict[tuple[str, str, str], Finished] = {}
    for run in sorted(runs, key=lambda run: (run.started, str(run.path))):
        key = (run.model, weights(run), run.column)
        if earlier := chosen.get(key):
            said.append(f"{earlier.path}: does not count, as {run.path} is a later run of the same model and rules")
        chosen[key] = run
    return list(chosen.values())


def weights(run: Finished) -> str:
    """What tells models of one name apart, short; empty where that is not known."""
    key = run.described.get("generation", {})
    engine = key.get("engine")
    lora = str(engine.get("lora") or "") if isinstance(engine, dict) else ""
    return ", ".join(filter(None, (str(key.get("revision") or "")[:12], lora and f"LoRA {lora[:8]}")))


def is_reference(run: Finished) -> bool:
    return REFERENCE in run.notes


def rows_of(runs: Sequence[Finished], sizes: Mapping[str, float]) -> list[Row]:
    """The row of each run."""
    known: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        known[run.model].add(weights(run))
    return [
        Row(
            run.model,
            REFERENCE if is_reference(run) else "model",
            sizes.get(run.model, size_of(run.model)),
            (weights(run) or "weights not known") if len(known[run.model]) > 1 else "",
        )
        for run in runs
    ]


def columns_of(run: Finished, board: Leaderboard) -> list[Column]:
    found = []
    for check in run.checks:
        for metric in sorted({name for each in board.runs for name in _metrics(each, run.column, check)}):
            key = f"{run.column}/{check}/{metric}"
            ceilings = [
                cell.value
                for (row, of), cell in board.cells.items()
                if of == key and row.kind == REFERENCE and cell.value < 1
            ]
            said = [f"ceiling: the reference solutions reach {100 * max(ceilings):.1f} %"] if ceilings else []
            column = Column(key, run.column, run.benchmark, check, metric, run.version, run.profile, "", tuple(said))
            found.append(replace(column, ceiling=max(ceilings, default=None)))
    return found


def _metrics(run: Finished, column: str, check: str) -> Iterable[str]:
    return run.report["scores"].get(check, {}) if run.column == column else ()


def _cell(score: Mapping[str, Any], notes: tuple[str, ...], run: int | None) -> Cell:
    numbers = (float(score["value"]), float(score["low"]), float(score["high"]))
    return Cell(*numbers, int(score["problems"]), int(score["samples"]), notes, run)


def _told_apart(columns: Sequence[Column], runs: Sequence[Finished]) -> list[Column]:
    """Columns that would have the same title say what differs between them; a rule that differs has a number."""
    identity = {run.column: run.identity for run in runs}
    alike: dict[tuple[str, ...], list[Column]] = defaultdict(list)
    for column in columns:
        alike[column.check, column.metric, column.version, column.profile].append(column)
    found = []
    for group in alike.values():
        own = [identity[column.sheet] for column in group]
        fields = [key for key in {key: None for each in own for key in each} if len({_short(e, key) for e in own}) > 1]
        for column, each in zip(group, own, strict=True):
            found.append(_telling(column, each, fields) if len(group) > 1 else column)
    return found


def _telling(column: Column, identity: Mapping[str, Any], fields: Sequence[str]) -> Column:
    """Where the number of problems or the dataset differs, other tests follow from that."""
    for key in ("problems", "dataset"):
        if key in fields:
            return replace(column, told_apart=_short(identity, key))
    rule = f"rule {column.sheet[:4]}"
    says = f"{rule}: {', '.join(_short(identity, key) for key in fields)}"
    return replace(column, told_apart=rule, notes=(*column.notes, for_terminal(says)))


def _short(identity: Mapping[str, Any], key: str) -> str:
    value = identity.get(key, "none")
    if key == "problems":
        return f"{value} problems"
    text = digest({key: value}) if isinstance(value, (dict, list)) else str(value)
    return f"{key} {text[:8] if len(text) > 40 else text}"


def means(
    board: Leaderboard,
    by_row: Sequence[Row],
    apart: Mapping[str, Mapping[str, str] | None],
    weighted: Collection[str],
) -> list[Column]:
    """Adds a cell for every row that has several parts of a benchmark; means over other parts are other columns."""
    groups: dict[tuple[Row, str, str, str], list[int]] = defaultdict(list)
    for number, run in enumerate(board.runs):
        whole, _, part = run.benchmark.partition(":")
        if part and apart.get(whole) is not None and run.benchmark in run.report["scores"]:
            groups[by_row[number], whole, run.version, run.profile].append(number)
    found: dict[str, Column] = {}
    for (row, whole, version, profile), numbers in groups.items():
        left_out = apart[whole] or {}
        of = sorted(
            (board.runs[number] for number in numbers if part_of(board.runs[number].report) not in left_out),
            key=lambda run: run.benchmark,
        )
        report = mean_of_parts([run.report for run in of], left_out, whole in weighted)
        if report is None:
            continue
        sheet = digest({"parts": [run.column for run in of]})[:12]
        notes = tuple(dict.fromkeys(for_terminal(note) for run in of for note in run.notes))
        for metric, score in report["scores"][whole].items():
            key = f"{sheet}/{whole}/{metric}"
            board.cells[row, key] = _cell(score, notes, None)
            parts = {part_of(run.report): f"{run.column}/{run.benchmark}/{metric}" for run in of}
            weigh = "as many problems as it has" if whole in weighted else "the same"
            said = f"{for_terminal(whole)}: mean of {len(parts)} parts, each weighing {weigh}: {', '.join(parts)}"
            found[key] = Column(
                key, sheet, whole, whole, metric, version, profile, f"{len(parts)} parts", (said,), parts
            )
    return list(found.values())


def sampling(run: Finished) -> tuple[int, float | None]:
    """Samples a problem and temperature; None where samples were made elsewhere, or none was sampled."""
    key = run.described.get("generation", {})
    temperature = key.get("sampling", {}).get("temperature")
    return int(run.report.get("n", 1)), None if is_reference(run) or key.get("model") == "replay" else temperature


def _mark_sampling(board: Leaderboard) -> None:
    """Where the runs of a column were sampled in different ways, each says its own."""
    cells: dict[str, list[tuple[Row, str]]] = defaultdict(list)
    for (row, key), cell in board.cells.items():
        if cell.run is not None and not is_reference(board.runs[cell.run]):
            cells[key].append((row, key))
    for places in cells.values():
        ways = [sampling(board.runs[board.cells[place].run or 0]) for place in places]
        temperatures = {temperature for _, temperature in ways if temperature is not None}
        if len({n for n, _ in ways}) < 2 and len(temperatures) < 2:
            continue
        for place, (n, temperature) in zip(places, ways, strict=True):
            said = f"sampling: n {n}" + (f", temperature {temperature:g}" if temperature is not None else "")
            board.cells[place] = replace(board.cells[place], notes=(*board.cells[place].notes, said))


def _mark_best(board: Leaderboard, column: Column) -> None:
    """The leader, if it is better than the runner-up beyond chance: p < 0.05, two-sided, paired by problem.

    Runs of reference solutions and unsandboxed ones do not take part. Only the mean of c/n is tested: pass@1, or em.
    """
    if column.metric not in ("pass@1", "em") or column.parts:
        return
    taking_part = [
        (cell.value, row, board.runs[cell.run])
        for row in board.rows
        if (cell := board.cell(row, column)) and cell.run is not None
        if row.kind == "model" and UNSANDBOXED not in cell.notes
    ]
    if len(taking_part) < 2:
        return
    (first, row, leader), (second, _, runner_up) = sorted(taking_part, key=lambda each: each[0], reverse=True)[:2]
    if first > second and significant(leader.passed[column.check], runner_up.passed[column.check]):
        board.cells[row, column.key] = replace(board.cells[row, column.key], best=True)


def significant(one: Mapping[str, tuple[int, int]], other: Mapping[str, tuple[int, int]]) -> bool:
    """Whether two models differ on the problems that both have, given samples and passed ones of each."""
    both = [(one[problem], other[problem]) for problem in one if problem in other]
    times = math.lcm(*(n for pair in both for n, _ in pair)) if both else 1
    differences = [c * (times // n) - base_c * (times // base_n) for (n, c), (base_n, base_c) in both]
    common = math.gcd(*differences) or 1
    return sign_flip([difference // common for difference in differences])[0] < SIGNIFICANT
