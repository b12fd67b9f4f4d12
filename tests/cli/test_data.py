"""`qceval data`: where rows are, and that rows other than the pinned ones are refused."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]
Document = Callable[..., Any]
Refused = Callable[..., str]
Plugin = Callable[..., Path]

FILE = "humanevalplus/v0.1.10/HumanEvalPlus.jsonl.gz"
PIN = "c7b62636d76dc7a462e6928996c1193850ab899411be9eb5000eb01d93e51e9d"
SHA256 = re.compile(r"\b[0-9a-f]{64}\b")


@pytest.fixture
def copy(env: dict[str, str], shared_data: Path, tmp_path: Path) -> Path:
    """A folder of data of the test's own, with HumanEval+ in it; returns the file of the newest version."""
    shutil.copytree(shared_data / "humanevalplus", tmp_path / "data" / "humanevalplus")
    for path in (tmp_path / "data").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    env |= {"QCEVAL_DATA": str(tmp_path / "data"), "QCEVAL_CACHE": str(tmp_path / "cache")}
    return tmp_path / "data" / FILE


@pytest.fixture
def nowhere(env: dict[str, str], tmp_path: Path) -> None:
    """No data at all, and no way to fetch any."""
    (tmp_path / "empty").mkdir()
    env |= {"QCEVAL_DATA": str(tmp_path / "empty"), "QCEVAL_CACHE": str(tmp_path / "cache")}


def test_starter_is_always_here(qceval: Cli, document: Document) -> None:
    (line,) = document("data", "verify", "--bench", "starter")
    assert (line["benchmark"], line["version"], line["file"]) == ("starter", "1", "starter.toml")
    assert "24 rows, sha256 bc9509e7" in line["state"]
    (line,) = document("data", "pull", "--bench", "starter", "--offline")
    assert line["state"] == "here, 24 rows match"
    ran = qceval("data", "list", "--bench", "starter")
    assert ran.returncode == 0
    assert ran.stdout.startswith("starter 1: ")
    assert ran.stdout.endswith("benchmarks/starter.toml\n")


def test_humaneval_matches_its_pins(document: Document, copy: Path) -> None:
    lines = document("data", "verify", "--bench", "humaneval")
    assert sorted(line["version"] for line in lines) == ["v0.1.10", "v0.1.9"]
    assert all("164 rows" in line["state"] for line in lines)
    (newest,) = [line for line in lines if line["version"] == "v0.1.10"]
    assert str(copy) in newest["state"]
    assert PIN in newest["state"]


def test_all_benchmarks_by_default(document: Document, copy: Path) -> None:
    lines = document("data", "list")
    assert {"humaneval", "starter"} <= {line["benchmark"] for line in lines}
    states = [line["state"] for line in lines if line["benchmark"] == "humaneval"]
    assert str(copy) in states


def test_inline_rows(document: Document, plugin: Plugin) -> None:
    (line,) = document("data", "verify", "--bench", "tiny", "--plugins", plugin())
    assert line["state"].startswith("2 rows in the benchmark's file, sha256 ")


DATA_ONLY = """
from qwencoder_eval.benchmark import DataOnly
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.types import Problem

class Texts(DataOnly):
    name = "texts"
    version = "1"
    reference = "original"
    rows = Rows(version="all", file="texts.jsonl", sha256="?", numbered=True)
    decontaminate = ("text",)

    def problem(self, row):
        return Problem(f"texts/{row['number']}", row, {})
"""


def test_rows_that_are_data_only(document: Document, tmp_path: Path) -> None:
    """They are found, pinned and held against their pin as those of other benchmarks are."""
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "texts.py").write_text(DATA_ONLY)
    command = ("--bench", "texts", "--plugins", folder)
    (line,) = document("data", "list", *command)
    assert line == {"benchmark": "texts", "version": "all", "file": "texts.jsonl", "state": "missing"}
    (folder / "texts.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    (line,) = document("data", "list", *command)
    assert line["state"] == str(folder / "texts.jsonl")
    (line,) = document("data", "verify", *command)
    (pin,) = SHA256.findall(line["state"])
    assert line["state"].endswith(f'set sha256="{pin}", count=2')
    (folder / "texts.py").write_text(DATA_ONLY.replace('"?"', f'"{pin}", count=2'))
    (line,) = document("data", "verify", *command)
    assert line["state"] == f"{folder / 'texts.jsonl'}: 2 rows, sha256 {pin}"
    (line,) = document("data", "pull", *command, "--offline")
    assert line["state"] == "here, 2 rows match"
    (folder / "texts.jsonl").write_text('{"text": "one"}\n{"text": "2"}\n')
    (line,) = document("data", "verify", *command, status=2)
    assert "the pin says" in line["state"]


def test_one_changed_byte_is_found(qceval: Cli, copy: Path) -> None:
    data = gzip.decompress(copy.read_bytes())
    at = data.index(b"has_close_elements")
    changed = data[:at] + b"H" + data[at + 1 :]
    assert len(changed) == len(data)
    copy.write_bytes(gzip.compress(changed, 1))

    ran = qceval("data", "verify", "--bench", "humaneval")
    assert ran.returncode == 2
    (line,) = [line for line in ran.stdout.splitlines() if "error" in line]
    assert str(copy) in line
    hashes = set(SHA256.findall(line))
    assert PIN in hashes
    assert len(hashes) == 2
    (good,) = [line for line in ran.stdout.splitlines() if "error" not in line]
    assert "v0.1.9" in good

    for command in (("run", "--sandbox", "none"), ("show-prompt",)):
        ran = qceval(command[0], "--bench", "humaneval", *command[1:])
        assert ran.returncode == 2
        said = ran.stderr.splitlines()[-1]
        assert said.startswith(f"qceval: {copy}: ")
        assert set(SHA256.findall(said)) == hashes


def test_a_missing_row_is_found(refused: Refused, copy: Path) -> None:
    lines = gzip.decompress(copy.read_bytes()).splitlines(keepends=True)
    copy.write_bytes(gzip.compress(b"".join(lines[:-1]), 1))
    assert "163 rows" in refused("show-prompt", "--bench", "humaneval")


@pytest.mark.parametrize("kind", ["cut", "not gzip", "not JSON", "empty", "not text", "not rows"])
def test_a_file_that_cannot_be_read(refused: Refused, qceval: Cli, copy: Path, kind: str) -> None:
    data = copy.read_bytes()
    damaged = {
        "cut": data[: len(data) // 2],
        "not gzip": b"hello",
        "not JSON": gzip.compress(b'{"task_id": \n'),
        "empty": b"",
        "not text": gzip.compress(b"\xff\xfe\x00"),
        "not rows": gzip.compress(b"1\n2\n"),
    }
    copy.write_bytes(damaged[kind])
    assert refused("show-prompt", "--bench", "humaneval").startswith(str(copy))
    if kind == "cut":
        ran = qceval("data", "verify", "--bench", "humaneval")
        assert ran.returncode == 2
        assert f"humaneval v0.1.10: error: {copy}: cannot be read" in ran.stdout


@pytest.mark.usefixtures("nowhere")
def test_offline_without_data(qceval: Cli, document: Document, refused: Refused) -> None:
    ran = qceval("data", "pull", "--bench", "humaneval", "--offline")
    assert ran.returncode == 2
    lines = ran.stdout.splitlines()
    assert len(lines) == 2  # one line for each version that the profiles need
    for line in lines:
        assert "--offline forbids fetching it" in line
        assert "QCEVAL_DATA" in line
    assert ran.stderr == ""
    listed = document("data", "list", "--bench", "humaneval")
    assert [line["state"] for line in listed] == ["missing", "missing"]
    for command in ("run", "show-prompt"):
        extra = ("--sandbox", "none", "--json") if command != "show-prompt" else ()
        ran = qceval(command, "--bench", "humaneval", "--offline", *extra)
        assert ran.returncode == 2
        assert ran.stdout == ""
        assert "--offline forbids fetching it" in ran.stderr.splitlines()[-1]


@pytest.mark.usefixtures("nowhere")
def test_verify_says_what_is_missing(qceval: Cli, document: Document) -> None:
    assert qceval("data", "verify", "--bench", "humaneval").returncode == 2
    lines = document("data", "verify", "--bench", "humaneval,starter", status=2)
    missing = {line["benchmark"] for line in lines if "missing" in line["state"]}
    assert missing == {"humaneval"}


@pytest.mark.usefixtures("nowhere")
def test_the_cache_is_looked_at_too(document: Document, env: dict[str, str], shared_data: Path) -> None:
    folder = Path(env["QCEVAL_CACHE"]) / "datasets"
    folder.mkdir(parents=True)
    (folder / f"{PIN}.jsonl").write_bytes(gzip.decompress((shared_data / FILE).read_bytes()))
    states = {line["version"]: line["state"] for line in document("data", "verify", "--bench", "humaneval", status=2)}
    assert f"{PIN}.jsonl" in states["v0.1.10"]
    assert "missing" in states["v0.1.9"]


def test_an_unknown_benchmark(refused: Refused) -> None:
    for command in ("list", "pull", "verify"):
        assert "did you mean 'starter'?" in refused("data", command, "--bench", "startr")


def test_a_data_folder_that_is_not_there(refused: Refused, env: dict[str, str], tmp_path: Path) -> None:
    env["QCEVAL_DATA"] = str(tmp_path / "gone")
    for command in (("data", "list"), ("list",), ("show-prompt", "--bench", "humaneval")):
        assert refused(*command).startswith(f"QCEVAL_DATA: {tmp_path / 'gone'} is not a folder")


def test_rows_of_a_plugin_are_pinned_like_ours(qceval: Cli, refused: Refused, plugin: Plugin, tmp_path: Path) -> None:
    """What a user does: write rows, verify to get the hash, pin them, run."""
    folder = plugin()
    file = folder / "tiny.py"
    row = {"id": "tiny/9", "code": "def twice(x):\n", "solution": "    return x * 2\n", "inputs": [[3]]}
    (folder / "mine.jsonl").write_text(json.dumps(row) + "\n")
    text = file.read_text()
    assert "Rows(inline=ROWS)" in text
    command = ("data", "verify", "--bench", "tiny", "--plugins", folder)
    file.write_text(text.replace("Rows(inline=ROWS)", f"Rows(file='mine.jsonl', sha256='{'0' * 64}')"))
    ran = qceval(*command)
    assert ran.returncode == 2
    (digest,) = set(SHA256.findall(ran.stdout)) - {"0" * 64}
    file.write_text(text.replace("Rows(inline=ROWS)", f"Rows(file='mine.jsonl', sha256='{digest}')"))
    assert qceval(*command).returncode == 0  # though the file was changed within a second, at the same length
    assert not (folder / "__pycache__").exists()
    assert "1/1" in qceval("run", "--bench", "tiny", "--plugins", folder, "--sandbox", "none").stdout


@pytest.mark.parametrize("bench", [(), ("--bench", "humaneval"), ("--bench", "spider,bird:dev")])
def test_an_archive_is_of_one_benchmark_with_databases(
    refused: Refused, tmp_path: Path, bench: tuple[str, ...]
) -> None:
    said = refused("data", "pull", *bench, "--from", tmp_path / "x.zip")
    assert said == "--from: name one benchmark that has databases, such as --bench spider"


def test_an_archive_that_is_no_archive(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"no archive")
    said = refused("data", "pull", "--bench", "spider", "--from", tmp_path / "x.zip")
    assert said.startswith(f"{tmp_path / 'x.zip'}: cannot be unpacked")
