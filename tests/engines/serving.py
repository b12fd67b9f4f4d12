"""vLLM's own server, a real one on the loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

from engine_processes import wait_until

CONTEXT = 1024  # tokens
# `vllm serve`: its command asks for the version of a package vllm, which the one built for CPUs is not called.
VLLM = """
import importlib.metadata as metadata, sys, vllm
version = metadata.version
metadata.version = lambda name: f"{vllm.__version__}+cpu" if name == "vllm" else version(name)
from vllm.entrypoints.cli.main import main
sys.exit(main())
"""


class Serving:
    def __init__(self, folder: Path, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.folder, self.url = folder, f"http://127.0.0.1:{port}/v1"
        command = [
            sys.executable, "-c", VLLM, "serve", folder, "--served-model-name", "tiny", "--port", port,
            "--max-model-len", CONTEXT, "--dtype", "float32", "--enforce-eager", "--gpu-memory-utilization", "0.25",
        ]  # fmt: skip
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdout=file, stderr=file, start_new_session=True,
                env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"},
            )  # fmt: skip
        wait_until(self.answers, f"{log} says that it is ready")

    def answers(self) -> bool:
        assert self.process.poll() is None
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/models", timeout=5) as found:
            return bool(json.load(found)["data"])
        return False

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
