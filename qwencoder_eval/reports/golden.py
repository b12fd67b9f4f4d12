"""The tables that can be reproduced: of each model its published cells, and what in qceval gives each of them.

Data: the cells are in published.csv, everything else in golden.toml.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .published import Cell, cells

FILE = Path(__file__).with_name("golden.toml")
MODEL = re.compile(r"Qwen2\.5-Coder-[\d.]+B(-Instruct)?")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a cell comes out as ``ours`` of recorded outputs: ``solved/problems``, or a mean in percent."""

    ours: str
    why: str

    def fits(self, value: float, problems: int) -> bool:
        solved, is_count, all_of_them = self.ours.partition("/")
        if is_count:
            return problems == int(all_of_them) and abs(value * problems - int(solved)) < 1e-6
        return f"{100 * value:.2f}" == self.ours


@dataclass(frozen=True, slots=True)
class Target:
    """A published cell, and the score ``check`` of ``bench`` that gives it; a mean is ``of`` columns instead."""

    cell: Cell
    bench: str
    check: str
    of: tuple[str, ...]
    by_problems: bool  # the columns of a mean weigh as many problems as they have, and else the same
    outputs: tuple[str, ...]  # where recorded outputs may lie, empty where that is not known
    explanations: tuple[Explanation, ...]


@cache
def data() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def models() -> dict[str, str]:
    """The name of each table that can be reproduced, and its model as it is published."""
    sources = {table["source"] for table in data()["tables"]}
    of_tables = {cell.model: cell.model_kind for cell in cells() if cell.source in sources}
    of_report = {
        model.lower() + ("-base" if kind == "base" else ""): model
        for model, kind in of_tables.items()
        if MODEL.fullmatch(model)
    }
    return {**of_report, **data()["models"]}


def targets(name: str) -> list[Target]:
    """The cells of this name, in the order of their tables. Raises UsageError for an unknown one."""
    known = models()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "`qceval reproduce` lists them"
        raise UsageError(f"{name}: no table of this name; {hint}")
    return [_target(cell) for cell in cells() if cell.model == known[name] and _is_wanted(cell)]


def profile_of(bench: str, kind: str, there: Sequence[str]) -> str:
    """Of the profiles that a benchmark has, the one that published numbers of this kind of model rest on."""
    wishes: Mapping[str, list[str]] = data()["profiles"][kind]
    wanted = wishes.get(bench.partition(":")[0], wishes["any"])
    return next((profile for profile in wanted if profile in there), there[0])


def _is_wanted(cell: Cell) -> bool:
    return any(cell.source == each["source"] and fnmatchcase(cell.table, each["table"]) for each in data()["tables"])


def _target(cell: Cell) -> Target:
    facts = data()
    of = tuple(facts["means"].get(cell.benchmark, ()))
    own = facts["benchmarks_of_base"] if cell.model_kind == "base" else {}
    bench = "" if of else own.get(cell.benchmark) or facts["benchmarks"].get(cell.benchmark, cell.benchmark)
    explained = (
        Explanation(each["ours"], each["why"])
        for each in facts["explained"]
        if (each["model"], each["column"], each["printed"]) == (cell.model, cell.benchmark, cell.printed)
    )
    check = facts["checks"].get(cell.benchmark, bench)
    by_problems = facts["weights"].get(cell.benchmark) == "problems"
    places = facts["outputs"].get(bench, [])
    outputs = (places,) if isinstance(places, str) else tuple(places)
    return Target(cell, bench, check, of, by_problems, outputs, tuple(explained))
