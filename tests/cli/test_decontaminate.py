"""`qceval decontaminate` from outside: what it leaves, faults by name, and the same command again."""

from __future__ import annotations

import functools
import gzip
import http.server
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
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

    def run(self, *more: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        argv = [*self.argv, *more]
        return subprocess.run(argv, capture_output=True, text=True, env=self.env, check=False, **settings)

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


@pytest.mark.slow
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


def test_what_the_disk_does_not_take_is_said_and_done_the_next_time(desk: Desk) -> None:
    """A limit on the size of files stands for the disk, for the large shard alone."""
    for shard in range(6):
        desk.lines(f"{shard}.jsonl", [{"text": f"{PLANTED if row % 9 == shard else row}"} for row in range(200)])
    desk.lines("large.jsonl", [{"text": f"{row} " * 400} for row in range(2000)])
    whole = desk.run()
    assert whole.returncode == 0, whole.stderr
    expected = desk.left()
    shutil.rmtree(desk.out)
    limit = 1_000_000, resource.RLIM_INFINITY
    ran = desk.run(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    assert ran.returncode == 3
    assert "Traceback" not in ran.stderr
    assert json.loads(ran.stdout)["faults"] == [
        {
            "shard": "large.jsonl", "place": "large.jsonl",
            "fault": "cannot be written (File too large); make room and run again",
        }
    ]  # fmt: skip
    assert desk.left() == {name: data for name, data in expected.items() if "large" not in name}
    again = desk.run()
    assert again.returncode == 0
    assert "6 of 7 shards were done before" in again.stderr
    assert desk.left() == expected


def test_what_changed_is_searched_again_and_what_is_gone_goes(desk: Desk) -> None:
    for name in "abc":
        desk.lines(f"{name}.jsonl", [{"text": name}, {"text": PLANTED}])
    assert desk.run().returncode == 0
    before = desk.left()
    desk.lines("b.jsonl", [{"text": "another text"}])
    (desk.corpus / "c.jsonl").unlink()
    ran = desk.run()
    assert ran.returncode == 0, ran.stderr
    assert "1 of 2 shards were done before" in ran.stderr
    assert "c.jsonl: no longer in the corpus" in ran.stderr
    left = desk.left()
    assert sorted(left) == [
        "clean/a.jsonl", "clean/b.jsonl", "dropped/a.jsonl.jsonl", "shards/a.jsonl.json", "shards/b.jsonl.json",
    ]  # fmt: skip
    assert left["clean/b.jsonl"] == b'{"text": "another text"}\n'
    assert left["clean/a.jsonl"] == before["clean/a.jsonl"]
    assert json.loads(ran.stdout)["corpus"]["hit"] == 1


def test_without_numba_it_says_what_to_install(desk: Desk) -> None:
    desk.lines("a.jsonl", [{"text": "a"}])
    without = desk.folder / "without"
    without.mkdir()
    (without / "numba.py").write_text("raise ModuleNotFoundError(\"No module named 'numba'\", name='numba')\n")
    desk.env["PYTHONPATH"] = f"{without}:{ROOT}"
    ran = desk.run()
    assert ran.returncode == 3
    assert ran.stderr == "qceval: numba is not installed; pip install 'qwencoder_eval[decontaminate]'\n"


def test_hostile_names_and_texts_do_not_reach_the_terminal(desk: Desk) -> None:
    (desk.corpus / "\x1b[31m<script>.jsonl").write_text(json.dumps({"text": f"\x1b[2J {PLANTED} </script>"}) + "\nno\n")
    (desk.corpus / "a\nb.py").write_text(PLANTED)
    for more in ([], ["--write-clean"]):
        ran = desk.run(*more)
        assert ran.returncode == 3
        assert "\x1b" not in ran.stdout + ran.stderr
    for name in ("report.md", "report.html", "report.json"):
        text = (desk.out / name).read_text()
        assert "\x1b" not in text
        assert name == "report.json" or "<script>.jsonl" not in text


def test_an_address_and_a_folder_together(desk: Desk) -> None:
    """A real server on the loopback address beside files of this machine."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    desk.lines("a.jsonl.gz", [{"text": PLANTED}, {"text": "a"}])
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(desk.corpus))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ran = desk.run("--corpus", f"http://127.0.0.1:{server.server_port}/a.jsonl.gz")
        server.shutdown()
    assert ran.returncode == 0, ran.stderr
    corpus = json.loads(ran.stdout)["corpus"]
    assert (corpus["shards"], corpus["documents"], corpus["hit"]) == (2, 4, 2)
    kept = [gzip.decompress(data) for name, data in desk.left().items() if name.startswith("clean/")]
    assert kept == [b'{"text": "a"}\n'] * 2


def test_scores_on_what_a_corpus_has_and_on_what_it_has_not(
    qceval: Any, document: Any, samples: Any, sandbox: str, starter: Any, tmp_path: Path
) -> None:
    """From a corpus to a leaderboard, by the commands that a user would give."""
    rows = [
        {"task_id": row["task_id"], "completion": row["canonical_solution"] if at % 3 else "    return None\n"}
        for at, row in enumerate(starter)
    ]
    ran = qceval("score", "--bench", "starter", "--samples", samples(rows), "--sandbox", sandbox)
    assert ran.returncode == 0, ran.stderr
    seen = [row for at, row in enumerate(starter) if at % 4 == 0]
    (tmp_path / "corpus.jsonl").write_text(
        "".join(json.dumps({"text": row["prompt"] + row["canonical_solution"]}) + "\n" for row in seen)
    )
    out = tmp_path / "searched"
    found = document("decontaminate", "--bench", "starter", "--corpus", tmp_path / "corpus.jsonl", "--out", out)
    hits = found["benchmarks"][0]["hits"]
    assert {row["task_id"] for row in seen} <= set(hits)
    board = document("report", "--contamination", out / "report.json")
    (split,) = board["contamination"]["scores"]
    assert split["hit"]["problems"] == len(hits)
    assert split["clean"]["problems"] == len(starter) - len(hits)
    passed = {row["task_id"] for at, row in enumerate(starter) if at % 3}
    assert split["hit"]["value"] == pytest.approx(len(passed & set(hits)) / len(hits))


def test_workers_are_not_of_a_cluster(desk: Desk) -> None:
    desk.lines("a.jsonl", [{"text": "a"}])
    ran = desk.run("--engine", "ray", "--workers", "2")
    assert ran.returncode == 2
    assert "--workers is of --engine local" in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
