"""`qceval runs`: list the runs on disk, look into one, remove old ones; `export` is in a module of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from ..config import results_folder
from ..errors import RunError, UsageError
from ..reports.table import draw, for_terminal
from ..runs.directory import evidence
from ..runs.journal import Journal
from ..runs.keeping import Kept, find, kept, remove, superfluous
from ..scoring.base import cut
from . import options
from .export import export_runs
from .options import print_json, say

SHOWN_CHARS, SHOWN_ROWS = 200, 20
DAY_S = 86_400.0

out = click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where runs are; results/ by default.")


@click.group("runs")
def runs_command() -> None:
    """List, show, export and prune runs.

    Example: qceval runs show results/reference/humaneval/evalplus-v0.1.10-1d77bc68
    """


runs_command.add_command(export_runs)


def described(run: Kept) -> dict[str, Any]:
    report = run.report
    known = {key: report.get(key) for key in ("model", "benchmark", "profile", "dataset", "samples")}
    scores = {
        metric["name"]: metric["value"]
        for metrics in report.get("scores", {}).values()
        for metric in list(metrics.values())[:1]
        if "name" in metric
    }
    changed = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(run.changed))
    state = {"complete": run.complete, "scores": scores, "changed": changed, "bytes": run.size}
    return {"run": str(run.path), **known, **state}


@runs_command.command("list")
@out
@options.as_json
def list_runs(out: Path | None, as_json: bool) -> None:
    """All runs below a folder, the latest last, with their first metric."""
    found = sorted(find(out or results_folder()), key=lambda run: run.changed)
    lines = [described(run) for run in found]
    if as_json:
        print_json(lines)
        return
    for line in lines:
        scores = ", ".join(f"{name} {100 * value:.1f} %" for name, value in line["scores"].items())
        state = scores if line["complete"] else "not complete; the same command continues it"
        click.echo(for_terminal(f"{line['changed'][:16]}  {line['bytes'] / 1e6:7.1f} MB  {line['run']}: {state}"))
    if not lines:
        say(f"no runs in {out or results_folder()}")


@runs_command.command("show")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("problem", required=False)
@options.as_json
def show_run(run: Path, problem: str | None, as_json: bool) -> None:
    """The scores of a run and what failed in it; with PROBLEM, its answers and all that is known of their verdicts."""
    found = kept(run)
    rows = Journal(run / "verdicts.jsonl", ("problem", "sample", "checks")).rows()
    if problem is None:
        failed = [row for row in rows if set(row["checks"].values()) != {"passed"}]
        if as_json:
            failures = [{**_plain(row), "evidence": evidence(row)} for row in failed]
            print_json({**described(found), "report": found.report, "failed": failures})
            return
        if found.complete:
            draw([found.report])
        else:
            click.echo(f"{run}: not complete; the same command continues it")
        for row in failed[:SHOWN_ROWS]:
            said = ", ".join(f"{name} {text}" for name, text in evidence(row).items())
            outcomes = ", ".join(row["checks"].values())
            click.echo(for_terminal(f"  {row['problem']} [{row['sample']}] {outcomes}: {cut(said, SHOWN_CHARS)}"))
        if len(failed) > SHOWN_ROWS:
            click.echo(f"  and {len(failed) - SHOWN_ROWS} more; name a problem to see all of it")
        return
    verdicts = {row["sample"]: row for row in rows if row["problem"] == problem}
    answers = Journal(run / "completions.jsonl", ("problem", "sample", "text")).rows()
    samples = [
        {"sample": row["sample"], "text": row["text"], **_verdict(verdicts.get(row["sample"]))}
        for row in answers
        if row["problem"] == problem
    ]
    if not samples:
        raise RunError(f"{run}: no answer to {problem!r}; problems are named as in its verdicts.jsonl")
    if as_json:
        print_json({"run": str(run), "problem": problem, "samples": samples})
        return
    for sample in samples:
        click.echo(f"──── {problem}, sample {sample['sample']} ────")
        click.echo(for_terminal(sample["text"]))
        for name, text in {**sample["checks"], **sample["evidence"]}.items():
            click.echo(for_terminal(f"{name}: {text}"))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("problem", "sample", "checks")}


def _verdict(row: dict[str, Any] | None) -> dict[str, Any]:
    return {"checks": row["checks"], "evidence": evidence(row)} if row else {"checks": {}, "evidence": {}}


@runs_command.command("prune")
@out
@click.option(
    "--keep", type=click.IntRange(0), metavar="N", help="Newest runs of a model, benchmark and profile that stay."
)
@click.option("--older-than", type=click.FloatRange(0), metavar="DAYS", help="Only runs last written before that.")
@click.option("--yes", is_flag=True, help="Remove them; without it they are only named.")
@options.as_json
def prune_runs(out: Path | None, keep: int | None, older_than: float | None, yes: bool, as_json: bool) -> None:
    """Remove runs that are no longer wanted. A run that is being written stays.

    Example: qceval runs prune --keep 5 --older-than 30 --yes
    """
    if keep is None and older_than is None:
        raise UsageError("runs prune: would remove every run; say which stay, with --keep N or --older-than DAYS")
    before = None if older_than is None else time.time() - older_than * DAY_S
    lines: list[dict[str, Any]] = []
    for run in superfluous(list(find(out or results_folder())), keep, before):
        removed = yes and remove(run)
        lines.append({"run": str(run.path), "bytes": run.size, "removed": removed})
        if not as_json:
            state = "removed" if removed else "in use, stays" if yes else "would be removed"
            click.echo(for_terminal(f"{run.path}: {state}, {run.size / 1e6:.1f} MB"))
    if as_json:
        print_json(lines)
    elif not lines:
        say("nothing to remove")
    elif not yes:
        say(f"{len(lines)} runs, {sum(line['bytes'] for line in lines) / 1e6:.1f} MB; add --yes to remove them")
