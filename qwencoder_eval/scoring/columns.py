"""Whether two tables are the same under some order of columns and rows, without trying all orders.

In general this is as hard as telling whether two graphs are the same. Columns are told apart by what stands in them
and in which rows, again and again until nothing changes, which settles nearly all tables. What is still tied is tried,
one column at a time (colour refinement and individualisation, as in McKay 1981, "Practical graph isomorphism").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Row = tuple[Any, ...]
Codes = npt.NDArray[np.uint64]

LIMIT = 60_000_000  # cells that one search may look at: about a second
OVERHEAD = 5_000  # what a step costs however small the tables are, in cells


def permuted(gold: Sequence[Row], answer: Sequence[Row]) -> bool:
    """Whether some order of the answer's columns gives the gold rows, in any order of rows.

    Rows are tuples of one length, at least one, and there are as many of them on both sides. A search that passes
    ``LIMIT`` gives up and says no.
    """
    values = dict.fromkeys(chain.from_iterable((*gold, *answer)))
    codes = dict(zip(values, mixed(np.arange(len(values), dtype=np.uint64)).tolist(), strict=True))
    first, second = table(gold, codes), table(answer, codes)
    return first.cells.shape == second.cells.shape and search(first, second)


class Table(NamedTuple):
    """A result without repeats. Equal columns are one, as which of them is which does not matter; so are equal rows."""

    cells: Codes  # rows x columns, a code for each value
    heights: Codes  # how often each row occurs
    widths: Codes  # how often each column occurs


def table(rows: Sequence[Row], codes: dict[Any, int]) -> Table:
    columns = Counter(zip(*rows, strict=True))
    lines = Counter(zip(*columns, strict=True))
    flat = map(codes.__getitem__, chain.from_iterable(lines))
    cells = np.fromiter(flat, np.uint64, len(lines) * len(columns)).reshape(len(lines), len(columns))
    counts = (np.fromiter(found.values(), np.uint64, len(found)) for found in (lines, columns))
    return Table(cells, *counts)


def search(gold: Table, answer: Table) -> bool:
    """Whether some order of columns makes the tables equal as sets of rows with their heights.

    Every column has a tint, a code that an order of columns and rows does not change. Where tints leave a tie, a gold
    column of the smallest tie is held against each answered column of it in turn. Two tints that are equal by accident
    only make a tie longer, and what is found equal is compared value by value: verdicts do not rest on codes.
    """
    step = gold.cells.size + answer.cells.size + OVERHEAD
    left = LIMIT
    held: tuple[int, int] | None = None
    waiting = [(mixed(gold.widths), mixed(answer.widths), held)]
    while waiting and left > 0:
        first, second, held = waiting.pop()
        if held:
            first, second = marked(first, held[0]), marked(second, held[1])
        rounds, first, second = refined(gold, answer, first, second)
        left -= (rounds + 1) * step
        if not same_tints(first, second):
            continue
        if equal(gold, answer, np.argsort(first, kind="stable"), np.argsort(second, kind="stable")):
            return True  # a guess where there are ties, and often a right one
        tints, sizes = np.unique(first, return_counts=True)
        if len(tints) < len(first):
            tint = tints[np.argmin(np.where(sizes > 1, sizes, len(first) + 1))]
            column = int(np.flatnonzero(first == tint)[0])
            waiting += [(first, second, (column, int(other))) for other in np.flatnonzero(second == tint)]
    return False


def marked(tints: Codes, column: int) -> Codes:
    tints = tints.copy()
    tints[column : column + 1] = mixed(tints[column : column + 1])
    return tints


def refined(gold: Table, answer: Table, first: Codes, second: Codes) -> tuple[int, Codes, Codes]:
    """The rounds it took, and the tints of both sides once another round tells no more columns apart.

    It stops early where the sides are seen to differ.
    """
    rounds, classes, found = 0, 0, len(np.unique(first))
    while found > classes and same_tints(first, second):
        first, second = retinted(gold, first), retinted(answer, second)
        rounds, classes, found = rounds + 1, found, len(np.unique(first))
    return rounds, first, second


def retinted(table: Table, tints: Codes) -> Codes:
    """Tints by what stands in a column and in which rows, where rows are told apart by their values and old tints."""
    rows = mixed(mixed(table.cells + tints).sum(axis=1) + table.heights)
    return mixed(mixed(table.cells + rows[:, None]).sum(axis=0) + tints)


def same_tints(first: Codes, second: Codes) -> bool:
    return np.array_equal(np.sort(first), np.sort(second))


def equal(gold: Table, answer: Table, order: npt.NDArray[np.intp], other: npt.NDArray[np.intp]) -> bool:
    """Whether the tables are the same with their columns in these orders."""
    return np.array_equal(gold.widths[order], answer.widths[other]) and heights(gold, order) == heights(answer, other)


def heights(table: Table, order: npt.NDArray[np.intp]) -> dict[object, int]:
    """How often each row occurs, with the columns in this order."""
    rows = np.ascontiguousarray(table.cells[:, order])
    lines = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    return dict(zip(lines.tolist(), table.heights.tolist(), strict=True))


def mixed(numbers: Codes) -> Codes:
    """Each number scattered over 64 bits, no two to the same one: the last step of SplitMix64 (Steele et al. 2014)."""
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    numbers ^= numbers >> np.uint64(30)
    numbers *= np.uint64(0xBF58476D1CE4E5B9)
    numbers ^= numbers >> np.uint64(27)
    numbers *= np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
