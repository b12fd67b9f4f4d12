"""Outcomes from what programs answered, and how often and how they are asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import calls
import pytest
from suites import (
    GENERATIONS,
    LOADED,
    Answering,
    FakeRunner,
    answers_of,
    ended,
    problem,
    recorded,
    reference,
    suite_of,
    verdict,
)

from qwencoder_eval.errors import DatasetError, ReferenceFailsError
from qwencoder_eval.scoring.base import EVIDENCE_CHARS
from qwencoder_eval.scoring.calls import ANSWER_ROOM, LONGER, LONGER_BYTES, WHOLE, CallScorer
from qwencoder_eval.scoring.oracles import Generation
from qwencoder_eval.scoring.recorded import Recorded
from qwencoder_eval.scoring.values import Answer
from qwencoder_eval.types import Calls, Outcome, Problem, Result

MEGABYTE = Calls.WHOLE_BYTES
SCORER = CallScorer({"s": "inputs"})


def test_the_first_failure_decides(tmp_path: Path) -> None:
    outcome, evidence = verdict(tmp_path, [1, 5, 7], [1, 2, 3])
    assert outcome is Outcome.WRONG
    assert (evidence["input"], evidence["expected"], evidence["got"]) == ("[1]", "2", "5")


@pytest.mark.parametrize(
    ("answers", "result", "outcome"),
    [
        (b"", {}, "runtime_error"),
        (b"", {"ending": "cpu_limit", "status": 9}, "timeout"),
        (b"", {"ending": "wall_limit", "status": 9}, "timeout"),
        (b"", {"ending": "memory_limit", "status": 9}, "out_of_memory"),
        (b"", {"ending": "signal", "status": 11}, "runtime_error"),
        (b'{"stage": "compile", "error": "SyntaxError: x"}\n', {}, "compile_error"),
        (b'{"stage": "load", "error": "NameError: x"}\n', {}, "runtime_error"),
        (b'{"stage": "load", "error": "MemoryError", "type": "MemoryError"}\n', {}, "out_of_memory"),
        (LOADED + b'{"error": "ValueError: x", "type": "ValueError"}\n', {}, "runtime_error"),
        (LOADED + b'{"error": "MemoryError", "type": "MemoryError"}\n', {}, "out_of_memory"),
        (LOADED + b'{"value": 1}\n', {}, "runtime_error"),
        (LOADED + b'{"value": 1}\n', {"ending": "cpu_limit", "status": 9}, "timeout"),
        (LOADED + b'{"value": 7}\n', {"ending": "cpu_limit", "status": 9}, "wrong"),
        (LOADED + b'{"value": 1}\n{"value": 2}\n', {"over": 1}, "timeout"),
        (LOADED + b'{"value": 1}\n{"value": 2}\n', {"over": -1}, "timeout"),
        (LOADED + b'{"value": 1}\n{"value": 2}\n', {"status": 3}, "runtime_error"),
        (LOADED + b'{"value": 1}\n{"value": 2}\n', {"ending": "signal", "status": 9}, "runtime_error"),
        (LOADED + b'{"value": 1}\n{"value": 2}\n{"value": 3}\n', {}, "wrong"),
        (LOADED + b'{"value": 1}\n{"value": 2}\ntorn', {}, "wrong"),
        (LOADED + b'{"value": 1}\n{"value": 2', {}, "runtime_error"),
        (LOADED + LOADED + b'{"value": 1}\n{"value": 2}\n', {}, "wrong"),
        (b'{"value": 1}\n{"value": 2}\n', {}, "wrong"),
        (b'{"value": true}\n{"value": 1}\n{"value": 2}\n', {}, "wrong"),
        (b"\xff\xfe garbage\n", {}, "wrong"),
        (LOADED + b"passed\n", {}, "wrong"),
        (LOADED + b'{"value": 1}\n{"value": 2}\n', {"over": 0}, "timeout"),
        (LOADED + b'{"value": 1}\n{"value": 2}\n', {"ending": "wall_limit", "status": 9}, "timeout"),
        (LOADED + b'{"value": 1}\n{"value": 2}\n', {"ending": "answer_limit", "status": 9}, "runtime_error"),
        (LOADED + b'{"value": 1}\n', {"ending": "answer_limit", "status": 9}, "runtime_error"),
        (LOADED + b'{"value": 1}\n{"size": 0, "digest": ""}\n', {}, "wrong"),
        (LOADED + b'{"value": 1}\n{"size": 12, "digest": "ab"}\n', {}, "wrong"),
        (LOADED + b'{"value": 1}\n{"value": 2}\n', {}, "passed"),
        (LOADED + b'{"value": 1}\n{"value": 2.0}\n', {}, "passed"),
    ],
)
def test_outcomes(answers: bytes, result: dict[str, Any], outcome: str, tmp_path: Path) -> None:
    found, evidence = verdict(tmp_path, [], [1, 2], answers=answers, **result)
    assert found == outcome
    assert bool(evidence) is (outcome != "passed")
    assert all(len(text) <= EVIDENCE_CHARS for text in evidence.values())


def test_an_expected_none_is_not_met_by_a_digest_of_nothing(tmp_path: Path) -> None:
    assert verdict(tmp_path, [], [None], answers=LOADED + b'{"size": 0, "digest": ""}\n')[0] is Outcome.WRONG


def test_a_suite_without_calls_passes_where_the_program_loads(tmp_path: Path) -> None:
    assert verdict(tmp_path, [], [])[0] is Outcome.PASSED
    assert verdict(tmp_path, [], [], answers=b'{"stage": "load", "error": "E"}\n')[0] is Outcome.RUNTIME_ERROR


@pytest.mark.parametrize("answers", [LOADED + b'{"value": 1}\n' * 2, LOADED + b'{"value": [1]}\n' * 2])
def test_equal_bytes_count_only_where_the_program_ended_well(answers: bytes, tmp_path: Path) -> None:
    for changes, outcome in (
        ({}, Outcome.PASSED),
        ({"status": 1}, Outcome.RUNTIME_ERROR),
        ({"over": 1}, Outcome.TIMEOUT),
        ({"ending": "signal", "status": 9}, Outcome.RUNTIME_ERROR),
        ({"ending": "memory_limit", "status": 9}, Outcome.OUT_OF_MEMORY),
    ):
        value = json.loads(answers.splitlines()[1])["value"]
        assert verdict(tmp_path, [], [value, value], answers=answers, **changes)[0] is outcome


def test_a_hostile_answer_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = b'{"value": {"$": "set", "items": [' + b"1," * 200_000 + b"1]}}\n"
    monkeypatch.setattr(
        "qwencoder_eval.scoring.calls.decode_line",
        lambda line: pytest.fail("decoded") if len(line) > 99 else Answer(None, loaded=True),
    )
    outcome, evidence = verdict(tmp_path, [], [1], answers=LOADED + huge)
    assert outcome is Outcome.WRONG
    assert evidence["got"] == f"an answer of {len(huge) - 1} bytes"


def test_a_program_is_decided_once_an_answer_is_wrong_or_missing(tmp_path: Path) -> None:
    known, inputs = suite_of(tmp_path, [1, 2.0, [3]]), [[0], [1], [2]]

    def decided(answers: bytes) -> bool:
        return SCORER.is_decided(problem("f", inputs, 0), inputs, known, answers)

    for right in (answers_of([1, 2.0, [3]]), answers_of([1.0, 2, [3.0000001]])):
        assert not any(decided(right[:length]) for length in range(len(right) + 1))
    for wrong in (answers_of([1, 5]), LOADED + b'{"error": "E"}\n', b'{"stage": "load", "error": "E"}\n', b"x\n"):
        assert [decided(wrong[:length]) for length in (0, 1, len(wrong) - 1, len(wrong))] == [False, False, False, True]
    assert not decided(LOADED + b'{"size": 20, "digest": "ab"}\n')


# ---------------------------------------------------------------- references


def test_a_reference_that_fails_cannot_be_scored_against(tmp_path: Path) -> None:
    kept = reference(tmp_path / "r.gz", 1)
    kept.keep(LOADED + b'{"error": "ValueError: no", "type": "ValueError"}\n')
    with pytest.raises(ReferenceFailsError, match=r"^the reference solution fails here \(call 1: ValueError: no\)$"):
        SCORER.learn(problem("f", [[7]], 0), [kept])
    kept.keep(b'{"stage": "load", "error": "NameError: f"}\n')
    with pytest.raises(ReferenceFailsError, match=r"^the reference solution fails here \(NameError: f\)$"):
        SCORER.learn(problem("f", [[7]], 0), [kept])
    kept.keep(LOADED)
    with pytest.raises(ReferenceFailsError, match="0 of 1 calls are answered"):
        SCORER.learn(problem("f", [[7]], 0), [kept])


def test_a_reference_is_asked_for_everything_at_once() -> None:
    inputs = [[(1, 2)], [{3}]]
    (program,) = SCORER.reference_programs(problem("f", inputs, 0))
    assert program.calls
    assert json.loads(program.calls.inputs, object_hook=calls.decode) == inputs
    assert (program.calls.function, program.calls.whole_bytes, program.calls.timed) == ("f", WHOLE, True)
    assert list(program.calls.cpu_s) == [60.0, 60.0]


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ({"entry": "f", "atol": 0, "inputs": []}, "p/0: tests has no 'entry_point', which CallScorer reads"),
        ({"entry_point": "f", "inputs": []}, "p/0: tests has no 'atol'"),
        (
            {"entry_point": "f", "atol": 0, "input": []},
            "tests has no 'inputs', .* problem.. gives entry_point, atol, input",
        ),
        ({"entry_point": "f", "atol": 0, "inputs": ["ab"]}, "must be a list of argument lists"),
    ],
)
def test_tests_that_the_scorer_cannot_read_are_refused(tests: dict[str, Any], said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        CallScorer({"s": "inputs"}).reference_programs(Problem("p/0", {}, tests, reference=""))


# ---------------------------------------------------------------- runs


def score(folder: Path, runner: FakeRunner) -> dict[str, str]:
    scorer = CallScorer({"base": "base_input", "plus": "plus_input"}, min_limit_s=0.5)
    tests = {"entry_point": "f", "atol": 0, "base_input": [[1]], "plus_input": [[2], [3]]}
    asked = Problem("p/0", {}, tests, reference="")
    (folder / "b").mkdir(exist_ok=True)
    known = scorer.learn(asked, [recorded(folder / "b", [1]), recorded(folder, [2, 3])])
    judgement = scorer.score(asked, "code", known, runner)
    assert bool(judgement.evidence) is (set(judgement.checks.values()) != {Outcome.PASSED})
    return {check: outcome.value for check, outcome in judgement.checks.items()}


def answered(*values: Any, **changes: Any) -> Result:
    return ended(answers_of(values), **changes)


def test_plus_counts_only_where_base_passed(tmp_path: Path) -> None:
    assert score(tmp_path, FakeRunner(answered(1), answered(2, 3))) == {"base": "passed", "plus": "passed"}
    assert score(tmp_path, FakeRunner(answered(1), answered(2, 4))) == {"base": "passed", "plus": "wrong"}
    runner = FakeRunner(answered(0))
    assert score(tmp_path, runner) == {"base": "wrong", "plus": "wrong"}
    assert len(runner.asked) == 1


def test_an_ambiguous_timeout_is_tried_once_more_alone(tmp_path: Path) -> None:
    late = answered(1, over=0)
    runner = FakeRunner(late, answered(1), answered(2, 3))
    assert score(tmp_path, runner) == {"base": "passed", "plus": "passed"}
    assert [how for how, _ in runner.asked] == ["run", "alone", "run"]
    waiting = answered(ending="wall_limit", status=9)
    assert score(tmp_path, FakeRunner(waiting, waiting)) == {"base": "timeout", "plus": "timeout"}


def test_a_clear_timeout_and_a_wrong_answer_are_not_tried_again(tmp_path: Path) -> None:
    assert score(tmp_path, FakeRunner(answered(ending="cpu_limit", status=9, over=0)))["base"] == "timeout"
    assert score(tmp_path, FakeRunner(answered(7, ending="wall_limit", status=9)))["base"] == "wrong"


def test_limits_come_from_the_reference(tmp_path: Path) -> None:
    runner = FakeRunner(answered(1), answered(2, 3))
    score(tmp_path, runner)
    base, plus = (program for _, program in runner.asked)
    assert base.calls
    assert plus.calls
    assert list(base.calls.cpu_s) == [1.0]  # four times the reference's quarter of a second
    assert list(plus.calls.cpu_s) == [1.0, 1.0]
    assert (base.limits.cpu_s, plus.limits.cpu_s) == (2.0, 3.0)  # their sum and one second
    assert (base.calls.whole_bytes, base.calls.timed) == (MEGABYTE, False)
    assert base.limits.answer_bytes == 2 * len(answers_of([1])) + ANSWER_ROOM


def test_writing_a_value_down_costs_a_program_nothing(tmp_path: Path) -> None:
    kept = reference(tmp_path / "r.gz", 2)
    kept.keep(LOADED + b'{"value": 1, "cpu_s": [0.5, 10.0]}\n{"value": 2, "cpu_s": [0.125, 0.0]}\n')
    (known,) = SCORER.learn(problem("f", [], 0), [kept])
    assert list(known.calls.cpu_s) == [2.0 + 20.0, 1.0]
    assert known.limits.cpu_s == 23.0 + 20.0 + 1.0


# ---------------------------------------------------------------- answers too long to travel

LONG = list(range(200_000))
FLOATS = [float(item) for item in LONG]
NOT_A_NUMBER = [0.5] * 250_000 + [float("nan")]


def run(
    folder: Path, runner: FakeRunner | Answering, *expected: Any, generation: Generation = "0.3", atol: float = 0,
    whole_bytes: int = WHOLE,
) -> tuple[Outcome, dict[str, str]]:  # fmt: skip
    scorer = CallScorer({"s": "inputs"}, generation)
    inputs = [[call] for call in range(len(expected))]
    asked = problem("f", inputs, atol)
    known = scorer.learn(asked, [recorded(folder, expected, whole_bytes)])
    judgement = scorer.score(asked, "", known, runner)
    return judgement.checks["s"], dict(judgement.evidence)


def digests(*values: Any) -> Result:
    return ended(answers_of(values, 100))


def whole(*values: Any, **changes: Any) -> Result:
    return ended(answers_of(values, WHOLE), **changes)


def test_long_answers_are_compared_by_digest_and_read_again_when_they_differ(tmp_path: Path) -> None:
    for values, outcome, runs in (
        (LONG, Outcome.PASSED, 1),
        (FLOATS, Outcome.PASSED, 2),
        ([*LONG[:-1], -1], Outcome.WRONG, 2),
        (LONG[:-1], Outcome.WRONG, 2),
        (tuple(LONG), Outcome.WRONG, 2),
        ([1], Outcome.WRONG, 1),
        (None, Outcome.WRONG, 1),
    ):
        runner = Answering([1, values, 2])
        assert run(tmp_path, runner, 1, LONG, 2)[0] is outcome
        assert runner.runs == runs


def test_the_second_run_sends_whole_values_and_has_room_for_them(tmp_path: Path) -> None:
    runner = FakeRunner(ended(answers_of([FLOATS])), whole(FLOATS))
    assert run(tmp_path, runner, LONG)[0] is Outcome.PASSED
    assert runner.whole_bytes == [("run", MEGABYTE), ("run", WHOLE)]
    first, second = (program for _, program in runner.asked)
    assert first.limits.answer_bytes < 2 * MEGABYTE + ANSWER_ROOM
    assert second.limits.answer_bytes == 2 * len(calls.line_of(LONG, WHOLE)) + ANSWER_ROOM
    assert (second.limits.cpu_s, second.files) == (first.limits.cpu_s, first.files)
    assert first.calls
    assert second.calls
    assert (second.calls.cpu_s, second.calls.inputs) == (first.calls.cpu_s, first.calls.inputs)


def test_a_wrong_answer_where_a_long_one_is_due_is_shown_in_short(tmp_path: Path) -> None:
    for wrong, got in (([7], "[7]"), ([*LONG[:-1], -1], "[0, 1, 2, ")):
        outcome, evidence = run(tmp_path, Answering([LONG, wrong, 1]), LONG, LONG, 1)
        assert (outcome, evidence["input"]) == (Outcome.WRONG, "[1]")
        assert evidence["expected"] == f"a value of {len(calls.line_of(LONG, WHOLE))} bytes"
        assert evidence["got"].startswith(got)
        assert len(evidence["got"]) <= EVIDENCE_CHARS


def test_an_expected_value_that_is_short_may_be_met_by_a_long_one(tmp_path: Path) -> None:
    expected = [1] * 400_000
    assert suite_of(tmp_path, [expected]).expected.lines[0].sized
    expected = [1] * 300_000
    assert suite_of(tmp_path, [expected]).expected.lines[0].sized is None
    runner = Answering([[1.0] * 300_000])
    assert run(tmp_path, runner, expected)[0] is Outcome.PASSED
    assert runner.runs == 2


@pytest.mark.parametrize("generation", GENERATIONS)
def test_an_equal_digest_of_something_unequal_to_itself_decides_nothing(generation: Generation, tmp_path: Path) -> None:
    runner = Answering([NOT_A_NUMBER])
    outcome, _ = run(tmp_path, runner, NOT_A_NUMBER, generation=generation)
    assert outcome is (Outcome.WRONG if generation == "0.3" else Outcome.PASSED)
    assert runner.runs == 2


def test_digests_in_the_second_run_too_are_wrong_and_not_asked_about_again(tmp_path: Path) -> None:
    runner = FakeRunner(digests(FLOATS), digests(FLOATS))
    assert run(tmp_path, runner, LONG)[0] is Outcome.WRONG
    assert runner.results == []


def test_the_right_digest_in_the_second_run_is_right(tmp_path: Path) -> None:
    """Another call may have been the reason for it."""
    runner = FakeRunner(
        digests(LONG, FLOATS), ended(digests(LONG).answers + answers_of([FLOATS], WHOLE)[len(LOADED) :])
    )
    assert run(tmp_path, runner, LONG, LONG)[0] is Outcome.PASSED
    assert runner.results == []


def test_an_answer_that_is_far_too_long_is_wrong_at_once(tmp_path: Path) -> None:
    size = len(calls.line_of([1], WHOLE))
    limit = LONGER * size + LONGER_BYTES
    for said, runs in ((1 << 60, 1), (limit + 1, 1), (limit, 2), (-5, 1)):
        forged = ended(LOADED + json.dumps({"size": said, "digest": "ab"}).encode() + b"\n")
        runner = FakeRunner(forged, forged)
        assert run(tmp_path, runner, [1])[0] is Outcome.WRONG
        assert len(runner.asked) == runs


def test_an_honest_answer_that_is_far_too_long_is_wrong_at_once(tmp_path: Path) -> None:
    runner = Answering([LONG])
    outcome, evidence = run(tmp_path, runner, [1])
    assert (outcome, runner.runs) == (Outcome.WRONG, 1)
    assert evidence["got"] == f"an answer of {len(calls.line_of(LONG, WHOLE))} bytes"


def test_a_second_run_that_is_late_is_tried_alone_once(tmp_path: Path) -> None:
    late = ended(LOADED, ending="wall_limit", status=9)
    runner = FakeRunner(digests(FLOATS), late, whole(FLOATS))
    assert run(tmp_path, runner, LONG)[0] is Outcome.PASSED
    assert runner.whole_bytes == [("run", MEGABYTE), ("run", WHOLE), ("alone", WHOLE)]
    runner = FakeRunner(digests(FLOATS), late, late)
    assert run(tmp_path, runner, LONG)[0] is Outcome.TIMEOUT
    assert runner.results == []


def test_a_late_first_run_stays_alone(tmp_path: Path) -> None:
    late = ended(LOADED, ending="wall_limit", status=9)
    runner = FakeRunner(late, digests(FLOATS), whole(FLOATS))
    assert run(tmp_path, runner, LONG)[0] is Outcome.PASSED
    assert runner.whole_bytes == [("run", MEGABYTE), ("alone", MEGABYTE), ("alone", WHOLE)]
    runner = FakeRunner(late, digests(FLOATS), late)
    assert run(tmp_path, runner, LONG)[0] is Outcome.TIMEOUT
    assert runner.results == []


@pytest.mark.parametrize("second", ["late", "digests", "late digests", "over"])
@pytest.mark.parametrize("first", ["late", "digests", "late digests", "over"])
def test_no_program_is_asked_more_than_four_times(first: str, second: str, tmp_path: Path) -> None:
    hostile = {
        "late": ended(LOADED, ending="wall_limit", status=9),
        "digests": digests(FLOATS),
        "late digests": ended(digests(FLOATS).answers, ending="wall_limit", status=9),
        "over": ended(digests(FLOATS).answers, over=0),
    }
    runner = FakeRunner(hostile[first], hostile[second], *[hostile["late digests"], hostile["over"]] * 2)
    assert run(tmp_path, runner, LONG)[0] in (Outcome.WRONG, Outcome.TIMEOUT)
    assert len(runner.asked) <= 4


def test_of_a_value_too_long_for_the_reference_only_the_digest_counts(tmp_path: Path) -> None:
    huge = list(range(1000))
    assert run(tmp_path, FakeRunner(digests(huge)), huge, whole_bytes=100)[0] is Outcome.PASSED
    runner = FakeRunner(digests(huge[1:]), digests(huge[1:]))
    outcome, evidence = run(tmp_path, runner, huge, whole_bytes=100)
    assert (outcome, runner.results) == (Outcome.WRONG, [])
    assert evidence["expected"] == f"a value of {len(calls.line_of(huge, WHOLE))} bytes"
    assert run(tmp_path, FakeRunner(whole([float(item) for item in huge])), huge, whole_bytes=100)[0] is Outcome.WRONG


def test_many_long_answers_that_are_equal_but_look_otherwise_cost_one_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Calls, "WHOLE_BYTES", 1000)
    long = [[*range(2_000), n] for n in range(8)]
    known, readings, honest = suite_of(tmp_path, long), [], Recorded._long_lines

    def counted(self: Recorded) -> Iterator[bytes]:
        readings.append(self)
        return honest(self)

    monkeypatch.setattr(Recorded, "_long_lines", counted)
    floats = whole(*([float(item) for item in value] for value in long))
    inputs = [[n] for n in range(8)]
    outcome, _ = SCORER.judge(problem("f", inputs, 0), inputs, known, floats)
    assert outcome is Outcome.PASSED
    assert len(readings) == 1
    assert SCORER.judge(problem("f", inputs, 0), inputs, known, digests(*long), whole=False)[0] is Outcome.PASSED
    assert len(readings) == 1


def test_evidence_names_the_suite(tmp_path: Path) -> None:
    outcome, evidence = run(tmp_path, FakeRunner(whole(2)), 1)
    assert outcome is Outcome.WRONG
    assert evidence == {"input": "[0]", "expected": "1", "got": "2", "check": "s"}
