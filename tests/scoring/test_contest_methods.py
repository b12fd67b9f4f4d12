"""Contest problems whose tests call a method: arguments and values as JSON, compared on the host."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from contests import BOTH, judged, outcome, solution
from hypothesis import example, given
from hypothesis import strategies as st
from suites import FakeRunner, answers_of, ended

from qwencoder_eval.errors import ReferenceFailsError
from qwencoder_eval.sandboxes.none import NoneBackend
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.contest import KEPT_CHARS, ContestScorer, as_qwen, as_upstream


@pytest.fixture(scope="module")
def runner() -> Iterator[Pool]:
    with Pool(NoneBackend(), 1) as opened:
        yield opened


@BOTH
@pytest.mark.parametrize(
    ("code", "tests", "expected"),
    [
        (solution("return [x, x]"), [("1", "[1, 1]"), ("2", "[2,2]")], "passed"),
        (solution("return (x, x)"), [("1", "[1, 1]")], "passed"),
        (solution("return [(x,)]"), [("1", "[[1]]"), ("2", "[[3]]")], "wrong"),
        (solution("return [x]"), [("1", "[1]"), ("2", "[1]")], "wrong"),
        (solution("return x + y", parameters="x, y"), [("1\n2", "3"), ("[1]\n[2]", "[1, 2]")], "passed"),
        (solution("return x + x"), [('"a"', '"aa"')], "passed"),
        (solution("return x / 2"), [("1", "0.5"), ("3", "1.50"), ("4", "2")], "passed"),
        (solution("return x / 3"), [("1", "0.33333")], "wrong"),
        (solution("return x == 1"), [("1", "true"), ("2", "false"), ("1", "1")], "passed"),
        (solution("pass"), [("1", "null")], "passed"),
        (solution("pass"), [("1", "1")], "wrong"),
        (solution("return {'a': x}"), [("1", '{"a": 1}')], "passed"),
        (solution("return {x}"), [("1", "[1]")], "wrong"),
        (solution("yield x"), [("1", "[1]")], "wrong"),
        (solution("return float('nan')"), [("1", "NaN")], "wrong"),
        (solution("self.n = getattr(self, 'n', 0) + 1; return self.n"), [("1", "1"), ("1", "2")], "passed"),
        (solution("x.append(1); return x"), [("[]", "[1]"), ("[]", "[1]")], "passed"),
        (solution("return x and 1 + self.f(x - 1)"), [("40000", "40000")], "passed"),
        (solution("return x", parameters="x: List[int], y: Optional[int] = None"), [("1", "1")], "passed"),
        (solution("print('x' * 1_000_000); return x"), [("1", "1")], "passed"),
        ("def f(x): return x", [("1", "1")], "passed"),
        (solution("return x") + "if __name__ == '__main__': print(Solution().f(int(input())))", [("1", "1")], "passed"),
        # What is not there.
        (solution("return x", name="g"), [("1", "1")], "runtime_error"),
        ("x = 1", [("1", "1")], "runtime_error"),
        ("# class Solution\ndef f(x): return x", [("1", "1")], "runtime_error"),
        ("class Solution:\n    def __init__(self, a): pass", [("1", "1")], "runtime_error"),
        (solution("return ListNode(x)"), [("1", "[1]")], "runtime_error"),
        # What goes wrong.
        (solution("return x", parameters="x, y"), [("1", "1")], "runtime_error"),
        (solution("return 1 / (x - 2)"), [("3", "1"), ("2", "1")], "runtime_error"),
        ("1/0\n" + solution("return x"), [("1", "1")], "runtime_error"),
        ("exit()\n" + solution("return x"), [("1", "1")], "runtime_error"),
        (solution("sys.exit(0)"), [("1", "1")], "runtime_error"),
        (solution("import os; os._exit(0)"), [("1", "1")], "runtime_error"),
        (solution("return 1 if x == 1 else __import__('os')._exit(0)"), [("1", "1"), ("2", "1")], "runtime_error"),
        (solution("raise MemoryError"), [("1", "1")], "out_of_memory"),
        (solution("return ("), [("1", "1")], "compile_error"),
        ("from __future__ import annotations\n" + solution("return x"), [("1", "1")], "compile_error"),
        ("x = '\0'\n" + solution("return x"), [("1", "1")], "compile_error"),
        # Objects that would be equal to everything.
        (solution("return type('E', (), {'__eq__': lambda s, o: True})()"), [("1", "1")], "wrong"),
        (solution("return type('E', (list,), {'__eq__': lambda s, o: True})([2])"), [("1", "[1]")], "wrong"),
        (solution("return type('E', (int,), {'__eq__': lambda s, o: True})(2)"), [("1", "1")], "wrong"),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_methods(runner: Any, scorer: ContestScorer, code: str, tests: list[tuple[str, str]], expected: str) -> None:
    assert outcome(runner, code, tests, scorer, method="f") == expected


def test_methods_that_never_end(runner: Any) -> None:
    short = ContestScorer("contest", cpu_s=0.3)
    for body in ("while True: pass", "while x == 2: pass\n        return 1"):
        assert outcome(runner, solution(body), [("1", "1"), ("2", "2")], short, method="f") == "timeout"


def test_every_call_has_its_time_and_all_of_them_a_budget() -> None:
    for all_s, budget in ((0.0, (2.0 + 1) * 3 + 5), (60.0, 60.0)):
        fake = FakeRunner(ended(answers_of([1, 2, 3])))
        scorer = ContestScorer("contest", cpu_s=2.0, all_s=all_s)
        assert outcome(fake, "def f(x): return x", [("1", "1"), ("2", "2"), ("3", "3")], scorer, method="f") == "passed"
        ((_, program),) = fake.asked
        assert program.calls
        assert not program.script
        assert (program.limits.cpu_s, list(program.calls.cpu_s)) == (budget, [2.0, 2.0, 2.0])
        assert json.loads(program.calls.inputs) == [[1], [2], [3]]


@pytest.mark.parametrize("digits", [4_000, 10_000, 40_000])
def test_great_numbers(runner: Any, digits: int) -> None:
    """Upstream lets numbers of up to 50,000 digits be written out; the copy in Qwen3-Coder knows no limit to lift."""
    wanted = "1" + "0" * digits
    assert outcome(runner, "print(10 ** int(input()))", [(str(digits), wanted)] * 2) == "passed"
    assert outcome(runner, "print(10 ** int(input()) + 1)", [(str(digits), wanted)] * 2) == "wrong"
    assert outcome(runner, "print(int(input()) // 10)", [(wanted + "0", wanted)] * 2) == "passed"
    code = solution("return str(10 ** x)")
    assert outcome(runner, code, [(str(digits), json.dumps(wanted))], method="f") == "passed"


def test_great_numbers_of_a_method(runner: Any) -> None:
    tests = [("4400", "1" + "0" * 4400)]
    assert outcome(runner, solution("return 10 ** x"), tests, method="f") == "passed"


@pytest.mark.parametrize("count", [1_000, 100_000])
def test_long_answers_of_a_method(runner: Any, count: int) -> None:
    tests = [(str(count), json.dumps(list(range(count))))]
    assert outcome(runner, solution("return list(range(x))"), tests, method="f") == "passed"
    assert outcome(runner, solution("return list(range(1, x + 1))"), tests, method="f") == "wrong"


def test_longer_answers_of_a_method(runner: Any) -> None:
    tests = [("300000", json.dumps(list(range(300_000))))]
    assert outcome(runner, solution("return list(range(x))"), tests, method="f") == "passed"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from([0.5, 1.0, "a", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.just("k"), inner),
    max_leaves=6,
)


def qwen_restated(output: Any, expected: Any) -> bool:
    output = list(output) if isinstance(output, tuple) else output
    if output == expected:
        return True
    if not isinstance(expected, list) or not expected:
        return False
    if output == expected[0]:
        return True
    if isinstance(output, list) and output and isinstance(output[0], tuple):
        try:
            return bool([list(item) for item in output] == expected[0])
        except TypeError:
            return False
    return False


@given(VALUES, VALUES)
@example((1, 2), [1, 2])
@example([(1, 2)], [[[1, 2]]])
@example([(1,), 3], [[[1], 3]])
@example([(1,), "a"], [[[1], ["a"]]])
@example([], [[]])
@example(1, [True, 2])
def test_values_of_methods_by_the_rules_themselves(output: Any, expected: Any) -> None:
    plain = json.loads(json.dumps(expected))  # what JSON gives has no tuples
    assert as_qwen(output, plain) is qwen_restated(output, plain)
    assert as_upstream(output, plain) is bool((list(output) if isinstance(output, tuple) else output) == plain)
    assert as_qwen(output, plain) or not as_upstream(output, plain)


@pytest.mark.parametrize(
    ("output", "expected", "upstream", "qwen"),
    [
        ([1, 2], [1, 2], True, True),
        ((1, 2), [1, 2], True, True),
        (1, [1], False, True),
        (1, [1, 2], False, True),
        (2, [1, 2], False, False),
        ([1, 2], [[1, 2]], False, True),
        ((1, 2), [[1, 2]], False, True),
        ([(1, 2)], [[1, 2]], False, False),
        ([(1, 2)], [[[1, 2]]], False, True),
        ([[1, 2]], [[[1, 2]]], False, True),
        ("a", "ab", False, False),
        ([], [], True, True),
        (None, [], False, False),
        (1, {"0": 1}, False, False),
    ],
)
def test_values_of_methods(output: Any, expected: Any, upstream: bool, qwen: bool) -> None:
    assert as_upstream(output, expected) is upstream
    assert as_qwen(output, expected) is qwen


# ---------------------------------------------------------------- what is told, and what is no test


def test_evidence_of_a_method_keeps_both_ends_too() -> None:
    value, other = list(range(5000)), list(range(5001))
    found = judged(FakeRunner(ended(answers_of([other]))), "def f(x): return x", [("1", json.dumps(value))], method="f")
    assert found.evidence["input"] == "[1]"
    assert all(len(found.evidence[key]) <= KEPT_CHARS + 18 for key in ("expected", "got"))


@pytest.mark.parametrize(
    "test", [("", "1"), ("1,2", "1"), ("x", "1"), ("1\n", "1"), ("1", ""), ("1", "1 2"), ("1", "[")]
)
def test_a_test_of_a_method_that_is_no_json(test: tuple[str, str]) -> None:
    with pytest.raises(ReferenceFailsError, match=r"^a test of a method that is not JSON \("):
        judged(FakeRunner(), "def f(x): return x", [("1", "1"), test], method="f")
