"""Many samples a problem: does memory stay, and does the pace?

    python tests/perf/many_samples.py [--samples 20,200] [--out OUT.json]

The programs are the reference solutions of HumanEval and mutations of them that end: another value returned, an
exception, a name that is not there, a syntax error. Each one is a text of its own, and no verdict is taken from the
cache. Prints programs a second and the peak memory of the harness (resident bytes, of the process itself).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from measure import report

from qwencoder_eval.benchmark import profile
from qwencoder_eval.registry import discover

SHARED = Path(__file__).resolve().parents[3] / "shared"
WORK = Path("build/perf").resolve()


def mutation(code: str, kind: float, number: int) -> str:
    """A completion like ``code``, for most kinds a wrong one; never one that runs longer."""
    if kind < 0.2:
        return f"{code}\n# {number}\n"
    if kind < 0.6:
        return code.replace("return ", f"return None if {number} >= 0 else ", 1)
    if kind < 0.75:
        return f"    raise ValueError({number})\n{code}"
    if kind < 0.9:
        return f"    missing_{number}\n{code}"
    return f"{code}\n    return ({number}\n"


def write(path: Path, samples: int) -> int:
    problems = profile(discover(()).load("humaneval"), "qwen").problems()
    choose = random.Random(164)
    with path.open("w") as file:
        for number in range(samples):
            for problem in problems:
                text = mutation(str(problem.reference), choose.random(), number)
                file.write(json.dumps({"task_id": problem.id, "completion": text}) + "\n")
    return samples * len(problems)


def run(samples: int, sandbox: str) -> dict[str, Any]:
    file = WORK / f"{samples}.jsonl"
    total = write(file, samples)
    shutil.rmtree(WORK / "results", ignore_errors=True)
    argv = [sys.executable, "-m", "qwencoder_eval", "score", "--bench", "humaneval", "--profile", "qwen", "--no-cache"]
    argv += ["--samples", str(file), "--out", str(WORK / "results"), "--sandbox", sandbox, "--workers", "2", "--json"]
    started = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env={**os.environ, "QCEVAL_CACHE": str(WORK / "cache")}) as ran:
        assert ran.stdout
        document = json.loads(ran.stdout.read())
        _, status, used = os.wait4(ran.pid, 0)
        ran.returncode = os.waitstatus_to_exitcode(status)
    assert ran.returncode == 0
    wall_s = time.perf_counter() - started
    passed = document["outcomes"]["humaneval+"]["passed"]
    pace = {"wall_s": wall_s, "samples_per_s": total / wall_s, "peak_mib": used.ru_maxrss / 1024}
    row = {"samples_a_problem": samples, "samples": total, "passed": passed, **pace}
    print(f"  {row}", file=sys.stderr, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", default="20,200,20")
    parser.add_argument("--sandbox", default="docker")
    parser.add_argument("--out")
    asked = parser.parse_args()
    os.environ.setdefault("QCEVAL_DATA", str(SHARED / "data"))
    WORK.mkdir(parents=True, exist_ok=True)
    run(1, asked.sandbox)  # references
    rows = [run(int(samples), asked.sandbox) for samples in asked.samples.split(",")]
    report("many samples", rows, asked.out)


main()
