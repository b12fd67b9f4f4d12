"""SAFIM's cuts: each of its rules on examples, and against a plain restatement that parses everything anew."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tree_sitter import Language, Node, Parser

from qwencoder_eval.extraction import safim
from qwencoder_eval.extraction.safim import CHARS, LINES, api_call, block_program, closing, control_program
from qwencoder_eval.types import Completion, Problem

FILES = {
    "python": ("def f(n):\n    s = 0\n    for i in range(n):\n        ", "\n    return s\n\nprint(f(3))\n"),
    "java": (
        "public class A {\n    static int f(int n) {\n        int s = 0;\n        while (n > 0) {\n            ",
        "\n        }\n        return s;\n    }\n}\n",
    ),
    "cpp": ("#include <cstdio>\nint f(int n) {\n    if (n > 0) {\n        ", "\n    }\n    return 0;\n}\n"),
    "csharp": (
        "using System;\nclass P {\n    static void Main() {\n        for (int i = 0; i < 3; i++) {\n            ",
        "\n        }\n    }\n}\n",
    ),
}
BRACES = ("java", "cpp", "csharp")


def problem(language: str, before: str | None = None, after: str | None = None) -> Problem:
    first, last = FILES[language]
    tests = {"before": first if before is None else before, "after": last if after is None else after}
    return Problem("x", {}, tests, language=language)


def block(language: str, text: str, before: str | None = None, after: str | None = None) -> str | None:
    """What is kept of the text."""
    asked = problem(language, before, after)
    whole = block_program(asked, Completion(text))
    if whole is None:
        return None
    begin, end = asked.tests["before"], asked.tests["after"]
    assert whole.startswith(begin)
    assert whole.endswith(end)
    return whole[len(begin) : len(whole) - len(end)]


# -- the rule, restated ------------------------------------------------------------------------------


def restated(language: str, before: str, after: str, text: str) -> str:
    """Drop lines from the end until the file parses and what is around the hole is as without it."""
    module = {"csharp": "c_sharp"}.get(language, language)
    parser = Parser(Language(import_module(f"tree_sitter_{module}").language()))

    def walk(node: Node, steps: list[Any]) -> int:
        steps.append(("in", node.type))
        below = [] if node.type == "ERROR" else node.children
        wrong = sum(walk(child, steps) for child in below) + (node.type == "ERROR" and node.text != b";")
        steps.append(("out", node.type))
        return wrong

    lines = text.splitlines(True)
    while lines:
        ours: list[Any] = []
        theirs: list[Any] = []
        source = before + "".join(lines) + after
        wrong = walk(parser.parse(source.encode("utf-8", "replace")).root_node, ours)
        filler = "pass" if language == "python" else ""
        assert walk(parser.parse(f"{before}{filler}{after}".encode()).root_node, theirs) == 0
        if not wrong and len(theirs) <= len(ours):
            first = 0
            while first < len(theirs) and ours[first] == theirs[first]:
                first += 1
            last = 0
            while last < len(theirs) and ours[-1 - last] == theirs[-1 - last]:
                last += 1
            if len(theirs) - first - last == (4 if language == "python" else 0):
                break
        lines.pop()
    return "".join(lines)


PIECES = [
    "s += i", "x = 1;", "x = (1 +", ")", "}", "{", "if (n) {", "if n:", "    ", "        ", "            ", "\n",
    "\n\n", ";", ";;", "return s", "return s;", "pass", "else:", "} else {", "for j in range(i):", "// note", "# note",
    "/* open", "'''", '"', "break", "break;", "n--;", "def g():", "int g() {", "class B {", "\t", "\r\n", "\x0c",
    "é", "\udc80", "\\", "case 1:", "#define X", "\u2028", "while (n > 1) n--;", "int a = n;", "print(s)",
    "foo(i)", "foo(i);",
]  # fmt: skip


@settings(max_examples=300)
@given(language=st.sampled_from(list(FILES)), text=st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_blocks_are_cut_as_restated(language: str, text: str) -> None:
    before, after = FILES[language]
    assert block(language, text) == restated(language, before, after, text)


@pytest.mark.slow
@settings(max_examples=3000)
@given(
    language=st.sampled_from(list(FILES)),
    text=st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=40).map("".join),
)
def test_longer_blocks_are_cut_as_restated(language: str, text: str) -> None:
    before, after = FILES[language]
    assert block(language, text) == restated(language, before, after, text)


# -- blocks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("s += i", "s += i"),
        ("s += i\n", "s += i\n"),
        ("pass", ""),  # nodes are counted twice where nothing differs
        ("s += i\n        s += 1\n", "s += i\n        s += 1\n"),
        ("if i:\n            s += i\n        else:\n            s -= 1\n", None),
        # Lines that are no part of the loop change what is around it.
        ("s += i\n    s += 1\n", "s += i\n"),
        ("s += i\n    return s\n\ndef g():\n    pass\n", "s += i\n"),
        ("s += i\nprint(s)\n", "s += i\n"),
        # What does not parse goes, a line at a time.
        ("s += i\n        s = (1 +\n", "s += i\n"),
        ("s += i)\n", ""),
        ("s += i\n        def\n        s += 1\n", "s += i\n"),
        ("", ""),
        ("\n\n", ""),
        ("# only a note\n", ""),
        # A semicolon too many is no error.
        ("s += i;;\n", "s += i;;\n"),
        # Lines end where Python's splitlines says.
        ("s += i\x0c        )\n", "s += i\x0c"),
        ("s += i\r\n        s += 1\r\n        ((\r\n", "s += i\r\n        s += 1\r\n"),
        ("s += i  # a\u2028((", None),
        ("s += i\n        ((\x1d\x85\u2028", "s += i\n"),
        ("s += '\ud800'\n", "s += '\ud800'\n"),
    ],
)
def test_blocks_of_python(text: str, kept: str | None) -> None:
    assert block("python", text) == (text if kept is None else kept)


@pytest.mark.parametrize("language", BRACES)
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("n--;", None),
        ("n--;\n            n--;\n", None),
        ("if (n > 2) {\n n--;\n }\n", None),
        ("if (n > 2) {\n n--;\n", ""),
        ("n--;\n}\n", "n--;\n"),
        ("n--;\n}\nreturn 1;\n", "n--;\n"),
        ("n--;\n}\n}\n}\n", "n--;\n"),
        ("n--;\nn = (n - ;\n", "n--;\n"),
        ("n--;;\n", None),
        ("", ""),
        ("  \n\t\n", ""),
        ("n--;\nfoo('\ud800');\n", None),
    ],
)
def test_blocks_in_braces(language: str, text: str, kept: str | None) -> None:
    assert block(language, text) == (text if kept is None else kept)


@pytest.mark.parametrize(("language", "kept"), [("java", "n = (n;"), ("cpp", "n = (n;"), ("csharp", "")])
def test_a_bracket_that_the_parser_makes_up_for_is_no_error(language: str, kept: str) -> None:
    assert block(language, "n = (n;") == kept


def test_a_block_that_closes_and_opens_another_keeps_the_count_but_not_the_tree() -> None:
    assert block("cpp", "n--;\n} else {\nn++;\n") == "n--;\n"


def test_an_overlap_drops_a_block_that_looks_like_what_stands_before_it() -> None:
    """Upstream's count of equal nodes counts one twice there; its holes are whole blocks, where that cannot be."""
    before, after = "class A {\n    void f() {\n        a = 1;\n        ", "\n    }\n}\n"
    assert block("java", "b = 2;", before, after) == ""
    assert block("java", "int b = 2;", before, after) == "int b = 2;"


def test_a_file_that_does_not_parse_without_its_hole() -> None:
    before, after = "int x = ", ";\nint y = 1;\n"
    assert safim.trace_around("java", before, after) is None
    assert block("java", "1\n", before, after) == "1\n"
    assert block("java", "1\n2 3\n", before, after) == "1\n"
    assert block("java", "1\n", f"class ) {before}", after) == ""


def test_a_long_answer_costs_no_more_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    parses: list[int] = []
    parsed = safim.parsed
    monkeypatch.setattr(safim, "parsed", lambda spoken, text: parses.append(len(text)) or parsed(spoken, text))
    assert block("java", "n--;\n" * 200) == "n--;\n" * 200
    assert block("java", "n--;\n" * 10_000) == "n--;\n" * LINES
    parses.clear()
    assert block("java", "((((((((((\n" * 50_000) == ""
    assert len(parses) <= LINES + 1
    assert max(parses) <= CHARS + 1000
    assert block("java", "x" * (1 << 21)) is None
    start = time.process_time()
    assert block("cpp", "(" * CHARS) == ""
    assert block("python", "[" * CHARS) == ""
    assert block("python", "x = 1; " * CHARS) == ("x = 1; " * CHARS)[:CHARS]
    assert time.process_time() - start < 20


# -- conditions --------------------------------------------------------------------------------------


def control(language: str, text: str) -> str | None:
    return control_program(problem(language, "<", ">"), Completion(text))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("n > 0", "n > 0"), ("\n  \n  n > 0:\n    x", "  n > 0:"), ("n\rm", "n"), ("n\x0cm", "n"), ("", ""),
        (" \n\t", ""), ("f(n))", "f(n))"), ("\x1c\x0bn", "n"),
    ],
)  # fmt: skip
def test_conditions_of_python(text: str, kept: str) -> None:
    assert control("python", text) == f"<{kept}>"


@pytest.mark.parametrize("language", BRACES)
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("n > 0", "n > 0"), ("n > 0) {", "n > 0"), ("f(n) && g(h(n))) { x; }", "f(n) && g(h(n))"), (")", ""), ("", ""),
        ("f(", "f("), ("a\nb) c)", "a\nb"), ("s == \")\" && x) {", "s == \""), ("\ud800)", "\ud800"),
    ],
)  # fmt: skip
def test_conditions_in_parentheses(language: str, text: str, kept: str) -> None:
    assert control(language, text) == f"<{kept}>"


# -- calls -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("f(1)", "f(1)"), ("f(g(1), 2).h(3)", "f(g(1), 2)"), ("f(1", "f(1"), ("f", "f"), ("", ""),
        ("1) + f(2)", "1)"), ("a.b(c)(d)", "a.b(c)"), ("f(\n  1,\n)\nnext()", "f(\n  1,\n)"), ("f(')')", "f(')"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("language", FILES)
def test_calls(language: str, text: str, kept: str) -> None:
    assert api_call(Problem("x", {}, {}, language=language), Completion(text)) == kept


def test_answers_without_measure_are_none() -> None:
    for language in FILES:
        assert control(language, "x" * ((1 << 20) + 1)) is None
        assert api_call(problem(language), Completion("x" * (CHARS + 1))) is None


@given(st.text(alphabet="()ab\n"))
def test_parentheses_are_counted(text: str) -> None:
    for depth in (-1, 0):
        end = closing(text, depth)
        seen = text if end is None else text[:end]
        counts = [seen[: at + 1].count("(") - seen[: at + 1].count(")") for at, x in enumerate(seen) if x == ")"]
        assert all(count > depth for count in counts)
        if end is not None:
            assert text[end] == ")"
            assert text[: end + 1].count("(") - text[: end + 1].count(")") <= depth


@given(language=st.sampled_from(list(FILES)), text=st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_what_was_cut_is_not_cut_again(language: str, text: str) -> None:
    once = block(language, text)
    assert once is not None
    assert block(language, once) == once
