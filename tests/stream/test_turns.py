"""Conversations: another turn where one fails, the last turn's verdict, and nothing lost or asked twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from qwencoder_eval.benchmark import Asking, Benchmark, Profile, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.errors import RunError, UsageError
from qwencoder_eval.extraction.programs import as_program
from qwencoder_eval.models.base import Answer, Request
from qwencoder_eval.models.replay import ReplayModel
from qwencoder_eval.runs.turns import Turns
from qwencoder_eval.sandboxes.none import NoneBackend
from qwencoder_eval.scoring.calls import CallScorer
from qwencoder_eval.stream.evaluate import Progress
from qwencoder_eval.stream.session import Settings, run_benchmarks
from qwencoder_eval.types import Completion, Continue, Outcome, Problem, Prompt, Sample, Sampling, Turn

# ``needs``: the turn in which the model below is right, counted from 1.
ROWS = tuple({"id": f"p/{i}", "add": i, "needs": 1 + i % 4} for i in range(8))
MOST = 3


class Talking(Benchmark):
    name, version, reference = "talking", "1", "original"
    asking = {"a": Asking(Rows(inline=ROWS), lambda problem: Continue("turn 1"), Sampling(n=2, temperature=0.5))}
    scoring = {"s": Scoring(as_program, CallScorer({"talking": "inputs"}))}
    profiles = {"talking": ("a", "s")}
    max_turns = MOST
    file = Path(__file__)

    def next(self, problem: Problem, turns: Sequence[Turn]) -> Prompt | None:
        if turns[-1].checks["talking"] is Outcome.PASSED:
            return None
        seen = turns[-1].evidence["input"]
        return Continue(f"turn {len(turns) + 1}: {turns[-1].completion.text.strip()} is wrong for {seen}")

    def problem(self, row: dict[str, Any]) -> Problem:
        tests = {"entry_point": "f", "atol": 0, "inputs": [[1], [2]]}
        return Problem(row["id"], row, tests, stub="def f(x):\n", reference=f"    return x + {row['add']}\n")


class Learning:
    """A model that is right in the turn that a problem needs; ``stop_after`` answers it is interrupted."""

    name = "learning"
    instant = False

    def __init__(self, stop_after: int = 1 << 30) -> None:
        self.stop_after, self.asked = stop_after, list[tuple[str, int, str]]()

    def key(self) -> dict[str, Any]:
        return {"model": "learning"}

    def rendered(self, prompt: Prompt) -> Any:
        return repr(prompt)

    def provenance(self) -> dict[str, Any]:
        return {}

    def generate(self, requests: Iterable[Request]) -> Generator[Answer, None, None]:
        for request in requests:
            for number in request.numbers:
                if len(self.asked) == self.stop_after:
                    raise KeyboardInterrupt
                assert isinstance(request.prompt, Continue)
                turn = int(request.prompt.text[5])
                self.asked.append((request.problem.id, number, request.prompt.text))
                right = turn >= request.problem.fields["needs"]
                text = str(request.problem.reference) if right else f"    return {turn} - x\n"
                yield Answer(request, number, Completion(text))


def go(folder: Path, model: Any, **others: Any) -> dict[str, Any]:
    settings = Settings(out=folder, workers=2, cached=False, **others)
    profile = Profile(Talking(), "talking")
    (report,) = run_benchmarks([profile], model, NoneBackend(), settings, Progress(), lambda text: None)
    return report


def rows(report: dict[str, Any], name: str) -> list[dict[str, Any]]:
    file = Path(report["run"]) / name
    return [json.loads(line) for line in file.read_text().splitlines()]


def outcomes(report: dict[str, Any]) -> dict[tuple[str, int], str]:
    found = [((row["problem"], row["sample"]), row["checks"]["talking"]) for row in rows(report, "verdicts.jsonl")]
    assert len(found) == len(dict(found))
    return dict(found)


EXPECTED = {(f"p/{i}", n): "passed" if 1 + i % 4 <= MOST else "wrong" for i in range(8) for n in range(2)}
NEEDS = {str(row["id"]): min(1 + number % 4, MOST) for number, row in enumerate(ROWS)}  # turns
ASKED = 2 * sum(NEEDS.values())


def test_the_last_turn_counts(tmp_path: Path) -> None:
    model = Learning()
    report = go(tmp_path, model)
    assert outcomes(report) == EXPECTED
    assert len(model.asked) == len(set(model.asked)) == ASKED
    assert "first turn: 4 of 16 samples pass" in report["notes"]
    assert report["scores"]["talking"]["pass@1"]["value"] == 12 / 16


def test_each_turn_is_told_of_the_one_before(tmp_path: Path) -> None:
    model = Learning()
    go(tmp_path, model)
    told = [text for problem, number, text in model.asked if (problem, number) == ("p/2", 1)]
    assert told == ["turn 1", "turn 2: return 1 - x is wrong for [1]", "turn 3: return 2 - x is wrong for [1]"]


def test_completions_are_those_of_the_last_turn_and_earlier_ones_are_kept(tmp_path: Path) -> None:
    report = go(tmp_path, Learning())
    completions = {(row["problem"], row["sample"]): row["text"] for row in rows(report, "completions.jsonl")}
    assert completions["p/1", 0] == "    return x + 1\n"
    assert completions["p/3", 0] == "    return 3 - x\n"
    kept = Counter((row["problem"], row["sample"]) for row in rows(report, "turns.jsonl") if "checks" in row)
    assert kept == {(problem, n): turns - 1 for problem, turns in NEEDS.items() for n in range(2) if turns > 1}


@pytest.mark.parametrize("stop_after", range(0, ASKED, 3))
def test_interrupted_anywhere_it_goes_on_where_it_was(tmp_path: Path, stop_after: int) -> None:
    first, then = Learning(stop_after), Learning()
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, first)
    report = go(tmp_path, then)
    assert outcomes(report) == EXPECTED
    assert not set(first.asked) & set(then.asked)
    assert len(first.asked) + len(then.asked) == ASKED


def test_a_run_that_is_over_asks_nothing(tmp_path: Path) -> None:
    go(tmp_path, Learning())
    again = Learning()
    assert outcomes(go(tmp_path, again)) == EXPECTED
    assert again.asked == []


def test_killed_at_any_row_of_turns(tmp_path: Path) -> None:
    """Whatever rows of turns.jsonl, completions.jsonl and verdicts.jsonl a kill left, the outcome is the same."""
    report = go(tmp_path / "whole", Learning())
    run = Path(report["run"])
    turns = (run / "turns.jsonl").read_bytes().splitlines(keepends=True)
    for cut in range(0, len(turns) + 1, 7):
        folder = tmp_path / f"cut{cut}"
        copy = folder / run.relative_to(tmp_path / "whole")
        copy.mkdir(parents=True)
        (copy / "run.json").write_bytes((run / "run.json").read_bytes())
        torn = b"".join(turns[:cut]) + (turns[cut][: len(turns[cut]) // 2] if cut < len(turns) else b"")
        (copy / "turns.jsonl").write_bytes(torn)
        assert outcomes(go(folder, Learning())) == EXPECTED


def test_a_damaged_row_is_named(tmp_path: Path) -> None:
    report = go(tmp_path, Learning())
    file = Path(report["run"]) / "turns.jsonl"
    file.write_text("{}\n" + file.read_text())
    with pytest.raises(RunError, match=r"turns\.jsonl:1: damaged"):
        go(tmp_path, Learning())


def test_without_scoring_there_is_no_second_turn(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="second turn rests on a verdict"):
        go(tmp_path, Learning(), scored=False)


def test_recorded_answers_are_last_turns(tmp_path: Path) -> None:
    file = tmp_path / "recorded.jsonl"
    file.write_text("".join(json.dumps({"task_id": row["id"], "completion": "    return 0\n"}) + "\n" for row in ROWS))
    report = go(tmp_path / "out", ReplayModel(file))
    assert report["outcomes"]["talking"] == {"wrong": 8}
    assert not any(note.startswith("first turn") for note in report["notes"])


def test_turns_of_one_sample(tmp_path: Path) -> None:
    turns = Turns(tmp_path / "turns.jsonl")
    sample = Sample("p", 0, Completion("one", tokens=3))
    turns.came(sample)
    assert turns.begun("p", 0)
    assert not turns.begun("p", 1)
    assert [each.completion.text for each in turns.unjudged()] == ["one"]
    turns.goes_on(sample, Turn(sample.completion, {"c": Outcome.WRONG}, {"error": "x"}))
    assert turns.pending() == [("p", 0, [Turn(sample.completion, {"c": Outcome.WRONG}, {"error": "x"})])]
    turns.came(Sample("p", 0, Completion("two")))
    assert turns.pending() == []
    again = Turns(tmp_path / "turns.jsonl")
    again.open()
    assert [each.completion.text for each in again.unjudged()] == ["two"]
    assert again.of(sample) == [Turn(sample.completion, {"c": Outcome.WRONG}, {"error": "x"})]
    again.over("p", 0)
    assert not again.begun("p", 0)
