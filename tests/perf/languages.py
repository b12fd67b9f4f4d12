"""All recorded MultiPL-E programs, a row per language: qceval beside plain compilers and beside a `docker run` each.

    python tests/perf/languages.py [--languages cpp,java] [--every N] [--no-docker-run] [--out OUT.json]

Two workers on each side, the same images, the same programs word for word, and one timeout rule: 10 seconds, and a kill
at 1.2 times that, for the compiler and for the program. ``plain`` is the plain command line in a warm container, by the
same agent: what is faster there is nothing but the warm compiler. TypeScript has two attempts on every side where the
first does not pass, as in Qwen's evaluation. ``--every 3`` takes every third program, on all sides.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from measure import ROUNDS, alternate, report

from qwencoder_eval.registry import discover
from qwencoder_eval.sandboxes.base import Sandbox
from qwencoder_eval.sandboxes.docker import DockerBackend, DockerSandbox
from qwencoder_eval.sandboxes.languages import Language, language
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.programs import ProgramScorer
from qwencoder_eval.types import Limits, Program

SHARED = Path(__file__).resolve().parents[3] / "shared"
RECORDED = SHARED / "recorded" / "qwen2.5-coder-1.5b-base" / "multipl-e"
WORKERS = 2
LIMITS = Limits(cpu_s=10, compile_cpu_s=10)
CODES = {"cs": "csharp", "js": "javascript", "sh": "bash", "ts": "typescript"}


class Backend(DockerBackend):
    """Warm compilers or not, and what the containers used."""

    def __init__(self, warm: bool) -> None:
        super().__init__()
        self.warm = warm
        self.made: list[DockerSandbox] = []

    def sandbox(self, language: Language, memory_bytes: int) -> Sandbox:
        sandbox = super().sandbox(language, memory_bytes)
        assert isinstance(sandbox, DockerSandbox)
        sandbox.warm = self.warm
        self.made.append(sandbox)
        return sandbox

    def peak_mib(self) -> float:
        """The most memory that one container used, its files included (MiB)."""
        peaks = [0]
        for sandbox in self.made:
            if sandbox.container is None:
                continue
            for pattern in (
                f"memory/docker/{sandbox.container.id}/memory.max_usage_in_bytes",
                f"system.slice/docker-{sandbox.container.id}.scope/memory.peak",
            ):
                with contextlib.suppress(OSError, ValueError):
                    peaks.append(int((Path("/sys/fs/cgroup") / pattern).read_text()))
        return max(peaks) / (1 << 20)


def attempts(scorer: ProgramScorer, problem: str) -> list[tuple[str, ...]]:
    linked = tuple(arg for part, args in scorer.linked if part in problem for arg in args)
    return [(*args, *linked) for args in scorer.attempts]


def by_agent(
    spoken: Language, programs: Sequence[tuple[str, str]], scorer: ProgramScorer, warm: bool
) -> dict[str, Any]:
    backend = Backend(warm)
    backend.image(spoken)

    def run(pool: Pool, problem: str, code: str) -> bool:
        for args in attempts(scorer, problem):
            program = Program(spoken.name, {spoken.file: code}, limits=LIMITS, compile_args=args)
            result = pool.run(program)
            if (result.ending, result.status) == ("exit", 0):
                return True
            if result.timed_out:
                return False
        return False

    started = time.perf_counter()
    with Pool(backend, WORKERS) as pool, ThreadPoolExecutor(WORKERS) as threads:
        good = sum(threads.map(lambda each: run(pool, *each), programs))
        wall_s = time.perf_counter() - started
        peak = backend.peak_mib()
    return {"wall_s": wall_s, "exit_0": good, "peak_mib": peak}


def by_docker_run(spoken: Language, programs: Sequence[tuple[str, str]], scorer: ProgramScorer) -> dict[str, Any]:
    image = DockerBackend().image(spoken).id
    environment = [flag for key, value in spoken.environment.items() for flag in ("-e", f"{key}={value}")]

    def run(problem: str, code: str) -> bool:
        for args in attempts(scorer, problem):
            steps = [["cat"], [*spoken.compile, *args]] if spoken.compile else [["cat"]]
            lines = [shlex.join(["timeout", "12", *step]) for step in [*steps, spoken.run]]
            lines[0] += f" > {spoken.file}"
            script = "mkdir /tmp/work && cd /tmp/work && " + " && ".join(lines)
            command = ["docker", "run", "--rm", "-i", "--network", "none", "--cpus", "1", "--memory", "4g"]
            command += [*environment, "--entrypoint", "sh", image, "-c", script]
            ran = subprocess.run(command, input=code.encode(), capture_output=True, check=False)
            if ran.returncode in (0, 124):  # 124: the time is over
                return ran.returncode == 0
        return False

    started = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as threads:
        good = sum(threads.map(lambda each: run(*each), programs))
    return {"wall_s": time.perf_counter() - started, "exit_0": good}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--languages", default="cpp,cs,java,js,php,sh,ts")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--no-docker-run", action="store_true")
    parser.add_argument("--out")
    asked = parser.parse_args()
    registry = discover()
    rows: list[dict[str, Any]] = []
    for code in asked.languages.split(","):
        spoken = language(CODES.get(code, code))
        scorer = registry.load(f"multipl-e:{code}").scoring["qwen-base"].scorer
        with gzip.open(RECORDED / f"humaneval-{code}-details.json.gz") as file:
            details = json.load(file)
        programs = [(problem, found[0][1]["code"]) for problem, found in details.items()][:: asked.every]
        sides: dict[str, Callable[[], dict[str, Any]]] = {
            "qceval": lambda: by_agent(spoken, programs, scorer, warm=True),  # noqa: B023
            "plain": lambda: by_agent(spoken, programs, scorer, warm=False),  # noqa: B023
        }
        if not asked.no_docker_run:
            sides["docker run"] = lambda: by_docker_run(spoken, programs, scorer)  # noqa: B023
        print(f"{code}: {len(programs)} programs", file=sys.stderr, flush=True)
        found = alternate(sides, asked.rounds)
        row: dict[str, Any] = {"language": code, "programs": len(programs)}
        for side, seen in found.items():
            row[f"{side} s"] = seen["wall_s"]
            row[f"{side} exit 0"] = seen["exit_0"]
        row["plain/qceval"] = row["plain s"] / row["qceval s"]
        if "docker run" in found:
            row["run/qceval"] = row["docker run s"] / row["qceval s"]
        row["peak MiB"] = found["qceval"]["peak_mib"]
        rows.append(row)
    total: dict[str, Any] = {"language": "all", "programs": sum(row["programs"] for row in rows)}
    for side in ("qceval", "plain", "docker run"):
        if f"{side} s" in rows[0]:
            total[f"{side} s"] = sum(row[f"{side} s"] for row in rows)
    total["plain/qceval"] = total["plain s"] / total["qceval s"]
    if "docker run s" in total:
        total["run/qceval"] = total["docker run s"] / total["qceval s"]
    report("recorded MultiPL-E programs of Qwen2.5-Coder-1.5B, two workers", [*rows, total], asked.out)


main()
