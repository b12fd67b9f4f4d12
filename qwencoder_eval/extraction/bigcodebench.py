"""From a completion to the program, as BigCodeBench finds it: EvalPlus's older sanitising rule, and "calibrating".

bigcode-project/bigcodebench at 47eff25, bigcodebench/sanitize.py; the copy in QwenLM/Qwen3-Coder at 0ae30f5,
qwencoder-eval/base/benchmarks/bigcodebench/sanitize.py, differs in what becomes of a text in which nothing is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..types import Completion, Problem
from .programs import as_program, detabbed_program
from .python import MAX_TEXT, longest_parsing_span, needed

OPENED = "```python\n    "  # a fence, and at once the body of a function: the answer goes on inside the prompt's


@dataclass(frozen=True, slots=True)
class Sanitized:
    """The program that an answer holds, and nothing that it does not need.

    ``calibrate``: an answer that goes on inside the prompt's function has the prompt put before it.
    ``empty``: what stands for a text in which no definition is found that the entry point needs: the lines that parse
    ("lines", upstream), or nothing ("nothing", Qwen's copy).
    """

    calibrate: bool = True
    empty: Literal["lines", "nothing"] = "lines"

    def __call__(self, problem: Problem, completion: Completion) -> str | None:
        # Upstream replaces a model's tabs while it generates. A program that was recorded whole has that behind it, and
        # the prompt's own tabs in it.
        whole = completion.finish_reason == "recorded" and completion.form == "whole"
        text = as_program(problem, completion) if whole else detabbed_program(problem, completion)
        if text is None or len(text) > MAX_TEXT:
            return None
        if self.calibrate:
            text = text.replace(OPENED, f"```python\n{problem.fields['complete_prompt']}    ")
        return sanitized(text, str(problem.fields["entry_point"]), self.empty == "lines") or None


def sanitized(text: str, entry_point: str, lines_stand_in: bool) -> str:
    """The lines that parse, and of them imports and what ``entry_point`` reaches; "" where there is nothing."""
    code = longest_parsing_span(text.strip())
    if code is None:
        return ""
    try:
        found = without_uses(needed(code.encode(), entry_point, returning=False), entry_point)
    except UnicodeEncodeError:
        return ""
    if lines_stand_in:
        return found.strip() or longest_parsing_span(text) or ""
    return found


def without_uses(code: str, entry_point: str) -> str:
    """Without the lines behind the last indented one, from the first that names the entry point on."""
    lines = code.splitlines()
    uses = None
    for number in range(len(lines) - 1, -1, -1):
        if lines[number].startswith(" "):
            break
        if entry_point in lines[number]:
            uses = number
    return code if uses is None else "\n".join(lines[:uses])
