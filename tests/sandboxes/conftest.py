"""Each backend as a ``Place``: small sandboxes, one of them kept warm for all tests of a worker.

``namespaces-rootless`` is what an ordinary user gets. Where the tests run as root, they become that user first
(root's own user namespace would map the programs to the machine's real root). ``namespaces-mapped`` is the same
with control groups, as a user with delegation has; as root it is for benign programs only.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qwencoder_eval.config import bundled
from qwencoder_eval.sandboxes import namespaces
from qwencoder_eval.sandboxes.base import Backend, Channel, Sandbox
from qwencoder_eval.sandboxes.docker import DockerBackend, DockerSandbox
from qwencoder_eval.sandboxes.languages import Language, language
from qwencoder_eval.sandboxes.namespaces import NamespacesBackend, NamespacesSandbox
from qwencoder_eval.sandboxes.none import NoneBackend, NoneSandbox
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.sandboxes.process import ProcessChannel
from qwencoder_eval.types import Calls, Limits, Program, Result

MIB = 1 << 20
MEMORY, DISK, FILES, FILE = 256 * MIB, 64 * MIB, 2000, 16 * MIB  # of a sandbox in these tests
NOBODY = 65534

ISOLATED = [
    pytest.param("docker", marks=pytest.mark.docker),
    pytest.param("namespaces", marks=pytest.mark.namespaces),
    pytest.param("namespaces-rootless", marks=pytest.mark.namespaces),
]
ALL = [*ISOLATED, pytest.param("namespaces-mapped", marks=pytest.mark.namespaces), "none"]


class OrdinarySandbox(NamespacesSandbox):
    """What an ordinary user's harness makes, made by root: no control group, and a Python anyone may run."""

    def open(self) -> Channel:
        as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
        enter = [str(namespaces.interpreter()), "-I", "-S", str(bundled("sandbox") / "enter.py")]
        self.process = ProcessChannel(
            [*as_nobody, *enter, json.dumps(self.plan())], "namespaces", {"PATH": "/usr/bin:/bin"}
        )
        return self.process


class OrdinaryBackend(NamespacesBackend):
    patching = threading.Lock()

    def __init__(self) -> None:
        super().__init__(rootless=True)

    def why_not(self) -> str | None:
        if shutil.which("setpriv") is None or not os.access("/usr/bin/python3", os.X_OK):
            return "no setpriv, or no Python that an ordinary user may run"
        return super().why_not()

    def sandbox(self, language: Language, memory_bytes: int) -> Sandbox:
        sandbox = OrdinarySandbox(language, memory_bytes, rootless=True)

        def plan() -> dict[str, object]:
            with self.patching, pytest.MonkeyPatch.context() as patch:
                patch.setattr(namespaces, "interpreter", lambda: Path("/usr/bin/python3").resolve())
                return NamespacesSandbox.plan(sandbox)

        sandbox.plan = plan  # type: ignore[method-assign]
        return sandbox


def backend(kind: str) -> Backend:
    made: Mapping[str, Callable[[], Backend]] = {
        "docker": DockerBackend,
        "namespaces": lambda: NamespacesBackend(rootless=False),
        "namespaces-rootless": OrdinaryBackend if os.geteuid() == 0 else NamespacesBackend,
        "namespaces-mapped": lambda: NamespacesBackend(rootless=True),
        "none": NoneBackend,
    }
    return made[kind]()


def limits(cpu_s: float = 5.0, wall_s: float = 15.0, **others: Any) -> Limits:
    """``Limits`` whose backstop is exactly ``wall_s``."""
    return Limits(cpu_s=cpu_s, wall_factor=(wall_s - 2.0) / cpu_s, **others)


def plain(source: str, bound: Limits | None = None, **others: Any) -> Program:
    files = {"main.py": source, **others.pop("files", {})}
    return Program("python", files, limits=bound or limits(), **others)


def asking(
    source: str,
    inputs: Sequence[Sequence[Any]] = ((),),
    bound: Limits | None = None,
    cpu_s: Sequence[float] = (),
    function: str = "f",
    whole_bytes: int = 1 << 28,
    **others: Any,
) -> Program:
    """A program whose function is called with each of ``inputs``."""
    asked = Calls(function, json.dumps(inputs), cpu_s or [5.0] * len(inputs), whole_bytes)
    return Program("python", {"main.py": source}, limits=bound or limits(), calls=asked, **others)


def lines(result: Result) -> list[Any]:
    return [json.loads(line) for line in bytes(result.answers).splitlines()]


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def descendants(root: int) -> set[int]:
    """The processes below ``root``, as the machine numbers them."""
    parents = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found: set[int] = set()
    level = {root}
    while level:
        level = {pid for pid, parent in parents.items() if parent in level} - found
        found |= level
    return {pid for pid in found if alive(pid)}


def agent_of(sandbox: Sandbox) -> set[int]:
    """The agent, as a child of what the harness started, or as that itself."""
    channel = sandbox.channel
    assert isinstance(channel, ProcessChannel)
    started = channel.process.pid
    if isinstance(sandbox, NoneSandbox):
        return {started}
    return {int(pid) for pid in Path(f"/proc/{started}/task/{started}/children").read_text().split()}


def within(seconds: float, happened: Callable[[], object]) -> bool:
    """Look until ``happened`` or the time is over."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


# Looks for what a neighbour may have left: other processes, files, System V IPC, message queues.
LOOK = """
import json, os
def look(numbers):
    own = {1, os.getpid(), os.getppid()}
    processes = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in own:
            try:
                processes.append(open(f"/proc/{name}/cmdline").read() or name)
            except OSError:
                pass
    places = ("/tmp", "/dev/shm", "/dev/mqueue", "/var/tmp")
    files = [f"{place}/{name}" for place in places if os.path.isdir(place) for name in os.listdir(place)]
    ipc = [kind for kind in ("shm", "sem", "msg") if len(open("/proc/sysvipc/" + kind).readlines()) > 1]
    work = os.listdir(os.getcwd())
    return json.dumps([sorted(numbers), processes, files, ipc, work])
"""


class Place:
    """One backend under test. Is itself a backend, of sandboxes small enough for tests to fill."""

    limits, plain, asking, lines = map(staticmethod, (limits, plain, asking, lines))
    within, alive = map(staticmethod, (within, alive))

    def __init__(self, kind: str) -> None:
        self.kind, self.backend = kind, backend(kind)
        self.name = self.backend.name
        self.isolated = kind != "none"
        self.nested = kind in ("namespaces-rootless", "namespaces-mapped")
        self.made: list[Sandbox] = []
        self.pool = Pool(self, 1)

    def why_not(self) -> str | None:
        if self.kind == "namespaces" and os.geteuid() != 0:
            return "not root"
        return self.backend.why_not()

    def identity(self, language: Language) -> dict[str, str]:
        return self.backend.identity(language)

    def sandbox(self, language: Language, memory_bytes: int = MEMORY) -> Sandbox:
        """For the pool: a small one, whatever it asks for."""
        self.made.append(self.small(language))
        return self.made[-1]

    def small(self, language: Language, memory_bytes: int = MEMORY) -> Sandbox:
        return self.backend.sandbox(replace(language, disk_bytes=DISK, disk_files=FILES, file_bytes=FILE), memory_bytes)

    @contextlib.contextmanager
    def fresh(self, memory: int = MEMORY, **changes: Any) -> Iterator[Sandbox]:
        """A started sandbox of its own, of Python or of a language made from it by ``changes``."""
        sandbox = self.small(replace(language("python"), **changes), memory)
        sandbox.start()
        try:
            yield sandbox
        finally:
            sandbox.stop()

    def run(self, program: Program) -> Result:
        return self.pool.run(program)

    def call(self, source: str, *arguments: Any) -> Any:
        """The value of ``f(*arguments)``."""
        answers = lines(self.run(asking(source, [arguments])))
        assert answers[0] == {"loaded": True}
        assert len(answers) == 2, answers
        return answers[1].get("value", answers[1])

    def out(self, source: str, **others: Any) -> str:
        """What a plain program prints; it must end well."""
        result = self.run(plain(source, **others))
        assert (result.ending, result.status) == ("exit", 0), result
        return result.stdout.decode()

    def neighbour(self, survived: bool = True) -> None:
        """The next program is unharmed and finds nothing; by default in the same sandbox as the last one."""
        before = len(self.made)
        for _ in range(2):
            result = self.run(asking(LOOK, [[[3, 1, 2]]], function="look"))
            loaded, answer = lines(result)
            assert loaded == {"loaded": True}
            assert "value" in answer, answer
            values, processes, files, ipc, work = json.loads(answer["value"])
            assert (result.ending, result.status, result.over) == ("exit", 0, None)
            assert values == [1, 2, 3]
            assert processes == []
            assert files == ["/tmp/work"]
            assert ipc == []
            assert work == ["main.py"]
        assert within(1, lambda: self.inside(self.made[-1]) == 1), "something runs beside the agent"
        if survived:
            assert len(self.made) == before, "the sandbox had to be replaced"

    def inside(self, sandbox: Sandbox) -> int:
        """How many processes there are in a sandbox, the agent included."""
        return len(self.pids(sandbox))

    def pids(self, sandbox: Sandbox) -> set[int]:
        """The processes in a sandbox, as the machine (or the engine's) numbers them."""
        if isinstance(sandbox, DockerSandbox):
            return {int(row[1]) for row in sandbox.container.top()["Processes"]}
        if isinstance(sandbox, NamespacesSandbox):
            return descendants(sandbox.process.process.pid) if sandbox.process else set()
        assert isinstance(sandbox, NoneSandbox)
        pid = sandbox.process.process.pid
        return {pid} | descendants(pid)

    def kill_agent(self, sandbox: Sandbox) -> None:
        """What a careless neighbour on the machine may do."""
        if isinstance(sandbox, DockerSandbox):
            sandbox.container.kill("SIGKILL")
        else:
            (agent,) = agent_of(sandbox)
            os.kill(agent, 9)

    def close(self) -> None:
        self.pool.close()
        for sandbox in self.made:
            sandbox.stop()


def place_of(kind: str) -> Iterator[Place]:
    place = Place(kind)
    if reason := place.why_not():
        pytest.skip(f"{kind}: {reason}")
    try:
        yield place
    finally:
        place.close()


@pytest.fixture(scope="session", params=ALL)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Every backend."""
    yield from place_of(request.param)


@pytest.fixture(scope="session", params=ISOLATED)
def isolated(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Every backend that isolates: the only ones for hostile programs."""
    yield from place_of(request.param)


@pytest.fixture
def harness(place: Place) -> Iterator[subprocess.Popen[str]]:
    """A harness of its own, in which a sandbox of this kind runs a program that never ends."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import conftest; conftest.endless()"
    command = [sys.executable, "-c", code, place.kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=bundled("sandbox").parent) as process:
        try:
            yield process
        finally:
            process.kill()


def endless() -> None:
    """In the process of ``harness``: say which processes the sandbox has, once it runs a program."""
    place = Place(sys.argv[1])
    sandbox = place.small(language("python"))
    sandbox.start()
    threading.Thread(target=sandbox.run, args=(plain("while True: pass", limits(60, 120)),)).start()
    within(20, lambda: place.inside(sandbox) > 1)
    print(json.dumps(sorted(place.pids(sandbox))), flush=True)
