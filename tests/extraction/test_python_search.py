"""The search for the longest span of lines that parses, held against the rule written plainly."""

from __future__ import annotations

import ast
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwencoder_eval.extraction import python
from qwencoder_eval.extraction.python import sanitize


def _parses(source: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(source)
        except (SyntaxError, MemoryError, ValueError, RecursionError):
            return False
    return True


def longest_parsing_span_simple(text: str) -> str:
    """The rule as it reads: every span of two lines or more, the most non-blank lines, the first such."""
    lines = text.split("\n")
    best, most = (0, 0), 0
    for i in range(len(lines)):
        for j in range(i + 1, len(lines)):
            count = sum(1 for line in lines[i : j + 1] if line.strip())
            if count > most and _parses("\n".join(lines[i : j + 1])):
                best, most = (i, j), count
    return "\n".join(lines[best[0] : best[1] + 1])


# Lines that go together in few ways, and lines whose ends, indentation or quotes are easy to get wrong.
BLANK = ["", "", "   ", "\t", "\f", "\r", "\v", "\x1c", "# c", "  # c", "# \ud800", "\xa0"]
SIMPLE = ["x", "x = 1", "y = 2\r", "x = 1; y", "x;", "...", "return x", "import a", "x: int = 3", "del x"]
HEADERS = ["def f(a):", "class A:", "try:", "except E:", "finally:", "else:", "elif x:", "if x:", "with a:"]
MORE_HEADERS = [
    "for i in x:",
    "while x:",
    "match x:",
    "async def f():",
    "@d",
    "@d  # c",
    "if x:  # c",
    "try: x",
]
INDENTED = [
    "    return 1",
    "    x = 2",
    "        y = 3",
    "    pass",
    "        z",
    "   \tw",
    "\tif x:",
    "\t\ty",
]
NESTED = [
    "    try:",
    "    except:",
    "    finally:",
    "    else:",
    "    case 1:",
    "        pass",
    "    @d",
    "    with a:",
]
BRACKETS = [
    "x = (",
    "[",
    "{",
    ")",
    "]",
    "}",
    "    )",
    "1,",
    "print(x",
    "from a import (",
    "    b,",
    "f(",
    "    x = [",
]
QUOTES = [
    '"""',
    "'''",
    "s = '''",
    "    '''",
    '    """doc',
    '"a',
    'x = "a \\',
    "rb'''",
    "f'''",
    'f"""{x}',
    'f"""{(a"""',
]
STRINGS = ['f"{a}"', 'f"{(a"', "f'{", "'\\d'", "b'é'", 'x = "a" \\', 'f\'{"""\'', "'''a'''"]
ODD = [
    "\\",
    "  \\",
    "x = 1 \\",
    "\fx = 1",
    "\f  y",
    "  \fz = 3",
    "x\rdef g():",
    "# a\rx = (",
    "'''\r",
    "$",
    "x\0",
    "?",
]
KEYWORDS = [
    "else",
    "elsewhere = 1",
    "except_ = 2",
    "else\u0301 = 1",
    "else·",
    "1 if x",
    "else 2",
    "not",
    "é = g",
    "\ufeffx",
]
PROSE = [
    "some prose here",
    "Here is the code:",
    "```",
    "```python",
    "~~~",
    "- item",
    "* a",
    "a b",
    "It's",
    "1. one",
]
KINDS = [
    BLANK,
    SIMPLE,
    HEADERS,
    MORE_HEADERS,
    INDENTED,
    NESTED,
    BRACKETS,
    QUOTES,
    STRINGS,
    ODD,
    KEYWORDS,
    PROSE,
]
ALL_LINES = [line for kind in KINDS for line in kind]


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from(ALL_LINES), min_size=1, max_size=9))
def test_search_finds_what_the_plain_search_finds(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert python.longest_parsing_span(text) == longest_parsing_span_simple(text)


BLOCK_LINES = [*BLANK[:3], *SIMPLE[:3], *HEADERS, *INDENTED[:5], *NESTED, *MORE_HEADERS[4:]]


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from(BLOCK_LINES), min_size=4, max_size=12))
def test_search_in_soups_of_blocks(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert python.longest_parsing_span(text) == longest_parsing_span_simple(text)


OPEN_LINES = [*SIMPLE[:2], *HEADERS[:1], *INDENTED[:2], *BRACKETS, *QUOTES, "x = 1 \\", "", "# c"]


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from(OPEN_LINES), min_size=4, max_size=12))
def test_search_in_soups_of_brackets_and_quotes(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert python.longest_parsing_span(text) == longest_parsing_span_simple(text)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.text(alphabet="ax1 \t\n\n\r\f\\#:=()[]'\",;@", max_size=30))
def test_search_in_soups_of_characters(text: str) -> None:
    assert python.longest_parsing_span(text) == longest_parsing_span_simple(text)


PROGRAM = '''\
Sure! Here's a parser (see below):
```python
import re
from typing import (
    List,
)

LIMIT = """
not much
"""


class Parser:
    """Parses."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self.size = len(
                text
            )
        except TypeError:
            self.size = 0
        finally:
            pass

    def lines(self) -> List[str]:
        if self.size > 3 and \\
                self.text:
            return []
        elif self.size:
            return [
                line
                for line in self.text.split("\\n")
            ]
        else:
            return [f"{LIMIT!r}"]


def f(text):
    return Parser(text).lines()
```
That's it.
'''


@pytest.mark.parametrize(
    ("text", "span"),
    [
        # Comments and blank lines behind the last whole statement of a body belong to it.
        ("def f():\n    x\n    # a\n\n    # b\n    try:\n        y\nno code", 5),
        ("def f():\n    x\n    # a\n\n    y = (\n# b", 3),
        # What ends a line, or a block, to the parser but not to ``tokenize``.
        ("def f():\n    try:\n        x\n    # a\r    except:\n        y\n    z = (\nno code", 5),
        ("def f():\n    x = [\n# a\r1]\n    y\n    z = (\nno code", 4),
        ("def f():\n    x\n  \\\n\n    y\n    z = (\nno code", 5),
        ("def f():\n    x\n\\\n    y\n    z = (\nno code", 4),
    ],
)
def test_last_whole_statement_of_a_broken_function(text: str, span: int) -> None:
    assert longest_parsing_span_simple(text).count("\n") == span - 1
    assert python.longest_parsing_span(text) == longest_parsing_span_simple(text)


@pytest.mark.parametrize("cut", range(0, len(PROGRAM), 83))
def test_search_in_a_program_cut_off_anywhere(cut: int) -> None:
    for text in (PROGRAM[:cut], PROGRAM[cut:]):
        assert python.longest_parsing_span(text) == longest_parsing_span_simple(text)


@pytest.mark.parametrize("missing", range(PROGRAM.count("\n")))
def test_search_in_a_program_with_a_line_missing(missing: int) -> None:
    lines = PROGRAM.split("\n")
    del lines[missing]
    text = "\n".join(lines)
    expected = longest_parsing_span_simple(text) if missing % 8 == 0 else None
    found = python.longest_parsing_span(text)
    assert found is not None
    assert found in text
    assert expected is None or found == expected


def test_cleaning_a_clean_answer_changes_nothing() -> None:
    code = sanitize(PROGRAM, "f")
    assert code.startswith("import re\nfrom typing import (")
    assert sanitize(code, "f") == code
