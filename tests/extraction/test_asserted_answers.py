"""What a model answers between tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.extraction.answers import AssertedAnswer
from qwencoder_eval.extraction.programs import MAX_CODE
from qwencoder_eval.types import Completion, Problem

PROBLEM = Problem("p", {}, {})


def extracted(asked: str, thought: bool, text: str) -> str | None:
    return AssertedAnswer(asked, thought)(PROBLEM, Completion(text, "whole"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("thought", "text", "expected"),
    [
        (True, "so\n[/THOUGHT]\n[ANSWER]\nassert f('a') == 'b'\n", "'b'"),
        (True, "[ANSWER] 'b' [ANSWER] 'c'", "'b'"),
        (True, "it == 3, no tag", "3, no tag"),
        (True, "[ANSWER] f(1) == 2 == 3", "2"),
        (True, "[ANSWER] 'x==y'", "y'"),
        (True, "just text", "just text"),
        (False, "assert f(1) == [1, 2]\n", "[1, 2]"),
        (False, "[ANSWER] 1", "[ANSWER] 1"),
        (False, "  7 \n", "7"),
        (True, "[ANSWER]", None),
        (False, "f(1) ==", None),
        (False, " \n ", None),
    ],
)
def test_an_output(thought: bool, text: str, expected: str | None) -> None:
    assert extracted("output", thought, text) == expected


@pytest.mark.parametrize(
    ("thought", "text", "expected"),
    [
        (True, "[ANSWER]\nassert f('a', 2) == 'b'\n", "f('a', 2)"),
        (True, "[ANSWER] f(1) == 2 == 3", "f(1)"),
        (True, "I say assert f(1) and assert f(2)", "f(1) and"),
        (True, "[ANSWER]f(16)", "f(16)"),
        (False, "assert f(x) ", "f(x)"),
        (False, "assert f", "f"),
        (False, "== 3", None),
    ],
)
def test_an_input(thought: bool, text: str, expected: str | None) -> None:
    assert extracted("input", thought, text) == expected


def test_endless_text_is_no_answer() -> None:
    assert extracted("output", True, "x" * (MAX_CODE + 1)) is None


@given(st.sampled_from(["input", "output"]), st.booleans(), st.text(alphabet="f()=[]ANSWER 1'\nast", max_size=60))
def test_what_was_extracted_stays_as_it_is(asked: str, thought: bool, text: str) -> None:
    """So that recorded answers are scored alike whether they were extracted before or not."""
    once = extracted(asked, thought, text)
    if once is not None and "assert f" not in once and "[ANSWER]" not in once:
        assert extracted(asked, thought, once) == once
