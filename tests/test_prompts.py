"""Shared prompts, to the letter: a newline more or less moves published scores."""

from __future__ import annotations

from qwencoder_eval.prompts import (
    CHAT_STOP,
    QWEN_CHAT_STOP,
    QWEN_FENCES,
    STOP,
    evalplus_chat,
    qwen_chat,
    text_to_continue,
)
from qwencoder_eval.types import Message, Problem

PROBLEM = Problem("p", {"prompt": '\n\ndef f(x):\n    """ Doc. """\n\n'}, {})
BARE = 'def f(x):\n    """ Doc. """'


def test_a_text_ends_with_one_newline() -> None:
    assert text_to_continue(PROBLEM).text == f"{BARE}\n"


def test_evalplus_opens_the_answer() -> None:
    question, opened = evalplus_chat(PROBLEM).messages
    assert question == Message(
        "user",
        "Please provide a self-contained Python script that solves the following problem in a markdown code block:\n"
        f"```\n{BARE}\n```\n",
    )
    assert opened == Message(
        "assistant",
        "Below is a Python script with a self-contained function that solves the problem and passes corresponding "
        "tests:\n"
        "```python\n",
    )


def test_qwen_asks_to_complete() -> None:
    system, question, opened = qwen_chat(PROBLEM).messages
    assert system.content == "You are an intelligent programming assistant to produce Python algorithmic solutions"
    assert question.content == f"Can you complete the following Python function?\n```python\n{BARE}\n```\n"
    assert (system.role, question.role, opened) == ("system", "user", Message("assistant", "```python\n"))


def test_stop_strings() -> None:
    assert STOP == ("<|endoftext|>", "<|endofmask|>", "</s>", "\nif __name__", "\ndef main(", "\nprint(")
    assert CHAT_STOP[6:] == ("\n```\n",)
    assert QWEN_CHAT_STOP[6:] == ("\n#", "\n```")
    assert QWEN_FENCES == ("\n```\n", "```")
