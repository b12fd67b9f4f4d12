"""Asserts whose values stay outside the sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from suites import LOADED, FakeRunner, answers_of, ended, value_of

from qwencoder_eval.errors import DatasetError
from qwencoder_eval.sandboxes.none import NoneBackend
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.asserts import ASKED, AssertScorer, equal
from qwencoder_eval.scoring.base import EVIDENCE_CHARS, Judgement
from qwencoder_eval.types import Problem, Result

SCORER = AssertScorer("asserts")
SUM = ["assert add(1, 2) == 3", " assert add(one, 1)==2 "]
HONEST = "def add(a, b):\n    return a + b\n"


def problem(asserts: list[str], setup: str = "") -> Problem:
    return Problem("p/0", {}, {"asserts": asserts, "setup": setup}, reference="")


def score(runner: Any, asserts: list[str], code: str = HONEST, setup: str = "") -> Judgement:
    asked = problem(asserts, setup)
    return SCORER.score(asked, code, SCORER.learn(asked, []), runner)


def outcome(runner: Any, asserts: list[str], code: str = HONEST, setup: str = "") -> str:
    judgement = score(runner, asserts, code, setup)
    assert bool(judgement.evidence) is (judgement.checks["asserts"] != "passed")
    assert all(len(text) <= EVIDENCE_CHARS for text in judgement.evidence.values())
    return judgement.checks["asserts"].value


# ---------------------------------------------------------------- what an assert may be


@pytest.mark.parametrize(
    ("line", "call", "value"),
    [
        ("assert add(1, 2) == 3", "add(1, 2)", 3),
        ("assert f('a')==\"b\" ", "f('a')", "b"),
        ("assert set(f(1)) == set()", "set(f(1))", set()),
        ("assert f([1], {2: (3,)}) == [(1, 'a'), {2: None}, {3, 4}, -1.5, True]", "f([1], {2: (3,)})",
         [(1, "a"), {2: None}, {3, 4}, -1.5, True]),
        ("assert math.isclose(f(1), 2, rel_tol=0.001)", None, None),
        ("assert not f(1)", None, None),
        ("assert f(1) != 2", None, None),
        ("assert f(1) == g(2)", None, None),
        ("assert f(1) == 2 == 2", None, None),
        ("assert f(1) == 2; assert f(2) == 3", None, None),
        ("f(1) == 2", None, None),
        ("assert f(1) ==", None, None),
        ("", None, None),
        ("assert f(1) == 1 + 2j", "f(1)", 1 + 2j),
    ],
)  # fmt: skip
def test_a_call_and_a_value(line: str, call: str | None, value: Any) -> None:
    if call is None:
        with pytest.raises(DatasetError, match=r"^p/0: .* is not assert CALL == VALUE$"):
            SCORER.learn(problem([line]), [])
    else:
        assert SCORER.learn(problem([line]), []) == [(call, value)]


def test_nothing_is_asked_of_a_reference() -> None:
    assert SCORER.reference_programs(problem(SUM)) == []


def test_key_and_checks() -> None:
    assert SCORER.checks == ("asserts",)
    keys = [SCORER.key(), AssertScorer("other").key(), AssertScorer("asserts", 4.0).key()]
    assert len({json.dumps(key, sort_keys=True) for key in [*keys, AssertScorer("asserts", version=9).key()]}) == 4


# ---------------------------------------------------------------- what is asked


def test_only_the_calls_go_into_the_sandbox() -> None:
    runner = FakeRunner(ended(answers_of([3, 2])))
    asserts = ["assert add(1, 2) == 3", "assert add('x', 1) == 'the secret'"]
    score(runner, asserts, setup="one = 1")
    ((_, program),) = runner.asked
    assert "secret" not in program.files["main.py"]
    assert program.calls
    assert (program.calls.function, json.loads(program.calls.inputs)) == (ASKED, [[0], [1]])
    assert (program.limits.cpu_s, list(program.calls.cpu_s)) == (3.0, [3.0, 3.0])
    namespace: dict[str, Any] = {}
    exec(program.files["main.py"], namespace)
    assert namespace[ASKED](0) == 3
    with pytest.raises(TypeError):
        namespace[ASKED](1)
    assert namespace["one"] == 1


# ---------------------------------------------------------------- what came back

VALUE = b'{"value": 3}\n'
SECOND = b'{"value": 2}\n'


@pytest.mark.parametrize(
    ("answers", "result", "expected"),
    [
        (LOADED + VALUE + SECOND, {}, "passed"),
        (LOADED + b'{"value": 3.0}\n{"value": 2}\n', {}, "passed"),
        (LOADED + VALUE + b'{"value": 3}\n', {}, "wrong"),
        (LOADED + VALUE + b'{"value": 2.0000001}\n', {}, "wrong"),
        (LOADED + VALUE + b'{"value": "2"}\n', {}, "wrong"),
        (LOADED + VALUE + b'{"size": 5000000, "digest": "ab"}\n', {}, "wrong"),
        (LOADED + VALUE + b'{"size": 0, "digest": ""}\n', {}, "wrong"),
        (LOADED + VALUE + LOADED, {}, "wrong"),
        (LOADED + VALUE + b'{"value": {"$": "object", "class": "Any"}}\n', {}, "wrong"),
        (LOADED + VALUE + b"garbage\n", {}, "wrong"),
        (b"garbage\n", {}, "wrong"),
        (b"", {}, "runtime_error"),
        (b"", {"ending": "cpu_limit", "status": 9}, "timeout"),
        (b"", {"ending": "memory_limit", "status": 9}, "out_of_memory"),
        (b'{"stage": "compile", "error": "SyntaxError: x"}\n', {}, "compile_error"),
        (b'{"stage": "load", "error": "NameError: x"}\n', {}, "runtime_error"),
        (LOADED + VALUE + b'{"error": "ValueError: x", "type": "ValueError"}\n', {}, "runtime_error"),
        (LOADED + VALUE + b'{"error": "MemoryError", "type": "MemoryError"}\n', {}, "out_of_memory"),
        (LOADED + VALUE, {}, "runtime_error"),
        (LOADED + VALUE, {"ending": "cpu_limit", "status": 9}, "timeout"),
        (LOADED + VALUE, {"ending": "answer_limit", "status": 9}, "runtime_error"),
        (LOADED + SECOND, {"ending": "cpu_limit", "status": 9}, "wrong"),
        (LOADED + VALUE + SECOND, {"ending": "cpu_limit", "status": 9}, "timeout"),
        (LOADED + VALUE + SECOND, {"ending": "signal", "status": 9}, "runtime_error"),
        (LOADED + VALUE + SECOND, {"status": 1}, "runtime_error"),
        (LOADED + VALUE + SECOND + SECOND, {}, "runtime_error"),
    ],
)
def test_outcomes(answers: bytes, result: dict[str, Any], expected: str) -> None:
    assert outcome(FakeRunner(ended(answers, **result)), SUM) == expected


@pytest.mark.parametrize("late", [{"over": 1}, {"over": -1}, {"ending": "wall_limit", "status": 9}])
def test_a_late_program_is_tried_alone_once(late: dict[str, Any]) -> None:
    first: Result = ended(LOADED + VALUE + SECOND, **late)
    runner = FakeRunner(first, ended(LOADED + VALUE + SECOND))
    assert outcome(runner, SUM) == "passed"
    assert [how for how, _ in runner.asked] == ["run", "alone"]
    assert outcome(FakeRunner(first, first), SUM) == "timeout"


def test_evidence_tells_which_assert_failed() -> None:
    judgement = score(FakeRunner(ended(LOADED + VALUE + b'{"value": [7]}\n')), SUM)
    assert judgement.evidence == {"input": "add(one, 1)", "expected": "2", "got": "[7]", "check": "asserts"}


@pytest.mark.parametrize(
    ("output", "expected", "found"),
    [
        ("[1, (2,)]", "[1, (2,)]", True), ("1.0", "1", True), ("(1,)", "[1]", False), ("{1: 2}", "{1: 2}", True),
        ("numpy.array([1, 2])", "[1, 2]", False), ("numpy.array([1])", "[1]", True), ("None", "None", True),
        ("NAN", "NAN", False), ("0.1 + 0.2", "0.3", False),
    ],
)  # fmt: skip
def test_equality_is_pythons_and_an_array_is_neither_true_nor_false(output: str, expected: str, found: bool) -> None:
    assert equal(value_of(output), value_of(expected)) is found


# ---------------------------------------------------------------- in a process


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(NoneBackend(), 1) as opened:
        yield opened


class Sandboxed:
    def __init__(self, pool: Pool) -> None:
        self.run = self.run_alone = pool.run


@pytest.mark.parametrize(
    ("code", "setup", "expected"),
    [
        (HONEST, "one = 1", "passed"),
        (HONEST + "# no newline at the end", "one = 1", "passed"),
        (HONEST, "", "runtime_error"),
        ("one = 5\n" + HONEST, "one = 1", "passed"),
        ("def add(a, b):\n    return 3", "one = 1", "wrong"),
        ("def add(a, b)\n    return 3", "one = 1", "compile_error"),
        ("def sum(a, b):\n    return 3", "one = 1", "runtime_error"),
        ("calls = []\ndef add(a, b):\n    calls.append(a)\n    return 4 - len(calls)", "one = 1", "passed"),
        ("class Any:\n    __eq__ = lambda self, other: True\ndef add(a, b):\n    return Any()", "one = 1", "wrong"),
        ("def add(a, b):\n    raise SystemExit", "one = 1", "runtime_error"),
        ("import os\ndef add(a, b):\n    os._exit(0)", "one = 1", "runtime_error"),
        (f"def {ASKED}(number): return (3, 2)[number]\n{HONEST}", "one = 1", "passed"),
        ("def add(a, b):\n    return a + b\n'''", "one = 1", "compile_error"),
    ],
)
def test_programs(code: str, setup: str, expected: str, pool: Pool) -> None:
    assert outcome(Sandboxed(pool), SUM, code, setup) == expected
