"""EvalPlus's comparison, held against what EvalPlus's own code said; and outcomes from what programs answered."""

from __future__ import annotations

import collections
import gzip
import json
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import calls
import numpy
import pytest
from evalplus_verdicts import PAIRS, ROOTS, SEQUENCES

from qwencoder_eval.errors import DatasetError, ReferenceFailsError
from qwencoder_eval.scoring.base import Recorded
from qwencoder_eval.scoring.calls import CallScorer, Expected, expected_answers
from qwencoder_eval.scoring.values import Answer
from qwencoder_eval.types import Outcome, Problem, Program, Result

GENERATIONS = ["0.3", "0.2.1"]
NAMES = {
    "numpy": numpy, "collections": collections, "Decimal": Decimal, "Fraction": Fraction,
    "NAN": float("nan"), "INF": float("inf"),
}  # fmt: skip


def value_of(expression: str) -> Any:
    return eval(expression, {**NAMES, "NAN": float("nan")})


def line_of(value: Any) -> bytes:
    return json.dumps({"value": calls.encode(value)}).encode() + b"\n"


def recorded(folder: Path, values: list[Any]) -> Recorded:
    path = folder / "reference.gz"
    timed = [json.dumps({"value": calls.encode(value), "cpu_s": 0.25}).encode() for value in values]
    path.write_bytes(gzip.compress(b"\n".join([b'{"loaded": true}', *timed, b""])))
    return Recorded(path)


def problem(function: str, inputs: list[Any], atol: float) -> Problem:
    return Problem("p/0", {}, {"entry_point": function, "atol": atol, "inputs": inputs}, reference="")


def verdict(
    folder: Path, outputs: list[Any], expected: list[Any], atol: float = 0, generation: str = "0.3",
    function: str = "f", inputs: list[Any] | None = None, **result: Any,
) -> tuple[Outcome, dict[str, str]]:  # fmt: skip
    given = inputs if inputs is not None else [[i] for i in range(len(expected))]
    scorer = CallScorer({"s": "inputs"}, generation=generation)  # type: ignore[arg-type]
    asked = problem(function, given, atol)
    (known,) = scorer.learn(asked, [recorded(folder, expected)])
    answers = result.pop("answers", b'{"loaded": true}\n' + b"".join(map(line_of, outputs)))
    seen = Result(**{"ending": "exit", "status": 0, "cpu_s": 0.1, "wall_s": 0.1, "answers": answers, **result})
    return scorer.judge(asked, given, known, seen)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(("output", "expected", "atol", "today", "then"), PAIRS)
def test_pairs(
    output: str, expected: str, atol: float, today: bool, then: bool, generation: str, tmp_path: Path
) -> None:
    outcome, _ = verdict(tmp_path, [value_of(output)], [value_of(expected)], atol, generation)
    assert (outcome is Outcome.PASSED) is (today if generation == "0.3" else then)
    assert outcome in (Outcome.PASSED, Outcome.WRONG)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(("outputs", "expected", "atol", "today", "then"), SEQUENCES)
def test_a_tolerance_stays_on(
    outputs: list[str], expected: list[str], atol: float, today: bool, then: bool, generation: str, tmp_path: Path
) -> None:
    outcome, _ = verdict(tmp_path, [*map(value_of, outputs)], [*map(value_of, expected)], atol, generation)
    assert (outcome is Outcome.PASSED) is (today if generation == "0.3" else then)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(("xs", "output", "root", "today", "then"), ROOTS)
def test_roots(xs: list[int], output: str, root: str, today: bool, then: bool, generation: str, tmp_path: Path) -> None:
    outcome, _ = verdict(
        tmp_path, [value_of(output)], [value_of(root)], 1e-4, generation, function="find_zero", inputs=[[xs]]
    )
    assert (outcome is Outcome.PASSED) is (today if generation == "0.3" else then)


def test_the_first_failure_decides(tmp_path: Path) -> None:
    outcome, evidence = verdict(tmp_path, [1, 5, 7], [1, 2, 3])
    assert outcome is Outcome.WRONG
    assert (evidence["input"], evidence["expected"], evidence["got"]) == ("[1]", "2", "5")


LOADED = b'{"loaded": true}\n'


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
        (LOADED + b'{"value": 1}\n{"value": 2}\n', {}, "passed"),
    ],
)
def test_outcomes(answers: bytes, result: dict[str, Any], outcome: str, tmp_path: Path) -> None:
    found, evidence = verdict(tmp_path, [], [1, 2], answers=answers, **result)
    assert found == outcome
    assert bool(evidence) is (outcome != "passed")
    assert all(len(text) <= 401 for text in evidence.values())


def test_a_hostile_answer_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = b'{"value": {"$": "set", "items": [' + b"1," * 200_000 + b"1]}}\n"
    monkeypatch.setattr(
        "qwencoder_eval.scoring.calls.decode_line",
        lambda line: pytest.fail("decoded") if len(line) > 99 else LOADED_ANSWER,
    )
    outcome, evidence = verdict(tmp_path, [], [1], answers=LOADED + huge)
    assert outcome is Outcome.WRONG
    assert "bytes" in evidence["got"]


LOADED_ANSWER = Answer(None, loaded=True)


def test_long_answers_are_compared_by_digest_and_read_again_when_they_differ(tmp_path: Path) -> None:
    long = list(range(50_000))
    assert verdict(tmp_path, [long], [long])[0] is Outcome.PASSED
    assert verdict(tmp_path, [[float(n) for n in long]], [long])[0] is Outcome.PASSED
    assert verdict(tmp_path, [[*long[:-1], -1]], [long])[0] is Outcome.WRONG
    (kept,) = expected_answers([[0]], recorded(tmp_path, [long]))
    assert kept.short_line is None
    assert kept.encoded(kept.source.forward()) == long


def test_many_long_answers_that_are_equal_but_look_otherwise_cost_one_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = [[*range(20_000), n] for n in range(8)]
    source = recorded(tmp_path, long)
    expected, readings, honest = expected_answers([[n] for n in range(8)], source), [], Recorded.lines

    def counted(self: Recorded) -> Any:
        readings.append(self)
        return honest(self)

    monkeypatch.setattr(Recorded, "lines", counted)
    floats = LOADED + b"".join(line_of([float(item) for item in value]) for value in long)
    seen = Result("exit", 0, 0.1, 0.1, answers=floats)
    inputs = [[n] for n in range(8)]
    outcome, _ = CallScorer({"s": "inputs"}).judge(problem("f", inputs, 0), inputs, expected, seen)
    assert outcome is Outcome.PASSED
    assert len(readings) == 1


def encoded_of_short_ones(expected: Expected, read: Any) -> Any:
    assert expected.short_line is not None, "a long line was read again"
    return json.loads(expected.short_line)["value"]


LONG: dict[str, tuple[Any, bool]] = {
    "floats": ([0.5] * 20_000, True),
    "a tuple of floats": ((1e300,) * 20_000, True),
    "an array": (numpy.array([0.5] * 20_000), True),
    "an array of whole numbers": (numpy.arange(20_000), False),
    "an int first": ([1] + [0.5] * 20_000, False),
    "an int last": ([0.5] * 20_000 + [1], False),
    "text": ("0.5 " * 20_000, False),
    "a set": ({n / 2 for n in range(20_000)}, False),
}


@pytest.mark.parametrize("name", LONG)
def test_a_long_value_switches_the_tolerance_on_as_a_short_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not read again to know: many long answers before a wrong one would cost as many readings."""
    value, floats = LONG[name]
    folder = tmp_path / "r"
    folder.mkdir()
    source = recorded(folder, [value, [1, 2]])
    (long, short) = expected_answers([[0], [1]], source)
    assert long.floats is floats
    monkeypatch.setattr(Expected, "encoded", encoded_of_short_ones)
    scorer = CallScorer({"s": "inputs"})
    answers = LOADED + line_of(value) + line_of([1, 2.0000001])
    seen = Result("exit", 0, 0.1, 0.1, answers=answers)
    outcome, _ = scorer.judge(problem("f", [[0], [1]], 0), [[0], [1]], [long, short], seen)
    assert (outcome is Outcome.PASSED) is floats


def test_expected_lines_are_those_of_an_untimed_program(tmp_path: Path) -> None:
    values: list[Any] = [1, "ä\n", [1.5, None], {"a": (1, 2)}, {3, 1}, float("inf")]
    for value, known in zip(values, expected_answers([[]] * 6, recorded(tmp_path, values)), strict=True):
        assert known.same_line(line_of(value)[:-1])
        assert known.cpu_s == 0.25
        assert known.plain


def test_nan_and_objects_are_never_equal_by_their_line(tmp_path: Path) -> None:
    for value in (float("nan"), [object()]):
        assert not Expected.of(line_of(value)[:-2] + b', "cpu_s": 0.1}\n', recorded(tmp_path, []), 0).plain
        assert verdict(tmp_path, [value], [value])[0] is Outcome.WRONG


def test_a_reference_that_fails_cannot_be_scored_against(tmp_path: Path) -> None:
    path = tmp_path / "r.gz"
    path.write_bytes(gzip.compress(LOADED + b'{"error": "ValueError: no", "type": "ValueError"}\n'))
    with pytest.raises(ReferenceFailsError, match=r"^the reference solution fails here on \[7\] \(ValueError: no\)$"):
        expected_answers([[7]], Recorded(path))
    path.write_bytes(gzip.compress(b'{"stage": "load", "error": "NameError: f"}\n'))
    with pytest.raises(ReferenceFailsError, match=r"^the reference solution fails here \(NameError: f\)$"):
        expected_answers([[7]], Recorded(path))
    with pytest.raises(ReferenceFailsError, match="answers 1 of 2 calls"):
        expected_answers([[0], [1]], recorded(tmp_path, [1]))


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


class FakeRunner:
    """Answers from a list, and remembers how it was asked."""

    def __init__(self, *results: Result) -> None:
        self.results, self.asked = list(results), list[tuple[str, Program]]()

    def run(self, program: Program) -> Result:
        self.asked.append(("run", program))
        return self.results.pop(0)

    def run_alone(self, program: Program) -> Result:
        self.asked.append(("alone", program))
        return self.results.pop(0)


def answered(*values: Any, **changes: Any) -> Result:
    answers = LOADED + b"".join(map(line_of, values))
    return Result(**{"ending": "exit", "status": 0, "cpu_s": 0.0, "wall_s": 0.0, "answers": answers, **changes})


def score(folder: Path, runner: FakeRunner) -> dict[str, str]:
    scorer = CallScorer({"base": "base_input", "plus": "plus_input"}, min_limit_s=0.5)
    tests = {"entry_point": "f", "atol": 0, "base_input": [[1]], "plus_input": [[2], [3]]}
    asked = Problem("p/0", {}, tests, reference="")
    (folder / "b").mkdir(exist_ok=True)
    known = scorer.learn(asked, [recorded(folder / "b", [1]), recorded(folder, [2, 3])])
    return {check: outcome.value for check, outcome in scorer.score(asked, "code", known, runner).checks.items()}


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
    assert sys.getsizeof(base) < 1000
