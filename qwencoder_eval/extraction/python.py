"""Python out of a model's text, by EvalPlus's sanitising rule.

Rule: evalplus 0.3.1, ``evalplus/sanitize.py`` and ``evalplus/syncheck.py``, and the removal of ANSI escape
sequences that its main branch added later. Where EvalPlus raises (null bytes, lone surrogates, nesting too
deep for ``ast``), the lines concerned count as not parsing.

What parses is decided by the running interpreter's own grammar, here as there.

How the search stays short. EvalPlus parses every span of lines. The same answer follows from three facts:

1. A parse that fails before the tokenizer reaches the end of its input fails for every longer input too
   (``DEAD`` below); CPython tells the two failures apart under ``codeop.PyCF_ALLOW_INCOMPLETE_INPUT``.
2. If lines [a, p) parse, and line p has code at column 0 that is no ``else``, ``elif``, ``except`` or
   ``finally``, then lines [a, e) parse exactly if lines [p, e) do. So starts are taken from the last line
   up, and each needs only its own first statement parsed.
3. Where input can go on but does not parse, what is open tells which earlier ends to pass over: a span ends
   with a logical line, not with a block's header or a decorator, and not inside a ``try`` without handlers.
"""

from __future__ import annotations

import ast
import codeop
import re
import threading
import tokenize
import warnings
from bisect import bisect_right
from collections.abc import Sequence
from enum import Enum
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_TEXT = 1 << 18
"""Characters. ``sanitize`` answers "" to a longer text."""

MAX_LINES = 1 << 16
"""``sanitize`` answers "" to a text with more lines."""

MAX_PARSED = 16 << 20
"""Characters handed to the parser in one search, all attempts together; past it the answer is "" too.

A count, not a clock: the same text gets the same answer on every machine.
"""

_PARSE_OVERHEAD = 64  # what one attempt costs beside its characters, in characters
_TOKENIZE_FACTOR = 4  # how much longer ``tokenize`` takes over a character than the parser

_ALLOW_INCOMPLETE: int = codeop.PyCF_ALLOW_INCOMPLETE_INPUT  # type: ignore[attr-defined]

# ECMA-48: the C1 controls in their two-character form, of which CSI has parameters and a final character.
_ANSI = re.compile(r"\x1b(?:\[[\x30-\x3f]*+[\x20-\x2f]*+[\x40-\x7e]|[\x40-\x5a\x5c-\x5f])")

# No token in the line: white space or a comment. A carriage return inside would start another line.
_TRIVIAL = re.compile(r"[ \t\f]*+(?:#[^\r\0\ud800-\udfff]*+)?\r?\Z")
# Code to the right of column 0. A form feed resets the column; a backslash may leave the line empty.
_INDENTED = re.compile(r"[ \t]++[^ \t\f\r#\\]")
# Code at column 0 that can only go on with the statement before, and code there that cannot.
_CONTINUATION = re.compile(r"(?:else|elif|except|finally)(?![\w\x80-\U0010ffff])")
_STATEMENT = re.compile(rf"(?!{_CONTINUATION.pattern})[^ \t\f\r#\\]")
# Where ``tokenize`` may see other lines or indentation than the parser: a carriage return that ends a line
# by itself, a backslash before any code.
_UNUSUAL = re.compile(r"\r(?!\n|\Z)|^[ \t\f]*+\\", re.MULTILINE)
_TOKENS_END = re.compile(r"EOF in multi-line|unterminated triple-quoted")

warnings_lock = threading.Lock()  # warnings.catch_warnings swaps the filters of the whole process


def sanitize(text: str, entry_point: str | None = None) -> str:
    """The Python code in ``text``, without what ``entry_point`` does not need.

    Rule: evalplus 0.3.1, ``sanitize``, with the removal of ANSI escape sequences from its main branch. The
    contiguous lines (two or more) that parse and have the most non-blank lines among them, the first such;
    of these the imports and the first definition of each name that ``entry_point`` reaches (all names
    without one). Where no lines parse, the first line stands for them; where nothing is left of them, they
    are the answer as they are.

    Unlike there: "" for a text beyond ``MAX_TEXT``, ``MAX_LINES`` or ``MAX_PARSED``, and for a first line
    that stands for the others and cannot be encoded.
    """
    if len(text) > MAX_TEXT:
        return ""
    code = longest_parsing_span(_ANSI.sub("", text))
    if code is None:
        return ""
    try:
        source = code.encode()
    except UnicodeEncodeError:
        return ""
    return needed(source, entry_point).strip() or code


class _Status(Enum):
    PARSES = "parses"
    INCOMPLETE = "does not parse, but with more lines it may"
    DEAD = "does not parse, whatever lines follow"


class _OverBudgetError(Exception):
    pass


def longest_parsing_span(text: str) -> str | None:
    """The span of EvalPlus's ``code_extract``; None beyond ``MAX_LINES`` or ``MAX_PARSED``."""
    if text.count("\n") >= MAX_LINES:
        return None
    search = _Search(text)
    try:
        with warnings_lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes; as errors they would become SyntaxError
            first, end = search.longest()
    except _OverBudgetError:
        return None
    return search.source(first, end)


class _Search:
    """Lines are counted from 0; [a, e) are the lines from a up to e, e not among them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.split("\n")
        self.starts = [0, *accumulate(len(line) + 1 for line in self.lines)]
        self.non_blank = [0, *accumulate(bool(line.strip()) for line in self.lines)]
        self.statements = [n for n, line in enumerate(self.lines) if _STATEMENT.match(line)]
        self.statements.append(len(self.lines))
        self.unusual = _UNUSUAL.search(text) is not None
        self.left = MAX_PARSED

    def source(self, a: int, e: int) -> str:
        return self.text[self.starts[a] : self.starts[e] - 1]

    def longest(self) -> tuple[int, int]:
        ends = self.ends()
        best, count = (0, 1), 0
        for a, e in enumerate(ends[:-1]):
            here = self.non_blank[e] - self.non_blank[a]
            if e >= a + 2 and here > count:
                best, count = (a, e), here
        first, end = best
        # The same non-blank lines may end earlier.
        for e in range(first + 2, end):
            if self.non_blank[e] == self.non_blank[end] and self.parse(first, e) is None:
                return first, e
        return first, end

    def ends(self) -> list[int]:
        """For each a the greatest e such that [a, e) parses, a itself where there is none."""
        count = len(self.lines)
        ends = list(range(count + 1))
        for a in range(count - 1, -1, -1):
            if _TRIVIAL.match(self.lines[a]):
                ends[a] = ends[a + 1]
            elif not (_INDENTED.match(self.lines[a]) or _CONTINUATION.match(self.lines[a])):
                ends[a] = self.end(a, ends)
        return ends

    def end(self, a: int, ends: list[int]) -> int:
        at, step, alive = bisect_right(self.statements, a), 1, a
        while True:
            e = self.statements[at]
            match self.status(a, e):
                case _Status.PARSES:
                    return ends[e]  # fact 2
                case _Status.DEAD:
                    return self.last_end(a, alive, e)
                case _Status.INCOMPLETE if at == len(self.statements) - 1:
                    return self.last_end(a, e, e + 1)
                case _Status.INCOMPLETE:
                    alive = e
                    at, step = min(at + step, len(self.statements) - 1), step * 2

    def last_end(self, a: int, alive: int, dead: int) -> int:
        """The greatest e such that [a, e) parses; [a, alive) can go on (or is empty), [a, dead) cannot."""
        while dead - alive > 1:  # fact 1
            middle = (alive + dead) // 2
            match self.status(a, middle):
                case _Status.PARSES | _Status.INCOMPLETE:
                    alive = middle
                case _Status.DEAD:
                    dead = middle
        if alive > a and self.parse(a, alive) is None:
            return alive
        for e in reversed(self.possible_ends(a, alive)):
            if self.parse(a, e) is None:
                while e < alive and _TRIVIAL.match(self.lines[e]):
                    e += 1
                return e
        return a

    def possible_ends(self, a: int, e: int) -> Sequence[int]:
        """Where before e a span from a may end (fact 3), lines without tokens left out; [a, e) can go on."""
        every = range(a + 1, e)
        if self.unusual:
            return every
        self.spend(_TOKENIZE_FACTOR * (self.starts[e] - self.starts[a]))
        found: list[int] = []
        blocks: list[bool] = []  # the open ones, true for that of a try
        header = first = last = ""
        lines = (line + "\n" for line in self.lines[a:e])
        try:
            for token in tokenize.generate_tokens(lines.__next__):
                match token.type:
                    case tokenize.INDENT:
                        blocks.append(header == "try")
                    case tokenize.DEDENT:
                        blocks.pop()
                    case tokenize.NEWLINE:
                        if first != "@" and last != ":" and not any(blocks):
                            found.append(a + token.start[0])
                        header, first = first, ""
                    case tokenize.COMMENT | tokenize.NL:
                        pass
                    case _:
                        first, last = first or token.string, token.string
        except tokenize.TokenError as error:
            if not _TOKENS_END.search(str(error)):
                return every
        except SyntaxError:
            return every
        return found

    def spend(self, characters: int) -> None:
        self.left -= characters
        if self.left < 0:
            raise _OverBudgetError

    def status(self, a: int, e: int) -> _Status:
        error = self.parse(a, e, _ALLOW_INCOMPLETE)
        if error is None:
            return _Status.PARSES
        return _Status.INCOMPLETE if error.msg == "incomplete input" else _Status.DEAD

    def parse(self, a: int, e: int, flags: int = 0) -> SyntaxError | None:
        """What ``ast.parse`` raises on these lines, every kind of refusal as SyntaxError."""
        source = self.source(a, e)
        self.spend(len(source) + _PARSE_OVERHEAD)
        try:
            compile(source, "<text>", "exec", ast.PyCF_ONLY_AST | flags, dont_inherit=True)
        except SyntaxError as error:
            return error
        except (MemoryError, RecursionError, ValueError) as error:
            return SyntaxError(f"refused: {error}")
        return None


def needed(source: bytes, entry_point: str | None, returning: bool = True) -> str:
    """The imports and definitions that EvalPlus's ``extract_target_code_or_empty`` keeps, one after another.

    Imports at the top level stay. Of definitions at the top level the first of each name stays: a class, a
    function with a return statement, an assignment. With an entry point only those that it reaches through
    the identifiers they contain. An assignment to something other than one name goes by the name None.
    ``returning``: only functions that return something count.
    """
    import tree_sitter_python
    from tree_sitter import Language, Parser

    root = Parser(Language(tree_sitter_python.language())).parse(source).root_node
    imports: list[Node] = []
    definitions: dict[str | None, Node] = {}
    for node in root.children:
        match node.type:
            case "import_statement" | "import_from_statement":
                imports.append(node)
            case "class_definition":
                definitions.setdefault(_name(node), node)
            case "function_definition":
                if _name(node) not in definitions and (not returning or _has_return(node)):
                    definitions[_name(node)] = node
            case "expression_statement":
                expression = node.child(0)
                if expression is not None and expression.type == "assignment":
                    definitions.setdefault(_name(expression), expression)
    names = _reached(entry_point, definitions) if entry_point else definitions.keys()
    kept = imports + [node for name, node in definitions.items() if name in names]
    return "\n".join(_text(source, node) for node in kept)


def _text(source: bytes, node: Node) -> str:
    return source[node.start_byte : node.end_byte].decode(errors="replace")


def _name(definition: Node) -> str | None:
    return next((_decoded(child) for child in definition.children if child.type == "identifier"), None)


def _decoded(node: Node) -> str:
    return (node.text or b"").decode(errors="replace")


def _reached(entry_point: str, definitions: dict[str | None, Node]) -> set[str | None]:
    reached: set[str | None] = {entry_point}
    to_visit = [entry_point]
    while to_visit:
        definition = definitions.get(to_visit.pop())
        new = _identifiers(definition) - reached if definition else set()
        reached |= new
        to_visit.extend(new)
    return reached


def _identifiers(node: Node) -> set[str]:
    found: set[str] = set()
    to_visit = list(node.children)
    while to_visit:
        child = to_visit.pop()
        if child.type == "identifier":
            found.add(_decoded(child))
        else:
            to_visit.extend(child.children)
    return found


def _has_return(function: Node) -> bool:
    """Whether EvalPlus's walk through the function meets a return statement.

    Its walk goes down and right, counts leaves up and steps to a parent down, and stops at a step to a
    parent with nothing left to count. Nodes with one child can use the count up before the function ends
    (``with x: pass`` five times over): a return statement after that is not seen, and the function goes.
    """
    cursor = function.walk()
    count = 0
    while True:
        if cursor.node is not None and cursor.node.type == "return_statement":
            return True
        if cursor.goto_first_child():
            continue
        count += 1
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent() or count == 0:
                return False
            count -= 1
