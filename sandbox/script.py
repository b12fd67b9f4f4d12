"""In the candidate process: run a Python program as a script, without starting another interpreter.

A fork of the agent has the interpreter and the common modules already: 2 ms instead of 12. What a program sees is what
``python3 main.py`` shows: a fresh ``__main__``, real standard streams, its directory first on the path, exit handlers
and threads waited for at its end, and then its own objects. Nothing here is trusted by anyone.
"""

from __future__ import annotations

import atexit
import builtins
import io
import os
import sys
import threading
import traceback
import types


def run(source: str, name: str) -> int:
    """The exit status; everything that it wrote is with the kernel by then."""
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=os.path.abspath(name), __builtins__=builtins, __annotations__={})
    sys.modules["__main__"] = main
    sys.argv = [name]
    sys.setrecursionlimit(1000 + depth())  # as much room as a program has that stands alone
    # Not the agent's own: what they would buffer, and how, was decided for other files.
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, "r", closefd=False)), "utf-8",
                                                 "surrogateescape", newline="\n")  # fmt: skip
    out = sys.stdout = sys.__stdout__ = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), "utf-8",
                                                         "surrogateescape", newline="\n")  # fmt: skip
    err = io.FileIO(2, "w", closefd=False)
    sys.stderr = sys.__stderr__ = io.TextIOWrapper(err, "utf-8", "backslashreplace", write_through=True)
    sys.stdin.mode, out.mode, sys.stderr.mode = "r", "w", "w"
    status = 0
    try:
        exec(compile(source.removeprefix("\ufeff"), main.__file__, "exec", dont_inherit=True), main.__dict__)
    except SystemExit as left:
        status = status_of(left.code)
    except BaseException:
        status = 1
        trace(sys.exc_info()[1])
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
        main.__dict__.clear()  # what says goodbye does, and files that nobody closed are
        for stream in (sys.stdout, out):
            if stream is not None and not stream.closed:
                stream.flush()
    except BaseException as error:
        status = status or (0 if isinstance(error, AttributeError) else 120)  # as Python's own
    return status


def depth() -> int:
    """Frames between the agent's first one and the program's."""
    count, frame = 0, sys._getframe(1)
    while frame := frame.f_back:
        count += 1
    return count + 2


def status_of(code: object) -> int:
    """What ``sys.exit(code)`` means to the one who waits."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF if -(2**63) <= code < 2**63 else 255
    try:
        print(code, file=sys.stderr)
    except (ValueError, AttributeError):
        pass  # it is closed
    return 1


def trace(error: BaseException | None) -> None:
    """The traceback, without the frames of this file, in the way that the program chose."""
    try:
        assert error
        inner = error.__traceback__ and error.__traceback__.tb_next
        if sys.excepthook is sys.__excepthook__:
            traceback.print_exception(type(error), error, inner)
        else:
            sys.excepthook(type(error), error, inner)
    except BaseException:
        os.write(2, type(error).__name__.encode())
