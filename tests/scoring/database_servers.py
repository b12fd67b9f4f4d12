"""PostgreSQL and MariaDB servers for tests: private, in a folder of their own, reached by a socket in it, and short of
every wait for a disk. Their packages are Debian's; see .ci/databases."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PATIENCE_S = 120.0  # what no start may take; nothing is measured with it
PASSWORD = "xyzzy-secret"
STOPS = {"postgres": signal.SIGQUIT, "mysql": signal.SIGKILL}  # at once: nothing is to be kept


def run_as(user: str) -> list[str]:
    """What goes before a command: another user for root, whom servers refuse, and an end with this process."""
    command = ["setpriv", "--pdeathsig", STOPS[user].name.removeprefix("SIG")]
    return [*command, f"--reuid={user}", f"--regid={user}", "--clear-groups"] if os.geteuid() == 0 else command


@contextlib.contextmanager
def folder_of(user: str) -> Iterator[Path]:
    """A short path, as a socket's name has a hundred characters."""
    folder = Path(tempfile.mkdtemp(prefix="qceval-db-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, user, user)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running(command: list[str], log: Path, ready: list[str], user: str) -> Iterator[None]:
    """Raises AssertionError, with the log, where the server does not come up."""
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, cwd="/")
    try:
        deadline = time.monotonic() + PATIENCE_S
        while subprocess.run(ready, capture_output=True, check=False).returncode != 0:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        yield
    finally:
        server.send_signal(STOPS[user])
        server.wait(PATIENCE_S)


def found(*names: str) -> str:
    for name in names:
        if path := shutil.which(name) or max(map(str, Path("/").glob(name.lstrip("/"))), default=None):
            return path
    pytest.skip(f"no {names[0]}: install it as .ci/databases does")


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The administrator's URL; `{}` stands for the account."""
    initdb = found("initdb", "/usr/lib/postgresql/*/bin/initdb")
    bin, user = Path(initdb).resolve().parent, run_as("postgres")
    with folder_of("postgres") as folder:
        made = [initdb, "-D", str(folder / "data"), "-A", "trust", "-U", "admin", "--no-sync", "-E", "UTF8"]
        subprocess.run([*user, *made, "--locale=C"], check=True, capture_output=True, cwd="/")
        options = ["listen_addresses=", "fsync=off", "shared_buffers=16MB", "max_connections=40", "autovacuum=off"]
        settings = [part for option in options for part in ("-c", option)]
        command = [*user, str(bin / "postgres"), "-D", str(folder / "data"), "-k", str(folder), *settings]
        ready = [str(bin / "pg_isready"), "-q", "-h", str(folder)]
        with running(command, folder / "log", ready, "postgres"):
            yield f"postgresql://{{}}:{PASSWORD}@/bird?host={folder}"


@contextlib.contextmanager
def mariadb() -> Iterator[str]:
    install, server = found("mariadb-install-db"), found("mariadbd", "/usr/sbin/mariadbd")
    user, name = run_as("mysql"), "mysql" if os.geteuid() == 0 else ""
    with folder_of("mysql") as folder:
        made = [install, "--no-defaults", f"--datadir={folder}/data", "--auth-root-authentication-method=normal"]
        made += [f"--tmpdir={folder}"]  # else servers that start at once sweep away each other's temporary tables
        made += ["--skip-test-db", "--skip-name-resolve", *([f"--user={name}"] if name else [])]
        subprocess.run(made, check=True, capture_output=True, cwd="/")
        socket = f"--socket={folder}/s"
        options = ["--skip-networking", "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M"]
        options += ["--innodb-flush-log-at-trx-commit=0", f"--pid-file={folder}/pid", f"--tmpdir={folder}"]
        command = [*user, server, "--no-defaults", f"--datadir={folder}/data", socket, *options]
        ready = [found("mariadb-admin"), "--no-defaults", "-uroot", socket, "ping"]
        with running(command, folder / "log", ready, "mysql"):
            yield f"mysql://{{}}:{PASSWORD}@/bird?unix_socket={folder}/s"
