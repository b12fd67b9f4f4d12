"""BigCodeBench's older sanitising rule: upstream's own answers, the published files, and hostile texts.

Each row of ``GOLDEN`` was run through both upstream scripts (bigcode-project/bigcodebench at 47eff25, and Qwen's copy),
under Python 3.11 with tree-sitter-python 0.25.0.
"""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.extraction.bigcodebench import Sanitized, sanitized
from qwencoder_eval.extraction.python import MAX_TEXT
from qwencoder_eval.types import Completion, Problem

PROMPT = 'import math\ndef f(x):\n    """The root of x."""\n'
PROBLEM = Problem("p/0", {"entry_point": "f", "complete_prompt": PROMPT}, {}, stub=PROMPT)
CALIBRATED, UNCALIBRATED, QWEN = Sanitized(), Sanitized(calibrate=False), Sanitized(empty="nothing")


class Golden(NamedTuple):
    text: str
    lines: str  # what upstream answers
    nothing: str | None = None  # what Qwen's copy answers, where it is something else


GOLDEN = {
    "a function without return is kept": Golden(
        "def g(x):\n    print(x)\ndef f(x):\n    g(x)", "def g(x):\n    print(x)\ndef f(x):\n    g(x)"
    ),
    "the first definition of a function": Golden(
        "def f(x):\n    return 1\ndef f(x):\n    return 2", "def f(x):\n    return 1"
    ),
    "the first definition, if the other is of another kind": Golden(
        "g = 1\ndef g():\n    return 2\nclass g:\n    x = 3\ndef f(x):\n    return g", "g = 1\ndef f(x):\n    return g"
    ),
    "a class before a function of its name": Golden(
        "class g:\n    x = 3\ndef g():\n    return 2\ng = 1\ndef f(x):\n    return g",
        "class g:\n    x = 3\ndef f(x):\n    return g",
    ),
    "an unfinished prompt before the whole function": Golden(
        "def f(x):\n    pass\ndef f(x):\n    return x", "def f(x):\n    pass"
    ),
    "what the entry point does not reach goes": Golden(
        "def unused():\n    return 1\nclass Unused:\n    y = 2\nz = 3\ndef f(x):\n    return x",
        "def f(x):\n    return x",
    ),
    "what it reaches by way of others stays, in the order of the text": Golden(
        "A = 1\nclass B:\n    y = A\ndef f(x):\n    return g(x)\ndef g(x):\n    return B().y\nC = A",
        "A = 1\nclass B:\n    y = A\ndef f(x):\n    return g(x)\ndef g(x):\n    return B().y",
    ),
    "an attribute's name reaches too": Golden(
        "def g():\n    return 1\ndef f(x):\n    return x.g", "def g():\n    return 1\ndef f(x):\n    return x.g"
    ),
    "all imports stay": Golden(
        "import os, sys\nfrom math import *\ndef f(x):\n    return x\nimport json as j",
        "import os, sys\nfrom math import *\nimport json as j\ndef f(x):\n    return x",
    ),
    "an import of the future is no import": Golden(
        "from __future__ import annotations\nimport os\ndef f(x):\n    return x", "import os\ndef f(x):\n    return x"
    ),
    "an import inside something goes": Golden(
        "try:\n    import os\nexcept ImportError:\n    os = None\ndef f(x):\n    return os", "def f(x):\n    return os"
    ),
    "an assignment goes by one name, and without one goes": Golden(
        "a = b = 1\nc, d = 2, 3\ne.x = 4\nf2: int = 5\ndef f(x):\n    return a + b + c + d + e + f2",
        "a = b = 1\nf2: int = 5\ndef f(x):\n    return a + b + c + d + e + f2",
    ),
    "an augmented assignment goes": Golden("a = 1\na += 1\ndef f(x):\n    return a", "a = 1\ndef f(x):\n    return a"),
    "a decorated function is no definition": Golden(
        "@cache\ndef g(x):\n    return x\ndef f(x):\n    return g(x)", "def f(x):\n    return g(x)"
    ),
    "an asynchronous function is one": Golden("async def f(x):\n    return x", "async def f(x):\n    return x"),
    "comments and statements between go": Golden(
        "# a comment\nx = 1\nprint(x)\ndef f(y):  # why\n    # how\n    return x\nif x:\n    f(1)",
        "x = 1\ndef f(y):  # why\n    # how\n    return x",
    ),
    "an entry point that is a name": Golden("f = lambda x: x\nprint(f)", "f = lambda x: x\nprint(f)", ""),
    "an entry point that is a class": Golden(
        "class f:\n    def __init__(self, x):\n        self.x = x\n\n\ny = f(1)",
        "class f:\n    def __init__(self, x):\n        self.x = x",
    ),
    "uses behind the last indented line": Golden(
        "def f(x):\n    return y\ny = f(1)\nz = f(2)", "def f(x):\n    return y"
    ),
    "uses are cut off with all that follows them": Golden(
        "def f(x):\n    return y, z\ny = f(1)\nz = 2", "def f(x):\n    return y, z"
    ),
    "what stands before the first use stays": Golden(
        "def f(x):\n    return y, z\nz = 2\ny = f(1)", "def f(x):\n    return y, z\nz = 2"
    ),
    "a name that holds the entry point's is a use": Golden(
        "def f(x):\n    return offset\noffset = 2", "def f(x):\n    return offset"
    ),
    "a use before an indented line stays": Golden(
        "def f(x):\n    return g\ny = f(1)\ndef g():\n    return y",
        "def f(x):\n    return g\ny = f(1)\ndef g():\n    return y",
    ),
    "a function on one line is a use": Golden("import os\ndef f(x): return x", "import os"),
    "a function on one line alone": Golden("def f(x): return x\n", "def f(x): return x\n", ""),
    "a line indented by a tabulator is not indented": Golden("def f(x):\n\treturn x", "def f(x):\n\treturn x", ""),
    "no entry point": Golden("def g(x):\n    return x\nh = 1", "def g(x):\n    return x\nh = 1", ""),
    "no entry point, but imports": Golden("import os\ndef g(x):\n    return x", "import os"),
    "text around a program": Golden(
        "Here it is:\n\ndef f(x):\n    return x\n\nI hope that it's what you want.", "def f(x):\n    return x"
    ),
    "fences": Golden(
        "Sure.\n```python\nimport os\ndef f(x):\n    return x\n```\nf returns x.", "import os\ndef f(x):\n    return x"
    ),
    "the longest of several blocks": Golden(
        "```\ndef f(x):\n    return 1\n```\nor\n```\ndef f(x):\n    y = 2\n    return y\n```",
        "def f(x):\n    y = 2\n    return y",
    ),
    "a first line that is indented": Golden("    def f(x):\n        return x\n", "def f(x):\n        return x"),
    "text alone": Golden("I do not know.\nSorry!", "I do not know.", ""),
    "text alone, behind blanks": Golden("\n\n  I do not know.\nSorry!", ""),
    "one word": Golden("f", "f", ""),
    "an expression": Golden("f(1)\nf(2)", "f(1)\nf(2)", ""),
    "nothing": Golden("", ""),
    "blanks": Golden("  \n \n", "  ", ""),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_what_upstream_answers(name: str) -> None:
    golden = GOLDEN[name]
    assert sanitized(golden.text, "f", lines_stand_in=True) == golden.lines
    nothing = golden.lines if golden.nothing is None else golden.nothing
    assert sanitized(golden.text, "f", lines_stand_in=False) == nothing


def extracted(rule: Sanitized, text: str) -> str | None:
    return rule(PROBLEM, Completion(text, "whole"))


BODY = "```python\n    return math.sqrt(x)\n```"
INSIDE = 'import math\ndef f(x):\n    """The root of x."""\n    return math.sqrt(x)'


def test_an_answer_that_goes_on_inside_the_prompts_function() -> None:
    for rule in (CALIBRATED, QWEN):
        assert extracted(rule, BODY) == INSIDE
        assert extracted(rule, "Sure:\n" + BODY) == INSIDE
    assert extracted(UNCALIBRATED, BODY) == "```python"  # no two lines parse, and the first one stands for them
    assert extracted(Sanitized(calibrate=False, empty="nothing"), BODY) is None


@pytest.mark.parametrize(
    "fence", ["```\n    ", "```py\n    ", "```python\n   ", "```python\n\n    ", "``` python\n    "]
)
def test_another_fence_is_not_calibrated(fence: str) -> None:
    text = BODY.replace("```python\n    ", fence)
    assert extracted(CALIBRATED, text) == extracted(UNCALIBRATED, text) != INSIDE


def test_every_such_fence_is_calibrated() -> None:
    text = "```python\n    return 1\n```\nor\n```python\n    y = math.pi\n    return y\n```"
    longest = 'import math\ndef f(x):\n    """The root of x."""\n    y = math.pi\n    return y'
    assert extracted(CALIBRATED, text) == longest


def test_a_whole_function_is_left_as_it_is() -> None:
    whole = "```python\ndef f(x):\n    return x\n```"
    assert {extracted(rule, whole) for rule in (CALIBRATED, UNCALIBRATED, QWEN)} == {"def f(x):\n    return x"}


def test_a_continuation_stands_behind_the_prompt() -> None:
    for rule in (CALIBRATED, UNCALIBRATED, QWEN):
        assert rule(PROBLEM, Completion("    return math.sqrt(x)\n\ndef g():\n    f(1)\n")) == INSIDE


def test_what_stands_for_a_text_without_a_program() -> None:
    assert extracted(CALIBRATED, "I do not know.\nSorry!") == "I do not know."
    assert extracted(QWEN, "I do not know.\nSorry!") is None
    assert extracted(CALIBRATED, "") is None
    assert extracted(QWEN, "") is None


def test_the_rules_have_names_of_their_own() -> None:
    """A scoring key holds them."""
    assert len({repr(rule) for rule in (CALIBRATED, UNCALIBRATED, QWEN)}) == 3


# -- what was published ------------------------------------------------------------------------------


def solutions(file: Path) -> dict[str, str]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return {row["task_id"]: row["solution"] for row in map(json.loads, lines)}


@pytest.mark.parametrize(("part", "count"), [("hard", 148), ("full", 1140)])
def test_recorded_completions_become_the_published_programs(
    part: str, count: int, recorded: Path, shared_data: Path
) -> None:
    folder = recorded / "qwen2.5-coder-1.5b-base" / "bigcodebench" / part
    raw = solutions(folder / "completion.jsonl.gz")
    published = solutions(folder / "completion-sanitized-calibrated.jsonl.gz")
    assert len(raw) == len(published) == count
    with gzip.open(shared_data / "bigcodebench" / "BigCodeBench.hf_data.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = {row["task_id"]: row for row in map(json.loads, lines)}
    other = []
    for task, text in raw.items():
        problem = Problem(task, {key: rows[task][key] for key in ("entry_point", "complete_prompt")}, {})
        once = QWEN(problem, Completion(text, "whole", "recorded")) or ""
        twice = QWEN(problem, Completion(once, "whole", "recorded")) or ""
        if (once, twice) != (published[task], published[task]):
            other.append(task)
    assert other == []


# -- hostile texts -----------------------------------------------------------------------------------

FUNCTION = "def f(x):\n    return x"
HOSTILE: dict[str, str] = {
    "brackets": "x = " + "(" * 100_000,
    "brackets that close": FUNCTION + "\nx = " + "[" * 50_000 + "]" * 50_000,
    "minus": "x = " + "-" * 100_000 + "1",
    "attributes": "x = f" + ".f" * 60_000,
    "blocks": "".join(" " * depth + "if f:\n" for depth in range(600)),
    "lines": "x\n" * 120_000,
    "decorators": "@f\n" * 80_000,
    "definitions": "".join(f"def f{n}(): f{n + 1}()\n" for n in range(8_000)) + FUNCTION,
    "uses": FUNCTION + "\nf()" * 60_000,
    "assignments": "f = f\n" * 40_000,
    "opened fences": "```python\n    " * 15_000,
    "quotes": '"""\n' * 60_000,
    "backslashes": "\\\n" * 100_000,
    "carriage returns": "f\r" * 120_000,
    "form feeds": "\x0c" * 200_000 + FUNCTION,
    "null bytes": FUNCTION + "\0" * 200_000,
    "a null byte": "\0\n" + FUNCTION + "\nx = '\0'",
    "lone surrogates": FUNCTION + "\nx = '\ud800'\n\udfff",
    "a lone surrogate first": "\ud800",
    "a lone surrogate inside": "def f(x):\n    return '\udfff'",
    "a byte order mark": "\ufeff" + FUNCTION,
    "a coding line": "# coding: rot13\n" + FUNCTION,
    "digits": "f = " + "9" * 200_000,
    "escapes": "f = '" + "\\N{DIGIT ONE}" * 10_000 + "'",
    "names": FUNCTION.replace("f", "ﬀ" * 50_000),
    "too long": FUNCTION + " " * MAX_TEXT,
    "far too long": "f\n" * 10_000_000,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("form", ["whole", "continuation"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_end_quickly_and_raise_nothing(name: str, form: Any) -> None:
    started, text = time.process_time(), HOSTILE[name]
    found = CALIBRATED(PROBLEM, Completion(text, form))  # takes every step that the other rules take
    assert found is None or 0 < len(found) <= len(text) + len(PROMPT) * (1 + text.count("```python"))
    assert time.process_time() - started < 30


def test_what_is_too_long_holds_no_code() -> None:
    padded = FUNCTION + "\n" + "#" * (MAX_TEXT - len(FUNCTION) - 1)
    assert extracted(CALIBRATED, padded) == FUNCTION
    assert extracted(CALIBRATED, padded + "#") is None


@pytest.mark.parametrize("bad", ["\0", "\ud800", "(" * 100_000, "x = '\0'", "# \udfff"], ids=lambda bad: ascii(bad[:9]))
def test_lines_that_cannot_be_read_do_not_take_the_others_along(bad: str) -> None:
    for rule in (CALIBRATED, UNCALIBRATED, QWEN):
        assert extracted(rule, f"{bad}\n{FUNCTION}\n{bad}") == FUNCTION


PIECES = [
    "def f(x):\n", "    return x\n", "f(1)\n", "```python\n", "```\n", "    ", "import f\n", "class f:\n", "x = f\n",
    "é\n", "\t", "\r\n", "\x0c", "\u2028", "\0", "\ud800", '"""', "(", "\\\n", "text, no code\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_text(text: str) -> None:
    for rule in (CALIBRATED, UNCALIBRATED, QWEN):
        found = extracted(rule, text)
        assert found is None or found
