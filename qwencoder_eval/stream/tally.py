"""Counts of verdicts, and the scores they make. Memory grows with problems, not with samples."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from ..errors import UsageError
from ..statistics import mean_with_interval, pass_at_k
from ..types import Outcome, Problem, Score, Verdict


class Tally:
    """``passing`` is what it means to pass: ``pass``, or ``em`` where an answer has to be the expected text.

    ``measured`` are the measures that every verdict has and whose means are scores too, of the first check. Those of
    them that are ``unbounded`` may go beyond 1.
    """

    def __init__(
        self,
        checks: Sequence[str],
        problems: Sequence[Problem],
        passing: str = "pass",
        measured: Sequence[str] = (),
        unbounded: Sequence[str] = (),
    ) -> None:
        self.checks, self.problems, self.passing, self.measured = checks, problems, passing, measured
        self.unbounded = unbounded
        self.sums: dict[str, Counter[str]] = {name: Counter() for name in measured}
        self.outcomes: dict[str, Counter[str]] = {check: Counter() for check in checks}
        self.passed: dict[str, Counter[str]] = {check: Counter() for check in checks}
        self.samples: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()  # samples that a scorer leaves out of pass@k
        self.measures: Counter[str] = Counter()  # sums

    def add(self, verdict: Verdict) -> None:
        self.samples[verdict.problem] += 1
        self.skipped[verdict.problem] += bool(verdict.measures.get("skipped"))
        self.measures.update(verdict.measures)
        for name, sums in self.sums.items():
            sums[verdict.problem] += verdict.measures.get(name, 0.0)  # type: ignore[assignment]
        for check in self.checks:
            outcome = verdict.checks[check]
            self.outcomes[check][outcome.value] += 1
            self.passed[check][verdict.problem] += outcome is Outcome.PASSED

    def scores(self, ks: Iterable[int]) -> dict[str, dict[str, Score]]:
        """pass@k of every check, overall and per group as ``check[group=value]``. Raises UsageError for k > n."""
        n = min(self.samples[problem.id] for problem in self.problems)
        groups: dict[str, list[Problem]] = defaultdict(list)
        for problem in self.problems:
            groups[""].append(problem)
            for group, value in problem.groups.items():
                groups[f"[{group}={value}]"].append(problem)
        ks = list(ks)
        found: dict[str, dict[str, Score]] = {}
        for check in self.checks:
            for group, members in groups.items():
                scores = [self._score(check, members, k, n) for k in ks]
                if check == self.checks[0]:
                    scores += [self._mean(name, members) for name in self.measured]
                found[check + group] = {score.metric: score for score in scores}
        return found

    def _mean(self, name: str, problems: Sequence[Problem]) -> Score:
        """Of a measure: over the samples of each problem, then over problems.

        The interval is for values of at most 1; for an unbounded measure the most that was seen stands in its place.
        """
        sums, samples = self.sums[name], sum(self.samples[problem.id] for problem in problems)
        means = [sums[problem.id] / self.samples[problem.id] for problem in problems]
        most = max(1.0, *means) if name in self.unbounded else 1.0
        value, low, high = (most * each for each in mean_with_interval(mean / most for mean in means))
        return Score(name, value, low, high, len(problems), samples)

    def _score(self, check: str, problems: Sequence[Problem], k: int, n: int) -> Score:
        if k > n:
            raise UsageError(f"-k {k}: needs {k} samples a problem, there are {n}; generate more with -n")
        value, low, high = mean_with_interval(self._pass_at_k(check, problem.id, k) for problem in problems)
        samples = sum(self.samples[problem.id] for problem in problems)
        metric = self.passing if k == 1 and self.passing != "pass" else f"{self.passing}@{k}"
        return Score(metric, value, low, high, len(problems), samples)

    def _pass_at_k(self, check: str, problem: str, k: int) -> float:
        """Of the samples that count: where fewer than k do, one that passed is enough."""
        passed, counted = self.passed[check][problem], self.samples[problem] - self.skipped[problem]
        if self.skipped[problem] and counted < k:
            return float(passed > 0)
        return pass_at_k(counted, passed, k)


def default_ks(n: int, ks: Sequence[int] = ()) -> list[int]:
    """Those of a scoring, or else 1, 10 and 100, as far as there are that many samples."""
    return [k for k in ks or (1, 10, 100) if k <= n]
