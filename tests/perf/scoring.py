"""Whole files of recorded outputs: qceval beside evalplus.evaluate and beside a bare loop of forks.

    python tests/perf/scoring.py --evalplus VENV/bin/evalplus.evaluate [--bench humaneval,mbpp] [--out OUT.json]

Two workers on each side, expected outputs cached on each side, our verdict cache cold, one timeout rule: the larger of
1 second and 4 times the reference's. Twice: the whole file, and with the programs that never end replaced by one that
fails at once. The bare loop forks one process per sample under the same limits, with no sandbox (see bare_loop.py).
Without --evalplus its side is left out.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from measure import Command, alternate, report

SHARED = Path(__file__).resolve().parents[3] / "shared"
WORK = Path("build/perf").resolve()
ROWS = {
    "humaneval": ("humanevalplus/v0.1.9/HumanEvalPlus.jsonl.gz", "HUMANEVAL_OVERRIDE_PATH"),
    "mbpp": ("mbppplus/MbppPlus-v0.1.0.jsonl.gz", "MBPP_OVERRIDE_PATH"),
}
HERE = Path(__file__).parent


def qceval(bench: str, samples: Path, *more: str) -> Command:
    argv = [
        sys.executable,
        "-m",
        "qwencoder_eval",
        "score",
        "--bench",
        bench,
        "--profile",
        "qwen",
        "--sandbox",
        "docker",
    ]
    argv += ["--workers", "2", "--samples", str(samples), "--out", str(WORK / "results"), "--json", *more]
    env = {"QCEVAL_CACHE": str(WORK / "cache")}
    return Command(argv, forget, env)


def forget() -> None:
    """Earlier runs and verdicts; what the references answered stays."""
    shutil.rmtree(WORK / "results", ignore_errors=True)
    for path in (WORK / "cache").glob("verdicts.sqlite*"):
        path.unlink()


def evalplus(executable: str, bench: str, samples: Path) -> Command:
    file, variable = ROWS[bench]
    data = WORK / Path(file).name.removesuffix(".gz")
    with gzip.open(SHARED / "data" / file) as packed:
        data.write_bytes(packed.read())
    results = samples.with_name(samples.stem + "_eval_results.json")
    argv = [executable, "--dataset", bench, "--samples", str(samples), "--parallel", "2"]
    env = {variable: str(data), "HOME": str(WORK / "home")}
    return Command(argv, lambda: results.unlink(missing_ok=True), env, results)


def bare(bench: str, samples: Path) -> Command:
    expected = WORK / f"{bench}.pickle"
    return Command([sys.executable, str(HERE / "bare_loop.py"), bench, "qwen", str(samples), str(expected), "2"])


def without_endless(bench: str, samples: Path) -> tuple[Path, int]:
    """The file with an answer that fails at once for every program that never ends, and how many those are."""
    run = Path(json.loads(qceval(bench, samples).run()["out"])["run"])
    verdicts = [json.loads(line) for line in (run / "verdicts.jsonl").read_text().splitlines()]
    endless = {row["problem"] for row in verdicts if "timeout" in row["checks"].values()}
    target = samples.with_name(f"{bench}-that-end.jsonl")
    with target.open("w") as file:
        for line in samples.read_text().splitlines():
            row = json.loads(line)
            if row["task_id"] in endless:
                row["completion"] = "raise ValueError\n"
            file.write(json.dumps(row) + "\n")
    return target, len(endless)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--evalplus")
    parser.add_argument("--bench", default="humaneval,mbpp")
    parser.add_argument("--out")
    asked = parser.parse_args()
    os.environ.setdefault("QCEVAL_DATA", str(SHARED / "data"))
    (WORK / "home").mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for bench in asked.bench.split(","):
        samples = WORK / f"{bench}.jsonl"
        recorded = SHARED / "recorded" / "qwen2.5-coder-1.5b-base" / "evalplus" / bench / "generated.jsonl"
        shutil.copy(recorded, samples)
        ending, endless = without_endless(bench, samples)  # and our references are cached from here on
        for title, file in (("that end", ending), ("whole file", samples)):
            commands = {"qceval": qceval(bench, file)}
            if title == "that end":
                commands["bare loop"] = bare(bench, file)
            if asked.evalplus:
                commands["evalplus 0.3.1"] = evalplus(asked.evalplus, bench, file)
            for name, command in commands.items():
                if name != "qceval" and title == "that end":
                    command.run()  # their expected outputs
            found = alternate({name: command.run for name, command in commands.items()})
            again = qceval(bench, file)
            again.before = lambda: None
            found["qceval again"] = alternate({"again": again.run})["again"]
            for name, row in found.items():
                ratio = row["wall_s"] / found["qceval"]["wall_s"]
                rounds = " ".join(map(str, row["wall_s_all"]))
                what = f"{bench}, {title}" + (f" ({endless} do not)" if title == "that end" else "")
                rows.append({"what": what, "side": name, "wall_s": row["wall_s"], "to_qceval": ratio, "rounds": rounds})
                if name == "bare loop":
                    rows[-1]["loop_alone_s"] = json.loads(row["out"])["loop_s"]
                if "result_s" in row:  # EvalPlus ends up to 20 s after its results: a thread of its own sleeps
                    rows[-1]["result_s"] = row["result_s"]
        report("scoring recorded outputs of Qwen2.5-Coder-1.5B, two workers", rows, asked.out)


main()
