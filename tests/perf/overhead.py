"""What a warm sandbox adds to a program that does nothing, beside a bare fork that does the same.

python tests/perf/overhead.py [OUT.json]
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from typing import Any

from measure import ROUNDS, alternate, report

from qwencoder_eval.sandboxes.base import Sandbox
from qwencoder_eval.sandboxes.choose import backend
from qwencoder_eval.sandboxes.languages import language
from qwencoder_eval.types import Calls, Program

SOURCE = "def f(x):\n    return x\n"
PROGRAM = Program("python", {"main.py": SOURCE}, calls=Calls("f", "[[1]]", [1.0]))
COUNT = 500


def timed(run: Any) -> dict[str, Any]:
    took = []
    for _ in range(COUNT):
        started = time.perf_counter()
        run()
        took.append(time.perf_counter() - started)
    found = {"median_ms": 1000 * statistics.median(took), "p99_ms": 1000 * sorted(took)[int(COUNT * 0.99)]}
    return {"wall_s": sum(took), **found}


def fork() -> None:
    """One process: compile, load, call, exit."""
    child = os.fork()
    if child == 0:
        names: dict[str, Any] = {}
        exec(compile(SOURCE, "<string>", "exec"), names)
        names["f"](1)
        os._exit(0)
    os.waitpid(child, 0)


def main() -> None:
    sides: dict[str, Any] = {"bare fork": lambda: timed(fork)}
    opened: list[Sandbox] = []
    for name in ("docker", "namespaces"):
        made = backend(name)
        if reason := made.why_not():
            print(f"{name}: left out, {reason}", file=sys.stderr)
            continue
        sandbox = made.sandbox(language("python"), 1 << 30)
        sandbox.start()
        opened.append(sandbox)
        for _ in range(50):
            assert sandbox.run(PROGRAM).answers.endswith(b'{"value": 1}\n')
        sides[name] = lambda sandbox=sandbox: timed(lambda: sandbox.run(PROGRAM))
    found = alternate(sides, ROUNDS)
    for sandbox in opened:
        sandbox.stop()
    bare = found["bare fork"]["median_ms"]
    rows = [
        {"side": name, "median_ms": row["median_ms"], "p99_ms": row["p99_ms"], "over_fork_ms": row["median_ms"] - bare}
        for name, row in found.items()
    ]
    report("a trivial program, round trip", rows, sys.argv[1] if len(sys.argv) > 1 else None)


main()
