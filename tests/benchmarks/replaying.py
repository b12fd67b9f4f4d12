"""Recorded outputs, replayed through the command line, and the verdicts that EvalPlus published for them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

Verdicts = dict[str, tuple[bool, bool]]  # task -> base and plus passed


def qceval(*arguments: str, status: int = 0) -> dict[str, Any]:
    command = [sys.executable, "-m", "qwencoder_eval", *arguments, "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == status, ran.stderr
    document: dict[str, Any] = json.loads(ran.stdout)
    return document


def folder(recorded: Path, bench: str) -> Path:
    return recorded / "qwen2.5-coder-1.5b-base" / "evalplus" / bench


def published(recorded: Path, bench: str) -> Verdicts:
    results = json.loads((folder(recorded, bench) / "generated_eval_results.json").read_text())["eval"]
    found = {}
    for task, (result,) in results.items():
        base = result["base_status"] == "pass"
        found[task] = (base, base and result["plus_status"] == "pass")
    return found


def score(recorded: Path, bench: str, sandbox: str, profile: str, out: Path) -> tuple[dict[str, Any], Verdicts]:
    """The report, and the verdicts of its run; every program is run."""
    samples = folder(recorded, bench) / "generated.jsonl"
    report = qceval(
        "score", "--bench", bench, "--profile", profile, "--samples", str(samples), "--sandbox", sandbox,
        "--out", str(out), "--no-cache",
    )  # fmt: skip
    rows = [json.loads(line) for line in (Path(report["run"]) / "verdicts.jsonl").read_text().splitlines()]
    verdicts = {
        row["problem"]: (row["checks"][bench] == "passed", row["checks"][f"{bench}+"] == "passed") for row in rows
    }
    assert len(rows) == len(verdicts) == report["samples"]
    return report, verdicts
