"""A channel to an agent that is a child process of the harness: pipes on its standard input and output."""

from __future__ import annotations

import os
import select
import subprocess
import time

from ..errors import SandboxError


class ProcessChannel:
    def __init__(self, argv: list[str], backend: str, env: dict[str, str]) -> None:
        self.backend = backend
        try:
            self.process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=env,
                bufsize=0,
            )
        except OSError as error:
            raise SandboxError(f"{backend}: cannot start {argv[0]}: {error.strerror}") from None
        assert self.process.stdin
        assert self.process.stdout
        assert self.process.stderr
        self.stdin, self.stdout = self.process.stdin.fileno(), self.process.stdout.fileno()
        self.stderr = self.process.stderr.fileno()
        self.poller = select.poll()
        self.poller.register(self.stdout, select.POLLIN)

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self.stdin, view) :]
        except OSError:
            raise SandboxError(self._death()) from None

    def receive(self, size: int, deadline: float) -> bytearray:
        data = bytearray()
        while len(data) < size:
            left = deadline - time.monotonic()
            if left <= 0 or not self.poller.poll(left * 1000):
                raise SandboxError(f"{self.backend}: the agent does not answer")
            chunk = os.read(self.stdout, min(size - len(data), 1 << 20))
            if not chunk:
                raise SandboxError(self._death())
            data += chunk
        return data

    def kill(self) -> None:
        self.process.kill()

    def close(self) -> None:
        """End the process: its input ends first, and an agent without a host leaves at once."""
        assert self.process.stdin
        self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()

    def _death(self) -> str:
        os.set_blocking(self.stderr, False)
        try:
            words = os.read(self.stderr, 4096).decode("utf-8", "replace").strip().splitlines()
        except OSError:
            words = []
        return f"{self.backend}: the agent died" + (f" ({words[-1][:200]})" if words else "")
