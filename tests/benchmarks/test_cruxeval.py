"""CRUXEval against what was published: recorded answers, raw and extracted, replayed through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from replaying import qceval

DOCKER = pytest.param("docker", marks=pytest.mark.docker)
NAMESPACES = pytest.param("namespaces", marks=pytest.mark.namespaces)
SIDES = {"cruxeval-i": ("input-cot", 350), "cruxeval-o": ("output-cot", 277)}
SINCE_3_9 = {296, 409, 531, 548}  # docs/differences.md: right, with a method that the published evaluation lacked


def folder(recorded: Path, bench: str) -> Path:
    return recorded / "qwen2.5-coder-1.5b-base" / "cruxeval" / SIDES[bench][0]


def published(recorded: Path, bench: str) -> dict[str, bool]:
    scored = json.loads((folder(recorded, bench) / "completion_scored.json").read_text())
    return {problem: verdict for problem, (verdict,) in scored["raw_scored_generations"].items()}


def score(recorded: Path, bench: str, name: str, *options: object) -> tuple[dict[str, Any], dict[str, bool]]:
    samples = folder(recorded, bench) / name
    report = qceval("score", "--bench", bench, "--samples", str(samples), *map(str, options))
    rows = [json.loads(line) for line in (Path(report["run"]) / "verdicts.jsonl").read_text().splitlines()]
    assert len(rows) == report["samples"] == 800
    return report, {row["problem"]: row["checks"][bench] == "passed" for row in rows}


@pytest.mark.slow  # four of the answers never end
@pytest.mark.parametrize("sandbox", [DOCKER, NAMESPACES], indirect=True)
@pytest.mark.parametrize("bench", SIDES)
def test_published_verdicts_of_raw_answers(
    bench: str, sandbox: str, recorded: Path, shared_data: Path, tmp_path: Path
) -> None:
    options = ("--profile", "qwen", "--sandbox", sandbox, "--out", tmp_path, "--no-cache")
    report, verdicts = score(recorded, bench, "completion_raw.json.gz", *options)
    assert verdicts == published(recorded, bench)
    assert report["outcomes"][bench]["passed"] == SIDES[bench][1]
    assert report["scores"][bench]["pass@1"]["value"] == SIDES[bench][1] / 800


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", [NAMESPACES], indirect=True)
@pytest.mark.parametrize("bench", SIDES)
def test_published_verdicts_of_extracted_answers(
    bench: str, sandbox: str, recorded: Path, shared_data: Path, tmp_path: Path
) -> None:
    options = ("--profile", "qwen", "--sandbox", sandbox, "--out", tmp_path)
    assert score(recorded, bench, "completion.json", *options)[1] == published(recorded, bench)


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", [NAMESPACES], indirect=True)
def test_the_python_of_today(sandbox: str, recorded: Path, shared_data: Path, tmp_path: Path) -> None:
    options = ("--profile", "cruxeval-cot", "--sandbox", sandbox, "--out", tmp_path)
    _, verdicts = score(recorded, "cruxeval-i", "completion.json", *options)
    theirs = published(recorded, "cruxeval-i")
    other = {problem for problem in theirs if theirs[problem] != verdicts[problem]}
    assert other == {f"sample_{number}" for number in SINCE_3_9}
    assert all(verdicts[problem] for problem in other)


@pytest.mark.slow
@pytest.mark.parametrize("bench", SIDES)
@pytest.mark.parametrize("sandbox", [NAMESPACES], indirect=True)
def test_every_reference_passes(bench: str, sandbox: str, shared_data: Path) -> None:
    report = qceval("check", "--bench", bench, "--sandbox", sandbox)
    assert (report["exceptions"], report["golden"]) == ([], [])
    assert report["outcomes"] == {bench: {"passed": 8000}}


@pytest.mark.parametrize(
    ("bench", "profile", "tail"),
    [
        ("cruxeval-o", "cruxeval", "assert f([1, 1, 3, 1, 3, 1]) == ??\n[/PYTHON]\n[ANSWER]\n"),
        ("cruxeval-o", "qwen", "assert f([1, 1, 3, 1, 3, 1]) == ??\n[/PYTHON]\n[THOUGHT]\n"),
        ("cruxeval-i", "cruxeval", "== [(4, 1), (4, 1), (4, 1), (4, 1), (2, 3), (2, 3)]\n[/PYTHON]\n[ANSWER]\n"),
        ("cruxeval-i", "qwen", "== [(4, 1), (4, 1), (4, 1), (4, 1), (2, 3), (2, 3)]\n[/PYTHON]\n[THOUGHT]\n"),
    ],
)
def test_what_is_asked(bench: str, profile: str, tail: str, shared_data: Path) -> None:
    text = qceval("show-prompt", "--bench", bench, "--profile", profile)["prompt"]["text"]
    assert text.endswith(tail)
    assert "@" not in text
    assert text.count("[PYTHON]") == (2 if profile == "qwen" else 3)
