"""A warm compiler beside the agent: a process of its own user that is given sources and answers with what it made.

It compiles and never runs anything; see sandbox/images/*/Compiler.java and compiler.js for the protocol. The agent
starts it when it is first needed, and anew where it gave up, was killed in the middle of a request, or has served
``REQUESTS``. The fork that stands for the compile step talks with it, as the program's user, so that no source passes
through the agent's own memory. Standard library only.
"""

from __future__ import annotations

import os
import signal
from typing import NoReturn

UID = 60999  # below those of programs: they cannot signal it, and it cannot read their files
LOST = 75  # exit status of a compile step whose service gave up: the plain compiler must say what is what
REQUESTS = 400


class Service:
    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.process = 0  # its number while it runs
        self.requests = 0
        self.to, self.of = -1, -1

    def start(self) -> None:
        """Make sure that one runs, for one request more."""
        if self.process and self.requests >= REQUESTS:
            self.stop()
        self.requests += 1
        if self.process:
            return
        self.requests = 1
        its_in, self.to = os.pipe2(os.O_CLOEXEC)
        self.of, its_out = os.pipe2(os.O_CLOEXEC)
        self.process = os.fork()
        if self.process == 0:
            self.become(its_in, its_out)
        os.close(its_in)
        os.close(its_out)

    def become(self, its_in: int, its_out: int) -> NoReturn:
        try:
            os.setsid()
            with open("/proc/self/oom_score_adj", "w") as score:
                score.write("900")  # before the agent, after the program
            os.dup2(its_in, 0)
            os.dup2(its_out, 1)
            os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
            os.closerange(3, 1 << 16)
            os.chdir("/")
            os.setgroups([])
            os.setresgid(UID, UID, UID)
            os.setresuid(UID, UID, UID)
            os.execve(self.command[0], self.command, {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": "/"})
        finally:
            os._exit(71)

    def pipes(self) -> tuple[int, int]:
        return self.to, self.of

    def stop(self) -> None:
        if self.process:
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
            self.gone()

    def gone(self) -> None:
        """It has ended and was waited for."""
        self.process = 0
        os.close(self.to)
        os.close(self.of)

    @staticmethod
    def compile(to: int, of: int, argv: list[str]) -> int:
        """In the compile step: ``argv`` is the source's name and options. Returns the exit status."""
        try:
            with open(argv[0], "rb") as source:
                text = source.read()
            request = f"{len(text)} {' '.join(argv)}\n".encode() + text
            while request:
                request = request[os.write(to, request) :]
            answers = os.fdopen(of, "rb")
            status, count = map(int, answers.readline().split())
            size, _ = answers.readline().split()
            os.write(2, answers.read(int(size)))
            for _ in range(count):
                size, name = answers.readline().decode().rstrip("\n").split(" ", 1)
                content = answers.read(int(size))
                if len(content) != int(size):
                    return LOST
                os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
                with open(name, "wb") as made:
                    made.write(content)
            return status
        except (OSError, ValueError):
            return LOST
