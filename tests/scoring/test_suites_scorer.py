"""Unit tests in a program's own process: what a result means, with a sandbox that says what it is told to say.

Real sandboxes are in tests/sandboxes/test_suites.py and test_suite_cheating.py.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.sandboxes.base import Decided
from qwencoder_eval.scoring.base import EVIDENCE_CHARS, Judgement
from qwencoder_eval.scoring.suites import WAITED, SuiteScorer, judged
from qwencoder_eval.types import Ending, Outcome, Problem, Program, Result

WORD = "0123456789abcdef" * 2
TESTS = "import unittest\nclass TestCases(unittest.TestCase):\n    pass\n"
PROBLEM = Problem("p/0", {}, {"before": "import os\ndef f(x):\n    pass\n", "tests": TESTS}, language="some")
SCORER = SuiteScorer("x")


def result(answers: bytes | bytearray = b"", ending: str = "exit", status: int = 0, **others: Any) -> Result:
    return Result(ending, status, 0.1, 0.1, answers=answers, **others)  # type: ignore[arg-type]


def report(**said: Any) -> bytes:
    return json.dumps(said).encode() + b"\n"


def outcome(answers: bytes | Result) -> str:
    found, evidence = judged(answers if isinstance(answers, Result) else result(answers), WORD)
    assert bool(evidence) is (found is not Outcome.PASSED)
    assert all(isinstance(text, str) and 0 < len(text) <= EVIDENCE_CHARS for text in evidence.values())
    return found.value


PASSING = report(tests=2, problems={}, failed=0) + WORD.encode()

# -- what a result means -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (PASSING, "passed"),
        (WORD.encode(), "passed"),
        (b"whatever\n\xff\n" + WORD.encode(), "passed"),
        (report(tests=2, problems={"test_a": "AssertionError: 1 != 2"}), "wrong"),
        (report(tests=2, problems={"test_a": "AssertionError"}), "wrong"),
        (report(tests=2, problems={"test_a": "skipped: why"}), "wrong"),
        (report(tests=2, problems={"test_a": "succeeded, and was expected to fail"}), "wrong"),
        (report(tests=2, problems={"test_a": "KeyError: 'x'"}), "runtime_error"),
        (report(tests=2, problems={"test_a": "KeyError: 'x'", "test_b": "AssertionError: no"}), "wrong"),
        (report(tests=2, problems={"setUpClass (__test__.TestCases)": "ValueError: no"}), "runtime_error"),
        (report(error="NameError: name 'np' is not defined"), "runtime_error"),
        (report(error="AttributeError: module '__test__' has no attribute 'TestCases'"), "runtime_error"),
        (report(error="SystemExit: 0"), "runtime_error"),
        (report(error="SyntaxError: invalid syntax (__test__.py, line 1)"), "compile_error"),
        (report(error="IndentationError: unexpected indent (__test__.py, line 1)"), "compile_error"),
        (report(error="TabError: inconsistent use of tabs"), "compile_error"),
        (report(error="InterferedError: TestCase.run was replaced"), "wrong"),
        (report(error="AssertionError: at the top"), "wrong"),
        (report(tests=2, problems={}, failed=0), "wrong"),  # said that all is well, and not the word
        (report(error="", problems={}), "wrong"),
        (b"", "wrong"),
        (b"{}", "wrong"),
        (b"no JSON\n", "wrong"),
        (b"[]\n", "wrong"),
        (b"null\n", "wrong"),
        (b"3\n", "wrong"),
        (b'{"problems": 3}\n', "wrong"),
        (b'{"problems": [[[], 1]]}\n', "wrong"),
        (b'{"problems": "ab"}\n', "wrong"),
        (b"[" * 100_000 + b"\n", "wrong"),
        (b'{"error": ' + b"9" * 100_000 + b"}\n", "wrong"),
        (b'{"error": ["SyntaxError"]}\n', "runtime_error"),
        (b'{"error": "\\ud800\\u0000\\u001b[2J"}\n', "runtime_error"),
        (b"\xff\n", "wrong"),
    ],
    ids=lambda value: ascii(value[:60]),
)
def test_outcomes(answers: bytes, expected: str) -> None:
    assert outcome(answers) == expected


@pytest.mark.parametrize("depth", range(100, 1100, 20))
def test_nesting_is_read_or_not(depth: int) -> None:
    for kind in (b'{"error": %s}\n', b'{"problems": {"test_a": %s}}\n'):
        assert outcome(kind % (b"[" * depth + b"]" * depth)) in ("runtime_error", "wrong")


@pytest.mark.parametrize(
    "last",
    [
        "", WORD[:-1], WORD + "0", WORD + "\n", WORD + "\r", " " + WORD, WORD.upper(), "0" * 32, WORD[::-1], '"' + WORD,
        WORD + WORD, "word", WORD + "\0",
    ],
)  # fmt: skip
def test_only_the_word_itself_passes(last: str) -> None:
    assert outcome(report(tests=1, problems={}) + last.encode()) == "wrong"


def test_the_word_must_stand_behind_everything() -> None:
    assert outcome(WORD.encode() + b"\n" + report(tests=1, problems={})) == "wrong"
    assert outcome(PASSING + b"\n") == "wrong"
    assert outcome(report(error=WORD, problems={WORD: WORD})) == "runtime_error"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": 1}, "runtime_error"),
        ({"status": 70}, "runtime_error"),
        ({"ending": "signal", "status": 11}, "runtime_error"),
        ({"ending": "answer_limit", "status": 9}, "runtime_error"),
        ({"ending": "stopped", "status": 9}, "runtime_error"),
        ({"ending": "memory_limit", "status": 9}, "out_of_memory"),
        ({"ending": "cpu_limit", "status": 9}, "timeout"),
        ({"ending": "wall_limit", "status": 9}, "timeout"),
        ({"over": -1}, "timeout"),
    ],
)
@pytest.mark.parametrize("answers", [PASSING, b"", report(error="KeyError: 1"), b"\xff"], ids=ascii)
def test_a_program_that_does_not_end_well_does_not_pass(answers: bytes, changes: dict[str, Any], expected: str) -> None:
    assert outcome(result(answers, **changes)) == expected


ENDINGS = st.sampled_from(get_args(Ending))
BYTES = st.binary(max_size=80) | st.builds(
    lambda said, last: json.dumps(said).encode() + b"\n" + last,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["error", "problems", "tests", "test_a"]), inner, max_size=3)
        ),
        max_leaves=9,
    ),
    st.binary(max_size=9) | st.sampled_from([WORD.encode(), WORD.encode() + b"\n", WORD[:-1].encode()]),
)


@given(BYTES, ENDINGS, st.integers(0, 3), st.none() | st.just(-1))
def test_any_answer_is_judged_and_passes_by_the_word_alone(
    answers: bytes, ending: Any, status: int, over: int | None
) -> None:
    for sent in (answers, bytearray(answers)):
        found = outcome(result(sent, ending, status, over=over))
        last = answers.rpartition(b"\n")[2] == WORD.encode()
        assert (found == "passed") == (last and (ending, status, over) == ("exit", 0, None))


def test_evidence_names_the_tests_and_is_bounded() -> None:
    _, evidence = judged(result(report(problems={"test_b": "KeyError: 'x'", "test_a": "AssertionError: é"})), WORD)
    assert evidence == {"error": "test_b: KeyError: 'x'\ntest_a: AssertionError: é"}
    many = report(problems={f"test_{n}" * 999: "x\x1b[2J" * 9999 for n in range(3)}, error="é" * 9999)
    assert len(outcome(many)) > 0
    assert len(outcome(report(problems={f"test_{n}" * 999: "x\x1b[2J" * 9999 for n in range(30)}))) > 0


# -- how it is asked ---------------------------------------------------------------------------------

Answer = Callable[[Program], Result]


class Told:
    """A runner whose results are given, one after the other; keeps what it was asked to run."""

    def __init__(self, *answers: Answer | Result) -> None:
        self.answers: Iterator[Answer | Result] = iter(answers)
        self.programs: list[Program] = []
        self.alone = 0

    def run(self, program: Program, decided: Decided | None = None) -> Result:
        self.programs.append(program)
        answer = next(self.answers)
        return answer(program) if callable(answer) else answer

    def run_alone(self, program: Program, decided: Decided | None = None) -> Result:
        self.alone += 1
        return self.run(program)


def passes(program: Program) -> Result:
    assert program.suite
    return result(report(tests=1, problems={}) + program.suite.word.encode())


def scored(told: Told, scorer: SuiteScorer = SCORER, code: str = "def f(x):\n    return x") -> Judgement:
    scorer.learn(PROBLEM, [])
    return scorer.score(PROBLEM, code, None, told)


def test_what_is_run() -> None:
    told = Told(passes, passes)
    for _ in range(2):
        assert scored(told) == Judgement({"x": Outcome.PASSED})
    first, second = told.programs
    assert first.language == "some"
    assert first.files == {"main.py": "import os\ndef f(x):\n    pass\ndef f(x):\n    return x"}
    assert first.suite
    assert second.suite
    assert first.suite.tests == TESTS
    assert re.fullmatch("[0-9a-f]{32}", first.suite.word)
    assert first.suite.word != second.suite.word, "a word is used once"
    assert first.suite.word not in str(first.files) + first.suite.tests + str(first.args) + str(first.environment)
    assert (first.limits.cpu_s, first.limits.wall_s) == (241, 243)
    assert (first.calls, first.reports, first.script, first.stdin) == (None, False, False, "")


def test_calibrated_puts_the_prompt_before_the_program() -> None:
    told = Told(passes, passes)
    for calibrated in (True, False):
        scored(told, SuiteScorer("x", calibrated))
    code = "def f(x):\n    return x"
    assert [program.files["main.py"] for program in told.programs] == [PROBLEM.tests["before"] + code, code]


def test_evidence_says_which_check() -> None:
    found = scored(Told(result(report(problems={"test_a": "AssertionError"}))), SuiteScorer("other"))
    assert found == Judgement({"other": Outcome.WRONG}, {}, {"error": "test_a: AssertionError", "check": "other"})


def ended(ending: str, cpu_s: float, wall_s: float, over: int | None = None) -> Result:
    return Result(ending, 9 if ending != "exit" else 0, cpu_s, wall_s, over=over)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (ended("wall_limit", 0.01, 243), False),  # it waited: for the network, say
        (ended("wall_limit", 243 * WAITED - 1, 243), False),
        (ended("wall_limit", 243 * WAITED + 1, 243), True),  # it computed, on a busy machine
        (ended("wall_limit", 240, 243), True),
        (ended("exit", 242, 243, over=-1), True),  # just past its limit
        (ended("cpu_limit", 290, 243), False),
        (ended("exit", 200, 243), False),
        (ended("signal", 200, 243), False),
        (ended("memory_limit", 200, 243), False),
    ],
)
def test_who_computed_until_a_timeout_is_tried_once_more_alone(first: Result, again: bool) -> None:
    told = Told(first, passes)
    found = scored(told)
    assert told.alone == again
    assert len(told.programs) == 1 + again
    assert (found.checks["x"] is Outcome.PASSED) == again
    if first.timed_out and not again:
        assert found.checks["x"] is Outcome.TIMEOUT
    if again:
        assert told.programs[0] == told.programs[1]


def test_the_second_try_decides() -> None:
    slow = ended("wall_limit", 240, 243)
    assert scored(Told(slow, slow)).checks["x"] is Outcome.TIMEOUT
    assert scored(Told(slow, result(report(error="KeyError: 1")))).checks["x"] is Outcome.RUNTIME_ERROR


def test_there_is_nothing_to_learn() -> None:
    assert SCORER.reference_programs(PROBLEM) == []
    assert SCORER.checks == ("x",)


def test_every_field_of_the_rule_is_in_its_key() -> None:
    changes: list[dict[str, Any]] = [{}, {"check": "y"}, {"calibrated": False}, {"cpu_s": 1.0}, {"version": 2}]
    keys = [SuiteScorer(**{"check": "x", **change}).key() for change in changes]
    assert all(one != other for one, other in itertools.combinations(keys, 2))
    assert all(json.loads(json.dumps(key))["scorer"] == "suites" for key in keys)
