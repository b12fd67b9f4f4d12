"""The table at the end of a run, and that nothing of a model's reaches the terminal as a command."""

from __future__ import annotations

from typing import Any

import pytest

from qwencoder_eval.reports.table import draw, for_terminal


def report(**changes: Any) -> dict[str, Any]:
    score = {"value": 0.4390, "low": 0.3653, "high": 0.5156, "problems": 164, "samples": 164}
    return {
        "benchmark": "humaneval", "model": "m", "profile": "qwen", "sandbox": "docker", "notes": [], "samples": 164,
        "dataset": {"version": "v0.1.9"}, "scores": {"humaneval": {"pass@1": score}}, "run": "results/m",
        "outcomes": {"humaneval": {"passed": 72, "wrong": 91, "timeout": 1}}, **changes,
    }  # fmt: skip


def test_value_interval_and_counts(capsys: pytest.CaptureFixture[str]) -> None:
    draw([report()])
    said = capsys.readouterr().out
    for part in ("humaneval v0.1.9", "pass@1", "43.9 %", "36.5 – 51.6", "72/164", "1 timeout, 91 wrong", "results/m"):
        assert part in said


def test_notes_stand_in_the_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    draw([report(notes=["unsandboxed", "partial: 3 of 164 problems"])])
    assert "unsandboxed · partial" in capsys.readouterr().out.splitlines()[0]


def test_samples_without_a_verdict_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    problems = {f"p/{i}": "docker: \x1b[2Jgone" for i in range(12)}
    draw([report(scores={}, missing={"samples": 12, "problems": problems, "try_again": True})])
    said = capsys.readouterr().out
    assert "no score, 12 of 164 samples have no verdict" in said
    assert "p/0: docker: ·gone" in said
    assert "and 2 more" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2Jx", "·x"),
        ("\x1b]0;title\x07x", "·]0;title·x"),
        ("a\rb", "a·b"),
        ("a\x9b31mb", "a·31mb"),
        ("\u202egnp.exe", "·gnp.exe"),
        ("tab\tand\nline ü", "tab\tand\nline ü"),
        ("\x1b", "·"),
        ("\x00\x7f", "··"),
    ],
)
def test_for_terminal(hostile: str, shown: str) -> None:
    assert for_terminal(hostile) == shown
