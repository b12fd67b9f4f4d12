"""From an answer to the program, as LiveCodeBench finds it: by lines that hold a fence, wherever in the line it stands.

LiveCodeBench at 28fef95, lcb_runner/utils/extraction_utils.py; the older copy in QwenLM/Qwen3-Coder at 0ae30f5 takes
the first pair of fences. Where the number of such lines is odd, a pair may have prose between it: that is the rule.
"""

from __future__ import annotations

from ..types import Completion, Problem
from .programs import MAX_CODE

FENCE = "```"


def between_last_fences(problem: Problem, completion: Completion) -> str | None:
    """The lines between the last two lines with a fence."""
    return _between(completion.text, -2, -1)


def between_first_fences(problem: Problem, completion: Completion) -> str | None:
    """The lines between the first two lines with a fence."""
    return _between(completion.text, 0, 1)


def stripped(problem: Problem, completion: Completion) -> str | None:
    """The whole text, blanks around it aside: what a base model continues."""
    return completion.text.strip() or None if len(completion.text) <= MAX_CODE else None


def asserted_line(problem: Problem, completion: Completion) -> str | None:
    """The last line that begins with ``assert``; else the first fenced block that says it is Python, else the first."""
    lines = completion.text.split("\n") if len(completion.text) <= MAX_CODE else []
    if asserts := [line for line in lines if line.startswith("assert")]:
        return asserts[-1]
    fences = [number for number, line in enumerate(lines) if FENCE in line]
    named = [number for number in fences if any(f"{FENCE}{name}" in lines[number] for name in ("python", "Python"))]
    if named:
        fences = [number for number in fences if number >= named[0]]
    return "\n".join(lines[fences[0] + 1 : fences[1]]) or None if len(fences) >= 2 else None


def _between(text: str, first: int, last: int) -> str | None:
    if len(text) > MAX_CODE:
        return None
    lines = text.split("\n")
    fences = [number for number, line in enumerate(lines) if FENCE in line]
    return "\n".join(lines[fences[first] + 1 : fences[last]]) or None if len(fences) >= 2 else None
