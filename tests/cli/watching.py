"""What the machine shows of a harness: its processes, control groups and containers, and the rows of its runs.

``STEPS`` is a ``sitecustomize`` that stops a harness at one step of its work, such as the renaming of ``scores.json``,
so that it can be killed there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Processes = set[tuple[int, str]]  # process id, and when it was started

EACH = 4  # samples of each problem in ``four_samples``

# Audit events that change something outside the process. QCEVAL_TEST_SEEN names a file for all of them, a line each;
# QCEVAL_TEST_STOP_AT is "the step:which one": there the process stops as if by SIGSTOP, before the step is made.
STEPS = r"""
import os, re, signal, sys
from collections import Counter

seen = Counter()
stop_at = os.environ.get("QCEVAL_TEST_STOP_AT")
below = tuple(filter(None, os.environ.get("QCEVAL_TEST_BELOW", "").split(":")))
report = os.environ.get("QCEVAL_TEST_SEEN")
report = os.open(report, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) if report else -1

def name(path):
    path = os.fspath(path) if isinstance(path, (str, os.PathLike)) else ""
    if not path.startswith(below):
        return None
    return "a reference" if "/references/" in path else os.path.basename(path)

def step(event, args):
    if event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR):
        return name(args[0])
    if event in ("os.rename", "os.mkdir", "os.truncate"):
        return name(args[0])
    if event == "sqlite3.connect":
        return name(args[0])
    if event == "http.client.send" and bytes(args[1][:4]) in (b"GET ", b"POST", b"DELE"):
        return re.sub(r"/v[\d.]+|/[0-9a-f]{64}|\?.*", "", args[1].split(b"\r\n")[0].decode().rpartition(" ")[0])
    return "" if event in ("fcntl.flock", "subprocess.Popen") else None

def hook(event, args):
    label = step(event, args)
    if label is not None:
        label = f"{event} {label}".strip()
        seen[label] += 1
        if report >= 0:
            os.write(report, label.encode() + b"\n")
        if stop_at == f"{label}:{seen[label]}":
            os.kill(os.getpid(), signal.SIGSTOP)

sys.addaudithook(hook)
"""

HEAVY = "    sum(range(200_000))\n"  # work in each call, so that a run has some seconds
LIGHT = "    sum(range(2_000))\n"
KIB = 1024


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, ...; empty where the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def stands(pid: int) -> bool:
    return stat(pid)[:1] == ["T"]


def family(root: int) -> Processes:
    """All descendants of a process, and all members of control groups with its id in their name."""
    parents, found = {}, set()
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        if fields := stat(pid):
            parents[pid] = (int(fields[1]), fields[19])
            with contextlib.suppress(OSError):
                if re.search(rf"/qceval-{root}-\d", (folder / "cgroup").read_text()):
                    found.add((pid, fields[19]))
    wanted, more = {root}, True
    while more:
        added = {pid for pid, (parent, _) in parents.items() if parent in wanted} - wanted
        wanted |= added
        more = bool(added)
    return found | {(pid, parents[pid][1]) for pid in wanted - {root}}


def alive(processes: Processes) -> Processes:
    """Those that still run; what is dead and only waits to be noticed by its parent does not."""
    return {
        (pid, begun) for pid, begun in processes if (fields := stat(pid)) and fields[19] == begun and fields[0] != "Z"
    }


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def agents(processes: Processes) -> list[int]:
    """Those that are the agent of a sandbox, and not its fork for one program: process 1 of their own namespace."""
    found = []
    for pid, _ in processes:
        with contextlib.suppress(OSError):
            ids = re.search(r"NSpid:(.*)", Path(f"/proc/{pid}/status").read_text())
            if ids and ids[1].split()[1:] == ["1"] and "agent.py" in command_line(pid):
                found.append(pid)
    return found


def groups(pids: Iterable[int]) -> list[Path]:
    """Control groups of these harnesses."""
    ours = {str(pid) for pid in pids}
    found = [*Path("/sys/fs/cgroup").glob("**/qceval-*-*")]
    return [folder for folder in found if folder.name.split("-")[1] in ours]


def containers(pids: Iterable[int], running: bool = False, host: str | None = None) -> list[dict[str, Any]]:
    """Containers of these harnesses, as the engine lists them.

    An engine that was killed while it removed a container may list it as dead for ever after, and answer "no such
    container" to every question about it (seen with Docker 20.10): that is none.
    """
    import docker

    client = docker.DockerClient(base_url=host) if host else docker.from_env()
    with contextlib.closing(client):
        found = []
        for pid in pids:
            for container in client.api.containers(all=not running, filters={"label": f"qceval={pid}"}):
                with contextlib.suppress(docker.errors.NotFound):
                    if container["State"] == "dead":
                        client.api.inspect_container(container["Id"])
                    found.append(container)
    return found


def kill_containers(pid: int, signal: str = "SIGKILL") -> int:
    """Kill all containers of a harness that run; how many there were."""
    import docker

    killed = 0
    with contextlib.closing(docker.from_env()) as client:
        for found in client.api.containers(filters={"label": f"qceval={pid}"}):
            with contextlib.suppress(docker.errors.APIError):  # it ended by itself
                client.api.kill(found["Id"], signal)
                killed += 1
    return killed


def kill_agents_in_containers(pid: int) -> int:
    """The same by the number that the machine gives to a container's process 1."""
    import docker

    killed = 0
    with contextlib.closing(docker.from_env()) as client:
        for found in client.api.containers(filters={"label": f"qceval={pid}"}):
            with contextlib.suppress(docker.errors.APIError, ProcessLookupError):
                if agent := client.api.inspect_container(found["Id"])["State"]["Pid"]:
                    os.kill(agent, 9)
                    killed += 1
    return killed


def lines_in(folder: Path, name: str) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.rglob(name))


def rows_in(folder: Path, name: str) -> list[str]:
    """All rows of a run's file, in an order that does not depend on which came first. None may be torn."""
    text = "".join(path.read_text() for path in folder.rglob(name))
    assert text == "" or text.endswith("\n"), f"{name} ends in the middle of a row"
    return sorted(json.dumps(json.loads(line), sort_keys=True) for line in text.splitlines())


def assert_same(report: dict[str, Any], undisturbed: dict[str, Any]) -> None:
    """Same completions, same verdicts, none lost and none twice; the order does not matter."""
    for name in ("completions.jsonl", "verdicts.jsonl"):
        assert rows_in(Path(report["run"]), name) == rows_in(Path(undisturbed["run"]), name), name
    assert {**report, "run": ""} == {**undisturbed, "run": ""}
    assert not list(Path(report["run"]).rglob("*.part"))


def assert_part_of(folder: Path, undisturbed: dict[str, Any]) -> None:
    """What a run has so far is a part of the undisturbed one: no row is twice, none is another one."""
    for name in ("completions.jsonl", "verdicts.jsonl"):
        rows = rows_in(folder, name)
        assert len(set(rows)) == len(rows), f"{name} has a row twice"
        assert set(rows) <= set(rows_in(Path(undisturbed["run"]), name)), name


def four_samples(starter: list[dict[str, Any]], work: str) -> list[dict[str, Any]]:
    """Two right and two wrong solutions of each problem; ``work`` goes in front, so that there is a middle."""
    rows = []
    for row in starter:
        for text in (row["canonical_solution"], row["wrong"][0], row["canonical_solution"], row["wrong"][1]):
            rows.append({"task_id": row["task_id"], "completion": work + text})
    return rows


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
