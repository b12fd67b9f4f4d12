"""An append-only file of JSON lines that survives being killed at any byte."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InfrastructureError, RunError


class Journal:
    """One writer (see ``runs.directory`` for the lock). A row is written whole, with one call, unbuffered."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def repair(self) -> None:
        """Cut off a torn last line."""
        if not self.path.exists():
            return
        with self.path.open("r+b") as file:
            end = file.seek(0, os.SEEK_END)
            keep, block = end, 1 << 16
            while keep > 0:  # back to the last newline
                start = max(0, keep - block)
                file.seek(start)
                chunk = file.read(keep - start)
                if (at := chunk.rfind(b"\n")) >= 0:
                    keep = start + at + 1
                    break
                keep = start
            if keep < end:
                file.truncate(keep)

    def rows(self) -> Iterator[dict[str, Any]]:
        """All rows, one at a time. Raises RunError with file and line where one is damaged."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    row = json.loads(line)
                except ValueError:
                    raise RunError(f"{self.path}:{number}: damaged; remove this line and run again") from None
                yield row

    def append(self, row: dict[str, Any]) -> None:
        """Raises InfrastructureError where the disk does not take it."""
        data = memoryview(json.dumps(row).encode() + b"\n")
        try:
            if self._fd is None:
                self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            raise InfrastructureError(
                f"{self.path}: cannot be written ({error.strerror}); make room and run again"
            ) from None

    def close(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.fsync(fd)
            os.close(fd)
