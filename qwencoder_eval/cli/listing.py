"""`qceval list`: what there is. It reads the benchmarks' files and imports none of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..registry import Entry, discover
from . import options
from .options import print_json, say


def describe(entry: Entry) -> dict[str, Any]:
    from ..datasets.databases import there
    from ..datasets.rows import Rows, locate

    rows, here, known = 0, True, True
    for literal in entry.rows:
        spec = Rows(**{key: value for key, value in literal.items() if key in ("file", "sha256", "count")})
        count = spec.count or len(literal.get("inline", ()))
        rows = rows + count if entry.parts else rows or count
        here = here and (not spec.file or locate(spec, entry.file.parent) is not None)
        here = here and (not literal.get("databases") or any(map(there, literal["databases"])))
        known = known and bool(spec.file or "inline" in literal)  # a file whose name is computed cannot be looked for
    return {
        "name": entry.name,
        "version": entry.version,
        "rows": rows or None,
        "languages": list(entry.languages),
        "profiles": list(entry.profiles),
        "data_only": entry.data_only,
        "data": "missing" if not here else "here" if known else "?",
        "file": str(entry.file),
    }


def cell(row: dict[str, Any], title: str) -> str:
    if title == "profiles" and row["data_only"]:
        return "data only"
    value = row[title]
    return " ".join(value) or "-" if isinstance(value, list) else str(value or "?")


@click.command("list")
@options.plugins
@options.as_json
def list_command(plugins: tuple[Path, ...], as_json: bool) -> None:
    """List the benchmarks: version, rows, languages, profiles, and whether their data is here.

    Example: qceval list --plugins my-benchmarks
    """
    registry = discover(plugins)
    described = [describe(entry) for _, entry in sorted(registry.entries.items())]
    refused = [{"file": error.file, "field": error.field, "error": str(error)} for error in registry.refused]
    if as_json:
        print_json({"benchmarks": described, "refused": refused})
        return
    titles = ("name", "version", "rows", "languages", "profiles", "data")
    table = [[cell(row, title) for title in titles] for row in described]
    widths = [max(len(line[i]) for line in [list(titles), *table]) for i in range(len(titles))]
    for line in [list(titles), *table]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    for error in refused:
        say(f"left out: {error['error']}")
