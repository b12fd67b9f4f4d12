"""The Ray engine on a cluster of two nodes: what one process leaves, also where a node is killed in the middle."""

from __future__ import annotations

import filecmp
import importlib.util
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numba", reason="numba is not installed")

from qwencoder_eval.decontamination import on_ray
from qwencoder_eval.decontamination.corpus import Job, Shard
from qwencoder_eval.errors import InfrastructureError

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
SHARDS = 48  # of rows; source files are one more
DEADLINE_S = 180
MARK = "QCEVAL_TEST_OF_RAY"  # in the environment of every process that a test starts, and of theirs

PLUGIN = """
from qwencoder_eval.benchmark import DataOnly
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.types import Problem


class Made(DataOnly):
    name = "made"
    version = "1"
    reference = "original"
    rows = Rows(inline={rows!r})
    decontaminate = ("text",)

    def problem(self, row):
        return Problem(row["id"], row, {{}})
"""

# A process for the cluster: it ends it when its standard input ends.
CLUSTER = """
import json, sys
from ray.cluster_utils import Cluster
cluster = Cluster()
options = dict(num_cpus=1, object_store_memory=100 << 20, include_dashboard=False)
head = cluster.add_node(**options)
second = cluster.add_node(**options)
print(json.dumps([cluster.address, second.all_processes["raylet"][0].process.pid]), flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@dataclass
class Made:
    folder: Path
    environment: dict[str, str]

    def command(self, out: str, *more: str, corpus: str = "corpus") -> list[str]:
        return [
            sys.executable, "-m", "qwencoder_eval", "decontaminate", "--plugins", str(self.folder / "plugins"),
            "--bench", "made", "--corpus", str(self.folder / corpus), "--out", str(self.folder / out),
            "--write-clean", *more,
        ]  # fmt: skip

    def ran(self, out: str, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(out, *more), env={**self.environment, **environment}, capture_output=True, text=True,
            timeout=DEADLINE_S, check=False,
        )  # fmt: skip

    def same(self, one: str, other: str) -> None:
        """Everything in both folders is, but for the time."""
        known, found = self.contents(one), self.contents(other)
        assert list(known) == list(found)
        timed = {"report.json", "report.md", "report.html", "settings.json"}
        different = [name for name in known if name not in timed and not filecmp.cmp(known[name], found[name], False)]
        assert different == []
        first, second = ({**json.loads(each["report.json"].read_text()), "created": ""} for each in (known, found))
        assert json.dumps(first) == json.dumps(second)

    def contents(self, out: str) -> dict[str, Path]:
        top = self.folder / out
        return {path.relative_to(top).as_posix(): path for path in sorted(top.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A corpus with copies of a made-up benchmark, and what one process makes of it in ``local``."""
    folder = tmp_path_factory.mktemp("ray")
    rng = random.Random(7)
    words = [f"word{at}" for at in range(2000)]
    problems = [{"id": f"made/{at}", "text": " ".join(rng.choices(words, k=30))} for at in range(40)]
    texts = [" ".join(rng.choices(words, k=300)) for _ in range(200)]

    def text() -> str:
        parts = rng.sample(texts, 2)
        return rng.choice(problems)["text"].join(parts) if rng.random() < 0.01 else "\n".join(parts)

    (folder / "plugins").mkdir()
    (folder / "plugins" / "made.py").write_text(PLUGIN.format(rows=tuple(problems)))
    (folder / "corpus" / "sources").mkdir(parents=True)
    for shard in range(SHARDS):
        rows = [json.dumps({"text": text(), "number": at}) for at in range(250)]
        rows += ["{not JSON"] if shard % 10 == 3 else []
        (folder / "corpus" / f"rows-{shard:02}.jsonl").write_text("\n".join(rows) + "\n")
    for number in range(60):
        source = f"# {text()}\nprint({number})\n"
        (folder / "corpus" / "sources" / f"{number}.py").write_text(source)
    (folder / "corpus" / "sources" / "copy.py").write_text(f'"""{problems[0]["text"]}"""\n')
    short = tempfile.mkdtemp(prefix="qc-ray-", dir="/tmp")  # Ray's sockets lie there, and their paths must be short
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "HOME": str(folder), "QCEVAL_CACHE": str(folder / "cache"), "RAY_TMPDIR": short, MARK: str(folder),
    }  # fmt: skip
    made = Made(folder, environment)
    try:
        local = made.ran("local", "--engine", "local", "--workers", "1")
        assert local.returncode == 3, local.stderr  # rows that are not JSON
        counts = json.loads((folder / "local" / "report.json").read_text())["corpus"]
        assert counts["shards"] == SHARDS + 1
        assert counts["hit"] > 50
        assert counts["unchecked"] == 5
        yield made
    finally:
        end(running(str(folder)))
        shutil.rmtree(short, ignore_errors=True)


def running(mark: str) -> list[int]:
    """Processes that a test started, and theirs."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def end(processes: list[int]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def until(condition: Callable[[], Any], process: subprocess.Popen[str] | None = None) -> Any:
    """What it gives once that is something. ``process``: one that must not end before."""
    deadline = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, "it takes too long"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.002)
    return found


@pytest.fixture
def cluster(made: Made) -> Iterator[tuple[str, int]]:
    """Address of a cluster of two nodes, one CPU each, and the process of the second one."""
    environment = {**made.environment, "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    try:
        line = process.stdout.readline()
        assert line, process.communicate()
        address, second = json.loads(line)
        yield address, second
    finally:
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=30)  # closes its standard input
        end(running(str(made.folder)))
        process.wait()
        until(lambda: not running(str(made.folder)))


def started(made: Made, address: str, out: str) -> subprocess.Popen[str]:
    environment = {**made.environment, "RAY_ADDRESS": address, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    return subprocess.Popen(
        made.command(out, "--engine", "ray"), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def parents() -> dict[int, int]:
    found = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit():
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def below(process: int) -> list[int]:
    known = parents()
    found = [process]
    for each in found:
        found += [child for child, parent in known.items() if parent == each]
    return found


def stopped_within_a_shard(made: Made, out: str, node: int) -> bool:
    """Stop a process of this node while it has a shard half written."""
    for process in below(node):
        if any((made.folder / out / "clean").glob(f"*.qceval*-{process}.part")):
            os.kill(process, signal.SIGSTOP)
            if any((made.folder / out / "clean").glob(f"*.qceval*-{process}.part")):
                return True
            os.kill(process, signal.SIGCONT)
    return False


def checked(made: Made, said: tuple[str, str], status: int) -> None:
    """What the command says is what it says without Ray, and nothing of Ray's own."""
    out, err = said
    assert status == 3, err
    assert [line for line in out.splitlines() if not line.startswith("report: ")] == [
        line for line in made.ran("local").stdout.splitlines() if not line.startswith("report: ")
    ]
    assert len(out.splitlines()) == 4
    assert [line for line in err.splitlines() if not line.startswith(("qceval: ", "searched "))] == []


@pytest.mark.slow
@needs_ray
def test_a_cluster_leaves_what_one_process_does(made: Made, cluster: tuple[str, int]) -> None:
    process = started(made, cluster[0], "whole")
    shards = made.folder / "whole" / "shards"
    until(lambda: len(list(shards.glob("*.json"))) > 0, process)
    assert len(list(shards.glob("*.json"))) < SHARDS  # they come one by one
    checked(made, process.communicate(timeout=DEADLINE_S), process.returncode)
    made.same("local", "whole")


@pytest.mark.slow
@needs_ray
def test_a_node_that_is_killed_in_the_middle_changes_nothing(made: Made, cluster: tuple[str, int]) -> None:
    address, second = cluster
    process = started(made, address, "killed")
    shards = made.folder / "killed" / "shards"
    until(lambda: len(list(shards.glob("*.json"))) >= 5, process)
    until(lambda: stopped_within_a_shard(made, "killed", second), process)
    assert len(list(shards.glob("*.json"))) < SHARDS - 5
    lost = below(second)
    end(lost)
    assert list((made.folder / "killed" / "clean").glob("*.part"))
    checked(made, process.communicate(timeout=DEADLINE_S), process.returncode)
    assert not set(lost) & set(running(str(made.folder)))  # it had one node at the end
    made.same("local", "killed")


@pytest.mark.slow
@needs_ray
def test_it_starts_ray_itself_on_the_loopback_address_and_ends_it(made: Made) -> None:
    process = subprocess.Popen(
        made.command("alone", "--engine", "ray"), env=made.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    until(lambda: list((made.folder / "alone" / "shards").glob("*.json")), process)
    addresses = {address.partition(":")[0] for address in connected(running(str(made.folder)))}
    checked(made, process.communicate(timeout=DEADLINE_S), process.returncode)
    made.same("local", "alone")
    until(lambda: not running(str(made.folder)))
    assert addresses == {"0100007F", "00000000"}  # the other one: listens, or is not connected
    again = made.ran("alone", "--engine", "ray")  # nothing is left to do, and Ray is not started for it
    assert again.stderr.startswith(f"{SHARDS + 1} of {SHARDS + 1} shards were done before\n")


def connected(processes: list[int]) -> set[str]:
    """Addresses at both ends of the TCP sockets of these processes, as the kernel writes them."""
    sockets = set()
    for process in processes:
        with suppress(OSError):
            for file in Path(f"/proc/{process}/fd").iterdir():
                with suppress(OSError):
                    sockets.add(os.readlink(file))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if f"socket:[{fields[9]}]" in sockets:
                found |= {address.rpartition(":")[0][-8:] for address in fields[1:3]}
    return found


@pytest.mark.slow
@needs_ray
def test_what_a_task_raises_is_one_line(made: Made) -> None:
    """An index that is damaged, of which only the tasks read more than its name."""
    for path in made.folder.glob("cache/decontamination/*/*"):
        if path.suffix == ".npy":
            path.write_bytes(path.read_bytes()[:-100])
    try:
        found = made.ran("raises", "--engine", "ray")
        said = found.stderr.splitlines()
        assert found.stdout == ""
        assert len(said) == 1
        assert said[0].startswith(f"qceval: {made.folder / 'raises' / 'ray' / 'index'}: ")
        assert found.returncode == made.ran("raises-too").returncode
        assert not (made.folder / "raises" / "ray").exists()
        assert not running(str(made.folder)) or until(lambda: not running(str(made.folder)))
    finally:
        shutil.rmtree(made.folder / "cache" / "decontamination")


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize("address", ["127.0.0.1:9", "nowhere.invalid:6379", "nothing"])
def test_a_cluster_out_of_reach_is_one_line(made: Made, address: str) -> None:
    found = made.ran("nowhere", "--engine", "ray", RAY_ADDRESS=address)
    assert found.returncode == 3
    assert found.stdout == ""
    (line,) = found.stderr.splitlines()
    assert line.startswith(f"qceval: ray: RAY_ADDRESS {address}: ")
    assert line.endswith("; start a cluster, and this on one of its nodes")


@pytest.mark.slow
def test_without_ray_it_says_what_to_install(made: Made) -> None:
    (made.folder / "without").mkdir()
    (made.folder / "without" / "ray.py").write_text("raise ModuleNotFoundError('no ray', name='ray')")
    found = made.ran("uninstalled", "--engine", "ray", PYTHONPATH=str(made.folder / "without"))
    assert found.returncode == 3
    assert found.stderr == "qceval: ray is not installed; pip install 'qwencoder_eval[ray]'\n"


def asked(tmp_path: Path, name: str = "rows.jsonl") -> tuple[Job, dict[str, str]]:
    (tmp_path / "out" / "ray" / "tries").mkdir(parents=True)
    job = Job(str(tmp_path / "out" / "ray" / "index"), str(tmp_path / "out"))
    return job, {"shard": json.dumps(asdict(Shard.of(name, "jsonl", (str(tmp_path / name),), 10)))}


def test_a_shard_that_takes_its_process_down_each_time_is_a_fault(tmp_path: Path, monkeypatch: Any) -> None:
    job, row = asked(tmp_path)

    def dies(shard: Shard, job: Job) -> dict[str, Any]:
        raise SystemExit  # as if the process were gone: nothing behind it runs

    monkeypatch.setattr(on_ray, "scan_shard", dies)
    for _ in range(on_ray.TRIES):
        with pytest.raises(SystemExit):
            on_ray._Task(job)(row)
    kind, said = pickle.loads(on_ray._Task(job)(row)["said"])
    assert kind == "done"
    assert said["whole"] is False
    assert said["fault_count"] == len(said["faults"]) == 1
    assert said["faults"][0]["place"] == "rows.jsonl"
    assert said["faults"][0]["fault"].startswith("its process or its node was lost 10 times;")


def test_a_shard_that_was_lost_is_tried_from_the_beginning(tmp_path: Path, monkeypatch: Any) -> None:
    job, row = asked(tmp_path)
    monkeypatch.setattr(on_ray, "scan_shard", lambda shard, job: {"shard": shard.name, "paths": shard.paths})
    found = on_ray._Task(job)(row)
    expected = {"shard": "rows.jsonl", "paths": (str(tmp_path / "rows.jsonl"),)}
    assert pickle.loads(found["said"]) == ("done", expected)
    assert found["size"] == 10
    assert list((tmp_path / "out" / "ray" / "tries").iterdir()) == []  # what was done does not count


def test_a_node_that_does_not_see_the_output_folder_says_so(tmp_path: Path) -> None:
    job, row = asked(tmp_path)
    shutil.rmtree(tmp_path / "out")
    kind, error = pickle.loads(on_ray._Task(job)(row)["said"])
    assert kind == "raised"
    assert isinstance(error, InfrastructureError)
    assert str(error).startswith(f"{tmp_path / 'out'}: cannot be written on ")
    assert str(error).endswith("; --out must be on a disk that all nodes share")
