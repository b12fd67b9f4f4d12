"""A control group for one sandbox: memory, processes and CPU time of everything in it.

Version 1 (one hierarchy a controller) and version 2 (one for all) are both met in the field. Where neither
can be used (an ordinary user without delegation), the agent counts in /proc instead.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
LEAVING_S = 10.0  # what killed processes may take to leave their group
_serial = count()


@dataclass(frozen=True, slots=True)
class Cgroup:
    """``binds`` shows the group's own files inside the sandbox where the agent looks for them."""

    folders: tuple[Path, ...]
    binds: dict[str, str]

    @property
    def join(self) -> list[str]:
        return [str(folder / "cgroup.procs") for folder in self.folders]

    def remove(self) -> None:
        """Never raises. The last processes of a killed sandbox may still be on their way out: wait for them."""
        deadline = time.monotonic() + LEAVING_S
        for folder in self.folders:
            while _busy(folder) and time.monotonic() < deadline:
                time.sleep(0.005)


def create(memory_bytes: int, processes: int, root: Path = ROOT) -> Cgroup | None:
    """A new group with these limits, or None where this machine or user has none to give."""
    name = f"qceval-{os.getpid()}-{next(_serial)}"
    try:
        if (root / "cgroup.controllers").is_file():
            return _version_2(root, name, memory_bytes, processes)
        return _version_1(root, name, memory_bytes, processes)
    except OSError:
        return None


def _version_1(root: Path, name: str, memory_bytes: int, processes: int) -> Cgroup:
    folders, binds = [], {}
    try:
        for controller in ("memory", "pids", "cpuacct"):
            parent = _own_folder(root / controller, controller)
            _remove_stale(parent)
            folder = parent / name
            folder.mkdir()
            folders.append(folder)
            binds[str(folder)] = f"/sys/fs/cgroup/{controller}"
        (folders[0] / "memory.limit_in_bytes").write_text(str(memory_bytes))
        with contextlib.suppress(OSError):  # kernels without swap accounting do not have it
            (folders[0] / "memory.memsw.limit_in_bytes").write_text(str(memory_bytes))
        (folders[1] / "pids.max").write_text(str(processes))
    except OSError:
        Cgroup(tuple(folders), {}).remove()
        raise
    return Cgroup(tuple(folders), binds)


def _version_2(root: Path, name: str, memory_bytes: int, processes: int) -> Cgroup:
    # A group whose parent hands out the controllers: our own, if it does, else the root's.
    for parent in (_own_folder(root, ""), root):
        if {"memory", "pids"} <= set((parent / "cgroup.subtree_control").read_text().split()):
            break
    else:
        raise OSError("no parent group hands out memory and pids")
    _remove_stale(parent)
    folder = parent / name
    folder.mkdir()
    group = Cgroup((folder,), {str(folder): "/sys/fs/cgroup"})
    try:
        (folder / "memory.max").write_text(str(memory_bytes))
        with contextlib.suppress(OSError):
            (folder / "memory.swap.max").write_text("0")
        (folder / "pids.max").write_text(str(processes))
    except OSError:
        group.remove()
        raise
    return group


def _own_folder(root: Path, controller: str) -> Path:
    """The group this process is in, where it can be seen under ``root``; else ``root``."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(",") and (root / path.lstrip("/")).is_dir():
            return root / path.lstrip("/")
    return root


def _busy(folder: Path) -> bool:
    """Remove a group; whether it is still there because of a process in it."""
    try:
        folder.rmdir()
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def _remove_stale(parent: Path) -> None:
    """Remove empty groups that a harness left which is no longer there."""
    for folder in parent.glob("qceval-*-*"):
        pid = folder.name.split("-")[1]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            with contextlib.suppress(OSError):
                folder.rmdir()
