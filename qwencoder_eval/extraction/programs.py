"""From a completion to the program that is scored: the named extractions that benchmarks choose among.

Each returns None where there is no code that can be run. The raw text is always kept beside it.
"""

from __future__ import annotations

from dataclasses import replace

from ..types import Completion, Problem
from .fences import first_fence, last_fence
from .python import sanitize

MAX_CODE = 1 << 20  # characters; what is longer is not a solution to a problem of a few lines


def as_program(problem: Problem, completion: Completion) -> str | None:
    """The text as it is: behind the problem's stub where it continues it, else on its own."""
    if len(completion.text) > MAX_CODE:
        return None
    return completion.text if completion.form == "whole" else problem.stub + completion.text


def detabbed_program(problem: Problem, completion: Completion) -> str | None:
    """``as_program``, with four blanks for every tab of the completion.

    EvalPlus replaces them while it generates (evalplus/provider/vllm.py at 26d6d00), and so does Qwen's evaluation.
    """
    return as_program(problem, replace(completion, text=completion.text.replace("\t", "    ")))


def sanitized_program(problem: Problem, completion: Completion) -> str | None:
    """``detabbed_program``, then EvalPlus's sanitising rule around the problem's entry point."""
    text = detabbed_program(problem, completion)
    return text and (sanitize(text, str(problem.fields["entry_point"])) or None)


def first_fenced_program(problem: Problem, completion: Completion) -> str | None:
    """The first fenced block of an answer."""
    return first_fence(completion.text) if len(completion.text) <= MAX_CODE else None


def last_fenced_program(problem: Problem, completion: Completion) -> str | None:
    """The last fenced block of an answer, which models that think aloud mean."""
    return last_fence(completion.text) if len(completion.text) <= MAX_CODE else None
