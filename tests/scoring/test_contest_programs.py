"""What is made of a contest program before it runs: a function of its syntax tree, or of lines moved in by a tab."""

from __future__ import annotations

import ast
import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qwencoder_eval.scoring.contest import Inside, preamble, script, without_guard

TAIL: dict[Inside, str] = {
    "function": "\ntry:\n    wrapped_function()\nexcept SystemExit:\n    pass\n",
    "tabs": "\ntry:\n    code()\nexcept SystemExit:\n    pass\n",
}
HEAD = "stdin = sys.stdin\nstdout = sys.stdout\n"


def body(code: str, inside: Inside) -> str:
    """What is made of the code itself."""
    made = script(code, inside)
    assert made is not None
    assert made.startswith(preamble(inside))
    assert made.endswith(TAIL[inside])
    return made.removeprefix(preamble(inside)).removesuffix(TAIL[inside])


@pytest.mark.parametrize(
    ("code", "function", "tabs"),
    [
        ("print(1)", "\ndef wrapped_function():\n    print(1)\n", HEAD + "def code():\n\tprint(1)\n"),
        (
            "from math import gcd\nprint(1)\nimport re",
            "from math import gcd\nimport re\ndef wrapped_function():\n    print(1)\n",
            "from math import gcd\n" + HEAD + "def code():\n\tprint(1)\n\timport re\n",
        ),
        (
            "def f():\n    return 1\n\nif __name__ == '__main__':\n    print(f())\n    print(2)",
            "\ndef wrapped_function():\n\n    def f():\n        return 1\n    print(f())\n    print(2)\n",
            HEAD + "def code():\n\tdef f():\n\t    return 1\n\tprint(f())\n\tprint(2)\n",
        ),
        (
            "s = '''\na\n  b'''\nprint(s)",
            "\ndef wrapped_function():\n    s = '\\na\\n  b'\n    print(s)\n",
            HEAD + "def code():\n\ts = '''\n\ta\n\t  b'''\n\tprint(s)\n",
        ),
        (
            "x = 1 # one\n\nif x:\n\tprint(x)",
            "\ndef wrapped_function():\n    x = 1\n    if x:\n        print(x)\n",
            HEAD + "def code():\n\tx = 1 # one\n\t\n\tif x:\n\t\tprint(x)\n",
        ),
        (
            "import os; x = 1\nprint(x)",
            "import os\ndef wrapped_function():\n    x = 1\n    print(x)\n",
            "import os; x = 1\n" + HEAD + "def code():\n\tprint(x)\n",
        ),
        (
            "try:\n    import numpy\nexcept ImportError:\n    pass",
            "\ndef wrapped_function():\n    try:\n        import numpy\n    except ImportError:\n        pass\n",
            HEAD + "def code():\n\ttry:\n\t    import numpy\n\texcept ImportError:\n\t    pass\n",
        ),
    ],
)
def test_the_program_that_is_made(code: str, function: str, tabs: str) -> None:
    assert body(code, "function") == function
    assert body(code, "tabs") == tabs


@pytest.mark.parametrize(
    ("code", "same"),
    [
        ("x = 1\nif __name__ == '__main__':\n    f(x)", "x = 1\nf(x)"),
        ('if (__name__ == "__main__"): f()', "\nf()"),
        ("if __name__ == '__main__':\n    f()\nelse:\n    g()", "\nf()"),
        ("if __name__ == '__main__':\n    f()\nif __name__ == '__main__':\n    g()",
         "if __name__ == '__main__':\n    f()\ng()"),
        ("if '__main__' == __name__:\n    f()", None),
        ("if __name__ == '__main__' and True:\n    f()", None),
        ("if __name__ == '__main__':\n    f()\nx = 1", None),
        ("if __name__ != '__main__':\n    f()", None),
        ("print(1)", None),
        ("", None),
    ],
)  # fmt: skip
def test_a_main_guard_at_the_end_is_taken_away(code: str, same: str | None) -> None:
    assert without_guard(code) == (code if same is None else same)


@pytest.mark.parametrize("inside", ["function", "tabs"])
@pytest.mark.parametrize(
    "code",
    [
        "import os", "import os\nfrom sys import *", "def f(:", "print(1", "  x = 1\n y = 2", "x = '\ud800'",
        "print(1)\0", "(" * 300 + ")" * 300, "x = " + "-" * 100_000 + "1", "x" + "." * 100_000, "print 1", "'''", "",
        "# nothing",
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_what_makes_no_program(inside: Inside, code: str) -> None:
    assert script(code, inside) is None


def test_a_line_that_begins_with_an_import_stays_outside_of_the_tabs() -> None:
    """All of it: upstream looks at the line's first word alone."""
    assert script("import sys; print(1)", "tabs") is None
    assert "print(1)" in body("import sys; print(1)", "function")


def tabs_restated(code: str) -> str:
    """Upstream's steps: mark the lines with a tab, then put the function's head before the first marked one."""
    lines = [line if line.startswith(("from ", "import ")) else "\t" + line for line in code.split("\n")]
    first = next((at for at, line in enumerate(lines) if line.startswith("\t")), None)
    if first is None:
        return ""
    rest = [line if line.startswith("\t") else "\t" + line for line in lines[first:]]
    return "\n".join([*lines[:first], "stdin = sys.stdin", "stdout = sys.stdout", "def code():", *rest]) + "\n"


CODES = st.lists(
    st.sampled_from([
        "import os", "from math import *", "x = 1", "def f():\n    return x", "print(f())", "", "s = '''\na\n'''",
        "if __name__ == '__main__':\n    f()", "class A:\n    x: int = 1", "for i in range(3): pass", "global x",
        "return", "import", "from", " import os", "if x:", "\tprint(1)", "# import", "(", "\ud800", "\0",
        "async def g(): pass",
    ]),
    max_size=6,
).map("\n".join)  # fmt: skip


@given(CODES)
@example("import os\nimport re")
def test_tabs_by_the_rule_itself(code: str) -> None:
    try:
        wanted = tabs_restated(without_guard(code))
    except (SyntaxError, ValueError):
        wanted = tabs_restated(code)
    try:
        ast.parse(wanted)
    except (SyntaxError, ValueError):
        wanted = ""
    assert script(code, "tabs") == (f"{preamble('tabs')}{wanted}{TAIL['tabs']}" if wanted else None)


@given(CODES)
def test_a_function_holds_all_statements_and_no_import(code: str) -> None:
    made = script(code, "function")
    try:
        tree = ast.parse(without_guard(code))
    except (SyntaxError, ValueError):
        assert made is None
        return
    kinds = (ast.Import, ast.ImportFrom)
    others = [each for each in tree.body if not isinstance(each, kinds)]
    assert (made is None) is (not others)
    if made is not None:
        *imports, function = ast.parse(body(code, "function")).body
        assert isinstance(function, ast.FunctionDef)
        assert [ast.dump(each) for each in imports] == [ast.dump(each) for each in tree.body if isinstance(each, kinds)]
        assert [ast.unparse(each) for each in function.body] == [ast.unparse(each) for each in others]


@pytest.mark.parametrize("inside", ["function", "tabs"])
@given(code=st.text(st.characters(), max_size=30))
def test_no_text_breaks_the_making(inside: Inside, code: str) -> None:
    made = script(code, inside)
    assert made is None or ast.parse(made)
