"""BigCodeBench: what is asked, and recorded programs with the verdicts that were published for them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from replaying import qceval

from qwencoder_eval.benchmark import Benchmark, profile
from qwencoder_eval.registry import discover
from qwencoder_eval.sandboxes.choose import backend
from qwencoder_eval.stream.golden import failing
from qwencoder_eval.types import Chat, Continue, Message, Problem, Prompt, Sampling

DOCKER = pytest.param("docker", marks=pytest.mark.docker)
COMPLETE = ("bigcodebench-complete-full", "bigcodebench-complete-hard")
INSTRUCT = ("bigcodebench-instruct-full", "bigcodebench-instruct-hard")
BENCHES = (*COMPLETE, *INSTRUCT)

# -- what is asked -----------------------------------------------------------------------------------

COMPLETE_PROMPT = '''import subprocess
import time
import threading


def task_func(file_list):
    """
    Run files from list of files as subprocesses at the same time.
    
    Parameters:
    - file_list (list of str): List of files name to run.

    Returns:
    list: The exit codes of the subprocesses.

    Requirements:
    - subprocess
    - time
    - threading

    Example:
    >>> task_func(["task_func_data/file1.bat", "task_func_data/file2.bat"])
    [0, 0]
    """
'''  # noqa: W293
INSTRUCT_PROMPT = """Run files from list of files as subprocesses at the same time.
The function should output with:
    list: The exit codes of the subprocesses.
You should write self-contained code starting with:
```
import subprocess
import time
import threading
def task_func(file_list):
```"""
CODE_PROMPT = "import subprocess\nimport time\nimport threading\ndef task_func(file_list):\n"
ROW = {
    "task_id": "BigCodeBench/324", "entry_point": "task_func", "libs": "['subprocess', 'threading', 'time']",
    "complete_prompt": COMPLETE_PROMPT, "instruct_prompt": INSTRUCT_PROMPT, "code_prompt": CODE_PROMPT,
    "canonical_solution": "    return [0 for _ in file_list]", "test": "import unittest\n",
}  # fmt: skip

ASKED = "Please provide a self-contained Python script that solves the following problem in a markdown code block:\n"
PREFILL = Message(
    "assistant",
    "Below is a Python script with a self-contained function that solves the problem and passes corresponding tests:\n"
    "```python\n",
)


def user(text: str) -> Chat:
    return Chat((Message("user", ASKED + text), PREFILL))


FENCED = user(f"```\n{COMPLETE_PROMPT.strip()}\n```\n")
PLAIN = user(f"{INSTRUCT_PROMPT}\n")
TWICE_FENCED = user(f"```\n{INSTRUCT_PROMPT}\n```\n")  # Qwen's copy: the instruction ends with a fence of its own
CONTINUED = Continue(COMPLETE_PROMPT)
OF_COMPLETE: dict[str, Prompt] = {
    "bigcodebench": FENCED, "bigcodebench-uncalibrated": FENCED, "bigcodebench-base": CONTINUED, "qwen": CONTINUED,
    "qwen-instruct": FENCED,
}  # fmt: skip
OF_INSTRUCT: dict[str, Prompt] = {
    "bigcodebench": PLAIN, "bigcodebench-uncalibrated": PLAIN, "qwen-instruct": TWICE_FENCED,
}  # fmt: skip
EVERYWHERE = ("<|endoftext|>", "<|endofmask|>", "</s>", "\nif __name__", "\ndef main(", "\nprint(")
BEHIND = ("\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert ")


def benchmark(name: str) -> Benchmark:
    loaded: Benchmark = discover().load(name)
    return loaded


@pytest.mark.parametrize("name", BENCHES)
def test_every_profile_asks_as_upstream_does(name: str) -> None:
    bench = benchmark(name)
    problem = bench.problem(ROW)
    prompts = OF_COMPLETE if name in COMPLETE else OF_INSTRUCT
    assert set(bench.profiles) == set(prompts)
    for each, prompt in prompts.items():
        chosen = profile(bench, each)
        assert chosen.prompt(problem) == prompt, each
        behind = (*EVERYWHERE, *BEHIND) if isinstance(prompt, Continue) else (*EVERYWHERE, "\n```\n")
        assert chosen.asking.sampling == Sampling(n=1, temperature=0.0, max_tokens=1280, stop=behind)
    assert next(iter(bench.profiles)) == "bigcodebench"


@pytest.mark.parametrize("name", BENCHES)
def test_how_every_profile_scores(name: str) -> None:
    bench = benchmark(name)
    keys = {each: profile(bench, each).scoring.key() for each in bench.profiles}
    calibrated = {each: (key["calibrated"], "calibrate=True" in key["extract"]) for each, key in keys.items()}
    assert calibrated == {each: (each != "bigcodebench-uncalibrated",) * 2 for each in bench.profiles}
    assert {each for each, key in keys.items() if "empty='nothing'" in key["extract"]} == {
        each for each in bench.profiles if each.startswith("qwen")
    }
    assert {profile(bench, each).scoring.scorer.checks for each in bench.profiles} == {(name,)}


def test_a_problem_is_what_its_row_says() -> None:
    problem = benchmark(COMPLETE[0]).problem(ROW)
    assert (problem.id, problem.language) == ("BigCodeBench/324", "python-bigcodebench")
    assert (problem.stub, problem.reference) == (COMPLETE_PROMPT, "    return [0 for _ in file_list]")
    assert problem.tests == {"before": CODE_PROMPT + "\n    pass\n", "tests": "import unittest\n"}
    assert {benchmark(name).problem(ROW).tests["tests"] for name in BENCHES} == {"import unittest\n"}


def test_the_row_above_is_that_of_the_dataset(shared_data: Path) -> None:
    (row,) = [row for row in hard_rows(shared_data) if row["task_id"] == ROW["task_id"]]
    for key in ("complete_prompt", "instruct_prompt", "code_prompt", "entry_point"):
        assert row[key] == ROW[key]


def hard_rows(shared_data: Path) -> list[dict[str, Any]]:
    lines = (shared_data / "bigcodebench" / "bigcodebench_hard.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_rows_of_the_pinned_files(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading them checks their SHA-256 and their number."""
    monkeypatch.setenv("QCEVAL_DATA", str(shared_data))
    problems: dict[str, list[Problem]] = {}
    for name in BENCHES:
        bench = benchmark(name)
        problems[name] = profile(bench, None).problems(offline=True)
        assert len(problems[name]) == (148 if name.endswith("hard") else 1140)
        assert all({"complete_prompt", "instruct_prompt"} <= set(problem.fields) for problem in problems[name])
        assert len({rows.asking.rows for rows in (profile(bench, each) for each in bench.profiles)}) == 1
    full, hard = problems[COMPLETE[0]], problems[COMPLETE[1]]
    by_id = {problem.id: problem for problem in full}
    assert all(by_id[problem.id] == problem for problem in hard)
    assert problems[INSTRUCT[0]] == full
    assert {problem.fields["entry_point"] for problem in full} == {"task_func"}
    assert all(problem.tests["tests"].count("class TestCases(") == 1 for problem in full)


# -- golden vectors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sandbox", [DOCKER], indirect=True)
@pytest.mark.parametrize("name", BENCHES)
def test_golden_vectors(name: str, sandbox: str) -> None:
    assert failing(benchmark(name), backend(sandbox)) == []


# -- what was published ------------------------------------------------------------------------------

# Its recorded answer waits until the limit, four minutes. It is no "pass" in the published verdicts, and an empty one
# in its place fails as well, so the comparison stays one of all tasks.
WAITING = {"BigCodeBench/1040"}
TENSORFLOW = {f"BigCodeBench/{number}" for number in (417, 418)}  # came too late there, pass here
PASSED = 14


def folder(recorded: Path) -> Path:
    return recorded / "qwen2.5-coder-1.5b-base" / "bigcodebench" / "hard"


def published(recorded: Path) -> dict[str, str]:
    with gzip.open(folder(recorded) / "completion-sanitized-calibrated_hard_eval_results.json.gz") as file:
        return {task: result["status"] for task, (result,) in json.load(file)["eval"].items()}


def without_those_that_wait(samples: Path, out: Path) -> Path:
    with gzip.open(samples, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    rows = [{**row, "solution": ""} if row["task_id"] in WAITING else row for row in rows]
    made = out / "samples.jsonl"
    made.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return made


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", [DOCKER], indirect=True)
@pytest.mark.parametrize(
    "name", ["completion.jsonl.gz", pytest.param("completion-sanitized-calibrated.jsonl.gz", marks=pytest.mark.whole)]
)
def test_published_verdicts_of_the_hard_set(
    name: str, sandbox: str, recorded: Path, shared_data: Path, tmp_path: Path
) -> None:
    theirs = published(recorded)
    assert sum(status == "pass" for status in theirs.values()) == PASSED
    assert {theirs[task] for task in WAITING | TENSORFLOW} == {"timeout"}
    samples = without_those_that_wait(folder(recorded) / name, tmp_path)
    report = qceval(
        "score", "--bench", "bigcodebench-complete-hard", "--profile", "qwen", "--samples", str(samples),
        "--sandbox", sandbox, "--out", str(tmp_path / "runs"), "--no-cache",
    )  # fmt: skip
    rows = [json.loads(line) for line in (Path(report["run"]) / "verdicts.jsonl").read_text().splitlines()]
    ours = {row["problem"]: row["checks"]["bigcodebench-complete-hard"] for row in rows}
    assert len(rows) == len(theirs) == 148
    assert {ours[task] for task in WAITING} == {"no_code"}
    assert {task for task in theirs if (ours[task] == "passed") != (theirs[task] == "pass")} == TENSORFLOW
    assert report["outcomes"]["bigcodebench-complete-hard"]["passed"] == PASSED + len(TENSORFLOW)
