"""From an answer to the part of a file that was asked for, as SAFIM cuts it: by syntax, for each kind of hole.

Rules: gonglinyuan/safim at 9543286, prompt_utils.py (``truncate_line_until_block``, ``truncate_control``,
``truncate_api_call``) and ast_utils.py. ``Problem.tests`` holds ``before`` and ``after``: the file around the hole.

Upstream parses the whole file anew for each line that it drops. So do these, but no more than ``LINES`` times: of an
answer only the first ``LINES`` lines and ``CHARS`` characters are looked at, several times what 128 tokens can be.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ..types import Completion, Problem
from .programs import MAX_CODE
from .syntax import encoded, nodes, parser

if TYPE_CHECKING:
    from tree_sitter import Node

LINES, CHARS = 256, 1 << 15
PASS_STEPS = 4  # into ``pass_statement`` and its word, and out again
Trace = list[tuple[bool, str]]  # of each node, in order: whether it is entered or left, and its type


def block_program(problem: Problem, completion: Completion) -> str | None:
    """The file with as many lines of the answer as leave it whole: it parses, and is the same around the hole."""
    if len(completion.text) > MAX_CODE:
        return None
    before, after = problem.tests["before"], problem.tests["after"]
    lines = completion.text[:CHARS].splitlines(keepends=True)[:LINES]
    while lines and not fits(problem.language, before, "".join(lines), after):
        lines.pop()
    return f"{before}{''.join(lines)}{after}"


def control_program(problem: Problem, completion: Completion) -> str | None:
    """The file with the expression: of Python the first line with something in it, else up to the ``)`` too many."""
    if len(completion.text) > MAX_CODE:
        return None
    if problem.language == "python":
        found = next((line for line in completion.text.splitlines() if line.strip()), "")
    else:
        end = closing(completion.text, -1)
        found = completion.text if end is None else completion.text[:end]
    return f"{problem.tests['before']}{found}{problem.tests['after']}"


def api_call(problem: Problem, completion: Completion) -> str | None:
    """The call, up to the parenthesis that closes its first one; a ``)`` without a ``(`` before it ends it as well."""
    text = completion.text
    if len(text) > CHARS:
        return None
    end = closing(text, 0)
    return text if end is None else text[: end + 1]


def closing(text: str, depth: int) -> int | None:
    """Where the first ``)`` is behind which no more than ``depth`` parentheses are open; None where there is none.

    Those in strings and comments count, as they do upstream.
    """
    opened = 0
    for at, character in enumerate(text):
        if character == "(":
            opened += 1
        elif character == ")":
            opened -= 1
            if opened <= depth:
                return at
    return None


def fits(language: str, before: str, lines: str, after: str) -> bool:
    """Whether the file parses with these lines, and its nodes but theirs are those of the file without them."""
    root = parsed(language, f"{before}{lines}{after}")
    if broken(root):
        return False
    around = trace_around(language, before, after)
    if around is None:  # a file that does not parse without its hole either says nothing; upstream gives up there
        return True
    whole = trace(root)
    if len(around) > len(whole):
        return False
    same = common(around, whole) + common(around[::-1], whole[::-1])
    return len(around) - same == (PASS_STEPS if language == "python" else 0)


@lru_cache(maxsize=64)
def trace_around(language: str, before: str, after: str) -> Trace | None:
    """That of the file with nothing in its hole, or ``pass`` in Python; None where it does not parse."""
    root = parsed(language, f"{before}{'pass' if language == 'python' else ''}{after}")
    return None if broken(root) else trace(root)


def parsed(language: str, text: str) -> Node:
    return parser(language).parse(encoded(text)).root_node


def broken(root: Node) -> bool:
    """Whether something did not parse; a semicolon too many does not count."""
    if not root.has_error:
        return False
    erroneous = nodes(root, lambda node: node.has_error)
    return any(node.type == "ERROR" and node.text != b";" for node in erroneous)


def trace(root: Node) -> Trace:
    """The types of all nodes, on the way in and on the way out; upstream does not look into ``ERROR`` nodes."""
    found: Trace = []
    cursor = root.walk()
    while True:
        node = cursor.node
        assert node is not None
        kind = node.type
        found.append((True, kind))
        if kind != "ERROR" and cursor.goto_first_child():
            continue
        found.append((False, kind))
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return found
            node = cursor.node
            assert node is not None
            found.append((False, node.type))


def common(one: Trace, other: Trace) -> int:
    """How many steps two traces share from their beginning on."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (ours, theirs) in enumerate(pairs) if ours != theirs), min(len(one), len(other)))
