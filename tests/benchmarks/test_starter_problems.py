"""The starter benchmark keeps its promises: references that work, wrong solutions that are wrong."""

from __future__ import annotations

import copy
import doctest
import json
import math
import signal
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "starter.toml"
PROBLEMS: list[dict[str, Any]] = tomllib.loads(PATH.read_text(encoding="utf-8"))["problem"]
KEYS = {"task_id", "entry_point", "prompt", "canonical_solution", "inputs", "atol", "wrong"}
SECONDS = 5.0

each_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=[p["task_id"] for p in PROBLEMS])


class Overtime(BaseException):
    """A program ran too long. Not an Exception, so that it never counts as a mere wrong answer."""


@contextmanager
def time_limit(seconds: float = SECONDS) -> Iterator[None]:
    def stop(_signum: int, _frame: FrameType | None) -> None:
        raise Overtime

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def load(problem: dict[str, Any], body: str) -> Callable[..., Any]:
    namespace: dict[str, Any] = {"__name__": "solution"}
    exec(compile(problem["prompt"] + body, problem["task_id"], "exec"), namespace)
    function = namespace[problem["entry_point"]]
    assert callable(function)
    return function  # type: ignore[no-any-return]


def argument_lists(problem: dict[str, Any]) -> list[list[Any]]:
    inputs = json.loads(problem["inputs"])
    assert isinstance(inputs, list)
    assert all(isinstance(arguments, list) for arguments in inputs)
    return inputs


def equal(left: Any, right: Any, atol: float) -> bool:
    """Equality as a lenient scorer sees it: floats within atol, lists and tuples alike."""
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(equal(a, b, atol) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key], atol) for key in left)
    if atol and isinstance(left, int | float) and isinstance(right, int | float):
        return math.isclose(left, right, rel_tol=0.0, abs_tol=atol)
    return bool(left == right)


def test_ids_are_unique_and_consecutive() -> None:
    assert len(PROBLEMS) >= 20
    assert [problem["task_id"] for problem in PROBLEMS] == [f"starter/{i}" for i in range(len(PROBLEMS))]


def test_entry_points_are_unique() -> None:
    names = [problem["entry_point"] for problem in PROBLEMS]
    assert len(set(names)) == len(names)


@each_problem
def test_form(problem: dict[str, Any]) -> None:
    assert set(problem) == KEYS
    assert problem["prompt"].endswith('"""\n')
    assert f"def {problem['entry_point']}(" in problem["prompt"]
    bodies = [problem["canonical_solution"], *problem["wrong"]]
    assert len(set(bodies)) == 3
    assert all(body.startswith("    ") and body.endswith("\n") for body in bodies)
    assert isinstance(problem["atol"], float)
    inputs = argument_lists(problem)
    assert 12 <= len(inputs) <= 25
    assert len({json.dumps(arguments) for arguments in inputs}) == len(inputs), "an input occurs twice"


@each_problem
def test_docstring_examples(problem: dict[str, Any]) -> None:
    function = load(problem, problem["canonical_solution"])
    name = problem["entry_point"]
    example = doctest.DocTestParser().get_doctest(function.__doc__ or "", {name: function}, name, None, None)
    assert example.examples
    report: list[str] = []
    with time_limit():
        results = doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    assert results.failed == 0, "".join(report)


@each_problem
def test_reference_runs(problem: dict[str, Any]) -> None:
    function = load(problem, problem["canonical_solution"])
    again = load(problem, problem["canonical_solution"])
    for arguments in argument_lists(problem):
        given = copy.deepcopy(arguments)
        with time_limit():
            first, second, third = function(*given), function(*given), again(*copy.deepcopy(arguments))
        assert given == arguments, "the reference changes its arguments"
        assert repr(first) == repr(second)
        assert first == third


@each_problem
@pytest.mark.parametrize("which", [0, 1])
def test_wrong_solution_differs(problem: dict[str, Any], which: int) -> None:
    reference = load(problem, problem["canonical_solution"])
    candidate = load(problem, problem["wrong"][which])
    inputs = argument_lists(problem)
    differing = raised = 0
    for arguments in inputs:
        expected = reference(*copy.deepcopy(arguments))
        try:
            with time_limit():
                found = candidate(*copy.deepcopy(arguments))
        except Exception:
            raised += 1
            continue
        differing += not equal(found, expected, problem["atol"])
    assert differing + raised > 0, "a wrong solution passes all inputs"
    assert raised <= len(inputs) // 2, "a wrong solution should mostly run"
