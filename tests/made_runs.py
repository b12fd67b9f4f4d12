"""Run directories for tests of what reads them: written by the real ``Run``, of made-up models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qwencoder_eval.runs.directory import Run, safe_name
from qwencoder_eval.statistics import mean_with_interval, pass_at_k
from qwencoder_eval.types import Completion, Sample, Verdict

Outcomes = Mapping[str, Sequence[Mapping[str, str]]]  # problem -> of each sample the outcomes of its checks


def made_run(
    results: Path,
    outcomes: Outcomes,
    *,
    model: str = "model",
    benchmark: str = "bench",
    profile: str = "p",
    version: str = "v1",
    dataset: str = "d" * 64,
    generation: Mapping[str, Any] | None = None,
    scoring: Mapping[str, Any] | None = None,
    started: str = "2026-01-01T00:00:00Z",
    texts: Mapping[str, str] | None = None,
    evidence: Mapping[str, Mapping[str, str]] | None = None,
    groups: Mapping[str, Mapping[str, str]] | None = None,
    notes: Sequence[str] = (),
    folder: str | None = None,
) -> Path:
    """A finished run. ``texts``, ``evidence`` and ``groups`` go by problem; a text is else the problem's name."""
    path = results / safe_name(model) / benchmark / (folder or f"{profile}-{version}-{len(list(results.rglob('*')))}")
    made = {"benchmark": benchmark, "dataset": dataset, "model": model, "problems": len(outcomes), **(generation or {})}
    rule = {"scorer": "made", "version": 1, "tests": "t", "benchmark_file": "f", "sandbox": {}, **(scoring or {})}
    run = Run(path, made, rule, {"started": started, "profile": profile, "dataset_version": version})
    checks = list(next(iter(next(iter(outcomes.values())))))
    for problem, samples in outcomes.items():
        for number, found in enumerate(samples):
            text = (texts or {}).get(problem, f"# {problem}\n")
            run.add_completion(Sample(problem, number, Completion(text, "whole", "stop")))
            run.add_verdict(Verdict(problem, number, dict(found), {}, dict((evidence or {}).get(problem, {}))))
    n = min(len(samples) for samples in outcomes.values())
    total = sum(len(samples) for samples in outcomes.values())
    scores: dict[str, Any] = {}
    members: dict[str, list[str]] = {"": list(outcomes)}
    for problem, own in (groups or {}).items():
        for group, value in own.items():
            members.setdefault(f"[{group}={value}]", []).append(problem)
    for check in checks:
        for group, problems in members.items():
            for k in (k for k in (1, 10, 100) if k <= n):
                passed = [sum(one[check] == "passed" for one in outcomes[problem]) for problem in problems]
                values = [pass_at_k(len(outcomes[p]), c, k) for p, c in zip(problems, passed, strict=True)]
                value, low, high = mean_with_interval(values)
                scores.setdefault(check + group, {})[f"pass@{k}"] = {
                    "name": f"{check}{group} {version}", "value": value, "low": low, "high": high,
                    "problems": len(problems), "samples": sum(len(outcomes[p]) for p in problems),
                }  # fmt: skip
    counted: dict[str, dict[str, int]] = {check: {} for check in checks}
    for found in (one for samples in outcomes.values() for one in samples):
        for check, outcome in found.items():
            counted[check][outcome] = counted[check].get(outcome, 0) + 1
    run.write(
        "scores.json",
        {
            "benchmark": benchmark, "model": model, "profile": profile, "sandbox": "docker", "n": n,
            "dataset": {"version": version, "sha256": dataset}, "problems": len(outcomes), "samples": total,
            "scores": scores, "outcomes": counted, "notes": list(notes), "run": str(path),
        },
    )  # fmt: skip
    run.close()
    return path


def outcomes_of(
    right: Sequence[Sequence[int]] | Sequence[int], check: str = "bench"
) -> dict[str, list[dict[str, str]]]:
    """Outcomes by problem ``p0``, ``p1``, ... from ones and zeros, of one sample each or of several."""
    several = [[one] if isinstance(one, int) else list(one) for one in right]
    return {
        f"p{number}": [{check: "passed" if one else "wrong"} for one in samples]
        for number, samples in enumerate(several)
    }
