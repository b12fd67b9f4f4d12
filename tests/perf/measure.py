"""Both sides in one go: commands in turn, several rounds, medians; a table for people and JSON for a record."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROUNDS = int(os.environ.get("QCEVAL_PERF_ROUNDS", "3"))


@dataclass
class Command:
    """A whole command. ``before`` puts things back to where each round starts and is not timed."""

    argv: Sequence[str]
    before: Callable[[], None] = lambda: None
    env: Mapping[str, str] = field(default_factory=dict)
    result: Path | None = None  # a file that it writes: ``result_s`` tells when

    def run(self) -> dict[str, Any]:
        """Wall and CPU seconds, of it and its children, and its standard output. Raises RuntimeError where it fails."""
        self.before()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started, clock = time.perf_counter(), time.time()
        ran = subprocess.run(self.argv, capture_output=True, text=True, env={**os.environ, **self.env}, check=False)
        wall_s = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if ran.returncode != 0:
            raise RuntimeError(f"{' '.join(self.argv)}: exit {ran.returncode}: {ran.stderr[-500:]}")
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        found = {"wall_s": wall_s, "cpu_s": cpu_s, "out": ran.stdout}
        return {**found, "result_s": self.result.stat().st_mtime - clock} if self.result else found


def alternate(sides: Mapping[str, Callable[[], dict[str, Any]]], rounds: int = ROUNDS) -> dict[str, dict[str, Any]]:
    """Each side once a round, for several rounds. Numbers become their median; ``wall_s_all`` holds every round's."""
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    for number in range(rounds):
        for name, side in sides.items():
            seen[name].append(side())
            print(f"  round {number + 1}: {name} {seen[name][-1]['wall_s']:.2f} s", file=sys.stderr, flush=True)
    found: dict[str, dict[str, Any]] = {}
    for name, results in seen.items():
        found[name] = {
            key: statistics.median(result[key] for result in results) if isinstance(value, (int, float)) else value
            for key, value in results[-1].items()
        }
        found[name]["wall_s_all"] = [round(result["wall_s"], 3) for result in results]
    return found


def machine() -> dict[str, Any]:
    with open("/proc/cpuinfo") as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "?")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / (1 << 30), 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def report(title: str, rows: Sequence[Mapping[str, Any]], out: str | None, rounds: int = ROUNDS) -> None:
    """A table on standard output, and a JSON document in ``out`` if it is given."""
    found = machine()
    print(f"{title}: {found['cpu']}, {found['cores']} cores, Python {found['python']}, medians of {rounds}")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns, *([text(row.get(column, "")) for column in columns] for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(columns))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    if out:
        Path(out).write_text(json.dumps({"title": title, "machine": found, "rows": list(rows)}, indent=1) + "\n")


def text(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
