"""CRUXEval's recorded answers: `qceval score` beside one fresh Python process an answer, two at a time.

    .venv/bin/python tests/perf/answers.py [--rounds 3] [--out OUT.json]

Needs the rows and the recorded outputs beside the checkout. A fresh process runs ``assert VALUE == ANSWER`` behind the
function, as upstream does, under the same three seconds of CPU time. Answers that never end cost both sides those three
seconds; they are in one pair of figures and not in the other.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from measure import ROUNDS, Command, alternate, report

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
WORK = ROOT / "build" / "perf" / "answers"
LIMIT_S = 3


def programs(side: str, answers: dict[str, list[str]]) -> list[str]:
    """What upstream would run for each answer that it does not refuse."""
    rows = [json.loads(line) for line in (SHARED / "data" / "cruxeval" / "cruxeval.jsonl").read_text().splitlines()]
    found = []
    for row in rows:
        if row["id"] in answers:
            (answer,) = answers[row["id"]]
            refused = "f(" not in answer if side == "input" else f"f({row['input']})" in answer
            if not refused:
                found.append(f"{row['code']}\nassert {row['output']} == {answer}")
    return found


def fresh(sources: list[str]) -> dict[str, Any]:
    """Seconds for a Python process each, and how many of them succeed."""

    def run(source: str) -> bool:
        limited = lambda: resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))  # noqa: E731
        ran = subprocess.run(
            [sys.executable, "-I", "-"], input=source, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=limited, check=False,
        )  # fmt: skip
        return ran.returncode == 0

    began = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        passed = sum(pool.map(run, sources))
    return {"wall_s": time.perf_counter() - began, "passed": passed}


def ours(files: dict[str, Path]) -> dict[str, Any]:
    """Seconds of the command that scores both, with nothing known beforehand."""
    subprocess.run(["rm", "-rf", WORK / "results", WORK / "cache"], check=True)
    samples = [part for file in files.values() for part in ("--samples", str(file))]
    command = [
        sys.executable, "-m", "qwencoder_eval", "score", "--bench", "cruxeval-i,cruxeval-o", "--profile",
        "cruxeval-cot", *samples, "--out", str(WORK / "results"), "--workers", "2", "--json",
    ]  # fmt: skip
    found = Command(command, env={"QCEVAL_CACHE": str(WORK / "cache")}).run()
    passed = sum(sum(own["passed"] for own in each["outcomes"].values()) for each in json.loads(found["out"]))
    return {"wall_s": found["wall_s"], "passed": passed}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--out")
    given = options.parse_args()
    os.makedirs(WORK, exist_ok=True)
    rows = []
    for title, endless in (("all answers", True), ("those that end", False)):
        files, sources = {}, []
        for side in ("input", "output"):
            folder = SHARED / "recorded" / "qwen2.5-coder-1.5b-base" / "cruxeval" / f"{side}-cot"
            answers = json.loads((folder / "completion.json").read_text())
            if not endless and side == "input":  # an answer that is no Python stands for one that never ends
                answers |= {f"sample_{number}": ["f("] for number in (63, 131, 520, 755)}
            files[side] = WORK / f"{side}.json"
            files[side].write_text(json.dumps(answers))
            sources += programs(side, answers)
        found = alternate({"qceval": lambda f=files: ours(f), "fresh": lambda s=sources: fresh(s)}, given.rounds)
        qceval, plain = found["qceval"], found["fresh"]
        rows.append(
            {
                "answers": title, "qceval s": qceval["wall_s"], "a process each s": plain["wall_s"],
                "ratio": plain["wall_s"] / qceval["wall_s"], "passed": f"{qceval['passed']:g} and {plain['passed']:g}",
            }
        )  # fmt: skip
    report("CRUXEval, 1,600 answers", rows, given.out, given.rounds)


if __name__ == "__main__":
    main()
