"""Full disks, rivals, jumping clocks and bad neighbours.

The run says one line, or nothing, and in the end its verdicts are those of an undisturbed run.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from watching import (
    KIB,
    alive,
    assert_part_of,
    assert_same,
    containers,
    ended,
    family,
    groups,
    one_line,
    rows_in,
    scoring,
)

Cli = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., "subprocess.Popen[str]"]
Poll = Callable[[Callable[[], bool], str], None]
Document = Callable[..., Any]
Refused = Callable[..., str]
Samples = Callable[..., Path]
Starter = list[dict[str, Any]]


class Disk:
    """A small disk in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", self.folder], check=True, capture_output=True)

    def size(self, kib: int) -> None:
        self.remount(f"size={kib}k")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    ran = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", folder], capture_output=True, check=False)
    if ran.returncode:
        pytest.skip(f"no small disk can be mounted: {ran.stderr.decode().strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fills_up(
    qceval: Cli, disk: Disk, command: tuple[object, ...], sizes: range, wherever: Callable[[], None]
) -> list[str]:
    """Run the same command with more and more room until there is enough; what it said each time before."""
    said = []
    for kib in sizes:
        disk.size(kib)
        ran = qceval(*command)
        if ran.returncode == 0:
            return said
        said.append(one_line(ran, 3))
        assert "No space left on device" in said[-1]
        assert not list(disk.folder.rglob("*.part"))
        wherever()
    raise AssertionError(said)


@pytest.mark.slow
def test_a_results_disk_that_fills_up(
    qceval: Cli, document: Document, sandbox: str, light: Path, disk: Disk, tmp_path: Path
) -> None:
    undisturbed = document(*scoring(light, sandbox), "--out", tmp_path / "undisturbed")
    command = scoring(light, sandbox, "--out", disk.folder)
    (disk.folder / "other things").write_bytes(bytes(4 * KIB))
    said = fills_up(qceval, disk, command, range(4, 400, 12), lambda: assert_part_of(disk.folder, undisturbed))
    for name in ("run.json.part: ", "completions.jsonl: "):
        assert any(name in line for line in said), said
    assert all("make room and run again" in line for line in said)
    disk.size(400)
    assert_same(document(*command), undisturbed)


@pytest.mark.slow
def test_a_cache_disk_that_fills_up_with_references(
    qceval: Cli, document: Document, env: dict[str, str], sandbox: str, light: Path, disk: Disk, tmp_path: Path
) -> None:
    command = scoring(light, sandbox)
    undisturbed = document(*command, "--out", tmp_path / "undisturbed")
    env["QCEVAL_CACHE"] = str(disk.folder)
    said = fills_up(qceval, disk, command, range(4, 400, 30), lambda: assert_part_of(tmp_path / "results", undisturbed))
    assert said
    assert all("set QCEVAL_CACHE" in line for line in said)
    assert_same(document(*command), undisturbed)


@pytest.mark.slow
def test_a_cache_disk_without_room_for_verdicts(
    qceval: Cli, document: Document, env: dict[str, str], sandbox: str, light: Path, disk: Disk, tmp_path: Path
) -> None:
    """Verdicts need not be kept: one line, and the run goes on."""
    command = scoring(light, sandbox)
    cached = command[:-1]
    disk.size(10_000)
    env["QCEVAL_CACHE"] = str(disk.folder)
    undisturbed = document(*command, "--out", tmp_path / "undisturbed")
    used = os.statvfs(disk.folder)
    for room in (0, 8, 24):
        disk.size((used.f_blocks - used.f_bfree) * used.f_frsize // KIB + room)
        out = tmp_path / f"room {room}"
        ran = qceval(*cached, "--json", "--out", out)
        assert ran.returncode == 0, ran.stderr
        (said,) = [line for line in ran.stderr.splitlines() if "verdict cache" in line]
        assert said.endswith("going on without")
        assert_same(json.loads(ran.stdout), undisturbed)
        for file in disk.folder.glob("verdicts.sqlite*"):
            file.unlink()
    disk.size(10_000)
    assert_same(document(*cached), undisturbed)
    assert (disk.folder / "verdicts.sqlite").stat().st_size > 0


@pytest.mark.parametrize("when", ["before", "between"])
def test_a_results_folder_that_is_read_only(
    qceval: Cli, document: Document, samples: Samples, starter: Starter, sandbox: str, disk: Disk, when: str
) -> None:
    disk.size(1000)
    file = samples({"task_id": row["task_id"], "completion": row["canonical_solution"]} for row in starter)
    command = scoring(file, sandbox, "--out", disk.folder)
    if when == "between":
        document(*command)
    disk.remount("ro")
    said = one_line(qceval(*command), 3)
    assert said.startswith(str(disk.folder))
    assert "cannot be written (Read-only file system); choose another --out" in said
    disk.remount("rw")
    assert document(*command)["outcomes"] == {"starter": {"passed": 24}}


# -- rivals ------------------------------------------------------------------------------------------

# Whoever is about to ask for the lock of a run waits until there are two of them.
MEETING = """
import os, sys

def hook(event, args):
    if event == "fcntl.flock":
        meeting = os.environ["QCEVAL_TEST_MEETING"]
        open(f"{meeting}/{os.getpid()}", "w").close()
        while len(os.listdir(meeting)) < 2:
            pass

sys.addaudithook(hook)
"""


@pytest.mark.slow
def test_two_runs_that_start_together_on_one_folder(
    start: Start, document: Document, env: dict[str, str], sandbox: str, light: Path, tmp_path: Path
) -> None:
    """Exactly one of them gets the folder."""
    undisturbed = document(*scoring(light, sandbox), "--out", tmp_path / "undisturbed")
    (tmp_path / "together").mkdir()
    (tmp_path / "together" / "sitecustomize.py").write_text(MEETING)
    env["PYTHONPATH"] += f":{tmp_path / 'together'}"
    for number in range(5):
        meeting, out = tmp_path / f"meeting {number}", tmp_path / f"results {number}"
        meeting.mkdir()
        env["QCEVAL_TEST_MEETING"] = str(meeting)
        both = [start(*scoring(light, sandbox, "--out", out, "--json")) for _ in range(2)]
        winner, loser = sorted(map(ended, both), key=lambda ran: ran.returncode)
        assert winner.returncode == 0, winner.stderr
        said = one_line(loser, 2)
        assert said.endswith(": another qceval is writing here; wait for it or choose another --out")
        assert_same(json.loads(winner.stdout), undisturbed)


@pytest.mark.slow
def test_two_runs_that_share_a_new_cache(
    start: Start, document: Document, env: dict[str, str], sandbox: str, light: Path, tmp_path: Path
) -> None:
    undisturbed = document(*scoring(light, sandbox), "--out", tmp_path / "undisturbed")
    for number in range(4):
        env["QCEVAL_CACHE"] = str(tmp_path / f"cache {number}")
        cached = scoring(light, sandbox)[:-1]
        both = [start(*cached, "--json", "--out", tmp_path / f"{number} {which}") for which in ("one", "other")]
        for ran in map(ended, both):
            assert ran.returncode == 0, ran.stderr
            assert "verdict cache" not in ran.stderr
            assert_same(json.loads(ran.stdout), undisturbed)
        assert not list((tmp_path / f"cache {number}").rglob("*.part"))


# -- clocks ------------------------------------------------------------------------------------------

# Each look at the clock on the wall is days away from the last one.
JUMPING = """
import datetime, itertools, time

true, true_datetime = time.time, datetime.datetime
jumps = itertools.cycle([0, 86400 * 3, -86400 * 5, 86400 * 400, -1.5, -86400 * 9000])

def jumping():
    return true() + next(jumps)

class Jumping(true_datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(jumping(), tz)

    @classmethod
    def utcnow(cls):
        return cls.utcfromtimestamp(jumping())

def at(convert):
    return lambda seconds=None: convert(jumping() if seconds is None else seconds)

time.time, time.time_ns = jumping, lambda: int(jumping() * 1e9)
time.gmtime, time.localtime = at(time.gmtime), at(time.localtime)
datetime.datetime = Jumping
"""


def numbers(value: Any) -> Iterator[float]:
    """All numbers in a document."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from numbers(part)
    elif isinstance(value, (int, float)):
        yield value


@pytest.mark.slow
@pytest.mark.parametrize(
    "backend",
    [pytest.param("namespaces", marks=pytest.mark.namespaces), pytest.param("docker", marks=pytest.mark.docker)],
)
def test_a_clock_that_jumps(
    request: pytest.FixtureRequest,
    qceval: Cli,
    document: Document,
    env: dict[str, str],
    light: Path,
    tmp_path: Path,
    backend: str,
) -> None:
    command = scoring(light, request.getfixturevalue(backend))
    undisturbed = document(*command, "--out", tmp_path / "undisturbed")
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(JUMPING)
    env["PYTHONPATH"] += f":{tmp_path / 'clock'}"
    env["QCEVAL_CACHE"] = str(tmp_path / "cache")
    seen = subprocess.run(
        [sys.executable, "-c", "import time; print(abs(time.time() - time.time()) > 86400)"],
        env=env,
        check=True,
        capture_output=True,
    )
    assert seen.stdout == b"True\n", "the clock does not jump"
    for cached in (command[:-1], command):  # the verdict cache writes the time down, and orders by it
        report = document(*cached, "--out", tmp_path / f"{len(cached)}")
        assert_same(report, undisturbed)
        for name in ("run.json", "scores.json"):
            found = json.loads((Path(report["run"]) / name).read_text())
            assert all(math.isfinite(number) and number >= 0 for number in numbers(found)), found
    for path in (tmp_path / "cache").rglob("references/*/*.gz"):
        with gzip.open(path) as file:
            took = json.loads(file.readline())
        assert all(0 <= seconds < 10 for seconds in (*took["cpu_s"], *took["writing_s"])), took


# -- bad neighbours ----------------------------------------------------------------------------------

# What a hostile completion does in a call. None of it returns what is asked for.
HOSTILE = {
    "fork bomb": "while True:\n    try: os.fork()\n    except OSError: pass",
    "memory bomb": "held = []\nwhile True: held.append(bytearray(1 << 26))",
    "disk filler": """for place in ("/tmp", "/dev/shm", "."):
    for number in range(20):
        try:
            with open(f"{place}/{number}", "wb", 0) as file:
                while True: file.write(bytes(1 << 20))
        except OSError: pass""",
    "endless output": "while True: os.write(1, b'x'); os.write(2, b'y')",
    "endless answers": "while True: os.write(3, b'z' * 65536)",
    "a loop that ignores signals": """for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: pass""",
    "a daemon": """if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            for place in ("/tmp", "/dev/shm", "/tmp/work"):
                try: open(f"{place}/{time.time()}", "w").write("x")
                except OSError: pass
    os._exit(0)""",
    "the network": """for address in (("127.0.0.1", 80), ("1.1.1.1", 53), ("169.254.169.254", 80)):
    try: socket.create_connection(address, 1)
    except OSError: pass""",
    "files of other samples": """for pid in filter(str.isdigit, os.listdir("/proc")):
    for path in ("root/tmp/work/main.py", "cwd/main.py", "fd/0", "fd/3", "mem", "environ"):
        try: os.write(3, open(f"/proc/{pid}/{path}", "rb").read(1 << 16))
        except (OSError, ValueError): pass""",
    "the agent": """for pid in (1, os.getppid(), -1):
    for number in (19, 15, 9):
        try: os.kill(pid, number)
        except OSError: pass""",
    "links to the outside": """for number, target in enumerate(("/", "/etc", "/opt/qceval", "..", "/proc/1/root")):
    try:
        os.symlink(target, f"/tmp/{number}"); os.symlink(target, f"/dev/shm/{number}")
        open(f"/tmp/{number}/poison", "w").write("x")
    except OSError: pass
os.rename(os.getcwd(), "/tmp/elsewhere"); os.symlink("/usr/bin", "/tmp/work")""",
    "a million open files": "held = []\nwhile True: held.append(os.open('/dev/null', 0))",
    "core dumps": "os.chdir('/tmp'); ctypes.string_at(0)",
    "output that is no text": """for fd in (1, 2, 3): os.write(fd, bytes(range(256)) * 100 + b"\\n")
raise ValueError("\\ud800\\x1b[2J\\x00")""",
    "values that are no text": "return '\\ud800\\x00' * 1000",
}


def hostile(attack: str, mark: str) -> str:
    """The attack as a completion; the processes of it and of its children are called ``mark``."""
    body = f"import ctypes, os, signal, socket, time\nctypes.CDLL(None).prctl(15, {mark.encode()!r}, 0, 0, 0)\n{attack}"
    return "".join(f"    {line}\n" for line in body.splitlines())


def named(mark: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if path.read_text().strip() == mark:
                found.append(int(path.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "backend",
    [pytest.param("namespaces", marks=pytest.mark.namespaces), pytest.param("docker", marks=pytest.mark.docker)],
)
def test_honest_samples_among_hostile_ones(
    request: pytest.FixtureRequest,
    start: Start,
    document: Document,
    poll: Poll,
    starter: Starter,
    samples: Samples,
    tmp_path: Path,
    backend: str,
) -> None:
    """Each problem has an honest sample, right or wrong, and a hostile one, in a random order."""
    kind = request.getfixturevalue(backend)
    mark = f"evil{os.getpid()}"
    attacks = [*HOSTILE.values()]
    luck = random.Random(17)
    honest, mixed, hostile_ones = [], [], set()
    for number, row in enumerate(starter):
        text = row["canonical_solution"] if number % 3 else row["wrong"][0]
        honest.append({"task_id": row["task_id"], "completion": text})
        pair = [honest[-1], {"task_id": row["task_id"], "completion": hostile(attacks[number % len(attacks)], mark)}]
        luck.shuffle(pair)
        hostile_ones.add((row["task_id"], 1 - pair.index(honest[-1])))
        mixed += pair
    alone = document(*scoring(samples(honest, "honest.jsonl"), kind))
    process = start(*scoring(samples(mixed, "mixed.jsonl"), kind, "--json"))
    poll(lambda: process.poll() is not None or bool(named(mark)), "a hostile program")
    ran = ended(process)
    assert ran.returncode == 0, ran.stderr
    rows = [json.loads(row) for row in rows_in(Path(json.loads(ran.stdout)["run"]), "verdicts.jsonl")]
    assert len(rows) == 48
    expected = {row["problem"]: row for row in map(json.loads, rows_in(Path(alone["run"]), "verdicts.jsonl"))}
    for row in rows:
        if (row["problem"], row["sample"]) in hostile_ones:
            assert row["checks"]["starter"] not in ("passed", "infrastructure"), row
        else:
            assert {**row, "sample": 0} == expected[row["problem"]]
    poll(lambda: not named(mark), "the end of all hostile programs")
    assert not groups([process.pid])
    assert not alive(family(process.pid))
    if kind == "docker":
        poll(lambda: not containers([process.pid]), "the end of its containers")
    assert not list(Path("/usr/bin").glob("poison"))
