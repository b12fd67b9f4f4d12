"""`qceval check`: the ceiling of a machine, golden vectors, and references that do not hold."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]
Document = Callable[..., Any]
Plugin = Callable[..., Path]


def test_starter_holds(qceval: Cli, sandbox: str) -> None:
    ran = qceval("check", "--bench", "starter", "--sandbox", sandbox)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert "reference solutions" in lines[0]
    assert "golden vectors of starter: 4 of 4 give their verdict" in lines
    assert "ceiling of starter: 24 of 24 references pass here" in lines


@pytest.mark.docker
def test_starter_holds_in_docker(document: Document, docker: str) -> None:
    report = document("check", "--bench", "starter", "--sandbox", docker)
    assert (report["golden"], report["exceptions"]) == ([], [])
    assert report["outcomes"] == {"starter": {"passed": 24}}


def test_a_plugin_holds(qceval: Cli, plugin: Plugin, sandbox: str) -> None:
    ran = qceval("check", "--bench", "tiny", "--plugins", plugin(), "--sandbox", sandbox)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "golden vectors of tiny: 2 of 2 give their verdict" in ran.stdout
    assert "ceiling of tiny: 2 of 2 references pass here" in ran.stdout


def test_a_reference_that_raises_is_named_with_its_cause(qceval: Cli, plugin: Plugin, sandbox: str) -> None:
    solutions = ("    return x * 2\n", "    raise ValueError('no such luck')\n")
    ran = qceval("check", "--bench", "tiny", "--plugins", plugin(solutions=solutions), "--sandbox", sandbox)
    assert ran.returncode in (1, 3)
    assert "tiny/1" in ran.stdout
    assert "no such luck" in ran.stdout
    assert "ceiling of tiny: 1 of 2 references pass here" in ran.stdout
    assert "100.0 %" not in ran.stdout


def test_every_reference_that_fails_is_named(qceval: Cli, document: Document, plugin: Plugin, sandbox: str) -> None:
    solutions = (
        "    raise ValueError('cause of the first')\n",
        "    return x * 2\n",
        "    return (\n",
        "    import os\n    os._exit(3)\n",
    )
    command = ("check", "--bench", "tiny", "--plugins", plugin(solutions=solutions), "--sandbox", sandbox)
    ran = qceval(*command)
    assert ran.returncode in (1, 3)
    for problem in ("tiny/0", "tiny/2", "tiny/3"):
        assert problem in ran.stdout, ran.stdout
    assert "cause of the first" in ran.stdout
    assert "ceiling of tiny: 1 of 4 references pass here" in ran.stdout
    report = document(*command, status=ran.returncode)
    assert report["missing"]["samples"] == 3
    assert report["scores"] == {}


def test_a_reference_that_differs_from_itself_is_an_exception(qceval: Cli, plugin: Plugin) -> None:
    """Its answers were recorded before; now it fails: the verdict says how."""
    solution = (
        "    import os\n"
        "    if os.path.exists(MARK):\n"
        "        raise ValueError('second time')\n"
        "    if x == 'ab':\n"
        "        open(MARK, 'w').close()\n"
        "    return x * 2\n"
    )
    folder = plugin()
    solution = solution.replace("MARK", repr(str(folder / "mark")))
    plugin(solutions=(solution,))
    ran = qceval("check", "--bench", "tiny", "--plugins", folder, "--sandbox", "none")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "ceiling of tiny: 0 of 1 references pass here" in ran.stdout
    assert "tiny/0: runtime_error: " in ran.stdout
    assert "second time" in ran.stdout


def test_a_golden_vector_that_does_not_hold(qceval: Cli, document: Document, plugin: Plugin, sandbox: str) -> None:
    command = ("check", "--bench", "tiny", "--plugins", plugin(expected="timeout"), "--sandbox", sandbox)
    ran = qceval(*command)
    assert ran.returncode == 1
    assert "golden vectors of tiny: 1 of 2 give their verdict" in ran.stdout
    (line,) = [line for line in ran.stdout.splitlines() if "golden[0]" in line]
    assert "timeout" in line
    assert "passed" in line
    report = document(*command, status=1)
    assert len(report["golden"]) == 1
    assert report["golden"][0].startswith("golden[0]: ")


def test_escapes_of_a_program_do_not_reach_the_terminal(qceval: Cli, plugin: Plugin, sandbox: str) -> None:
    solutions = ("    raise ValueError('\\x1b[2J\\x1b]0;owned\\x07\\u202eharmless\\u2066')\n",)
    ran = qceval("check", "--bench", "tiny", "--plugins", plugin(solutions=solutions), "--sandbox", sandbox)
    assert ran.returncode in (1, 3)
    assert "harmless" in ran.stdout
    for sign in ("\x1b", "\x07", "\u202e", "\u2066"):
        assert sign not in ran.stdout + ran.stderr


def test_two_benchmarks(document: Document, plugin: Plugin) -> None:
    folder = plugin(expected="wrong")
    command = ("check", "--bench", "starter,tiny", "--plugins", folder, "--sandbox", "none")
    reports = document(*command, status=1)
    assert [len(report["golden"]) for report in reports] == [0, 1]
    assert [report["exceptions"] for report in reports] == [[], []]
    assert reports[0]["scores"]["starter"]["pass@1"]["value"] == 1.0
    assert all("unsandboxed" in report["notes"] for report in reports)
