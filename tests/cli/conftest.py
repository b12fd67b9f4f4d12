"""The real command in a process of its own: ``python -m qwencoder_eval`` with folders of the test's own."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from watching import HEAVY, LIGHT, four_samples

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "qwencoder_eval")
PATIENCE_S = 300.0  # what no test may take; nothing is measured with it

PLUGIN = '''"""{name}: a benchmark for tests."""

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.programs import as_program
from qwencoder_eval.scoring.calls import CallScorer
from qwencoder_eval.types import Continue, Problem, Sampling

{top}
ROW = {{"id": "{name}/golden", "code": "def twice(x):\\n", "solution": "    return x * 2\\n", "inputs": [[1], ["ab"]]}}
ROWS = ({rows})


class Tiny(Benchmark):
    name = "{name}"
    version = "1"
    reference = "original"
    asking = {{"greedy": Asking(Rows(inline=ROWS), {prompt}, Sampling(stop=("\\ndef ",)))}}
    scoring = {{"calls": Scoring(as_program, CallScorer({{"{name}": "inputs"}}))}}
    profiles = {{"{name}": ("greedy", "calls")}}
    decontaminate = ("code", "solution")
    golden = (
        Golden(ROW, "    return x + x\\n", {{"{name}": "{expected}"}}),
        Golden(ROW, "    return 2\\n", {{"{name}": "wrong"}}),
    )

    def problem(self, row):
        tests = {{"entry_point": "twice", "atol": 0, "inputs": row["inputs"]}}
        return Problem(row["id"], row, tests, stub=row["code"], reference=row["solution"])
'''


def wait_until(true: Callable[[], bool], what: str) -> None:
    """Ask again and again, until a deadline that says that something is broken."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.002)


@pytest.fixture(scope="session")
def poll() -> Callable[[Callable[[], bool], str], None]:
    return wait_until


@pytest.fixture(scope="session")
def session_env(session_cache: Path) -> dict[str, str]:
    """The environment without this project's settings, and one cache, so that references are run once."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QCEVAL_", "PYTHON"))}
    return {**kept, "QCEVAL_CACHE": str(session_cache), "COLUMNS": "200"}


@pytest.fixture
def env(session_env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment of the test's commands; a test may change it."""
    return {**session_env, "PYTHONPATH": str(ROOT), "QCEVAL_RESULTS": str(tmp_path / "results")}


@pytest.fixture
def qceval(env: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command to its end. No traceback may ever be seen, whatever the command is about."""

    def run(*args: object, **settings: Any) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, *map(str, args)]
        given: dict[str, Any] = {"env": env, "cwd": tmp_path, "timeout": PATIENCE_S, **settings}
        ran = subprocess.run(command, capture_output=True, text=True, check=False, **given)
        assert "Traceback" not in ran.stdout + ran.stderr, ran.stderr
        return ran

    return run


@pytest.fixture
def document(qceval: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., Any]:
    """The one JSON document that a command prints with --json; it must exit with ``status``."""

    def run(*args: object, status: int = 0, **settings: Any) -> Any:
        ran = qceval(*args, "--json", **settings)
        assert ran.returncode == status, ran.stderr
        return json.loads(ran.stdout)

    return run


@pytest.fixture
def refused(qceval: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., str]:
    """The one line of a command that must fail, without its prefix; nothing may stand on standard output."""

    def run(*args: object, status: int = 2, **settings: Any) -> str:
        ran = qceval(*args, **settings)
        assert ran.returncode == status, (ran.returncode, ran.stdout, ran.stderr)
        assert ran.stdout == ""
        assert ran.stderr.count("\n") == 1, ran.stderr
        assert ran.stderr.startswith("qceval: "), ran.stderr
        return ran.stderr.removeprefix("qceval: ").rstrip("\n")

    return run


@pytest.fixture
def start(env: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command in a process group of its own and go on; what still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def run(*args: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *map(str, args)],
            env=env,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def usable(session_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """Backend to the reason why this machine does not have it, or None."""
    env = {**session_env, "PYTHONPATH": str(ROOT)}
    command = [*COMMAND, "sandbox", "list", "--json"]
    ran = subprocess.run(command, env=env, cwd=tmp_path_factory.mktemp("list"), capture_output=True, check=True)
    return {line["backend"]: line["why_not"] for line in json.loads(ran.stdout)}


@pytest.fixture(scope="session")
def sandbox(usable: dict[str, str | None]) -> str:
    """A backend that isolates."""
    for name in ("namespaces", "docker"):
        if usable[name] is None:
            return name
    pytest.skip(f"no sandbox: {usable}")


@pytest.fixture(scope="session")
def namespaces(usable: dict[str, str | None]) -> str:
    if reason := usable["namespaces"]:
        pytest.skip(f"no namespaces: {reason}")
    return "namespaces"


@pytest.fixture(scope="session")
def docker(usable: dict[str, str | None]) -> str:
    if reason := usable["docker"]:
        pytest.skip(f"no Docker: {reason}")
    return "docker"


@pytest.fixture(scope="session")
def starter() -> list[dict[str, Any]]:
    """The rows of the starter benchmark."""
    rows: list[dict[str, Any]] = tomllib.loads((ROOT / "benchmarks" / "starter.toml").read_text())["problem"]
    assert len(rows) == 24
    return rows


@pytest.fixture
def samples(tmp_path: Path) -> Callable[..., Path]:
    """Write rows to a file of samples: compressed where its name says so."""

    def write(rows: Iterable[dict[str, Any]], name: str = "samples.jsonl") -> Path:
        path = tmp_path / name
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[..., Path]:
    """Write a benchmark file and return its folder. ``solutions``: the reference of each problem, as Python code."""

    def write(
        name: str = "tiny",
        solutions: Iterable[str] = ("    return x * 2\n", "    return x + x\n"),
        top: str = "",
        prompt: str = "lambda problem: Continue(problem.stub)",
        expected: str = "passed",
    ) -> Path:
        folder = tmp_path / "plugins"
        folder.mkdir(exist_ok=True)
        rows = ""
        for number, solution in enumerate(solutions):
            rows += f'{{**ROW, "id": "{name}/{number}", "solution": {solution!r}}}, '
        text = PLUGIN.format(name=name, rows=rows, top=top, prompt=prompt, expected=expected)
        (folder / f"{name}.py").write_text(text)
        return folder

    return write


@pytest.fixture(scope="session")
def rows_of() -> Callable[[Path], list[dict[str, Any]]]:
    """The rows of a .jsonl file."""

    def read(path: Path) -> list[dict[str, Any]]:
        return [json.loads(line) for line in path.read_text().splitlines()]

    return read


@pytest.fixture
def heavy(starter: list[dict[str, Any]], samples: Callable[..., Path]) -> Path:
    return samples(four_samples(starter, HEAVY), "heavy.jsonl")


@pytest.fixture
def light(starter: list[dict[str, Any]], samples: Callable[..., Path]) -> Path:
    return samples(four_samples(starter, LIGHT), "light.jsonl")
