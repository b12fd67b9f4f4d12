"""`qceval compare` of two runs of 1,140 problems with 10 samples each: seconds of the whole command.

    .venv/bin/python tests/perf/compare.py [--problems 1140] [--samples 10] [--out OUT.json]

Beside it what reading the two runs' rows costs with nothing but ``json``.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

from measure import Command, alternate, report

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from made_runs import made_run

READ = """
import json, sys
for run in sys.argv[1:]:
    for name in ("verdicts.jsonl", "completions.jsonl"):
        for line in open(f"{run}/{name}"):
            json.loads(line)
"""


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--problems", type=int, default=1140)
    options.add_argument("--samples", type=int, default=10)
    options.add_argument("--out")
    given = options.parse_args()
    rng = random.Random(0)
    rates = [rng.betavariate(0.5, 0.5) for _ in range(given.problems)]
    texts = {f"p{at}": "    return 1\n" * 40 for at in range(given.problems)}
    with tempfile.TemporaryDirectory() as folder:
        runs = []
        for name, factor in (("base", 1.0), ("new", 0.95)):
            outcomes = {
                f"p{at}": [
                    {"bench": "passed" if rng.random() < factor * rate else "wrong"} for _ in range(given.samples)
                ]
                for at, rate in enumerate(rates)
            }
            evidence = {problem: {"got": "x" * 300} for problem in texts}
            runs.append(str(made_run(Path(folder) / name, outcomes, texts=texts, evidence=evidence)))
        ours = Command([sys.executable, "-m", "qwencoder_eval", "compare", *runs, "--json"])
        found = alternate({"qceval compare": ours.run, "json alone": Command([sys.executable, "-c", READ, *runs]).run})
        (test,) = json.loads(found["qceval compare"]["out"])["comparisons"]
    rows = [
        {"what": name, "wall s": round(one["wall_s"], 2), "rounds": one["wall_s_all"]} for name, one in found.items()
    ]
    rows.append({"what": f"difference {100 * test['difference']:+.1f}, p {test['p']:.1g}, {len(test['flips'])} flips"})
    report(f"{given.problems} problems, {given.samples} samples each, on both sides", rows, given.out)


if __name__ == "__main__":
    main()
