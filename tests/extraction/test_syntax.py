"""Parsers, errors in trees, and trees of texts that go on."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tree_sitter import Node, Parser

from qwencoder_eval.extraction.syntax import GRAMMARS, Continued, encoded, errors, has_error, nodes, parser

RIGHT = {
    "python": "def f(x):\n    return x\n",
    "java": "class A { int f(int x) { return x; } }",
    "csharp": "class A { int F(int x) { return x; } }",
    "cpp": "int f(int x) { return x; }",
    "typescript": "function f(x: number): number { return x }",
}


def root(text: str, language: str = "python") -> Node:
    return parser(language).parse(encoded(text)).root_node


def below(node: Node) -> list[Node]:
    """By recursion."""
    return [node, *(one for child in node.children for one in below(child))]


@pytest.mark.parametrize("language", GRAMMARS)
def test_every_language(language: str) -> None:
    assert not has_error(root(RIGHT[language], language))
    assert errors(root(RIGHT[language], language)) == 0
    wrong = root(RIGHT[language].replace("return", "= ] ="), language)
    assert has_error(wrong)
    assert errors(wrong) >= 1


def test_a_language_without_a_grammar() -> None:
    with pytest.raises(KeyError):
        parser("cobol")


def test_parsers_are_kept_for_each_thread() -> None:
    assert parser("java") is parser("java")
    others: list[Parser] = []
    thread = threading.Thread(target=lambda: others.append(parser("java")))
    thread.start()
    thread.join()
    assert others[0] is not parser("java")


def test_what_is_missing_is_no_error() -> None:
    missing = root("def f(:\n    pass\n")
    assert missing.has_error
    assert (errors(missing), has_error(missing)) == (0, False)


CODE = st.text("def f(x):\n []{}'\"=+#\\\t\r\x0cé", max_size=60)


@given(CODE)
def test_nodes_and_errors_are_those_that_recursion_finds(text: str) -> None:
    tree = root(text)
    expected = below(tree)
    assert [node.id for node in nodes(tree)] == [node.id for node in expected]
    count = sum(node.type == "ERROR" for node in expected)
    assert (errors(tree), has_error(tree)) == (count, count > 0)


def test_depth_and_length_do_not_matter() -> None:
    assert errors(root("(" * 20_000 + ")" * 20_000)) == 0
    assert errors(root("(" * 50_000)) >= 1
    assert errors(root("{" * 50_000, "java")) >= 0
    assert errors(root("x = ( = ]\n" * 500)) >= 250


def test_lone_surrogates() -> None:
    assert encoded("a\ud800é") == b"a?\xc3\xa9"
    assert errors(root("'\udfff'")) == 0
    assert errors(root("x = \ud800\n")) >= 1


@given(CODE, st.lists(CODE, max_size=4))
def test_texts_that_go_on_have_the_trees_of_the_whole(text: str, more: list[str]) -> None:
    continued = Continued("python", text)
    for end in more:
        assert str(continued.tree(end).root_node) == str(root(text + end))


def test_the_cost_is_that_of_what_is_parsed() -> None:
    clean, wrong = Continued("python", "x = 1\n" * 640), Continued("python", "x = = 1\n" * 480)
    assert (clean.cost, wrong.cost) == (3840, 3840)
    for continued in (clean, wrong):
        continued.tree("é")
    assert (clean.cost, wrong.cost) == (3840 + 60 + 2, 3840 + 3840 + 2)
