"""`qceval run`, `qceval score` and `qceval check`: the same evaluation of different models."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from ..benchmark import Benchmark, Profile, profile
from ..config import results_folder
from ..errors import UsageError
from ..models.base import Model
from ..models.choose import ready
from ..models.reference import ReferenceModel
from ..models.replay import Recordings, ReplayModel
from ..registry import discover
from ..reports.parts import mean_of_parts
from ..reports.table import draw, for_terminal
from ..runs.directory import evidence
from ..runs.journal import Journal
from ..sandboxes.base import Backend
from ..sandboxes.choose import choose
from ..sandboxes.none import NoneBackend
from ..scoring.base import cut
from ..stream.golden import failing
from ..stream.session import Settings, fitting_profile, run_benchmarks
from . import generation, options
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
    backend = choose(flags["sandbox_name"], trusted, say, flags["runtime"]) if scored else NoneBackend()
    first = []
    if scored and backend.name == "none":
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
    found = (mean_of_parts(own, bench.apart) for bench, own in by_name.values())
    return [mean for mean in found if mean]


def finish(reports: list[dict[str, Any]], as_json: bool) -> int:
    """Print the reports; 3 where samples are left without a verdict."""
    if as_json:
        print_json(reports[0] if len(reports) == 1 else reports)
    else:
        draw(reports)
    return 3 if any("missing" in report for report in reports) else 0


def load(names: str, plugins: Sequence[Path]) -> list[Benchmark]:
    registry = discover(plugins)
    wanted = registry.expand(names)
    if not wanted:
        raise UsageError("--bench: names no benchmark; see qceval list")
    for error in registry.refused:
        say(f"qceval: left out: {error}")
    return [registry.load(name) for name in wanted]


@click.command("run")
@click.option("--bench", required=True, metavar="NAME[,NAME]", help="Benchmarks; see qceval list.")
@click.option("--backend", type=click.Choice(generation.BACKENDS), default="auto", show_default=True)
@click.option("--samples", type=click.Path(path_type=Path), metavar="FILE", help="Recorded outputs, for replay.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N problems.")
@click.option("--no-score", is_flag=True, help="Generate only; the same command without it scores.")
@options.profile
@generation.asking
@generation.sampling
@generation.engine
@generation.server
@options.running
def run_command(
    bench: str, backend: str, samples: Path | None, profile_name: str | None, limit: int | None, n: int | None,
    temperature: float | None, top_p: float | None, max_tokens: int | None, seed: int | None, **flags: Any,
) -> int:  # fmt: skip
    """Generate and score. Without --model the reference solutions are run. Killed or interrupted, the same command
    continues.

    Example: qceval run --bench humaneval,starter --model Qwen/Qwen2.5-Coder-7B
    """
    wanted = generation.wanted(flags)
    sampling = {
        "limit": limit, "n": n, "temperature": temperature, "top_p": top_p, "max_tokens": max_tokens, "seed": seed,
    }  # fmt: skip
    with ExitStack() as stack:
        model: Model
        if samples is not None or backend == "replay":
            if samples is None:
                raise UsageError("--backend replay: give the recorded outputs with --samples FILE")
            if given := [name for name, value in sampling.items() if value is not None]:
                named = ", ".join(f"{'-' if name == 'n' else '--'}{name.replace('_', '-')}" for name in given)
                raise UsageError(f"--samples: recorded outputs are scored as they are; drop {named}")
            model = ReplayModel(samples, wanted.model or None)
        elif wanted.model in ("", "reference") or backend == "reference":
            if wanted.server or backend not in ("auto", "reference"):
                raise UsageError(f"--backend {backend}: which model? name it with --model")
            model = ReferenceModel()
        else:
            load(bench, flags["plugins"])  # a wrong name is said before a model is looked for
            out, cached = flags["out"] or results_folder(), not flags["no_cache"]
            model = stack.enter_context(ready(wanted, backend, out, cached, say))
        benches = load(bench, flags["plugins"])
        return finish(evaluate(benches, model, profile_name, flags, sampling), flags["as_json"])


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
        backend = choose(flags["sandbox_name"], True, say, flags["runtime"])
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
