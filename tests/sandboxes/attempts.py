"""For programs that try many things and print what they got."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Place

# ``attempt(call, *arguments)`` for programs that try many things and print what they got.
ATTEMPT = """
import ctypes, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
got = []
def attempt(call, *arguments):
    try:
        value = call(*arguments)
    except (OSError, ValueError, OverflowError) as error:
        return None
    name = getattr(call, "__name__", str(call))
    got.append(f"{name}{arguments} = {value}"[:200])
    return value
def attempt_c(name, *arguments):
    value = getattr(libc, name)(*arguments)
    if value != -1:
        got.append(f"{name}{arguments} = {value}"[:200])
    return value
"""


def tried(isolated: Place, source: str, **others: object) -> list[str]:
    """What a program with ``attempt`` succeeded at."""
    out = isolated.out(ATTEMPT + source + "\nprint(json.dumps(got))", **others)
    found: list[str] = json.loads(out.splitlines()[-1])
    return found
