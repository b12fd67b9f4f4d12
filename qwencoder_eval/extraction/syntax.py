"""Syntax trees of source text, by tree-sitter: parsers, and what did not parse.

tree-sitter answers every text with a tree: what fits no rule is inside ``ERROR`` nodes. Its time grows with the length
of a text alone, up to about 4 microseconds a byte where much is wrong, so a caller bounds the bytes that it hands over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Tree

# Languages as in sandbox/languages.toml; module of the grammar, and its function.
GRAMMARS = {
    "python": ("tree_sitter_python", "language"),
    "java": ("tree_sitter_java", "language"),
    "csharp": ("tree_sitter_c_sharp", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
}

_own = threading.local()  # a parser is not safe for threads


def parser(language: str) -> Parser:
    """This thread's parser of a language. Raises KeyError for one without a grammar."""
    kept: dict[str, Parser] = _own.__dict__
    if language not in kept:
        from tree_sitter import Language, Parser

        module, function = GRAMMARS[language]
        kept[language] = Parser(Language(getattr(import_module(module), function)()))
    return kept[language]


def encoded(text: str) -> bytes:
    """What a parser reads. A lone surrogate, which UTF-8 has no bytes for, becomes a question mark."""
    return text.encode("utf-8", "replace")


def nodes(root: Node, into: Callable[[Node], bool] = lambda node: True) -> Iterator[Node]:
    """A node and what is below it, in the document's order; no recursion, so depth does not matter.

    ``into``: of which nodes the children are looked at.
    """
    cursor = root.walk()
    while True:
        node = cursor.node
        assert node is not None
        yield node
        if into(node) and cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


def _erroneous(root: Node) -> Iterator[Node]:
    return (node for node in nodes(root, lambda node: node.has_error) if node.type == "ERROR")


def errors(root: Node) -> int:
    """How many ``ERROR`` nodes there are. What was missing and made up by the parser is not among them."""
    return sum(1 for _ in _erroneous(root))


def has_error(root: Node) -> bool:
    """Whether there is an ``ERROR`` node; quicker than to count them."""
    return root.has_error and any(True for _ in _erroneous(root))


class Continued:
    """Trees of one text followed by others, one after the other: what is above the seam is parsed once.

    ``cost`` is what has been parsed so far, about, in bytes: a count, not a clock, so that what is bounded by it is
    the same on every machine. tree-sitter does not promise that a tree that was changed equals one made anew; the
    tests hold them against each other.
    """

    def __init__(self, language: str, text: str) -> None:
        self.parser = parser(language)
        self.source = encoded(text)
        self.base = self.parser.parse(self.source)
        self.each = len(self.source) // (1 if self.base.root_node.has_error else 64)  # an error is parsed again
        self.cost = len(self.source)

    def tree(self, more: str) -> Tree:
        """Of the text and what follows it."""
        source = self.source + encoded(more)
        old, start = self.base.copy(), _point(self.source)
        old.edit(len(self.source), len(self.source), len(source), start, start, _point(source))
        self.cost += len(source) - len(self.source) + self.each
        return self.parser.parse(source, old)


def _point(source: bytes) -> tuple[int, int]:
    """Row and column of the end."""
    return source.count(b"\n"), len(source) - source.rfind(b"\n") - 1
