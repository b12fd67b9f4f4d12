"""Every error a user can meet is one line on standard error: what, where, what to do. A traceback is a bug."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]
Document = Callable[..., Any]
Refused = Callable[..., str]
Plugin = Callable[..., Path]
Starter = list[dict[str, Any]]

TRUSTED = ("run", "--bench", "starter", "--sandbox", "none")
COMMANDS = (
    "run", "score", "check", "reproduce", "show-prompt", "list", "report", "compare", "nightly",
    "decontaminate", "data", "runs", "history", "sandbox", "doctor",
)  # fmt: skip


def test_help_has_every_command(qceval: Cli) -> None:
    shown = qceval("--help")
    assert shown.returncode == 0
    listed = shown.stdout.partition("Commands:")[2].split("\n")
    assert [line.split()[0] for line in listed if line.strip()] == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_with_an_example(qceval: Cli, command: str) -> None:
    shown = qceval(command, "--help")
    assert shown.returncode == 0
    assert f"Example: qceval {command}" in shown.stdout
    if command not in ("data", "runs", "sandbox"):
        assert "--json" in shown.stdout


def test_version(qceval: Cli) -> None:
    assert qceval("--version").stdout.startswith("qceval, version ")


USAGE = {
    "command": (("rum",), "rum"),
    "option": (("list", "--jsn"), "--jsn"),
    "option of the group": (("--frobnicate",), "--frobnicate"),
    "missing option": (("run",), "--bench"),
    "missing samples": (("score", "--bench", "starter"), "--samples"),
    "argument too many": (("list", "starter"), "starter"),
    "choice": (("run", "--bench", "starter", "--sandbox", "chroot"), "chroot"),
    "benchmark": (("run", "--bench", "humanevel"), "did you mean 'humaneval'?"),
    "benchmark far off": (("check", "--bench", "zzz"), "see qceval list"),
    "one of two": (("run", "--bench", "starter,startr"), "did you mean 'starter'?"),
    "no benchmark": (("run", "--bench", ""), "--bench"),
    "only commas": (("check", "--bench", " , "), "--bench"),
    "profile": (("run", "--bench", "starter", "--profile", "qwen"), "--profile qwen"),
    "plugins": (("list", "--plugins", "/nonexistent"), "/nonexistent"),
    "plugins of a run": (("run", "--bench", "starter", "--plugins", "/nonexistent"), "/nonexistent"),
    "subcommand": (("data", "push"), "push"),
}


@pytest.mark.parametrize("kind", USAGE)
def test_usage(refused: Refused, kind: str) -> None:
    arguments, word = USAGE[kind]
    if arguments[0] in ("run", "check") and "--sandbox" not in arguments:
        arguments = (*arguments, "--sandbox", "none", "--json")
    elif kind == "profile":
        arguments = (*arguments, "--json")
    ran = refused(*arguments)
    assert word in ran


@pytest.mark.parametrize(
    "command",
    [
        ("run", "--bench", "gsm8k"),
        ("run", "--bench", "starter,gsm8k", "--sandbox", "none"),
        ("run", "--bench", "starter,gsm8k", "--model", "no/model", "--offline"),
        ("score", "--bench", "gsm8k", "--samples", "nowhere.jsonl"),
        ("check", "--bench", "gsm8k"),
        ("show-prompt", "--bench", "gsm8k"),
        ("show-prompt", "--bench", "gsm8k", "--profile", "qwen"),
    ],
    ids=" ".join,
)
def test_what_is_data_only_is_not_asked_nor_scored(refused: Refused, tmp_path: Path, command: tuple[str, ...]) -> None:
    said = refused(*command, "--json")
    assert said.startswith("--bench gsm8k: data only, ")
    assert said.endswith("; it is there for `qceval decontaminate`")
    assert not (tmp_path / "results").exists(), "nothing was run"


@pytest.mark.parametrize(
    ("text", "word"),
    [("data = [", "not TOML"), ("dta = 'x'\n", "'dta'"), ("data = '/nonexistent'\n", "/nonexistent")],
)
def test_a_bad_settings_file(refused: Refused, tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "qceval.toml").write_text(text)
    said = refused("data", "list", "--bench", "humaneval")
    assert word in said
    if word != "/nonexistent":
        assert said.startswith("qceval.toml: ")


def test_a_settings_file_that_is_no_text(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "qceval.toml").write_bytes(b"\xff\xfe\x00data")
    assert refused("list").startswith("qceval.toml: ")


def test_a_settings_file_is_followed(document: Document, env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "qceval.toml").write_text("results = 'runs-of-mine'\n")
    del env["QCEVAL_RESULTS"]
    report = document(*TRUSTED, "--limit", 1)
    assert report["run"].startswith("runs-of-mine/")


def test_out_that_cannot_be_written(qceval: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", "/proc/nothing"):
        ran = qceval(*TRUSTED, "--out", out, "--json")
        assert ran.returncode == 3
        assert ran.stdout == ""
        said = ran.stderr.splitlines()[-1]
        assert said.startswith(f"qceval: {out}")
        assert "cannot be written" in said
        assert "choose another --out" in said


def test_a_cache_that_cannot_be_written(qceval: Cli, env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    env["QCEVAL_CACHE"] = str(tmp_path / "file")
    ran = qceval(*TRUSTED, "--json")
    assert ran.returncode == 3
    assert ran.stdout == ""
    said = ran.stderr.splitlines()[-1]
    assert said.startswith(f"qceval: {tmp_path / 'file'}")
    assert "set QCEVAL_CACHE" in said


def test_a_full_disk_loses_nothing(
    qceval: Cli, document: Document, starter: Starter, samples: Plugin, sandbox: str, tmp_path: Path
) -> None:
    """A limit on the size of files stands for the disk: the run stops with one line, and then continues."""
    rows = [{"task_id": row["task_id"], "completion": row["canonical_solution"] + "#" * 10_000} for row in starter]
    command = ("score", "--bench", "starter", "--samples", samples(rows), "--sandbox", sandbox)
    limit = 100_000
    ran = qceval(
        *command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    )
    assert ran.returncode == 3
    assert ran.stdout == ""
    assert ran.stderr.count("\n") == 1, ran.stderr
    assert "completions.jsonl: cannot be written (File too large); make room and run again" in ran.stderr
    (file,) = (tmp_path / "results").rglob("completions.jsonl")
    before = file.read_bytes()
    assert 0 < len(before) <= limit
    report = document(*command)
    assert report["outcomes"] == {"starter": {"passed": 24}}
    assert len(file.read_bytes().splitlines()) == 24
    assert file.read_bytes().startswith(before[: before.rfind(b"\n") + 1])


FAULTY = {
    "prompt": {"prompt": "lambda problem: no_such_name"},
    "import": {"top": "raise RuntimeError('boom')"},
    "exit at import": {"top": "raise SystemExit(0)"},
    "a prompt that is none": {"prompt": "lambda problem: None"},
}


@pytest.mark.parametrize("kind", [*FAULTY, "problem", "rows", "protocol"])
def test_a_benchmark_that_is_at_fault_is_named(qceval: Cli, plugin: Plugin, kind: str) -> None:
    folder = plugin(**FAULTY.get(kind, {}))
    file = folder / "tiny.py"
    changes = {
        "problem": ('tests = {"entry_point"', 'raise RuntimeError("boom"); tests = {"entry_point"'),
        "rows": ('row["inputs"]}', 'row["no such field"]}'),
        "protocol": ('reference = "original"', 'reference = "http://example.org"'),
    }
    if kind in changes:
        file.write_text(file.read_text().replace(*changes[kind]))
    ran = qceval("run", "--bench", "tiny", "--plugins", folder, "--sandbox", "none", "--json")
    assert ran.returncode in (2, 3), (ran.returncode, ran.stdout)
    assert ran.stdout == ""
    said = ran.stderr.splitlines()[-1]
    assert said.startswith("qceval: ")
    if kind != "a prompt that is none":
        assert str(file) in said, said
    assert "boom" in said or kind in ("prompt", "rows", "protocol", "exit at import", "a prompt that is none")


def test_a_scorer_that_is_at_fault_is_named(qceval: Cli, plugin: Plugin) -> None:
    """A fault in a worker thread ends the run as one in the main thread does."""
    top = "def as_program(problem, completion):\n    raise RuntimeError('boom in a thread')\n"
    folder = plugin(top=top)
    ran = qceval("run", "--bench", "tiny", "--plugins", folder, "--sandbox", "none", "--json")
    assert ran.returncode in (2, 3)
    assert ran.stdout == ""
    said = ran.stderr.splitlines()[-1]
    assert str(folder / "tiny.py") in said
    assert "boom in a thread" in said


def test_a_fault_of_our_own_is_one_line(qceval: Cli, env: dict[str, str], tmp_path: Path) -> None:
    """A module of the standard library that fails stands for what nobody thought of."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sitecustomize.py").write_text(
        "import hashlib\n\n\ndef fail(*_):\n    raise RuntimeError('two\\nlines')\n\n\nhashlib.sha256 = fail\n"
    )
    env["PYTHONPATH"] += f":{tmp_path / 'broken'}"
    ran = qceval(*TRUSTED, "--json")
    assert ran.returncode == 3
    assert ran.stdout == ""
    said = ran.stderr.splitlines()[-1]
    assert said.startswith("qceval: a fault of its own: RuntimeError: two lines; QCEVAL_DEBUG=1 ")


def test_a_reader_that_goes_away_is_no_error(env: dict[str, str], tmp_path: Path) -> None:
    import sys

    command = [sys.executable, "-m", "qwencoder_eval", "show-prompt", "--bench", "starter"]
    with subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert b"Traceback" not in said
    assert b"Exception ignored" not in said


def test_every_sample_without_a_verdict_is_said(qceval: Cli, document: Document, plugin: Plugin) -> None:
    """No score is made up where a verdict is missing: exit 3, and the problem and the cause are said."""
    folder = plugin(solutions=("    return x * 2\n", "    raise ValueError('not here')\n"))
    command = ("run", "--bench", "tiny", "--plugins", folder, "--sandbox", "none")
    ran = qceval(*command)
    assert ran.returncode == 3
    assert "no score, 1 of 2 samples have no verdict" in ran.stdout
    assert "tiny/1" in ran.stdout
    assert "not here" in ran.stdout
    report = document(*command, status=3)
    assert report["scores"] == {}
    assert report["missing"]["samples"] == 1
