"""Published models beside ours: rows of their own, never compared with ours, each cell with its source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .leaderboard import Cell, Column, Leaderboard, Row
from .published import Cell as Published

# What our scores are called where they were published.
CALLED = {"multipl-e:sh": "multipl-e:bash", "multipl-e": "multipl-e:avg"}


def add_published(board: Leaderboard, cells: Iterable[Published], profiles: Mapping[str, Sequence[str]]) -> Leaderboard:
    """Adds to the board a row for each published model with a score of one of its columns.

    ``profiles`` are those of each benchmark: where some are Qwen's rules, published numbers stand in columns of those
    only, as others are not theirs. Of several sources of a number the first counts; doubtful ones do not.
    """
    columns = {(CALLED.get(column.check, column.check), column.metric, kind): [] for column in board.columns
               for kind in ("base", "instruct")}  # type: dict[tuple[str, str, str], list[Column]]  # fmt: skip
    for column in board.columns:
        for kind in kinds(column, profiles.get(column.benchmark.partition(":")[0], ())):
            columns[CALLED.get(column.check, column.check), column.metric, kind].append(column)
    for cell in cells:
        for column in columns.get((cell.benchmark, cell.metric, cell.model_kind), ()) if cell.trusted else ():
            row = Row(cell.model, "published", cell.model_params_b, "")
            note = f"published: {cell.source}, {cell.table}; by its rules, without an interval, never compared"
            board.cells.setdefault((row, column.key), Cell(cell.value / 100, notes=(note,)))
    board.rows = sorted({*board.rows, *(row for row, _ in board.cells)}, key=lambda row: row.order)
    return board


def kinds(column: Column, profiles: Sequence[str]) -> tuple[str, ...]:
    """Of which kind of model published numbers may stand in this column."""
    if not any(name.startswith("qwen") for name in profiles):
        return "base", "instruct"
    if not column.profile.startswith("qwen") or column.told_apart.endswith("problems"):
        return ()
    return ("instruct",) if "instruct" in column.profile else ("base",)
