"""`qceval check`: golden vectors and reference solutions, the ceiling of a score."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click

from ..benchmark import Benchmark, profile
from ..models.reference import ReferenceModel
from ..reports.table import for_terminal
from ..runs.directory import evidence
from ..runs.journal import Journal
from ..sandboxes.base import Backend
from ..sandboxes.choose import choose
from ..sandboxes.none import UnneededBackend
from ..scoring.base import cut, needs_sandbox
from ..stream.golden import failing
from . import options
from .evaluation import evaluate, finish, load
from .options import say


@click.command("check")
@options.one_bench
@options.profile
@options.running
def check_command(bench: str, profile_name: str | None, **flags: Any) -> int:
    """Run the golden vectors and the reference solutions: the ceiling of a score on this machine.

    Exit 1 where a golden vector gives another verdict or the ceiling is under 100 %.

    Example: qceval check --bench humaneval
    """
    benches = load(bench, flags["plugins"])
    with tempfile.TemporaryDirectory(prefix="qceval-check-") as folder:  # never an answer of an earlier check
        anew = {**flags, "out": Path(folder), "no_cache": True}
        solved = [bench for bench in benches if has_references(bench, profile_name, flags["offline"])]
        found = evaluate(solved, ReferenceModel(), profile_name, anew, {}) if solved else []
        runs = any(needs_sandbox(scoring.scorer) for bench in benches for scoring in bench.scoring.values())
        backend = choose(flags["sandbox_name"], True, say, flags["runtime"]) if runs else UnneededBackend()
        by_name = {report["benchmark"]: report for report in found}
        reports = [by_name.get(bench.name) or golden_only(bench, profile_name, backend) for bench in benches]
        for benchmark, report in zip(benches, reports, strict=True):
            report["golden"] = failing(benchmark, backend)
            report["exceptions"] = [
                {
                    "problem": row["problem"],
                    "checks": row["checks"],
                    "evidence": evidence(row),
                    "known": known_failure(benchmark, row["problem"]),
                }
                for row in (Journal(Path(report.pop("run")) / "verdicts.jsonl").rows() if "run" in report else ())
                if set(row["checks"].values()) != {"passed"}
            ]
    finish(reports, flags["as_json"])
    if not flags["as_json"]:
        for benchmark, report in zip(benches, reports, strict=True):
            say_ceiling(benchmark, report)
    if any(report.get("missing", {}).get("try_again") for report in reports):
        return 3
    return int(any(report["exceptions"] or report["golden"] or "missing" in report for report in reports))


def known_failure(benchmark: Benchmark, problem: str) -> str | None:
    """Why this reference is known to fail, or None."""
    return next((why for why, problems in benchmark.known_failures.items() if problem in problems), None)


def has_references(bench: Benchmark, profile_name: str | None, offline: bool) -> bool:
    return any(problem.reference is not None for problem in profile(bench, profile_name).problems(offline))


def golden_only(bench: Benchmark, profile_name: str | None, backend: Backend) -> dict[str, Any]:
    """The report of a benchmark whose rows have no reference solutions."""
    chosen = profile(bench, profile_name)
    return {
        "benchmark": bench.name,
        "model": "reference",
        "profile": chosen.name,
        "dataset": {"version": chosen.asking.rows.version, "sha256": chosen.dataset_hash},
        "sandbox": backend.name,
        "problems": 0,
        "samples": 0,
        "scores": {},
        "outcomes": {},
        "notes": ["its rows have no reference solutions: golden vectors only"],
    }


def say_ceiling(benchmark: Benchmark, report: dict[str, Any]) -> None:
    right = len(benchmark.golden) - len(report["golden"])
    click.echo(f"golden vectors of {benchmark.name}: {right} of {len(benchmark.golden)} give their verdict")
    if report["golden"]:
        click.echo(f"  in {benchmark.file}: correct the vector, or the benchmark and its version")
    for line in report["golden"]:
        click.echo(for_terminal(f"  {line}"))
    if not report["samples"]:
        return
    passed = report["samples"] - len(report["exceptions"]) - report.get("missing", {}).get("samples", 0)
    click.echo(f"ceiling of {benchmark.name}: {passed} of {report['samples']} references pass here")
    for row in report["exceptions"]:
        cause = row["evidence"].get("error") or f"got {row['evidence'].get('got')}"
        cause = f"{row['known']} ({cause})" if row["known"] else cause
        line = " ".join(f"{row['problem']}: {', '.join(row['checks'].values())}: {cause}".split())
        click.echo(for_terminal(cut(f"  {line}", 500)))
