"""The evaluation that `qceval run`, `qceval score` and `qceval check` have in common, of different models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..benchmark import Benchmark, Profile, profile
from ..config import results_folder
from ..errors import UsageError
from ..models.base import Model
from ..models.reference import ReferenceModel
from ..registry import discover
from ..reports.parts import mean_of_parts
from ..reports.table import draw
from ..sandboxes.choose import choose
from ..sandboxes.none import UnneededBackend
from ..scoring.base import needs_sandbox
from ..stream.session import Settings, fitting_profile, run_benchmarks
from .display import Display
from .options import cores, print_json, say


def evaluate(
    benches: Sequence[Benchmark],
    model: Model,
    profile_name: str | None,
    flags: dict[str, Any],
    sampling: dict[str, Any],
) -> list[dict[str, Any]]:
    """Evaluate one model on benchmarks, all in one stream, and print nothing but progress."""
    profiles = [fitting_profile(bench, profile_name, model, flags["offline"]) for bench in benches]
    reports = evaluate_profiles(profiles, model, flags, sampling)
    return [*reports, *means(benches, reports)]


def evaluate_profiles(
    profiles: Sequence[Profile], model: Model, flags: dict[str, Any], sampling: dict[str, Any]
) -> list[dict[str, Any]]:
    """A report for each of them."""
    scored = not flags.get("no_score")
    reference = isinstance(model, ReferenceModel)
    trusted = flags["unsafe"] or reference
    runs = scored and any(needs_sandbox(each.scoring.scorer) for each in profiles)
    backend = choose(flags["sandbox_name"], trusted, say, flags["runtime"]) if runs else UnneededBackend()
    first = []
    if backend.name == "none":
        first.append("UNSANDBOXED: programs run with your rights")
    if reference:
        first.append("no --model: the reference solutions are run")
    if first:
        # Line one of every output says so; with --json that is standard error, and the document's notes.
        click.echo("; ".join(first), err=flags["as_json"])
    settings = Settings(
        out=flags["out"] or results_folder(),
        workers=flags["workers"] or cores(),
        ks=tuple(sorted(set(flags["ks"]))),
        offline=flags["offline"],
        cached=not flags["no_cache"],
        scored=scored,
        **sampling,
    )
    title = profiles[0].benchmark.name if len(profiles) == 1 else f"{len(profiles)} benchmarks"
    display = Display(title, scored)
    try:
        return run_benchmarks(profiles, model, backend, settings, display, say)
    finally:
        display.close()


def means(benches: Sequence[Benchmark], reports: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One more report for each benchmark of several parts: their mean."""
    by_name: dict[str, tuple[Benchmark, list[dict[str, Any]]]] = {}
    for bench, report in zip(benches, reports, strict=True):
        if bench.part and not bench.other_parts:  # windows overlap
            by_name.setdefault(type(bench).name, (bench, []))[1].append(report)
    found = (mean_of_parts(own, bench.apart, bench.weighted) for bench, own in by_name.values())
    return [mean for mean in found if mean]


def finish(reports: list[dict[str, Any]], as_json: bool) -> int:
    """Print the reports; 3 where samples are left without a verdict."""
    if as_json:
        print_json(reports[0] if len(reports) == 1 else reports)
    else:
        draw(reports)
    return 3 if any("missing" in report for report in reports) else 0


def load(names: str, plugins: Sequence[Path]) -> list[Benchmark]:
    """The benchmarks that ``names`` lists. Raises UsageError, also for one that is data only; PluginError."""
    registry = discover(plugins)
    wanted = registry.expand(names)
    if not wanted:
        raise UsageError("--bench: names no benchmark; see qceval list")
    for error in registry.refused:
        say(f"qceval: left out: {error}")
    found = [registry.load(name) for name in wanted]
    for each in found:
        profile(each, None)  # said before anything runs
    return found
