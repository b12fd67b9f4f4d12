"""Sandboxes in Docker: one long-lived container each, with the agent as its process 1.

The harness talks to the agent over the engine's attach stream, so that it works wherever the engine does.
When the harness goes away, however it dies, the engine closes that stream, the agent leaves, and the container
is removed with everything in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import sys
import time
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import InfrastructureError, SandboxError
from . import images
from .base import Channel, Sandbox
from .languages import Language

# What the agent needs to become another user, to kill and to wipe; programs themselves get none of it.
CAPABILITIES = ["SETUID", "SETGID", "KILL", "CHOWN", "DAC_OVERRIDE"]
# System V IPC and message queues outlive processes; nothing of it may pass to a neighbour.
NO_IPC = {"kernel.shmmni": "0", "kernel.msgmni": "0", "kernel.sem": "0 0 0 0", "fs.mqueue.queues_max": "0"}
STDOUT, STDERR = 1, 2
INSTEAD = "start the engine or use --sandbox namespaces"


def reason(error: Exception) -> str:
    """What the engine or its client says, as one line."""
    return " ".join(str(getattr(error, "explanation", None) or error).split())[:300]


def here() -> str:
    """This machine since it was started, and this process namespace: where a process id means what it meant."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


class AttachChannel:
    """The engine's attach stream: what we write is the agent's input; its output comes in tagged chunks."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream  # kept: closing it closes the connection
        self.sock: socket.socket = getattr(stream, "_sock", stream)
        self.buffer = bytearray()
        self.words = b""  # the agent's last words on standard error

    def send(self, data: bytes) -> None:
        try:
            self.sock.settimeout(60)
            self.sock.sendall(data)
        except OSError as error:
            raise SandboxError(f"docker: the container does not take input ({error})") from None

    def receive(self, size: int, deadline: float) -> bytearray:
        while len(self.buffer) < size:
            kind, length = struct.unpack(">BxxxI", self._read(8, deadline))
            chunk = self._read(length, deadline)
            if kind == STDOUT:
                self.buffer += chunk
            elif kind == STDERR:
                self.words = (self.words + chunk)[-2000:]
        # What is left over is short: cut it off, rather than copy what may be hundreds of megabytes.
        data, self.buffer = self.buffer, self.buffer[size:]
        del data[size:]
        return data

    def _read(self, size: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < size:
            left = deadline - time.monotonic()
            try:
                if left <= 0:
                    raise TimeoutError
                self.sock.settimeout(left)
                chunk = self.sock.recv(min(size - len(data), 1 << 20))
            except TimeoutError:
                raise SandboxError("docker: the container does not answer") from None
            except OSError as error:
                raise SandboxError(f"docker: lost the container ({error})") from None
            if not chunk:
                words = self.words.decode("utf-8", "replace").strip().splitlines()
                raise SandboxError("docker: the container died" + (f" ({words[-1][:200]})" if words else ""))
            data += chunk
        return bytes(data)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        response = getattr(self.stream, "_response", None)  # the engine's client leaves it open
        for part in (self.stream, self.sock, response):
            with contextlib.suppress(OSError, ValueError):
                if part is not None:
                    part.close()


class DockerSandbox(Sandbox):
    backend = "docker"
    warm = True

    def __init__(self, language: Language, memory_bytes: int, client: Any, image: Any, runtime: str | None) -> None:
        super().__init__(language, memory_bytes)
        self.client, self.image, self.runtime = client, image, runtime
        self.container: Any = None
        self.attached: AttachChannel | None = None

    def open(self) -> Channel:
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        agent = ["--user", "setuid", "--accounting", "cgroup", "--memory-by-cgroup", "--memory", str(self.memory_bytes)]
        agent += self.preloading
        if self.warm and self.language.service:
            agent += ["--service", json.dumps(self.language.service)]
        try:
            self.container = self.client.containers.create(self.image.id, agent, **self.flags())
            params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            self.attached = AttachChannel(self.container.attach_socket(params=params))
            self.container.start()
        except (DockerException, RequestException, OSError) as error:
            raise SandboxError(f"docker: cannot start a container ({reason(error)})") from None
        return self.attached

    def flags(self) -> dict[str, Any]:
        """What a container may do: next to nothing."""
        limit = self.memory_bytes
        disk = f"size={self.language.disk_bytes},nr_inodes={self.language.disk_files}"
        return {
            "environment": {"PYTHONHASHSEED": str(self.hash_seed)},
            "labels": {"qceval": str(os.getpid()), "qceval.machine": here()},
            "stdin_open": True,  # with attach: the agent's input ends when the harness does
            "auto_remove": True,
            "init": False,
            "stop_signal": "SIGKILL",  # the agent has nothing to say goodbye to: an engine that stops need not wait
            "runtime": self.runtime,
            "network_mode": "none",
            "ipc_mode": "private",
            "read_only": True,
            "tmpfs": {
                "/tmp": f"rw,exec,nosuid,nodev,mode=1777,{disk}",  # noqa: S108
                "/dev/shm": "rw,exec,nosuid,nodev,mode=1777,size=16m,nr_inodes=1000",  # noqa: S108
            },
            "cap_drop": ["ALL"],
            "cap_add": CAPABILITIES,
            "security_opt": ["no-new-privileges"],
            "mem_limit": limit,
            "memswap_limit": limit,
            "pids_limit": self.language.processes,
            "nano_cpus": 1_000_000_000,
            "sysctls": NO_IPC,
            "mounts": self.mounts(),
            "log_config": {"Type": "none"},
            "working_dir": "/",
        }

    def mounts(self) -> list[Any]:
        from docker.types import Mount

        return [Mount(self.assets, self.folder, type="bind", read_only=True)] if self.folder else []

    def interrupt(self) -> None:
        if attached := self.attached:
            with contextlib.suppress(OSError):
                attached.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self.attached:
            self.attached.close()
            self.attached = None
        if self.container is not None:
            container, self.container = self.container, None
            with contextlib.suppress(Exception):  # already gone, or the engine is: nothing more to do
                container.remove(force=True)


class DockerBackend:
    name = "docker"

    def __init__(self, runtime: str | None = None) -> None:
        self.runtime = runtime

    @cached_property
    def client(self) -> Any:
        import docker

        return docker.from_env(timeout=60)

    def why_not(self) -> str | None:
        host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        if host.startswith("unix://"):  # asked first: the client leaves sockets open where nobody answers
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(host.removeprefix("unix://"))
                except OSError as error:
                    return f"no Docker engine answers at {host} ({error.strerror})"
        try:
            self.client.ping()
            _ = self._swept
        except Exception as error:
            return f"no Docker engine answers ({str(error).splitlines()[0][:120]})"
        return None

    @cached_property
    def _swept(self) -> bool:
        """Remove what a harness left that was killed between making a container and starting it: it has no agent."""
        filters = {"label": f"qceval.machine={here()}", "status": ["created", "exited", "dead"]}
        for found in self.client.api.containers(all=True, filters=filters) if here() else []:
            if not Path(f"/proc/{found['Labels']['qceval']}").exists():
                with contextlib.suppress(Exception):  # another harness was first
                    self.client.api.remove_container(found["Id"], force=True)
        return True

    def image(self, language: Language) -> Any:
        """Raises InfrastructureError where it cannot be built, or the engine goes away meanwhile."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        try:
            return images.build(self.client, language.image, lambda text: print(text, file=sys.stderr, flush=True))
        except (DockerException, RequestException) as error:
            raise InfrastructureError(f"docker: the engine does not answer ({reason(error)}); {INSTEAD}") from None

    def identity(self, language: Language) -> dict[str, str]:
        image = self.image(language)
        return {"backend": "docker", "image": image.id, "runtime": self.runtime or "runc"}

    def sandbox(self, language: Language, memory_bytes: int) -> Sandbox:
        if why_not := self.why_not():
            raise InfrastructureError(f"docker: {why_not}; {INSTEAD}")
        return DockerSandbox(language, memory_bytes, self.client, self.image(language), self.runtime)
