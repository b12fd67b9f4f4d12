"""Prompts and stop strings that several benchmarks share: how EvalPlus asks, and Qwen's evaluation of it.

Sources: evalplus/evalplus at 26d6d00, evalplus/codegen.py and evalplus/provider/utility.py; QwenLM/Qwen3-Coder at
0ae30f5, qwencoder-eval/instruct/eval_plus/model.py. A problem's field ``prompt`` is what is asked.
"""

from __future__ import annotations

from .types import Chat, Continue, Message, Problem

STOP = ("<|endoftext|>", "<|endofmask|>", "</s>", "\nif __name__", "\ndef main(", "\nprint(")  # EvalPlus, always
CHAT_STOP = (*STOP, "\n```\n")
QWEN_FENCES = ("\n```\n", "```")  # Qwen's evaluation of base models adds these to a benchmark's stops
QWEN_CHAT_STOP = (*STOP, "\n#", "\n```")


def text_to_continue(problem: Problem) -> Continue:
    """The prompt without blanks around it, and a newline."""
    return Continue(problem.fields["prompt"].strip() + "\n")


def evalplus_chat(problem: Problem) -> Chat:
    """For chat models: the fence of the answer is open already."""
    asked = "Please provide a self-contained Python script that solves the following problem in a markdown code block:"
    opened = "Below is a Python script with a self-contained function that solves the problem and passes corresponding"
    question = f"{asked}\n```\n{problem.fields['prompt'].strip()}\n```\n"
    return Chat((Message("user", question), Message("assistant", f"{opened} tests:\n```python\n")))


def qwen_chat(problem: Problem) -> Chat:
    """As the Qwen2.5-Coder report asks its instruct models."""
    system = "You are an intelligent programming assistant to produce Python algorithmic solutions"
    question = "Can you complete the following Python function?\n"
    question += f"```python\n{problem.fields['prompt'].strip()}\n```\n"
    return Chat((Message("system", system), Message("user", question), Message("assistant", "```python\n")))
