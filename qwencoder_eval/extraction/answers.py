"""What a model answers between tags, as CRUXEval reads it (facebookresearch/cruxeval at 190faf1, inference/tasks/).

The rules are upstream's word by word, odd ones included: text behind a second tag or a second ``==`` is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..types import Completion, Problem
from .programs import MAX_CODE

TAG = "[ANSWER]"


@dataclass(frozen=True, slots=True)
class AssertedAnswer:
    """The side of an assertion that was asked for: of ``f(1) == 2`` the call is the input, the value the output.

    ``thought``: the model was asked to think first, and to answer behind a tag.
    """

    asked: Literal["input", "output"]
    thought: bool

    def __call__(self, problem: Problem, completion: Completion) -> str | None:
        text = completion.text
        if len(text) > MAX_CODE:
            return None
        if self.thought and TAG in text:
            text = text.split(TAG)[1].strip()
        if "==" in text:
            text = text.split("==")[1 if self.asked == "output" else 0].strip()
        if self.asked == "input" and "assert f" in text:
            text = "f" + text.split("assert f")[1].strip()
        return text.strip() or None
