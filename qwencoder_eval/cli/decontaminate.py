"""`qceval decontaminate`: which problems a corpus has seen, and the corpus without them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import click

from ..errors import InfrastructureError
from . import options
from .options import cores, print_json, say

LIBRARIES = ("fsspec", "llvmlite", "msgspec", "numba", "numpy", "pyarrow", "zstandard")


@click.command("decontaminate")
@click.option("--bench", required=True, metavar="NAMES", help="Benchmarks to look for, as in qceval run.")
@click.option(
    "--corpus",
    "corpora",
    required=True,
    multiple=True,
    metavar="PATH",
    help="A file, a folder or a URL (s3://...); may be repeated.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where everything lands.",
)
@click.option(
    "--rule",
    "rules",
    multiple=True,
    metavar="RULE",
    help="qwen (the default), words, code, code-renamed, substring or minhash; may be repeated.",
)
@click.option(
    "-n", type=click.IntRange(2, 1000), help="Words in a row that are too many; each rule's own by default (qwen: 10)."
)
@click.option("--write-clean", is_flag=True, help="Write the rows that have nothing of any problem to DIR/clean.")
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="NAME",
    help="Field of a row to look at; by default the first of text, content, code, messages, conversations.",
)
@click.option(
    "--format",
    "read_as",
    type=click.Choice(["auto", "jsonl", "parquet", "lines", "text"]),
    default="auto",
    show_default=True,
    help="What files are; lines: each line a text.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="ray: on the cluster of RAY_ADDRESS; DIR must be on a disk that all nodes share.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes; one a core by default.")
@options.offline
@options.plugins
@options.as_json
def decontaminate_command(
    bench: str, corpora: tuple[str, ...], out: Path, rules: tuple[str, ...], n: int | None, write_clean: bool,
    fields: tuple[str, ...], read_as: str, engine: str, workers: int | None, offline: bool, plugins: tuple[Path, ...],
    as_json: bool,
) -> None:  # fmt: skip
    """Search a corpus for the problems of benchmarks: JSON Lines, Parquet, texts and source files, also packed (.gz,
    .zst, .bz2). DIR/report.html says which problems are there and by how much; DIR/dropped names the rows. Started
    again, it continues.

    Example: qceval decontaminate --bench humaneval,mbpp,gsm8k,math --corpus data --out decontaminated --write-clean
    """
    if engine == "ray" and workers:
        raise click.UsageError("--workers is of --engine local; Ray takes the cores that its cluster has")
    from ..decontamination import local
    from ..decontamination.corpus import Corpus, seems_parquet

    local.prepare(seems_parquet(corpora, cast(Any, read_as)))  # which goes on beside what follows
    corpus = Corpus.of(corpora, cast(Any, read_as), str(out))
    with _installed():
        from ..decontamination import run
    from ..registry import discover
    from .display import SearchDisplay

    registry = discover(plugins)
    search = run.Search(tuple(registry.expand(bench)), rules or ("qwen",), n or 0, plugins, offline)
    progress = SearchDisplay()

    def chosen(shards: Iterable[Any], job: Any) -> Iterator[dict[str, Any]]:
        if engine == "ray":
            from ..decontamination import on_ray

            return on_ray.run(shards, job, progress.tick)
        return local.run(shards, job, workers or cores(), progress.tick)

    try:
        with _installed():
            document = run.decontaminate(search, registry, corpus, out, chosen, fields, write_clean, say, progress.plan)
    finally:
        progress.close()
    if as_json:
        print_json(document)
    else:
        draw(document, out)
    if document["fault_count"]:
        say(f"qceval: {faults(document)}; what was read is searched, see {out / 'report.md'}")
        raise SystemExit(3)


@contextmanager
def _installed() -> Iterator[None]:
    """Says which library is missing, in whatever process."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in LIBRARIES:
            raise
        raise InfrastructureError(
            f"{error.name} is not installed; pip install 'qwencoder_eval[decontaminate]'"
        ) from None


def faults(document: dict[str, Any]) -> str:
    first = document["faults"][0]
    more = document["fault_count"] - 1
    return f"{first['place']}: {first['fault']}" + (f", and {more} more" if more else "")


def draw(document: dict[str, Any], out: Path) -> None:
    corpus = document["corpus"]
    rules = ", ".join(f"{name} (n = {each['n']})" for name, each in document["rules"].items())
    click.echo(
        f"{corpus['documents']:,} documents in {corpus['shards']:,} shards, {corpus['bytes'] / 1e6:,.1f} MB of text, "
        f"by {rules}"
    )
    click.echo(f"{corpus['hit']:,} have something of a problem; {corpus['unchecked']:,} could not be looked at")
    width = max((len(each["benchmark"]) for each in document["benchmarks"]), default=0)
    for each in document["benchmarks"]:
        share = 100 * each["hit"] / max(1, each["problems"])
        click.echo(f"  {each['benchmark']:{width}}  {each['hit']:6,} of {each['problems']:6,} problems  {share:5.1f} %")
    click.echo(f"report: {out / 'report.html'}")
