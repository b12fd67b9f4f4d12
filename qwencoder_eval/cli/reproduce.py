"""`qceval reproduce`: a published table, cell by cell: theirs, ours, and why not where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from ..benchmark import Profile, profile
from ..config import results_folder
from ..errors import DatasetError, InputError, RunError, UsageError
from ..models.choose import ready
from ..models.replay import ReplayModel
from ..registry import Registry, discover
from ..reports.golden import Target, models, profile_of, targets
from ..reports.reproduce import Ours, Row, draw, held_against, is_partial
from ..runs.reading import Finished, all_finished
from . import generation, options
from .evaluation import evaluate_profiles
from .options import print_json, say

NOT_YET = "not in qceval yet"


@click.command("reproduce")
@click.argument("name", required=False)
@click.option("--samples", type=click.Path(path_type=Path), metavar="DIR", help="Its recorded outputs.")
@click.option("--bench", metavar="NAME[,NAME]", help="Only what these benchmarks of qceval give.")
@click.option("--backend", type=click.Choice(generation.ENGINES), default="auto", show_default=True)
@generation.asking
@generation.engine
@generation.server
@options.running
def reproduce_command(name: str | None, samples: Path | None, bench: str | None, backend: str, **flags: Any) -> int:
    """Hold published scores of a model against ours, cell by cell. Without NAME, the tables there are.

    Ours come from --samples (recorded outputs are scored), from --model (it generates), or else from runs that are
    in the results folder already. Exit 1 where a cell differs and nothing explains it.

    Example: qceval reproduce qwen2.5-coder-1.5b-base --samples outputs/
    """
    wanted = generation.wanted(flags)
    if name is None:
        list_tables(flags["as_json"])
        return 0
    found = targets(name)
    registry = discover(flags["plugins"])
    for error in registry.refused:
        say(f"qceval: left out: {error}")
    chosen, missing = benchmarks(found, registry, registry.expand(bench) if bench is not None else None)
    if samples is not None:
        ours = from_samples(found, chosen, missing, samples, wanted.model or name, flags)
    elif wanted.model or wanted.server:
        if not wanted.model:
            raise UsageError("--base-url: which model? name it with --model")
        ours = {}
        if with_rows(chosen, missing, flags["offline"]):
            out, cached = flags["out"] or results_folder(), not flags["no_cache"]
            with ready(wanted, backend, out, cached, say) as model:
                reports = evaluate_profiles(list(chosen.values()), model, flags, {})
            ours = {report["benchmark"]: Ours(report, recorded=False) for report in reports}
    else:
        ours = from_runs(chosen, missing, flags["out"] or results_folder(), {name, models()[name].lower()}, name)
    rows = held_against(found, ours, missing)
    if flags["as_json"]:
        print_json(document(name, rows))
    else:
        draw(rows)
    if any("missing" in each.report for each in ours.values()):
        return 3
    return int(any(row.state == "differs" for row in rows))


def document(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    states = [row.state for row in rows]
    counted = {state: states.count(state) for state in ("agrees", "explained", "differs", "not available")}
    return {"name": name, "model": models()[name], "counts": counted, "cells": [row.plain() for row in rows]}


def list_tables(as_json: bool) -> None:
    listed = [{"name": name, "model": model, "cells": len(targets(name))} for name, model in models().items()]
    if as_json:
        print_json(listed)
        return
    for each in listed:
        click.echo(f"{each['name']:30}  {each['cells']:3} cells  {each['model']}")


def benchmarks(
    found: Sequence[Target], registry: Registry, only: Sequence[str] | None
) -> tuple[dict[str, Profile], dict[str, str]]:
    """The benchmarks that give these cells, each with its profile; and of the others why they do not."""
    chosen: dict[str, Profile] = {}
    missing: dict[str, str] = {}
    kind = found[0].cell.model_kind
    for bench in dict.fromkeys(target.bench for target in found if target.bench):
        whole, _, part = bench.partition(":")
        entry = registry.entries.get(whole)
        if entry is None:
            missing[bench] = NOT_YET
        elif not entry.has(part):
            missing[bench] = f"{NOT_YET}: {whole} has no {part or 'whole'}"
        elif only is not None and bench not in only:
            missing[bench] = "left out by --bench"
        else:
            loaded = registry.load(bench)
            if not loaded.profiles:  # rows for decontamination, and no scorer yet
                missing[bench] = NOT_YET
                continue
            chosen[bench] = profile(loaded, profile_of(bench, kind, list(loaded.profiles)))
    if only is not None and not chosen:
        raise UsageError(
            f"--bench: gives no cell of this table; its benchmarks are {', '.join(dict.fromkeys(missing))}"
        )
    return chosen, missing


def from_samples(
    found: Sequence[Target],
    chosen: dict[str, Profile],
    missing: dict[str, str],
    folder: Path,
    model: str,
    flags: dict[str, Any],
) -> dict[str, Ours]:
    """Score the recorded outputs that are there, a benchmark at a time, and say of the others that they are not."""
    if not folder.is_dir():
        raise UsageError(f"--samples {folder}: not a folder; give the one that holds the outputs of all benchmarks")
    places = {target.bench: target.outputs for target in found if target.bench in chosen}
    files = {bench: file for bench, own in places.items() for file in [_file(folder, own)] if file}
    if not files:
        looked_for = ", ".join(place for own in places.values() for place in own) or "none of them is known"
        raise InputError(f"--samples {folder}: no recorded outputs there; looked for {looked_for}")
    for bench in set(chosen) - set(files):
        missing[bench] = "no outputs in --samples" if places[bench] else "no outputs are known"
        del chosen[bench]
    ours = {}
    for bench, own in with_rows(chosen, missing, flags["offline"]).items():
        (report,) = evaluate_profiles([own], ReplayModel(files[bench], model), flags, {})
        ours[bench] = Ours(report, recorded=True)
    return ours


def with_rows(chosen: dict[str, Profile], missing: dict[str, str], offline: bool) -> dict[str, Profile]:
    """``chosen`` without the benchmarks whose rows cannot be had, which are said."""
    for bench, own in list(chosen.items()):
        try:
            own.problems(offline)
        except DatasetError as error:
            say(f"{bench}: {error}")
            missing[bench] = "its rows are not here"
            del chosen[bench]
    return chosen


def _file(folder: Path, places: Sequence[str]) -> Path | None:
    files = (folder / f"{place}{ending}" for place in places for ending in ("", ".gz"))
    return next((file for file in files if file.is_file()), None)


def from_runs(
    chosen: dict[str, Profile], missing: dict[str, str], results: Path, names: Iterable[str], name: str
) -> dict[str, Ours]:
    """Of each benchmark the latest finished run, a whole one if there is one, of its profile and a model so named."""
    try:
        runs, left_out = all_finished([results])
    except RunError:
        runs, left_out = [], []
    for line in left_out:
        say(f"left out: {line}")
    latest: dict[str, Finished] = {}
    for run in sorted(runs, key=lambda run: (not is_partial(run.notes), run.started)):
        own = chosen.get(run.benchmark)
        if own and run.profile == own.name and run.model.rpartition("/")[2].lower() in names:
            latest[run.benchmark] = run
    if not latest:
        raise UsageError(
            f"{name}: no finished run of it in {results}; score recorded outputs with --samples DIR, or generate with "
            "--model M"
        )
    for bench in chosen:
        if bench not in latest:
            missing[bench] = "no run of it yet"
    return {
        bench: Ours(run.report, recorded=run.described["generation"].get("model") == "replay")
        for bench, run in latest.items()
    }
