"""From finished runs to a leaderboard: with what the benchmarks of this machine know of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..errors import InfrastructureError, QcevalError, RunError
from ..registry import Registry
from ..runs.reading import Finished
from .leaderboard import Leaderboard, leaderboard
from .rebuilt import Rebuilt, rebuilt

SCORE = ("value", "low", "high", "problems", "samples")  # what a score has, all numbers


def board_of(
    runs: Sequence[Finished],
    registry: Registry,
    sizes: Mapping[str, float] | None = None,
    left_out: Sequence[str] = (),
) -> Leaderboard:
    """A run whose verdicts cannot be read is left out, and said. Raises RunError where none can.

    ``left_out``: lines on runs that were left out before.
    """
    readable, said = with_verdicts(runs)
    apart, why = left_out_of_means(readable, registry)
    board = leaderboard(readable, apart, sizes, weighted_means(apart, registry))
    board.said[:0] = [*left_out, *said, *why]
    return board


def with_verdicts(runs: Sequence[Finished]) -> tuple[list[Finished], list[str]]:
    readable, said = [], []
    for run in runs:
        try:
            check(run)
            readable.append(run)
        except RunError as error:
            said.append(str(error))
    if not readable:
        raise RunError(said[0] if said else "no runs")
    return readable, said


def check(run: Finished) -> None:
    """Raises RunError where scores or verdicts are not what a run writes."""
    again = "start its command again"
    try:
        for metrics in run.report["scores"].values():
            for score in metrics.values():
                if not all(isinstance(score[key], (int, float)) for key in SCORE):
                    raise TypeError
    except (AttributeError, KeyError, TypeError):
        raise RunError(f"{run.path / 'scores.json'}: damaged (scores); {again}") from None
    try:
        if not all(run.passed.values()):
            raise RunError(f"{run.path}: has no verdicts; {again}")
    except (AttributeError, TypeError):
        raise RunError(f"{run.path / 'verdicts.jsonl'}: damaged; {again}") from None


def left_out_of_means(runs: Sequence[Finished], registry: Registry) -> tuple[dict[str, Mapping[str, str]], list[str]]:
    """Of each benchmark of several parts, as far as it is here, those that are not in its mean; and what is not."""
    apart: dict[str, Mapping[str, str]] = {}
    said = {}
    for name in sorted({run.benchmark for run in runs if ":" in run.benchmark}):
        whole = name.partition(":")[0]
        if whole in apart:
            continue
        try:
            if not registry.load(name).other_parts:  # windows overlap
                apart[whole] = registry.load(name).apart
        except QcevalError as error:
            said[whole] = f"{whole}: no mean of its parts, as {error}"
    return apart, [line for whole, line in said.items() if whole not in apart]


def weighted_means(wholes: Iterable[str], registry: Registry) -> set[str]:
    """Of these benchmarks of several parts, all of which are here, those whose parts weigh by their problems."""
    return {whole for whole in wholes if registry.load(f"{whole}:{registry.entries[whole].parts[0]}").weighted}


def known(board: Leaderboard, registry: Registry) -> dict[str, Rebuilt]:
    """What the benchmarks know of the problems of each sheet."""
    return {column: rebuilt(registry, run) for column, run in {run.column: run for run in board.runs}.items()}


def beside(board: Leaderboard, registry: Registry) -> None:
    """Add the published models to a leaderboard."""
    from .beside import add_published
    from .published import cells

    names = {column.benchmark.partition(":")[0] for column in board.columns}
    add_published(board, cells(), {name: entry.profiles for name in names if (entry := registry.entries.get(name))})


def write_file(out: Path, text: str) -> None:
    """A whole file, replaced at once. Raises InfrastructureError."""
    partial = out.with_name(f"{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8", newline="")
        partial.replace(out)
    except OSError as error:
        raise unwritable(out, error) from None


def unwritable(out: Path, error: OSError) -> InfrastructureError:
    return InfrastructureError(f"{out}: cannot be written ({error.strerror}); choose another --out")
