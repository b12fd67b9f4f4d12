"""`qceval decontaminate` from outside: what it leaves, faults by name, and the same command again."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numba", reason="numba is not installed")

ROOT = Path(__file__).resolve().parents[2]
PLANTED = "one two three four five six seven eight nine ten eleven twelve"
PLUGIN = f'''
from qwencoder_eval.benchmark import DataOnly
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.types import Problem


class Made(DataOnly):
    name = "made"
    version = "1"
    reference = "original"
    rows = Rows(inline=({{"id": "made/0", "text": "{PLANTED}"}}, {{"id": "made/1", "text": "no such words are there"}}))
    decontaminate = ("text",)

    def problem(self, row):
        return Problem(row["id"], row, {{}})
'''


class Desk:
    def __init__(self, folder: Path) -> None:
        self.folder, self.corpus, self.out = folder, folder / "corpus", folder / "out"
        self.corpus.mkdir()
        (folder / "plugins").mkdir()
        (folder / "plugins" / "made.py").write_text(PLUGIN)
        self.argv = [
            sys.executable, "-m", "qwencoder_eval", "decontaminate", "--bench", "made", "--plugins",
            str(folder / "plugins"), "--corpus", str(self.corpus), "--out", str(self.out), "--write-clean", "--json",
        ]  # fmt: skip
        self.env = {**os.environ, "QCEVAL_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.argv, *more], capture_output=True, text=True, env=self.env, check=False)

    def lines(self, name: str, rows: list[Any]) -> None:
        data = b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)
        (self.corpus / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)

    def left(self) -> dict[str, bytes]:
        """Everything below the output folder that does not tell the time."""
        files = (path for path in self.out.rglob("*") if path.is_file() and path.parent != self.out)
        return {str(path.relative_to(self.out)): path.read_bytes() for path in files}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_rows_are_kept_dropped_or_left_and_none_is_lost(desk: Desk) -> None:
    hit, clean = {"text": f"before {PLANTED} behind"}, {"text": "nothing"}
    desk.lines("a.jsonl", [hit, clean, {"other": 1}, b"no json", b'{"text": "\xff"}'])
    desk.lines("b.jsonl.gz", [clean, hit])
    (desk.corpus / "source.py").write_text(f"# {PLANTED}\n")
    (desk.corpus / "other.py").write_text("x = 1\n")
    ran = desk.run()
    assert ran.returncode == 3, ran.stderr
    assert "Traceback" not in ran.stderr
    document = json.loads(ran.stdout)
    assert document["benchmarks"][0]["hits"].keys() == {"made/0"}
    assert document["corpus"]["hit"] == 3
    assert document["corpus"]["unchecked"] == 2
    faults = {fault["place"]: fault["fault"] for fault in document["faults"]}
    assert faults["a.jsonl:3"] == "no text in it"
    assert faults["a.jsonl:4"] == "not JSON"
    assert "UTF-8" in faults["a.jsonl:5"]
    kept = (desk.out / "clean" / "a.jsonl").read_bytes().splitlines()
    assert kept == [json.dumps(clean).encode(), b'{"text": "\xff"}']
    assert gzip.decompress((desk.out / "clean" / "b.jsonl.gz").read_bytes()) == json.dumps(clean).encode() + b"\n"
    (dropped,) = map(json.loads, (desk.out / "dropped" / "a.jsonl.jsonl").read_text().splitlines())
    assert dropped["row"] == hit
    (found,) = dropped["hits"]
    assert (found["benchmark"], found["problem"], found["rule"]) == ("made", "made/0", "qwen")
    assert hit["text"][found["start"] : found["end"]] == PLANTED
    assert len((desk.out / "unchecked" / "a.jsonl.jsonl").read_text().splitlines()) == 2
    assert [path.name for path in (desk.out / "clean" / "files-00001").iterdir()] == ["other.py"]


def test_a_torn_shard_and_an_empty_one_do_not_stop_the_others(desk: Desk) -> None:
    desk.lines("a.jsonl", [{"text": PLANTED}])
    desk.lines("torn.jsonl.gz", [{"text": os.urandom(200).hex()} for _ in range(2000)])
    torn = desk.corpus / "torn.jsonl.gz"
    torn.write_bytes(torn.read_bytes()[:-2000])
    (desk.corpus / "empty.jsonl").write_bytes(b"")
    ran = desk.run()
    assert ran.returncode == 3
    document = json.loads(ran.stdout)
    assert [fault["place"] for fault in document["faults"]] == ["torn.jsonl.gz"]
    assert document["corpus"]["hit"] == 1
    assert document["corpus"]["documents"] > 1000
    assert not list(desk.out.rglob("*.part"))


def test_killed_and_started_again_it_leaves_what_an_undisturbed_run_does(desk: Desk) -> None:
    for shard in range(40):
        rows = [{"text": f"{shard} {row} {PLANTED if row % 50 == shard else 'nothing'}"} for row in range(2000)]
        desk.lines(f"{shard:02}.jsonl", rows)
    undisturbed = desk.run()
    assert undisturbed.returncode == 0, undisturbed.stderr
    expected = desk.left()
    whole = desk.out.rename(desk.folder / "whole")
    for least in (1, 10):
        process = subprocess.Popen(
            [*desk.argv, "--workers", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=desk.env
        )
        deadline = time.monotonic() + 60
        while process.poll() is None and len(list((desk.out / "shards").glob("*.json"))) < least:
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGKILL)
        process.wait()
        for path in (desk.out / "shards").glob("*.json"):  # what is there is whole
            assert json.loads(path.read_text())["whole"]
    again = desk.run()
    assert again.returncode == 0, again.stderr
    assert "shards were done before" in again.stderr
    assert desk.left() == expected
    assert json.loads(again.stdout)["benchmarks"] == json.loads((whole / "report.json").read_text())["benchmarks"]


def test_what_is_asked_wrongly_is_one_line(desk: Desk) -> None:
    desk.lines("a.jsonl", [{"text": "nothing"}])
    assert desk.run().returncode == 0
    for more, said in (
        (["--rule", "words"], "made with another index"),
        (["--rule", "none"], "--rule none: unknown"),
        (["--corpus", "nowhere"], "--corpus"),
    ):
        ran = desk.run(*more)
        assert ran.returncode == 2, ran.stderr
        assert said in ran.stderr
        assert len(ran.stderr.strip().splitlines()) == 1
