"""From a chat model's answer to the program, as DeepSeek's evaluation of contest problems finds it.

deepseek-ai/DeepSeek-Coder at 2f9fd85, Evaluation/LeetCode/evaluate_leetcode.py.
"""

from __future__ import annotations

import re

from ..types import Completion, Problem
from .programs import MAX_CODE

FENCED = re.compile(r"```python\n(.*?)\n```", re.DOTALL)
UNFENCED_END = re.compile(r"\ndef|\nclass|\nif|\n#|\nprint")
WITHIN = "\n        "  # how an answer begins that continues the body of the stub's method


def answered_program(problem: Problem, completion: Completion) -> str | None:
    """The first block that is fenced as Python; without one, all up to the first line that begins another thing.

    A block that nothing closes leaves the text as it is, fence and all, and so without a chance, as there.
    """
    text = completion.text
    if len(text) > MAX_CODE:
        return None
    if text.startswith(WITHIN):
        return f"{problem.stub.strip()}\n{text}"
    tagged = text.replace("[PYTHON]", "```python").replace("[/PYTHON]", "```")
    if "```python" not in tagged:
        return UNFENCED_END.split(tagged)[0] or None
    found = FENCED.search(tagged)
    return (found[1] if found else text) or None
