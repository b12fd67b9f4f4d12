"""The agent inside a sandbox: takes programs over a framed pipe, runs each as another user in a clean
directory, kills and wipes whatever it left, and answers what it saw. It never says right or wrong.

Standard library only. The same file serves every backend:

    agent.py --user setuid|nested|none --accounting cgroup|proc --memory BYTES [--memory-by-cgroup] [--work DIR]
             [--service JSON] [--preload MODULE,MODULE]

- ``setuid``: the agent is root (of its container or namespace) and the program an unprivileged user.
- ``nested``: the agent is an ordinary user's root in a user namespace; the program gets a namespace below it.
- ``none``: no isolation at all; for trusted programs only.

Frame: 4 bytes length, big-endian, then the payload. A request is two frames of JSON: limits for the agent, then the
program, which only the fork that becomes the program ever reads. An answer is a frame of JSON that gives the lengths
of the three byte strings (stdout, stderr, answers) behind it; they lie in memory that forks do not inherit. So no
program finds its neighbour's code or answers in the memory that it gets from the agent. While a program runs, the
agent now and then shows the answers so far, and the host may say that they are enough.

One program at a time. In ``setuid`` and ``nested`` mode the agent must be process 1 of its own process namespace:
then ``kill(-1)`` reaches exactly what programs left behind, at once, and nothing else. A warm compiler that is to
survive it (``--service``, only with ``setuid``) has a user of its own: then the program's user does the killing.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import json
import os
import resource
import shutil
import signal
import struct
import sys
import time
import traceback
from typing import Any, NoReturn

import calls
import script
from service import LOST, Service
from watch import Clock, HostGoneError, Stream, Watch

WORK = "/tmp/work"  # the directory a program starts in
WRITABLE = ("/tmp", "/dev/shm", "/var/tmp")  # everything a program can write to
FIRST_UID, UIDS = 61000, 1000  # a user of its own for each program, in turn: nothing per-user survives
STOP = {"stop": True}  # what the host says where the answers so far decide
ANSWERS, READY = 3, 4  # a program's descriptors beside the usual three; both close on exec
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID = 0x00020000, 0x08000000, 0x10000000, 0x20000000
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
CAPABILITY_VERSION_3 = 0x20080522

# What the fork inherits warm: modules that small programs import, loaded once.
PRELOAD = (
    "array bisect cmath collections copy datetime decimal fractions functools hashlib heapq itertools math "
    "operator random re statistics string typing"
)


class Agent:
    def __init__(self, options: argparse.Namespace) -> None:
        self.user: str = options.user
        self.isolated = options.user != "none"
        self.polled_memory: int = 0 if options.memory_by_cgroup else options.memory
        self.memory: int = options.memory
        self.clock = Clock(options.accounting, self.isolated)
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.work = WORK if self.isolated else options.work
        self.places = [place for place in WRITABLE if os.access(place, os.W_OK)]
        self.serial = 0
        self.service = Service(options.service) if options.service and self.user == "setuid" else None
        if self.isolated and os.getpid() != 1:
            sys.exit("agent: must be process 1 of its own namespace")
        # Programs must not reach the host's pipes: keep them away from 0 and 1, closed on exec.
        self.host_in, self.host_out = os.dup(0), os.dup(1)
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.close(null)

    # -- the host's side ---------------------------------------------------------------------------

    def serve(self) -> NoReturn:
        self.send({"agent": 3, "python": sys.version.split()[0], "cpu": self.clock.kind})
        status = 1
        try:
            while (limits := self.receive()) is not None:
                if limits != STOP:  # which may come when the program has just ended
                    self.answer(limits)
            status = 0
        except HostGoneError:
            self.wipe()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def hear(self) -> None:
        """The host speaks while a program runs: it has seen enough, or it is gone."""
        if self.receive() != STOP:
            raise HostGoneError

    def answer(self, limits: dict[str, Any]) -> None:
        """One program, or one step of it: ``first`` makes the work directory, ``last`` wipes it."""
        self.serial += limits["first"]
        streams = {name: Stream(limits[f"{name}_bytes"]) for name in ("stdout", "stderr", "answers")}
        try:
            seen = self.run(limits, streams)
            seen["clean"] = self.wipe() if limits["last"] else True
            seen["lengths"] = [stream.size for stream in streams.values()]
            self.send(seen, *streams.values())
        finally:
            for stream in streams.values():
                stream.forget()

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

    def send(self, header: dict[str, Any], *streams: Stream) -> None:
        body = json.dumps(header).encode()
        self.write(struct.pack(">I", len(body)) + body)
        for stream in streams:
            with memoryview(stream.memory) as view, view[: stream.size] as kept:
                self.write(kept)

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.host_out, view) :]

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

    def run(self, limits: dict[str, Any], streams: dict[str, Stream]) -> dict[str, Any]:
        """Run the program that the host sends now to its end, and kill what is left of it."""
        pipes = {name: os.pipe2(os.O_CLOEXEC) for name in streams}
        ready, ready_end = os.pipe2(os.O_CLOEXEC)
        ooms = self.clock.oom_kills()
        if by_service := limits["service"]:
            assert self.service
            self.service.start()
        child = os.fork()
        if child == 0:
            self.candidate(limits, {name: pair[1] for name, pair in pipes.items()}, ready_end)
        for write_end in (ready_end, *(pair[1] for pair in pipes.values())):
            os.close(write_end)
        for name, stream in streams.items():
            stream.open(pipes[name][0])
        try:
            failure = os.read(ready, 2000)  # nothing comes from a child that got as far as the program
            if failure and not limits["again"]:  # a program may have damaged its own place, and ends with status 70
                raise RuntimeError(f"cannot set up a program: {failure.decode('utf-8', 'replace')}")
            watch = Watch(self.clock, child, limits)
            answers = streams["answers"]

            def tell() -> None:
                self.send({"so_far": answers.size}, answers)

            ending, status = watch.until_the_end(streams, self.host_in, self.polled_memory, self.hear, tell)
        finally:
            self.kill(child)
            for read_end in (ready, *(pair[0] for pair in pipes.values())):
                os.close(read_end)
        cpu = max(self.clock.cpu(0) - watch.before, watch.cpu)  # /proc forgets processes that nobody waited for
        if ending == "signal" and status == signal.SIGKILL and self.clock.oom_kills() > ooms:
            ending = "memory_limit"
        if by_service and (ending != "exit" or status == LOST):
            assert self.service
            self.service.stop()
        return {
            "ending": ending,
            "status": status,
            "cpu_s": cpu,
            "wall_s": time.monotonic() - watch.started,
            "over": watch.over,
        }

    def candidate(self, limits: dict[str, Any], ends: dict[str, int], ready: int) -> NoReturn:
        """In the child: read the program, become another user, drop everything of the agent's, and run it."""
        status = 0
        try:
            request = self.receive()
            if request is None:
                raise HostGoneError
            ask = request["calls"]
            if request["suite"]:
                importlib.import_module("suite")  # before the program is in reach of what that imports
            os.setsid()
            if not self.isolated:  # elsewhere the kernel does that when process 1 ends
                self.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if limits["first"]:
                self.prepare(request["files"])
            stdin = self.stdin_file(request["stdin"])
            pipes = self.service.pipes() if self.service and limits["service"] else ()
            try:
                with open("/proc/self/oom_score_adj", "w") as score:
                    score.write("1000")
            except OSError:
                pass  # not ours to set without privilege; the limit itself stays
            # Above the small numbers first, so that no source is overwritten before it is copied.
            sources = (stdin, ends["stdout"], ends["stderr"], ends["answers"], ready, *pipes)
            copies = [os.dup2(fd, 100 + target) for target, fd in enumerate(sources)]
            for target, fd in enumerate(copies):
                os.dup2(fd, target, inheritable=target < 3 or (target == ANSWERS and limits["answers_bytes"] > 0))
            ready = READY
            os.closerange(len(sources), 1 << 16)
            if self.user == "setuid":
                for fd in (1, 2, ANSWERS):  # so that /dev/stdout and the like can be opened
                    os.fchown(fd, self.uid, self.uid)
            os.chdir(self.work)
            # A harness in the background ignores these three; what a program does must not depend on that.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGQUIT, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            self.limit_resources(limits)
            self.become_user()
            self.libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            environment = {
                **{name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
                "HOME": self.work,
                "LANG": "C.UTF-8",
                "TZ": "UTC",
                "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0"),
                "OMP_NUM_THREADS": "1",
                **limits["environment"],
            }
            if pipes:
                os.close(READY)
                os._exit(Service.compile(READY + 1, READY + 2, request["argv"]))
            if ask or request["script"] or request["suite"]:
                os.environ.clear()
                os.environ.update(environment)
                time.tzset()
                sys.path[0:1] = [self.work]
                os.close(READY)
                source = request["files"][request["main"]]
            if ask:
                calls.answer(ANSWERS, source, ask["function"], ask["inputs"], ask["whole_bytes"], ask["timed"])
            elif request["script"]:
                status = script.run(source, request["main"])
            elif request["suite"]:
                sys.modules["suite"].run(ANSWERS, source, request["suite"]["tests"], request["suite"]["word"])
            else:
                argv = request["argv"]
                for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
                    signal.signal(number, signal.SIG_DFL)
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
        if self.user == "nested":  # counted within the user namespace; there may be no control group to do it
            resource.setrlimit(resource.RLIMIT_NPROC, (limits["processes"], limits["processes"]))
        hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
        stack = min(limits["stack_bytes"], self.memory)
        resource.setrlimit(resource.RLIMIT_STACK, (stack if hard == resource.RLIM_INFINITY else min(stack, hard), hard))

    def become_user(self) -> None:
        if self.user == "setuid":
            uid = self.uid
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        elif self.user == "nested":
            self.enter_nested_namespace()

    def enter_nested_namespace(self) -> None:
        """A user and process namespace below the agent's: the program cannot see or signal the agent.

        Its process 1 only waits for orphans: a program that were process 1 itself would not get its own signals.
        """
        uid, gid = os.getuid(), os.getgid()
        self.call(self.libc.unshare, CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC)
        for name, text in (("setgroups", "deny"), ("uid_map", f"1000 {uid} 1"), ("gid_map", f"1000 {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        if os.fork() == 0:
            self.wait_for_orphans()
        program = os.fork()
        if program:
            os.close(READY)
            _, status = os.waitpid(program, 0)
            if os.WIFSIGNALED(status):
                number = os.WTERMSIG(status)
                if number != signal.SIGKILL:
                    signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
        os.setsid()
        self.call(self.libc.mount, b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, None)
        self.call(self.libc.capset, struct.pack("Ii", CAPABILITY_VERSION_3, 0), bytes(24))

    def wait_for_orphans(self) -> NoReturn:
        """Process 1 of the nested namespace: its death takes everything along."""
        self.libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
        os.closerange(0, READY + 1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            signal.pause()

    @staticmethod
    def call(function: Any, *arguments: Any) -> None:
        """A C function that returns -1 and sets errno where it fails."""
        if function(*arguments) == -1:
            code = ctypes.get_errno()
            raise OSError(code, f"{function.__name__}: {os.strerror(code)}")

    def kill(self, child: int) -> None:
        """Kill everything a program started, and wait until it is gone."""
        if self.service and self.service.process:
            self.kill_others()
            return
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

    def kill_others(self) -> None:
        """Kill all processes but the warm compiler, and wait until they are gone."""
        assert self.service
        while True:
            try:
                while pid := os.waitpid(-1, os.WNOHANG)[0]:
                    if pid == self.service.process:
                        self.service.gone()
            except ChildProcessError:
                pass
            others = {int(name) for name in os.listdir("/proc") if name.isdigit()} - {1, self.service.process}
            if not others:
                return
            # As the program's user, whose processes all get it at once, faster than they can fork. Not by a fork of
            # our own: there may be no room for one.
            os.setresuid(-1, self.uid, -1)
            try:
                os.kill(-1, signal.SIGKILL)
            except ProcessLookupError:
                pass
            finally:
                os.setresuid(-1, 0, -1)
            for pid in others:  # one that has not become that user yet
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.0002)

    def wipe(self) -> bool:
        """Remove everything a program could write; False where that failed and the sandbox must not be reused."""
        if not self.isolated:
            shutil.rmtree(self.work, ignore_errors=True)
            return True
        try:
            for place in self.places:
                if self.user == "nested":  # the program's user is the agent's, and owns these places
                    os.chmod(place, 0o1777)
                for entry in os.scandir(place):
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path)
                    else:
                        os.unlink(entry.path)
        except (OSError, RecursionError):
            return False
        return True


def preload(modules: list[str]) -> None:
    """Import what a language's programs mostly import; what is not there fails where a program imports it."""
    os.environ["OMP_NUM_THREADS"] = "1"  # threads would not survive a fork
    for module in ("suite", *modules):
        try:
            importlib.import_module(module)
        except Exception:
            print(f"agent: {module} cannot be imported", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--user", choices=["setuid", "nested", "none"], required=True)
    parser.add_argument("--accounting", choices=["cgroup", "proc"], required=True)
    parser.add_argument("--memory", type=int, required=True)
    parser.add_argument("--memory-by-cgroup", action="store_true")
    parser.add_argument("--work", default=WORK)
    parser.add_argument("--service", type=json.loads)
    parser.add_argument("--preload", default="", metavar="MODULE,MODULE")
    options = parser.parse_args()
    agent = Agent(options)
    for module in PRELOAD.split():
        __import__(module)
    if options.preload:
        preload(options.preload.split(","))
        agent.wipe()
    gc.collect()
    gc.freeze()  # a fork then copies fewer pages
    agent.serve()


if __name__ == "__main__":
    main()
