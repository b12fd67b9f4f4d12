"""Runs on disk as a whole: find them, say how far they got, and remove those that are no longer wanted."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InfrastructureError, RunError


@dataclass(frozen=True)
class Kept:
    """A run directory as it lies there. ``report`` is its scores.json, empty where it has none."""

    path: Path
    report: dict[str, Any]
    changed: float  # seconds since the epoch
    size: int  # bytes

    @property
    def complete(self) -> bool:
        return bool(self.report.get("scores"))

    @property
    def series(self) -> tuple[Path, str]:
        """What a run is one of several of: model, benchmark and profile."""
        return self.path.parent, self.path.name.partition("-")[0]


def is_run(path: Path) -> bool:
    return (path / "run.json").is_file()


def kept(path: Path) -> Kept:
    """Raises RunError where there is no run."""
    if not is_run(path):
        raise RunError(f"{path}: not a run directory; see qceval runs list")
    try:
        report = json.loads((path / "scores.json").read_text())
    except (OSError, ValueError, RecursionError):
        report = {}
    changed, size = 0.0, 0
    for file in path.iterdir():
        with contextlib.suppress(OSError):
            stat = file.lstat()
            changed, size = max(changed, stat.st_mtime), size + stat.st_size
    return Kept(path, report if isinstance(report, dict) else {}, changed, size)


def find(results: Path) -> Iterator[Kept]:
    """All runs below a folder, ordered by path; links are not followed."""
    for folder, names, _ in os.walk(results):
        names.sort()
        if is_run(Path(folder)):
            names.clear()
            yield kept(Path(folder))


def superfluous(runs: Sequence[Kept], keep: int | None, older_than: float | None) -> list[Kept]:
    """Runs that were last written before ``older_than`` (seconds since the epoch) and are not among the ``keep``
    newest of their series. Either may be None, which removes for its part nothing less.
    """
    newest = sorted(runs, key=lambda run: run.changed, reverse=True)
    seen: dict[tuple[Path, str], int] = {}
    found = []
    for run in newest:
        seen[run.series] = seen.get(run.series, 0) + 1
        if seen[run.series] > (keep or 0) and (older_than is None or run.changed < older_than):
            found.append(run)
    return found


def remove(run: Kept) -> bool:
    """Remove a run's directory; False where it is being written. Raises InfrastructureError where it cannot be."""
    try:
        lock = os.open(run.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(run.path)
        finally:
            os.close(lock)
    except BlockingIOError:
        return False
    except OSError as error:
        raise InfrastructureError(f"{run.path}: cannot be removed ({error.strerror}); remove it by hand") from None
    return True
