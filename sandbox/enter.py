"""Builds a sandbox out of Linux namespaces and becomes the agent in it. For machines without Docker.

    enter.py PLAN

PLAN is JSON: ``join`` (cgroup.procs files), ``rootless``, ``binds`` (path on the machine -> path inside, all
read-only), ``links`` (path inside -> target), ``disk`` (tmpfs options), ``agent`` (argv), ``env``.

The process joins its cgroups, leaves the machine's namespaces, and forks process 1 of the new ones, which
builds a root of read-only mounts on a tmpfs, gives up every capability the agent does not need and becomes
the agent. Everything inside ends with that process; it ends when the harness's end of its input closes.
"""

from __future__ import annotations

import ctypes
import json
import os
import stat
import sys
from typing import Any

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 1, 2, 4, 8, 32, 4096
MS_REC, MS_PRIVATE = 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
CHOWN, DAC_OVERRIDE, KILL, SETGID, SETUID = 0, 1, 5, 6, 7  # what the agent keeps, as in Docker
DEVICES = ("null", "zero", "full", "random", "urandom")
NEW_ROOT = "/tmp"  # any folder that exists; a tmpfs of our own covers it, so sources are opened before

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}


def check(what: str, result: int) -> None:
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    arguments = (source.encode(), target.encode(), kind.encode() or None, flags, options.encode() or None)
    check(f"mount {target}", libc.mount(*arguments))


def bind(source: int, target: str, writable: bool = False) -> None:
    """Show the opened file or folder ``source`` at ``target``."""
    if stat.S_ISDIR(os.fstat(source).st_mode):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        open(target, "a").close()
    mount(f"/proc/self/fd/{source}", target, flags=MS_BIND | MS_REC)
    os.close(source)
    if not writable:
        # A mount that an ordinary user inherits keeps the flags it has: name them again.
        kept = os.statvfs(target).f_flag & (MS_NOSUID | MS_NODEV | MS_NOEXEC)
        mount("none", target, flags=MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | kept)


def build_root(plan: dict[str, Any]) -> None:
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    sources = {target: os.open(source, os.O_PATH) for source, target in plan["binds"].items()}
    devices = {f"/dev/{name}": os.open(f"/dev/{name}", os.O_PATH) for name in DEVICES}
    mount("tmpfs", NEW_ROOT, "tmpfs", MS_NOSUID, "mode=755,size=16m")
    inside = lambda path: NEW_ROOT + path  # noqa: E731
    for target, source in sources.items():
        bind(source, inside(target))
    for path, target in plan["links"].items():
        os.makedirs(os.path.dirname(inside(path)), exist_ok=True)
        os.symlink(target, inside(path))
    for target, source in devices.items():
        bind(source, inside(target), writable=True)
    for name, target in {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}.items():
        os.symlink(target, inside(f"/dev/{name}"))
    for path, options in (("/tmp", plan["disk"]), ("/dev/shm", "size=16m,nr_inodes=1000")):
        os.makedirs(inside(path), exist_ok=True)
        mount("tmpfs", inside(path), "tmpfs", MS_NOSUID | MS_NODEV, f"mode=1777,{options}")
    os.makedirs(inside("/proc"), exist_ok=True)
    mount("proc", inside("/proc"), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    os.makedirs(inside("/old"), exist_ok=True)
    os.chdir(NEW_ROOT)
    number = PIVOT_ROOT[os.uname().machine]
    check("pivot_root", libc.syscall(number, b".", b"old"))
    os.chdir("/")
    check("umount /old", libc.umount2(b"/old", MNT_DETACH))
    os.rmdir("/old")
    close_ipc()
    mount("none", "/", flags=MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID)


def close_ipc() -> None:
    """System V IPC and message queues outlive processes; nothing of it may pass to a neighbour."""
    for name, text in {
        "kernel/shmmni": "0",
        "kernel/msgmni": "0",
        "kernel/sem": "0 0 0 0",
        "fs/mqueue/queues_max": "0",
    }.items():
        try:
            with open(f"/proc/sys/{name}", "w") as file:
                file.write(text)
        except OSError:
            pass  # some kernels keep these from ordinary users; SECURITY.md says so


def become_agent(plan: dict[str, Any]) -> None:
    for capability in range(64):
        if plan["rootless"] or capability not in (CHOWN, DAC_OVERRIDE, KILL, SETGID, SETUID):
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # those past the kernel's last do not exist
    check("no_new_privs", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    os.execve(plan["agent"][0], plan["agent"], plan["env"])


def main() -> None:
    plan = json.loads(sys.argv[1])
    for path in plan["join"]:
        with open(path, "w") as procs:
            procs.write("0")
    uid, gid = os.getuid(), os.getgid()
    flags = NEWNS | NEWUTS | NEWIPC | NEWPID | NEWNET
    check("unshare", libc.unshare(flags | (NEWUSER if plan["rootless"] else 0)))
    if plan["rootless"]:
        for name, text in (("setgroups", "deny"), ("uid_map", f"1000 {uid} 1"), ("gid_map", f"1000 {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    child = os.fork()
    if child == 0:
        try:
            libc.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)  # the sandbox ends with its parent, however that ends
            build_root(plan)
            become_agent(plan)
        except BaseException as error:
            print(f"enter: {error}", file=sys.stderr, flush=True)
        os._exit(71)
    os.close(0)
    os.close(1)
    _, status = os.waitpid(child, 0)
    os._exit(0 if status == 0 else 1)


if __name__ == "__main__":
    main()
