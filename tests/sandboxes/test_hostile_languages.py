"""Programs that mean harm, in each main language. After each an honest neighbour gets its right verdict, in the same
sandbox, and nothing is left but the agent and the warm compiler. The programs are in hostile.toml.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_languages import LEAVING, MADE, MAIN, Kept, ended, keeping, limits, program

from qwencoder_eval.cli.sandbox import run_fixture
from qwencoder_eval.sandboxes.base import Sandbox
from qwencoder_eval.sandboxes.docker import DockerBackend, DockerSandbox
from qwencoder_eval.sandboxes.languages import languages
from qwencoder_eval.types import Limits

pytestmark = [pytest.mark.docker, pytest.mark.slow]

HOSTILE = tomllib.loads((Path(__file__).parent / "hostile.toml").read_text())
HOSTILE["typescript"] = {
    what: f"declare var require: any, process: any, Buffer: any, __filename: string;\n{source}"
    for what, source in HOSTILE["javascript"].items()
}
KILLED = {"cpu_limit", "wall_limit"}
ENDINGS = {
    "fork bomb": {"memory_limit", "signal", *KILLED},  # the first of them may be hit as well as the last
    "processes": KILLED,
    "memory bomb": {"memory_limit"},
    "endless output": KILLED,
    "killer": {"exit", "signal"},
}  # of others: exit, with status 0
BOUNDS: dict[str, Limits] = {
    "fork bomb": limits(0.5, 2),
    "processes": limits(1, 2.2),
    "endless output": limits(0.5, 2, output_bytes=5000),
}
SAID = {
    "processes": b"up\n",
    "disk filler": b"full\n",
    "network": b"tried\n",
    "intruder": b"tried\n",
    "endless output": b"x" * 5000,
}
# Nobody but the agent may write here. Some of it is not there, and must not come to be.
ELSEWHERE = (
    "/litter", "/etc/passwd", "/etc/litter", "/etc/ld.so.preload", "/usr/bin/litter", "/usr/local/bin/litter",
    "/opt/qceval/agent.py", "/opt/qceval/litter", "/bin/bash", "/root/litter", "/home/litter", "/var/litter",
    "/proc/1/mem", "/proc/1/oom_score_adj", "/proc/1/environ", "/proc/1/fd/0", "/proc/1/fd/1", "/proc/1/cwd/litter",
    "/proc/1/root/litter", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/shmmni", "/proc/sysrq-trigger",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/cgroup.procs",
    "/sys/fs/cgroup/pids/pids.max", "/dev/litter", "/dev/mqueue/litter", "/dev/kmsg", "/dev/mem", "/dev/sda",
    "/run/litter", "/var/run/docker.sock", "/var/tmp/litter", "/lib/litter",
)  # fmt: skip


@pytest.fixture(scope="module")
def docker() -> Iterator[Kept]:
    """Containers, kept warm."""
    with keeping(DockerBackend()) as kept:
        yield kept


def test_each_language_has_each_kind_of_program() -> None:
    assert set(HOSTILE) == set(MAIN)
    assert {frozenset(programs) for programs in HOSTILE.values()} == {frozenset(HOSTILE["python"])}


def running(sandbox: Sandbox) -> dict[str, str]:
    """What runs in a container: command lines by the number that the engine's machine gives them."""
    assert isinstance(sandbox, DockerSandbox)
    return dict(sandbox.container.top(ps_args="-eo pid,args")["Processes"])


def unharmed(kept: Kept, name: str) -> Sandbox:
    """Honest programs of this language get their right verdicts, and nothing runs beside the agent and the warm
    compiler. The sandbox.
    """
    spoken = languages()[name]
    for fixture in ("fails", "passes"):
        ok, said = run_fixture(spoken, fixture, kept.pool(name))
        assert ok, said
    sandbox = kept.made(name)[-1]
    assert len(running(sandbox)) == 1 + bool(spoken.service)
    return sandbox


def honest(docker: Kept, name: str) -> Sandbox:
    """Honest programs are unharmed, and find nothing that was left. The sandbox."""
    spoken, sandbox = languages()[name], unharmed(docker, name)
    expected = f". {' '.join(sorted([spoken.file, *MADE.get(name, [])]))}\n/tmp work\n/dev/shm\n"
    result = docker.run(program(name, LEAVING[name]["sees"]["looks"]))
    assert ended(result) == ("exit", 0), result
    assert re.sub(r" mono\.\d+$", "", bytes(result.stdout).decode(), flags=re.MULTILINE) == expected  # its own
    return sandbox


def as_root(sandbox: Sandbox, command: str) -> list[str]:
    """The words that a command prints in a container."""
    assert isinstance(sandbox, DockerSandbox)
    status, output = sandbox.container.exec_run(["sh", "-c", command], user="0")
    assert status == 0, output
    found: list[str] = output.decode().split()
    return found


def inside(sandbox: Sandbox) -> list[str]:
    """The warm compiler's process, as the container numbers it: what has its user."""
    find = 'for each in /proc/[0-9]*; do [ "$(stat -c %u $each)" = 60999 ] && echo ${each#/proc/}; done; true'
    return as_root(sandbox, find)


def files_of_others(sandbox: Sandbox) -> tuple[str, ...]:
    """What only the agent may write, and the warm compiler's own."""
    names = ("mem", "oom_score_adj", "comm", "clear_refs", "fd/0", "fd/1", "cwd/litter", "root/tmp/work/main")
    return (*ELSEWHERE, *(f"/proc/{pid}/{name}" for pid in inside(sandbox) for name in names))


@pytest.mark.parametrize(("name", "what"), [(name, what) for name in MAIN for what in HOSTILE[name]])
def test_a_hostile_program_harms_nobody(docker: Kept, name: str, what: str) -> None:
    ready = docker.run(program(name, LEAVING[name]["sees"]["ends"]))
    assert ended(ready) == ("exit", 7), ready
    sandbox = docker.made(name)[-1]
    if what == "intruder":
        assert len(inside(sandbox)) == bool(languages()[name].service)
    before = running(sandbox)
    args = files_of_others(sandbox) if what == "intruder" else ()
    result = docker.run(program(name, HOSTILE[name][what], BOUNDS.get(what, limits()), args=args))
    assert result.ending in ENDINGS.get(what, {"exit"}), result
    assert not result.compiling
    assert bytes(result.stdout).startswith(SAID.get(what, b"")), result  # a JVM goes on about threads
    assert running(sandbox) == before
    assert honest(docker, name) is sandbox
