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
from pathlib import Path
from typing import Any, Protocol

from ..errors import SandboxError
from ..types import Program, Result
from .languages import Language

Decided = Callable[[bytes | bytearray], bool]  # of the answers so far: whether the rest does not matter
GoesOn = Callable[[int, Result], bool]  # of the number of an input and what came of it: whether the next one is run
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
    folder = ""  # on this machine: what programs may read, see ``Program.folder``
    assets = "/assets"  # where they find it
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
        if compiled and (failed := self._refused(program)):
            return failed
        argv = self._named(program, (*language.run, *program.args))
        return self._step(program, argv, first=not compiled, last=True, decided=decided)

    def run_each(self, program: Program, inputs: Sequence[str], goes_on: GoesOn) -> list[Result]:
        """Compile a program once and run it on one standard input after the other, as long as ``goes_on`` says so.

        A result for each input that was run; or one, of the compiler, where that refused. Every run is a process of its
        own with all limits, and nothing of it runs on when the next one starts. Files stay: a program finds what its
        last run left, and where that took away what it needs, it has only itself to blame. Others find nothing.

        Raises SandboxError where the sandbox failed, not the program.
        """
        compiled = bool(self.language.compile)
        if compiled and (failed := self._refused(program)):
            return [failed]
        argv = self._named(program, (*self.language.run, *program.args))
        found: list[Result] = []
        for number, stdin in enumerate(inputs):
            first, last = not (compiled or number), number == len(inputs) - 1
            one = replace(program, stdin=stdin)
            found.append(self._step(one, argv, first=first, last=last, again=number > 0))
            if not last and not goes_on(number, found[-1]):
                self._wipe(program)
                break
        return found

    def _refused(self, program: Program) -> Result | None:
        """Compile; what the compiler came to where there is nothing to run."""
        built = self._compile(program)
        if (built.ending, built.status) == ("exit", 0):
            return None
        self._wipe(program)
        return replace(built, ending="compile_error") if built.ending in ("exit", "signal") else built

    def _wipe(self, program: Program) -> None:
        """The last step of a program that has no other."""
        nothing = Program(program.language, {}, limits=program.limits)
        self._step(nothing, ("true",), first=False, last=True, again=True)

    def _named(self, program: Program, argv: Sequence[str]) -> tuple[str, ...]:
        """A command of the language with the name of this program's main file, and its stem, in place of its own."""
        if not program.main:
            return tuple(argv)
        names = {self.language.file: program.main, Path(self.language.file).stem: Path(program.main).stem}
        return tuple(names.get(word, word) for word in argv)

    def _compile(self, program: Program) -> Result:
        """By the warm compiler of this sandbox where it has one and that does not give up, else by the plain one."""
        language, args = self.language, program.compile_args
        assert language.compile
        plain = (*self._named(program, language.compile), *args)
        if self.warm and language.service:
            argv = (program.main or language.file, *language.service_args, *args)
            built = self._step(program, argv, first=True, last=False, compiling=True, service=True)
            if (built.ending, built.status) != ("exit", LOST):
                return built
            return self._step(program, plain, first=False, last=False, compiling=True)
        warm = (*self._named(program, language.warm), *args) if self.warm and language.warm else plain
        return self._step(program, warm, first=True, last=False, compiling=True)

    def _step(
        self,
        program: Program,
        argv: Sequence[str],
        first: bool,
        last: bool,
        decided: Decided | None = None,
        compiling: bool = False,
        service: bool = False,
        again: bool = False,
    ) -> Result:
        """One request to the agent. ``again``: a run before this one may have damaged what it needs."""
        if self.channel is None:
            raise SandboxError(f"{self.backend}: the sandbox is not running")
        self.programs += 1
        calls = program.calls
        limits = {**self.limits(program, compiling), "first": first, "last": last, "tell": decided is not None}
        limits |= {"service": service, "again": again}
        asked = {
            "files": dict(program.files) if first or program.script else {},
            "main": program.main or self.language.file,
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
            "stack_bytes": limits.stack_bytes or language.stack_bytes,
            "environment": {
                **language.environment,
                **program.environment,
                **({"QCEVAL_ASSETS": self.assets} if self.folder else {}),
            },
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
