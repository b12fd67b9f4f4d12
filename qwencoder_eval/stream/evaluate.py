"""One benchmark, one model: generate what is missing, score what has no verdict, say what came of it.

    requests -> Model.generate -> completions.jsonl -> bounded queue -> worker threads -> verdicts.jsonl

Data goes forward only. The main thread draws completions from the model and waits where the queue is full, so
memory does not grow with the number of samples. Whatever is on disk already is not done again.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterator, Sequence

from ..benchmark import Profile, Scoring
from ..errors import InfrastructureError
from ..models.base import Model, Request
from ..runs.directory import Run
from ..sandboxes.pool import Pool
from ..scoring.base import Judgement
from ..scoring.references import References
from ..types import Outcome, Problem, Sample, Sampling, Verdict

Tick = Callable[[str, int], None]  # "generated" or "scored", and how many more


Lost = dict[
    str, InfrastructureError
]  # problems that no sandbox would judge, and why; their place stays open for the next try


def requests(problems: Sequence[Problem], profile: Profile, sampling: Sampling, run: Run) -> Iterator[Request]:
    """What is still to be generated."""
    for problem in problems:
        numbers = tuple(number for number in range(sampling.n) if (problem.id, number) not in run.done)
        if numbers:
            yield Request(problem, profile.prompt(problem), sampling, numbers)


def judge(problem: Problem, sample: Sample, scoring: Scoring, references: References, pool: Pool) -> Judgement:
    """The judgement of one sample. Raises InfrastructureError where it cannot be had here."""
    code = scoring.extract(problem, sample.completion)
    if not code:
        said = f"no code in a completion of {len(sample.completion.text)} characters"
        return Judgement(dict.fromkeys(scoring.scorer.checks, Outcome.NO_CODE), evidence={"error": said})
    return scoring.scorer.score(problem, code, references.known(problem), pool)


def evaluate(
    run: Run,
    problems: Sequence[Problem],
    profile: Profile,
    sampling: Sampling,
    model: Model,
    references: References,
    pool: Pool,
    tick: Tick,
) -> Lost:
    """Bring the run to its end. Returns what could not be judged; errors of any thread are raised here."""
    by_id = {problem.id: problem for problem in problems}
    waiting: queue.Queue[Sample | None] = queue.Queue(maxsize=4 * pool.workers)
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
            found = judge(by_id[sample.problem], sample, profile.scoring, references, pool)
        except InfrastructureError as error:
            if not stopped.is_set():
                lost[sample.problem] = error
            return
        run.add_verdict(Verdict(sample.problem, sample.number, found.checks, found.measures, found.evidence))

    workers = [threading.Thread(target=work, name=f"scorer-{i}", daemon=True) for i in range(pool.workers)]
    for worker in workers:
        worker.start()
    try:
        for sample in itertools.chain(run.unjudged(), generated(run, problems, profile, sampling, model, tick)):
            waiting.put(sample)
            if stopped.is_set():
                break
    except BaseException:
        stopped.set()
        pool.close()  # ends the programs that workers wait for
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
