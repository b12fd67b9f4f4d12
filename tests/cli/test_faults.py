"""What a run meets on bad days: sandboxes and engines that die, full disks, rivals, jumping clocks, bad neighbours.

In each case the run says one line, or nothing; and in the end its verdicts are those of an undisturbed run.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import math
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from watching import (
    agents,
    alive,
    assert_part_of,
    assert_same,
    command_line,
    containers,
    family,
    four_samples,
    groups,
    kill_agents_in_containers,
    kill_containers,
    lines_in,
    rows_in,
    stat,
)

Cli = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., "subprocess.Popen[str]"]
Poll = Callable[[Callable[[], bool], str], None]
Document = Callable[..., Any]
Refused = Callable[..., str]
Samples = Callable[..., Path]
Starter = list[dict[str, Any]]

HEAVY = "    sum(range(200_000))\n"  # work in each call, so that a run has some seconds
LIGHT = "    sum(range(2_000))\n"
KIB = 1024


@pytest.fixture
def heavy(starter: Starter, samples: Samples) -> Path:
    return samples(four_samples(starter, HEAVY), "heavy.jsonl")


@pytest.fixture
def light(starter: Starter, samples: Samples) -> Path:
    return samples(four_samples(starter, LIGHT), "light.jsonl")


def scoring(file: Path, sandbox: str, *more: object) -> tuple[object, ...]:
    """The command that runs every program, whatever is known of it."""
    return ("score", "--bench", "starter", "--samples", file, "--sandbox", sandbox, "--workers", 2, "--no-cache", *more)


def verdicts(folder: Path) -> int:
    return lines_in(folder, "verdicts.jsonl")


def one_line(ran: subprocess.CompletedProcess[str], status: int) -> str:
    """The line of a command that failed."""
    assert ran.returncode == status, (ran.returncode, ran.stdout, ran.stderr)
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""
    assert ran.stderr.count("\n") == 1, ran.stderr
    assert ran.stderr.startswith("qceval: ")
    return ran.stderr.removeprefix("qceval: ").strip()


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


# -- sandboxes and engines that die ------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.namespaces
def test_agents_that_are_killed(
    start: Start, document: Document, poll: Poll, namespaces: str, heavy: Path, tmp_path: Path
) -> None:
    command = scoring(heavy, namespaces)
    undisturbed = document(*command, "--out", tmp_path / "undisturbed")
    process = start(*command, "--json")
    killed = 0
    for wanted in range(1, 90, 11):
        poll(lambda: process.poll() is not None or verdicts(tmp_path / "results") >= wanted, "a verdict")  # noqa: B023
        for pid in agents(family(process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
    ran = ended(process)
    assert killed >= 8
    assert ran.returncode == 0, ran.stderr
    assert_same(json.loads(ran.stdout), undisturbed)
    assert not groups([process.pid])


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.parametrize("kill", [kill_containers, kill_agents_in_containers])
def test_containers_that_are_killed(
    start: Start,
    document: Document,
    poll: Poll,
    docker: str,
    heavy: Path,
    tmp_path: Path,
    kill: Callable[[int], int],
) -> None:
    if kill is kill_agents_in_containers and os.geteuid() != 0:
        pytest.skip("only root can kill a process of a container from outside")
    command = scoring(heavy, docker)
    undisturbed = document(*command, "--out", tmp_path / "undisturbed")
    process = start(*command, "--json")
    killed = 0
    for wanted in (1, 30, 60):
        poll(lambda: process.poll() is not None or verdicts(tmp_path / "results") >= wanted, "a verdict")  # noqa: B023
        killed += kill(process.pid)
    ran = ended(process)
    assert killed >= 3
    assert ran.returncode == 0, ran.stderr
    assert_same(json.loads(ran.stdout), undisturbed)
    poll(lambda: not containers([process.pid]), "the end of its containers")


@pytest.mark.slow
@pytest.mark.docker
def test_containers_that_are_killed_for_a_while(
    start: Start, document: Document, poll: Poll, docker: str, heavy: Path, tmp_path: Path
) -> None:
    """What cannot be judged stays open, is never called wrong, and is judged by the same command later."""
    command = scoring(heavy, docker)
    undisturbed = document(*command, "--out", tmp_path / "undisturbed")
    process = start(*command, "--json")
    poll(lambda: verdicts(tmp_path / "results") >= 10, "ten verdicts")
    killed = 0

    def often() -> bool:
        nonlocal killed
        killed += kill_containers(process.pid)
        return killed >= 24 or process.poll() is not None

    poll(often, "many dead containers")
    ran = ended(process)
    assert ran.returncode == 3, ran.stderr
    assert "Traceback" not in ran.stderr
    report = json.loads(ran.stdout)
    assert report["scores"] == {}
    assert report["missing"]["samples"] == 96 - verdicts(tmp_path / "results") > 0
    assert report["missing"]["try_again"]
    assert_part_of(tmp_path / "results", undisturbed)
    assert_same(document(*command), undisturbed)
    poll(lambda: not containers([process.pid]), "the end of its containers")


class Engine:
    """A Docker engine of the test's own, which may be killed: everything of it lies in one folder."""

    def __init__(self, folder: Path, poll: Poll) -> None:
        self.folder, self.poll = folder, poll
        self.host = f"unix://{folder}/socket"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        for stale in ("pid", "exec/containerd/containerd.pid"):  # of an engine that was killed
            (self.folder / stale).unlink(missing_ok=True)
        options = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        places = [f"--{option}={self.folder / name}" for option, name in options.items()]
        apart = [f"--containerd{kind}-namespace=qceval-test{kind}-{os.getpid()}" for kind in ("", "-plugins")]
        with (self.folder / "log").open("ab") as log:
            command = ["dockerd", f"--host={self.host}", "--bridge=none", "--iptables=false", *places, *apart]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.poll(lambda: self.process.poll() is not None or self.answers(), "an engine that answers")
        if self.process.poll() is not None:
            pytest.skip(f"a second engine does not start: {(self.folder / 'log').read_text().splitlines()[-1][:200]}")

    def answers(self) -> bool:
        import docker

        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(self.folder / "socket")):
                return False
        with contextlib.closing(docker.DockerClient(base_url=self.host)) as client:
            return bool(client.ping())

    def load(self, tag: str) -> None:
        """The image as the machine's own engine has it."""
        import docker

        with (
            contextlib.closing(docker.from_env()) as ours,
            contextlib.closing(docker.DockerClient(base_url=self.host)) as theirs,
        ):
            theirs.images.load(ours.images.get(tag).save(named=tag))

    def kill(self) -> None:
        """Its containerd dies of that too; the containers' shims do not."""
        assert self.process
        self.process.kill()
        self.process.wait()
        own = {(pid, begun) for pid, begun in self.members() if command_line(pid).startswith("containerd ")}
        self.poll(lambda: not alive(own), "the end of containerd")

    def members(self) -> set[tuple[int, str]]:
        """Its processes, and the shims and containers that outlive it."""
        named = {
            (int(folder.name), fields[19])
            for folder in Path("/proc").glob("[0-9]*")
            if str(self.folder) in command_line(int(folder.name)) and (fields := stat(int(folder.name)))
        }
        mine = {(os.getpid(), stat(os.getpid())[19])}
        return set().union(named, *(family(pid) for pid, _ in named - mine)) - mine

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=30)
        for pid, _ in alive(self.members()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process:
            self.process.wait()
        mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for place in sorted((place for place in mounted if place.startswith(str(self.folder))), reverse=True):
            subprocess.run(["umount", "--lazy", place], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def engine(docker: str, poll: Poll) -> Iterator[Engine]:
    if os.geteuid() != 0:
        pytest.skip("only root can start a second engine")
    if shutil.which("dockerd") is None:
        pytest.skip("no dockerd on this machine: a second engine cannot be started")
    made = Engine(Path(tempfile.mkdtemp(prefix="qceval-engine-")), poll)  # a short path: sockets lie in it
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.mark.slow
@pytest.mark.docker
def test_an_engine_that_is_killed(
    start: Start,
    qceval: Cli,
    document: Document,
    poll: Poll,
    env: dict[str, str],
    engine: Engine,
    heavy: Path,
    tmp_path: Path,
) -> None:
    from qwencoder_eval.sandboxes import images

    command = scoring(heavy, "docker")
    undisturbed = document(*command, "--out", tmp_path / "undisturbed")
    engine.load(images.tag("python"))
    env["DOCKER_HOST"] = engine.host
    references = lambda: len([*tmp_path.glob("cache/references/*/*.gz")])  # noqa: E731
    env["QCEVAL_CACHE"] = str(tmp_path / "cache")
    moments = {
        "references": lambda: references() >= 4,
        "first containers": lambda: references() == 24 and bool(containers([process.pid], host=engine.host)),
        "mid-run": lambda: verdicts(tmp_path / "results") >= 30,
    }
    for name, reached in moments.items():
        process = start(*command)
        poll(lambda: process.poll() is not None or reached(), name)  # noqa: B023
        engine.kill()
        said = one_line(ended(process), 3)
        assert said.startswith("docker: ")
        assert "start the engine or use --sandbox namespaces" in said or "--sandbox docker" in said, (name, said)
        assert_part_of(tmp_path / "results", undisturbed)
        again = one_line(qceval(*command), 3)
        assert "no Docker engine answers" in again
        engine.start()
        poll(lambda: not containers([process.pid], host=engine.host), "the end of its containers")  # noqa: B023
    assert 30 <= verdicts(tmp_path / "results") < 96
    assert_same(document(*command), undisturbed)
    left = engine.members()
    assert left
    engine.stop()
    assert not alive(left)
    assert not engine.members()


# -- disks -------------------------------------------------------------------------------------------


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
