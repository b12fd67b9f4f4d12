"""`qceval report`: runs as a leaderboard, in a page, Markdown, CSV or LaTeX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ..config import results_folder
from ..errors import RunError, UsageError
from ..registry import Registry, discover
from ..reports.compose import beside, board_of, known, write_file
from ..reports.leaderboard import Leaderboard
from ..reports.table import for_terminal
from ..runs.reading import all_finished
from . import options
from .options import print_json, say

FORMATS = (".html", ".md", ".csv", ".tex")


@click.command("report")
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path), metavar="[RUN]...")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="A .html, .md, .csv or .tex file; without it, Markdown on standard output.",
)  # fmt: skip
@click.option("--published", is_flag=True, help="Published models beside ours, from the reports of Qwen.")
@click.option(
    "--size", "sizes", multiple=True, metavar="MODEL=B", help="Billions of parameters, where the name does not tell."
)
@click.option(
    "--contamination", "reports", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="A report.json of qceval decontaminate: scores on clean and on hit problems too. Again for another corpus.",
)  # fmt: skip
@click.option("--title", default="Leaderboard", show_default=True, help="What stands above it.")
@options.plugins
@options.as_json
def report_command(
    runs: tuple[Path, ...], out: Path | None, published: bool, sizes: tuple[str, ...], reports: tuple[Path, ...],
    title: str, plugins: tuple[Path, ...], as_json: bool,
) -> None:  # fmt: skip
    """Models by benchmarks. A RUN is a run's folder or one with runs in it; without any, all results are taken.

    Runs with other data, scoring rules or profiles never share a column. Of several runs of one model in a column the
    latest counts. A score is marked as best only where it is better than the second beyond chance. With a contamination
    report each score is also given on the clean and on the hit problems, with the difference hit - clean.

    Example: qceval report results --out leaderboard.html
    """
    if out is not None and out.suffix not in FORMATS:
        raise UsageError(f"--out {out}: of which format? end it in {', '.join(FORMATS)}")
    if not runs and not results_folder().is_dir():
        raise RunError(f"{results_folder()}: no runs there; name a run or a folder of runs")
    found, left_out = all_finished(runs or [results_folder()])
    registry = discover(plugins)
    board = board_of(found, registry, dict(map(size, sizes)), left_out)
    if published:
        beside(board, registry)
    if reports:
        from ..reports.contamination import contamination, read

        board.contamination = contamination(board, [read(file) for file in reports])
    written = write(board, out, title, registry, as_json)
    for line in (*board.said, *(board.contamination.said if board.contamination else ())):
        say(for_terminal(line))
    if as_json:
        print_json(document(board, written))
    elif out is not None:
        say(for_terminal(told(board, out, written)))


def size(option: str) -> tuple[str, float]:
    model, _, billions = option.rpartition("=")
    try:
        value = float(billions)
    except ValueError:
        value = 0.0
    if not model or not 0 < value < 1e6:
        raise UsageError(f"--size {option}: write MODEL=BILLIONS, such as --size my-model=7")
    return model, value


def write(board: Leaderboard, out: Path | None, title: str, registry: Registry, as_json: bool) -> dict[str, Any]:
    """Raises InfrastructureError where the disk does not take it."""
    from ..reports import plain

    if out is not None and out.suffix == ".html":
        from ..reports.html import write_page

        return write_page(board, out, known(board, registry), title)
    if out is None:
        if not as_json:
            click.echo(plain.markdown(board, title), nl=False)
        return {}
    text = {".md": plain.markdown, ".csv": plain.comma_separated, ".tex": plain.latex}[out.suffix](board, title)
    write_file(out, text)
    return {"bytes": len(text.encode())}


def told(board: Leaderboard, out: Path, written: Mapping[str, Any]) -> str:
    counts = f"{len(board.rows)} models, {len(board.columns)} columns, {len(board.runs)} runs"
    beside = ""
    if folder := written.get("side_folder"):
        beside = f"; its evidence is in {folder} ({written['side_bytes'] / 1e6:.1f} MB), which goes wherever it goes"
    return f"→ {out}: {counts}, {written['bytes'] / 1e6:.2f} MB{beside}"


def document(board: Leaderboard, written: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {column.key: at for at, column in enumerate(board.columns)}
    rows = {row: at for at, row in enumerate(board.rows)}
    return {
        "written": dict(written),
        "rows": [{"model": r.model, "kind": r.kind, "size_b": r.size, "told_apart": r.told_apart} for r in board.rows],
        "columns": [
            {"family": c.family, "benchmark": c.benchmark, "check": c.check, "metric": c.metric, "version": c.version,
             "profile": c.profile, "told_apart": c.told_apart, "ceiling": c.ceiling, "notes": list(c.notes)}
            for c in board.columns
        ],
        "cells": [
            {"row": rows[row], "column": numbers[key], "value": cell.value, "low": cell.low, "high": cell.high,
             "problems": cell.problems, "samples": cell.samples, "best": cell.best, "notes": list(cell.notes),
             "run": None if cell.run is None else str(board.runs[cell.run].path)}
            for (row, key), cell in board.cells.items()
        ],
        "left_out": list(board.said),
        "contamination": board.contamination.document(board) if board.contamination else None,
    }  # fmt: skip
