"""How the agent watches one program: clocks, streams, limits. Standard library only."""

from __future__ import annotations

import fcntl
import mmap
import os
import resource
import select
import signal
import time
from collections.abc import Callable
from typing import Any

HARD = 1.2  # a program is killed at this multiple of its limit; between 1 and this its timeout is ambiguous
TELL_S = 0.02  # when the host is first shown the answers so far
TICK_S = 0.005  # how often streams and clocks are read
AT_ONCE = 1 << 20  # bytes read of a stream in one tick; where there is more, the next tick is now
CHUNK = 1 << 16  # bytes read at a time
F_SETPIPE_SZ = 1031
MAP_NORESERVE = 0x4000


class HostGoneError(Exception):
    """The host closed its end, or talks out of turn."""


class Clock:
    """CPU seconds used by everything in the sandbox, and out-of-memory kills, from cgroup files or /proc."""

    def __init__(self, accounting: str, isolated: bool) -> None:
        self.isolated = isolated
        self.usage: int | None = None
        self.scale = 1e-9
        if accounting == "cgroup":
            for path, scale in (("cpuacct/cpuacct.usage", 1e-9), ("cpu.stat", 1e-6)):
                try:
                    self.usage = os.open("/sys/fs/cgroup/" + path, os.O_RDONLY | os.O_CLOEXEC)
                    self.scale = scale
                    break
                except OSError:
                    continue
        self.kind = "cgroup" if self.usage is not None else "proc"

    def cpu(self, child: int) -> float:
        """CPU seconds of the sandbox so far; only differences mean anything."""
        if self.usage is not None:
            text = os.pread(self.usage, 256, 0)
            number = text.split()[1] if text.startswith(b"usage_usec") else text
            return int(number) * self.scale
        mine = resource.getrusage(resource.RUSAGE_CHILDREN)
        total = mine.ru_utime + mine.ru_stime
        tick = os.sysconf("SC_CLK_TCK")
        for fields in self._processes(child):
            total += sum(int(x) for x in fields[11:15]) / tick  # utime, stime, and those of reaped children
        return total

    def memory(self, child: int) -> int:
        """Resident bytes of everything but the agent, where no cgroup limits it."""
        page = resource.getpagesize()
        return sum(int(fields[21]) * page for fields in self._processes(child))

    def _processes(self, child: int) -> list[list[str]]:
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) in (os.getpid(), os.getppid()):
                continue
            try:
                with open(f"/proc/{name}/stat") as stat:
                    fields = stat.read().rpartition(")")[2].split()
            except OSError:
                continue
            if self.isolated or (child and int(fields[2]) == child):  # by process group
                found.append(fields)
        return found

    def oom_kills(self) -> int:
        for path in ("memory/memory.oom_control", "memory.events"):
            try:
                with open("/sys/fs/cgroup/" + path) as counters:
                    for line in counters:
                        if line.startswith("oom_kill "):
                            return int(line.split()[1])
            except OSError:
                continue
        return 0


class Stream:
    """What a program writes to one pipe: the first bytes up to a bound are kept, the rest is read and dropped.

    It is kept in memory that a fork does not inherit: the next program must not find it in its own.
    """

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.memory = mmap.mmap(-1, bound + CHUNK, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
        self.memory.madvise(mmap.MADV_DONTFORK)
        self.size = 0

    def open(self, fd: int) -> None:
        self.fd, self.is_open = fd, True
        os.set_blocking(fd, False)

    def read(self) -> bool:
        """Read what is there; whether there may be more already, as a program that fills its pipe waits for us."""
        taken = 0
        with memoryview(self.memory) as view:
            while self.is_open and taken < AT_ONCE:
                with view[self.size : self.size + CHUNK] as space:
                    try:
                        size = os.readv(self.fd, [space])
                    except BlockingIOError:
                        return taken >= CHUNK
                self.is_open = size > 0
                taken += size
                self.size = min(self.size + size, self.bound)
        return self.is_open

    def lines(self, start: int) -> int:
        """How many lines end behind ``start``; counted where they lie."""
        count, at = 0, self.memory.find(b"\n", start, self.size)
        while at >= 0:
            count, at = count + 1, self.memory.find(b"\n", at + 1, self.size)
        return count

    def forget(self) -> None:
        self.memory.close()


class Watch:
    """Reads a program's streams and clocks until it ends or has to be ended.

    Streams are read by the clock, not as they fill: a program that answers a thousand calls in a millisecond then
    costs one look at its answers, and the kernel need not wake anyone for each.
    """

    def __init__(self, clock: Clock, child: int, limits: dict[str, Any]) -> None:
        self.clock, self.child = clock, child
        self.started, self.before = time.monotonic(), clock.cpu(0)
        self.cpu_s: float = limits["cpu_s"]
        self.wall_s: float = limits["wall_s"]
        self.call_s: list[float] = limits["call_s"]
        self.bounded: bool = limits["bounded"]  # whether more answers than there is room for end it
        self.tells: bool = limits["tell"]  # whether the host wants to be shown answers
        self.answered = -1  # answers seen so far; the first line tells that the program was loaded
        self.over: int | None = None
        self.cpu = 0.0  # seconds used so far
        self.lap = 0.0  # of them, when the last answer was seen

    def until_the_end(
        self, streams: dict[str, Stream], host: int, memory: int, hear: Callable[[], None], tell: Callable[[], None]
    ) -> tuple[str, int]:
        """How the program ended. ``memory``: resident bytes it may have, where no cgroup counts them; else 0.

        Where ``host`` becomes readable, ``hear`` is called: it returns if the host has seen enough, and raises
        HostGoneError else. ``tell`` shows the host the answers so far: at times that double, so that it costs little.
        """
        answers = streams["answers"]
        told, next_tell = 0, self.started + TELL_S
        try:
            fcntl.fcntl(answers.fd, F_SETPIPE_SZ, AT_ONCE)
        except OSError:
            pass  # more than this user may have: the program waits a little more often
        poller = select.poll()
        poller.register(host, select.POLLIN)
        pidfd = os.pidfd_open(self.child)
        poller.register(pidfd, select.POLLIN)
        more = False
        try:
            while True:
                ready = {fd for fd, _ in poller.poll(0 if more else TICK_S * 1000)}
                if host in ready:
                    hear()
                    return "stopped", signal.SIGKILL
                self.cpu = max(self.cpu, self.clock.cpu(self.child) - self.before)
                taken = [self.take(stream, stream is answers) for stream in streams.values()]
                more = any(taken)
                if pidfd in ready:  # and what it wrote is read: a pipe holds no more than was just taken
                    return self.ended(answers)
                if ending := self.limit_reached(answers, memory):
                    return ending, signal.SIGKILL
                if self.tells and self.answered > told and (now := time.monotonic()) > next_tell:
                    told, next_tell = self.answered, now + (now - self.started)
                    tell()
        finally:
            os.close(pidfd)

    def take(self, stream: Stream, answers: bool) -> bool:
        """Read a stream; a new line of answers ends a lap of the CPU clock."""
        size = stream.size
        more = stream.read()
        if answers and (lines := stream.lines(size)):
            if 0 <= self.answered < len(self.call_s) and self.over is None:
                if self.cpu - self.lap > self.call_s[self.answered]:
                    self.over = self.answered
            self.answered += lines
            self.lap = self.cpu
        return more

    def ended(self, answers: Stream) -> tuple[str, int]:
        if self.cpu > self.cpu_s and self.over is None:
            self.over = -1
        if self.too_much(answers):
            return "answer_limit", signal.SIGKILL
        _, status = os.waitpid(self.child, 0)
        if os.WIFSIGNALED(status):
            return "signal", os.WTERMSIG(status)
        return "exit", os.WEXITSTATUS(status)

    def too_much(self, answers: Stream) -> bool:
        return self.bounded and answers.size >= answers.bound

    def limit_reached(self, answers: Stream, memory: int) -> str | None:
        if self.too_much(answers):
            return "answer_limit"
        if self.cpu > self.cpu_s * HARD:
            return "cpu_limit"
        if 0 <= self.answered < len(self.call_s) and self.cpu - self.lap > self.call_s[self.answered] * HARD:
            self.over = self.answered
            return "cpu_limit"
        if time.monotonic() - self.started > self.wall_s:
            return "wall_limit"
        if memory and self.clock.memory(self.child) > memory:
            return "memory_limit"
        return None
