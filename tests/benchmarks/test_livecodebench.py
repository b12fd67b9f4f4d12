"""LiveCodeBench: windows and releases, the words of its prompts, a full row, small releases, and recorded answers."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from replaying import qceval

from qwencoder_eval.benchmark import Benchmark, profile
from qwencoder_eval.datasets.rows import Row
from qwencoder_eval.registry import discover
from qwencoder_eval.sandboxes.choose import backend
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.contest import tests_of as all_tests
from qwencoder_eval.types import Chat, Continue, Problem

DOCKER = pytest.param("docker", marks=pytest.mark.docker)
NAMESPACES = pytest.param("namespaces", marks=pytest.mark.namespaces)
REGISTRY = discover()
PROFILES = ("livecodebench", "livecodebench-base", "qwen-instruct", "qwen-reasoning", "samples")


def contest(part: str = "") -> Benchmark:
    found: Benchmark = REGISTRY.load(f"livecodebench:{part}" if part else "livecodebench")
    return found


MODULE = sys.modules[type(contest()).__module__]


# ---------------------------------------------------------------- windows and releases


@pytest.mark.parametrize(
    ("part", "release", "first", "last"),
    [
        ("", "v6", "", ""),
        ("v1", "v1", "", ""),
        ("v4", "v4", "", ""),
        ("2024-07..2024-09", "v6", "2024-07", "2024-09"),
        ("2024-07..", "v6", "2024-07", ""),
        ("2024-07-15..2024-08", "v6", "2024-07-15", "2024-08"),
        ("2024-07-01..2024-11-01", "v6", "2024-07-01", "2024-11-01"),
        ("v4:2024-07-01..", "v4", "2024-07-01", ""),
        ("v5:2024-10..2025-01", "v5", "2024-10", "2025-01"),
        ("2407-2409", "v4", "2024-07", "2024-09"),
        ("2407-2411", "v4", "2024-07-01", "2024-11-01"),
        ("2408-2411", "v4", "2024-08-01", "2024-11-01"),
    ],
)
def test_what_a_part_means(part: str, release: str, first: str, last: str) -> None:
    assert MODULE.window(part) == (release, first, last)
    entry = REGISTRY.entries["livecodebench"]
    assert entry.has(part)
    bench = contest(part)
    asked = {name: bench.asking[bench.profiles[name][0]] for name in PROFILES}
    assert {asking.rows.version for name, asking in asked.items() if name != "samples"} == {release}
    for asking in asked.values():
        assert asking.select is not None
        for day in ("2023-05-07T00:00:00", "2024-07-06T00:00:00", "2024-10-31T23:59:59", "2025-01-04T18:30:00"):
            assert asking.select({"contest_date": day}) is MODULE.within(first, last, {"contest_date": day})


@pytest.mark.parametrize(
    ("first", "last", "inside", "outside"),
    [
        ("", "", ["2023-05-07T00:00:00", "2025-01-04T18:30:00"], []),
        ("2024-07", "", ["2024-07-01T00:00:00", "2025-01-01T00:00:00"], ["2024-06-30T23:59:59"]),
        ("2024-07", "2024-09", ["2024-07-01T00:00:00", "2024-09-30T23:59:59"],
         ["2024-06-30T23:59:59", "2024-10-01T00:00:00"]),
        ("2024-07", "2024-07", ["2024-07-01T00:00:00", "2024-07-31T19:30:00"], ["2024-08-01T00:00:00"]),
        # A last day is in as far as its very beginning: upstream compares with midnight.
        ("2024-07-06", "2024-07-07", ["2024-07-06T00:00:00", "2024-07-06T19:30:00", "2024-07-07T00:00:00"],
         ["2024-07-05T23:59:59", "2024-07-07T00:00:01", "2024-07-07T07:30:00"]),
        ("2024-07-06", "2024-08", ["2024-07-06T00:00:00", "2024-08-31T23:59:59"], ["2024-07-05T00:00:00"]),
        ("2024-07", "2024-08-31", ["2024-07-01T00:00:00", "2024-08-31T00:00:00"], ["2024-08-31T07:30:00"]),
        ("2024-09", "2024-07", [], ["2024-08-01T00:00:00", "2024-07-01T00:00:00", "2024-09-01T00:00:00"]),
    ],
)  # fmt: skip
def test_which_days_are_within(first: str, last: str, inside: list[str], outside: list[str]) -> None:
    found = [day for day in (*inside, *outside) if MODULE.within(first, last, {"contest_date": day})]
    assert found == inside


@pytest.fixture(scope="module")
def statements(shared_data: Path) -> list[Row]:
    """880 problems, of May 2023 to January 2025: release v5."""
    path = shared_data / "livecodebench" / "problem_statements_no_tests.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("part", "count"),
    [
        ("", 880),
        ("2023-05..2025-01", 880),
        ("2024-07..2024-09", 156),
        ("2024-07-01..2024-11-01", 209),
        ("2024-08-01..2024-11-01", 166),
        ("2024-08..2024-11-01", 166),
        ("2024-08..2024-11", 223),
        ("2024-07..2024-11", 266),
        ("2407-2409", 156),
        ("2407-2411", 209),
        ("2408-2411", 166),
        ("2024-09-28..", 178),
        ("2025-01..", 7),
        ("2024-07-06..2024-07-06", 13),
        ("2025-02..", 0),
        ("2024-09..2024-07", 0),
    ],
)
def test_how_many_problems_are_within(statements: list[Row], part: str, count: int) -> None:
    """Of release v5; the published windows are of v4, which ends in September 2024 and has one problem less there."""
    _, first, last = MODULE.window(part)
    assert sum(MODULE.within(first, last, row) for row in statements) == count


def test_a_release_is_all_its_files_and_unseen() -> None:
    found = [MODULE.rows_of(f"v{number}") for number in range(1, 7)]
    assert [rows.file for rows in found] == ["livecodebench/test.jsonl"] * 6
    assert found[0].more == ()
    assert found[3].more == tuple(f"livecodebench/test{number}.jsonl" for number in (2, 3, 4))
    assert [rows.count for rows in found] == [400, 511, 612, 713, 880, 1055]
    assert all(rows.unseen and not rows.sha256 for rows in found)
    assert [len(rows.more) for rows in found] == list(range(6))


def test_rows_become_problems(statements: list[Row]) -> None:
    bench = contest()
    found = [bench.problem(row) for row in statements]
    assert len({problem.id for problem in found}) == 880
    assert Counter(problem.groups["difficulty"] for problem in found).keys() == {"easy", "medium", "hard"}
    assert sum(problem.groups["month"] == "2024-08" for problem in found) == 66
    assert {problem.tests["private"] for problem in found} == {"[]"}
    row = {**statements[0], "metadata": '{"func_name": "f"}', "public_test_cases": "[1]", "private_test_cases": "x"}
    assert bench.problem(row).tests == {"public": "[1]", "private": "x", "method": "f"}


# ---------------------------------------------------------------- what is asked, word for word

STDIN: Row = {
    "question_id": "q", "question_title": "Half", "question_content": "Print half of it.\n\nInput: $n$",
    "difficulty": "easy", "starter_code": "", "contest_date": "2024-07-06T00:00:00", "platform": "atcoder",
}  # fmt: skip
STARTER = "class Solution:\n    def half(self, n: int) -> int:\n        "
METHOD: Row = {**STDIN, "starter_code": STARTER}
EXPERT = (
    "You are an expert Python programmer. You will be given a question (problem specification) and will generate a "
    "correct Python program that matches the specification and passes all tests."
)
GIVEN = (
    "You will be given a question (problem specification) and will generate a correct Python program that matches the "
    "specification and passes all tests."
)
USE = (
    "You will use the following starter code to write the solution to the problem and enclose your code within "
    "delimiters."
)
READ = (
    "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly test on the sample "
    "inputs). Enclose your code within delimiters as follows."
)
ENSURE = (
    " Ensure that when the python program runs, it reads the inputs, runs the algorithm and writes output to STDOUT."
)


def asked(name: str, row: Row) -> Any:
    bench = contest()
    return bench.asking[bench.profiles[name][0]].prompt(bench.problem(row))


@pytest.mark.parametrize(
    ("row", "format_", "code"),
    [(STDIN, READ + ENSURE, "# YOUR CODE HERE"), (METHOD, USE, STARTER)],
    ids=["stdin", "method"],
)
@pytest.mark.parametrize("name", ["livecodebench", "samples"])
def test_what_a_chat_model_is_asked(name: str, row: Row, format_: str, code: str) -> None:
    prompt = asked(name, row)
    assert isinstance(prompt, Chat)
    system, user = prompt.messages
    assert (system.role, system.content) == ("system", EXPERT)
    assert user.role == "user"
    assert user.content == (
        "### Question:\nPrint half of it.\n\nInput: $n$\n\n"
        f"### Format: {format_}\n```python\n{code}\n```\n\n"
        "### Answer: (use the provided format with backticks)\n\n"
    )


def chatml(prompt: Chat) -> str:
    """As a ChatML template renders it, for the model to go on."""
    turns = [f"<|im_start|>{message.role}\n{message.content}<|im_end|>\n" for message in prompt.messages]
    return "".join(turns) + "<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("row", "format_", "code"), [(STDIN, READ, "# YOUR CODE HERE"), (METHOD, USE, STARTER)], ids=["stdin", "method"]
)
@pytest.mark.parametrize(
    ("name", "system", "task"),
    [
        (
            "qwen-instruct",
            "You are a helpful assistant.",
            f"{GIVEN} You will NOT return anything except for the program.",
        ),
        (
            "qwen-reasoning",
            "You are a helpful and harmless assistant. You are Qwen developed by Alibaba. "
            "You should think step-by-step.",
            GIVEN,
        ),
    ],
)
def test_what_qwens_models_are_asked(name: str, system: str, task: str, row: Row, format_: str, code: str) -> None:
    """The raw text of Qwen's own scripts: an empty line stands before the task, as no newline ends the role there."""
    prompt = asked(name, row)
    assert isinstance(prompt, Chat)
    assert chatml(prompt) == (
        f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n\n{task}\n\n"
        f"Question: Print half of it.\n\nInput: $n$\n\n{format_}\n```python\n{code}\n```\n\n<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


@pytest.mark.parametrize(
    ("row", "begin", "tail", "digest"),
    [
        (
            {**STDIN, "question_content": "Q"},
            "### Question\nYou have $n$ gifts and you want to give all of them to children.",
            "    minimum_moves(t, test_cases)\n\n\nmain()\n\n\n### Question\nQ\n\n### Answer\n\n",
            "58b8e73f9f4f4a907717eb5c50eff75defa30291b7aa04741976e7249be601b9",
        ),
        (
            {**METHOD, "question_content": "Q", "starter_code": "S"},
            "### Question\nYou are given a 0-indexed array of positive integers nums.",
            "== 3\n        return ans\n\n### Question\nQ\n\n### Starter Code\nS\n\n### Answer\n\n",
            "ee205edfb0b738fb5985d25267e07b5c71610cb37086acbe59644950bfd8b7d6",
        ),
    ],
    ids=["stdin", "method"],
)
def test_what_a_base_model_continues(row: Row, begin: str, tail: str, digest: str) -> None:
    """The digest is that of what upstream's own function gives."""
    prompt = asked("livecodebench-base", row)
    assert isinstance(prompt, Continue)
    assert prompt.text.startswith(begin)
    assert prompt.text.endswith(tail)
    assert prompt.text.count("### Question") == prompt.text.count("### Answer") == 2
    assert prompt.text.count("### Starter Code") == (2 if row["starter_code"] else 0)
    assert hashlib.sha256(prompt.text.encode()).hexdigest() == digest


def test_a_question_with_at_signs_and_braces_stays_as_it_is() -> None:
    text = "@QUESTION@ {starter} %s \\n @STARTER@ ```python\nx\n```"
    for name in PROFILES:
        prompt = asked(name, {**STDIN, "question_content": text})
        assert (prompt.text if isinstance(prompt, Continue) else prompt.messages[1].content).count(text) == 1


def test_how_each_profile_samples() -> None:
    bench = contest()
    sampling = {name: bench.asking[bench.profiles[name][0]].sampling for name in PROFILES}
    for name in PROFILES:
        assert sampling[name].temperature == 0.2
        assert sampling[name].top_p == 0.95
    assert [sampling[name].n for name in PROFILES] == [10, 10, 10, 1, 10]
    assert [sampling[name].max_tokens for name in PROFILES] == [2000, 2000, 1200, 32768, 2000]
    assert sampling["livecodebench"].stop == ("###",)
    assert sampling["qwen-reasoning"].stop == ("<|im_end|>",)


# ---------------------------------------------------------------- a row as it is on the hub, with all its tests

SHORT_SORT = """import sys
def main():
    lines = sys.stdin.read().split()
    for word in lines[1:]:
        print("YES" if sum(a != b for a, b in zip(word, "abc")) <= 2 else "NO")

if __name__ == "__main__":
    main()
"""
ANSWERS = {
    "right": (SHORT_SORT, "passed"),
    "right in its own way": (
        "for _ in range(int(input())):\n    print('NO' if input() in ('bca', 'cab') else 'YES')", "passed"),
    "the samples alone": ("print('YES\\nYES\\nYES\\nNO\\nNO\\nYES')", "wrong"),
    "always yes": ("print('YES\\n' * int(input()))", "wrong"),
    "other letters": (SHORT_SORT.replace("YES", "Yes"), "wrong"),
    "one test only": (SHORT_SORT.replace("lines[1:]", "lines[1:7]").replace('"NO"', '"YES"'), "wrong"),
    "fails at the end": (SHORT_SORT + "    1/0\n", "runtime_error"),
    "no program": ("for _ in", "compile_error"),
}  # fmt: skip


@pytest.fixture
def full_row(shared_data: Path) -> Row:
    row: Row = json.loads((shared_data / "livecodebench" / "full_row_1873_A.jsonl").read_text())
    return row


@pytest.mark.parametrize("sandbox", [DOCKER, NAMESPACES], indirect=True)
def test_a_full_row_is_scored_with_all_its_tests(sandbox: str, full_row: Row) -> None:
    bench = contest()
    problem = bench.problem(full_row)
    assert [len(test.output.split()) for test in all_tests(problem)] == [6, 1, 3, 5, 6]
    with Pool(backend(sandbox), 1) as pool:
        for rule in ("decimals", "first-block", "last-block"):
            scorer = bench.scoring[rule].scorer
            for name, (code, expected) in ANSWERS.items():
                judgement = scorer.score(problem, code, scorer.learn(problem, []), pool)
                assert judgement.checks == {"livecodebench": expected}, (rule, name)


# ---------------------------------------------------------------- recorded answers

# Their derived sample has in words that there is no output; the statement's sample is empty.
IN_PROSE = {"abc312_b", "abc343_b", "abc344_a", "abc367_c", "abc372_a"}


@pytest.mark.slow  # 880 answers, 488 of them run, and a few that never end
@pytest.mark.parametrize("sandbox", [DOCKER, NAMESPACES], indirect=True)
def test_what_was_graded_correct_passes_its_samples(
    sandbox: str, recorded: Path, shared_data: Path, tmp_path: Path
) -> None:
    samples = recorded / "o1-mini" / "Scenario.codegeneration_1_0.2_eval_all.json.gz"
    report = qceval(
        "score", "--bench", "livecodebench", "--profile", "samples", "--samples", str(samples), "--sandbox", sandbox,
        "--out", str(tmp_path), "--no-cache",
    )  # fmt: skip
    lines = (Path(report["run"]) / "verdicts.jsonl").read_text().splitlines()
    passed = {row["problem"]: row["checks"]["livecodebench"] == "passed" for row in map(json.loads, lines)}
    assert len(passed) == len(lines) == report["samples"] == 488
    assert report["notes"] == ["left out: 392 tasks of other dataset versions"]
    rows = json.loads(gzip.decompress(samples.read_bytes()))
    correct = {row["question_id"] for row in rows if all(row["graded_list"])} & passed.keys()
    assert len(correct) == 308
    assert {name for name in correct if not passed[name]} == IN_PROSE
    assert report["outcomes"]["livecodebench"]["no_code"] == sum(
        not row["code_list"][0] for row in rows if row["question_id"] in passed
    )


def test_the_samples_are_pinned_and_joined(shared_data: Path) -> None:
    chosen = profile(contest(), "samples")
    problems = chosen.problems(offline=True)
    assert len(problems) == 488
    assert all(problem.tests["public"] != "[]" and problem.tests["private"] == "[]" for problem in problems)
    assert not [problem for problem in problems if problem.tests["method"]]
    assert len(chosen.other_versions()) == 880
    assert {problem.id for problem in problems} >= IN_PROSE


def test_prose_in_a_sample_is_what_those_five_have(shared_data: Path) -> None:
    problems: dict[str, Problem] = {each.id: each for each in profile(contest(), "samples").problems(offline=True)}
    for name in IN_PROSE:
        assert any(re.search(r"[a-z]{3,}.*\.", test.output) for test in all_tests(problems[name])), name
