"""The stream between model and verdicts: nothing lost, nothing twice, bounded, and honest about failures."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qwencoder_eval.benchmark import Asking, Benchmark, Profile, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.errors import InfrastructureError, SandboxError
from qwencoder_eval.extraction.programs import as_program
from qwencoder_eval.models.base import Answer, Request
from qwencoder_eval.runs.cache import Cache
from qwencoder_eval.runs.directory import Run
from qwencoder_eval.sandboxes.none import NoneBackend
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.base import Judgement
from qwencoder_eval.scoring.calls import CallScorer
from qwencoder_eval.scoring.references import References
from qwencoder_eval.stream import evaluate as evaluating
from qwencoder_eval.stream.evaluate import Backlog, Judge, Lost, Progress, Work, evaluate
from qwencoder_eval.types import Completion, Continue, Outcome, Problem, Program, Prompt, Result, Sample, Sampling

ROWS = tuple({"id": f"p/{i}", "add": i} for i in range(6))


class Adding(Benchmark):
    name, version, reference = "adding", "1", "original"
    asking = {"a": Asking(Rows(inline=ROWS), lambda problem: Continue(problem.stub))}
    scoring = {"s": Scoring(as_program, CallScorer({"adding": "inputs"}))}
    profiles = {"adding": ("a", "s")}
    file = Path(__file__)

    def problem(self, row: dict[str, Any]) -> Problem:
        tests = {"entry_point": "f", "atol": 0, "inputs": [[1], [2]]}
        return Problem(row["id"], row, tests, stub="def f(x):\n", reference=f"    return x + {row['add']}\n")


class Scripted:
    """A model that answers right in even samples and wrong in odd ones, and counts what it was asked."""

    name = "scripted"
    instant = False

    def __init__(self, before: Any = None) -> None:
        self.before, self.made = before, 0

    def key(self) -> dict[str, Any]:
        return {"model": "scripted"}

    def rendered(self, prompt: Prompt) -> Any:
        return repr(prompt)

    def provenance(self) -> dict[str, Any]:
        return {}

    def generate(self, requests: Iterable[Request]) -> Generator[Answer, None, None]:
        for request in requests:
            for number in request.numbers:
                if self.before:
                    self.before(self.made)
                self.made += 1
                text = str(request.problem.reference) if number % 2 == 0 else "    return None\n"
                yield Answer(request, number, Completion(text))


class Ticks(Progress):
    """What was told, in order."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def generated(self, completion: Completion) -> None:
        self.told.append("generated")

    def scored(self, passed: bool) -> None:
        self.told.append("passed" if passed else "failed")


class Stage:
    """Everything an evaluation needs, on a folder."""

    def __init__(self, folder: Path) -> None:
        self.profile = Profile(Adding(), "adding")
        self.problems = self.profile.problems()
        self.backend = NoneBackend()
        self.references = References(self.profile.scoring.scorer, self.backend)
        self.references.prepare(self.problems, 1, lambda done, total: None)
        self.folder = folder
        self.ticks = Ticks()
        self.cache: Cache | None = None

    def go(self, model: Scripted, n: int = 2, pool: Pool | None = None) -> tuple[Lost, Run]:
        run = Run(self.folder / "run", {"g": 1}, {"s": 1}, {})
        try:
            with pool or Pool(self.backend, 2) as opened:
                judge = Judge(self.profile.scoring, self.references, opened, self.cache, {"rule": 1})
                work = Work(self.profile, self.problems, Sampling(n=n), run, judge)
                evaluate([work], model, opened, self.ticks)
            return work.lost, run
        finally:
            run.close()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def verdicts(run: Run) -> dict[tuple[str, int], Outcome]:
    rows = [((v.problem, v.sample), v.checks["adding"]) for v in run.all_verdicts()]
    assert len(rows) == len(dict(rows))
    return dict(rows)


EXPECTED = {
    (f"p/{i}", number): Outcome.PASSED if number == 0 else Outcome.WRONG for i in range(6) for number in range(2)
}


def test_every_sample_has_one_verdict(stage: Stage) -> None:
    lost, run = stage.go(Scripted())
    assert lost == {}
    assert verdicts(run) == EXPECTED
    assert Counter(stage.ticks.told) == {"generated": 12, "passed": 6, "failed": 6}


def test_a_second_run_asks_and_runs_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.go(Scripted())
    monkeypatch.setattr(Pool, "run", lambda *asked: pytest.fail("ran a program again"))
    model = Scripted()
    _, run = stage.go(model)
    assert model.made == 0
    assert verdicts(run) == EXPECTED


def test_a_model_that_fails_half_way_loses_nothing(stage: Stage) -> None:
    def fail(made: int) -> None:
        if made == 7:
            raise InfrastructureError("the engine is gone")

    with pytest.raises(InfrastructureError, match="the engine is gone"):
        stage.go(Scripted(fail))
    model = Scripted()
    _, run = stage.go(model)
    assert model.made == 5
    assert verdicts(run) == EXPECTED


def test_what_no_sandbox_judges_stays_open(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Pool.run

    def flaky(self: Pool, program: Any, decided: Any = None) -> Any:
        if "x + 3" in program.files["main.py"]:
            raise SandboxError("docker: the engine is gone")
        return honest(self, program, decided)

    monkeypatch.setattr(Pool, "run", flaky)
    lost, run = stage.go(Scripted())
    assert {problem: str(error) for problem, error in lost.items()} == {"p/3": "docker: the engine is gone"}
    assert set(EXPECTED) - set(verdicts(run)) == {("p/3", 0)}
    monkeypatch.undo()
    lost, run = stage.go(Scripted())
    assert lost == {}
    assert verdicts(run) == EXPECTED


def test_what_concerns_every_sample_ends_the_run(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an engine there is no use in trying one sample after the other."""
    tries = []

    def gone(self: Pool, *asked: Any) -> Any:
        tries.append(asked)
        raise InfrastructureError("no engine answers; start it")

    monkeypatch.setattr(Pool, "run", gone)
    with pytest.raises(InfrastructureError, match="no engine answers; start it"):
        stage.go(Scripted())
    assert len(tries) <= 2
    monkeypatch.undo()
    lost, run = stage.go(Scripted())
    assert lost == {}
    assert verdicts(run) == EXPECTED


def test_a_full_disk_stops_the_run_with_its_error(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    honest, written = Run.add_verdict, []

    def full(self: Run, verdict: Any) -> None:
        written.append(verdict)
        if len(written) > 3:
            raise InfrastructureError(f"{self.path}/verdicts.jsonl: cannot be written (No space left on device)")
        honest(self, verdict)

    monkeypatch.setattr(Run, "add_verdict", full)
    with pytest.raises(InfrastructureError, match="No space left"):
        stage.go(Scripted())
    monkeypatch.undo()
    _, run = stage.go(Scripted())
    assert verdicts(run) == EXPECTED


def test_a_fault_in_a_worker_is_raised(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Pool, program: Any, decided: Any = None) -> Any:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(Pool, "run", broken)
    with pytest.raises(ZeroDivisionError):
        stage.go(Scripted())


def test_the_model_waits_for_the_scorers(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with samples: at most a queue of completions is ahead of the verdicts."""
    monkeypatch.setattr(evaluating, "QUEUED", 8)
    gate, honest = threading.Event(), Pool.run
    model = Scripted(lambda made: gate.set() if made >= 4 * 2 + 2 else None)  # queue and one in each worker's hands

    def slow(self: Pool, program: Any, decided: Any = None) -> Any:
        assert gate.wait(60)
        assert model.made <= 4 * 2 + 2 + 2 + sum(name != "generated" for name in stage.ticks.told)
        return honest(self, program, decided)

    monkeypatch.setattr(Pool, "run", slow)
    _, run = stage.go(model, n=20)
    assert len(verdicts(run)) == 120


def test_no_code_is_a_verdict_of_its_own(stage: Stage) -> None:
    class Silent(Scripted):
        def generate(self, requests: Iterable[Request]) -> Generator[Answer, None, None]:
            for answer in super().generate(requests):
                yield replace(answer, completion=Completion("x" * (2 << 20)))

    _, run = stage.go(Silent(), n=1)
    assert set(verdicts(run).values()) == {Outcome.NO_CODE}
    assert len(verdicts(run)) == 6


def test_a_prompt_that_does_not_fit_is_a_verdict_of_its_own(stage: Stage) -> None:
    class Short(Scripted):
        def generate(self, requests: Iterable[Request]) -> Generator[Answer, None, None]:
            for answer in super().generate(requests):
                completion = Completion("", finish_reason="prompt_too_long", prompt_tokens=9000)
                yield replace(answer, completion=completion) if answer.problem == "p/2" else answer

    _, run = stage.go(Short(), n=1)
    assert verdicts(run) == {key: EXPECTED[key] for key in EXPECTED if key[1] == 0} | {
        ("p/2", 0): Outcome.PROMPT_TOO_LONG
    }
    (said,) = [v.evidence["error"] for v in run.all_verdicts() if v.problem == "p/2"]
    assert said == "the prompt's 9000 tokens do not fit the model's context"


def test_a_sample_without_answer_stays_open(stage: Stage) -> None:
    class Flaky(Scripted):
        def generate(self, requests: Iterable[Request]) -> Generator[Answer, None, None]:
            for answer in super().generate(requests):
                yield replace(answer, completion=None, reason="status 500") if answer.problem == "p/1" else answer

    lost, run = stage.go(Flaky())
    assert {problem: str(error) for problem, error in lost.items()} == {"p/1": "status 500"}
    assert set(EXPECTED) - set(verdicts(run)) == {("p/1", 0), ("p/1", 1)}
    model = Scripted()
    lost, run = stage.go(model)
    assert (lost, model.made) == ({}, 2)
    assert verdicts(run) == EXPECTED


def test_several_benchmarks_are_one_stream(stage: Stage) -> None:
    """All requests go to the model at once, and each answer finds its benchmark, though ids are the same."""

    class Subtracting(Adding):
        name = "subtracting"

        def problem(self, row: dict[str, Any]) -> Problem:
            return replace(super().problem(row), reference=f"    return x - {row['add']}\n")

    other = Profile(Subtracting(), "adding")
    problems = other.problems()
    references = References(other.scoring.scorer, stage.backend)
    references.prepare(problems, 1, lambda done, total: None)
    model, asked = Scripted(), []

    def generate(requests: Iterable[Request]) -> Generator[Answer, None, None]:
        asked.append(list(requests))
        answers = list(Scripted.generate(model, asked[0]))
        yield from sorted(answers, key=lambda answer: (answer.number, answer.problem, answer.request.benchmark))

    model.generate = generate  # type: ignore[method-assign]
    runs = [Run(stage.folder / name, {"g": 1}, {"s": 1}, {}) for name in ("one", "two")]
    with Pool(stage.backend, 2) as pool:
        judges = [
            Judge(stage.profile.scoring, stage.references, pool, None, {}),
            Judge(other.scoring, references, pool, None, {}),
        ]
        works = [
            Work(stage.profile, stage.problems, Sampling(n=2), runs[0], judges[0]),
            Work(other, problems, Sampling(n=2), runs[1], judges[1]),
        ]
        evaluate(works, model, pool, Progress())
    assert len(asked) == 1
    assert [request.benchmark for request in asked[0]] == ["adding"] * 12 + ["subtracting"] * 12
    for run in runs:
        assert verdicts(run) == EXPECTED
        run.close()


def test_samples_are_asked_for_in_rounds(stage: Stage) -> None:
    """Every problem once a round, each sample once in all; a resumed run asks for what is missing."""
    run = Run(stage.folder / "run", {"g": 1}, {"s": 1}, {})
    work = Work(stage.profile, stage.problems, Sampling(n=7), run, None)
    run.add_completion(Sample("p/1", 3, Completion("")))
    asked = list(work.requests(3))
    assert [request.numbers for request in asked if request.problem.id == "p/0"] == [(0, 3, 6), (1, 4), (2, 5)]
    assert [request.numbers for request in asked if request.problem.id == "p/1"] == [(0, 6), (1, 4), (2, 5)]
    assert [request.problem.id for request in asked[:6]] == [f"p/{i}" for i in range(6)]
    assert next(work.requests(1)).numbers == tuple(range(7))
    run.close()


def test_an_interrupt_while_the_last_are_scored_ends_all_threads(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model has said everything, and the main thread only waits: then, too, programs are ended and waited for."""
    inside, closed = threading.Event(), threading.Event()
    honest_close = Pool.close

    def stuck(self: Pool, program: Any, decided: Any = None) -> Any:
        inside.set()
        assert closed.wait(60)
        raise SandboxError("closed")

    def close(self: Pool) -> None:
        closed.set()
        honest_close(self)

    monkeypatch.setattr(Pool, "run", stuck)
    monkeypatch.setattr(Pool, "close", close)
    threading.Thread(target=lambda: (inside.wait(60), os.kill(os.getpid(), signal.SIGINT))).start()
    with pytest.raises(KeyboardInterrupt):
        stage.go(Scripted(), n=1)
    for thread in threading.enumerate():
        if thread.name.startswith("scorer"):
            thread.join(60)
            assert not thread.is_alive()


def test_references_are_prepared_while_the_model_works(stage: Stage) -> None:
    """Nothing is scored before they are, and nothing that is generated waits for them."""
    generated, order = threading.Event(), []

    def before(made: int) -> None:
        if made == 11:
            generated.set()

    def prepare() -> None:
        assert generated.wait(60)
        order.append(list(stage.ticks.told))

    run = Run(stage.folder / "run", {"g": 1}, {"s": 1}, {})
    with Pool(stage.backend, 2) as pool:
        judge = Judge(stage.profile.scoring, stage.references, pool, None, {})
        work = Work(stage.profile, stage.problems, Sampling(n=2), run, judge)
        evaluate([work], Scripted(before), pool, stage.ticks, prepare)
    assert set(order[0]) == {"generated"}
    assert verdicts(run) == EXPECTED
    run.close()


def test_references_that_fail_end_the_run(stage: Stage) -> None:
    def prepare() -> None:
        raise SandboxError("docker: the engine is gone")

    run = Run(stage.folder / "run", {"g": 1}, {"s": 1}, {})
    with Pool(stage.backend, 2) as pool:
        judge = Judge(stage.profile.scoring, stage.references, pool, None, {})
        work = Work(stage.profile, stage.problems, Sampling(n=2), run, judge)
        with pytest.raises(SandboxError, match="the engine is gone"):
            evaluate([work], Scripted(), pool, Progress(), prepare)
    assert verdicts(run) == {}
    run.close()


def test_without_scoring_completions_are_kept_for_later(stage: Stage) -> None:
    run = Run(stage.folder / "run", {"g": 1}, {"s": 1}, {})
    model = Scripted()
    work = Work(stage.profile, stage.problems, Sampling(n=2), run, None)
    evaluate([work], model, None, stage.ticks)
    run.close()
    assert Counter(stage.ticks.told) == {"generated": 12}
    assert (run.counts(), model.made) == ({"stop": 12, "tokens": 0}, 12)
    _, run = stage.go(model)
    assert model.made == 12
    assert verdicts(run) == EXPECTED


def test_the_backlog_is_bounded_by_its_text() -> None:
    backlog = Backlog()
    work: Any = None
    long = (work, Sample("p", 0, Completion("x" * (evaluating.QUEUED_CHARS // 2))))
    backlog.put(long, block=False)
    backlog.put(long, block=False)
    with pytest.raises(queue.Full):
        backlog.put((work, Sample("p", 1, Completion("x"))), block=False)
    backlog.get(block=False)
    backlog.put((work, Sample("p", 1, Completion("x"))), block=False)
    backlog.get(block=False)
    backlog.get(block=False)
    with pytest.raises(queue.Empty):
        backlog.get(block=False)
    backlog.put(None, block=False)
    assert backlog.get(block=False) is None


# ---------------------------------------------------------------- verdicts that are known


@pytest.fixture
def cached(stage: Stage) -> Iterator[Stage]:
    stage.cache = Cache(stage.folder / "verdicts.sqlite", pytest.fail)
    yield stage
    stage.cache.close()


def another_run(stage: Stage) -> Run:
    (stage.folder / "run").rename(stage.folder / "earlier")
    _, run = stage.go(Scripted())
    return run


def test_a_known_verdict_is_not_run_for_again(cached: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    cached.go(Scripted())
    monkeypatch.setattr(Pool, "run", lambda *asked: pytest.fail("ran a program again"))
    earlier = (cached.folder / "run" / "verdicts.jsonl").read_text().splitlines()
    run = another_run(cached)
    assert verdicts(run) == EXPECTED
    assert sorted(run.verdicts.path.read_text().splitlines()) == sorted(earlier)  # the evidence too


def counting(monkeypatch: pytest.MonkeyPatch) -> list[Program]:
    ran, honest = list[Program](), Pool.run

    def run(self: Pool, program: Program, decided: Any = None) -> Result:
        ran.append(program)
        return honest(self, program, decided)

    monkeypatch.setattr(Pool, "run", run)
    return ran


def test_equal_programs_of_one_problem_are_run_once(cached: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = counting(monkeypatch)
    cached.go(Scripted(), n=8, pool=Pool(cached.backend, 1))
    assert len(ran) == 12  # the right and the wrong one of six problems


def test_other_rules_or_tests_are_other_verdicts(cached: Stage) -> None:
    with Pool(cached.backend, 1) as pool:
        first, second = cached.problems[:2]
        judges = [
            Judge(cached.profile.scoring, cached.references, pool, cached.cache, rule) for rule in ({"a": 1}, {"a": 2})
        ]
        keys = [judge.key(problem, code) for judge in judges for problem in (first, second) for code in ("x", "y")]
        assert len(set(keys)) == 8
        more = replace(first, tests={**first.tests, "inputs": [[1], [3]]})
        typed = replace(first, tests={**first.tests, "inputs": [[{1}], [2]]})
        for other in (more, typed, replace(first, reference="    return 0\n"), replace(first, stub="")):
            judge = Judge(cached.profile.scoring, cached.references, pool, cached.cache, {"a": 1})
            assert judge.key(other, "x") not in keys
        assert judges[0].key(first, "\ud800") != judges[0].key(first, "?")


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.INFRASTRUCTURE])
def test_what_depends_on_the_moment_is_not_kept(
    cached: Stage, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Judgement({"adding": outcome})
    monkeypatch.setattr(CallScorer, "score", lambda *_: found)
    cached.go(Scripted())
    calls: list[int] = []
    monkeypatch.setattr(CallScorer, "score", lambda *_: calls.append(1) or found)
    another_run(cached)
    assert len(calls) == 12


SPLENDID = '{"checks": {"adding": "splendid"}, "measures": {}, "evidence": {}}'


@pytest.mark.parametrize("kept", ["{", "[]", "{}", SPLENDID])
def test_a_row_that_makes_no_sense_is_judged_again(cached: Stage, kept: str) -> None:
    cached.go(Scripted())
    assert cached.cache
    cached.cache.close()
    with contextlib.closing(sqlite3.connect(cached.cache.path)) as db, db:
        db.execute("UPDATE verdicts SET document = ?", (kept,))
    cached.cache = Cache(cached.cache.path, pytest.fail)
    assert verdicts(another_run(cached)) == EXPECTED


def test_without_a_cache_every_program_runs(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.go(Scripted())
    ran = counting(monkeypatch)
    another_run(stage)
    assert len(ran) == 12
