"""`qceval history`: the scores of a model's runs, or of its checkpoints', over time."""

from __future__ import annotations

from pathlib import Path

import click

from ..config import results_folder
from ..errors import InfrastructureError, RunError, UsageError
from ..reports.history import draw, history, svg
from ..runs.reading import all_finished
from . import options
from .options import print_json, say


@click.command("history")
@click.argument("model")
@click.argument("benchmark")
@options.profile
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where runs are; results/ by default.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE.svg", help="A picture of it, too.")
@options.as_json
def history_command(
    model: str, benchmark: str, profile_name: str | None, out: Path | None, plot: Path | None, as_json: bool
) -> None:
    """The finished runs of MODEL for BENCHMARK, the earliest first, each with its interval.

    MODEL is a name, the last part of one, or a pattern such as 'step-*', so that checkpoints that are named alike are
    shown together. BENCHMARK may be one of its scores, such as humaneval+. Runs of different rules, data or profiles
    are series of their own.

    Example: qceval history 'my-model-step-*' humaneval --plot history.svg
    """
    if plot is not None and plot.suffix.lower() != ".svg":
        raise UsageError(f"--plot {plot}: is drawn as SVG; give a name that ends in .svg")
    results = out or results_folder()
    runs, left_out = all_finished([results])
    series = history(runs, model, benchmark, profile_name)
    if not series:
        under = f" under profile {profile_name}" if profile_name else ""
        raise RunError(f"{results}: no finished run of {model} for {benchmark}{under}; see qceval runs list")
    if plot is not None:
        try:
            plot.write_text(svg(series, f"{benchmark}: {model}"), encoding="utf-8")
        except OSError as error:
            raise InfrastructureError(f"{plot}: cannot be written ({error.strerror}); choose another --plot") from None
    for line in left_out:
        say(f"left out: {line}")
    if as_json:
        print_json({"model": model, "benchmark": benchmark, "series": [one.plain() for one in series]})
        return
    draw(series)
    if len(series) > 1:
        say(f"{len(series)} series: their rules, data or profiles differ, so their scores do not compare")
    if plot is not None:
        say(f"→ {plot}")
