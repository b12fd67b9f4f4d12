"""What a model wrote between a prefix and a suffix: an empty middle is an answer too."""

from __future__ import annotations

from dataclasses import dataclass

from ..types import Completion, Problem
from .programs import MAX_CODE


def first_line(problem: Problem, completion: Completion) -> str:
    """The first line, or the second where the text begins with a newline or a blank and one; without blanks around it.

    Rule: QwenLM/Qwen3-Coder at 0ae30f5, qwencoder-eval/base/benchmarks/fim-bench/hm_fim/humaneval_fim.py. Lines end at
    newlines alone.
    """
    first, _, rest = completion.text.partition("\n")
    return (rest.partition("\n")[0] if first in ("", " ") and completion.text else first).strip()


@dataclass(frozen=True)
class BeforeStop:
    """Everything before the first of ``stops``, as it stands: what was recorded elsewhere may have them still.

    Rule: bigcode-project/bigcode-evaluation-harness at 8fc5bae, bigcode_eval/base.py, _stop_at_stop_token.
    """

    stops: tuple[str, ...]

    def __call__(self, problem: Problem, completion: Completion) -> str:
        text = completion.text
        return text[: min(at if (at := text.find(stop)) >= 0 else len(text) for stop in self.stops)]


def filled_in(problem: Problem, completion: Completion) -> str | None:
    """The file: ``Problem.stub``, what was written, and the field ``suffix``; nothing is cut off.

    A recorded ``solution`` is the whole file already. Rule: openai/human-eval-infilling at 88062ff,
    human_eval_infilling/execution.py.
    """
    if len(completion.text) > MAX_CODE:
        return None
    if completion.form == "whole":
        return completion.text
    return f"{problem.stub}{completion.text}{problem.fields['suffix']}"
