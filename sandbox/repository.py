"""In the sandbox: unpack a repository, run its ``evaluate_repo.py``, and say on descriptor 3 how that ended.

The program that a sandbox is given for ExecRepoBench (see scoring/repositories.py); standard library only. On
standard input comes one JSON object: ``repository`` (its name), ``packed`` (base64 of a compressed tar of its files),
``path`` and ``text`` of the file with the answer in it, and ``nonce``.

Two processes. This one never loads a line of the repository and cannot be looked into by its children: it holds the
nonce, and writes it where everything is as it should be, else a JSON object with the reason. Its child is
``python evaluate_repo.py``: there the tests and the answer run together, and a status of 0 alone proves nothing. So the
child also has to send a token, which it does behind the last line of evaluate_repo.py, or where that leaves with status
0 by itself; afterwards every Python file that the repository came with must be what it was.

Rule: QwenLM/Qwen3-Coder at 0ae30f5, qwencoder-eval/base/benchmarks/ExecRepoBench/eval.py, ``evaluate_correctness``.
"""

from __future__ import annotations

import base64
import builtins
import ctypes
import hashlib
import importlib
import importlib.machinery
import io
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tarfile
import types
import warnings
import zlib
from collections.abc import Callable
from typing import Any

EVALUATE = "evaluate_repo.py"
PACKAGES = ".site-packages"  # of a repository: what its tests import beside what the image has
REPORTS = 3
PR_SET_DUMPABLE = 4
# What evaluate_repo.py and the tests stand on, where it imports that: no function of it may be another one at the end.
STANDS_ON = {
    "subprocess": (),
    "unittest": ("case", "loader", "main", "result", "runner", "suite"),
    "_pytest": ("config", "main", "outcomes", "python", "reports", "runner", "unittest"),
}


def main() -> int:
    """The driver. Its exit status, or the signal that ends it, is the child's."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # no other process of this user can read its memory
    asked = json.load(sys.stdin.buffer)
    sys.stdin.close()
    nonce, path = asked["nonce"], asked["path"]
    repository = os.path.abspath(os.path.join("repos", asked["repository"]))
    unpack(asked["packed"], repository)
    text = asked["text"].encode("utf-8", "surrogatepass")
    with open(os.path.join(repository, path), "wb") as file:
        file.write(text)
    del asked
    before = {name: digest for name, digest in python_files(repository) if name != os.path.join(repository, path)}
    status, reached = run(repository, path)
    if status == 0 and reached:
        changed = next((name for name, digest in before.items() if digest_of(name) != digest), None)
        if changed is None:
            os.write(REPORTS, nonce.encode())
            return 0
        why = f"{os.path.relpath(changed, repository)} was changed or removed"
    else:
        why = "left before the end of evaluate_repo.py" if status == 0 else ""
    report = {"why": why[:500], "parses": not path.endswith(".py") or parses(text)}
    os.write(REPORTS, json.dumps(report).encode())
    if status < 0:
        signal.signal(-status, signal.SIG_DFL) if -status not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -status)
    return status


def unpack(packed: str, repository: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(zlib.decompress(base64.b64decode(packed)))) as tar:
        tar.extractall(repository)
    if os.path.isdir(os.path.join(repository, PACKAGES)):
        os.rename(os.path.join(repository, PACKAGES), "packages")


def run(repository: str, path: str) -> tuple[int, bool]:
    """The child's status (negative: a signal), and whether it came to the end of evaluate_repo.py."""
    token = secrets.token_hex(16).encode()
    given, give = os.pipe()
    ended, end = os.pipe()
    os.write(give, token)
    os.close(give)
    folders = [repository, os.path.join(repository, "src"), os.path.abspath("packages")]
    known = [*(each for each in folders if os.path.isdir(each)), os.environ.get("PYTHONPATH", "")]
    child = subprocess.Popen(
        [sys.executable, os.path.abspath(__file__), str(given), str(end), os.path.join(repository, path)],
        cwd=repository, stdin=subprocess.DEVNULL, pass_fds=(given, end),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, known))},
    )  # fmt: skip
    os.close(given)
    os.close(end)
    status = child.wait()
    os.set_blocking(ended, False)
    try:
        return status, os.read(ended, 2 * len(token)) == token
    except BlockingIOError:  # a process that it left behind has the other end
        return status, False


def python_files(folder: str) -> list[tuple[str, str]]:
    names = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if name.endswith(".py")]
    return [(name, digest_of(name)) for name in sorted(names)]


def digest_of(path: str) -> str:
    """Of a regular file; empty where it is none. What a program put there must neither block nor never end."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return hashlib.sha256(file.read(os.fstat(file.fileno()).st_size)).hexdigest()
    except OSError:
        return ""


def parses(text: bytes) -> bool:
    warnings.simplefilter("ignore")
    try:
        compile(text, "<answer>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return False
    return True


def evaluate(given: int, end: int, hole: str) -> None:
    """The child: be ``python evaluate_repo.py``, and send the token from its end."""
    token = os.read(given, 100)
    os.close(given)
    os.set_inheritable(end, False)
    folder = os.getcwd()
    path = os.path.join(folder, EVALUATE)
    with open(path, "rb") as file:
        source = file.read()
    main = types.ModuleType("__main__")
    loader = importlib.machinery.SourceFileLoader("__main__", path)
    main.__dict__.update(__file__=path, __loader__=loader, __cached__=None)
    sys.argv[:], sys.path[0] = [EVALUATE], folder
    write, same = os.write, noted(source)
    kept, sys.modules["__main__"] = sys.modules["__main__"], main  # kept: this code belongs to it
    code = compile(source, path, "exec", dont_inherit=True)
    try:
        exec(code, main.__dict__)
    except SystemExit as left:
        good = left.code is None or (isinstance(left.code, int) and int(left.code) == 0)
        if good and not of_answer(sys.exc_info()[2], folder, hole) and same():
            write(end, token)
        raise
    if kept and same():
        write(end, token)


def of_answer(trace: types.TracebackType | None, folder: str, hole: str) -> bool:
    """Whether an exit went through code of the answer, or through code of no file."""
    while trace:
        name = trace.tb_frame.f_code.co_filename
        if os.path.realpath(os.path.join(folder, name)) == os.path.realpath(hole):
            return True
        if name.startswith("<") and not name.startswith("<frozen "):
            return True
        trace = trace.tb_next
    return False


def noted(source: bytes) -> Callable[[], bool]:
    """Notes the functions that tests stand on; what it returns says, and prints, whether they are still the same."""
    imported = [line.decode() for line in re.findall(rb"(?m)^\s*(?:import|from)\s([\w\s.,]+)", source)]
    wanted = {name for line in imported for name in re.findall(r"\b(?:unittest|pytest|subprocess)\b", line)}
    names = sorted(wanted | ({"unittest", "_pytest"} if "pytest" in wanted else set()))
    try:
        modules = [importlib.import_module(name) for name in names]
        modules += [importlib.import_module(f"{name}.{each}") for name in names for each in STANDS_ON.get(name, ())]
    except ImportError:
        modules = []
    owners: list[Any] = [*modules]
    for module in modules:
        owners += [each for each in vars(module).values() if isinstance(each, type) and each.__module__ in sys.modules
                   and each.__module__.startswith(("unittest", "_pytest"))]  # fmt: skip
    owners.append(builtins)
    kept: list[Any] = [(owner, name, value, code_of(value)) for owner in owners for name, value in vars(owner).items()
            if code_of(value) or isinstance(value, type) or (owner is builtins and name != "_")]  # fmt: skip
    kept += [(sys, "exit", sys.exit, None), (os, "system", os.system, None)]
    named = [(module.__name__, module) for module in modules]
    now_in, code, loaded = vars, code_of, sys.modules

    def same() -> bool:
        if replaced := [name for name, module in named if loaded.get(name) is not module]:
            print(f"{replaced[0]} was replaced", file=sys.__stderr__)
            return False
        for owner, name, value, its_code in kept:
            now = now_in(owner).get(name)
            if now is not value or code(now) is not its_code:
                print(f"{owner.__name__}.{name} was replaced", file=sys.__stderr__)
                return False
        return True

    return same


def code_of(value: Any) -> Any:
    return getattr(getattr(value, "__func__", value), "__code__", None)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        evaluate(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    else:
        sys.exit(main())
