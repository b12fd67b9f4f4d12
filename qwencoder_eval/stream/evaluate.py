"""All benchmarks of a session, one model: generate what is missing, score what has no verdict.

    requests -> Model.generate -> completions.jsonl -> bounded queue -> worker threads -> verdicts.jsonl

Data goes forward only. One queue of requests for all benchmarks, so that an engine is never idle between two of them.
The main thread draws completions from the model and waits where the queue is full, so memory does not grow with the
number of samples. Whatever is on disk already is not done again.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from ..benchmark import Profile, Scoring
from ..errors import InfrastructureError, ReferenceFailsError, SandboxError
from ..models.base import Model, Request
from ..runs.cache import Cache
from ..runs.directory import Run
from ..sandboxes.pool import Pool
from ..scoring.base import Judgement, needs_sandbox
from ..scoring.references import References
from ..scoring.values import encode
from ..types import Completion, Outcome, Problem, Sample, Sampling, Turn, Verdict

Lost = dict[str, InfrastructureError]  # problems without an answer or a verdict, and why; the next try has them again
QUEUED = 4096  # samples between model and scorers: room for a slow program without the model waiting ...
QUEUED_CHARS = 64 << 20  # ... and for no more text than this
AT_ONCE = 64  # samples that are judged together by a scorer that can
# Programs of one problem cost alike. Asked for in rounds, the costly ones come evenly, and scoring keeps pace.
ROUNDS = 8


class Progress:
    """What a session tells while it works; the command line draws it, others ignore it. Called by several threads."""

    def references(self, done: int, total: int) -> None: ...

    def start(self, samples: int, generated: int, scored: int) -> None: ...

    def generated(self, completion: Completion) -> None: ...

    def scored(self, passed: bool) -> None: ...


NEVER_CACHED = {Outcome.TIMEOUT, Outcome.INFRASTRUCTURE}  # what depends on the moment


class Judge:
    """Judges samples, each program once: ``key`` and the tests say what a cached verdict rests on besides its code."""

    def __init__(
        self, scoring: Scoring, references: References, pool: Pool, cache: Cache | None, key: dict[str, Any]
    ) -> None:
        self.scoring, self.references, self.pool = scoring, references, pool
        self.cache = cache if getattr(scoring.scorer, "cached", True) else None
        self.known = 0  # verdicts that came from the cache
        self._rule = json.dumps(key, sort_keys=True)
        self._rests_on: dict[str, bytes] = {}

    @property
    def at_once(self) -> int:
        """How many samples are judged together, where there are so many."""
        return AT_ONCE if hasattr(self.scoring.scorer, "score_many") else 1

    def judge(self, problem: Problem, sample: Sample) -> Judgement:
        """The judgement of one sample. Raises InfrastructureError where it cannot be had here."""
        return self.judge_many([(problem, sample)])[0]

    def judge_many(self, items: Sequence[tuple[Problem, Sample]]) -> list[Judgement]:
        """The judgements of several samples. Raises InfrastructureError where one of them cannot be had here."""
        scorer = self.scoring.scorer
        found: dict[int, Judgement] = {}
        to_run: list[tuple[int, Problem, str]] = []
        for number, (problem, sample) in enumerate(items):
            code = self.code_of(problem, sample)
            known = None if isinstance(code, Judgement) else self.remembered(problem, code)
            if isinstance(code, Judgement):
                found[number] = code
            elif known is not None:
                found[number] = known
            else:
                to_run.append((number, problem, code))
        asked = [(problem, code, self.references.known(problem)) for _, problem, code in to_run]
        if len(asked) > 1:
            judged = scorer.score_many(asked, self.pool)  # type: ignore[attr-defined]
        else:
            judged = [scorer.score(*each, self.pool) for each in asked]
        for (number, problem, code), judgement in zip(to_run, judged, strict=True):
            found[number] = judgement
            if self.cache is not None and NEVER_CACHED.isdisjoint(judgement.checks.values()):
                self.cache.put(self.key(problem, code), asdict(judgement))
        return [found[number] for number in range(len(items))]

    def code_of(self, problem: Problem, sample: Sample) -> str | Judgement:
        """What there is to run, or the judgement where there is nothing."""
        scorer = self.scoring.scorer
        if sample.completion.finish_reason == "prompt_too_long":
            said = f"the prompt's {sample.completion.prompt_tokens or 'many'} tokens do not fit the model's context"
            return Judgement(dict.fromkeys(scorer.checks, Outcome.PROMPT_TOO_LONG), evidence={"error": said})
        code = self.scoring.extract(problem, sample.completion)
        if code is None or (not code and needs_sandbox(scorer)):
            said = f"no code in a completion of {len(sample.completion.text)} characters"
            return Judgement(dict.fromkeys(scorer.checks, Outcome.NO_CODE), evidence={"error": said})
        return code

    def remembered(self, problem: Problem, code: str) -> Judgement | None:
        """The judgement that an earlier run came to."""
        if self.cache is None or (known := self.cache.get(self.key(problem, code))) is None:
            return None
        with contextlib.suppress(ValueError, KeyError, AttributeError, TypeError):
            found = judgement(known, self.scoring.scorer.checks)
            self.known += 1
            return found
        return None

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


@dataclass
class Work:
    """One benchmark in the stream. Without a ``judge`` its samples are generated and not scored."""

    profile: Profile
    problems: Sequence[Problem]
    sampling: Sampling
    run: Run
    judge: Judge | None
    lost: Lost = field(default_factory=dict)
    max_turns: int = 1

    @cached_property
    def by_id(self) -> dict[str, Problem]:
        return {problem.id: problem for problem in self.problems}

    def requests(self, rounds: int) -> Iterator[Request]:
        """What is still to be generated: all problems once a round, each time for a share of its samples."""
        name, n, run = self.profile.benchmark.name, self.sampling.n, self.run
        for id, number, turns in run.turns.pending():
            if prompt := self.profile.benchmark.next(self.by_id[id], turns):
                yield Request(name, self.by_id[id], prompt, self.sampling, (number,))
        for first in range(min(rounds, n)):
            for problem in self.problems:
                left = [at for at in range(first, n, rounds) if (problem.id, at) not in run.done]
                numbers = tuple(at for at in left if not run.turns.begun(problem.id, at))
                if numbers:
                    yield Request(name, problem, self.profile.prompt(problem), self.sampling, numbers)

    def keep(self, sample: Sample) -> None:
        """A completion that has just come. Raises InfrastructureError where the disk does not take it."""
        if self.max_turns > 1 and self.judge is not None:
            self.run.turns.came(sample)
        else:
            self.run.add_completion(sample)

    def goes_on(self, sample: Sample, found: Judgement) -> bool:
        """Whether another turn follows; then this one is kept."""
        turns = self.run.turns.of(sample)
        if len(turns) + 1 >= self.max_turns or (sample.problem, sample.number) in self.run.done:
            return False
        turn = Turn(sample.completion, found.checks, found.evidence)
        if self.profile.benchmark.next(self.by_id[sample.problem], [*turns, turn]) is None:
            return False
        self.run.turns.goes_on(sample, turn)
        return True

    def finish(self, sample: Sample, found: Judgement) -> None:
        """The verdict of a sample's last turn, and where there were others the completion that it is of."""
        measures = dict(found.measures)
        if self.max_turns > 1 and (sample.problem, sample.number) not in self.run.done:
            turns = self.run.turns.of(sample)
            first = turns[0].checks if turns else found.checks
            measures["first_turn"] = float(all(outcome is Outcome.PASSED for outcome in first.values()))
            self.run.add_completion(sample)
        self.run.add_verdict(Verdict(sample.problem, sample.number, found.checks, measures, found.evidence))
        self.run.turns.over(sample.problem, sample.number)


class Backlog(queue.Queue[tuple[Work, Sample] | None]):
    """Samples that wait for a scorer, bounded by their number and by their text together.

    ``Queue`` compares ``_qsize`` with ``maxsize``: here that is the weight of what is in it.
    """

    def __init__(self) -> None:
        super().__init__(maxsize=QUEUED)
        self.weight = 0.0

    @staticmethod
    def weigh(item: tuple[Work, Sample] | None) -> float:
        return 1 + (len(item[1].completion.text) * QUEUED / QUEUED_CHARS if item else 0)

    def _qsize(self) -> int:
        return int(self.weight)

    def _put(self, item: tuple[Work, Sample] | None) -> None:
        self.weight += self.weigh(item)
        super()._put(item)

    def more_of(self, work: Work, count: int) -> list[Sample]:
        """At most ``count`` samples more, as far as those that come next are of the same work."""
        found: list[Sample] = []
        with self.mutex:
            while len(found) < count and self.queue and (first := self.queue[0]) is not None and first[0] is work:
                self._get()
                found.append(first[1])
            if found:
                self.not_full.notify_all()
        return found

    def _get(self) -> tuple[Work, Sample] | None:
        item = super()._get()
        self.weight = self.weight - self.weigh(item) if self.queue else 0.0
        return item


def evaluate(
    works: Sequence[Work],
    model: Model,
    pool: Pool | None,
    progress: Progress,
    prepare: Callable[[], None] = lambda: None,
) -> None:
    """Bring the runs to their end; errors of any thread are raised here. What could not be had is in ``Work.lost``.

    ``prepare`` is what scoring needs first; it runs while the model generates. Without a ``pool`` nothing is scored.
    """
    waiting = Backlog()
    errors: list[BaseException] = []
    stopped, prepared = threading.Event(), threading.Event()

    def fail(error: BaseException) -> None:
        errors.append(error)
        stopped.set()

    def get_ready() -> None:
        try:
            prepare()
        except BaseException as error:
            fail(error)
        prepared.set()

    def score() -> None:
        prepared.wait()
        while (item := waiting.get()) is not None:
            if stopped.is_set():
                continue  # only empty the queue, so that nobody waits on it
            try:
                work, sample = item
                more = waiting.more_of(work, work.judge.at_once - 1) if work.judge else []
                place(work, [sample, *more])
            except BaseException as error:
                fail(error)

    def place(work: Work, samples: list[Sample]) -> None:
        assert work.judge is not None
        try:
            judged = work.judge.judge_many([(work.by_id[sample.problem], sample) for sample in samples])
        except (SandboxError, ReferenceFailsError) as error:  # of these samples; others concern all, and end the run
            if len(samples) > 1:  # which one?
                for sample in samples:
                    place(work, [sample])
            elif not stopped.is_set():
                work.lost[samples[0].problem] = error
                progress.scored(False)
            return
        for sample, found in zip(samples, judged, strict=True):
            if not work.goes_on(sample, found):
                work.finish(sample, found)
                progress.scored(Outcome.PASSED in found.checks.values())

    ended: list[threading.Event] = []  # not Thread.join: interrupted, it takes a thread for ended (3.11)

    def begin(work: Callable[[], None], name: str) -> None:
        ended.append(event := threading.Event())

        def run() -> None:
            try:
                work()
            finally:
                event.set()

        threading.Thread(target=run, name=name, daemon=True).start()

    def end() -> None:
        """Wait until everything in the queue is scored, or was taken out of it."""
        for _ in ended:
            waiting.put(None)
        for event in ended:
            event.wait()

    if pool:
        for number in range(pool.workers):
            begin(score, f"scorer-{number}")
        begin(get_ready, "references")
    try:
        with contextlib.closing(samples(works, model, progress)) as stream:
            for work, sample in stream:
                if work.judge is not None:
                    waiting.put((work, sample))
                if stopped.is_set():
                    break
        end()
    except BaseException:
        stopped.set()
        if pool:
            pool.close()  # ends the programs that workers wait for
        for work in works:
            if work.judge is not None:
                work.judge.references.close()
        raise
    finally:
        end()  # again, as an interrupt may have come while they were waited for
    if errors:
        raise errors[0]


def samples(works: Sequence[Work], model: Model, progress: Progress) -> Generator[tuple[Work, Sample], None, None]:
    """What waits for a verdict on disk, then fresh completions, each on disk before it is passed on."""
    for work in works:
        if work.judge is not None:
            for sample in itertools.chain(work.run.unjudged(), work.run.turns.unjudged()):
                yield work, sample
    by_name = {work.profile.benchmark.name: work for work in works}
    rounds = 1 if model.instant or all(work.judge is None for work in works) else ROUNDS
    asked = itertools.chain.from_iterable(work.requests(rounds) for work in works)
    with contextlib.closing(model.generate(asked)) as answers:
        for answer in answers:
            work = by_name[answer.request.benchmark]
            if answer.completion is None:
                work.lost[answer.request.problem.id] = InfrastructureError(answer.reason)
                continue
            sample = Sample(answer.request.problem.id, answer.number, answer.completion)
            first = not work.run.turns.begun(sample.problem, sample.number)
            work.keep(sample)
            if first:
                progress.generated(answer.completion)
            yield work, sample
