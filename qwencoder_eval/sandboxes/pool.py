"""Warm sandboxes, shared by worker threads; one program at a time in each."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from ..errors import QcevalError, SandboxError
from ..types import Program, Result
from .base import Backend, Decided, GoesOn, Sandbox
from .languages import language

Found = TypeVar("Found")
ATTEMPTS = 3  # sandboxes that may die under a program before that is reported
RECYCLE_AFTER = 5000  # programs that one sandbox runs before a fresh one takes its place


def memory_for_each(wanted: int, workers: int) -> int:
    """What a language asks for, or an equal share of four fifths of the machine where that is less (bytes)."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(wanted, int(total * 0.8) // workers)


class Pool:
    """At most ``workers`` sandboxes at a time. Programs run in their callers' threads."""

    def __init__(self, backend: Backend, workers: int, hash_seed: int = 0) -> None:
        self.backend, self.workers, self.hash_seed = backend, workers, hash_seed
        self._idle: list[Sandbox] = []
        self._all: set[Sandbox] = set()
        self._starting: list[threading.Thread] = []
        self._closed = False
        self.programs = 0  # run so far, second attempts included
        self._running = 0
        self._waiting_alone = 0
        self._changed = threading.Condition()
        self._slots = threading.Semaphore(workers)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop idle sandboxes and interrupt those that run a program: their callers get a SandboxError."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            running = self._all - set(idle)
        for sandbox in running:
            sandbox.interrupt()  # and its caller stops it: a file closed under a reader may be another one's by then
        if idle:
            with ThreadPoolExecutor(len(idle)) as threads:  # an engine takes a tenth of a second for each
                list(threads.map(self._discard, idle))
        for thread in self._starting:
            thread.join()

    @property
    def started(self) -> bool:
        """Whether there are sandboxes, or some on their way."""
        return bool(self._starting or self._all)

    def start(self, name: str, count: int, folder: str = "") -> None:
        """Start sandboxes of this language while the caller goes on: its first programs find them warm.

        ``folder``: that of the programs.

        One that cannot be started is no error yet; the program that needs it meets the same one.
        """

        def warm() -> None:
            with contextlib.suppress(QcevalError), self._sandbox(name, folder):
                pass

        for number in range(min(count, self.workers)):
            self._starting.append(threading.Thread(target=warm, name=f"sandbox-{number}", daemon=True))
            self._starting[-1].start()

    def run(self, program: Program, decided: Decided | None = None) -> Result:
        """Raises SandboxError where several fresh sandboxes could not do it. ``decided``: see ``Sandbox.run``."""
        with self._counted(alone=False):
            return self._attempt(program, lambda sandbox: sandbox.run(program, decided))

    def run_each(self, program: Program, inputs: Sequence[str], goes_on: GoesOn) -> list[Result]:
        """On one standard input after the other, see ``Sandbox.run_each``.

        Raises SandboxError where several fresh sandboxes could not do it; each of them begins with the first input.
        """
        with self._counted(alone=False):
            return self._attempt(program, lambda sandbox: sandbox.run_each(program, inputs, goes_on))

    def run_alone(self, program: Program, decided: Decided | None = None) -> Result:
        """Wait until no other program runs, and let none start meanwhile."""
        with self._counted(alone=True):
            return self._attempt(program, lambda sandbox: sandbox.run(program, decided))

    @contextmanager
    def _counted(self, alone: bool) -> Iterator[None]:
        with self._changed:
            self._waiting_alone += alone
            self._changed.wait_for(lambda: not (self._running if alone else self._waiting_alone))
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._waiting_alone -= alone
                self._changed.notify_all()

    def _attempt(self, program: Program, use: Callable[[Sandbox], Found]) -> Found:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._sandbox(program.language, program.folder) as sandbox:
                    with self._changed:
                        self.programs += 1
                    return use(sandbox)
            except SandboxError:
                if attempt == ATTEMPTS or self._closed:
                    raise
        raise AssertionError

    @contextmanager
    def _sandbox(self, name: str, folder: str) -> Iterator[Sandbox]:
        with self._slots:
            sandbox = self._take(name, folder)
            try:
                yield sandbox
            except BaseException:
                self._discard(sandbox)
                raise
            with self._changed:
                keep = sandbox.clean and sandbox.programs < RECYCLE_AFTER and not self._closed
                if keep:
                    self._idle.append(sandbox)
            if not keep:
                self._discard(sandbox)

    def _discard(self, sandbox: Sandbox) -> None:
        with self._changed:
            self._all.discard(sandbox)
        sandbox.stop()

    def _take(self, name: str, folder: str) -> Sandbox:
        """An idle sandbox of this language and folder, or a fresh one in the place of another one."""
        with self._changed:
            for index in range(len(self._idle) - 1, -1, -1):
                if (self._idle[index].language.name, self._idle[index].folder) == (name, folder):
                    return self._idle.pop(index)
            spare = self._idle.pop(0) if self._idle else None
        if spare:
            self._discard(spare)
        wanted = language(name)
        sandbox = self.backend.sandbox(wanted, memory_for_each(wanted.memory_bytes, self.workers))
        sandbox.hash_seed, sandbox.folder = self.hash_seed, folder
        with self._changed:
            if self._closed:
                raise SandboxError(f"{self.backend.name}: the pool is closed")
            self._all.add(sandbox)
        try:
            sandbox.start()
            if self._closed:  # meanwhile; an interrupt may have come too early to be felt
                raise SandboxError(f"{self.backend.name}: the pool is closed")
        except BaseException:
            self._discard(sandbox)
            raise
        return sandbox
