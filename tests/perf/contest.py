"""A problem with 40 tests on standard input: CPU time in the sandbox beside that of the program alone.

    .venv/bin/python tests/perf/contest.py [--rounds 3] [--out OUT.json]

Three programs: one that does next to nothing, one that sorts 20,000 numbers, one that searches for a tenth of a second.
Alone means ``python3 main.py < input`` for each test, with nothing around it, the interpreter's start included. Ours is
what the sandbox's control group counted over the same 40 tests: the forks, the agent that watches, the reading of
answers. The rule puts a program into a function, where Python's variables are faster: part of what the third one gains.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import ROUNDS, alternate, report

from qwencoder_eval.sandboxes.choose import backend
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.contest import ContestScorer
from qwencoder_eval.types import Outcome, Problem, Program, Result

TESTS = 40
PROGRAMS = {
    "adds two numbers": "a, b = map(int, input().split())\nprint(a + b)\n",
    "sorts 20,000 numbers": "import sys\nnumbers = sorted(map(int, sys.stdin.read().split()))\nprint(*numbers)\n",
    "searches for 0.1 s": (
        "n = int(input())\nfound = 0\nfor i in range(n):\n    if (i * i + 7) % 1009 == 3:\n        found += 1\n"
        "print(found)\n"
    ),
}


def inputs(name: str) -> list[str]:
    dice = random.Random(7)
    if name.startswith("adds"):
        return [f"{dice.randrange(10**6)} {dice.randrange(10**6)}\n" for _ in range(TESTS)]
    if name.startswith("sorts"):
        return [" ".join(str(dice.randrange(10**9)) for _ in range(20_000)) + "\n" for _ in range(TESTS)]
    return [f"{1_300_000 + number}\n" for number in range(TESTS)]


class Counting:
    """The sandboxes, and the CPU seconds that their control groups counted."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.cpu_s = pool, 0.0

    def run(self, program: Program, decided: Any = None) -> Result:
        result = self.pool.run(program, decided)
        self.cpu_s += result.cpu_s
        return result

    run_alone = run


def alone(source: str, texts: list[str]) -> tuple[dict[str, Any], list[str]]:
    outputs = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "main.py"
        file.write_text(source)
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        for text in texts:
            ran = subprocess.run(
                ["/usr/bin/python3", str(file)], input=text, text=True, capture_output=True, check=True
            )
            outputs.append(ran.stdout)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": time.perf_counter() - began, "cpu_s": cpu_s}, outputs


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--out")
    given = options.parse_args()
    rows = []
    with Pool(backend("docker"), 1) as pool:
        for name, source in PROGRAMS.items():
            texts = inputs(name)
            _, outputs = alone(source, texts)
            tests = [{"input": text, "output": output} for text, output in zip(texts, outputs, strict=True)]
            problem = Problem("p", {}, {"public": json.dumps(tests), "private": "[]", "method": ""})

            def ours(problem: Problem = problem, source: str = source) -> dict[str, Any]:
                counting, began = Counting(pool), time.perf_counter()
                found = ContestScorer("contest").score(problem, source, None, counting)
                if found.checks["contest"] is not Outcome.PASSED:
                    sys.exit(f"{source}: {found}")
                return {"wall_s": time.perf_counter() - began, "cpu_s": counting.cpu_s}

            def theirs(source: str = source, texts: list[str] = texts) -> dict[str, Any]:
                return alone(source, texts)[0]

            ours()  # starts the sandbox
            found = alternate({"qceval": ours, "alone": theirs}, given.rounds)
            rows.append(
                {
                    "program": name, "qceval CPU s": found["qceval"]["cpu_s"], "alone CPU s": found["alone"]["cpu_s"],
                    "ratio": found["qceval"]["cpu_s"] / found["alone"]["cpu_s"],
                    "qceval wall s": found["qceval"]["wall_s"], "alone wall s": found["alone"]["wall_s"],
                }
            )  # fmt: skip
    report(f"{TESTS} tests on standard input", rows, given.out, given.rounds)


if __name__ == "__main__":
    main()
