"""Conversations that are not over: turns.jsonl beside completions.jsonl, where what is over is.

Two rows a turn: its completion when it comes, its verdict when that is made. A sample whose last turn has a verdict and
which is in no completions.jsonl waits for its next turn.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from ..types import Completion, Outcome, Sample, Turn
from .journal import Journal

Key = tuple[str, int]


class Turns:
    """Safe for several threads. What is in memory goes with the samples that are not over."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal(path, ("problem", "sample"))
        self._judged: dict[Key, list[Turn]] = {}
        self._waiting: dict[Key, Completion] = {}  # for a verdict
        self._mutex = threading.Lock()

    def open(self) -> None:
        """Read what is there. Raises RunError where a row is damaged."""
        self.journal.repair()
        for row in self.journal.rows():
            key = row["problem"], row["sample"]
            if "completion" in row:
                self._waiting[key] = Completion(**{**row["completion"], "logprobs": ()})
            elif key in self._waiting:
                checks = {name: Outcome(outcome) for name, outcome in row["checks"].items()}
                self._judged.setdefault(key, []).append(Turn(self._waiting.pop(key), checks, row["evidence"]))

    def came(self, sample: Sample) -> None:
        """A completion, of whichever turn it is. Raises InfrastructureError where the disk does not take it."""
        with self._mutex:
            completion = asdict(sample.completion)
            self.journal.append({"problem": sample.problem, "sample": sample.number, "completion": completion})
            self._waiting[sample.problem, sample.number] = sample.completion

    def of(self, sample: Sample) -> list[Turn]:
        """The turns of a sample that have a verdict."""
        with self._mutex:
            return list(self._judged.get((sample.problem, sample.number), ()))

    def goes_on(self, sample: Sample, turn: Turn) -> None:
        """The conversation does not end with ``turn``. Raises InfrastructureError where the disk does not take it."""
        with self._mutex:
            row = {"problem": sample.problem, "sample": sample.number, "checks": dict(turn.checks)}
            self.journal.append({**row, "evidence": dict(turn.evidence)})
            key = sample.problem, sample.number
            self._waiting.pop(key, None)
            self._judged.setdefault(key, []).append(turn)

    def over(self, problem: str, number: int) -> None:
        """The sample is in completions.jsonl."""
        with self._mutex:
            self._waiting.pop((problem, number), None)
            self._judged.pop((problem, number), None)

    def unjudged(self) -> Iterator[Sample]:
        """Completions that have no verdict yet."""
        for (problem, number), completion in list(self._waiting.items()):
            yield Sample(problem, number, completion)

    def begun(self, problem: str, number: int) -> bool:
        return (problem, number) in self._judged or (problem, number) in self._waiting

    def pending(self) -> list[tuple[str, int, list[Turn]]]:
        """What waits for its next turn: problem, sample and the turns so far."""
        with self._mutex:
            keys = [key for key in self._judged if key not in self._waiting]
            return [(problem, number, list(self._judged[problem, number])) for problem, number in keys]
