"""Spider's comparison of two results, beside upstream's way of trying permutations: seconds for growing columns.

    .venv/bin/python tests/perf/denotations.py [--rows 1000] [--limit 10] [--rounds 3] [--out OUT.json]

Equal results with columns and rows shuffled, and results in which two values of one row changed places. Upstream's way
is written anew: rows sorted by the texts of their values are compared first, then permutations that 20 sampled rows
allow, each as a set and then as a bag. It is stopped after ``--limit`` seconds, and wider results of that kind are not
given to it.
"""

from __future__ import annotations

import argparse
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from measure import ROUNDS, alternate, report

from qwencoder_eval.scoring.denotations import bird_ex, bird_soft_f1, spider

Row = tuple[Any, ...]
WIDTHS = (2, 4, 6, 8, 10, 12)


def tried(gold: list[Row], answer: list[Row], limit_s: float) -> str:
    """Upstream's verdict, or that it took too long."""
    ends, width = time.perf_counter() + limit_s, len(gold[0])
    if {sorted_row(row) for row in gold} != {sorted_row(row) for row in answer}:
        return "unequal"
    held = [{row[column] for row in gold} for column in range(width)]
    allowed = [set(range(width)) for _ in held]
    for row in random.choices(answer, k=20):
        for column, others in enumerate(allowed):
            others -= {other for other in others if row[other] not in held[column]}
    wanted = set(gold)
    for count, order in enumerate(itertools.product(*allowed)):
        if count % 256 == 0 and time.perf_counter() > ends:
            return "stopped"
        if len(set(order)) < width:
            continue
        if time.perf_counter() > ends:
            return "stopped"
        turned = [tuple(row[other] for other in order) for row in answer]
        if set(turned) == wanted and Counter(turned) == Counter(gold):
            return "equal"
    return "unequal"


def sorted_row(row: Row) -> Row:
    return tuple(sorted(row, key=lambda value: str(value) + str(type(value))))


def ours(gold: list[Row], answer: list[Row]) -> str:
    return "equal" if spider(gold, answer, ordered=False) else "unequal"


def made(kind: str, rows: int, width: int, rng: random.Random) -> list[Row]:
    if kind == "names":  # columns share no value: upstream's samples leave one permutation
        return [tuple(f"{column}-{rng.randrange(rows)}" for column in range(width)) for _ in range(rows)]
    if kind == "numbers":  # each column holds the same numbers in an order of its own
        return list(zip(*(rng.sample(range(rows), rows) for _ in range(width)), strict=True))
    return [tuple(rng.randrange(2) for _ in range(width)) for _ in range(rows)]


def shuffled(rows: list[Row], rng: random.Random) -> list[Row]:
    order = rng.sample(range(len(rows[0])), len(rows[0]))
    return rng.sample([tuple(row[column] for column in order) for row in rows], len(rows))


def swapped(rows: list[Row]) -> list[Row]:
    """The first two values of a row change places: what rows hold is as before, what columns hold is not."""
    at = next(at for at, row in enumerate(rows) if row[0] != row[1])
    return [*rows[:at], (rows[at][1], rows[at][0], *rows[at][2:]), *rows[at + 1 :]]


def timed(rule: Callable[..., Any], *given: Any) -> Callable[[], dict[str, Any]]:
    def side() -> dict[str, Any]:
        began = time.perf_counter()
        found = rule(*given)
        return {"wall_s": time.perf_counter() - began, "found": found}

    return side


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=1000)
    options.add_argument("--limit", type=float, default=10, help="seconds")
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--out")
    given = options.parse_args()
    rng, table = random.Random(0), []
    for kind, change in itertools.product(("names", "numbers", "bits"), ("shuffled", "swapped")):
        stopped = False
        for width in WIDTHS:
            gold = made(kind, given.rows, width, rng)
            answer = shuffled(gold if change == "shuffled" else swapped(gold), rng)
            sides = {"ours": timed(ours, gold, answer)}
            if not stopped:
                sides["upstream"] = timed(tried, gold, answer, given.limit)
            found = alternate(sides, given.rounds)
            theirs = found.get("upstream", {"wall_s": "", "found": "not run"})
            stopped = theirs["found"] in ("stopped", "not run")
            seconds = theirs["wall_s"] if theirs["wall_s"] == "" else round(theirs["wall_s"], 4)
            row = {"values": kind, "answer": change, "columns": width, "ours s": f"{found['ours']['wall_s']:.4f}"}
            row |= {"ours": found["ours"]["found"], "upstream's way s": f"{seconds}", "upstream's way": theirs["found"]}
            table.append(row)
    gold = made("numbers", 10_000, 12, rng)
    one = [(1,) * 100] * 10_000
    large = {
        "12 x 10,000 spider": timed(ours, gold, shuffled(gold, rng)),
        "12 x 10,000 spider, two values of a row swapped": timed(ours, gold, shuffled(swapped(gold), rng)),
        "12 x 10,000 soft F1": timed(bird_soft_f1, gold, shuffled(gold, rng)),
        "12 x 10,000 EX": timed(bird_ex, gold, shuffled(gold, rng)),
        "100 x 10,000 of 1 against 1.0, spider": timed(ours, one, [(1.0,) * 100] * 10_000),
        "100 x 10,000 of 1, soft F1": timed(bird_soft_f1, one, list(one)),
    }
    for name, side in alternate(large, given.rounds).items():
        table.append({"values": name, "ours s": f"{side['wall_s']:.4f}", "ours": side["found"]})
    report(f"results of {given.rows} rows, limit {given.limit:g} s", table, given.out, given.rounds)


if __name__ == "__main__":
    main()
