"""A SQL query out of a model's answer, as Qwen's evaluation of Spider and BIRD does it.

Rules: QwenLM/Qwen3-Coder at 0ae30f5, qwencoder-eval/base/benchmarks/bird-spider/code_eval/tasks/sql_task_base.py, and
qwencoder-eval/instruct/bird-spider/code_eval/tasks/sql_task_chat_base.py and sql_task_chat_cot_base.py. A recorded
query that stands alone is taken as it is.
"""

from __future__ import annotations

from ..types import Completion, Problem
from .programs import MAX_CODE

BASE_STOPS = (";", "</s>", "<pad>", "<|endoftext|>", "Question:", "Answer:")
CHAT_STOPS = (";", "<pad>", "<|endoftext|>", "</s>", "<|im_end|>")


def whole_query(problem: Problem, completion: Completion) -> str | None:
    """An answer that is a query and nothing else."""
    return completion.text.strip() or None if len(completion.text) <= MAX_CODE else None


def continued_query(problem: Problem, completion: Completion) -> str | None:
    """What goes on behind SELECT, on one line, up to the first stop. Semicolons vanish before stops are looked for.

    None where nothing does: SELECT alone is no query.
    """
    if completion.form == "whole" or len(completion.text) > MAX_CODE:
        return whole_query(problem, completion)
    text = before(completion.text.replace("\n", " ").replace(";", "").replace("</s>", ""), BASE_STOPS)
    return problem.stub + text if text.strip() else None


def answered_query(problem: Problem, completion: Completion) -> str | None:
    """From the first SELECT of a chat model's answer; where there is none its last character is left: always wrong."""
    if completion.finish_reason == "reference" or len(completion.text) > MAX_CODE:
        return continued_query(problem, completion)
    text = on_one_line(before(completion.text, CHAT_STOPS).replace("</s>", ""))
    return text[text.find("SELECT") :] or None


def tagged_query(problem: Problem, completion: Completion) -> str | None:
    """Between the last [SQL] and what closes it, after a chat model has thought."""
    if completion.finish_reason == "reference" or len(completion.text) > MAX_CODE:
        return continued_query(problem, completion)
    text = before(completion.text, CHAT_STOPS).rsplit("[SQL]", 1)[-1].split("[/SQL]", 1)[0]
    return on_one_line(text) or None


def on_one_line(text: str) -> str:
    text = text.replace("\n", " ").replace(";", "").replace("```sql ", "")
    return text.strip().replace("```", "")


def before(text: str, stops: tuple[str, ...]) -> str:
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]
