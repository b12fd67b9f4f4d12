"""Looking at engines from outside: their processes, and what their runs wrote."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE_S = 300.0  # what no test may take; nothing is measured with it


def wait_until(true: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := true()):
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)
    return found


def engine_processes(marker: str, *names: bytes) -> list[int]:
    """Every process of an engine that this test started: their environment has the test's own folder in it.

    Of `names` one must be in the process's command.
    """
    names = names or (b"models.worker", b"VLLM", b"multiprocessing")
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            environment = (folder / "environ").read_bytes()
            command = (folder / "cmdline").read_bytes()
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z" and marker.encode() in environment and any(name in command for name in names):
            found.append(int(folder.name))
    return found


def rows(run: Path | str, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(run) / name).read_text().splitlines()]


def lines(benchmark: Path) -> int:
    """Completions on disk, of all runs of a benchmark's folder."""
    return sum(len(file.read_bytes().splitlines()) for file in benchmark.glob("*/completions.jsonl"))
