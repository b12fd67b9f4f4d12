"""DeepSeek's LeetCode rows: their tests as asserts, their prompts, and a table of answers that has to be whole."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from replaying import qceval

from qwencoder_eval.benchmark import Benchmark, profile
from qwencoder_eval.datasets.rows import Row, read
from qwencoder_eval.extraction.deepseek import answered_program
from qwencoder_eval.registry import discover
from qwencoder_eval.sandboxes.none import NoneBackend
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.types import Chat, Completion, Problem

DOCKER = pytest.param("docker", marks=pytest.mark.docker)
NAMESPACES = pytest.param("namespaces", marks=pytest.mark.namespaces)
BENCH: Benchmark = discover().load("deepseek-leetcode")
SCORER = BENCH.scoring["asserts"].scorer


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> dict[str, Row]:
    found = read(shared_data / "deepseek_leetcode" / "20240121-Jul.jsonl.gz")
    return {str(row["task_id"]): row for row in found}


@pytest.fixture(scope="module")
def problems(shared_data: Path) -> list[Problem]:
    return profile(BENCH, None).problems(offline=True)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(NoneBackend(), 1) as opened:
        yield opened


def outcome(pool: Pool, problem: Problem, answer: str) -> str:
    code = answered_program(problem, Completion(answer, "whole"))
    assert code
    return SCORER.score(problem, code, SCORER.learn(problem, []), pool).checks["deepseek-leetcode"].value


def test_every_row_has_a_hundred_asserts(problems: list[Problem], rows: dict[str, Row]) -> None:
    assert len(problems) == len(rows) == 180
    for problem in problems:
        known = SCORER.learn(problem, [])
        assert len(known) == len(problem.tests["asserts"]) == rows[problem.id]["test"].count("\nassert ") == 100
    assert Counter(problem.groups["difficulty"] for problem in problems) == {"easy": 45, "medium": 91, "hard": 44}


def test_asserts_are_those_of_the_row(problems: list[Problem], rows: dict[str, Row]) -> None:
    """Each call has its own input in it, and nothing of the row's test is lost or run twice."""
    for problem in problems[::4]:
        whole = ast.parse(rows[problem.id]["test"]).body
        told = [each for each in whole if isinstance(each, ast.Assert)]
        for statement, (call, value) in zip(told, SCORER.learn(problem, []), strict=True):
            assert isinstance(statement.test, ast.Compare)
            assert ast.literal_eval(statement.test.comparators[0]) == value
            assert call.count("test_input") == 0
        setup = ast.unparse(ast.parse(problem.tests["setup"]))
        assert setup == ast.unparse(whole[: len(whole) - 2 * len(told)])
        assert "my_solution = Solution()" in setup


def test_what_is_asked(problems: list[Problem], rows: dict[str, Row]) -> None:
    outline = "\nYou need first write a step-by-step outline and then write the code."
    for problem in problems:
        text = rows[problem.id]["prompt_sft"]
        for name, wanted in (("deepseek", text), ("deepseek-cot", text + outline)):
            prompt = profile(BENCH, name).prompt(problem)
            assert isinstance(prompt, Chat)
            assert [(message.role, message.content) for message in prompt.messages] == [("user", wanted)]
    assert profile(BENCH, None).name == "deepseek"
    for asking in BENCH.asking.values():
        assert (asking.sampling.n, asking.sampling.temperature, asking.sampling.max_tokens) == (1, 0.0, 1024)


def test_a_stub_is_the_code_of_the_prompt(problems: list[Problem], rows: dict[str, Row]) -> None:
    for problem in problems:
        assert f"```python\n{problem.stub}\n```" in rows[problem.id]["prompt_sft"]
        assert "class Solution" in problem.stub
        ast.parse(problem.stub + "pass")


def test_the_table_passes_and_one_wrong_answer_fails(pool: Pool, problems: list[Problem]) -> None:
    for problem in problems[::30]:
        assert problem.reference
        assert outcome(pool, problem, problem.reference) == "passed"
        lines = problem.reference.split("\n")
        for at in (0, 50, 99):  # any of the hundred
            line = [number for number, text in enumerate(lines) if text.startswith("answers[repr(")][at]
            changed = [*lines[:line], lines[line].rpartition(" = ")[0] + " = 'another'", *lines[line + 1 :]]
            assert outcome(pool, problem, "\n".join(changed)) == "wrong", (problem.id, at)


def test_tables_hold_each_answer_once_or_the_same_one(problems: list[Problem]) -> None:
    """Two tests with one input and two answers would let no table pass."""
    for problem in problems:
        assert problem.reference
        lines = [line for line in problem.reference.split("\n") if line.startswith("answers[repr(")]
        assert len(lines) == 100
        inputs: dict[str, set[str]] = {}
        for line in lines:
            given, _, answer = line.rpartition(" = ")
            inputs.setdefault(given, set()).add(answer)
        assert all(len(answers) == 1 for answers in inputs.values()), problem.id


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("class Solution:\n    def METHOD(self, *given, **named):\n        return None", "wrong"),
        ("class Solution:\n    pass", "runtime_error"),
        ("x = 1", "runtime_error"),
        ("class Solution:\n    def METHOD(self", "compile_error"),
        ("class Solution:\n    def METHOD(self, **given):\n        import os; os._exit(0)", "runtime_error"),
        ("class Solution:\n    def METHOD(self, **given):\n"
         "        return type('E', (), {'__eq__': lambda s, o: True})()", "wrong"),
        ("class Solution:\n    def METHOD(self, **given):\n        raise SystemExit(0)", "runtime_error"),
        ("import sys\nsys.exit(0)", "runtime_error"),
    ],
)  # fmt: skip
def test_answers_that_solve_nothing(pool: Pool, problems: list[Problem], answer: str, expected: str) -> None:
    for problem in problems[7::60]:
        method = problem.tests["asserts"][0].split("my_solution.")[1].split("(")[0]
        assert outcome(pool, problem, f"```python\n{answer.replace('METHOD', method)}\n```") == expected, problem.id


def test_what_the_published_evaluation_imports_is_there(pool: Pool, problems: list[Problem]) -> None:
    """Before the answer and not behind it: signatures name ``List`` and the like."""
    problem = replace(problems[0], tests={**problems[0].tests, "asserts": ["assert my_solution.f() == 3"]})
    names = "math re sys copy datetime itertools collections heapq functools hashlib numpy np string List Counter cache"
    code = f"class Solution:\n    def f(self, x: Optional[List[int]] = ({', '.join(names.split())})): return 3"
    assert outcome(pool, problem, f"```python\n{code}\n```") == "passed"
    assert outcome(pool, problem, f"```python\n{code.replace('math', 'nothing')}\n```") == "runtime_error"


@pytest.mark.slow  # 18,000 asserts
@pytest.mark.parametrize("sandbox", [DOCKER, NAMESPACES], indirect=True)
def test_every_reference_passes(sandbox: str, shared_data: Path) -> None:
    report = qceval("check", "--bench", "deepseek-leetcode", "--sandbox", sandbox)
    assert (report["exceptions"], report["golden"]) == ([], [])
    assert report["outcomes"] == {"deepseek-leetcode": {"passed": 180}}


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", [NAMESPACES], indirect=True)
def test_samples_through_the_command_line(
    sandbox: str, problems: list[Problem], tmp_path: Path, shared_data: Path
) -> None:
    """A right answer to one problem, the stub alone to the others."""
    lines: list[dict[str, Any]] = [
        {"task_id": problem.id, "solution": f"```python\n{problem.stub}\n```"} for problem in problems
    ]
    lines[0]["solution"] = problems[0].reference
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = qceval(
        "score", "--bench", "deepseek-leetcode", "--samples", str(tmp_path / "m.jsonl"), "--sandbox", sandbox,
        "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert report["outcomes"] == {"deepseek-leetcode": {"passed": 1, "compile_error": 179}}
