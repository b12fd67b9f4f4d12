"""BigCodeBench's hard solutions: `qceval score` beside one fresh Python process a solution, two at a time.

    .venv/bin/python tests/perf/suites.py [--rounds 3] [--out OUT.json]

Needs a Docker engine, and the rows and recorded outputs beside the checkout. The fresh processes run in one container
of the same image, with the same libraries, without a container of their own each: what upstream's local executor costs
at the least. Four solutions wait for minutes, for a server or a web page, and are left out on both sides (``--waiting``
adds a pair of figures with them). Six more work for seconds themselves, train networks or make keys, which costs both
sides the same: the second pair is without them. Peak memory is that of all containers together, without file cache.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import docker
from measure import ROUNDS, Command, alternate, report

from qwencoder_eval.benchmark import profile
from qwencoder_eval.registry import discover
from qwencoder_eval.sandboxes.images import tag
from qwencoder_eval.types import Completion

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT.parent / "shared" / "recorded" / "qwen2.5-coder-1.5b-base" / "bigcodebench" / "hard"
WORK = ROOT / "build" / "perf" / "suites"
BENCH = "bigcodebench-complete-hard"
WAITING = {17, 177, 590, 1040}
WORKING = {82, 99, 417, 418, 461, 587}
LIMIT_S = 243
# In the container: what upstream does for one solution, and two of them at a time.
ONE = """
import os, sys, unittest
os.environ["TZ"] = "UTC"
import matplotlib.pyplot
with open(sys.argv[1]) as file:
    source = file.read()
space = {"__name__": "__test__"}
exec(compile(source, "__test__.py", "exec"), space)
found = unittest.TestResult()
unittest.TestLoader().loadTestsFromTestCase(space["TestCases"]).run(found)
os._exit(bool(found.failures or found.errors))
"""
ALL = f"""
import concurrent.futures, os, subprocess, sys, tempfile
def run(name):
    with tempfile.TemporaryDirectory() as folder:
        quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return subprocess.run([sys.executable, "/perf/one.py", "/perf/" + name], cwd=folder, timeout={LIMIT_S},
                                  **quiet).returncode == 0
        except subprocess.TimeoutExpired:
            return False
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    print(sum(pool.map(run, sorted(name for name in os.listdir("/perf") if name.startswith("solution")))))
"""


class Watch:
    """The most memory that containers with a label had at one time (bytes), looked at while a side runs."""

    def __init__(self, label: str) -> None:
        self.client, self.label, self.peak = docker.from_env(), label, 0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.look)

    def look(self) -> None:
        while not self.stopped.wait(0.5):
            total = 0
            for each in self.client.containers.list(filters={"label": self.label}):
                with contextlib.suppress(docker.errors.APIError, KeyError, ValueError):  # it has just gone
                    memory = each.stats(stream=False)["memory_stats"]
                    total += memory["usage"] - memory["stats"].get("total_inactive_file", 0)
            self.peak = max(self.peak, total)

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.thread.join()


def write(name: str, left_out: set[int]) -> Path:
    """The samples, and for the other side the programs, in folders of their own. The file of the samples."""
    chosen = profile(discover().load(BENCH), "qwen")
    problems = {problem.id: problem for problem in chosen.problems(offline=True)}
    folder = WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("solution*"):
        old.unlink()
    rows = [json.loads(line) for line in gzip.decompress((RECORDED / "completion.jsonl.gz").read_bytes()).splitlines()]
    for row in rows:
        problem = problems[row["task_id"]]
        number = int(row["task_id"].rpartition("/")[2])
        if number in left_out:
            row["solution"] = ""
            continue
        code = chosen.scoring.extract(problem, Completion(row["solution"], "whole")) or ""
        source = f"{problem.tests['before']}{code}\n{problem.tests['tests']}"
        (folder / f"solution-{number:04}.py").write_text(source)
    (folder / "one.py").write_text(ONE)
    (folder / "all.py").write_text(ALL)
    samples = WORK / f"{folder.name}.jsonl"
    samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return samples


def ours(samples: Path) -> dict[str, Any]:
    subprocess.run(["rm", "-rf", WORK / "results", WORK / "cache"], check=True)
    command = [
        sys.executable, "-m", "qwencoder_eval", "score", "--bench", BENCH, "--profile", "qwen", "--samples",
        str(samples), "--out", str(WORK / "results"), "--workers", "2", "--sandbox", "docker", "--json",
    ]  # fmt: skip
    with Watch("qceval") as watch:
        found = Command(command, env={"QCEVAL_CACHE": str(WORK / "cache")}).run()
    passed = json.loads(found["out"])["outcomes"][BENCH]["passed"]
    return {"wall_s": found["wall_s"], "passed": passed, "peak_mib": watch.peak / 2**20}


def fresh(folder: Path) -> dict[str, Any]:
    began = time.perf_counter()
    command = [
        "docker", "run", "--rm", "--network", "none", "--label", "perf-fresh", "--volume", f"{folder}:/perf:ro",
        "--env", "OMP_NUM_THREADS=1", "--env", "HOME=/tmp", "--entrypoint", "python3", tag("bigcodebench"),
        "/perf/all.py",
    ]  # fmt: skip
    with Watch("perf-fresh") as watch:
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return {"wall_s": time.perf_counter() - began, "passed": int(ran.stdout), "peak_mib": watch.peak / 2**20}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--waiting", action="store_true", help="Also with those that wait.")
    options.add_argument("--out")
    given = options.parse_args()
    os.makedirs(WORK, exist_ok=True)
    rows = []
    pairs: list[tuple[str, set[int]]] = [("all", set())] if given.waiting else []
    pairs += [("without the 4 that wait", WAITING), ("without the 6 that work, too", WAITING | WORKING)]
    for title, left_out in pairs:
        samples = write(f"without-{len(left_out)}", left_out)
        folder = WORK / samples.stem
        found = alternate({"qceval": lambda s=samples: ours(s), "fresh": lambda f=folder: fresh(f)}, given.rounds)
        qceval, plain = found["qceval"], found["fresh"]
        rows.append(
            {
                "solutions": title, "qceval s": qceval["wall_s"], "a process each s": plain["wall_s"],
                "ratio": plain["wall_s"] / qceval["wall_s"], "passed": f"{qceval['passed']:g} and {plain['passed']:g}",
                "peak MiB": f"{qceval['peak_mib']:.0f} and {plain['peak_mib']:.0f}",
            }
        )  # fmt: skip
    report("BigCodeBench hard, 148 solutions", rows, given.out, given.rounds)


if __name__ == "__main__":
    main()
