"""A whole evaluation of one benchmark: keys, run directory, references, stream, scores."""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..benchmark import Profile
from ..config import cache_folder
from ..errors import ReferenceFailsError, UsageError
from ..models.base import Model
from ..models.replay import ReplayModel
from ..runs.directory import Run, digest, safe_name
from ..sandboxes.base import Backend
from ..sandboxes.languages import language
from ..sandboxes.pool import Pool, memory_for_each
from ..sandboxes.verdicts import VerdictCache
from ..scoring.base import cut
from ..scoring.references import References
from ..types import Problem, Sampling, Score
from .evaluate import Judge, Lost, content_digest, evaluate
from .tally import Tally, default_ks

FIRST_PROMPTS = 2  # rendered prompts that a run records word for word


@dataclass(frozen=True)
class Settings:
    """What a command line adds to a profile. ``ks`` empty: as the number of samples allows."""

    out: Path
    workers: int
    limit: int | None = None
    n: int | None = None
    temperature: float | None = None
    ks: tuple[int, ...] = ()
    offline: bool = False
    cached: bool = True  # whether verdicts of earlier runs count


class Progress:
    """What a session tells while it works; the command line draws it, others ignore it."""

    def phase(self, name: str, total: int, done: int) -> None: ...

    def tick(self, name: str, more: int) -> None: ...


def run_benchmark(
    profile: Profile,
    model: Model,
    backend: Backend,
    settings: Settings,
    progress: Progress,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Evaluate and return the report (see ``report``). Raises QcevalError of every kind."""
    problems = everything = profile.problems(settings.offline)
    if settings.limit is not None and not isinstance(model, ReplayModel):
        problems = problems[: settings.limit]
    sampling = sampling_of(profile, settings, model, problems)
    ks = list(settings.ks) or default_ks(sampling.n)
    if max(ks) > sampling.n:
        raise UsageError(f"-k {max(ks)}: needs {max(ks)} samples a problem, there are {sampling.n}; raise -n")

    generation = generation_key(profile, problems, sampling, model)
    scoring = scoring_key(profile, problems, backend, settings.workers)
    folder = f"{profile.name}-{safe_name(profile.asking.rows.version)}-{digest(generation)[:8]}"
    path = settings.out / safe_name(model.name) / profile.benchmark.name / folder
    run = Run(path, generation, scoring, provenance(profile, problems))
    try:
        total = len(problems) * sampling.n
        tally = Tally(profile.scoring.scorer.checks, problems)
        lost: Lost = {}
        if len(run.judged) < total:
            references = References(profile.scoring.scorer, backend)
            progress.phase("references", len(problems), 0)
            references.prepare(problems, settings.workers, lambda done, of: progress.phase("references", of, done))
            progress.phase("scored", total, len(run.judged))
            slowest_first = sorted(problems, key=references.cost_s, reverse=True)
            with Pool(backend, settings.workers) as pool, verdict_cache(backend, settings, say) as cache:
                rule = {key: value for key, value in scoring.items() if key != "tests"}
                judge = Judge(profile.scoring, references, pool, cache, rule)
                lost = evaluate(run, slowest_first, profile, sampling, model, judge, progress.tick)
                if judge.known:
                    say(f"{path}: {judge.known} verdicts were known, {pool.programs} programs run")
        else:
            say(f"{path}: complete; nothing is run again")
        for verdict in run.all_verdicts():
            tally.add(verdict)
        described = report(profile, model, backend, sampling, tally, total, len(problems), len(everything), path)
        if len(run.judged) < total:
            again = not all(isinstance(error, ReferenceFailsError) for error in lost.values())
            reasons = {problem: cut(str(error), 400) for problem, error in lost.items()}
            described["missing"] = {"samples": total - len(run.judged), "problems": reasons, "try_again": again}
        else:
            described["scores"] = {
                name: {metric: _plain(score, name, profile) for metric, score in metrics.items()}
                for name, metrics in tally.scores(ks).items()
            }
        run.write("scores.json", described)
        return described
    finally:
        run.close()


@contextmanager
def verdict_cache(backend: Backend, settings: Settings, say: Callable[[str], None]) -> Iterator[VerdictCache | None]:
    """None where verdicts must be fresh; and without a sandbox, where a program could write into the cache."""
    if not settings.cached or backend.name == "none":
        yield None
        return
    cache = VerdictCache(cache_folder() / "verdicts.sqlite", say)
    try:
        yield cache
    finally:
        cache.close()


def sampling_of(profile: Profile, settings: Settings, model: Model, problems: Sequence[Problem]) -> Sampling:
    """The profile's sampling with what the user overrides. A replayed file has the n that it has."""
    sampling = profile.asking.sampling
    if isinstance(model, ReplayModel):
        return replace(sampling, n=model.scan(problems, profile.other_versions))
    n = sampling.n if settings.n is None else settings.n
    temperature = sampling.temperature if settings.temperature is None else settings.temperature
    if n > 1 and temperature == 0 and model.name != "reference":
        raise UsageError(f"-n {n}: at temperature 0 all samples are the same; add --temperature 0.8")
    return replace(sampling, n=n, temperature=temperature)


def generation_key(profile: Profile, problems: Sequence[Problem], sampling: Sampling, model: Model) -> dict[str, Any]:
    prompts = content_digest([problem.id, asdict(profile.prompt(problem))] for problem in problems)
    answers = {"answers": content_digest([p.id, p.reference] for p in problems)} if model.name == "reference" else {}
    return {
        "benchmark": profile.benchmark.name,
        "dataset": profile.dataset_hash,
        "problems": len(problems),
        "prompts": prompts,
        "sampling": asdict(sampling),
        **answers,
        **model.key(),
    }


def scoring_key(profile: Profile, problems: Sequence[Problem], backend: Backend, workers: int) -> dict[str, Any]:
    spoken = [language(name) for name in sorted({problem.language for problem in problems})]
    return {
        **profile.scoring.key(),
        "benchmark_version": profile.benchmark.version,
        "benchmark_file": hashlib.sha256(profile.benchmark.file.read_bytes()).hexdigest(),
        "tests": content_digest([p.id, p.language, p.stub, p.reference, dict(p.tests)] for p in problems),
        "sandbox": {each.name: {**backend.identity(each), "table": digest(asdict(each))[:12]} for each in spoken},
        "memory_bytes": {each.name: memory_for_each(each.memory_bytes, workers) for each in spoken},
    }


def provenance(profile: Profile, problems: Sequence[Problem]) -> dict[str, Any]:
    return {
        "qceval": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}",
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "profile": profile.name,
        "dataset_version": profile.asking.rows.version,
        "first_prompts": [asdict(profile.prompt(problem)) for problem in problems[:FIRST_PROMPTS]],
    }


def report(
    profile: Profile,
    model: Model,
    backend: Backend,
    sampling: Sampling,
    tally: Tally,
    total: int,
    problems: int,
    whole: int,
    path: Path,
) -> dict[str, Any]:
    """The document that --json prints and scores.json keeps; scores are fractions."""
    rows = profile.asking.rows
    notes = []
    if backend.name == "none":
        notes.append("unsandboxed")
    if model.name == "reference":
        notes.append("reference solutions")
    if isinstance(model, ReplayModel) and model.left_out:
        notes.append(f"left out: {len(model.left_out)} tasks of other dataset versions")
    if problems < whole:
        notes.append(f"partial: {problems} of {whole} problems")
    explains = getattr(profile.scoring.scorer, "explains", {})
    notes += [f"{count:g} verdicts {explains[name]}" for name, count in tally.measures.items() if name in explains]
    if reason := profile.benchmark.apart.get(profile.benchmark.part):
        notes.append(reason)
    return {
        "benchmark": profile.benchmark.name,
        "model": model.name,
        "profile": profile.name,
        "dataset": {"version": rows.version, "sha256": profile.dataset_hash},
        "sandbox": backend.name,
        "n": sampling.n,
        "problems": problems,
        "samples": total,
        "scores": {},
        "outcomes": {check: dict(counts) for check, counts in tally.outcomes.items()},
        "notes": notes,
        "run": str(path),
    }


def _plain(score: Score, name: str, profile: Profile) -> dict[str, Any]:
    """A score of the document; ``name`` has the dataset version in it, as two versions are two benchmarks."""
    plain = {"name": f"{name} {profile.asking.rows.version}", **asdict(score)}
    del plain["metric"]
    return plain
