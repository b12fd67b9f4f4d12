"""Runs that are done, read back: what was evaluated, its scores, and what became of each problem."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import RunError
from .directory import FORMAT, digest
from .journal import Journal
from .keeping import find, is_run

# Of a scoring key, what is the machine's and not the rule's: an image that was built again or a comment in a
# benchmark's file (whose meaning its version tells) must not forbid a comparison.
MACHINE = ("sandbox", "memory_bytes", "benchmark_file")


@dataclass(frozen=True)
class Finished:
    """A run with scores. ``described`` is its run.json, ``report`` its scores.json."""

    path: Path
    described: dict[str, Any]
    report: dict[str, Any]

    @property
    def model(self) -> str:
        return str(self.report["model"])

    @property
    def benchmark(self) -> str:
        return str(self.report["benchmark"])

    @property
    def profile(self) -> str:
        return str(self.report["profile"])

    @property
    def version(self) -> str:
        """Of the dataset."""
        return str(self.report["dataset"]["version"])

    @property
    def notes(self) -> list[str]:
        return list(self.report.get("notes", []))

    @property
    def started(self) -> str:
        """When the run was begun, as 2026-11-22T11:07:41Z; empty where that is not known."""
        return str(self.described.get("provenance", {}).get("started", ""))

    @property
    def rule(self) -> dict[str, Any]:
        return {key: value for key, value in self.described["scoring"].items() if key not in MACHINE}

    @property
    def identity(self) -> dict[str, Any]:
        """What two runs must have in common to be compared: benchmark, dataset and scoring rule, field by field."""
        dataset = {"dataset": self.report["dataset"]["sha256"], "problems": self.report["problems"]}
        return {"benchmark": self.benchmark, **dataset, **self.rule}

    @property
    def column(self) -> str:
        """Short, equal for runs whose scores may stand in one column: their identity and profile are the same."""
        return digest({**self.identity, "profile": self.profile})[:12]

    @property
    def checks(self) -> list[str]:
        """Names of the scores over all problems, the benchmark's own first."""
        return [name for name in self.report["scores"] if "[" not in name]

    @property
    def groups(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Scores of groups: ``check[group=value]`` -> metric -> score."""
        return {name: metrics for name, metrics in self.report["scores"].items() if "[" in name}

    def completions(self) -> Iterator[dict[str, Any]]:
        """Rows of completions.jsonl. Raises RunError where one is damaged."""
        return Journal(self.path / "completions.jsonl", ("problem", "sample", "text")).rows()

    def verdicts(self) -> Iterator[dict[str, Any]]:
        """Rows of verdicts.jsonl. Raises RunError where one is damaged."""
        return Journal(self.path / "verdicts.jsonl", ("problem", "sample", "checks")).rows()

    @cached_property
    def passed(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Of each check: problem -> (samples, how many of them passed). Raises RunError where rows are missing."""
        samples: Counter[str] = Counter()
        right: dict[str, Counter[str]] = defaultdict(Counter)
        for row in self.verdicts():
            samples[row["problem"]] += 1
            for check, outcome in row["checks"].items():
                right[check][row["problem"]] += outcome == "passed"
        if samples.total() != self.report["samples"]:
            said = f"{samples.total()} verdicts, and its scores are of {self.report['samples']}"
            raise RunError(f"{self.path}: {said}; start its command again")
        return {
            check: {problem: (count, right[check][problem]) for problem, count in samples.items()}
            for check in self.checks
        }


def finished(path: Path) -> Finished:
    """Raises RunError where there is no run, it is of another format or damaged, or has no scores."""
    if not is_run(path):
        raise RunError(f"{path}: not a run directory; see qceval runs list")
    described, report = _read(path / "run.json"), _read(path / "scores.json")
    if described.get("format") != FORMAT:
        raise RunError(f"{path}: format {described.get('format')!r}, this qceval reads {FORMAT}; run it again")
    if not report.get("scores"):
        raise RunError(f"{path}: has no scores, as it is not complete; start its command again")
    needed = {"model": str, "benchmark": str, "profile": str, "dataset": dict, "samples": int, "problems": int}
    wrong = [key for key, kind in needed.items() if not isinstance(report.get(key), kind)]
    if wrong or not isinstance(described.get("scoring"), dict):
        raise RunError(f"{path / 'scores.json'}: damaged ({', '.join(wrong) or 'scoring'}); start its command again")
    return Finished(path, described, report)


def all_finished(paths: Iterable[Path]) -> tuple[list[Finished], list[str]]:
    """Every run at or below these paths, each once, and a line for each that is left out, as it has no scores.

    Raises RunError where a path is no folder, where a run that is named itself cannot be read, or where there is none.
    """
    found: dict[Path, Finished] = {}
    left_out = []
    for path in paths:
        if not path.is_dir():
            raise RunError(f"{path}: not a folder; name a run or a folder of runs, see qceval runs list")
        if is_run(path):
            found.setdefault(path.resolve(), finished(path))
            continue
        for kept in find(path):
            try:
                found.setdefault(kept.path.resolve(), finished(kept.path))
            except RunError as error:
                left_out.append(str(error))
    if not found:
        named = ", ".join(map(str, paths))
        raise RunError(f"{named}: no finished run there; {left_out[0] if left_out else 'see qceval runs list'}")
    return list(found.values()), left_out


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{file}: cannot be read ({type(error).__name__}); start its command again") from None
    return document if isinstance(document, dict) else {}
