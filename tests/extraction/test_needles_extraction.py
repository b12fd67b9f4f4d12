"""The function that is repeated, out of an answer: of a text that goes on, and of a message."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.extraction.needles import answered_function, continued_function
from qwencoder_eval.types import Completion, Problem

STUB = "def fold(a, b=2):\n"
BODY = "    c = a * 37\n    return c - b\n"
PROBLEM = Problem("p", {}, {"needle": STUB + BODY, "name": "fold"}, stub=STUB, reference=BODY)


@pytest.mark.parametrize(
    "text",
    [
        BODY, BODY.rstrip(), f"\n{BODY}", f"{BODY}\n    other = 1\n", f"{BODY}def g():\n    pass\n", f"{BODY}# c\n",
        BODY.replace("\n", "\r\n"), f"{BODY}x", f"{BODY}   \n    more\n",
    ],
)  # fmt: skip
def test_a_text_that_goes_on_ends_with_the_body(text: str) -> None:
    assert continued_function(PROBLEM, Completion(text)) == STUB + BODY


@pytest.mark.parametrize("text", ["", "\n\n", "return 1", "# so\n    c = 1\n"])
def test_what_is_no_body_leaves_the_stub(text: str) -> None:
    assert continued_function(PROBLEM, Completion(text)) == STUB


WHOLE = STUB + BODY


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"Here:\n```python\n{WHOLE}```\nDone.", WHOLE),
        (f"```python\n{WHOLE}", WHOLE),
        (f"```\nfold(1)\n```\n~~~py\nimport x\n\n{WHOLE}\nfold(2)\n~~~\n", WHOLE),
        (f"```\nnothing\n```\n{WHOLE}and so on", WHOLE),
        (WHOLE, WHOLE),
        ("".join(f"    {line}\n" for line in WHOLE.splitlines()), WHOLE),
        (f"```\n{WHOLE}```\n```\n{STUB}    pass\n```", WHOLE),
        (f"{STUB}\n{BODY}\n\nThat is it.", f"{STUB}\n{BODY}"),
        ("def folded(a, b=2):\n    pass\n", None),
        ("There is no such function.", None),
        ("", None),
    ],
)
def test_of_a_message_the_function_of_that_name(text: str, code: str | None) -> None:
    assert answered_function(PROBLEM, Completion(text, "whole")) == code


def test_a_reference_goes_on_with_the_stub_in_a_chat_too() -> None:
    assert answered_function(PROBLEM, Completion(BODY, "continuation", "reference")) == WHOLE


@given(st.text(alphabet=st.sampled_from("`~ \n\tdeffold(a):\0\ud800\u2028é#"), max_size=300))
def test_no_answer_raises(text: str) -> None:
    for form in ("whole", "continuation"):
        for extract in (continued_function, answered_function):
            found = extract(PROBLEM, Completion(text, form))  # type: ignore[arg-type]
            assert found is None or isinstance(found, str)


@pytest.mark.parametrize("piece", ["```\n", "def fold(\n", " ", "    x\n", "\n", "~~~\n\t", "def ", "(", "\r"])
def test_megabytes_are_no_trouble(piece: str) -> None:
    text = piece * (5_000_000 // len(piece))
    began = time.process_time()
    answered_function(PROBLEM, Completion(text, "whole"))
    continued_function(PROBLEM, Completion(text))
    assert time.process_time() - began < 2
