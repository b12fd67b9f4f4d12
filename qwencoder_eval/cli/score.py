"""`qceval score`: outputs that were made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from ..models.replay import Recordings, ReplayModel
from . import options
from .evaluation import evaluate, finish, load


@click.command("score")
@options.one_bench
@click.option(
    "--samples",
    "files",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    metavar="FILE",
    help="The outputs, .gz or not; of several benchmarks a file each, in their order.",
)
@click.option("--model", metavar="M", help="Whose outputs they are; the file's name by default.")
@options.profile
@options.haystack
@options.running
def score_command(
    bench: str, files: tuple[Path, ...], model: str | None, profile_name: str | None, **flags: Any
) -> int:
    """Score outputs that were made elsewhere: EvalPlus's format and our own, found out by looking.

    Example: qceval score --bench humaneval --samples generated.jsonl --profile qwen
    """
    benches = load(bench, flags["plugins"])
    if len(benches) != len(files):
        raise UsageError(f"--bench {bench}: {len(benches)} benchmarks and {len(files)} files; give --samples for each")
    recorded = {each.name: ReplayModel(file, model) for each, file in zip(benches, files, strict=True)}
    replayed = Recordings(recorded) if len(recorded) > 1 else recorded[benches[0].name]
    return finish(evaluate(benches, replayed, profile_name, flags, {}), flags["as_json"])
