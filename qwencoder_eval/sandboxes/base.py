"""The Sandbox protocol, and the host's side of the agent's framed pipe.

A backend says how to start an agent (``open``) and how to end it (``close``); everything else is shared, so
that every backend behaves alike. The frame format is described in sandbox/agent.py.
"""

from __future__ import annotations

import json
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from ..errors import SandboxError
from ..types import Program, Result
from .languages import Language

Decided = Callable[[bytes | bytearray], bool]  # of the answers so far: whether the rest does not matter
STOP = b'{"stop": true}'
LOST = 75  # status of a compile step whose warm compiler gave up (sandbox/service.py)
REPORT_BYTES = 4096  # of what a program that reports may write
PRELOADING = 4  # times as long where the agent imports libraries first
START_S = 30.0  # a sandbox that has not said hello by then is broken
ANSWER_MARGIN_S = 20.0  # what the agent may need beyond a program's wall-clock limit: killing, wiping, sending


class Channel(Protocol):
    """Two byte streams to an agent. Both methods raise SandboxError where the other side is gone."""

    def send(self, data: bytes) -> None: ...

    def receive(self, size: int, deadline: float) -> bytearray:
        """Exactly ``size`` bytes, waiting until ``deadline`` (time.monotonic) at most."""
        ...


class Sandbox(ABC):
    """A warm place that runs one program at a time.

    ``hash_seed`` fixes the order in which Python's sets of strings come: the same programs give the same verdicts.
    ``warm``: whether the language's warm compiler is on board, which only an image has.
    """

    backend: str
    hash_seed = 0
    warm = False

    def __init__(self, language: Language, memory_bytes: int) -> None:
        self.language = language
        self.memory_bytes = memory_bytes
        self.channel: Channel | None = None
        self.hello: dict[str, Any] = {}
        self.programs = 0
        self.clean = True

    @abstractmethod
    def open(self) -> Channel:
        """Start the agent. Raises SandboxError."""

    @abstractmethod
    def close(self) -> None:
        """End the agent and everything with it; never raises, may be called twice."""

    @abstractmethod
    def interrupt(self) -> None:
        """From another thread: have ``run`` raise SandboxError now. Closes nothing that ``run`` still reads."""

    @property
    def preloading(self) -> list[str]:
        """The agent's option for what it is to import before the first program."""
        return ["--preload", ",".join(self.language.preload)] if self.language.preload else []

    def start(self) -> None:
        try:
            self.channel = self.open()
            start_s = START_S * (PRELOADING if self.language.preload else 1)
            self.hello = json.loads(self._frame(time.monotonic() + start_s))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.channel = None
        self.close()

    def run(self, program: Program, decided: Decided | None = None) -> Result:
        """Run a program to its end, or until ``decided`` says of its answers so far that the rest does not matter.

        Raises SandboxError where the sandbox failed, not the program.
        """
        language = self.language
        if program.check:
            return self._step(program, language.check or language.compile or (), first=True, last=True, compiling=True)
        compiled = bool(language.compile) and not program.calls
        if compiled:
            built = self._compile(program)
            if (built.ending, built.status) != ("exit", 0):
                self._step(program, ("true",), first=False, last=True)  # wipes
                return replace(built, ending="compile_error") if built.ending in ("exit", "signal") else built
        argv = (*language.run, *program.args)
        return self._step(program, argv, first=not compiled, last=True, decided=decided)

    def _compile(self, program: Program) -> Result:
        """By the warm compiler of this sandbox where it has one and that does not give up, else by the plain one."""
        language, args = self.language, program.compile_args
        assert language.compile
        if self.warm and language.service:
            argv = (language.file, *language.service_args, *args)
            built = self._step(program, argv, first=True, last=False, compiling=True, service=True)
            if (built.ending, built.status) != ("exit", LOST):
                return built
            return self._step(program, (*language.compile, *args), first=False, last=False, compiling=True)
        command = language.warm if self.warm and language.warm else language.compile
        return self._step(program, (*command, *args), first=True, last=False, compiling=True)

    def _step(
        self,
        program: Program,
        argv: Sequence[str],
        first: bool,
        last: bool,
        decided: Decided | None = None,
        compiling: bool = False,
        service: bool = False,
    ) -> Result:
        if self.channel is None:
            raise SandboxError(f"{self.backend}: the sandbox is not running")
        self.programs += 1
        calls = program.calls
        limits = {**self.limits(program, compiling), "first": first, "last": last, "tell": decided is not None}
        limits["service"] = service
        asked = {
            "files": dict(program.files) if first else {},
            "main": self.language.file,
            "argv": list(argv),
            "stdin": "" if compiling else program.stdin,
            "script": program.script,
            "suite": program.suite and {"tests": program.suite.tests, "word": program.suite.word},
            "calls": calls
            and {
                "function": calls.function,
                "inputs": calls.inputs,
                "whole_bytes": calls.whole_bytes,
                "timed": calls.timed,
            },
        }
        deadline = time.monotonic() + limits["wall_s"] + ANSWER_MARGIN_S
        try:
            bodies = [json.dumps(part).encode() for part in (limits, asked)]
            self.channel.send(b"".join(struct.pack(">I", len(body)) + body for body in bodies))
            while "so_far" in (header := json.loads(self._frame(deadline))):
                answers = self.channel.receive(header["so_far"], deadline)
                if decided is not None and decided(answers):
                    self.channel.send(struct.pack(">I", len(STOP)) + STOP)
                    decided = None
            sizes = header.pop("lengths")
            stdout, stderr, answers = (self.channel.receive(size, deadline) for size in sizes)
            self.clean = header.pop("clean")
            return Result(**header, stdout=stdout, stderr=stderr, answers=answers, compiling=compiling)
        except SandboxError:
            self.stop()
            raise
        except (ValueError, TypeError, KeyError) as error:
            self.stop()
            raise SandboxError(f"{self.backend}: the agent answered nonsense ({error})") from None

    def limits(self, program: Program, compiling: bool) -> dict[str, Any]:
        """What the agent itself gets to know of a program, or of its compiler's step."""
        language, limits, calls = self.language, program.limits, program.calls
        answers_bytes = REPORT_BYTES if program.reports and not compiling else 0
        if calls or program.suite:
            answers_bytes = limits.answer_bytes
        return {
            "cpu_s": limits.compile_cpu_s if compiling else limits.cpu_s,
            "wall_s": limits.compile_wall_s if compiling else limits.wall_s,
            "call_s": list(calls.cpu_s) if calls else [],
            "stdout_bytes": limits.output_bytes,
            "stderr_bytes": limits.output_bytes,
            "answers_bytes": answers_bytes,
            "bounded": bool(calls or program.suite),
            "file_bytes": language.file_bytes,
            "open_files": language.open_files,
            "processes": language.processes,
            "stack_bytes": language.stack_bytes,
            "environment": {**language.environment, **program.environment},
        }

    def _frame(self, deadline: float) -> bytearray:
        assert self.channel is not None
        (size,) = struct.unpack(">I", self.channel.receive(4, deadline))
        return self.channel.receive(size, deadline)


class Backend(Protocol):
    """A kind of sandbox: docker, namespaces, none."""

    name: str

    def why_not(self) -> str | None:
        """None where this machine can run it, else the reason in a few words."""
        ...

    def identity(self, language: Language) -> dict[str, str]:
        """What verdicts rest on, for the scoring key: image digest, or versions of the machine's tools."""
        ...

    def sandbox(self, language: Language, memory_bytes: int) -> Sandbox: ...
