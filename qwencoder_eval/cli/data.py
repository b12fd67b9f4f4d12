"""`qceval data`: which rows are here, fetch those that are not, and check their pins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..benchmark import Benchmark
from ..datasets.databases import unpack
from ..datasets.rows import Rows, content_hash, load, locate
from ..errors import DatasetError, QcevalError, UnpinnedError, UsageError
from ..registry import discover
from . import options
from .options import print_json, say


@click.group("data")
def data_command() -> None:
    """List, pull and verify benchmark data.

    Example: qceval data verify --bench humaneval
    """


def bench_option(command: Any) -> Any:
    option = click.option("--bench", metavar="NAME[,NAME]", help="Benchmarks; all of them by default.")
    return options.apply(option, options.plugins, options.as_json)(command)


def datasets_of(bench: str | None, plugins: Sequence[Path]) -> list[tuple[Benchmark, Rows]]:
    registry = discover(plugins)
    names = registry.expand(bench or ",".join(sorted(registry.entries)))
    return [(benchmark, rows) for benchmark in map(registry.load, names) for rows, _ in benchmark.datasets()]


def show(lines: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(lines)
        return
    for line in lines:
        click.echo(f"{line['benchmark']} {line['version']}: {line['state']}")


def described(benchmark: Benchmark, rows: Rows, state: str) -> dict[str, Any]:
    return {"benchmark": benchmark.name, "version": rows.version, "file": rows.file, "state": state}


@data_command.command("list")
@bench_option
def list_data(bench: str | None, plugins: tuple[Path, ...], as_json: bool) -> None:
    """Where each benchmark's rows are on this machine."""
    lines = []
    for benchmark, rows in datasets_of(bench, plugins):
        path = locate(rows, benchmark.file.parent)
        state = "in the benchmark's file" if rows.inline else str(path) if path else "missing"
        lines.append(described(benchmark, rows, state))
    show(lines, as_json)


@data_command.command("pull")
@bench_option
@click.option(
    "--from", "archive", type=click.Path(path_type=Path), metavar="ZIP", help="A benchmark's databases, unpacked first."
)
@options.offline
def pull_data(bench: str | None, plugins: tuple[Path, ...], as_json: bool, archive: Path | None, offline: bool) -> int:
    """Fetch what is missing into the cache, checked against its pin. Exit 2 where something cannot be had.

    Example: qceval data pull --bench spider --from spider_data.zip
    """
    if archive is not None:
        places = {rows.databases[0] for _, rows in datasets_of(bench, plugins) if rows.databases} if bench else set()
        if len(places) != 1:
            raise UsageError("--from: name one benchmark that has databases, such as --bench spider")
        (place,) = places
        say(f"{place}: {unpack(archive, place)} databases")
    return each(bench, plugins, as_json, lambda benchmark, rows: pulled(benchmark, rows, offline))


@data_command.command("verify")
@bench_option
def verify_data(bench: str | None, plugins: tuple[Path, ...], as_json: bool) -> int:
    """Hash the rows that are here and hold them against their pins. Exit 2 where one does not match."""
    return each(bench, plugins, as_json, verified)


def each(bench: str | None, plugins: Sequence[Path], as_json: bool, act: Any) -> int:
    lines, status = [], 0
    for benchmark, rows in datasets_of(bench, plugins):
        try:
            state = act(benchmark, rows)
        except QcevalError as error:
            state, status = f"error: {error}", 2
        lines.append(described(benchmark, rows, state))
    show(lines, as_json)
    return status


def pulled(benchmark: Benchmark, rows: Rows, offline: bool) -> str:
    return f"here, {load(rows, benchmark.file.parent, offline).total} rows match"


def verified(benchmark: Benchmark, rows: Rows) -> str:
    if rows.inline:
        return f"{len(rows.inline)} rows in the benchmark's file, sha256 {content_hash(rows.inline)}"
    path = locate(rows, benchmark.file.parent)
    if path is None:
        raise DatasetError(
            f"{rows.file}: missing; put it beside {benchmark.file}, set QCEVAL_DATA, or qceval data pull"
        )
    try:
        found = load(rows, benchmark.file.parent, offline=True, select=lambda row: False)
    except UnpinnedError as error:
        return str(error)
    return f"{path}: {found.total} rows, sha256 {found.sha256}" + (", no pin to hold it against" * rows.unseen)
