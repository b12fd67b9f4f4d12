"""One benchmark, one model: generate what is missing, score what has no verdict, say what came of it.

    requests -> Model.generate -> completions.jsonl -> bounded queue -> worker threads -> verdicts.jsonl

Data goes forward only. The main thread draws completions from the model and waits where the queue is full, so
memory does not grow with the number of samples. Whatever is on disk already is not done again.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from ..benchmark import Profile, Scoring
from ..errors import InfrastructureError, ReferenceFailsError, SandboxError
from ..models.base import Model, Request
from ..runs.directory import Run
from ..sandboxes.pool import Pool
from ..sandboxes.verdicts import VerdictCache
from ..scoring.base import Judgement
from ..scoring.references import References
from ..scoring.values import encode
from ..types import Outcome, Problem, Sample, Sampling, Verdict

Tick = Callable[[str, int], None]  # "generated" or "scored", and how many more
Lost = dict[str, InfrastructureError]  # problems that no sandbox would judge, and why; the next try has them again


def requests(problems: Sequence[Problem], profile: Profile, sampling: Sampling, run: Run) -> Iterator[Request]:
    """What is still to be generated."""
    for problem in problems:
        numbers = tuple(number for number in range(sampling.n) if (problem.id, number) not in run.done)
        if numbers:
            yield Request(problem, profile.prompt(problem), sampling, numbers)


NEVER_CACHED = {Outcome.TIMEOUT, Outcome.INFRASTRUCTURE}  # what depends on the moment


class Judge:
    """Judges samples, each program once: ``key`` and the tests say what a cached verdict rests on besides its code."""

    def __init__(
        self, scoring: Scoring, references: References, pool: Pool, cache: VerdictCache | None, key: dict[str, Any]
    ) -> None:
        self.scoring, self.references, self.pool, self.cache = scoring, references, pool, cache
        self.known = 0  # verdicts that came from the cache
        self._rule = json.dumps(key, sort_keys=True)
        self._rests_on: dict[str, bytes] = {}

    def judge(self, problem: Problem, sample: Sample) -> Judgement:
        """The judgement of one sample. Raises InfrastructureError where it cannot be had here."""
        scorer = self.scoring.scorer
        code = self.scoring.extract(problem, sample.completion)
        if not code:
            said = f"no code in a completion of {len(sample.completion.text)} characters"
            return Judgement(dict.fromkeys(scorer.checks, Outcome.NO_CODE), evidence={"error": said})
        if self.cache is None:
            return scorer.score(problem, code, self.references.known(problem), self.pool)
        key = self.key(problem, code)
        if (known := self.cache.get(key)) is not None:
            with contextlib.suppress(ValueError, KeyError, AttributeError, TypeError):
                found = judgement(known, scorer.checks)
                self.known += 1
                return found
        found = scorer.score(problem, code, self.references.known(problem), self.pool)
        if NEVER_CACHED.isdisjoint(found.checks.values()):
            self.cache.put(key, asdict(found))
        return found

    def key(self, problem: Problem, code: str) -> bytes:
        if problem.id not in self._rests_on:
            rests_on = [self._rule, problem.language, problem.stub, problem.reference, dict(problem.tests)]
            self._rests_on[problem.id] = bytes.fromhex(content_digest([rests_on]))
        return hashlib.sha256(self._rests_on[problem.id] + code.encode("utf-8", "surrogatepass")).digest()


def judgement(known: dict[str, Any], checks: Sequence[str]) -> Judgement:
    """From the cache. Raises ValueError, KeyError, AttributeError or TypeError where it is not one."""
    outcomes = {check: Outcome(known["checks"][check]) for check in checks}
    return Judgement(outcomes, dict(known["measures"].items()), dict(known["evidence"].items()))


def content_digest(parts: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(json.dumps(part, sort_keys=True, default=_stable).encode() + b"\n")
    return digest.hexdigest()


def _stable(value: Any) -> Any:
    """A value that JSON does not know, the same in every process: a set's own order is not."""
    return encode(value) if isinstance(value, (set, frozenset, complex)) else repr(value)


def evaluate(
    run: Run,
    problems: Sequence[Problem],
    profile: Profile,
    sampling: Sampling,
    model: Model,
    judge: Judge,
    tick: Tick,
) -> Lost:
    """Bring the run to its end. Returns what could not be judged; errors of any thread are raised here."""
    by_id = {problem.id: problem for problem in problems}
    waiting: queue.Queue[Sample | None] = queue.Queue(maxsize=4 * judge.pool.workers)
    errors: list[BaseException] = []
    stopped = threading.Event()
    lost: Lost = {}

    def work() -> None:
        while (sample := waiting.get()) is not None:
            if stopped.is_set():
                continue  # only empty the queue, so that nobody waits on it
            try:
                place(sample)
            except BaseException as error:
                errors.append(error)
                stopped.set()
            tick("scored", 1)

    def place(sample: Sample) -> None:
        try:
            found = judge.judge(by_id[sample.problem], sample)
        except (SandboxError, ReferenceFailsError) as error:  # of this sample; others concern all, and end the run
            if not stopped.is_set():
                lost[sample.problem] = error
            return
        run.add_verdict(Verdict(sample.problem, sample.number, found.checks, found.measures, found.evidence))

    workers = [threading.Thread(target=work, name=f"scorer-{i}", daemon=True) for i in range(judge.pool.workers)]
    for worker in workers:
        worker.start()
    try:
        for sample in itertools.chain(run.unjudged(), generated(run, problems, profile, sampling, model, tick)):
            waiting.put(sample)
            if stopped.is_set():
                break
    except BaseException:
        stopped.set()
        judge.pool.close()  # ends the programs that workers wait for
        raise
    finally:
        for _ in workers:
            waiting.put(None)
        for worker in workers:
            worker.join()
    if errors:
        raise errors[0]
    return lost


def generated(
    run: Run, problems: Sequence[Problem], profile: Profile, sampling: Sampling, model: Model, tick: Tick
) -> Iterator[Sample]:
    """Fresh completions, each on disk before it is passed on."""
    for sample in model.generate(requests(problems, profile, sampling, run)):
        run.add_completion(sample)
        tick("generated", 1)
        yield sample
