"""EvalPlus's sanitising rule: answers of evalplus 0.3.1 itself, and hostile texts.

Each row of ``sanitized.jsonl`` was run through ``evalplus.sanitize.sanitize`` of evalplus 0.3.1 under Python 3.11,
with tree-sitter 0.26.1 and tree-sitter-python 0.25.0; ``expected`` is what it answered.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from qwencoder_eval.extraction import python
from qwencoder_eval.extraction.python import MAX_LINES, MAX_TEXT, sanitize

GOLDEN = [json.loads(line) for line in (Path(__file__).parent / "sanitized.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["name"])
def test_what_evalplus_answers(golden: dict[str, Any]) -> None:
    assert sanitize(golden["text"], golden["entry_point"]) == golden["expected"]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("\x1b[31mx = 1\x1b[0m\ny = 2", "x = 1\ny = 2"),
        ("\x1b[1;31;40mx = 1\x1b[m\ny = 2", "x = 1\ny = 2"),
        ("\x1b[?25lx = 1\x1b[?25h\ny = 2", "x = 1\ny = 2"),
        ("\x1b[2Kx = 1\x1b[1G\ny = 2", "x = 1\ny = 2"),
        ("\x1b[ q\x1b[0 qx = 1\ny = 2", "x = 1\ny = 2"),
        ("\x1bMx = 1\x1b\\\ny = 2", "x = 1\ny = 2"),
        ("x = \x1b_1\ny = 2", "x = 1\ny = 2"),
        ("x = '\x1b[31m'\ny = 2", "x = ''\ny = 2"),
    ],
)
def test_ansi_escape_sequences_go(text: str, plain: str) -> None:
    assert sanitize(text) == plain


@pytest.mark.parametrize("text", ["x \x1b7", "x \x1b[", "x \x1b[12", "x \x1b", "x \x9b0m", "x \x1b[\x7fm"])
def test_what_is_no_whole_escape_sequence_stays(text: str) -> None:
    assert sanitize(text) == text


def test_escape_sequence_over_a_line_end_stays() -> None:
    assert sanitize("x = 1\ny = 2\n\x1b[\nm") == "x = 1\ny = 2"


@pytest.mark.parametrize(
    "bad",
    [
        "x = '\0'",
        "# \0",
        "\0",
        "x = '\ud800'",
        "# \udfff",
        "x = " + "(" * 1000 + ")" * 1000,
        "x = " + "(" * 100_000,
        "x = " + "-" * 100_000 + "1",
        "x = " + "1 + " * 20_000 + "1",
        "x = a" + ".b" * 20_000,
        "x = " + "not " * 20_000 + "y",
        "x = " + "lambda: " * 10_000 + "y",
        "x = " + "9" * 5000,
        "x = f'{" + "(" * 300 + "}'",
    ],
    ids=lambda bad: bad[:12].encode("ascii", "backslashreplace").decode(),
)
def test_lines_that_evalplus_raises_on_do_not_parse(bad: str) -> None:
    good = "def f():\n    return 1"
    assert sanitize(f"{bad}\n{good}\n{bad}", "f") == good
    assert sanitize(f"{good}\n{bad}", "f") == good
    assert sanitize(f"{bad}\n{good}", "f") == good


def test_first_line_that_cannot_be_encoded() -> None:
    assert sanitize("x = '\ud800'") == ""
    assert sanitize("no code \ud800\nno code!") == ""
    assert sanitize("no code!\nno code \ud800") == "no code!"


def test_deep_trees_are_walked() -> None:
    deep = "x = " + "(" * 150 + "y" + ")" * 150
    assert sanitize(f"y = 1\n{deep}\nz = 2", "x") == f"y = 1\n{deep}"
    unparsed = "x = " + "[" * 50_000 + "y" + "]" * 50_000
    assert sanitize(unparsed, "x") == unparsed


def test_text_too_long() -> None:
    code = "x = 1\ny = 2\n"
    assert sanitize(code + "#" * (MAX_TEXT - len(code))) == "x = 1\ny = 2"
    assert sanitize(code + "#" * (MAX_TEXT - len(code) + 1)) == ""
    assert sanitize("x" * (MAX_TEXT + 1)) == ""
    assert sanitize("x = 1\n" * 20_000_000) == ""


def test_too_many_lines() -> None:
    code = "x = 1\ny = 2"
    assert sanitize(code + "\n" * (MAX_LINES - 2)) == code
    assert sanitize(code + "\n" * (MAX_LINES - 1)) == ""


def test_the_budget_does_not_touch_plain_code(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "def f(x):\n    return x\n\n\n" * 500
    monkeypatch.setattr(python, "MAX_PARSED", len(text) + 500 * 2 * python._PARSE_OVERHEAD)
    assert sanitize(text, "f") == "def f(x):\n    return x"


def test_past_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "@a\n" * 120
    assert sanitize(text) == "@a"
    monkeypatch.setattr(python, "MAX_PARSED", 10_000)
    assert sanitize(text) == ""
    assert sanitize("x = 1\ny = 2") == "x = 1\ny = 2"


def _cost(text: str) -> int:
    """Characters parsed in a search, the overhead of each attempt with them."""
    search = python._Search(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.longest()
    return python.MAX_PARSED - search.left


LONG = {
    "functions": "def f(x):\n    return x + 1\n\n\n" * 500,
    "chat": "Here it is, as asked:\n```python\ndef f(x):\n    return x\n```\nIt returns.\n" * 300,
    "prose": "This is what one would say, isn't it?\n" * 2000,
    "prose in one word": "Yes\n" * 2000,
    "blank": "\n" * 2000,
    "cut off in a try": "def f():\n    try:\n" + "        x = f(1, 2)\n" * 2000,
    "cut off in a list": "x = 1\ny = [\n" + "    1, 2, 3,\n" * 2000,
    "cut off in a string": "x = 1\ny = '''\n" + "some more prose.\n" * 2000,
    "cut off in a string of code": "x = 1\ny = '''\n" + "a = 1\n" * 2000,
    "cut off in a docstring": 'def f():\n    """\n' + "    Some more prose.\n" * 2000,
    "one broken line in many": "x = 1\n" * 1000 + "x = = 1\n" + "x = 1\n" * 1000,
    "an elif chain": "if a:\n    b\n" + "elif a:\n    b\n" * 500,
    "stray elifs": "elif a:\n    b\n" * 1000,
    "quotes": "'''\n" * 2001,
    "opening brackets, each closed": "x = [\n]\n" * 1000,
    "assignments never finished": "x = (\n" * 2000,
    "headers": "def f():\n" * 2000,
    "unindented body": "def f():\nreturn 1\n" * 1000,
    "backslashes": "x = 1 + \\\n" * 1000,
}


@pytest.mark.parametrize("name", LONG)
def test_two_thousand_lines_cost_little(name: str) -> None:
    text = LONG[name]
    lines = text.count("\n")
    assert _cost(text) < 40 * len(text) + 40 * lines * python._PARSE_OVERHEAD


@pytest.mark.parametrize("line", ["@a\n", "@a  # why\n", "(\n"])
def test_what_every_line_leaves_open_costs_a_tokenizing_each(line: str) -> None:
    text = line * 150
    assert _cost(text) < 150 * (7 * len(text) + 12 * python._PARSE_OVERHEAD)


def test_nested_headers_are_passed_over() -> None:
    text = "".join(" " * n + "if x:\n" for n in range(90))
    assert _cost(text) < 8 * (len(text) + python._PARSE_OVERHEAD)


def test_two_thousand_lines_give_the_right_answer() -> None:
    functions = "\n".join(f"def f{n}(x):\n    return f{n + 1}(x)" for n in range(1000))
    assert sanitize(f"Sure!\n```\n{functions}\n```\nThat's it.", "f0") == functions
    assert sanitize(functions, "f999") == "def f999(x):\n    return f1000(x)"
    assert sanitize(LONG["one broken line in many"]) == "x = 1"
    assert sanitize(LONG["cut off in a list"]) == "x = 1"
    assert sanitize(LONG["cut off in a try"]) == "def f():"


def test_a_long_chain_of_names_is_followed_to_its_end() -> None:
    chain = "\n".join(f"x{n} = x{n + 1}" for n in range(3000))
    assert sanitize(f"{chain}\ny = 1", "x0") == chain
    assert sanitize(f"{chain}\ny = 1", "x2999") == "x2999 = x3000"


HOSTILE = {
    "brackets in one line": "(" * 200_000,
    "escape sequences without end": "\x1b[" * 4_000,
    "an escape sequence without final": "\x1b[" + "0" * 500_000,
    "lines of opening brackets": "(\n" * 150,
    "nested headers": "".join(" " * n + "if x:\n" for n in range(200)),
    "f-strings in f-strings": "x\n" + "f'{" * 1000,
    "with and brackets": "x\n" + "with (" * 100 + "\na b",
    "calls in calls": "x\n" + "f(" * 190 + "a b",
    "dictionaries in dictionaries": "x\n" + "{1:" * 190 + "a b",
    "brackets that differ": "x\n" + "[{" * 99 + "\n)",
    "lambdas in defaults": "x\n" + "lambda x=" * 150 + "a b",
    "conditions": "x\n" + "a if b else " * 5000 + "c",
    "statements in one line": "x;" * 10_000,
    "spaces": " " * 500_000 + "x\n" * 10,
    "tabs and form feeds": "\t\f" * 200_000 + "\nx",
    "carriage returns": "\r" * 200_000,
    "null bytes": "\0\n" * 5000,
    "comments": "#\n" * 10_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_end(name: str) -> None:
    code = sanitize(HOSTILE[name], "f")
    assert len(code) <= len(HOSTILE[name])


def test_same_answer_again() -> None:
    for golden in GOLDEN[:20]:
        text = golden["text"]
        assert sanitize(text, golden["entry_point"]) == sanitize(text, golden["entry_point"])


def test_warning_filters_stay_as_they_were() -> None:
    before = list(warnings.filters)
    sanitize("x = '\\d'\ny = '\\w'\nz = 1 is 1")
    assert list(warnings.filters) == before


def test_no_warning_gets_out() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sanitize("x = '\\d'\ny = '\\w'\nno code")
    assert caught == []


def test_invalid_escapes_are_no_errors_where_warnings_are() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sanitize("x = '\\d'\ny = 0x1for x in y") == "x = '\\d'\ny = 0x1for x in y"
        assert sanitize("x = '\\d'\ny = '\\w'") == "x = '\\d'\ny = '\\w'"


def test_threads_do_not_disturb_each_other() -> None:
    before = list(warnings.filters)
    answers: list[str] = []
    text = "x = '\\d'\n" * 50 + "y = '\\w'"
    threads = [threading.Thread(target=lambda: answers.append(sanitize(text, "y"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["y = '\\w'"] * 8
    assert list(warnings.filters) == before


def test_tree_sitter_is_loaded_on_first_use_only() -> None:
    program = "import sys, qwencoder_eval.extraction.python; print('tree_sitter' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
