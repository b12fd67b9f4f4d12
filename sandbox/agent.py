"""The agent inside a sandbox: takes programs over a framed pipe, runs each as another user in a clean
directory, kills and wipes whatever it left, and answers what it saw. It never says right or wrong.

Standard library only. The same file serves every backend:

    agent.py --user setuid|nested|none --accounting cgroup|proc --memory BYTES [--memory-by-cgroup] [--work DIR]

- ``setuid``: the agent is root (of its container or namespace) and the program an unprivileged user.
- ``nested``: the agent is an ordinary user's root in a user namespace; the program gets a namespace below it.
- ``none``: no isolation at all; for trusted programs only.

Frame: 4 bytes length, big-endian, then the payload. A request is JSON (see ``serve``). An answer is a
frame of JSON that gives the lengths of the three byte strings (stdout, stderr, answers) behind it.

One program at a time. In ``setuid`` and ``nested`` mode the agent must be process 1 of its own process
namespace: then ``kill(-1)`` reaches exactly what programs left behind, at once, and nothing else.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import resource
import select
import shutil
import signal
import struct
import sys
import time
from typing import Any, NoReturn

import calls

WORK = "/tmp/work"  # the directory a program starts in
WRITABLE = ("/tmp", "/dev/shm", "/var/tmp")  # everything a program can write to
FIRST_UID, UIDS = 61000, 1000  # a user of its own for each program, in turn: nothing per-user survives
ANSWERS, READY = 3, 4  # a program's descriptors beside the usual three; both close on exec
HARD = 1.2  # a program is killed at this multiple of its limit; between 1 and this its timeout is ambiguous
TICK_S = 0.02  # how often the clocks are read while a program is silent
PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x00020000, 0x10000000, 0x20000000
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
CAPABILITY_VERSION_3 = 0x20080522

# What the fork inherits warm: modules that small programs import, loaded once.
PRELOAD = (
    "array bisect cmath collections copy datetime decimal fractions functools hashlib heapq itertools math "
    "operator random re statistics string typing"
)


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
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                with open(f"/proc/{name}/stat") as stat:
                    fields = stat.read().rpartition(")")[2].split()
            except OSError:
                continue
            if self.isolated or int(fields[2]) == child:  # by process group
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


class Tail:
    """The first bytes of a stream, up to a bound; the rest is read and dropped."""

    def __init__(self, fd: int, bound: int) -> None:
        self.fd, self.bound = fd, bound
        self.kept = bytearray()

    def read(self) -> bool:
        """Read what is there; False at the end of the stream."""
        try:
            chunk = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return True
        self.kept += chunk[: max(0, self.bound - len(self.kept))]
        return bool(chunk)


class Agent:
    def __init__(self, options: argparse.Namespace) -> None:
        self.user: str = options.user
        self.isolated = options.user != "none"
        self.polled_memory: int = 0 if options.memory_by_cgroup else options.memory
        self.memory: int = options.memory
        self.clock = Clock(options.accounting, self.isolated)
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.work = WORK if self.isolated else options.work
        self.serial = 0
        if self.isolated and os.getpid() != 1:
            sys.exit("agent: must be process 1 of its own namespace")
        # Programs must not reach the host's pipes: keep them away from 0 and 1, closed on exec.
        self.host_in, self.host_out = os.dup(0), os.dup(1)
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.close(null)

    # -- the host's side ---------------------------------------------------------------------------

    def serve(self) -> None:
        self.send({"agent": 1, "python": sys.version.split()[0], "cpu": self.clock.kind})
        while (request := self.receive()) is not None:
            self.serial += 1
            self.prepare(request["files"])
            seen: dict[str, Any] = {}
            for step in ("compile", "run"):
                if request.get(step) is not None:
                    seen = self.run(request, step)
                    if step == "compile" and (seen["ending"], seen["status"]) != ("exit", 0):
                        if seen["ending"] in ("exit", "signal"):
                            seen["ending"] = "compile_error"
                        break
            seen["clean"] = self.wipe()
            streams = [seen.pop(name) for name in ("stdout", "stderr", "answers")]
            seen["lengths"] = [len(stream) for stream in streams]
            self.send(seen, *streams)

    def receive(self) -> dict[str, Any] | None:
        head = self.read_exactly(4)
        body = head and self.read_exactly(struct.unpack(">I", head)[0])
        return json.loads(body) if body else None

    def read_exactly(self, size: int) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            chunk = os.read(self.host_in, min(size - len(data), 1 << 20))
            if not chunk:
                return None
            data += chunk
        return bytes(data)

    def send(self, header: dict[str, Any], *streams: bytearray) -> None:
        body = json.dumps(header).encode()
        for part in (struct.pack(">I", len(body)) + body, *streams):
            data = memoryview(part)
            while data:
                data = data[os.write(self.host_out, data) :]

    # -- one program -------------------------------------------------------------------------------

    def prepare(self, files: dict[str, str]) -> None:
        os.mkdir(self.work, 0o700)
        for name, text in files.items():
            path = os.path.join(self.work, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(text.encode("utf-8", "surrogatepass"))
        if self.user == "setuid":
            uid = self.uid
            for folder, _, names in os.walk(self.work):
                os.chown(folder, uid, uid)
                for name in names:
                    os.chown(os.path.join(folder, name), uid, uid)

    @property
    def uid(self) -> int:
        return FIRST_UID + self.serial % UIDS

    def run(self, request: dict[str, Any], step: str) -> dict[str, Any]:
        """Run one step of the request to its end and kill what is left of it."""
        limits = request["limits"]
        ask = request.get("calls") if step == "run" else None
        pipes = {name: os.pipe2(os.O_CLOEXEC) for name in ("stdout", "stderr", "answers")}
        ooms = self.clock.oom_kills()
        before = self.clock.cpu(0)
        started = time.monotonic()
        ready, ready_end = os.pipe2(os.O_CLOEXEC)
        child = os.fork()
        if child == 0:
            self.candidate(request, step, {name: pair[1] for name, pair in pipes.items()}, ready_end)
        os.close(ready_end)
        for _, write_end in pipes.values():
            os.close(write_end)
        for read_end, _ in pipes.values():
            os.set_blocking(read_end, False)
        watch = Watch(self, child, limits, ask, {name: pair[0] for name, pair in pipes.items()})
        try:
            if failure := os.read(ready, 2000):  # nothing comes from a child that got as far as the program
                raise RuntimeError(f"cannot set up a program: {failure.decode('utf-8', 'replace')}")
            ending, status = watch.until_the_end(started, before)
        finally:
            os.close(ready)
            self.kill(child)
            for read_end, _ in pipes.values():
                os.close(read_end)
        cpu = self.clock.cpu(0) - before
        if ending == "signal" and status == signal.SIGKILL and self.clock.oom_kills() > ooms:
            ending = "memory_limit"
        return {
            "ending": ending,
            "status": status,
            "cpu_s": cpu,
            "wall_s": time.monotonic() - started,
            "over": watch.over,
            **{name: tail.kept for name, tail in watch.streams.items()},
        }

    def candidate(self, request: dict[str, Any], step: str, ends: dict[str, int], ready: int) -> NoReturn:
        """In the child: become another user, drop everything of the agent's, and run the program."""
        status = 0
        try:
            ask = request.get("calls") if step == "run" else None
            os.setsid()
            stdin = self.stdin_file(request.get("stdin", "") if step == "run" else "")
            try:
                with open("/proc/self/oom_score_adj", "w") as score:
                    score.write("1000")
            except OSError:
                pass  # not ours to set without privilege; the limit itself stays
            # Above the small numbers first, so that no source is overwritten before it is copied.
            sources = (stdin, ends["stdout"], ends["stderr"], ends["answers"], ready)
            copies = [os.dup2(fd, 100 + target) for target, fd in enumerate(sources)]
            for target, fd in enumerate(copies):
                os.dup2(fd, target, inheritable=target < 3)
            ready = READY
            os.closerange(READY + 1, 1 << 16)
            os.chdir(self.work)
            self.limit_resources(request["limits"])
            self.become_user()
            self.libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            environment = {
                **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
                "HOME": self.work,
                "LANG": "C.UTF-8",
                "TZ": "UTC",
                "PYTHONHASHSEED": "0",
                "OMP_NUM_THREADS": "1",
                **request.get("env", {}),
            }
            if ask:
                os.environ.clear()
                os.environ.update(environment)
                sys.path[0:1] = [self.work]
                os.close(READY)
                calls.answer(ANSWERS, request["files"][request["main"]], ask["function"], ask["inputs"], ask["timed"])
            else:
                argv = request[step]
                os.execvpe(argv[0], argv, environment)
        except BaseException as error:
            status = 70
            os.write(ready, f"{type(error).__name__}: {error}"[:2000].encode("utf-8", "replace"))
        finally:
            os._exit(status)

    def stdin_file(self, text: str) -> int:
        if not text:
            return os.open("/dev/null", os.O_RDONLY)
        fd = os.memfd_create("stdin")
        data = memoryview(text.encode("utf-8", "surrogatepass"))
        while data:
            data = data[os.write(fd, data) :]
        os.lseek(fd, 0, os.SEEK_SET)
        return fd

    def limit_resources(self, limits: dict[str, Any]) -> None:
        for what, soft in (
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_FSIZE, limits["file_bytes"]),
            (resource.RLIMIT_NOFILE, limits["open_files"]),
            (resource.RLIMIT_MEMLOCK, 0),
        ):
            resource.setrlimit(what, (soft, soft))
        hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
        stack = self.memory if hard == resource.RLIM_INFINITY else min(self.memory, hard)
        resource.setrlimit(resource.RLIMIT_STACK, (stack, hard))  # deep recursion, as upstream evaluators allow

    def become_user(self) -> None:
        if self.user == "setuid":
            uid = self.uid
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        elif self.user == "nested":
            self.enter_nested_namespace()

    def enter_nested_namespace(self) -> None:
        """A user and process namespace below the agent's: the program cannot see or signal the agent."""
        uid, gid = os.getuid(), os.getgid()
        self.call(self.libc.unshare, CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS)
        for name, text in (("setgroups", "deny"), ("uid_map", f"1000 {uid} 1"), ("gid_map", f"1000 {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        inner = os.fork()  # process 1 of the new namespace: its death takes everything along
        if inner:
            os.close(READY)
            _, status = os.waitpid(inner, 0)
            if os.WIFSIGNALED(status):
                os.kill(os.getpid(), os.WTERMSIG(status))
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
        self.call(self.libc.mount, b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, None)
        self.call(self.libc.capset, struct.pack("Ii", CAPABILITY_VERSION_3, 0), bytes(24))

    @staticmethod
    def call(function: Any, *arguments: Any) -> None:
        """A C function that returns -1 and sets errno where it fails."""
        if function(*arguments) == -1:
            code = ctypes.get_errno()
            raise OSError(code, f"{function.__name__}: {os.strerror(code)}")

    def kill(self, child: int) -> None:
        """Kill everything a program started, and wait until it is gone."""
        if self.isolated:
            try:
                os.kill(-1, signal.SIGKILL)  # everything but the agent: it is process 1 here
            except ProcessLookupError:
                pass
        else:
            try:
                os.killpg(child, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while True:
                os.waitpid(-1, 0)
        except ChildProcessError:
            pass

    def wipe(self) -> bool:
        """Remove everything a program could write; False where that failed and the sandbox must not be reused."""
        if not self.isolated:
            shutil.rmtree(self.work, ignore_errors=True)
            return True
        try:
            for place in WRITABLE:
                for entry in os.scandir(place) if os.access(place, os.W_OK) else ():
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path)
                    else:
                        os.unlink(entry.path)
        except (OSError, RecursionError):
            return False
        return True


class Watch:
    """Reads a program's streams and clocks until it ends or has to be ended."""

    def __init__(
        self,
        agent: Agent,
        child: int,
        limits: dict[str, Any],
        ask: dict[str, Any] | None,
        ends: dict[str, int],
    ) -> None:
        self.agent, self.child = agent, child
        self.cpu_s: float = limits["cpu_s"]
        self.wall_s: float = limits["wall_s"]
        self.call_s: list[float] = ask["cpu_s"] if ask else []
        self.streams = {
            "stdout": Tail(ends["stdout"], limits["output_bytes"]),
            "stderr": Tail(ends["stderr"], limits["output_bytes"]),
            "answers": Tail(ends["answers"], limits["answer_bytes"] if ask else 0),
        }
        self.answered = -1  # answers seen so far; the first line tells that the program was loaded
        self.over: int | None = None
        self.lap = 0.0  # the sandbox's CPU clock when the last answer was seen

    def until_the_end(self, started: float, before: float) -> tuple[str, int]:
        agent, clock = self.agent, self.agent.clock
        poller = select.poll()
        poller.register(agent.host_in, select.POLLIN)
        open_streams = {tail.fd: tail for tail in self.streams.values()}
        for fd in open_streams:
            poller.register(fd, select.POLLIN)
        pidfd = os.pidfd_open(self.child)
        poller.register(pidfd, select.POLLIN)
        self.lap = before
        try:
            while True:
                events = poller.poll(TICK_S * 1000)
                now = clock.cpu(self.child)
                for fd, _ in events:
                    if fd == agent.host_in:  # the host is gone, or talks out of turn: the sandbox ends with it
                        if not agent.isolated:  # elsewhere the kernel does that when process 1 ends
                            agent.kill(self.child)
                            agent.wipe()
                        os._exit(0)
                    if fd in open_streams and not self.take(open_streams[fd], now):
                        poller.unregister(fd)
                if any(fd == pidfd for fd, _ in events):
                    return self.ended(now, before)
                if ending := self.limit_reached(now, before, time.monotonic() - started):
                    return ending, signal.SIGKILL
        finally:
            os.close(pidfd)

    def ended(self, now: float, before: float) -> tuple[str, int]:
        for tail in self.streams.values():  # what is still in the pipes, without waiting for heirs
            while True:
                size = len(tail.kept)
                if not self.take(tail, now) or len(tail.kept) == size:
                    break
        if now - before > self.cpu_s and self.over is None:
            self.over = -1
        _, status = os.waitpid(self.child, 0)
        if os.WIFSIGNALED(status):
            return "signal", os.WTERMSIG(status)
        return "exit", os.WEXITSTATUS(status)

    def take(self, tail: Tail, now: float) -> bool:
        """Read from a stream; every line of answers ends a lap of the CPU clock."""
        size = len(tail.kept)
        more = tail.read()
        if tail is self.streams["answers"] and (lines := tail.kept.count(b"\n", size)):
            if 0 <= self.answered < len(self.call_s) and self.over is None:
                if now - self.lap > self.call_s[self.answered]:
                    self.over = self.answered
            self.answered += lines
            self.lap = now
        return more

    def limit_reached(self, now: float, before: float, wall: float) -> str | None:
        answers = self.streams["answers"]
        if self.call_s and len(answers.kept) >= answers.bound:
            return "answer_limit"
        if now - before > self.cpu_s * HARD:
            return "cpu_limit"
        if 0 <= self.answered < len(self.call_s) and now - self.lap > self.call_s[self.answered] * HARD:
            self.over = self.answered
            return "cpu_limit"
        if wall > self.wall_s:
            return "wall_limit"
        if self.agent.polled_memory and self.agent.clock.memory(self.child) > self.agent.polled_memory:
            return "memory_limit"
        return None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--user", choices=["setuid", "nested", "none"], required=True)
    parser.add_argument("--accounting", choices=["cgroup", "proc"], required=True)
    parser.add_argument("--memory", type=int, required=True)
    parser.add_argument("--memory-by-cgroup", action="store_true")
    parser.add_argument("--work", default=WORK)
    agent = Agent(parser.parse_args())
    for module in PRELOAD.split():
        __import__(module)
    gc.collect()
    gc.freeze()  # a fork then copies fewer pages
    agent.serve()


if __name__ == "__main__":
    main()
