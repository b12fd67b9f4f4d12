"""Processes that search shards: one that dies takes no other down, and none is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numba", reason="numba is not installed")

from qwencoder_eval.decontamination import local
from qwencoder_eval.decontamination.corpus import Job, Shard, shards
from qwencoder_eval.decontamination.index import Item, build
from qwencoder_eval.decontamination.rules import RULES
from qwencoder_eval.decontamination.shard import scan_shard
from qwencoder_eval.errors import InfrastructureError, InputError

PLANTED = "one two three four five six seven eight nine ten"
DEADLINE_S = 60


@pytest.fixture
def job(tmp_path: Path) -> Job:
    build([Item("made", "0", (PLANTED,))], [(RULES["qwen"], 10)]).save(tmp_path / "index")
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    return Job(str(tmp_path / "index"), str(tmp_path / "out"))


def made(folder: Path, count: int, lines: int = 50) -> list[Shard]:
    for at in range(count):
        rows = [{"text": f"{at} {PLANTED if row == at else 'nothing'}"} for row in range(lines)]
        (folder / f"{at:02}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return shards([str(folder)])


def children() -> set[int]:
    """Of this process, and theirs: who works, and not what they are forked from."""
    found, seen = set(), {os.getpid()}
    known = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            known.append((int(entry.name), int(fields[1]), fields[0]))
    for _ in range(3):
        for pid, parent, state in known:
            if parent in seen and pid not in seen and state != "Z":
                seen.add(pid)
                found.add(pid)
    return found


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_results_are_those_of_one_process_whatever_the_number_of_workers(
    workers: int, job: Job, tmp_path: Path
) -> None:
    found = made(tmp_path / "in", 7)
    told: list[int] = []
    results = {result["shard"]: result for result in local.run(found, job, workers, told.append)}
    assert results == {shard.name: json.loads(json.dumps(scan_shard(shard, job))) for shard in found}
    assert sum(told) == sum(shard.size for shard in found)


def test_nothing_to_do_starts_nothing(job: Job) -> None:
    assert list(local.run([], job, 4, print)) == []


@pytest.fixture
def stuck(job: Job, tmp_path: Path) -> Iterator[Shard]:
    """A shard that whoever reads it waits for: a pipe that nobody writes to."""
    path = tmp_path / "in" / "stuck.jsonl"
    os.mkfifo(path)
    yield Shard.of("stuck.jsonl", "jsonl", (str(path),), 0)
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))  # and whoever still waits goes on


class Killer(threading.Thread):
    """Kills the first process that comes beside those that are there."""

    def __init__(self) -> None:
        super().__init__()
        self.before = children()

    def run(self) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not (new := children() - self.before) and time.monotonic() < deadline:
            pass
        for pid in new:
            os.kill(pid, signal.SIGKILL)


def test_a_process_that_is_killed_is_a_fault_of_its_shard_and_the_others_go_on(
    job: Job, tmp_path: Path, stuck: Shard
) -> None:
    others = [shard for shard in made(tmp_path / "in", 6) if shard.name != stuck.name]
    list(local.run(others[:1], job, 1, print))  # what workers are forked from is there
    killer = Killer()
    killer.start()
    lost, *results = local.run([stuck, *others], job, 1, lambda read: None)
    killer.join()
    assert (lost["shard"], lost["whole"], lost["fault_count"]) == ("stuck.jsonl", False, 1)
    assert lost["faults"] == [
        {"place": "stuck.jsonl", "fault": "its process ended by signal 9; start the same command again"}
    ]
    assert [result["shard"] for result in results] == [shard.name for shard in others]
    assert all(result["whole"] for result in results)


def test_closed_before_its_end_it_leaves_no_process(job: Job, tmp_path: Path, stuck: Shard) -> None:
    others = [shard for shard in made(tmp_path / "in", 6) if shard.name != stuck.name]
    list(local.run(others[:1], job, 1, print))
    before = children()
    results = local.run([others[0], stuck, *others[1:]], job, 2, lambda read: None)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert children() == before


def test_what_a_process_raises_is_raised_here(job: Job, tmp_path: Path) -> None:
    (tmp_path / "in" / "a.jsonl").write_text("{}")
    with pytest.raises(InputError, match="not an index"):
        list(local.run(shards([str(tmp_path / "in")]), Job(str(tmp_path), job.out), 1, print))


def test_a_function_in_a_process_of_its_own() -> None:
    assert local.apart(int, "12") == 12
    assert local.apart(os.getpid) != os.getpid()
    with pytest.raises(ValueError, match="invalid literal"):
        local.apart(int, "x")


@pytest.mark.parametrize(("function", "given", "said"), [(os._exit, (9,), "status 9"), (os.abort, (), "signal 6")])
def test_a_process_that_dies_is_said_as_it_was(function: Any, given: tuple[Any, ...], said: str) -> None:
    with pytest.raises(InfrastructureError, match=said):
        local.apart(function, *given)


def test_what_workers_are_forked_from_has_what_they_need_and_little_else() -> None:
    """Every command waits for it: no algebra of SciPy's, no benchmarks. SciPy is there again after."""
    program = """
import sys
import qwencoder_eval.decontamination.warm
known = set(sys.modules)
import scipy
print(*sorted(known))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    known = ran.stdout.split()
    assert {"numba", "numpy", "qwencoder_eval.decontamination.shard"} <= set(known)
    assert not [name for name in known if name.split(".")[0] in ("scipy", "pydantic", "pandas", "click")]
    assert "qwencoder_eval.benchmark" not in known
