"""What counts of an answer within a repository, held against upstream's way: parse anew for every length."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tree_sitter import Node

from qwencoder_eval.extraction import repository_level
from qwencoder_eval.extraction.programs import MAX_CODE
from qwencoder_eval.extraction.repository_level import (
    as_answered,
    as_many_lines_as_expected,
    before_special_tokens,
    first_statement,
    function_bodies,
)
from qwencoder_eval.extraction.syntax import Continued, encoded, parser
from qwencoder_eval.types import Completion, Problem


def extracted(extract: object, answer: str, prompt: str = "", target: str = "", language: str = "python") -> str | None:
    problem = Problem("a", {}, {"target": target}, stub=prompt, language=language)
    assert callable(extract)
    found = extract(problem, Completion(answer))
    assert found is None or isinstance(found, str)
    return found


# ---------------------------------------------------------------- the simple way


def root(code: str) -> Node:
    return parser("python").parse(encoded(code)).root_node


def parses(code: str) -> bool:
    def fails(node: Node) -> bool:
        return node.type == "ERROR" or any(fails(child) for child in node.children)

    return not fails(root(code))


def bodies(code: str) -> list[str]:
    """Of all functions; fails where one has none."""
    found: list[str] = []

    def look(node: Node) -> None:
        if node.type == "function_definition":
            assert node.children[-1].type == "block"
            found.append((node.children[-1].text or b"").decode())
        for child in node.children:
            look(child)

    look(root(code))
    return found


def simple_bodies(prompt: str, answer: str, target: str) -> tuple[str, str]:
    for end in range(len(answer), -1, -1):
        if parses(prompt + answer[:end]):
            answer = answer[:end].rstrip()
            break
    else:
        return answer, target
    try:
        at = len(bodies(prompt + "pass")) - 1
        answer = bodies(prompt + answer)[at]
        target = bodies(prompt + target)[len(bodies(prompt + "pass")) - 1]
    except (AssertionError, IndexError):
        pass
    return answer, target


def simple_statement(prompt: str, answer: str) -> str:
    try:
        for end in range(len(answer)):
            if parses(prompt + answer[: end + 1]) and answer[end + 1] == "\n":
                return answer[: end + 1].rstrip()
    except IndexError:
        return answer
    return answer


PROMPTS = [
    "", "x = ", "def f(a):\n", 'def f(a):\n    """D."""\n',
    "class A:\n    def g(self):\n        return 1\n\n    def f(self):\n", "def f(a):\n    def g(b):\n",
    "@property\n", "def f(", "x = (1,\n", ")\ndef f():\n", "def f(a):\r\n\tif a:\r\n",
    "async def f():\n    with a as b:\n", "def f(): return 1\nprint(f(", "x = '''\ndef f():\n",
]  # fmt: skip
PIECES = st.sampled_from([
    "return a\n", "    ", "\n", "\t", "(", ")", "[", "]", "{", ":", "'", '"""', "=", "def g(x):\n", "pass\n", "if a:\n",
    "else:\n", "# b\n", "\\\n", "é", "lambda ", "@", "\r\n", "\x0c", "f'{a}'", "a", ".b", ", ", "\ud800", "class ",
])  # fmt: skip
ANSWERS = st.lists(PIECES, max_size=12).map("".join)


@settings(max_examples=100)
@given(st.sampled_from(PROMPTS), ANSWERS, ANSWERS)
def test_functions_as_by_every_length(prompt: str, answer: str, target: str) -> None:
    assert function_bodies(prompt, answer, target) == simple_bodies(prompt, answer, target)


@settings(max_examples=100)
@given(st.sampled_from(PROMPTS), ANSWERS)
def test_statements_as_by_every_length(prompt: str, answer: str) -> None:
    assert extracted(first_statement, answer, prompt) == simple_statement(prompt, answer)


@pytest.mark.slow
@settings(max_examples=3000)
@given(st.lists(st.sampled_from(PROMPTS), min_size=1, max_size=4).map("".join), ANSWERS, ANSWERS)
def test_both_as_by_every_length_at_length(prompt: str, answer: str, target: str) -> None:
    assert function_bodies(prompt, answer, target) == simple_bodies(prompt, answer, target)
    assert extracted(first_statement, answer, prompt) == simple_statement(prompt, answer)


# ---------------------------------------------------------------- functions


def test_where_a_step_fails() -> None:
    # Nothing parses: both as they are. The answer keeps the blanks at its end.
    assert function_bodies(")))\n", "a \n", "b \n") == ("a \n", "b \n")
    # No function anywhere: the answer is what parses, without blanks at its end, and the target as it is.
    assert function_bodies("", "a \n)", "b \n") == ("a", "b \n")
    # A body of the answer alone: the target ends in a function that is not there.
    assert function_bodies("", "def f():\n  a \n", "b \n") == ("a", "b \n")
    assert function_bodies("def f():\n", "  a \n", "  b \n") == ("a", "b")


def test_the_function_that_the_prompt_leaves_open() -> None:
    before = "def e():\n    return 0\n\n"
    assert function_bodies(f"{before}def f():\n", "    a\n\ndef g():\n    b\n", "    c\n") == ("a", "c")
    assert function_bodies(f"{before}def f():\n    def g():\n", "        a\n    b\n", "        c\n") == ("a", "c")
    inner = "    def g():\n        a\n    b"
    assert function_bodies("def f():\n", inner, "    c\n") == (inner.strip(), "c")


# ---------------------------------------------------------------- lines, statements, tokens


@pytest.mark.parametrize(
    ("answer", "target", "expected"),
    [
        ("a\nb\nc", "x\n\ny", "a\nb"),
        ("\n \t\n a\n\n\nb\n", "x\ny", " a\nb"),
        ("a\nb", "", ""),
        ("", "x", ""),
        ("a\r\nb", "x", "a\r"),
        ("a\x0bb\x0cc\u2028d\re", "x", "a\x0bb\x0cc\u2028d\re"),
        ("a<|fim_pad|>b\nc", "x\ny", "a"),
        ("a\n<|file_sep|>b<|fim_pad|>", "x\ny", "a"),
        ("a\nb<|fim_middle|>", "x\ny", "a\nb<|fim_middle|>"),
    ],
)
def test_as_many_lines_as_expected(answer: str, target: str, expected: str) -> None:
    assert extracted(as_many_lines_as_expected, answer, target=target) == expected


def test_tokens_that_end_an_answer() -> None:
    assert extracted(before_special_tokens, " a \n<|file_sep|>b") == " a \n"
    assert extracted(before_special_tokens, "<|fim_pad|>") == ""
    assert extracted(as_answered, "a<|fim_pad|>") == "a<|fim_pad|>"


@pytest.mark.parametrize("language", ["java", "csharp", "typescript"])
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("a();\nb();", "a();"), ("a {\n", "a {"), (" }\n}", " }"), (";a;", ";a;"), ("{", "{"), ("}x;", "}x;"),
        ("a", "a"), ("", ""), ("(\n(", "(\n("), ('"a;b";', '"a;'),
    ],
)  # fmt: skip
def test_statements_of_languages_with_braces(language: str, answer: str, expected: str) -> None:
    assert extracted(first_statement, answer, language=language) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("f(a)\ng(b)\n", "f(a)"),
        ("f(a) \t\ng(b)\n", "f(a)"),
        ("f(\n  a)\ng(b)", "f(\n  a)"),
        ("f(a)", "f(a)"),  # upstream looks for a newline behind the end, fails, and keeps all
        ("f(a) \n", "f(a)"),
        ("1\n+ = 2", "1"),
        ("= (\n]\n", "= (\n]\n"),
        ("'''a\nb'''\nc", "'''a\nb'''"),
        ("\r\n1", "\r\n1"),
    ],
)
def test_statements_of_python(answer: str, expected: str) -> None:
    assert extracted(first_statement, answer, "x = ") == expected


# ---------------------------------------------------------------- hostile answers


@pytest.mark.parametrize("extract", [as_answered, as_many_lines_as_expected, before_special_tokens, first_statement])
def test_what_is_too_long_is_no_answer(extract: object) -> None:
    assert extracted(extract, "a" * MAX_CODE, target="x") == "a" * MAX_CODE
    assert extracted(extract, "a" * (MAX_CODE + 1), target="x") is None


HOSTILE = [
    "(" * 300_000,
    "\n" * 300_000,
    '"""\n' * 50_000,
    "x = = ( ]\n" * 30,
    "\0" * 1000,
    "\ud800" * 1000,
    "a+" * 50_000,
]


@pytest.mark.parametrize("prompt", ["def f():\n", "def f() = (:\n)\n", "(" * 500 + ")" * 500 + "\ndef f():\n"])
def test_hostile_answers_end(prompt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository_level, "MAX_PARSED", 1 << 15)
    for answer in HOSTILE:
        found = function_bodies(prompt, answer, "    return 1\n")
        assert all(isinstance(text, str) for text in found)
        assert extracted(first_statement, answer, prompt) is not None


def test_the_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """By what is handed to the parser, whatever the answer's length."""
    parsed = itertools.count()
    tree = Continued.tree

    def counted(self: Continued, more: str) -> object:
        next(parsed)
        return tree(self, more)

    monkeypatch.setattr(repository_level, "MAX_PARSED", 10_000)
    monkeypatch.setattr(Continued, "tree", counted)
    answer = "    x = = 1\n" * 100
    assert function_bodies("def f():\n", answer, "    y\n") == (answer, "    y\n")
    assert next(parsed) <= 10_000 // 1_150 + 2
