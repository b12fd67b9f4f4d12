"""`qceval runs export`: runs as one flat table, for pandas and others."""

from __future__ import annotations

from pathlib import Path

import click

from ..runs.export import export
from ..runs.reading import all_finished
from . import options
from .options import print_json, say


@click.command("export")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option(
    "--out", "file", type=click.Path(path_type=Path), required=True, metavar="FILE", help="FILE.parquet or FILE.csv."
)
@click.option("--texts", is_flag=True, help="What the model wrote, too.")
@options.as_json
def export_runs(runs: tuple[Path, ...], file: Path, texts: bool, as_json: bool) -> None:
    """A row for each sample and check of these runs, or of all runs in these folders.

    Example: qceval runs export results --out runs.parquet
    """
    found, left_out = all_finished(runs)
    count = export(found, file, texts)
    for line in left_out:
        say(f"left out: {line}")
    if as_json:
        print_json({"file": str(file), "runs": len(found), "rows": count})
    else:
        say(f"{len(found)} runs, {count} rows → {file}")
