"""10,000 answers scored by each rule for texts, on one core, beside the plain formulas.

    .venv/bin/python tests/perf/metrics.py [--pairs 10000] [--plain 500] [--out OUT.json]

Pairs are lines and middles of santacoder_fim and humaneval_infilling below $QCEVAL_DATA, each against itself with a few
characters changed. Plain: Levenshtein's and the longest common subsequence's tables, and difflib, in Python.
"""

from __future__ import annotations

import argparse
import difflib
import gzip
import json
import os
import random
import resource
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from measure import alternate, report

from qwencoder_eval.config import data_folder
from qwencoder_eval.sandboxes.none import UnneededBackend
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.matches import MatchScorer
from qwencoder_eval.types import Problem

FILES = ("santacoder_fim/train.jsonl.gz", "humaneval_infilling/HumanEval-MultiLineInfilling.jsonl.gz")
SUITES = {
    "humaneval-fim": ("line",),
    "crosscodeeval": ("qwen", "cceval"),
    "crosscodelongeval": ("qwen",),
    "repoeval": ("qwen", "repoeval"),
}
LONGEST = 900  # characters: beyond similarity.MOST_PAIRS there is no difflib
SIGNS = "abcxyz_ =()[].,:'\"\n    0123"
POOL = Pool(UnneededBackend(), 1)
Pair = tuple[Problem, str]


def pairs(count: int) -> list[Pair]:
    draw = random.Random(0)
    targets = []
    for name in FILES:
        with gzip.open((data_folder() or Path()) / name, "rt") as file:
            found = (json.loads(line)["canonical_solution"] for line in file)
            targets += [target for target in found if len(target) < LONGEST]
    asked = []
    for target in draw.choices(targets, k=count):
        answer = list(target)
        for _ in range(draw.choice((0, 0, 1, 3, 10))):
            at = draw.randrange(len(answer) + 1)
            answer[at : at + draw.choice((0, 1, 4))] = draw.choices(SIGNS, k=draw.choice((0, 1, 4)))
        asked.append((Problem("p", {}, {"target": target}), "".join(answer)))
    return asked


def ours(rule: str, asked: Sequence[Pair]) -> list[dict[str, float]]:
    scorer = MatchScorer("check", rule)
    return [dict(scorer.score(problem, answer, None, POOL).measures) for problem, answer in asked]


def timed(work: Callable[[], Any]) -> Callable[[], dict[str, Any]]:
    def run() -> dict[str, Any]:
        before = resource.getrusage(resource.RUSAGE_SELF)
        result = work()
        after = resource.getrusage(resource.RUSAGE_SELF)
        return {"wall_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, "result": result}

    return run


def levenshtein(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for at, sign in enumerate(one, 1):
        before, row = row, [at]
        for place, wanted in enumerate(other):
            row.append(min(before[place] + (sign != wanted), before[place + 1] + 1, row[place] + 1))
    return row[-1]


def common(one: str, other: str) -> int:
    row = [0] * (len(other) + 1)
    for sign in one:
        before, row = row, [0]
        for place, wanted in enumerate(other):
            row.append(before[place] + 1 if sign == wanted else max(before[place + 1], row[place]))
    return row[-1]


def ratio(answer: str, target: str) -> float:
    answer, target = answer.strip(), target.strip()
    length = len(answer) + len(target)
    apart = length - 2 * common(answer, target)
    return round(100 * (1 - apart / length if length else 1.0)) / 100


def similarity(answer: str, target: str) -> float:
    longer = max(len(answer), len(target))
    return 1 - levenshtein(answer, target) / longer if longer else 0.0


def without_comments(text: str) -> str:
    return "\n".join(line.partition("#")[0].partition("//")[0] for line in text.split("\n"))


def plain(rule: str, asked: Sequence[Pair]) -> list[dict[str, float]]:
    """The similarities alone, which are what costs; of cceval's rule without the identifiers."""
    found = []
    for problem, answer in asked:
        target = problem.tests["target"]
        if rule == "line":
            measures = {"es": ratio(answer, target)}
        elif rule == "qwen":
            measures = {"es": ratio(answer, target), "es_repoeval": similarity(answer.strip(), target.strip())}
        elif rule == "cceval":
            one, other = (without_comments(text).strip() for text in (answer, target))
            measures = {"es": round(100 * difflib.SequenceMatcher(None, one, other).ratio()) / 100}
        else:
            wanted = [line.strip() for line in target.splitlines() if line.strip()]
            kept = [line.strip() for line in answer.splitlines() if line.strip()][: len(wanted)]
            measures = {"es": similarity("\n".join(kept), "\n".join(wanted))}
        found.append(measures)
    return found


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--pairs", type=int, default=10_000)
    options.add_argument("--plain", type=int, default=500)
    options.add_argument("--out")
    given = options.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    asked = pairs(given.pairs)
    few = asked[: given.plain]
    rules = list(dict.fromkeys(rule for suite in SUITES.values() for rule in suite))
    sides: dict[str, Callable[[], dict[str, Any]]] = {}
    for rule in rules:
        sides[rule] = timed(lambda rule=rule: ours(rule, asked))
        sides[f"{rule}, few"] = timed(lambda rule=rule: ours(rule, few))
        sides[f"{rule}, plain"] = timed(lambda rule=rule: plain(rule, few))
    found = alternate(sides)
    rows = []
    for rule in rules:
        mine, theirs = found[f"{rule}, few"], found[f"{rule}, plain"]
        for one, other in zip(mine["result"], theirs["result"], strict=True):
            if any(one[name] != value for name, value in other.items()):
                sys.exit(f"{rule}: {one} is not {other}")
        rows.append(
            {
                "rule": rule, f"{given.pairs} pairs, CPU s": found[rule]["wall_s"],
                f"{given.plain} pairs, CPU s": mine["wall_s"], "plain formulas, CPU s": theirs["wall_s"],
                "times": theirs["wall_s"] / mine["wall_s"], "results": "equal",
            }
        )  # fmt: skip
    for suite, its_rules in SUITES.items():
        total = sum(found[rule]["wall_s"] for rule in its_rules)
        rows.append({"rule": f"{suite}: {' and '.join(its_rules)}", f"{given.pairs} pairs, CPU s": total})
    total = sum(found[rule]["wall_s"] for rule in rules)
    rows.append({"rule": "all rules", f"{given.pairs} pairs, CPU s": total})
    lengths = sorted(len(problem.tests["target"]) for problem, _ in asked)
    title = f"{given.pairs} answers on one core, targets of {lengths[len(lengths) // 2]} characters (median)"
    report(f"{title}, {lengths[len(lengths) * 99 // 100]} (99 %)", rows, given.out)


if __name__ == "__main__":
    main()
