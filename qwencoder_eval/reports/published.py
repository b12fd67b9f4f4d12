"""Published scores, cell by cell, with the place that each was read from: facts, in published.csv beside this file.

A cell stands by ``source`` and ``table``; what is doubtful about it is said in ``doubt``:

secondary       read from what others tell of the source
contradiction   the source says something else in a better place
doubtful        cannot be right beside the cells around it

Where prose contradicts a table, the table's cell stands and the prose's is the contradiction.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("published.csv")
HUNDREDTH = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Cell:
    """``printed`` is the number as it is printed there. ``model_params_b`` is in billions, of all experts together."""

    source: str
    table: str
    model: str
    model_params_b: float | None
    model_kind: str  # base or instruct
    benchmark: str
    metric: str
    printed: str
    doubt: str
    note: str

    @property
    def value(self) -> float:
        """A percentage, but of the metric ``rating``."""
        return float(self.printed)

    @property
    def trusted(self) -> bool:
        return not self.doubt


@cache
def cells() -> list[Cell]:
    """All cells, in the order of their sources."""
    with FILE.open(newline="", encoding="utf-8") as file:
        return [_cell(row) for row in csv.DictReader(file)]


def _cell(row: dict[str, str]) -> Cell:
    billions = row.pop("model_params_b")
    return Cell(model_params_b=float(billions) if billions else None, printed=row.pop("value"), **row)


def prints(value: Decimal, printed: str) -> bool:
    """Whether a value can stand as ``printed``: rounded, cut off, or rounded to two decimals before.

    All three occur in the Qwen2.5-Coder report: 97 of 161 is 60.248, stands as 60.25 in its files, and is printed 60.3.
    """
    unit = Decimal(1).scaleb(-len(printed.partition(".")[2]))
    twice = value.quantize(HUNDREDTH, ROUND_HALF_UP).quantize(unit, ROUND_HALF_UP)
    return Decimal(printed) in (value.quantize(unit, ROUND_HALF_UP), value.quantize(unit, ROUND_DOWN), twice)


def counts(printed: str, problems: int) -> Iterator[int]:
    """How many of so many problems can have been solved where this percentage is printed; often none."""
    for solved in range(problems + 1):
        if prints(Decimal(100 * solved) / problems, printed):
            yield solved
