"""From an answer to the program, as LiveCodeBench finds it: by lines that hold a fence, wherever in the line it stands.

LiveCodeBench at 28fef95, lcb_runner/utils/extraction_utils.py; the older copy in QwenLM/Qwen3-Coder at 0ae30f5 takes
the first pair of fences. Where the number of such lines is odd, a pair may have prose between it: that is the rule.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

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


def predicted_value(problem: Problem, completion: Completion) -> str | None:
    """The right side of the equality that an answer asserts, or the answer where it asserts nothing.

    lcb_runner/evaluation/compute_test_output_prediction_metrics.py.
    """
    found = asserted_line(problem, completion) or ""
    if len(found.splitlines()) > 1:
        asserting = (line for line in found.splitlines() if not line.startswith("#") and "assert" in line)
        found = next(asserting, found)
    found = found.strip()
    if "assert" not in found:
        return found or None
    try:
        statement = ast.parse(found).body[0]
        test = statement.test if isinstance(statement, ast.Assert) else None
        if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq):
            return ast.get_source_segment(found, test.comparators[0])
    except (SyntaxError, ValueError, IndexError, RecursionError, MemoryError):
        pass
    return None


@dataclass(frozen=True, slots=True)
class ExecutedValue:
    """The value that an answer gives a call; ``thought``: behind a tag. lcb_runner/utils/extraction_utils.py."""

    thought: bool

    def __call__(self, problem: Problem, completion: Completion) -> str | None:
        text = completion.text
        if len(text) > MAX_CODE:
            return None
        if self.thought and "[ANSWER]" in text:
            text = text.split("[ANSWER]")[1].strip()
        if "==" in text:
            text = text.split("==")[1].strip()
        end = "[/ANSWER]" if "[/ANSWER]" in text else "\n"
        return text.split(end)[0].strip() or None


def _between(text: str, first: int, last: int) -> str | None:
    if len(text) > MAX_CODE:
        return None
    lines = text.split("\n")
    fences = [number for number, line in enumerate(lines) if FENCE in line]
    return "\n".join(lines[fences[first] + 1 : fences[last]]) or None if len(fences) >= 2 else None
