"""How fast a right query is beside the gold one: BIRD's VES (arXiv 2305.03111) and its successor, R-VES.

It rests on timing: two runs of equal answers differ, and what is close to a step of the reward falls on either side of
it. So it is measured and shown, but nothing is decided by it, and no verdict comes from the cache.

Sources: bird-bench/mini_dev at 4d970a9, evaluation/evaluation_ves.py; for VES AlibabaResearch/DAMO-ConvAI at 483554e,
bird/llm/src/evaluation_ves.py.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

from ..config import bundled
from ..types import Calls, Limits, Outcome, Problem, Program, Result
from .base import Judgement, Runner, short
from .denotations import bird_ves_reward
from .queries import MARGIN_S, QueryScorer, answer_of, folder_of, runner_source, unanswered
from .recorded import Recorded, answer_lines
from .values import Failure

ASKED = "times"
TICK_S = 1e-6  # less than this is no time that a clock can tell
Pair = tuple[float, float]  # CPU seconds of the gold query and of the answer


@dataclass(frozen=True, slots=True)
class EfficiencyScorer:
    """What ``queries`` says of an answer; where it is right, both queries' times on the first database.

    r_ves    the root of BIRD's reward, from 0 to the root of 1.25
    ves      the root of the ratio itself, gold over answer; without an upper end

    repeats  pairs of runs, as upstream
    total_s  CPU seconds after which no further pair is begun; one is always made
    """

    queries: QueryScorer
    repeats: int = 100
    total_s: float = 20.0
    version: int = 1
    checks: tuple[str, ...] = field(init=False, default=())
    measured: tuple[str, ...] = field(init=False, default=())

    passing: ClassVar[str] = "ex"
    unbounded: ClassVar[tuple[str, ...]] = ("r_ves", "ves")
    cached: ClassVar[bool] = False
    joins: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "checks", self.queries.checks)
        object.__setattr__(self, "measured", (*self.queries.measured, "r_ves", "ves"))

    def key(self) -> dict[str, Any]:
        timer = hashlib.sha256(timer_source().encode()).hexdigest()[:12]
        return {**asdict(self), "scorer": "efficiency", "timer": timer, "queries": self.queries.key()}

    def reference_programs(self, problem: Problem) -> list[Program]:
        return self.queries.reference_programs(problem)

    def learn(self, problem: Problem, references: Sequence[Recorded]) -> Recorded:
        return self.queries.learn(problem, references)

    def score(self, problem: Problem, code: str, known: Recorded, runner: Runner) -> Judgement:
        judged = self.queries.score(problem, code, known, runner)
        if judged.checks[self.queries.check] is not Outcome.PASSED:
            return Judgement(judged.checks, {**judged.measures, **measures(0.0)}, judged.evidence)
        found = self.pairs_of(runner.run_alone(self.program(problem, code)))
        if isinstance(found, Failure):  # upstream: what fails while it is timed has no reward
            faster, said = 0.0, f"no times: {short(found.error)}"
        else:
            faster = ratio(found)
            said = f"{len(found)} repetitions, gold over answer {faster:.3f}"
        return Judgement(judged.checks, {**judged.measures, **measures(faster)}, {**judged.evidence, "timing": said})

    def notes(self, problems: Sequence[Problem]) -> list[str]:
        return [*self.queries.notes(problems), "r_ves and ves rest on timing: not fit for a gate"]

    def program(self, problem: Problem, code: str) -> Program:
        each_s = self.queries.cpu_s
        inputs = [problem.tests["databases"][0], problem.tests["query"], code, each_s, self.repeats, self.total_s]
        most_s = self.total_s + 4 * each_s + MARGIN_S  # both queries once, and the last pair
        return Program(
            "python", {"main.py": timer_source(), "query.py": runner_source()}, folder=str(folder_of(problem) or ""),
            calls=Calls(ASKED, json.dumps([inputs]), [most_s]), limits=Limits(most_s),
        )  # fmt: skip

    def pairs_of(self, result: Result) -> list[Pair] | Failure:
        """The times that came out; they are no program's word, but were taken beside a model's query."""
        lines = list(answer_lines(result.answers))[1:]
        if not lines:
            return unanswered(result)
        found = answer_of(lines[0])
        if isinstance(found, Failure):
            return found
        if not 0 < len(found) <= self.repeats or not all(is_pair(each) for each in found):
            return Failure("no pairs of times", "ForgedError")
        return [(float(gold), float(answer)) for gold, answer in found]


def is_pair(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(type(each) is float and math.isfinite(each) and each >= 0 for each in value)
    )


def measures(faster: float) -> dict[str, float]:
    """Of one sample, for the gold query's time over its own; 0 stands for a wrong answer."""
    return {"r_ves": math.sqrt(bird_ves_reward(faster)), "ves": math.sqrt(faster)}


def ratio(pairs: Sequence[Pair]) -> float:
    """The mean of gold over answer, without what lies three standard deviations or more from the mean of all.

    Source: ``clean_abnormal``, in both. Where all are equal nothing is left there, and dividing by none counts as 0;
    here all stay.
    """
    ratios = [max(gold, TICK_S) / max(answer, TICK_S) for gold, answer in pairs]
    mean = math.fsum(ratios) / len(ratios)
    deviation = math.sqrt(math.fsum((each - mean) ** 2 for each in ratios) / len(ratios))
    kept = [each for each in ratios if abs(each - mean) < 3 * deviation] or ratios
    return math.fsum(kept) / len(kept)


@lru_cache(maxsize=1)
def timer_source() -> str:
    return (bundled("sandbox") / "timing.py").read_text()
