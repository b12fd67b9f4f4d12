"""From an answer to the file that it stands in: the hole of an infilling, filled."""

from __future__ import annotations

from ..types import Completion, Problem
from .programs import MAX_CODE


def filled_file(problem: Problem, completion: Completion) -> str | None:
    """``Problem.tests`` has ``prefix`` and ``suffix``. A recorded ``solution`` is the whole file already."""
    if len(completion.text) > MAX_CODE:
        return None
    if completion.form == "whole":
        return completion.text
    return f"{problem.tests['prefix']}{completion.text}{problem.tests['suffix']}"
