"""No sandbox at all: the agent as a plain child process, for reference solutions, or with --unsafe; or no process."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from pathlib import Path

from ..config import bundled
from ..errors import SandboxError
from .base import Channel, Sandbox
from .images import agent_digest
from .languages import Language
from .process import ProcessChannel


class NoneSandbox(Sandbox):
    backend = "none"

    def open(self) -> Channel:
        self.assets = self.folder
        self.place = tempfile.mkdtemp(prefix="qceval-")
        agent = [sys.executable, "-s", "-B", str(bundled("sandbox") / "agent.py")]
        options = ["--user", "none", "--accounting", "proc", "--memory", str(self.memory_bytes), *self.preloading]
        work = ["--work", str(Path(self.place) / "work")]
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONHASHSEED": str(self.hash_seed), "LANG": "C.UTF-8"}
        self.process = ProcessChannel(agent + options + work, "none", env)
        return self.process

    def interrupt(self) -> None:
        if process := self.__dict__.get("process"):
            process.kill()

    def close(self) -> None:
        if process := self.__dict__.pop("process", None):
            process.close()
        if place := self.__dict__.pop("place", None):
            shutil.rmtree(place, ignore_errors=True)


class NoneBackend:
    name = "none"

    def why_not(self) -> str | None:
        return None

    def identity(self, language: Language) -> dict[str, str]:
        return {"backend": "none", "python": platform.python_version(), "agent": agent_digest()}

    def sandbox(self, language: Language, memory_bytes: int) -> Sandbox:
        return NoneSandbox(language, memory_bytes)


class UnneededBackend:
    """For scorers that compare texts: nothing of a model's is run."""

    name = "not needed"

    def why_not(self) -> str | None:
        return None

    def identity(self, language: Language) -> dict[str, str]:
        return {}

    def sandbox(self, language: Language, memory_bytes: int) -> Sandbox:
        raise SandboxError("a program, where the scorer said that it runs none; set runs = True in it")
