"""An append-only file of JSON lines that survives being killed at any byte."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InfrastructureError, RunError


class Journal:
    """One writer (see ``runs.directory`` for the lock). A row is written whole, with one call, unbuffered.

    ``needed`` are the keys that every row has.
    """

    def __init__(self, path: Path, needed: tuple[str, ...] = ()) -> None:
        self.path, self.needed = path, needed
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
                except (ValueError, RecursionError):
                    row = None
                if not isinstance(row, dict) or not all(key in row for key in self.needed):
                    raise RunError(f"{self.path}:{number}: damaged; remove this line and run again")
                yield row

    def append(self, row: dict[str, Any]) -> None:
        """Raises InfrastructureError where the disk does not take it; then nothing of the row stays."""
        data = memoryview(json.dumps(row).encode() + b"\n")
        written = 0
        try:
            if self._fd is None:
                self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            while written < len(data):
                written += os.write(self._fd, data[written:])
        except OSError as error:
            if written and self._fd is not None:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
            raise self._unwritable(error) from None

    def close(self) -> None:
        """Raises InfrastructureError where the disk says only now that it did not take everything."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            try:
                os.fsync(fd)
            except OSError as error:
                raise self._unwritable(error) from None
            finally:
                os.close(fd)

    def _unwritable(self, error: OSError) -> InfrastructureError:
        return InfrastructureError(f"{self.path}: cannot be written ({error.strerror}); make room and run again")
