"""What is taken of a middle: one line, what is before a stop, or all of it between prefix and suffix."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.benchmark import extraction_name
from qwencoder_eval.extraction.infilling import BeforeStop, filled_in, first_line
from qwencoder_eval.types import Completion, Problem

PROBLEM = Problem("p", {"suffix": "\n    return y\n"}, {"target": "y = 1"}, stub="def f():\n    ")
ANY = st.text(st.characters(codec=None) | st.sampled_from(" \n\r\t\f\0\ud800<a"), max_size=30)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("y = 1", "y = 1"),
        ("  y = 1  \n    return y", "y = 1"),
        ("\n    y = 1\n    return y", "y = 1"),
        (" \ny = 1\nz", "y = 1"),
        ("  \ny = 1", ""),  # two blanks are a line of their own
        ("\t\ny = 1", ""),
        ("\r\ny = 1", ""),  # a carriage return is neither
        ("\n\ny = 1", ""),  # the second line counts, whatever is in it
        ("\n", ""),
        (" \n", ""),
        (" ", ""),
        ("y = 1\r\nz = 2", "y = 1"),
        ("y = 1\rz = 2", "y = 1\rz = 2"),  # lines end at newlines alone
        ("y = 1\fz = 2\u2028w", "y = 1\fz = 2\u2028w"),
        ("\fy = 1\n", "y = 1"),
        ("y = (1,\n 2)", "y = (1,"),
        ("y = '\ud800'\n", "y = '\ud800'"),
        ("\0\n", "\0"),
    ],
)
def test_first_line(text: str, expected: str) -> None:
    assert first_line(PROBLEM, Completion(text)) == expected


def plain(text: str) -> str:
    """As hm_fim/humaneval_fim.py tells it."""
    lines = text.split("\n")
    second = text[:1] == "\n" or text[:2] == " \n"
    return lines[1 if second else 0].strip()


@given(ANY)
def test_first_line_is_that_of_the_plain_rule(text: str) -> None:
    found = first_line(PROBLEM, Completion(text))
    assert found == plain(text)
    assert "\n" not in found
    assert first_line(PROBLEM, Completion(f"{text}\n{text}")) == found or text in ("", " ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("y = 1\n", "y = 1\n"),
        ("y = 1<|end|>z", "y = 1"),
        ("y<|stop|>z<|end|>", "y"),  # the first in the text, not in the list
        ("<|stop|>y", ""),
        ("y<|sto", "y<|sto"),
        ("\ud800<|end|>", "\ud800"),
    ],
)
def test_before_stop(text: str, expected: str) -> None:
    assert BeforeStop(("<|end|>", "<|stop|>"))(PROBLEM, Completion(text)) == expected


@given(ANY, st.lists(st.text("<a|", min_size=1, max_size=3), min_size=1, max_size=3))
def test_no_stop_is_left(text: str, stops: list[str]) -> None:
    found = BeforeStop(tuple(stops))(PROBLEM, Completion(text))
    assert text.startswith(found)
    assert not any(stop in found for stop in stops)
    assert found == text or any(text[len(found) :].startswith(stop) for stop in stops)


@given(ANY)
def test_filled_in_cuts_nothing(text: str) -> None:
    assert filled_in(PROBLEM, Completion(text)) == f"def f():\n    {text}\n    return y\n"
    assert filled_in(PROBLEM, Completion(text, "whole")) == text


def test_names_tell_rules_apart() -> None:
    assert extraction_name(first_line) == "extraction.infilling.first_line"
    assert extraction_name(BeforeStop(("a",))) != extraction_name(BeforeStop(("b",)))


def test_a_million_characters() -> None:
    for text in ("\n" * 1_000_000, " " * 1_000_000, "<" * 1_000_000):
        assert first_line(PROBLEM, Completion(text)) in ("", text)
        assert BeforeStop(("<|end|>", "<a"))(PROBLEM, Completion(text)) == text
