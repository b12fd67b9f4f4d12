"""Sandboxes and engines that die under a run.

It says one line, or nothing, and in the end its verdicts are those of an undisturbed run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
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
    ended,
    family,
    groups,
    kill_agents_in_containers,
    kill_containers,
    one_line,
    scoring,
    stat,
    verdicts,
)

Cli = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., "subprocess.Popen[str]"]
Poll = Callable[[Callable[[], bool], str], None]
Document = Callable[..., Any]
Refused = Callable[..., str]
Samples = Callable[..., Path]
Starter = list[dict[str, Any]]


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
    pids: list[int] = []
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
        pids.append(process.pid)
        poll(lambda: not containers(pids, running=True, host=engine.host), "the end of its containers")
    assert 30 <= verdicts(tmp_path / "results") < 96
    assert_same(document(*command), undisturbed)
    # A container that was not yet started, or was being removed, when its engine was killed goes with the next harness.
    poll(lambda: not containers(pids, host=engine.host), "the end of all containers")
    left = engine.members()
    assert left
    engine.stop()
    assert not alive(left)
    assert not engine.members()


# -- disks -------------------------------------------------------------------------------------------
