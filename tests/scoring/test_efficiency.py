"""BIRD's measures of speed: what follows from given times, by hand; the times themselves only for their sense."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.benchmark import Scoring
from qwencoder_eval.extraction.sql import continued_query
from qwencoder_eval.runs.cache import Cache
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.base import Runner
from qwencoder_eval.scoring.denotations import bird_r_ves
from qwencoder_eval.scoring.efficiency import EfficiencyScorer, Pair, measures, ratio
from qwencoder_eval.scoring.queries import QueryScorer
from qwencoder_eval.scoring.recorded import Recorded
from qwencoder_eval.scoring.references import References
from qwencoder_eval.scoring.values import Failure
from qwencoder_eval.statistics import mean_with_interval
from qwencoder_eval.stream.evaluate import Judge
from qwencoder_eval.stream.tally import Tally
from qwencoder_eval.types import Outcome, Problem, Program, Result, Verdict

SCORER = EfficiencyScorer(QueryScorer("b", "bird", cpu_s=5.0), repeats=20)
SLOW = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 100000) SELECT max(x) FROM n"
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
LEAST, MOST = 0.5, math.sqrt(1.25)
seconds = st.floats(0, 1e6)


def answers(*lines: Any) -> Result:
    """What a sandbox gives back: a line for the loading, and one a call."""
    text = b"".join(json.dumps(line).encode() + b"\n" for line in ({"loaded": True}, *lines))
    return Result("exit", 0, 1.0, 1.0, answers=text)


def pairs(*times: Sequence[Any]) -> dict[str, Any]:
    return {"value": [{"$": "tuple", "items": list(pair)} for pair in times]}


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([(2.0, 1.0)], 2.0),
        ([(1.0, 2.0), (3.0, 2.0)], 1.0),  # the mean of 0.5 and 1.5, and not 4 over 4
        ([(1.0, 1.0)] * 5, 1.0),  # nothing deviates, and nothing is dropped
        ([(1.0, 1.0)] * 19 + [(100.0, 1.0)], 1.0),  # mean 5.95, deviation 21.58: 100 is beyond 70.68
        ([(1.0, 1.0)] * 8 + [(100.0, 1.0)], 12.0),  # mean 12, deviation 31.11: 105.3 is the end
        ([(0.0, 0.0)], 1.0),  # less than a clock can tell
        ([(1.0, 0.0)], 1e6),
    ],
)
def test_ratio_by_hand(times: list[tuple[float, float]], expected: float) -> None:
    assert ratio(times) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("faster", "reward"),
    [(0.0, 0.0), (0.1, 0.25), (0.249, 0.25), (0.25, 0.5), (0.5, 0.75), (0.999, 0.75), (1.0, 1.0), (1.999, 1.0),
     (2.0, 1.25), (1e6, 1.25)],
)  # fmt: skip
def test_measures_by_hand(faster: float, reward: float) -> None:
    assert measures(faster) == {"r_ves": math.sqrt(reward), "ves": math.sqrt(faster)}


@given(st.lists(st.tuples(seconds, seconds), min_size=1, max_size=30))
def test_any_times_give_measures_in_their_range(times: list[tuple[float, float]]) -> None:
    faster = ratio(times)
    assert min(max(g, 1e-6) / max(a, 1e-6) for g, a in times) <= faster * (1 + 1e-9)
    found = measures(faster)
    assert LEAST <= found["r_ves"] <= MOST
    assert math.isfinite(found["ves"])


@pytest.mark.parametrize(
    "line",
    [
        {"value": []}, {"value": 1.0}, {"value": [1.0]}, pairs((1.0,)), pairs((1.0, 2.0, 3.0)), pairs((1.0, -1.0)),
        pairs((float("nan"), 1.0)), pairs((1.0, float("inf"))), pairs((1.0, "2")), pairs((1, True)),
        pairs(*[(1.0, 1.0)] * 21), {"error": "OperationalError: interrupted", "type": "OperationalError"}, {"x": 1}, [],
    ],
)  # fmt: skip
def test_what_is_no_list_of_times_is_refused(line: Any) -> None:
    assert isinstance(SCORER.pairs_of(answers(line)), Failure)


def test_times_that_came_out() -> None:
    assert SCORER.pairs_of(answers(pairs((1.0, 2.0), (0.0, 0.5)))) == [(1.0, 2.0), (0.0, 0.5)]
    ended = SCORER.pairs_of(Result("wall_limit", 9, 1.0, 99.0))
    assert isinstance(ended, Failure)
    assert "wall limit" in ended.error


class Clock:
    """A runner that says of every program that it took these times; ``asked`` counts."""

    def __init__(self, *times: tuple[float, float]) -> None:
        self.times, self.asked = times, 0

    def run(self, program: Program, decided: Any = None) -> Result:
        return answers({"value": [{"$": "tuple", "items": [2]}]})

    def run_alone(self, program: Program, decided: Any = None) -> Result:
        self.asked += 1
        return answers(pairs(*self.times))


def gold_of_two(tmp_path: Path) -> tuple[Problem, Recorded]:
    problem = Problem("b/0", {}, {"query": "SELECT 2", "databases": [":memory:"]})
    recorded = Recorded(tmp_path / "gold.gz", SCORER.reference_programs(problem)[0])
    recorded.keep(answers({"value": [{"$": "tuple", "items": [2]}], "cpu_s": [0.0, 0.0]}).answers)
    return problem, recorded


def test_r_ves_and_ves_of_given_times(tmp_path: Path) -> None:
    """Rewards 1.25, 1, 0.75 and 0 for a wrong answer: the mean is upstream's R-VES, in fractions."""
    problem, recorded = gold_of_two(tmp_path)
    tally = Tally(("b",), problems := [replace(problem, id=f"b/{n}") for n in range(4)], "ex", SCORER.measured,
                  SCORER.unbounded)  # fmt: skip
    for each, times in zip(problems, [(4.0, 1.0), (1.0, 1.0), (1.0, 2.0)], strict=False):
        judged = SCORER.score(each, "SELECT 2", recorded, cast(Runner, Clock(times, times)))
        assert judged.checks == {"b": Outcome.PASSED}
        assert judged.evidence["timing"].startswith("2 repetitions")
        tally.add(Verdict(each.id, 0, judged.checks, judged.measures))
    tally.add(Verdict("b/3", 0, {"b": Outcome.WRONG}, measures(0.0)))
    scores = tally.scores([1])["b"]
    assert list(scores) == ["ex", "r_ves", "ves"]
    assert scores["ex"].value == 0.75
    assert scores["r_ves"].value == pytest.approx(bird_r_ves([1.25, 1, 0.75, 0]) / 100)
    assert scores["ves"].value == pytest.approx((2 + 1 + math.sqrt(0.5)) / 4)
    assert 0 <= scores["ves"].low < scores["ves"].value < scores["ves"].high <= 2


def test_scores_beyond_one_have_an_interval() -> None:
    problems = [Problem(f"p/{number}", {}, {}) for number in range(40)]
    tally = Tally(("b",), problems, "ex", ("half", "ves"), ("ves",))
    for number, problem in enumerate(problems):
        values = {"half": 0.5 * (number % 2), "ves": 3.0 * (number % 2)}
        tally.add(Verdict(problem.id, 0, {"b": Outcome.PASSED}, values))
    scores = tally.scores([1])["b"]
    assert (scores["half"].value, scores["half"].low, scores["half"].high) == mean_with_interval([0, 0.5] * 20)
    found = (scores["ves"].value, scores["ves"].low, scores["ves"].high)
    assert found == pytest.approx([3 * each for each in mean_with_interval([0, 1] * 20)])


def test_a_wrong_answer_is_not_timed(tmp_path: Path) -> None:
    problem, recorded = gold_of_two(tmp_path)
    clock = Clock((1.0, 1.0))
    wrong = replace(problem, tests={**problem.tests, "query": "SELECT 3"})
    recorded.keep(answers({"value": [{"$": "tuple", "items": [3]}], "cpu_s": [0.0, 0.0]}).answers)
    judged = SCORER.score(wrong, "SELECT 2", replace(recorded), cast(Runner, clock))
    assert (judged.checks, judged.measures, clock.asked) == ({"b": Outcome.WRONG}, {"r_ves": 0.0, "ves": 0.0}, 0)


class Timed:
    """Real queries on a database of its own, in a real sandbox."""

    def __init__(self, pool: Pool, folder: Path) -> None:
        self.pool = pool
        (folder / "made/d").mkdir(parents=True)
        with closing(sqlite3.connect(folder / "made/d/d.sqlite")) as connection:
            connection.executescript("CREATE TABLE `a b` (x); INSERT INTO `a b` VALUES (100000)")

    def pairs(self, gold: str, answer: str, scorer: EfficiencyScorer = SCORER) -> list[Pair] | Failure:
        problem = Problem("b/0", {}, {"query": gold, "databases": ["d/d.sqlite"]}, assets=("made",))
        return scorer.pairs_of(self.pool.run_alone(scorer.program(problem, answer)))


@pytest.fixture
def timed(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Timed:
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path))
    return Timed(pool, tmp_path)


def test_a_quick_answer_and_a_slow_one(timed: Timed) -> None:
    quick, slow = timed.pairs(SLOW, "SELECT x FROM `a b`"), timed.pairs("SELECT x FROM `a b`", SLOW)
    assert isinstance(quick, list)
    assert isinstance(slow, list)
    assert len(quick) == len(slow) == 20
    assert measures(ratio(quick))["r_ves"] == MOST
    assert measures(ratio(slow))["r_ves"] == LEAST


def test_repetitions_are_bounded_by_time(timed: Timed) -> None:
    """One pair is always made, however little time there is."""
    found = timed.pairs(SLOW, "SELECT 1", replace(SCORER, total_s=1e-9))
    assert isinstance(found, list)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [(ENDLESS, "interrupted"), ("SELECT y FROM `a b`", "no such column"), ("DELETE FROM `a b`", "not authorized"),
     ("SELECT 1; SELECT 2", "one statement")],
)  # fmt: skip
def test_what_fails_while_it_is_timed_has_no_times(timed: Timed, answer: str, said: str) -> None:
    hurried = replace(SCORER, queries=replace(SCORER.queries, cpu_s=0.1))
    found = timed.pairs("SELECT 1", answer, hurried)
    assert isinstance(found, Failure)
    assert said in found.error


def test_times_are_never_taken_from_the_cache(pool: Pool, tmp_path: Path) -> None:
    """No two runs agree on them; what compares results alone is remembered."""
    for scorer, kept in ((SCORER, False), (SCORER.queries, True)):
        with closing(Cache(tmp_path / "verdicts.sqlite", print)) as cache:
            judge = Judge(Scoring(continued_query, scorer), References(scorer, pool.backend), pool, cache, {})
            assert (judge.cache is cache) is kept


def test_its_key_tells_one_rule_from_another() -> None:
    others = [SCORER, replace(SCORER, repeats=3), replace(SCORER, total_s=1.0), replace(SCORER, version=2),
              replace(SCORER, queries=replace(SCORER.queries, cpu_s=1.0))]  # fmt: skip
    keys = [json.dumps(each.key(), sort_keys=True) for each in others]
    assert len(set(keys)) == len(keys)
    assert {"timer", "queries"} <= SCORER.key().keys()
