"""In the candidate process: run a Python program as a script, without starting another interpreter.

A fork of the agent has the interpreter and the common modules already: 2 ms instead of 12. What a program sees is what
``python3 main.py`` shows: a fresh ``__main__``, real standard streams, its directory first on the path, exit handlers
and threads waited for at its end. Nothing here is trusted by anyone.
"""

from __future__ import annotations

import atexit
import io
import os
import sys
import threading
import traceback
import types


def run(source: str, name: str) -> int:
    """The exit status; everything that it wrote is with the kernel by then."""
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=name, __builtins__=__builtins__)
    sys.modules["__main__"] = main
    sys.argv = [name]
    sys.setrecursionlimit(1000 + depth())  # as much room as a program has that stands alone
    # Not the agent's own: what they would buffer, and how, was decided for other files.
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", closefd=False)
    err = io.FileIO(2, "w", closefd=False)
    sys.stderr = sys.__stderr__ = io.TextIOWrapper(err, "utf-8", errors="backslashreplace", write_through=True)
    status = 0
    try:
        exec(compile(source, name, "exec", dont_inherit=True), main.__dict__)
    except SystemExit as left:
        status = status_of(left.code)
    except BaseException:
        status = 1
        trace(sys.exc_info()[1])
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:
        status = status or 120  # as Python's own, where what is left cannot be written
    return status


def depth() -> int:
    """Frames between the agent's first one and the program's."""
    count, frame = 0, sys._getframe(1)
    while frame := frame.f_back:
        count += 1
    return count + 1


def status_of(code: object) -> int:
    """What ``sys.exit(code)`` means to the one who waits."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def trace(error: BaseException | None) -> None:
    """The traceback, without the frames of this file."""
    try:
        assert error
        traceback.print_exception(type(error), error, error.__traceback__ and error.__traceback__.tb_next)
    except BaseException:
        os.write(2, type(error).__name__.encode())
