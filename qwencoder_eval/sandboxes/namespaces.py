"""Sandboxes out of Linux namespaces and control groups, for machines without a container engine.

As root the program becomes another user; otherwise, where the system lets ordinary users make namespaces,
it gets a namespace of its own below the agent's. The machine's own tools are used: what ``identity`` tells.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from functools import cached_property
from pathlib import Path

from ..config import bundled
from ..errors import InfrastructureError
from . import cgroups
from .base import Channel, Sandbox
from .images import AGENT_FILES, agent_digest
from .languages import Language
from .process import ProcessChannel

SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
    "/etc/ld.so.cache",
)
SETTINGS = ("java-*", "mono", "php", "perl", "R", "ghc*", "racket")  # of languages, below /etc


def interpreter() -> Path:
    """The Python that runs the agent: the one below the harness's virtual environment."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


class NamespacesSandbox(Sandbox):
    backend = "namespaces"

    def __init__(self, language: Language, memory_bytes: int, rootless: bool) -> None:
        super().__init__(language, memory_bytes)
        self.rootless = rootless
        self.cgroup: cgroups.Cgroup | None = None
        self.process: ProcessChannel | None = None

    def open(self) -> Channel:
        self.cgroup = cgroups.create(self.memory_bytes, self.language.processes)
        enter = [
            str(interpreter()),
            "-I",
            "-S",
            str(bundled("sandbox") / "enter.py"),
            json.dumps(self.plan()),
        ]
        self.process = ProcessChannel(enter, "namespaces", {"PATH": "/usr/bin:/bin"})
        return self.process

    def plan(self) -> dict[str, object]:
        binds, links = {}, {}
        for path in map(Path, SYSTEM):
            if path.is_symlink():
                links[str(path)] = os.readlink(path)
            elif path.exists():
                binds[str(path)] = str(path)
        for pattern in SETTINGS:
            binds |= {str(path): str(path) for path in Path("/etc").glob(pattern)}
        prefix = interpreter().parent.parent
        if not prefix.is_relative_to("/usr"):
            binds[str(prefix)] = str(prefix)
        for name in AGENT_FILES:
            binds[str(bundled("sandbox") / name)] = f"/opt/qceval/{name}"
        for package in self.language.packages:
            binds |= _package_binds(package)
        if self.folder:
            binds[self.folder] = self.assets
        accounting = ["--accounting", "proc"]
        if self.cgroup:
            binds |= self.cgroup.binds
            accounting = ["--accounting", "cgroup", "--memory-by-cgroup"]
        user = ["--user", "nested" if self.rootless else "setuid", "--memory", str(self.memory_bytes), *self.preloading]
        return {
            "join": self.cgroup.join if self.cgroup else [],
            "rootless": self.rootless,
            "binds": binds,
            "links": links,
            "disk": f"size={self.language.disk_bytes},nr_inodes={self.language.disk_files}",
            "agent": [str(interpreter()), "-s", "-B", "/opt/qceval/agent.py", *user, *accounting],
            "env": {
                "PATH": f"{interpreter().parent}:/usr/local/bin:/usr/bin:/bin",
                "PYTHONPATH": "/opt/packages",
                "PYTHONHASHSEED": str(self.hash_seed),
                "LANG": "C.UTF-8",
            },
        }  # fmt: skip

    def interrupt(self) -> None:
        if process := self.process:
            process.kill()

    def close(self) -> None:
        if self.process:
            process, self.process = self.process, None
            process.close()
        if self.cgroup:
            group, self.cgroup = self.cgroup, None
            group.remove()


def _package_binds(package: str) -> dict[str, str]:
    """A Python package of the harness's own environment, as read-only folders inside the sandbox."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return {}
    folder = Path(spec.submodule_search_locations[0])
    libraries = folder.with_name(f"{package}.libs")
    return {str(f): f"/opt/packages/{f.name}" for f in (folder, libraries) if f.is_dir()}


class NamespacesBackend:
    name = "namespaces"

    def __init__(self, rootless: bool | None = None) -> None:
        self.rootless = os.geteuid() != 0 if rootless is None else rootless

    @cached_property
    def _trial(self) -> str | None:
        """Make one and throw it away: the only question to the kernel that it answers truly."""
        if platform.system() != "Linux":
            return "not Linux"
        from .languages import language

        sandbox = self.sandbox(language("python"), 1 << 30)
        try:
            sandbox.start()
        except InfrastructureError as error:
            return f"this system does not let {'ordinary users' if self.rootless else 'root'} make namespaces ({error})"
        finally:
            sandbox.stop()
        return None

    def why_not(self) -> str | None:
        return self._trial

    def identity(self, language: Language) -> dict[str, str]:
        try:
            ran = subprocess.run(list(language.version), capture_output=True, text=True, timeout=30, check=False)
            version = (ran.stdout or ran.stderr).strip().splitlines()[0] if ran.stdout or ran.stderr else "?"
        except OSError:
            version = "missing"
        if language.name == "python":
            version = platform.python_version()
        user = "nested" if self.rootless else "setuid"
        return {"backend": "namespaces", "version": version, "user": user, "agent": agent_digest()}

    def missing(self, language: Language) -> str | None:
        """The first command of a language that this machine does not have."""
        commands = (language.compile, language.run) if language.compile else (language.run,)
        names = [command[0] for command in commands if command and not command[0].startswith("./")]
        return next((name for name in names if shutil.which(name) is None), None)

    def sandbox(self, language: Language, memory_bytes: int) -> Sandbox:
        """Raises InfrastructureError where the machine does not have the language."""
        if language.name != "python" and (command := self.missing(language)):
            reason = f"namespaces: {language.name}: this machine has no {command}"
            raise InfrastructureError(f"{reason}; install it, or use --sandbox docker")
        return NamespacesSandbox(language, memory_bytes, self.rootless)
