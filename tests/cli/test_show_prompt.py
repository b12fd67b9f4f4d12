"""`qceval show-prompt`: the exact text, before any GPU time is spent."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]
Document = Callable[..., Any]
Refused = Callable[..., str]
Plugin = Callable[..., Path]
Starter = list[dict[str, Any]]

SHOW = ("show-prompt", "--bench", "starter")


def between_rules(text: str) -> str:
    _, start, rest = text.partition("──── text to continue ────\n")
    assert start, text
    body, end, _ = rest.rpartition("──── end, after ")
    assert end, text
    return body


@pytest.mark.parametrize("number", [0, 7, 23])
def test_the_exact_text(qceval: Cli, document: Document, starter: Starter, number: int) -> None:
    problem = f"starter/{number}"
    ran = qceval(*SHOW, "--problem", problem)
    assert ran.returncode == 0
    assert ran.stdout.startswith(f"starter · profile starter · {problem}\n")
    assert between_rules(ran.stdout) == starter[number]["prompt"]
    shown = document(*SHOW, "--problem", problem)
    assert shown["problem"] == problem
    assert shown["profile"] == "starter"
    assert shown["prompt"] == {"text": starter[number]["prompt"]}
    assert shown["sampling"]["max_tokens"] == 512
    assert "\ndef " in shown["sampling"]["stop"]


def test_the_first_problem_by_default(qceval: Cli, starter: Starter) -> None:
    ran = qceval(*SHOW)
    assert "starter/0" in ran.stdout.splitlines()[0]
    assert between_rules(ran.stdout) == starter[0]["prompt"]
    assert "max_tokens 512" in ran.stdout


def test_the_end_can_be_seen(qceval: Cli, plugin: Plugin) -> None:
    folder = plugin(prompt="lambda problem: Continue('x  ')")
    ran = qceval("show-prompt", "--bench", "tiny", "--plugins", folder)
    assert "──── end, after 'x  ' ────" in ran.stdout


def test_an_unknown_problem(refused: Refused) -> None:
    said = refused(*SHOW, "--problem", "starter/24")
    assert said.startswith("--problem starter/24: ")
    assert "starter/0 to starter/23" in said


def test_an_unknown_profile(refused: Refused) -> None:
    said = refused("show-prompt", "--bench", "humaneval", "--profile", "qwem")
    assert "evalplus, evalplus-sanitized, qwen" in said


def test_escapes_are_not_passed_on(qceval: Cli, document: Document, plugin: Plugin) -> None:
    folder = plugin(prompt="lambda problem: Continue('a\\x1b[2Jb\\u202e')")
    ran = qceval("show-prompt", "--bench", "tiny", "--plugins", folder)
    assert ran.returncode == 0
    assert "\x1b" not in ran.stdout
    assert "\u202e" not in ran.stdout
    assert document("show-prompt", "--bench", "tiny", "--plugins", folder)["prompt"] == {"text": "a\x1b[2Jb\u202e"}


def test_a_chat(qceval: Cli, document: Document, plugin: Plugin) -> None:
    top = "from qwencoder_eval.types import Chat, Message"
    prompt = "lambda problem: Chat((Message('system', 'Be brief.'), Message('user', problem.stub)))"
    command = ("show-prompt", "--bench", "tiny", "--plugins", plugin(top=top, prompt=prompt))
    ran = qceval(*command)
    assert "──── system ────\nBe brief." in ran.stdout
    assert "──── user ────\ndef twice(x):\n" in ran.stdout
    messages = document(*command)["prompt"]["messages"]
    assert messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "def twice(x):\n"},
    ]


def test_humaneval(document: Document, env: dict[str, str], shared_data: Path) -> None:
    env["QCEVAL_DATA"] = str(shared_data)
    command = ("show-prompt", "--bench", "humaneval", "--problem", "HumanEval/0", "--offline")
    shown = document(*command)
    text = shown["prompt"]["text"]
    assert text.startswith("from typing import List\n\n\ndef has_close_elements(")
    assert text.endswith('"""\n')
    assert document(*command, "--profile", "qwen")["sampling"]["stop"][-1] == "```"
