"""Programs of contests out of answers: lines with fences as LiveCodeBench counts them, and DeepSeek's own way."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qwencoder_eval.extraction.contest import asserted_line, between_first_fences, between_last_fences, stripped
from qwencoder_eval.extraction.deepseek import answered_program
from qwencoder_eval.extraction.programs import MAX_CODE
from qwencoder_eval.types import Completion, Problem

Rule = Callable[[Problem, Completion], str | None]
STUB = "\nclass Solution:\n    def twice(self, x: int) -> int:\n        \n"
PROBLEM = Problem("p/0", {}, {}, stub=STUB)
RULES: list[Rule] = [between_last_fences, between_first_fences, stripped, asserted_line, answered_program]


def found(rule: Rule, text: str) -> str | None:
    return rule(PROBLEM, Completion(text, "whole"))


# ---------------------------------------------------------------- lines with fences

FENCED = [
    ("```python\nx = 1\n```", "x = 1", "x = 1"),
    ("So:\n```python\nx = 1\ny = 2\n```\nDone.", "x = 1\ny = 2", "x = 1\ny = 2"),
    ("```\nx = 1\n```", "x = 1", "x = 1"),
    ("````python\nx = 1\n````", "x = 1", "x = 1"),
    ("  ```python  \n  x = 1\n  ```", "  x = 1", "  x = 1"),
    ("```a\n1\n```\n```b\n2\n```", "2", "1"),
    ("```a\n1\n```\n```b\n2\n```\n```c\n3\n```", "3", "1"),
    # An odd number: the last pair is prose, or the first one is a program and the last one is not closed.
    ("```a\n1\n```\nprose\n```b\n2", "prose", "1"),
    ("```a\n1\n```\n```b\n2", None, "1"),
    ("```a\n1\n```\n2\n```", "2", "1"),
    # One fence, none, and nothing between two.
    ("```python\nx = 1", None, None),
    ("x = 1", None, None),
    ("", None, None),
    ("```\n```", None, None),
    ("``` ```", None, None),
    ("```x = 1```", None, None),
    # Wherever in the line it stands.
    ("use ```x``` here\ny\nand ```z``` there", "y", "y"),
    ("s = '```'\nx = 1\n# ```", "x = 1", "x = 1"),
    ('```python\ns = """\n```\n"""\nprint(s)\n```', '"""\nprint(s)', 's = """'),
    ("`` `\nx\n`` `", None, None),
    ("~~~\nx\n~~~", None, None),
    # Lines are cut at \n alone.
    ("```python\r\nx = 1\r\ny = 2\r\n```\r\n", "x = 1\r\ny = 2\r", "x = 1\r\ny = 2\r"),
    ("```python\rx = 1\r```", None, None),
    ("```\u2028x\u2028```", None, None),
    ("```\nx\x0c\n```", "x\x0c", "x\x0c"),
    ("```\n\n\n```", "\n", "\n"),
    ("```\n\n```", None, None),
    ("```\n \n```", " ", " "),
    ("```\n\tx\n\n```", "\tx\n", "\tx\n"),
    ("```\n\ud800\0\n```", "\ud800\0", "\ud800\0"),
]


@pytest.mark.parametrize(("text", "last", "first"), FENCED)
def test_between_lines_with_fences(text: str, last: str | None, first: str | None) -> None:
    assert found(between_last_fences, text) == last
    assert found(between_first_fences, text) == first


def restated(text: str, which: str) -> str | None:
    """The rule as one would say it: count the lines with a fence, and take what is between two of them."""
    lines, at = text.split("\n"), []
    for number, line in enumerate(lines):
        if line.find("```") >= 0:
            at.append(number)
    if len(at) < 2:
        return None
    begin, end = (at[-2], at[-1]) if which == "last" else (at[0], at[1])
    return "\n".join(line for number, line in enumerate(lines) if begin < number < end) or None


PIECES = [
    "```", "```python", "``", "`", "\n", "\n\n", "\r\n", "x = 1", " ", "[PYTHON]", "[/PYTHON]", "assert f(1) == 2",
    "\ndef f():", "\n# note", "\nprint(1)", "\nif x:", "\nclass A:", "\u2028", "é", "\ud800",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(st.characters(), max_size=5), max_size=14).map("".join)


@given(TEXTS)
@example("```\n```\n```")
@example("\n```\n\n```\n")
def test_fences_by_the_rule_itself(text: str) -> None:
    assert found(between_last_fences, text) == restated(text, "last")
    assert found(between_first_fences, text) == restated(text, "first")


@given(st.lists(st.sampled_from(["a", " b", "c\r", ""]), min_size=1, max_size=5), TEXTS, TEXTS)
def test_one_block_is_found_whatever_is_around_it(lines: list[str], before: str, after: str) -> None:
    before, after = (text.replace("`", "'") for text in (before, after))
    code = "\n".join(lines)
    text = f"{before}\n```python\n{code}\n```\n{after}"
    for rule in (between_last_fences, between_first_fences):
        assert found(rule, text) == (code or None)


def test_every_recorded_answer(recorded: Path) -> None:
    """880 answers of o1-mini, with the code that LiveCodeBench took from each."""
    path = recorded / "o1-mini" / "Scenario.codegeneration_1_0.2_eval_all.json.gz"
    rows = json.loads(gzip.decompress(path.read_bytes()))
    assert len(rows) == 880
    ours = {row["question_id"]: [found(between_last_fences, text) for text in row["output_list"]] for row in rows}
    assert ours == {row["question_id"]: [code or None for code in row["code_list"]] for row in rows}
    assert sum(code is None for codes in ours.values() for code in codes) == 6


# ---------------------------------------------------------------- base models and assertions


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("\n x = 1\n\n", "x = 1"),
        ("x = 1", "x = 1"),
        ("```\nx\n```\n", "```\nx\n```"),
        ("\u2028x\u3000", "x"),
        ("\r\nx\r\n y \r\n", "x\r\n y"),
        ("", None),
        (" \n\t", None),
    ],
)
def test_a_base_models_text_is_taken_as_it_is(text: str, code: str | None) -> None:
    assert found(stripped, text) == code


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("assert f(1) == 2", "assert f(1) == 2"),
        ("It is:\nassert f(1) == 2\nor\nassert f(1) == 3\n", "assert f(1) == 3"),
        ("```python\nassert f(1) == 2\n```\nDone.", "assert f(1) == 2"),
        ("assertion: none", "assertion: none"),
        (" assert f(1) == 2", None),
        ("So assert f(1) == 2", None),
        ("```python\n assert f(1) == 2\n```", " assert f(1) == 2"),
        ("```\n1\n```\n```python\n2\n```", "2"),
        ("```\n1\n```\n```Python3\n2\n```\n3\n```", "2"),
        ("```\n1\n```\n```PYTHON\n2\n```", "1"),
        ("```js\n1\n```\nthen\n```\n2\n```", "1"),
        ("```\n1\n```python\n2", None),
        ("```\n1\n```python\n2\n```", "2"),
        ("```python\n1", None),
        ("```\n```", None),
        ("", None),
        ("assert f(1) == 2\r\n", "assert f(1) == 2\r"),
    ],
)
def test_an_asserted_line(text: str, line: str | None) -> None:
    assert found(asserted_line, text) == line


# ---------------------------------------------------------------- DeepSeek's way

CODE = "class Solution:\n    def twice(self, x):\n        return x + x"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        # Fenced as Python: the first block that is closed.
        (f"```python\n{CODE}\n```", CODE),
        (f"So:\n\n```python\n{CODE}\n```\nIt works.\n```python\nx\n```", CODE),
        (f"[PYTHON]\n{CODE}\n[/PYTHON]", CODE),
        (f"[PYTHON]\n{CODE}\n```", CODE),
        (f"```python\n{CODE}\n[/PYTHON]", CODE),
        ("```python\n1\n```python\n2\n```", "1"),
        ("```\n1\n```\n```python\n2\n```", "2"),
        ("```python\n\n\n```", "\n"),
        ("```python\n\n```", None),
        ("see ```python\nx\n```", "x"),
        # Two that are found in one way only: the fence must end its line, and one must stand alone to close.
        ("```python3\nx = 1\n```", "```python3\nx = 1\n```"),
        ("```python \nx = 1\n```", "```python \nx = 1\n```"),
        ("```python\r\nx = 1\r\n```", "```python\r\nx = 1\r\n```"),
        ("```python\nx = '```'\n```", "x = '```'"),
        # Not closed: the text as the model wrote it, which is no program.
        (f"```python\n{CODE}\n", f"```python\n{CODE}\n"),
        (f"[PYTHON]\n{CODE}\n", f"[PYTHON]\n{CODE}\n"),
        ("```python\n```", "```python\n```"),
        # Not fenced as Python: all up to what begins another thing.
        ("x = 1\ny = 2", "x = 1\ny = 2"),
        ("x = 1\ndef f():\n    return x", "x = 1"),
        ("x = 1\nclass A: ...", "x = 1"),
        ("x = 1\nif x: ...", "x = 1"),
        ("x = 1\n# note", "x = 1"),
        ("x = 1\nprint(x)", "x = 1"),
        ("x = 1\n  # note\n  print(x)", "x = 1\n  # note\n  print(x)"),
        ("def f():\n    return 1\ndef g(): ...", "def f():\n    return 1"),
        ("class A: ...\nclassy = 1", "class A: ..."),
        ("x\ndefault = 1", "x"),
        ("\ndef f(): ...", None),
        ("", None),
        ("```\nx = 1\n```", "```\nx = 1\n```"),
        ("```py\nx = 1\nprint(x)\n```", "```py\nx = 1"),
        # Eight blanks: what continues the method of the stub.
        ("\n        return 2 * x\n", f"{STUB.strip()}\n\n        return 2 * x\n"),
        ("\n        x\n```python\ny\n```", f"{STUB.strip()}\n\n        x\n```python\ny\n```"),
        ("\n         return 1", f"{STUB.strip()}\n\n         return 1"),
        ("\n       return 1", "\n       return 1"),
        ("        return 1", "        return 1"),
        ("\n\n        return 1", "\n\n        return 1"),
        ("\n\treturn 1", "\n\treturn 1"),
    ],
)
def test_deepseeks_answers(text: str, code: str | None) -> None:
    assert found(answered_program, text) == code


def deepseek(text: str, stub: str) -> str:
    """The published evaluation's own steps, put in our words: what fails on the way leaves the text as it is."""

    def fenced(answer: str) -> str:
        answer = answer.replace("[PYTHON]", "```python").replace("[/PYTHON]", "```")
        if "```python" in answer:
            return str(re.findall(r"(?s)```python\n(.*?)\n```", answer)[0])
        return re.split(r"\ndef|\nclass|\nif|\n#|\nprint", answer)[0]

    try:
        if text.startswith("\n" + 8 * " "):
            return stub.strip() + "\n" + text
        return fenced(text)
    except IndexError:
        return text


@given(TEXTS)
@example("\n        x")
@example("```python\n```python\nx\n```")
@example("[PYTHON]\nx\n[/PYTHON]")
def test_deepseeks_rule_by_the_rule_itself(text: str) -> None:
    assert found(answered_program, text) == (deepseek(text, STUB) or None)


# ---------------------------------------------------------------- all of them


@pytest.mark.parametrize("rule", RULES)
def test_what_is_too_long_for_a_program_is_none(rule: Rule) -> None:
    around = len("```python\n\n```")
    fits = f"```python\n{'x' * (MAX_CODE - around)}\n```"
    assert len(fits) == MAX_CODE
    assert found(rule, fits) is not None
    assert found(rule, fits + "\n") is None
    assert found(rule, "\n        " + "x" * MAX_CODE) is None
    assert found(rule, "assert x\n" * (MAX_CODE // 8)) is None


@pytest.mark.parametrize("rule", RULES)
@given(text=TEXTS, form=st.sampled_from(["continuation", "whole"]))
def test_no_text_breaks_a_rule_and_none_gives_an_empty_program(rule: Rule, text: str, form: str) -> None:
    completion = Completion(text, "whole" if form == "whole" else "continuation")
    code = rule(PROBLEM, completion)
    assert code is None or code
    assert rule(PROBLEM, completion) == code
    if rule is not answered_program:
        assert code is None or code in text


@pytest.mark.parametrize("rule", RULES)
def test_many_fences_take_no_longer_than_their_length(rule: Rule) -> None:
    """A model that repeats itself to its last token."""
    for piece in ("```python\n", "```\n", "[PYTHON]\n", "[/PYTHON]", "assert\n", "\n", "\n#", "```python\nx\n``"):
        found(rule, piece * (MAX_CODE // len(piece)))
