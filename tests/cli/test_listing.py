"""`qceval list`: every benchmark, whether its data is here, and no benchmark imported for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]
Document = Callable[..., Any]
Plugin = Callable[..., Path]

HEAVY = {"docker", "numpy", "requests", "rich", "tqdm", "tree_sitter", "tree_sitter_python", "datasets", "jsonlines"}


def test_both_benchmarks(qceval: Cli) -> None:
    ran = qceval("list")
    assert ran.returncode == 0
    assert ran.stderr == ""
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert lines[0][:3] == ["name", "version", "rows"]
    by_name = {line[0]: line for line in lines[1:]}
    assert {"humaneval", "starter"} <= set(by_name)
    assert by_name["starter"] == ["starter", "1", "24", "python", "starter", "here"]
    assert by_name["humaneval"][2:7] == ["164", "python", "evalplus", "evalplus-sanitized", "qwen"]


def test_json(document: Document) -> None:
    listed = document("list")
    assert listed["refused"] == []
    by_name = {entry["name"]: entry for entry in listed["benchmarks"]}
    keys = {"name", "version", "rows", "languages", "profiles", "data_only", "data", "file"}
    assert all(keys <= set(entry) for entry in by_name.values())
    assert by_name["starter"]["rows"] == 24
    assert by_name["starter"]["data"] == "here"
    assert by_name["humaneval"]["profiles"][:3] == ["evalplus", "evalplus-sanitized", "qwen"]
    assert Path(by_name["starter"]["file"]).name == "starter.py"


def test_what_is_data_only(qceval: Cli, document: Document) -> None:
    by_name = {entry["name"]: entry for entry in document("list")["benchmarks"]}
    of = {name: (entry["rows"], entry["languages"], entry["profiles"]) for name, entry in by_name.items()}
    assert of["gsm8k"] == (1319, [], [])
    assert of["math"] == (5000, [], [])
    assert {name for name, entry in by_name.items() if entry["data_only"]} == {"gsm8k", "math"}
    (line,) = [line.split() for line in qceval("list").stdout.splitlines() if line.startswith("gsm8k ")]
    assert line[:6] == ["gsm8k", "1", "1319", "-", "data", "only"]


def test_data_is_here(document: Document, env: dict[str, str], shared_data: Path) -> None:
    env["QCEVAL_DATA"] = str(shared_data)
    assert {entry["name"]: entry["data"] for entry in document("list")["benchmarks"]}["humaneval"] == "here"


def test_data_is_missing(qceval: Cli, document: Document, env: dict[str, str], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    env |= {"QCEVAL_DATA": str(empty), "QCEVAL_CACHE": str(tmp_path / "cache")}
    states = {entry["name"]: entry["data"] for entry in document("list")["benchmarks"]}
    assert states["humaneval"] == "missing"
    assert states["starter"] == "here"
    assert any(line.startswith("humaneval") and line.endswith("missing") for line in qceval("list").stdout.splitlines())


def test_a_plugin_is_listed_and_not_imported(document: Document, plugin: Plugin, tmp_path: Path) -> None:
    marker = tmp_path / "imported"
    folder = plugin(top=f"open({str(marker)!r}, 'w').close()\nimport a_package_that_nobody_has")
    by_name = {entry["name"]: entry for entry in document("list", "--plugins", folder)["benchmarks"]}
    assert by_name["tiny"]["data"] == "here"
    assert by_name["tiny"]["profiles"] == ["tiny"]
    assert not marker.exists()


def test_using_a_plugin_imports_it(qceval: Cli, plugin: Plugin, tmp_path: Path) -> None:
    """The marker of the test above is one that would have been seen."""
    marker = tmp_path / "imported"
    folder = plugin(top=f"open({str(marker)!r}, 'w').close()")
    assert qceval("show-prompt", "--bench", "tiny", "--plugins", folder).returncode == 0
    assert marker.exists()


BROKEN = {
    "syntax": ("class Broken(:\n", "SyntaxError in line 1"),
    "no class": ("x = 1\n", "no class derives from Benchmark"),
    "no name": ("from q import Benchmark\n\nclass B(Benchmark):\n    version = '1'\n", "name"),
    "computed name": ("class B(Benchmark):\n    name = 'a' + 'b'\n    version = '1'\n", "not a literal string"),
    "taken": ("class B(Benchmark):\n    name = 'starter'\n    version = '1'\n", "is taken by"),
    "null bytes": ("\0\0\0", "make it a Python file"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_reported_and_the_others_listed(
    qceval: Cli, document: Document, plugin: Plugin, kind: str
) -> None:
    text, reason = BROKEN[kind]
    folder = plugin()
    (folder / "broken.py").write_text(text)
    ran = qceval("list", "--plugins", folder)
    assert ran.returncode == 0
    assert ran.stderr.count("\n") == 1
    assert str(folder / "broken.py") in ran.stderr
    assert reason in ran.stderr
    names = {line.split()[0] for line in ran.stdout.splitlines()}
    assert {"humaneval", "starter", "tiny"} <= names
    listed = document("list", "--plugins", folder)
    assert {entry["name"] for entry in listed["benchmarks"]} >= {"humaneval", "starter", "tiny"}
    (refused,) = listed["refused"]
    assert refused["file"] == str(folder / "broken.py")
    assert reason in refused["error"]


def test_plugins_by_environment(document: Document, env: dict[str, str], plugin: Plugin) -> None:
    env["QCEVAL_PLUGINS"] = str(plugin())
    assert "tiny" in {entry["name"] for entry in document("list")["benchmarks"]}


def test_files_with_an_underscore_are_helpers(document: Document, plugin: Plugin) -> None:
    folder = plugin()
    (folder / "_shared.py").write_text("class Broken(:\n")
    assert document("list", "--plugins", folder)["refused"] == []


@pytest.mark.parametrize("arguments", [("list",), ("--help",), ("--version",), ("run", "--help"), ("list", "--json")])
def test_nothing_heavy_is_imported(env: dict[str, str], tmp_path: Path, arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "qwencoder_eval", *arguments]
    ran = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = [line for line in ran.stderr.splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    assert "click" in imported
    assert imported & HEAVY == set()


def test_json_is_alone_on_standard_output(qceval: Cli) -> None:
    ran = qceval("list", "--json")
    json.loads(ran.stdout)
    assert ran.stderr == ""
