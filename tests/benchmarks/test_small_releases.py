"""LiveCodeBench's releases through the command line, with a few rows in upstream's schema in place of gigabytes."""

from __future__ import annotations

import base64
import json
import pickle
import re
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from replaying import qceval

from qwencoder_eval.config import bundled
from qwencoder_eval.datasets.rows import Row, content_hash

NAMESPACES = pytest.param("namespaces", marks=pytest.mark.namespaces)


def packed(tests: Sequence[tuple[str, str]]) -> str:
    rows = json.dumps([{"input": given, "output": output, "testtype": "stdin"} for given, output in tests])
    return base64.b64encode(zlib.compress(pickle.dumps(rows))).decode()


def contest_row(name: str, day: str, private: str, public: str = "[]", **others: str) -> Row:
    return {
        "question_title": name, "question_content": f"Solve {name}.", "platform": "atcoder", "question_id": name,
        "contest_id": "c", "contest_date": f"{day}T00:00:00", "starter_code": "", "difficulty": "easy",
        "metadata": "{}", "public_test_cases": public, "private_test_cases": private, **others,
    }  # fmt: skip


HALF = contest_row("half", "2023-07-01", packed([("4\n", "2\n"), ("5\n", "2.50\n")]))
PAIR = contest_row(
    "pair", "2024-07-15", packed([("1", "[1, 1]"), ("[2]", "[[2], [2]]")]), metadata='{"func_name": "pair"}',
    starter_code="class Solution:\n    def pair(self, x):\n        ",
)  # fmt: skip
EVIL = contest_row("evil", "2024-08-01", base64.b64encode(zlib.compress(b"cos\nsystem\n(S'true'\ntR.")).decode())
NONE = contest_row("none", "2024-08-02", "[]")
BROKEN = contest_row("broken", "2024-09-01", "!")
FIRST_FILE, SECOND_FILE = [HALF, PAIR], [EVIL, NONE, BROKEN, contest_row("last", "2024-09-30", packed([("1", "1")]))]
CODE = {
    "half": "print(int(input()) / 2)",
    "pair": "class Solution:\n    def pair(self, x): return (x, x)",
    "last": "print(2)",
}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the benchmark whose releases are of two and four rows, with data in upstream's schema."""
    plugins, data = tmp_path / "plugins", tmp_path / "data" / "livecodebench"
    plugins.mkdir()
    data.mkdir(parents=True)
    text = (bundled("benchmarks") / "livecodebench.py").read_text()
    text, renamed = re.subn(r'(?m)^    name = "livecodebench', '    name = "small-contest', text)
    text, counted = re.subn(r"(?m)^RELEASES = \{.*\}$", 'RELEASES = {"v1": 2, "v2": 6, "v6": 9}', text)
    assert renamed >= counted == 1
    (plugins / "small_contest.py").write_text(text)
    (plugins / "livecodebench.toml").write_text((bundled("benchmarks") / "livecodebench.toml").read_text())
    for name, rows in (("test.jsonl", FIRST_FILE), ("test2.jsonl", SECOND_FILE)):
        (data / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setenv("QCEVAL_DATA", str(data.parent))
    return tmp_path


def recorded_answers(folder: Path, names: Sequence[str]) -> Path:
    rows = [
        {"question_id": name, "output_list": [f"So:\n```python\n{CODE.get(name, 'print(1)')}\n```"]} for name in names
    ]
    path = folder / "a-model.json"
    path.write_text(json.dumps(rows, indent=1))
    return path


def scored(small: Path, bench: str, names: Sequence[str], status: int, *options: str) -> tuple[dict[str, Any], Any]:
    report = qceval(
        "score", "--bench", bench, "--plugins", str(small / "plugins"), "--out", str(small / "results"),
        "--samples", str(recorded_answers(small, names)), *options, status=status,
    )  # fmt: skip
    lines = (Path(report["run"]) / "verdicts.jsonl").read_text().splitlines()
    return report, {row["problem"]: row["checks"][bench] for row in map(json.loads, lines)}


ALL_NAMES = [row["question_id"] for row in (*FIRST_FILE, *SECOND_FILE)]


@pytest.mark.parametrize("sandbox", [NAMESPACES], indirect=True)
def test_rows_whose_tests_cannot_be_read_do_not_stop_the_others(sandbox: str, small: Path) -> None:
    report, verdicts = scored(small, "small-contest:v2", ALL_NAMES, 3, "--sandbox", sandbox)
    assert verdicts == {"half": "passed", "pair": "passed", "last": "wrong"}
    assert report["dataset"] == {"version": "v2", "sha256": content_hash([*FIRST_FILE, *SECOND_FILE])}
    assert report["missing"]["samples"] == 3
    assert report["problems"] == 6
    said = json.dumps(report["missing"])
    for name, why in (
        ("evil", "a pickle that would do GLOBAL"),
        ("none", "no tests in the row; get it again"),
        ("broken", "tests that are neither JSON nor packed"),
    ):
        assert name in said
        assert why in said


@pytest.mark.parametrize("sandbox", [NAMESPACES], indirect=True)
@pytest.mark.parametrize(
    ("part", "expected", "left_out"),
    [
        ("v1", {"half": "passed", "pair": "passed"}, 0),
        ("v2:2024-07..2024-07", {"pair": "passed"}, 5),
        ("v2:2024-09-02..", {"last": "wrong"}, 5),
        ("v1:2023-01..2024-01", {"half": "passed"}, 1),
    ],
)
def test_a_window_is_asked_and_the_rest_is_left_out(
    sandbox: str, small: Path, part: str, expected: dict[str, str], left_out: int
) -> None:
    bench = f"small-contest:{part}"
    rows = [*FIRST_FILE, *SECOND_FILE] if part.startswith("v2") else FIRST_FILE
    report, verdicts = scored(small, bench, ALL_NAMES[: len(rows)], 0, "--sandbox", sandbox)
    assert verdicts == expected
    assert report["notes"] == [f"left out: {left_out} tasks of other dataset versions"] * bool(left_out)
    assert report["dataset"]["sha256"] == content_hash(rows), "of all rows of the release, not of the window"


def refused(small: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "qwencoder_eval", *arguments, "--plugins", str(small / "plugins")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    return ran.stderr


def test_a_release_of_another_size_is_refused(small: Path) -> None:
    data = small / "data" / "livecodebench"
    (data / "test2.jsonl").write_text(json.dumps(SECOND_FILE[0]) + "\n")
    said = refused(small, "show-prompt", "--bench", "small-contest:v2")
    assert "3 rows, not 6; get the file again or correct count" in said
    (data / "test2.jsonl").unlink()
    said = refused(small, "show-prompt", "--bench", "small-contest:v2", "--offline")
    assert "livecodebench/test.jsonl: not found" in said


def test_a_part_that_is_none_is_refused(small: Path) -> None:
    said = refused(small, "show-prompt", "--bench", "small-contest:2024")
    assert "--bench small-contest:2024: unknown part; it is small-contest:2407-2409|2407-2411|2408-2411" in said


def test_a_prompt_of_a_small_release(small: Path) -> None:
    found = qceval(
        "show-prompt", "--bench", "small-contest:v2", "--problem", "pair", "--plugins", str(small / "plugins")
    )
    assert "Solve pair." in json.dumps(found["prompt"])


@pytest.mark.parametrize("command", ["score", "show-prompt"])
def test_a_window_with_nothing_in_it_is_said(small: Path, command: str) -> None:
    samples = ("--samples", str(recorded_answers(small, ALL_NAMES)), "--out", str(small / "results"))
    options = samples if command == "score" else ()
    assert "no problem" in refused(small, command, "--bench", "small-contest:v2:2030-01..", *options)
