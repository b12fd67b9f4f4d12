"""Spider's development set, 1,034 recorded predictions: `qceval score` beside a fresh Python process a question.

    .venv/bin/python tests/perf/queries.py [--rounds 3] [--questions N] [--sandbox docker] [--upstream DIR]
        [--upstream-python PYTHON] [--out OUT.json]

Needs the rows, the databases and the recorded predictions beside the checkout. Cold is with nothing cached, gold known
with the results of the gold queries kept from an earlier run and every prediction run again. The other side is
upstream's way at its cheapest: a process that imports nothing but sqlite3 and re, runs gold and prediction on every
database of the folder without any sandbox, and compares the results as upstream's exec_eval.py does, under the rule
that keeps DISTINCT; two at a time. With --upstream, a checkout of taoyds/test-suite-sql-eval at e97acc5, it is
upstream's own ``eval_exec_match`` in a fresh process a question, by a Python that has sqlparse, nltk and tqdm.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from measure import ROUNDS, Command, alternate, report

from qwencoder_eval.benchmark import profile
from qwencoder_eval.datasets import assets
from qwencoder_eval.registry import discover
from qwencoder_eval.types import Problem

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT.parent / "shared" / "recorded" / "din-sql-gpt4" / "DIN-SQL.csv.gz"
WORK = ROOT / "build" / "perf" / "queries"
BENCH, PROFILE, WORKERS = "spider", "distinct-kept", 2
LIMIT_S = 60
# For one question: gold and prediction on each database, and whether some order of the columns makes them equal.
ONE = """
import itertools, json, re, sqlite3, sys
from collections import Counter
gold, answer, *paths = json.loads(sys.argv[1])
def mended(query):
    for spaced, joined in (("> =", ">="), ("< =", "<="), ("! =", "!=")):
        query = query.replace(spaced, joined)
    return re.sub(r"YEAR\\s*\\(\\s*CURDATE\\s*\\(\\s*\\)\\s*\\)\\s*", "2020", query, flags=re.IGNORECASE)
def rows(path, query):
    connection = sqlite3.connect(path)
    connection.text_factory = lambda raw: raw.decode(errors="ignore")
    return connection.execute(mended(query)).fetchall()
def same(first, second, ordered):
    if not first and not second:
        return True
    if len(first) != len(second) or len(first[0]) != len(second[0]):
        return False
    def loose(row):
        return tuple(sorted(row, key=lambda value: str(value) + str(type(value))))
    loosely = [list(map(loose, each)) for each in (first, second)]
    if loosely[0] != loosely[1] if ordered else set(loosely[0]) != set(loosely[1]):
        return False
    columns = range(len(first[0]))
    values = [{row[column] for row in first} for column in columns]
    fits = [[at for at in columns if all(row[at] in values[to] for row in second)] for to in columns]
    for order in itertools.product(*fits):
        if len(set(order)) == len(order):
            turned = [tuple(row[at] for at in order) for row in second]
            if first == turned if ordered else Counter(first) == Counter(turned):
                return True
    return False
try:
    print(int(all(same(rows(path, gold), rows(path, answer), "order by" in gold.lower()) for path in paths)))
except (sqlite3.Error, sqlite3.Warning):
    print(0)
"""


# The same by upstream's own code; evaluation.py imports what it does not need for this, too.
UPSTREAM = """
import json, sys
sys.path.insert(0, sys.argv[2])
from evaluation import eval_exec_match
gold, answer, path, *_ = json.loads(sys.argv[1])
print(eval_exec_match(path, answer, gold, False, True, False))
"""


def questions(count: int) -> list[tuple[Problem, str]]:
    """With nothing in place of the predictions behind the first ``count``: to see whether this runs."""
    problems = profile(discover().load(BENCH), PROFILE).problems(offline=True)
    with gzip.open(RECORDED, "rt", encoding="utf-8", newline="") as file:
        predicted = [row["PREDICTED SQL"] for row in csv.DictReader(file)]
    kept = [text if at < count else "" for at, text in enumerate(predicted)]
    return list(zip(problems, kept, strict=True))


def write(chosen: list[tuple[Problem, str]]) -> Path:
    samples = WORK / "samples.jsonl"
    rows = [{"task_id": problem.id, "solution": text} for problem, text in chosen]
    samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return samples


def ours(samples: Path, sandbox: str, cold: bool) -> dict[str, Any]:
    def before() -> None:
        shutil.rmtree(WORK / "results", ignore_errors=True)
        if cold:
            shutil.rmtree(WORK / "cache", ignore_errors=True)

    command = [
        sys.executable, "-m", "qwencoder_eval", "score", "--bench", BENCH, "--profile", PROFILE, "--samples",
        str(samples), "--out", str(WORK / "results"), "--workers", str(WORKERS), "--sandbox", sandbox, "--no-cache",
        "--json",
    ]  # fmt: skip
    found = Command(command, before, {"QCEVAL_CACHE": str(WORK / "cache")}).run()
    passed = json.loads(found["out"])["outcomes"][BENCH]["passed"]
    return {"wall_s": found["wall_s"], "cpu_s": found["cpu_s"], "passed": passed}


def fresh(chosen: list[tuple[Problem, str]], upstream: str, python: str) -> dict[str, Any]:
    program = [python, "-c", UPSTREAM if upstream else ONE]

    def one(asked: tuple[Problem, str]) -> int:
        problem, answer = asked
        if not answer:
            return 0
        folder = assets.locate(problem.assets[0])
        given = [problem.tests["query"], answer, *(str(folder / path) for path in problem.tests["databases"])]
        try:
            ran = subprocess.run(
                [*program, json.dumps(given), upstream], capture_output=True, text=True, timeout=LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return 0
        return int(ran.stdout or 0)

    began = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as threads:
        passed = sum(threads.map(one, chosen))
    return {"wall_s": time.perf_counter() - began, "passed": passed}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--questions", type=int, default=1034)
    options.add_argument("--sandbox", default="docker")
    options.add_argument("--upstream", default="")
    options.add_argument("--upstream-python", default=sys.executable)
    options.add_argument("--out")
    given = options.parse_args()
    os.makedirs(WORK, exist_ok=True)
    chosen = questions(given.questions)
    samples = write(chosen)
    sides = {
        "cold": lambda: ours(samples, given.sandbox, cold=True),
        "gold known": lambda: ours(samples, given.sandbox, cold=False),  # by the run before
        "fresh": lambda: fresh(chosen, given.upstream, given.upstream_python),
    }
    found = alternate(sides, given.rounds)
    plain = found["fresh"]
    rows = [
        {
            "qceval": name, "s": found[name]["wall_s"], "a process each s": plain["wall_s"],
            "ratio": plain["wall_s"] / found[name]["wall_s"],
            "passed": f"{found[name]['passed']:g} and {plain['passed']:g}", "CPU s": found[name]["cpu_s"],
        }
        for name in ("cold", "gold known")
    ]  # fmt: skip
    report(f"Spider, {given.questions} predictions, {given.sandbox}, {WORKERS} workers", rows, given.out, given.rounds)


if __name__ == "__main__":
    main()
