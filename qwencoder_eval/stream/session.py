"""A whole evaluation: of each benchmark keys, run directory and references; one stream for all; scores."""

from __future__ import annotations

import hashlib
import platform
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..benchmark import Benchmark, Profile, profile
from ..config import cache_folder
from ..datasets import assets
from ..errors import ReferenceFailsError, UsageError
from ..models.base import Model
from ..models.replay import Recordings, ReplayModel
from ..runs.cache import Cache
from ..runs.directory import Run, digest, safe_name
from ..sandboxes.base import Backend
from ..sandboxes.languages import language
from ..sandboxes.none import UnneededBackend
from ..sandboxes.pool import Pool, memory_for_each
from ..scoring.base import cut, needs_sandbox
from ..scoring.references import References
from ..types import Needle, Problem, Sampling, Score, plain
from .evaluate import Judge, Progress, Work, content_digest, evaluate
from .tally import Tally, default_ks

FIRST_PROMPTS = 2  # rendered prompts that a run records word for word ...
RECORDED_CHARS, RECORDED_TOKENS = 200_000, 40_000  # ... up to these sizes; of longer ones beginning and end


@dataclass(frozen=True)
class Settings:
    """What a command line adds to a profile. ``ks`` empty: as the number of samples allows."""

    out: Path
    workers: int
    limit: int | None = None
    n: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    ks: tuple[int, ...] = ()
    offline: bool = False
    cached: bool = True  # whether verdicts of earlier runs count
    scored: bool = True  # else completions are made, and kept for later


def fitting_profile(bench: Benchmark, name: str | None, model: Model, offline: bool) -> Profile:
    """The profile of this name; without one, the first whose prompts the model is made for.

    Raises UsageError where it is not made for any; of the first one then.
    """
    if name is not None or model.instant:
        return profile(bench, name)
    first_error: UsageError | None = None
    for each in bench.profiles:
        chosen = profile(bench, each)
        try:
            model.rendered(chosen.prompt(chosen.problems(offline)[0]))
        except UsageError as error:
            first_error = first_error or error
        else:
            return chosen
    assert first_error is not None
    raise UsageError(f"{bench.name}: {first_error}")


class Evaluation:
    """One benchmark of a session. Opens its run directory; raises QcevalError of every kind."""

    def __init__(self, chosen: Profile, model: Model, backend: Backend, settings: Settings) -> None:
        if isinstance(model, Recordings):
            model = model.files[chosen.benchmark.name]
        self.needs_sandbox = needs_sandbox(chosen.scoring.scorer)
        self.profile, self.model, self.settings = chosen, model, settings
        self.backend = backend if self.needs_sandbox else UnneededBackend()
        self.problems = self.everything = chosen.problems(settings.offline)
        if settings.limit is not None and not isinstance(model, ReplayModel):
            self.problems = self.problems[: settings.limit]
        self.sampling = sampling_of(chosen, settings, model, self.problems)
        self.ks = list(settings.ks) or default_ks(self.sampling.n, chosen.scoring.ks)
        if max(self.ks) > self.sampling.n:
            raise UsageError(
                f"-k {max(self.ks)}: needs {max(self.ks)} samples a problem, not {self.sampling.n}; raise -n"
            )
        try:
            first = [bounded(model.rendered(chosen.prompt(problem))) for problem in self.problems[:FIRST_PROMPTS]]
            if longest := longest_needle(chosen, self.problems):  # a haystack that is too short is told before any work
                model.rendered(longest)
        except UsageError as error:
            raise UsageError(f"{chosen.benchmark.name}, profile {chosen.name}: {error}") from None
        generation = generation_key(chosen, self.problems, self.sampling, model)
        self.scoring = scoring_key(chosen, self.problems, self.backend, settings.workers)
        folder = f"{chosen.name}-{safe_name(chosen.asking.rows.version)}-{digest(generation)[:8]}"
        path = settings.out / safe_name(model.name) / chosen.benchmark.name / folder
        self.run = Run(
            path, generation, self.scoring, {**provenance(chosen), **model.provenance(), "first_prompts": first}
        )
        self.total = len(self.problems) * self.sampling.n
        self.references = References(chosen.scoring.scorer, self.backend)
        self.work = Work(chosen, self.problems, self.sampling, self.run, None)
        if not isinstance(model, ReplayModel):  # whose file holds last turns
            self.work.max_turns = chosen.benchmark.max_turns
        if self.work.max_turns > 1 and not settings.scored:
            self.run.close()
            raise UsageError(f"{chosen.benchmark.name}: its second turn rests on a verdict; run it without --no-score")

    @property
    def complete(self) -> bool:
        return len(self.run.judged if self.settings.scored else self.run.done) >= self.total

    def judge(self, pool: Pool, cache: Cache | None) -> None:
        rule = {key: value for key, value in self.scoring.items() if key != "tests"}
        self.work.judge = Judge(self.profile.scoring, self.references, pool, cache, rule)

    def prepare(self, progress: Progress) -> None:
        self.references.prepare(self.problems, self.settings.workers, progress.references)

    def slowest_first(self) -> None:
        """Of a prepared benchmark: what may take long is begun first, so that no worker is left alone with it."""
        self.work.problems = sorted(self.problems, key=self.references.cost_s, reverse=True)

    def finish(self) -> dict[str, Any]:
        """Write the report (see ``report``) to scores.json, and return it."""
        run, work = self.run, self.work
        scorer = self.profile.scoring.scorer
        called, measured = getattr(scorer, "passing", "pass"), getattr(scorer, "measured", ())
        tally = Tally(scorer.checks, self.problems, called, measured, getattr(scorer, "unbounded", ()))
        for verdict in run.all_verdicts():
            tally.add(verdict)
        described = self.report(tally)
        if not self.model.instant:
            described["completions"] = counts = run.counts()
            if shortened := counts.get("shortened"):
                described["notes"].append(f"{shortened} of {len(run.done)} prompts were shortened to fit the context")
        run.record(self.model.provenance())
        if missing := self.total - len(run.judged if self.settings.scored else run.done):
            again = not work.lost or not all(isinstance(error, ReferenceFailsError) for error in work.lost.values())
            reasons = {problem: cut(str(error), 400) for problem, error in work.lost.items()}
            described["missing"] = {"samples": missing, "problems": reasons, "try_again": again}
        elif self.settings.scored:
            described["scores"] = {
                name: {metric: _plain(score, name, self.profile) for metric, score in metrics.items()}
                for name, metrics in tally.scores(self.ks).items()
            }
        run.write("scores.json", described)
        return described

    def report(self, tally: Tally) -> dict[str, Any]:
        """The document that --json prints and scores.json keeps; scores are fractions."""
        rows, model = self.profile.asking.rows, self.model
        notes = []
        if self.settings.scored and self.backend.name == "none":
            notes.append("unsandboxed")
        if model.name == "reference":
            notes.append("reference solutions")
        if isinstance(model, ReplayModel) and model.left_out:
            notes.append(f"left out: {len(model.left_out)} tasks of other dataset versions")
        if len(self.problems) < len(self.everything):
            notes.append(f"partial: {len(self.problems)} of {len(self.everything)} problems")
        if not self.settings.scored:
            notes.append("not scored")
        haystack = self.profile.haystack
        if haystack and haystack != self.profile.asking.haystack:
            notes.append(f"haystack: {haystack.name} {haystack.sha256[:12]}")
        if "first_turn" in tally.measures:
            notes.append(f"first turn: {tally.measures['first_turn']:g} of {tally.samples.total()} samples pass")
        explains = getattr(self.profile.scoring.scorer, "explains", {})
        notes += [f"{count:g} verdicts {explains[name]}" for name, count in tally.measures.items() if name in explains]
        notes += getattr(self.profile.scoring.scorer, "notes", lambda problems: [])(self.problems)
        if reason := self.profile.benchmark.apart.get(self.profile.benchmark.part):
            notes.append(reason)
        return {
            "benchmark": self.profile.benchmark.name,
            "model": model.name,
            "profile": self.profile.name,
            "dataset": {"version": rows.version, "sha256": self.profile.dataset_hash},
            **({"haystack": asdict(haystack)} if haystack else {}),
            "sandbox": self.backend.name,
            "n": self.sampling.n,
            "problems": len(self.problems),
            "samples": self.total,
            "scores": {},
            "outcomes": {check: dict(counts) for check, counts in tally.outcomes.items()},
            "notes": notes,
            "run": str(self.run.path),
        }


def run_benchmarks(
    profiles: Sequence[Profile],
    model: Model,
    backend: Backend,
    settings: Settings,
    progress: Progress,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Evaluate all of them in one stream, and return a report each. Raises QcevalError of every kind."""
    with ExitStack() as stack:
        evaluations: list[Evaluation] = []
        unfinished: list[Evaluation] = []
        pool = stack.enter_context(Pool(backend, settings.workers))
        for chosen in profiles:
            evaluations.append(found := Evaluation(chosen, model, backend, settings))
            stack.callback(found.run.close)
            if not found.complete:
                unfinished.append(found)
                places = {problem.assets for problem in found.problems}
                if settings.scored and found.needs_sandbox and not pool.started and len(places) == 1:
                    folder = "".join(str(assets.locate(place)) for place in places.pop()[:1])
                    pool.start(found.problems[0].language, found.total, folder)  # and the others are read meanwhile
        for each in evaluations:
            if each.complete:
                say(f"{each.run.path}: complete; nothing is run again")
        if unfinished and settings.scored:
            score(unfinished, model, pool, settings, progress, say)
            closing = threading.Thread(target=pool.close)  # while reports are made
            closing.start()
            stack.callback(closing.join)
        elif unfinished:
            start(unfinished, progress)
            evaluate([each.work for each in unfinished], model, None, progress)
        return [each.finish() for each in evaluations]


def score(
    evaluations: Sequence[Evaluation],
    model: Model,
    pool: Pool,
    settings: Settings,
    progress: Progress,
    say: Callable[[str], None],
) -> None:
    def prepare() -> None:
        for each in evaluations:
            each.prepare(progress)

    with verdict_cache(pool.backend, settings, say) as cache:
        for each in evaluations:
            each.judge(pool, cache)
        if model.instant:
            prepare()
            for each in evaluations:
                each.slowest_first()
        start(evaluations, progress)
        works = [each.work for each in evaluations]
        evaluate(works, model, pool, progress, (lambda: None) if model.instant else prepare)
        for _ in range(1, max(work.max_turns for work in works)):
            if any(work.run.turns.pending() for work in works):
                evaluate(works, model, pool, progress)
        if known := sum(work.judge.known for work in works if work.judge):
            say(f"{known} verdicts were known, {pool.programs} programs run")


def start(evaluations: Sequence[Evaluation], progress: Progress) -> None:
    generated = sum(len(each.run.done) for each in evaluations)
    scored = sum(len(each.run.judged) for each in evaluations)
    progress.start(sum(each.total for each in evaluations), generated, scored)


@contextmanager
def verdict_cache(backend: Backend, settings: Settings, say: Callable[[str], None]) -> Iterator[Cache | None]:
    """None where verdicts must be fresh; and without a sandbox, where a program could write into the cache."""
    if not settings.cached or backend.name == "none":
        yield None
        return
    cache = Cache(cache_folder() / "verdicts.sqlite", say)
    try:
        yield cache
    finally:
        cache.close()


def sampling_of(chosen: Profile, settings: Settings, model: Model, problems: Sequence[Problem]) -> Sampling:
    """The profile's sampling with what the user overrides. A replayed file has the n that it has."""
    sampling = chosen.asking.sampling
    if isinstance(model, ReplayModel):
        return replace(sampling, n=model.scan(problems, chosen.other_versions))
    for name in ("n", "temperature", "top_p", "max_tokens", "seed"):
        if (value := getattr(settings, name)) is not None:
            sampling = replace(sampling, **{name: value})
    if sampling.n > 1 and sampling.temperature == 0 and model.name != "reference":
        raise UsageError(f"-n {sampling.n}: at temperature 0 all samples are the same; add --temperature 0.8")
    return sampling


def longest_needle(chosen: Profile, problems: Sequence[Problem]) -> Needle | None:
    if not chosen.asking.haystack:
        return None
    asked = [prompt for problem in problems if isinstance(prompt := chosen.prompt(problem), Needle)]
    return max(asked, key=lambda prompt: prompt.tokens, default=None)


def bounded(rendered: Any) -> Any:
    """A rendered prompt, a JSON value, with the middle of very long texts and lists of tokens left out."""
    if isinstance(rendered, dict):
        return {key: bounded(value) for key, value in rendered.items()}
    if isinstance(rendered, str) and (more := len(rendered) - RECORDED_CHARS) > 0:
        half = RECORDED_CHARS // 2
        return f"{rendered[:half]}\n[... {more} characters ...]\n{rendered[-half:]}"
    if isinstance(rendered, list):
        if (more := len(rendered) - RECORDED_TOKENS) > 0:
            half = RECORDED_TOKENS // 2
            rendered = [*rendered[:half], f"... {more} more ...", *rendered[-half:]]
        return [bounded(each) for each in rendered]
    return rendered


def generation_key(chosen: Profile, problems: Sequence[Problem], sampling: Sampling, model: Model) -> dict[str, Any]:
    """Prompts as the benchmark asks them; what a model makes of them rests on what its own key holds."""
    prompts = content_digest([problem.id, plain(chosen.prompt(problem))] for problem in problems)
    answers = {"answers": content_digest([p.id, p.reference] for p in problems)} if model.name == "reference" else {}
    return {
        "benchmark": chosen.benchmark.name,
        "dataset": chosen.dataset_hash,
        "problems": len(problems),
        "prompts": prompts,
        "sampling": asdict(sampling),
        **answers,
        **model.key(),
    }


def scoring_key(chosen: Profile, problems: Sequence[Problem], backend: Backend, workers: int) -> dict[str, Any]:
    spoken = [language(name) for name in sorted({problem.language for problem in problems})]
    if not needs_sandbox(chosen.scoring.scorer):
        spoken = []
    places = sorted({place for problem in problems for place in problem.assets})
    return {
        **chosen.scoring.key(),
        "benchmark_version": chosen.benchmark.version,
        "benchmark_file": hashlib.sha256(chosen.benchmark.file.read_bytes()).hexdigest(),
        "tests": content_digest([p.id, p.language, p.stub, p.reference, dict(p.tests)] for p in problems),
        **({"assets": {place: assets.digest(assets.locate(place)) for place in places}} if places else {}),
        "sandbox": {each.name: {**backend.identity(each), "table": digest(asdict(each))[:12]} for each in spoken},
        "memory_bytes": {each.name: memory_for_each(each.memory_bytes, workers) for each in spoken},
    }


def provenance(chosen: Profile) -> dict[str, Any]:
    return {
        "qceval": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}",
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "profile": chosen.name,
        "dataset_version": chosen.asking.rows.version,
    }


def _plain(score: Score, name: str, chosen: Profile) -> dict[str, Any]:
    """A score of the document; ``name`` has the dataset version in it, as two versions are two benchmarks."""
    plain = {"name": f"{name} {chosen.asking.rows.version}", **asdict(score)}
    del plain["metric"]
    return plain
