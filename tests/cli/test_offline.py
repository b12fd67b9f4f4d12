"""With --offline no connection is opened: not even tried, as the system calls and Python's own audit show."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]
Samples = Callable[..., Path]
Starter = list[dict[str, Any]]

GUARD = """
import os
import sys


def guard(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect"):
        os.write(2, f"GUARD {event}\\n".encode())
        os._exit(99)
    if event == "socket.__new__" and int(arguments[1]) in (2, 10):  # AF_INET, AF_INET6
        os.write(2, b"GUARD socket\\n")
        os._exit(99)


sys.addaudithook(guard)
"""
NETWORK = re.compile(r"\b(?:AF_INET6?|AF_NETLINK|AF_PACKET)\b")


@pytest.fixture
def commands(starter: Starter, samples: Samples, sandbox: str) -> list[tuple[str, ...]]:
    file = samples({"task_id": row["task_id"], "completion": row["canonical_solution"]} for row in starter)
    return [
        ("list", "--json"),
        ("show-prompt", "--bench", "starter", "--offline", "--json"),
        ("data", "pull", "--bench", "starter", "--offline", "--json"),
        ("score", "--bench", "starter", "--samples", str(file), "--offline", "--sandbox", sandbox, "--json"),
    ]


def test_python_opens_no_socket(
    qceval: Cli, commands: list[tuple[str, ...]], env: dict[str, str], tmp_path: Path, namespaces: str
) -> None:
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    env["PYTHONPATH"] += f":{tmp_path / 'guard'}"
    probe = "import socket; socket.socket(socket.AF_INET)"
    assert subprocess.run([sys.executable, "-c", probe], env=env, check=False, capture_output=True).returncode == 99
    for command in commands:
        ran = qceval(*command)
        assert ran.returncode == 0, (command, ran.stderr)
        report = json.loads(ran.stdout)
    assert report["outcomes"] == {"starter": {"passed": 24}}
    assert report["sandbox"] == namespaces


def test_no_system_call_asks_for_the_network(
    commands: list[tuple[str, ...]], env: dict[str, str], tmp_path: Path, namespaces: str
) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    traced = [strace, "-f", "-qq", "-o", str(trace), "-e", "trace=socket,connect"]
    probe = [*traced, sys.executable, "-c", "import socket; socket.socket(socket.AF_INET)"]
    if subprocess.run(probe, env=env, check=False, capture_output=True).returncode:
        pytest.skip("strace may not trace here")
    assert NETWORK.search(trace.read_text())
    for command in commands:
        full = [*traced, sys.executable, "-m", "qwencoder_eval", *command]
        ran = subprocess.run(full, env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
        assert ran.returncode == 0, (command, ran.stderr)
        calls = trace.read_text()
        assert NETWORK.search(calls) is None, (command, calls)
        report = json.loads(ran.stdout)
    assert report["outcomes"] == {"starter": {"passed": 24}}
    assert os.path.getsize(report["run"] + "/verdicts.jsonl")
