"""The function that a model repeats, out of its answer: as the rest of a text, or in a message."""

from __future__ import annotations

import re
import textwrap

from ..types import Completion, Problem
from .fences import fenced

MAX_TEXT = 1 << 18  # characters of an answer that are looked at
MAX_LINES = 200  # of a function


def continued_function(problem: Problem, completion: Completion) -> str | None:
    """The stub, a ``def`` line, and what goes on with it: lines that are indented, up to the first blank one.

    A needle has no blank lines, and what stands behind it in the haystack may be indented, too. Blank lines in front
    of the first line are passed over.
    """
    lines = completion.text[:MAX_TEXT].lstrip("\r\n").splitlines()
    return problem.stub + "".join(f"{line}\n" for line in _body(lines, "", blank=False))


def answered_function(problem: Problem, completion: Completion) -> str | None:
    """The first function of the needle's name: in the first fenced block that has one, else anywhere.

    None where there is no such ``def``. With the lines that are indented under it, blank ones among them.
    """
    if completion.form == "continuation":  # a reference
        return continued_function(problem, completion)
    text = completion.text[:MAX_TEXT]
    wanted = re.compile(rf"^([ \t]*+)def[ \t]++{re.escape(problem.tests['name'])}[ \t]*+\(", re.M)
    for source in (*fenced(text), text):
        if found := wanted.search(source):
            first, *lines = source[found.start() :].splitlines()
            code = [first, *_body(lines, found[1], blank=True)]
            return textwrap.dedent("".join(f"{line}\n" for line in code))
    return None


def _body(lines: list[str], indentation: str, blank: bool) -> list[str]:
    found: list[str] = []
    for line in lines[:MAX_LINES]:
        if not line.strip() and not blank:
            break
        if line.strip() and not (line.startswith(indentation) and line[len(indentation) :][:1] in (" ", "\t")):
            break
        found.append(line)
    while found and not found[-1].strip():
        found.pop()
    return found
