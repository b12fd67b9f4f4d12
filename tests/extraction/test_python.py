"""EvalPlus's sanitising rule: answers of evalplus 0.3.1 itself, a search written plainly, hostile texts.

Each ``Golden`` was run through ``evalplus.sanitize.sanitize`` of evalplus 0.3.1 under Python 3.11, with
tree-sitter 0.26.1 and tree-sitter-python 0.25.0; ``expected`` is what it answered.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
import warnings
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwencoder_eval.extraction import python
from qwencoder_eval.extraction.python import MAX_LINES, MAX_TEXT, sanitize


class Golden(NamedTuple):
    name: str
    entry_point: str | None
    text: list[str]
    expected: list[str]


GOLDEN = [
    Golden(
        "a function alone",
        "add",
        [
            "def add(a, b):",
            "    return a + b",
        ],
        [
            "def add(a, b):",
            "    return a + b",
        ],
    ),
    Golden(
        "a function in chat",
        "add",
        [
            "Sure! Here is the function:",
            "",
            "```python",
            "def add(a, b):",
            '    """Add two numbers."""',
            "    return a + b",
            "```",
            "",
            "It adds the numbers.",
        ],
        [
            "def add(a, b):",
            '    """Add two numbers."""',
            "    return a + b",
        ],
    ),
    Golden(
        "the longer of two blocks",
        "f",
        [
            "First try:",
            "```python",
            "def f(x):",
            "    return x",
            "```",
            "Better:",
            "```python",
            "import math",
            "",
            "def f(x):",
            "    y = math.sqrt(x)",
            "    return y",
            "```",
        ],
        [
            "import math",
            "def f(x):",
            "    y = math.sqrt(x)",
            "    return y",
        ],
    ),
    Golden(
        "the first of two blocks as long",
        "f",
        [
            "```python",
            "def f(x):",
            "    return 1",
            "```",
            "```python",
            "def f(x):",
            "    return 2",
            "```",
        ],
        [
            "def f(x):",
            "    return 1",
        ],
    ),
    Golden(
        "comments count as lines",
        "f",
        [
            "def f(x):",
            "    return 1",
            "```",
            "# one",
            "# two",
            "# three",
            "```",
        ],
        [
            "# one",
            "# two",
            "# three",
        ],
    ),
    Golden(
        "blank lines do not count",
        None,
        [
            "a = 1",
            "b = 2",
            "```",
            "c = 3",
            "",
            "",
            "",
            "```",
        ],
        [
            "a = 1",
            "b = 2",
        ],
    ),
    Golden(
        "leading blank lines belong to the span but not to the answer",
        "f",
        [
            "Text, as such.",
            "",
            "def f():",
            "    return 1",
        ],
        [
            "def f():",
            "    return 1",
        ],
    ),
    Golden(
        "only what the entry point reaches",
        "f",
        [
            "import os",
            "from math import sqrt",
            "",
            "LIMIT = 10",
            "OTHER = 20",
            "",
            "class Box:",
            "    size = LIMIT",
            "",
            "def helper(x):",
            "    return Box()",
            "",
            "def unused(x):",
            "    return OTHER",
            "",
            "def f(x):",
            "    return helper(x)",
            "",
            "print(f(3))",
        ],
        [
            "import os",
            "from math import sqrt",
            "LIMIT = 10",
            "class Box:",
            "    size = LIMIT",
            "def helper(x):",
            "    return Box()",
            "def f(x):",
            "    return helper(x)",
        ],
    ),
    Golden(
        "everything without an entry point",
        None,
        [
            "import os",
            "",
            "LIMIT = 10",
            "",
            "def helper(x):",
            "    return LIMIT",
            "",
            "def f(x):",
            "    return x",
            "",
            "print(f(3))",
        ],
        [
            "import os",
            "LIMIT = 10",
            "def helper(x):",
            "    return LIMIT",
            "def f(x):",
            "    return x",
        ],
    ),
    Golden(
        "an empty entry point is none",
        "",
        [
            "def g():",
            "    return 1",
            "",
            "def f():",
            "    return 2",
        ],
        [
            "def g():",
            "    return 1",
            "def f():",
            "    return 2",
        ],
    ),
    Golden(
        "an entry point that is missing leaves the imports",
        "f",
        [
            "import os",
            "",
            "def g():",
            "    return 1",
        ],
        [
            "import os",
        ],
    ),
    Golden(
        "an entry point that is missing and no imports: the span",
        "f",
        [
            "def g():",
            "    return 1",
            "",
            "print(g())",
        ],
        [
            "def g():",
            "    return 1",
            "",
            "print(g())",
        ],
    ),
    Golden(
        "imports stay, before all else",
        "f",
        [
            "def f():",
            "    return 1",
            "",
            "import sys",
            "from os import (",
            "    path,",
            "    sep,",
            ")",
            "import a.b as c",
            "from . import d",
        ],
        [
            "import sys",
            "from os import (",
            "    path,",
            "    sep,",
            ")",
            "import a.b as c",
            "from . import d",
            "def f():",
            "    return 1",
        ],
    ),
    Golden(
        "imports from the future go",
        "f",
        [
            "from __future__ import annotations",
            "import os",
            "",
            "def f():",
            "    return 1",
        ],
        [
            "import os",
            "def f():",
            "    return 1",
        ],
    ),
    Golden(
        "imports inside a try go",
        "f",
        [
            "try:",
            "    import numpy",
            "except ImportError:",
            "    numpy = None",
            "",
            "def f():",
            "    return numpy",
        ],
        [
            "def f():",
            "    return numpy",
        ],
    ),
    Golden(
        "two imports in one line",
        "f",
        [
            "import os; import sys; x = 1",
            "",
            "def f():",
            "    return x",
        ],
        [
            "import os",
            "import sys",
            "x = 1",
            "def f():",
            "    return x",
        ],
    ),
    Golden(
        "a function without return goes",
        "f",
        [
            "def helper():",
            '    print("no return")',
            "",
            "def f():",
            "    helper()",
            "    return 1",
        ],
        [
            "def f():",
            "    helper()",
            "    return 1",
        ],
    ),
    Golden(
        "a procedure asked for goes, and the span is the answer",
        "f",
        [
            "def f():",
            '    print("no return")',
            "",
            "f()",
        ],
        [
            "def f():",
            '    print("no return")',
            "",
            "f()",
        ],
    ),
    Golden(
        "a yield is no return",
        "f",
        [
            "def f():",
            "    yield 1",
            "",
            "x = 1",
        ],
        [
            "def f():",
            "    yield 1",
            "",
            "x = 1",
        ],
    ),
    Golden(
        "a return of an inner function counts",
        "f",
        [
            "def f():",
            "    def g():",
            "        return 1",
            "    g()",
            "x = 2",
        ],
        [
            "def f():",
            "    def g():",
            "        return 1",
            "    g()",
        ],
    ),
    Golden(
        "the word return in a string does not count",
        "x",
        [
            "def f():",
            '    "return"',
            "x = 2",
        ],
        [
            "x = 2",
        ],
    ),
    Golden(
        "the first definition of a name stays",
        "f",
        [
            "def f():",
            "    return 1",
            "",
            "def f():",
            "    return 2",
        ],
        [
            "def f():",
            "    return 1",
        ],
    ),
    Golden(
        "a function without return does not take the name",
        "f",
        [
            "def f():",
            "    pass",
            "",
            "def f():",
            "    return 2",
        ],
        [
            "def f():",
            "    return 2",
        ],
    ),
    Golden(
        "a variable takes the name of a later function",
        "f",
        [
            "f = None",
            "",
            "def f():",
            "    return 2",
        ],
        [
            "f = None",
        ],
    ),
    Golden(
        "a class takes the name of a later variable",
        "f",
        [
            "class f:",
            "    pass",
            "",
            "f = 3",
        ],
        [
            "class f:",
            "    pass",
        ],
    ),
    Golden(
        "a function takes the name of a later class",
        "f",
        [
            "def f():",
            "    return 1",
            "",
            "class f:",
            "    pass",
        ],
        [
            "def f():",
            "    return 1",
        ],
    ),
    Golden(
        "assigned twice",
        "f",
        [
            "x = 1",
            "x = 2",
            "",
            "def f():",
            "    return x",
        ],
        [
            "x = 1",
            "def f():",
            "    return x",
        ],
    ),
    Golden(
        "reached through an attribute's name",
        "f",
        [
            "def helper():",
            "    return 1",
            "",
            "def f(obj):",
            "    return obj.helper",
        ],
        [
            "def helper():",
            "    return 1",
            "def f(obj):",
            "    return obj.helper",
        ],
    ),
    Golden(
        "reached through a keyword argument's name",
        "f",
        [
            "key = 1",
            "",
            "def f(obj):",
            "    return obj(key=2)",
        ],
        [
            "key = 1",
            "def f(obj):",
            "    return obj(key=2)",
        ],
    ),
    Golden(
        "a parameter of the same name reaches",
        "f",
        [
            "x = 1",
            "",
            "def f(x):",
            "    return 2",
        ],
        [
            "x = 1",
            "def f(x):",
            "    return 2",
        ],
    ),
    Golden(
        "reached through an annotation",
        "f",
        [
            "Pair = tuple",
            "",
            "def f(x: Pair) -> None:",
            "    return None",
        ],
        [
            "Pair = tuple",
            "def f(x: Pair) -> None:",
            "    return None",
        ],
    ),
    Golden(
        "not reached through a string",
        "f",
        [
            "Pair = tuple",
            "",
            'def f(x: "Pair"):',
            '    return "Pair"',
        ],
        [
            'def f(x: "Pair"):',
            '    return "Pair"',
        ],
    ),
    Golden(
        "reached in a circle",
        "f",
        [
            "def f(n):",
            "    return g(n)",
            "",
            "def g(n):",
            "    return f(n)",
            "",
            "def h(n):",
            "    return f(n)",
        ],
        [
            "def f(n):",
            "    return g(n)",
            "def g(n):",
            "    return f(n)",
        ],
    ),
    Golden(
        "reached through a class",
        "f",
        [
            "def helper():",
            "    return 1",
            "",
            "class Base:",
            "    def m(self):",
            "        return helper()",
            "",
            "class f(Base):",
            "    pass",
        ],
        [
            "def helper():",
            "    return 1",
            "class Base:",
            "    def m(self):",
            "        return helper()",
            "class f(Base):",
            "    pass",
        ],
    ),
    Golden(
        "a lambda is an assignment",
        "f",
        [
            "f = lambda x: g(x)",
            "g = lambda x: x",
            "h = lambda x: x",
        ],
        [
            "f = lambda x: g(x)",
            "g = lambda x: x",
        ],
    ),
    Golden(
        "an annotated assignment",
        "f",
        [
            "x: int = 1",
            "",
            "def f():",
            "    return x",
        ],
        [
            "x: int = 1",
            "def f():",
            "    return x",
        ],
    ),
    Golden(
        "an annotation without value",
        "f",
        [
            "x: int",
            "",
            "def f():",
            "    return x",
        ],
        [
            "x: int",
            "def f():",
            "    return x",
        ],
    ),
    Golden(
        "an augmented assignment goes",
        "f",
        [
            "x = 1",
            "x += 1",
            "",
            "def f():",
            "    return x",
        ],
        [
            "x = 1",
            "def f():",
            "    return x",
        ],
    ),
    Golden(
        "a chained assignment goes by its first name",
        "f",
        [
            "x = y = 1",
            "",
            "def f():",
            "    return x",
            "",
            "def g():",
            "    return y",
        ],
        [
            "x = y = 1",
            "def f():",
            "    return x",
        ],
    ),
    Golden(
        "the second name of a chained assignment is not known",
        "f",
        [
            "x = y = 1",
            "",
            "def f():",
            "    return y",
        ],
        [
            "def f():",
            "    return y",
        ],
    ),
    Golden(
        "an assignment to several names goes with an entry point",
        "f",
        [
            "a, b = 1, 2",
            "",
            "def f():",
            "    return a",
        ],
        [
            "def f():",
            "    return a",
        ],
    ),
    Golden(
        "of assignments to no single name the first stays without one",
        None,
        [
            "a, b = 1, 2",
            "c[0] = 3",
            "d.e = 4",
            "x = 5",
        ],
        [
            "a, b = 1, 2",
            "x = 5",
        ],
    ),
    Golden(
        "a decorated function goes",
        "f",
        [
            "@cache",
            "def g():",
            "    return 1",
            "",
            "def f():",
            "    return g()",
        ],
        [
            "def f():",
            "    return g()",
        ],
    ),
    Golden(
        "a decorated function asked for: the imports alone",
        "f",
        [
            "from functools import cache",
            "",
            "@cache",
            "def f():",
            "    return 1",
        ],
        [
            "from functools import cache",
        ],
    ),
    Golden(
        "a coroutine",
        "f",
        [
            "async def f():",
            "    return await g()",
            "",
            "async def g():",
            "    return 1",
        ],
        [
            "async def f():",
            "    return await g()",
            "async def g():",
            "    return 1",
        ],
    ),
    Golden(
        "a function in one line",
        "f",
        [
            "def f(x): return g(x)",
            "def g(x): return x",
        ],
        [
            "def f(x): return g(x)",
            "def g(x): return x",
        ],
    ),
    Golden(
        "a function under a condition goes",
        "x",
        [
            "if True:",
            "    def f():",
            "        return 1",
            "x = 1",
        ],
        [
            "x = 1",
        ],
    ),
    Golden(
        "only statements that are no definitions: the span",
        None,
        [
            "print(1)",
            "print(2)",
        ],
        [
            "print(1)",
            "print(2)",
        ],
    ),
    Golden(
        "a docstring at the top goes",
        "f",
        [
            '"""What this is."""',
            "",
            "def f():",
            "    return 1",
        ],
        [
            "def f():",
            "    return 1",
        ],
    ),
    Golden(
        "a comment above the function goes",
        "f",
        [
            "# Adds.",
            "def f():",
            "    return 1  # one",
            "# End.",
        ],
        [
            "def f():",
            "    return 1  # one",
        ],
    ),
    Golden(
        "a semicolon after an assignment",
        "f",
        [
            "x = 1; y = 2",
            "",
            "def f():",
            "    return y",
        ],
        [
            "y = 2",
            "def f():",
            "    return y",
        ],
    ),
    Golden(
        "cut off in an expression",
        "f",
        [
            "def f(x):",
            "    y = x + 1",
            "    return (y +",
        ],
        [
            "def f(x):",
            "    y = x + 1",
        ],
    ),
    Golden(
        "cut off after a header",
        "f",
        [
            "def f(x):",
            "    y = x",
            "    if y:",
            "        return y",
            "    for i in y:",
        ],
        [
            "def f(x):",
            "    y = x",
            "    if y:",
            "        return y",
        ],
    ),
    Golden(
        "cut off in a docstring",
        "f",
        [
            "def f(x):",
            '    """Adds one to',
            "    its argument",
        ],
        [
            "def f(x):",
        ],
    ),
    Golden(
        "cut off in a try",
        "f",
        [
            "def f(x):",
            "    y = 1",
            "    try:",
            "        y = x",
            "        return y",
        ],
        [
            "def f(x):",
            "    y = 1",
        ],
    ),
    Golden(
        "cut off in a second function",
        "f",
        [
            "def f(x):",
            "    return x",
            "",
            "def g(x):",
            "    return [",
            "        1,",
            "        2,",
        ],
        [
            "def f(x):",
            "    return x",
        ],
    ),
    Golden(
        "cut off in the second function's name",
        "f",
        [
            "def f(x):",
            "    return x",
            "",
            "def g",
        ],
        [
            "def f(x):",
            "    return x",
        ],
    ),
    Golden(
        "cut off after a decorator",
        "f",
        [
            "def f(x):",
            "    return x",
            "",
            "@property",
        ],
        [
            "def f(x):",
            "    return x",
        ],
    ),
    Golden(
        "cut off in a string",
        "f",
        [
            "def f(x):",
            "    return x",
            "",
            'y = "abc',
        ],
        [
            "def f(x):",
            "    return x",
        ],
    ),
    Golden(
        "cut off behind a backslash",
        "f",
        [
            "def f(x):",
            "    return x",
            "",
            "y = 1 + \\",
        ],
        [
            "def f(x):",
            "    return x",
        ],
    ),
    Golden(
        "a body alone",
        "f",
        [
            "    x = 1",
            "    return x",
        ],
        [
            "    x = 1",
        ],
    ),
    Golden(
        "a body alone, then more functions",
        "f",
        [
            "    x = 1",
            "    return x",
            "",
            "def g(x):",
            "    return x",
        ],
        [
            "",
            "def g(x):",
            "    return x",
        ],
    ),
    Golden(
        "one line too far in",
        "f",
        [
            "def f(x):",
            "    y = 1",
            "      z = 2",
            "    return y",
        ],
        [
            "def f(x):",
            "    y = 1",
        ],
    ),
    Golden(
        "one line too far out",
        "f",
        [
            "def f(x):",
            "    if x:",
            "        y = 1",
            "       z = 2",
            "    return y",
        ],
        [
            "def f(x):",
            "    if x:",
            "        y = 1",
        ],
    ),
    Golden(
        "tabs and spaces mixed",
        "f",
        [
            "def f(x):",
            "    if x:",
            "\treturn 1",
            "    return 2",
        ],
        [
            "def f(x):",
        ],
    ),
    Golden(
        "tabs",
        "f",
        [
            "def f(x):",
            "\tif x:",
            "\t\treturn 1",
            "\treturn 2",
        ],
        [
            "def f(x):",
            "\tif x:",
            "\t\treturn 1",
            "\treturn 2",
        ],
    ),
    Golden(
        "a top-level return parses",
        None,
        [
            "x = 1",
            "return x",
        ],
        [
            "x = 1",
        ],
    ),
    Golden(
        "prose of single words parses",
        None,
        [
            "Note",
            "that",
            "x = 1",
        ],
        [
            "x = 1",
        ],
    ),
    Golden(
        "a list of points parses as negation",
        None,
        [
            "- a",
            "- b",
            "def f()",
        ],
        [
            "- a",
            "- b",
        ],
    ),
    Golden(
        "unclosed bracket before the code",
        "f",
        [
            "Look (here:",
            "",
            "def f(x):",
            "    return x",
        ],
        [
            "def f(x):",
            "    return x",
        ],
    ),
    Golden(
        "unclosed triple quote before the code",
        "f",
        [
            'She said """this',
            "",
            "def f(x):",
            "    return x",
        ],
        [
            "def f(x):",
            "    return x",
        ],
    ),
    Golden(
        "triple quotes that pair up the wrong way",
        "f",
        [
            '""" lost',
            "",
            "def f(x):",
            '    """Doc."""',
            "    return x",
        ],
        [
            "def f(x):",
            '    """Doc."""',
            "    return x",
        ],
    ),
    Golden(
        "a string over several lines at column 0",
        "f",
        [
            'TEXT = """',
            "one",
            "two",
            '"""',
            "",
            "def f(x):",
            "    return TEXT",
        ],
        [
            'TEXT = """',
            "one",
            "two",
            '"""',
            "def f(x):",
            "    return TEXT",
        ],
    ),
    Golden(
        "brackets over several lines at column 0",
        "f",
        [
            "TABLE = [",
            "1,",
            "2,",
            "]",
            "",
            "def f(x):",
            "    return TABLE",
        ],
        [
            "TABLE = [",
            "1,",
            "2,",
            "]",
            "def f(x):",
            "    return TABLE",
        ],
    ),
    Golden(
        "else and except at column 0",
        None,
        [
            "if a:",
            "    x = 1",
            "elif b:",
            "    x = 2",
            "else:",
            "    x = 3",
            "try:",
            "    y = 1",
            "except E:",
            "    y = 2",
            "finally:",
            "    z = 3",
            "def f():",
            "    return 1",
        ],
        [
            "def f():",
            "    return 1",
        ],
    ),
    Golden(
        "broken else",
        None,
        [
            "if a:",
            "    x = 1",
            "else",
            "    x = 3",
            "y = 1",
        ],
        [
            "if a:",
            "    x = 1",
        ],
    ),
    Golden(
        "names that begin like keywords",
        None,
        [
            "elsewhere = 1",
            "except_ = 2",
            "finally1 = 3",
            "elifs = 4",
        ],
        [
            "elsewhere = 1",
            "except_ = 2",
            "finally1 = 3",
            "elifs = 4",
        ],
    ),
    Golden(
        "a prompt's doctest",
        "f",
        [
            ">>> f(1)",
            "2",
            "def f(x):",
            "    return x + 1",
        ],
        [
            "def f(x):",
            "    return x + 1",
        ],
    ),
    Golden(
        "print of another age",
        "g",
        [
            "def f(x):",
            '    print "hello"',
            "    return x",
            "",
            "def g(x):",
            "    return x",
        ],
        [
            "def g(x):",
            "    return x",
        ],
    ),
    Golden(
        "a name that is no ascii",
        "größe",
        [
            "def größe(x):",
            "    return π",
            "",
            "π = 3",
        ],
        [
            "def größe(x):",
            "    return π",
            "π = 3",
        ],
    ),
    Golden(
        "an emoji in a string",
        "f",
        [
            "def f(x):",
            '    return "😀"',
            "",
            'y = "é"',
        ],
        [
            "def f(x):",
            '    return "😀"',
        ],
    ),
    Golden(
        "an emoji in prose",
        "f",
        [
            "😀 Sure!",
            "def f(x):",
            "    return 1",
        ],
        [
            "def f(x):",
            "    return 1",
        ],
    ),
    Golden(
        "typographic quotes",
        "g",
        [
            "def f(x):",
            "    return “one”",
            "",
            "def g(x):",
            "    return 1",
        ],
        [
            "def g(x):",
            "    return 1",
        ],
    ),
    Golden(
        "invalid escapes",
        "f",
        [
            "import re",
            "",
            "def f(x):",
            '    return re.sub("\\d", "\\w", x)',
        ],
        [
            "import re",
            "def f(x):",
            '    return re.sub("\\d", "\\w", x)',
        ],
    ),
    Golden(
        "f-strings",
        "f",
        [
            'name = "x"',
            'other = "y"',
            "",
            "def f(x):",
            '    return f"{name} other"',
        ],
        [
            'name = "x"',
            "def f(x):",
            '    return f"{name} other"',
        ],
    ),
    Golden(
        "a match statement",
        "f",
        [
            "def f(x):",
            "    match x:",
            "        case 1:",
            '            return "one"',
            "        case _:",
            '            return "other"',
        ],
        [
            "def f(x):",
            "    match x:",
            "        case 1:",
            '            return "one"',
            "        case _:",
            '            return "other"',
        ],
    ),
    Golden(
        "windows line ends",
        "f",
        [
            "def f(x):\r",
            "    return x\r",
            "\r",
            "def g(x):\r",
            "    return x\r",
            "",
        ],
        [
            "def f(x):\r",
            "    return x",
        ],
    ),
    Golden(
        "windows line ends in chat",
        "f",
        [
            "Sure:\r",
            "```python\r",
            "def f(x):\r",
            "    return x\r",
            "```\r",
            "",
        ],
        [
            "def f(x):\r",
            "    return x",
        ],
    ),
    Golden(
        "a carriage return by itself is a line end to Python",
        None,
        [
            "x = 1\ry = (",
            "2)",
            "z = 3",
        ],
        [
            "x = 1\ry = (",
            "2)",
            "z = 3",
        ],
    ),
    Golden(
        "a comment ended by a carriage return",
        None,
        [
            "# a\rx = (",
            "b",
            "# c",
        ],
        [
            "b",
            "# c",
        ],
    ),
    Golden(
        "form feeds",
        None,
        [
            "x = 1",
            "\fy = 2",
            "  \f",
            "z = 3",
        ],
        [
            "x = 1",
            "y = 2",
            "z = 3",
        ],
    ),
    Golden(
        "a separator that is blank but no Python",
        None,
        [
            "x = 1",
            "\u001c",
            "y = 2",
            "z = 3",
        ],
        [
            "y = 2",
            "z = 3",
        ],
    ),
    Golden(
        "empty",
        None,
        [
            "",
        ],
        [
            "",
        ],
    ),
    Golden(
        "one newline",
        None,
        [
            "",
        ],
        [
            "",
        ],
    ),
    Golden(
        "blank lines",
        None,
        [
            "  ",
        ],
        [
            "  ",
        ],
    ),
    Golden(
        "one line",
        None,
        [
            "x = 1",
        ],
        [
            "x = 1",
        ],
    ),
    Golden(
        "one line of prose",
        None,
        [
            "I cannot help with that.",
        ],
        [
            "I cannot help with that.",
        ],
    ),
    Golden(
        "one line of code with a stray import",
        None,
        [
            "import os; print(1)",
        ],
        [
            "import os",
        ],
    ),
    Golden(
        "one line twice blank",
        None,
        [
            "x = 1",
            "",
        ],
        [
            "x = 1",
        ],
    ),
    Golden(
        "one line behind a blank",
        None,
        [
            "x = 1",
        ],
        [
            "x = 1",
        ],
    ),
    Golden(
        "nothing parses: the first line",
        None,
        [
            "I can not do this, sorry.",
            "Really: no!",
            "No, no, no!",
        ],
        [
            "I can not do this, sorry.",
        ],
    ),
    Golden(
        "nothing parses: the definitions of the first line",
        None,
        [
            "import os, and then",
            "no more!",
            "no, no!",
        ],
        [
            "import os, and then",
        ],
    ),
    Golden(
        "a null byte in the only line",
        None,
        [
            "x = 1\u0000",
        ],
        [
            "x = 1\u0000",
        ],
    ),
    Golden(
        "blank lines at the end go",
        None,
        [
            "x = 1",
            "y = 2",
            "",
            "",
            "",
        ],
        [
            "x = 1",
            "y = 2",
        ],
    ),
    Golden(
        "a backslash that a blank line ends",
        None,
        [
            "x = 1",
            "y = 2 \\",
            "",
            "",
        ],
        [
            "x = 1",
            "y = 2",
        ],
    ),
    Golden(
        "a backslash alone, indented",
        None,
        [
            "  \\",
            "",
            "x = 1",
            "y = 2",
        ],
        [
            "x = 1",
            "y = 2",
        ],
    ),
    Golden(
        "a backslash alone",
        None,
        [
            "\\",
            "x = 1",
            "y = 2",
        ],
        [
            "x = 1",
            "y = 2",
        ],
    ),
    Golden(
        "a return behind statements that use up the walk",
        None,
        [
            "def f(x):",
            "    with a:",
            "        pass",
            "    with a:",
            "        pass",
            "    with a:",
            "        pass",
            "    with a:",
            "        pass",
            "    with a:",
            "        pass",
            "    with a:",
            "        pass",
            "    return x",
            "",
            "def g(x):",
            "    return x",
        ],
        [
            "def g(x):",
            "    return x",
        ],
    ),
    Golden(
        "a return just before the walk is used up",
        None,
        [
            "def f(x):",
            "    with a:",
            "        pass",
            "    with a:",
            "        pass",
            "    return x",
            "",
            "def g(x):",
            "    return x",
        ],
        [
            "def f(x):",
            "    with a:",
            "        pass",
            "    with a:",
            "        pass",
            "    return x",
            "def g(x):",
            "    return x",
        ],
    ),
]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_what_evalplus_answers(golden: Golden) -> None:
    assert sanitize("\n".join(golden.text), golden.entry_point) == "\n".join(golden.expected)


def _parses(source: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(source)
        except (SyntaxError, MemoryError, ValueError, RecursionError):
            return False
    return True


def _longest_parsing_span_simple(text: str) -> str:
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
    assert python._longest_parsing_span(text) == _longest_parsing_span_simple(text)


BLOCK_LINES = [*BLANK[:3], *SIMPLE[:3], *HEADERS, *INDENTED[:5], *NESTED, *MORE_HEADERS[4:]]


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from(BLOCK_LINES), min_size=4, max_size=12))
def test_search_in_soups_of_blocks(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert python._longest_parsing_span(text) == _longest_parsing_span_simple(text)


OPEN_LINES = [*SIMPLE[:2], *HEADERS[:1], *INDENTED[:2], *BRACKETS, *QUOTES, "x = 1 \\", "", "# c"]


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from(OPEN_LINES), min_size=4, max_size=12))
def test_search_in_soups_of_brackets_and_quotes(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert python._longest_parsing_span(text) == _longest_parsing_span_simple(text)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.text(alphabet="ax1 \t\n\n\r\f\\#:=()[]'\",;@", max_size=30))
def test_search_in_soups_of_characters(text: str) -> None:
    assert python._longest_parsing_span(text) == _longest_parsing_span_simple(text)


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
    assert _longest_parsing_span_simple(text).count("\n") == span - 1
    assert python._longest_parsing_span(text) == _longest_parsing_span_simple(text)


@pytest.mark.parametrize("cut", range(0, len(PROGRAM), 83))
def test_search_in_a_program_cut_off_anywhere(cut: int) -> None:
    for text in (PROGRAM[:cut], PROGRAM[cut:]):
        assert python._longest_parsing_span(text) == _longest_parsing_span_simple(text)


@pytest.mark.parametrize("missing", range(PROGRAM.count("\n")))
def test_search_in_a_program_with_a_line_missing(missing: int) -> None:
    lines = PROGRAM.split("\n")
    del lines[missing]
    text = "\n".join(lines)
    expected = _longest_parsing_span_simple(text) if missing % 8 == 0 else None
    found = python._longest_parsing_span(text)
    assert found is not None
    assert found in text
    assert expected is None or found == expected


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
        "x = " + "lambda: " * 20_000 + "y",
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
        text = "\n".join(golden.text)
        assert sanitize(text, golden.entry_point) == sanitize(text, golden.entry_point)


def test_cleaning_a_clean_answer_changes_nothing() -> None:
    code = sanitize(PROGRAM, "f")
    assert code.startswith("import re\nfrom typing import (")
    assert sanitize(code, "f") == code


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
