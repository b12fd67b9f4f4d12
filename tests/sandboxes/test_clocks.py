"""Limits rest on clocks that nobody can set: the one on the wall may jump as it likes."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qwencoder_eval.config import PACKAGE, bundled
from qwencoder_eval.sandboxes.languages import language
from qwencoder_eval.sandboxes.namespaces import NamespacesSandbox

if TYPE_CHECKING:
    from conftest import Place

STEADY = {"monotonic", "process_time", "sleep", "tzset"}
JUMPING = """
import itertools, sys, time
true, jumps = time.time, itertools.cycle([0, 86400 * 3, -86400 * 5, -1.5, -86400 * 9000])
time.time = lambda: true() + next(jumps)
time.time_ns = lambda: int(time.time() * 1e9)
sys.path.insert(0, "/opt/qceval")
import agent
agent.main()
"""


def clocks(file: Path) -> set[str]:
    """What a file uses of ``time``; ``datetime`` counts as well."""
    used = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "time":
            used.add(node.attr)
        if isinstance(node, ast.ImportFrom) and node.module in ("time", "datetime"):
            used |= {alias.name for alias in node.names}
        if isinstance(node, ast.Import) and any(alias.name == "datetime" for alias in node.names):
            used.add("datetime")
    return used


def test_only_steady_clocks_are_read() -> None:
    places = [bundled("sandbox"), *(PACKAGE / name for name in ("sandboxes", "scoring", "stream", "models", "runs"))]
    used = {file.name: clocks(file) - STEADY for place in places for file in place.glob("*.py")}
    assert {name: found for name, found in used.items() if found} == {
        "cache.py": {"time"},  # when a cached document was made: the oldest ones go first
        "openai.py": {"time"},  # a server may say by a date how long it wants to be left alone
        "session.py": {"strftime", "gmtime"},  # when a run was started, for people
        "queries.py": {"strftime", "gmtime"},  # the day, which some gold queries ask for
        "sql_client.py": {"datetime"},  # values of databases
    }


def test_limits_under_a_clock_that_jumps(isolated: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent itself, with another clock on the wall."""
    if isolated.kind == "docker":
        pytest.skip("an image holds the agent as it is")
    made = isolated.small(language("python"))
    assert isinstance(made, NamespacesSandbox)
    plan = json.loads(json.dumps(made.plan()))
    at = plan["agent"].index("/opt/qceval/agent.py")
    plan["agent"][at : at + 1] = ["-c", JUMPING]
    monkeypatch.setattr(made, "plan", lambda: plan)
    made.start()
    try:
        look = "import time\ndef f(): return [time.time() - time.time() for _ in range(5)]"
        assert max(map(abs, isolated.lines(made.run(isolated.asking(look)))[1]["value"])) > 86400
        slept = made.run(isolated.plain("import time; time.sleep(60)", isolated.limits(0.3, 0.5)))
        assert slept.ending == "wall_limit"
        assert 0.5 <= slept.wall_s < 3
        looped = made.run(isolated.plain("while True: pass", isolated.limits(0.3)))
        assert looped.ending == "cpu_limit"
        assert 0.3 <= looped.cpu_s < 0.9
        assert 0 < made.run(isolated.plain("print(1)")).wall_s < 5
    finally:
        made.stop()
