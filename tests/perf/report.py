"""`qceval report` over 50 runs of 1,000 problems as a whole command, and how soon a browser paints its page.

python tests/perf/report.py [OUT.json]
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import alternate, report

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from made_runs import made_run

RUNS, PROBLEMS = 50, 1000
BROWSER = "/usr/bin/chromium"
# The benchmark of these runs, so that prompts are rebuilt and code is extracted as for any other.
PLUGIN = '''"""Many: a thousand problems."""

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.programs import EXTRACT
from qwencoder_eval.scoring.calls import CallScorer
from qwencoder_eval.types import Continue, Problem, Sampling

TOLD = "Twice x, with many words that say what that is. " * 8
ROWS = tuple({"id": f"many/{at}", "code": f'def twice(x):\\n    """{TOLD}{at}"""\\n'} for at in range(1000))


def prompt(problem):
    return Continue(problem.stub)


class Many(Benchmark):
    name = "many"
    version = "1"
    reference = "original"
    asking = {"greedy": Asking(Rows(inline=ROWS, version="v1"), prompt, Sampling())}
    scoring = {"calls": Scoring(EXTRACT, CallScorer({"many": "inputs", "many+": "inputs"}))}
    profiles = {"p": ("greedy", "calls")}
    decontaminate = ("code",)
    golden = (
        Golden(ROWS[0], "    return x + x\\n", {"many": "passed", "many+": "passed"}),
        Golden(ROWS[0], "    return 2\\n", {"many": "wrong", "many+": "wrong"}),
    )

    def problem(self, row):
        fields = {**row, "entry_point": "twice"}
        return Problem(row["id"], fields, {"entry_point": "twice", "inputs": [[1]]}, stub=row["code"])
'''
BODY = "".join(f"    part_{line} = [x * {line} for _ in range(2)]  # one of several steps\n" for line in range(12))


def make(folder: Path, extract: str) -> tuple[Path, Path]:
    """Runs of 1,000 problems with completions of about 800 characters and evidence where they failed."""
    from qwencoder_eval.benchmark import profile
    from qwencoder_eval.registry import discover

    plugins, results = folder / "plugins", folder / "results"
    plugins.mkdir(parents=True)
    (plugins / "many.py").write_text(PLUGIN.replace("EXTRACT", extract))
    dataset = profile(discover([plugins]).load("many"), "p").dataset_hash
    rng = random.Random(1)
    found = {"input": "[" + "1, " * 60 + "]", "expected": "[2, 4]" * 12, "got": "[1, 2]" * 12, "check": "many"}
    for number in range(RUNS):
        outcomes, texts, evidence = {}, {}, {}
        for at in range(PROBLEMS):
            kind = "passed" if rng.random() < 0.3 + number / 100 else rng.choice(["wrong", "runtime_error", "timeout"])
            outcomes[f"many/{at}"] = [{"many": kind, "many+": kind}]
            texts[f"many/{at}"] = BODY + f"    return {rng.random()} * x\n"
            evidence[f"many/{at}"] = {} if kind == "passed" else found
        size = (0.5, 1.5, 3, 7, 14)[number % 5]
        made_run(
            results, outcomes, model=f"lab-{number // 5}/model-{number // 5}-{size}B", benchmark="many", texts=texts,
            evidence=evidence, dataset=dataset, scoring={"benchmark_version": "1"}, folder="p-v1",
        )  # fmt: skip
    return plugins, results


def timed(plugins: Path, results: Path, out: Path) -> dict[str, Any]:
    """Seconds of the command, peak memory of its largest process, and sizes of what it writes."""
    argv = [
        sys.executable,
        "-m",
        "qwencoder_eval",
        "report",
        str(results),
        "--plugins",
        str(plugins),
        "--out",
        str(out),
    ]
    code = f"import resource, subprocess; subprocess.run({argv!r}, check=True); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    started = time.perf_counter()
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    wall_s = time.perf_counter() - started
    side = out.with_name(f"{out.stem}_files")
    files = list(side.rglob("*.js"))
    return {
        "wall_s": wall_s,
        "peak_mb": int(ran.stdout.splitlines()[-1]) / 1024,
        "html_mb": out.stat().st_size / 1e6,
        "side_mb": sum(file.stat().st_size for file in files) / 1e6,
        "largest_kb": max((file.stat().st_size for file in files), default=0) / 1e3,
    }


def painted(page: Path) -> dict[str, Any]:
    """Milliseconds to the first paint, and until a problem is open, in a fresh browser each time."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        try:
            tab = browser.new_page()
            started = time.perf_counter()
            tab.goto(page.as_uri())
            tab.wait_for_function("performance.getEntriesByType('paint').length > 0")
            wall_s = time.perf_counter() - started
            paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
            first = float(tab.evaluate(paint))
            started = time.perf_counter()
            tab.locator("a.score").first.click()
            tab.locator(".problems a").nth(3).click()
            tab.locator("#viewer-body h3").first.wait_for()
            opened = time.perf_counter() - started
            return {"wall_s": wall_s, "first_paint_ms": first, "problem_opened_ms": 1000 * opened}
        finally:
            browser.close()


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for extract in ("as_program", "sanitized_program"):
            plugins, results = make(Path(folder) / extract, extract)
            page = Path(folder) / f"{extract}.html"
            sides: dict[str, Any] = {f"report, {extract}": lambda p=plugins, r=results, o=page: timed(p, r, o)}
            if Path(BROWSER).exists():
                sides[f"browser, {extract}"] = lambda o=page: painted(o)
            rows += [{"what": name, **found} for name, found in alternate(sides).items()]
    for row in rows:
        row.pop("wall_s_all", None)
    report(f"{RUNS} runs of {PROBLEMS} problems", rows, sys.argv[1] if len(sys.argv) > 1 else None)


if __name__ == "__main__":
    main()
