"""Memory of the whole command with two workers, whatever the rows are: under 500 MiB, what processes share once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="numba is not installed")

import pyarrow
import pyarrow.parquet
import zstandard

ROOT = Path(__file__).resolve().parents[2]
MOST = 500  # MiB
MB = 1 << 20
PLUGIN = """
from qwencoder_eval.benchmark import DataOnly
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.types import Problem


class Made(DataOnly):
    name = "made"
    version = "1"
    reference = "original"
    rows = Rows(inline=tuple({"id": f"made/{at}", "text": f"{at} are some words " * 20} for at in range(5000)))
    decontaminate = ("text",)

    def problem(self, row):
        return Problem(row["id"], row, {})
"""


def one_line(unit: bytes, size: int) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for at in range(2):
            with (folder / f"{at}.jsonl").open("wb") as file:
                for _ in range(2):
                    file.write(b'{"text": "' + unit * (size // len(unit)) + b'"}\n')

    return write


def packed_line(folder: Path) -> None:
    """A gigabyte on one line, of which the disk has little, and half of one beside it."""
    for at in range(2):
        with zstandard.open(folder / f"{at}.jsonl.zst", "wb") as file:
            file.write(b'{"text": "')
            for _ in range(512 >> at):
                file.write((b"some words that go on and on, " * (2 * MB // 30))[: 2 * MB])
            file.write(b'"}\n')


def many_fields(folder: Path) -> None:
    """Little text in rows of which the rest is large."""
    row = json.dumps({"text": "a few words", "other": "x" * (MB // 2)}).encode() + b"\n"
    for at in range(2):
        with (folder / f"{at}.jsonl").open("wb") as file:
            for _ in range(400):
                file.write(row)


def large_groups(folder: Path) -> None:
    texts = [f"{at} words of a row " * 200 for at in range(60_000)]
    for at in range(2):
        pyarrow.parquet.write_table(pyarrow.table({"text": texts}), folder / f"{at}.parquet", row_group_size=60_000)


CORPORA = {
    "escapes": one_line(b"\\ud83d\\ude00 \\n", 63 * MB),
    "beyond the basic plane": one_line("\U0001f600 a ".encode(), 63 * MB),
    "no UTF-8": one_line(b"a \xff ", 63 * MB),
    "short words": one_line(b"a b ", 63 * MB),
    "a gigabyte on a line": packed_line,
    "large fields beside it": many_fields,
    "large row groups": large_groups,
}


@pytest.mark.slow
@pytest.mark.parametrize("corpus", CORPORA)
def test_no_corpus_takes_more(corpus: str, tmp_path: Path) -> None:
    for name in ("in", "plugins"):
        (tmp_path / name).mkdir()
    (tmp_path / "plugins" / "made.py").write_text(PLUGIN)
    CORPORA[corpus](tmp_path / "in")
    argv = [
        sys.executable, "-m", "qwencoder_eval", "decontaminate", "--bench", "made", "--plugins",
        str(tmp_path / "plugins"), "--corpus", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--write-clean",
        "--workers", "2", "--json",
    ]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, start_new_session=True
    ) as process:
        most = 0.0
        while process.poll() is None:
            most = max(most, shared_once(process.pid))
        assert process.stdout
        document = json.loads(process.stdout.read())
    assert process.returncode == (3 if corpus in ("no UTF-8", "a gigabyte on a line") else 0)
    assert document["corpus"]["unchecked"] == document["corpus"]["hit"] == 0
    assert 100 < most < MOST, f"{most:.0f} MiB"
    kept = sum(path.stat().st_size for path in (tmp_path / "out" / "clean").iterdir())
    assert kept >= 0.5 * sum(path.stat().st_size for path in (tmp_path / "in").iterdir())


def shared_once(session: int) -> float:
    """MiB of all processes of a session (PSS)."""
    total = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError, StopIteration):
                if os.getsid(int(entry.name)) == session:
                    with open(f"/proc/{entry.name}/smaps_rollup") as file:
                        total += next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total / 1024
