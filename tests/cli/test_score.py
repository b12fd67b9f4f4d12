"""`qceval score`: files of samples in every form, right and wrong answers, hostile text, and files that are none."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]
Document = Callable[..., Any]
Refused = Callable[..., str]
Samples = Callable[..., Path]
Rows = Callable[[Path], list[dict[str, Any]]]
Starter = list[dict[str, Any]]

SCORE = ("score", "--bench", "starter", "--samples")


def references(starter: Starter) -> list[dict[str, Any]]:
    return [{"task_id": row["task_id"], "completion": row["canonical_solution"]} for row in starter]


def verdicts(rows_of: Rows, report: dict[str, Any]) -> dict[tuple[str, int], str]:
    rows = rows_of(Path(report["run"]) / "verdicts.jsonl")
    found = {(row["problem"], row["sample"]): row["checks"]["starter"] for row in rows}
    assert len(found) == len(rows)
    return found


def test_references_pass(qceval: Cli, document: Document, starter: Starter, samples: Samples, sandbox: str) -> None:
    file = samples(references(starter), "a-model.jsonl")
    report = document(*SCORE, file, "--sandbox", sandbox)
    assert report["outcomes"] == {"starter": {"passed": 24}}
    assert report["scores"]["starter"]["pass@1"]["value"] == 1.0
    assert report["model"] == "a-model"
    assert report["notes"] == []
    shown = qceval(*SCORE, file, "--sandbox", sandbox).stdout
    assert "24/24" in shown
    assert "reference solutions" not in shown


@pytest.mark.parametrize("which", [0, 1])
def test_known_wrong_solutions_fail(
    document: Document, starter: Starter, samples: Samples, sandbox: str, which: int
) -> None:
    file = samples({"task_id": row["task_id"], "completion": row["wrong"][which]} for row in starter)
    report = document(*SCORE, file, "--sandbox", sandbox)
    outcomes = report["outcomes"]["starter"]
    assert set(outcomes) <= {"wrong", "runtime_error"}
    assert sum(outcomes.values()) == 24
    score = report["scores"]["starter"]["pass@1"]
    assert (score["value"], score["problems"]) == (0.0, 24)
    assert score["low"] <= 0.0 < score["high"] < 0.2


def test_mixed_answers_are_told_apart(
    document: Document, starter: Starter, samples: Samples, sandbox: str, rows_of: Rows
) -> None:
    forms = ("right", "wrong", "empty", "syntax", "name", "exit")
    texts = {
        "empty": "",
        "syntax": "    return (\n",
        "name": "    return undefined_name\n",
        "exit": "    import os\n    os._exit(0)\n",
    }
    rows, wanted = [], {}
    for number, row in enumerate(starter):
        form = forms[number % len(forms)]
        text = {**texts, "right": row["canonical_solution"], "wrong": row["wrong"][0]}[form]
        rows.append({"task_id": row["task_id"], "completion": text})
        wanted[row["task_id"]] = form
    report = document(*SCORE, samples(rows), "--sandbox", sandbox)
    meant = {
        "right": {"passed"},
        "wrong": {"wrong", "runtime_error"},
        "empty": {"wrong"},  # the stub alone: a function whose docstring is its body returns None
        "syntax": {"compile_error"},
        "name": {"runtime_error"},
        "exit": {"runtime_error"},
    }
    for (problem, _), outcome in verdicts(rows_of, report).items():
        assert outcome in meant[wanted[problem]], (problem, wanted[problem], outcome)
    assert report["scores"]["starter"]["pass@1"]["value"] == pytest.approx(4 / 24)


@pytest.mark.parametrize(
    ("form", "ending"),
    [("completion", ".gz"), ("solution", ""), ("ours", ""), ("blank-lines", ""), ("crlf", ".gz")],
)
def test_every_form_of_the_file(
    document: Document, starter: Starter, sandbox: str, tmp_path: Path, form: str, ending: str
) -> None:
    lines = []
    for row in starter:
        made: dict[str, Any] = {"task_id": row["task_id"], "completion": row["canonical_solution"]}
        if form == "solution":
            made = {"task_id": row["task_id"], "solution": row["prompt"] + row["canonical_solution"]}
        elif form == "ours":
            made = {"problem": row["task_id"], "sample": 0, "text": row["canonical_solution"], "form": "continuation"}
        lines.append(json.dumps(made))
    between = {"blank-lines": "\n\n  \n", "crlf": "\r\n"}.get(form, "\n")
    data = between.join(lines).encode()  # without a newline at the end
    file = tmp_path / f"samples.jsonl{ending}"
    file.write_bytes(gzip.compress(data) if ending else data)
    report = document(*SCORE, file, "--sandbox", sandbox)
    assert report["outcomes"] == {"starter": {"passed": 24}}


def test_completions_of_a_run_score_the_same(
    document: Document, starter: Starter, samples: Samples, sandbox: str
) -> None:
    rows = references(starter)
    rows[3]["completion"] = starter[3]["wrong"][0]
    first = document(*SCORE, samples(rows), "--sandbox", sandbox)
    again = document(*SCORE, Path(first["run"]) / "completions.jsonl", "--sandbox", sandbox, "--model", "again")
    assert again["scores"] == first["scores"]
    assert again["outcomes"] == first["outcomes"]
    assert first["outcomes"]["starter"]["passed"] == 23
    assert again["model"] == "again"
    assert again["run"] != first["run"]


def test_several_samples_in_any_order(
    document: Document, starter: Starter, samples: Samples, sandbox: str, rows_of: Rows
) -> None:
    rows = references(starter)
    rows += [{"task_id": row["task_id"], "completion": row["wrong"][0]} for row in starter]
    wrong_first = {starter[0]["task_id"]}
    rows[0], rows[24] = rows[24], rows[0]
    rows[1:24] = random.Random(7).sample(rows[1:24], 23)
    report = document(*SCORE, samples(rows), "--sandbox", sandbox, "-k", 1, "-k", 2)
    assert (report["n"], report["samples"]) == (2, 48)
    assert report["scores"]["starter"]["pass@1"]["value"] == pytest.approx(0.5)
    assert report["scores"]["starter"]["pass@2"]["value"] == 1.0
    for (problem, sample), outcome in verdicts(rows_of, report).items():
        assert (outcome == "passed") == ((sample == 1) == (problem in wrong_first)), (problem, sample)


def test_k_above_what_the_file_has(
    refused: Refused, starter: Starter, samples: Samples, sandbox: str, tmp_path: Path
) -> None:
    assert "-k 5" in refused(*SCORE, samples(references(starter)), "--sandbox", sandbox, "-k", 5)
    assert not (tmp_path / "results").exists()


def huge(document: Document, starter: Starter, samples: Samples, sandbox: str, rows_of: Rows, text: str) -> None:
    rows = references(starter)
    rows[5]["completion"] = text
    report = document(*SCORE, samples(rows), "--sandbox", sandbox)
    assert report["outcomes"] == {"starter": {"passed": 23, "no_code": 1}}
    assert report["scores"]["starter"]["pass@1"]["problems"] == 24
    assert report["scores"]["starter"]["pass@1"]["value"] == pytest.approx(23 / 24)
    run = Path(report["run"])
    assert verdicts(rows_of, report)["starter/5", 0] == "no_code"
    assert (run / "verdicts.jsonl").stat().st_size < 100_000
    kept = {row["problem"]: row["text"] for row in rows_of(run / "completions.jsonl")}
    assert kept["starter/5"] == text


def test_a_completion_of_three_megabytes(
    document: Document, starter: Starter, samples: Samples, sandbox: str, rows_of: Rows
) -> None:
    huge(document, starter, samples, sandbox, rows_of, "    x = 1\n" * 300_000)


@pytest.mark.slow
def test_a_completion_of_a_hundred_megabytes(
    document: Document, starter: Starter, samples: Samples, sandbox: str, rows_of: Rows
) -> None:
    huge(document, starter, samples, sandbox, rows_of, "    x = 1\n" * 10_000_000)


@pytest.mark.slow
@pytest.mark.docker
def test_docker_and_namespaces_agree(
    document: Document, starter: Starter, samples: Samples, rows_of: Rows, docker: str, namespaces: str
) -> None:
    rows = references(starter)
    for number in range(0, 24, 2):
        rows[number]["completion"] = starter[number]["wrong"][number % 4 // 2]
    file = samples(rows)
    first, second = (document(*SCORE, file, "--sandbox", name) for name in (docker, namespaces))
    assert first["run"] == second["run"]
    assert first["outcomes"] == second["outcomes"]
    aside = next(Path(first["run"]).glob("verdicts.?*.jsonl"))
    by_docker = {(row["problem"], row["sample"]): row["checks"]["starter"] for row in rows_of(aside)}
    assert by_docker == verdicts(rows_of, second)


def test_escapes_of_a_program_stay_in_the_document(
    qceval: Cli, starter: Starter, samples: Samples, sandbox: str, rows_of: Rows
) -> None:
    evil = "    raise ValueError('\\x1b[2J\\x1b]0;owned\\x07\\u202e' + 'x' * 5000)\n"
    rows = references(starter)
    rows[0]["completion"] = evil
    ran = qceval(*SCORE, samples(rows), "--sandbox", sandbox, "--model", "\x1b[31mred")
    assert ran.returncode == 0
    for sign in ("\x1b", "\x07", "\u202e"):
        assert sign not in ran.stdout + ran.stderr
    assert "1 runtime error" in ran.stdout
    run = Path(ran.stdout.rpartition("→ ")[2].strip())
    (row,) = [row for row in rows_of(run / "verdicts.jsonl") if row["problem"] == "starter/0"]
    assert "owned" in row["evidence"]["error"]
    assert len(row["evidence"]["error"]) <= 500


def test_no_sandbox_for_model_output_unless_asked_twice(
    qceval: Cli, refused: Refused, starter: Starter, samples: Samples, tmp_path: Path
) -> None:
    file = samples(references(starter))
    line = refused(*SCORE, file, "--sandbox", "none")
    assert "--sandbox none" in line
    assert "--unsafe" in line
    assert not (tmp_path / "results").exists()
    ran = qceval(*SCORE, file, "--sandbox", "none", "--unsafe")
    assert ran.returncode == 0
    assert ran.stdout.startswith("UNSANDBOXED")
    assert "24/24" in ran.stdout


def test_samples_of_each_benchmark(
    document: Document, refused: Refused, starter: Starter, samples: Samples, plugin: Callable[..., Path], sandbox: str
) -> None:
    file = samples(references(starter))
    assert "2 benchmarks and 1 files; give --samples for each" in refused(
        "score", "--bench", "starter,humaneval", "--samples", file
    )
    folder = plugin("other")
    answers = [{"task_id": f"other/{number}", "completion": "    return x * 2\n"} for number in range(2)]
    other = samples(answers, "other.jsonl")
    both = ("--bench", "starter,other", "--samples", file, "--samples", other)
    first, second = document("score", *both, "--plugins", folder, "--sandbox", sandbox, "--model", "m")
    assert (first["benchmark"], first["outcomes"]["starter"]) == ("starter", {"passed": len(starter)})
    assert (second["benchmark"], second["outcomes"]["other"]) == ("other", {"passed": 2})
    assert first["model"] == second["model"] == "m"


def test_the_score_is_the_share_that_passed(
    document: Document, starter: Starter, samples: Samples, sandbox: str, rows_of: Rows
) -> None:
    """Random right and wrong answers, three of each problem: the report agrees with a count by hand."""
    dice = random.Random(11)
    rows, right = [], Counter[str]()
    for row in starter:
        for _ in range(3):
            good = dice.random() < 0.4
            right[row["task_id"]] += good
            text = row["canonical_solution"] if good else row["wrong"][dice.randrange(2)]
            rows.append({"task_id": row["task_id"], "completion": text})
    report = document(*SCORE, samples(rows), "--sandbox", sandbox, "-k", 1, "-k", 3)
    scores = report["scores"]["starter"]
    assert scores["pass@1"]["value"] == pytest.approx(sum(right.values()) / 72)
    assert scores["pass@3"]["value"] == pytest.approx(sum(count > 0 for count in right.values()) / 24)
    assert report["outcomes"]["starter"]["passed"] == sum(right.values())
    assert sum(report["outcomes"]["starter"].values()) == 72


def ours(starter: Starter, numbers: tuple[int, ...]) -> list[dict[str, Any]]:
    return [
        {"problem": row["task_id"], "sample": number, "text": row["canonical_solution"], "form": "continuation"}
        for row in starter
        for number in numbers
    ]


BROKEN: dict[str, tuple[Callable[[list[str]], bytes], int | None, str]] = {
    # name: what becomes of the 24 good lines, the line that must be named, a word of the reason
    "not JSON": (lambda good: "\n".join([*good[:2], "{oops", *good[2:]]).encode(), 3, "not JSON"),
    "cut off": (lambda good: "\n".join(good).encode()[:-10], 24, "not JSON"),
    "deep": (lambda good: "\n".join([good[0], "[" * 100_000]).encode(), 2, "JSON"),
    "binary": (lambda good: bytes(range(255, -1, -1)) * 100, 1, "UTF-8"),
    "latin-1": (lambda good: "\n".join(good[:4]).encode() + b'\n{"task_id": "\xe9"}', 5, "UTF-8"),
    "a list": (lambda good: b"[1, 2]\n", 1, "object"),
    "a number": (lambda good: b"12\n", 1, "object"),
    "no task": (lambda good: b'{"completion": "x"}\n', 1, "task_id"),
    "task is a number": (lambda good: b'{"task_id": 1, "completion": "x"}\n', 1, "task_id"),
    "no text": (lambda good: b'{"task_id": "starter/0"}\n', 1, "completion"),
    "text is a list": (lambda good: b'{"task_id": "starter/0", "completion": ["a", "b"]}\n', 1, "string"),
    "form unknown": (lambda good: b'{"problem": "starter/0", "text": "x", "form": "fim"}\n', 1, "form"),
    "sample is text": (lambda good: b'{"problem": "starter/0", "text": "x", "sample": "0"}\n', 1, "sample"),
    "unknown task": (
        lambda good: "\n".join([*good, '{"task_id": "HumanEval/0", "completion": "x"}']).encode(),
        25,
        "HumanEval/0",
    ),
    "missing task": (lambda good: "\n".join(good[:7] + good[8:]).encode(), None, "starter/7"),
    "uneven": (lambda good: "\n".join([*good, good[4]]).encode(), 25, "starter/4"),
    "empty": (lambda good: b"", None, "no sample"),
    "blank": (lambda good: b"\n \n\n", None, "no sample"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_scored(
    refused: Refused, starter: Starter, sandbox: str, tmp_path: Path, name: str
) -> None:
    damage, line, word = BROKEN[name]
    file = tmp_path / "samples.jsonl"
    file.write_bytes(damage([json.dumps(row) for row in references(starter)]))
    said = refused(*SCORE, file, "--sandbox", sandbox)
    assert said.startswith(f"{file}:{line}: " if line else f"{file}: "), said
    assert word in said
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("numbers", [(0, 0), (1,), (0, 2)], ids=["twice", "from one", "gap"])
def test_sample_numbers_that_do_not_count_from_zero(
    refused: Refused, starter: Starter, samples: Samples, sandbox: str, numbers: tuple[int, ...]
) -> None:
    file = samples(ours(starter, numbers))
    said = refused(*SCORE, file, "--sandbox", sandbox)
    assert said.startswith(f"{file}:"), said
    assert said.removeprefix(f"{file}:").split(":")[0].isdigit()
    assert "starter/" in said


def test_a_file_that_is_not_there(refused: Refused, sandbox: str, tmp_path: Path) -> None:
    for name in ("none.jsonl", "none.jsonl.gz"):
        assert refused(*SCORE, tmp_path / name, "--sandbox", sandbox).startswith(f"{tmp_path / name}: No such file")


def test_a_folder_instead_of_a_file(refused: Refused, sandbox: str, tmp_path: Path) -> None:
    for name in ("folder", "folder.gz"):
        (tmp_path / name).mkdir()
        assert refused(*SCORE, tmp_path / name, "--sandbox", sandbox).startswith(f"{tmp_path / name}: Is a directory")


def test_compressed_files_that_are_damaged(
    refused: Refused, starter: Starter, samples: Samples, sandbox: str, tmp_path: Path
) -> None:
    whole = samples(references(starter), "whole.jsonl.gz").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    damaged = {"cut.gz": whole[: len(whole) // 2], "plain.gz": b'{"task_id": "starter/0"}\n', "bits.gz": bytes(flipped)}
    for name, data in damaged.items():
        file = tmp_path / name
        file.write_bytes(data)
        assert refused(*SCORE, file, "--sandbox", sandbox).startswith(f"{file}:"), name


def test_a_file_without_permission(refused: Refused, starter: Starter, samples: Samples, sandbox: str) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    file = samples(references(starter))
    file.chmod(0)
    assert refused(*SCORE, file, "--sandbox", sandbox).startswith(f"{file}: Permission denied")


def test_a_refused_file_says_nothing_but_one_line_with_json_too(refused: Refused, sandbox: str, tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    file.write_text("{\n")
    refused(*SCORE, file, "--sandbox", sandbox, "--json")
