"""From completions to programs: what each named extraction takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from qwencoder_eval.extraction.programs import (
    MAX_CODE,
    as_program,
    first_fenced_program,
    last_fenced_program,
    sanitized_program,
)
from qwencoder_eval.types import Completion, Problem

PROBLEM = Problem("p/0", {"entry_point": "f"}, {}, stub="def f(x):\n")
TWO = "First:\n```python\na = 1\n```\nBetter:\n```\nb = 2\n```\n"
Extraction = Callable[[Problem, Completion], str | None]


def test_a_continuation_stands_behind_the_stub() -> None:
    assert as_program(PROBLEM, Completion("    return x\n")) == "def f(x):\n    return x\n"


def test_a_whole_program_stands_alone() -> None:
    assert as_program(PROBLEM, Completion("def f(x): return x", form="whole")) == "def f(x): return x"


def test_an_empty_continuation_is_still_a_program() -> None:
    assert as_program(PROBLEM, Completion("")) == "def f(x):\n"


def test_sanitizing_keeps_what_the_entry_point_needs() -> None:
    text = "    return g(x)\n\ndef g(x):\n    return x + 1\n\ndef unused():\n    return 2\n\nprint(f(1))\n"
    kept = sanitized_program(PROBLEM, Completion(text))
    assert kept == "def f(x):\n    return g(x)\ndef g(x):\n    return x + 1"


def test_sanitizing_chat() -> None:
    chat = "Sure!\n```python\ndef f(x):\n    return x\n```\nThis returns x, you see."
    assert sanitized_program(PROBLEM, Completion(chat, form="whole")) == "def f(x):\n    return x"


def test_fences() -> None:
    assert first_fenced_program(PROBLEM, Completion(TWO)) == "a = 1"
    assert last_fenced_program(PROBLEM, Completion(TWO)) == "b = 2"
    assert first_fenced_program(PROBLEM, Completion("no fence")) is None
    assert last_fenced_program(PROBLEM, Completion("no fence")) is None


@pytest.mark.parametrize("extract", [as_program, sanitized_program, first_fenced_program, last_fenced_program])
@pytest.mark.parametrize("form", ["continuation", "whole"])
def test_a_text_too_long_holds_no_code(extract: Extraction, form: str) -> None:
    assert extract(PROBLEM, Completion("```\n" + "x" * MAX_CODE, form=form)) is None  # type: ignore[arg-type]


def test_the_raw_text_is_not_touched() -> None:
    completion = Completion(TWO)
    for extract in (as_program, sanitized_program, first_fenced_program, last_fenced_program):
        extract(PROBLEM, completion)
    assert completion.text == TWO
