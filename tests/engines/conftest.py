"""A model that was trained until what it answers is known, and the real command with the real engines."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_processes import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests" / "models" / "tiny.py"
COMMAND = (sys.executable, "-m", "qwencoder_eval")


@pytest.fixture(scope="session")
def tiny() -> Path:
    """The folder of ``tests/models/tiny.py``; trained once a version of it."""
    folder = ROOT / "build" / f"tiny-{hashlib.sha256(TINY.read_bytes()).hexdigest()[:12]}"
    if not (folder / "known.json").exists():
        subprocess.run([sys.executable, TINY, folder], check=True)
    return folder


@pytest.fixture(scope="session")
def known(tiny: Path) -> dict[str, dict[str, Any]]:
    """By benchmark and problem: the answer that it was taught, and whether that is right."""
    return dict(json.loads((tiny / "known.json").read_text()))


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("QCEVAL_") or name == "QCEVAL_DATA"
    }
    own = {"QCEVAL_CACHE": str(tmp_path / "cache"), "QCEVAL_RESULTS": str(tmp_path / "results")}
    return {**kept, **own, "VLLM_CPU_KVCACHE_SPACE": "1"}


@pytest.fixture
def start(env: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command in a process group of its own; what still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(*args: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *map(str, args)],
            env=env,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def qceval(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*args: object) -> subprocess.CompletedProcess[str]:
        process = start(*args)
        out, err = process.communicate(timeout=2 * PATIENCE_S)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return run


@pytest.fixture
def document(qceval: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., Any]:
    """What a command that must succeed prints with --json."""

    def run(*args: object) -> Any:
        ran = qceval(*args, "--json")
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    return run
