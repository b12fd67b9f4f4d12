"""Lines and braces of C-like code, as Qwen's evaluation of MultiPL-E answers sees them: no lexer, no grammar.

Rule of all: QwenLM/Qwen3-Coder at 0ae30f5, ``qwencoder-eval/instruct/multipl_e/chat/evaluate.py``; of
``head_and_block`` at 287d46c, ``evaluation/multipl_e/chat/evaluate.py``. Braces in strings and comments count like any
other.
"""

from __future__ import annotations

import re

_BRACE = re.compile(r"[{}]")


def open_braces(code: str) -> int:
    """How many more braces open than close; negative where more close."""
    return code.count("{") - code.count("}")


def cut_at_brace(code: str, nth: int) -> str:
    """The lines in front of the nth line from below that holds a closing brace and nothing else.

    MultiPL-E's tests begin by closing what the prompt leaves open: an answer that closes it itself loses that here.
    Of fewer such lines the topmost counts; without any, no line is left at all.
    """
    lines = code.split("\n")
    braces = [n for n, line in enumerate(lines) if line.strip() == "}"]
    return "\n".join(lines[: braces[max(len(braces) - nth, 0)]]) if braces else ""


def without_block(code: str, marker: str) -> str:
    """All lines but those from the one with ``marker`` to the one where its braces close; all where they do not.

    A marker inside such a block begins it anew, but the braces in front of it stay counted. Where a brace too many
    closes, upstream raises; here the code stays as it is.
    """
    lines = code.split("\n")
    block = _block(lines, marker)
    return "\n".join(lines[: block.start] + lines[block.stop :])


def only_block(code: str, marker: str) -> str:
    """The lines that ``without_block`` leaves out; all where there are none."""
    lines = code.split("\n")
    block = _block(lines, marker)
    return "\n".join(lines[block.start : block.stop]) if block else code


def head_and_block(code: str, marker: str) -> str | None:
    """The includes and usings of C++ in front of a block, and the block; None where it does not close.

    The block begins with the line that holds ``marker`` and ends with the line of the first closing brace behind which
    none is open, be it a brace too many. An include within the block comes twice. Lines end as for ``str.splitlines``,
    and each gets a newline behind it.
    """
    kept: list[str] = []
    found, depth = False, 0
    for line in code.splitlines():
        if line.startswith(("#include", "using namespace")):
            kept.append(line)
        found = found or marker in line
        if not found:
            continue
        kept.append(line)
        for brace in _BRACE.findall(line):
            depth += 1 if brace == "{" else -1
            if depth <= 0:
                return "".join(f"{line}\n" for line in kept)
    return None


def _block(lines: list[str], marker: str) -> range:
    start, depth = -1, 0
    for n, line in enumerate(lines):
        if marker in line:
            start = n
        if start < 0:
            continue
        for brace in _BRACE.findall(line):
            depth += 1 if brace == "{" else -1
            if depth <= 0:
                return range(start, n + 1) if depth == 0 else range(0)
    return range(0)
