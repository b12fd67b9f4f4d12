"""Three tiny repositories with an ``evaluate_repo.py`` each, and rows with holes in them: all of our own making."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

AREA = '''"""Areas."""

PI = 3


def square(side):
    """Of a square."""
    return side * side


def circle(radius):
    if radius < 0:
        raise ValueError("negative radius")
    return PI * radius * radius
'''
NAMES = """def plural(name, count):
    if count == 1:
        return name
    return name + "s"
"""
TEST_SHAPES = """import unittest

from shapes.area import circle, square
from shapes.names import plural


class Shapes(unittest.TestCase):
    def test_square(self):
        self.assertEqual(square(3), 9)

    def test_circle(self):
        self.assertEqual(circle(2), 12)

    def test_negative(self):
        with self.assertRaises(ValueError):
            circle(-1)

    def test_plural(self):
        self.assertEqual([plural("box", 1), plural("cat", 2)], ["box", "cats"])
"""
BY_UNITTEST = """import sys
import unittest

if __name__ == "__main__":
    suite = unittest.defaultTestLoader.discover("tests")
    result = unittest.TextTestRunner().run(suite)
    sys.exit(not result.wasSuccessful())
"""
TABLE = """from pathlib import Path

DATA = Path(__file__).parent / "data"


def size():
    return len((DATA / "all.bin").read_bytes())


def lines():
    text = (DATA / "crlf.txt").read_bytes()
    return text.split(b"\\r\\n")


class Counter:
    def __init__(self):
        self.seen = {}

    def add(self, word):
        self.seen[word] = self.seen.get(word, 0) + 1
        return self.seen[word]
"""
TEST_WORDS = """import os

import pytest

from words.table import DATA, Counter, lines, size


def test_size():
    assert size() == 256


def test_bytes():
    assert (DATA / "all.bin").read_bytes() == bytes(range(256))
    assert (DATA / "latin 1.txt").read_bytes() == b"caf\\xe9\\t\\x0c\\n"
    assert os.access(DATA / "run.sh", os.X_OK)


def test_lines():
    assert lines() == [b"one", b"two", b""]


@pytest.mark.parametrize("count", [1, 2])
def test_counter(count):
    counter = Counter()
    assert [counter.add("a") for _ in range(count)][-1] == count
"""
BY_PYTEST = """import sys

import pytest

sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "tests"]))
"""
LEDGER = (
    "def total(rows):\n\tresult = 0\n\tfor row in rows:\n\t\tresult += row\n\treturn result\n\f\n\n"
    "def average(rows):\n\treturn total(rows) / len(rows)\n"
)
BY_ASSERTS = "import ledger\n\nassert ledger.total([1, 2, 3]) == 6\nassert ledger.average([1, 2]) == 1.5\n"

REPOSITORIES: dict[str, dict[str, str | bytes]] = {
    "shapes": {
        "evaluate_repo.py": BY_UNITTEST, "shapes/__init__.py": "", "shapes/area.py": AREA, "shapes/names.py": NAMES,
        "tests/__init__.py": "", "tests/test_shapes.py": TEST_SHAPES,
    },
    "words": {
        "evaluate_repo.py": BY_PYTEST, "words/__init__.py": "", "words/table.py": TABLE,
        "tests/test_words.py": TEST_WORDS, "words/data/all.bin": bytes(range(256)),
        "words/data/crlf.txt": b"one\r\ntwo\r\n", "words/data/latin 1.txt": b"caf\xe9\t\x0c\n",
        "words/data/run.sh": b"#!/bin/sh\n",
    },
    "ledger": {"evaluate_repo.py": BY_ASSERTS, "ledger.py": LEDGER},
}  # fmt: skip

SPAN, LINE, LINES = "Random Span Completion", "Random Single-line Completion", "Random Multi-line Completion"
EXPRESSION, STATEMENT, BLOCK = (f"grammar-based: {kind}" for kind in ("expression", "statement", "block"))
ADD = "    def add(self, word):\n        self.seen[word] = self.seen.get(word, 0) + 1\n        return self.seen[word]"
CIRCLE = '    if radius < 0:\n        raise ValueError("negative radius")'


class Hole(NamedTuple):
    """``middle`` stands once in the file; ``at`` says where an empty one is (characters)."""

    repository: str
    path: str
    middle: str
    fill_type: str
    answer: str
    verdict: str
    es: float
    at: int = -1

    @property
    def row(self) -> dict[str, Any]:
        text = REPOSITORIES[self.repository][self.path]
        assert isinstance(text, str)
        start = self.at if self.at >= 0 else text.index(self.middle)
        assert self.at >= 0 or len(re.findall(re.escape(self.middle), text)) == 1
        others = [
            [f"/{self.repository}/{name}", other]
            for name, other in REPOSITORIES[self.repository].items()
            if isinstance(other, str) and name != self.path and "test" not in name and name != "evaluate_repo.py"
        ]
        return {
            "repo_name": self.repository, "file_name": f"/{self.repository}/{self.path}", "prefix_code": text[:start],
            "middle_code": self.middle, "suffix_code": text[start + len(self.middle) :], "context_code": others,
            "fill_type": self.fill_type,
        }  # fmt: skip

    @property
    def id(self) -> str:
        start = len(self.row["prefix_code"])
        return f"{self.repository}/{self.path}:{start}-{start + len(self.middle)}"


# Verdicts and similarities by hand: twice the longest common subsequence over both lengths, in whole per cent.
HOLES = (
    Hole("shapes", "shapes/area.py", "side * side", EXPRESSION, "side * side", "passed", 1.0),
    Hole("shapes", "shapes/area.py", "PI * radius * radius", EXPRESSION, "PI * radius ** 2", "passed", 0.78),  # 28/36
    Hole("shapes", "shapes/area.py", "return side * side", STATEMENT, "return side + side", "wrong", 0.94),  # 34/36
    Hole("shapes", "shapes/area.py", CIRCLE, BLOCK, "", "wrong", 0.0),
    Hole("shapes", "shapes/area.py", "    return PI * radius * radius", LINE, "    return (", "compile_error",
         0.4),  # 14/35
    Hole("shapes", "shapes/area.py", '    """Of a square."""\n    return side * side', LINES,
         '    """Other\nwords."""\n\n    return side * side', "passed", 1.0),
    Hole("shapes", "shapes/area.py", "radius * rad", SPAN, "radius * rad", "passed", 1.0),
    Hole("shapes", "shapes/names.py", 'return name + "s"', STATEMENT, 'return f"{name}s"', "passed", 0.76),  # 26/34
    Hole("shapes", "shapes/names.py", "if count == 1:\n        return name", BLOCK,
         "if count == 1:\n        raise TypeError(name)", "runtime_error", 0.77),  # 60/78
    Hole("words", "words/table.py", 'len((DATA / "all.bin").read_bytes())', EXPRESSION,
         'len((DATA / "all.bin").read_bytes())', "passed", 1.0),
    Hole("words", "words/table.py", '    return len((DATA / "all.bin").read_bytes())', LINE, "    return 8", "wrong",
         0.27),  # 14/51
    Hole("words", "words/table.py", 'text.split(b"\\r\\n")', EXPRESSION, 'text.splitlines() + [b""]', "passed",
         0.64),  # 28/44
    Hole("words", "words/table.py", "self.seen = {}", STATEMENT, "self.seen = dict()", "passed", 0.75),  # 24/32
    Hole("words", "words/table.py", "        self.seen = {}", LINE, "        self.seen = {}\r", "passed", 1.0),
    Hole("words", "words/table.py", ADD, LINES, "    pass", "runtime_error", 0.06),  # 6/108
    Hole("ledger", "ledger.py", "\t\tresult += row", LINE, "        result += row", "compile_error", 1.0),
    Hole("ledger", "ledger.py", "total(rows) / len(rows)", EXPRESSION, "total(rows) // len(rows)", "wrong",
         0.98),  # 46/47
    Hole("ledger", "ledger.py", "\tfor row in rows:\n\t\tresult += row", LINES, "\tfor row in rows: result += row\f",
         "passed", 0.94),  # 58/62
    Hole("ledger", "ledger.py", "result = 0", STATEMENT, "result = sum(rows); rows = ()", "passed", 0.46),  # 18/39
    Hole("ledger", "ledger.py", "len(ro", SPAN, "len(ra", "runtime_error", 0.83),  # 10/12
    Hole("ledger", "ledger.py", "", SPAN, "", "passed", 1.0, at=0),
    Hole("ledger", "ledger.py", "", SPAN, "import os\nos._exit(0)\n", "wrong", 0.0, at=len(LEDGER)),
)  # fmt: skip


def write(folder: Path, holes: tuple[Hole, ...] = HOLES) -> Path:
    """The rows and repositories as a folder of data; and the answers, in a file of samples, whose path is returned."""
    for repository, files in REPOSITORIES.items():
        for name, content in files.items():
            path = folder / "execrepobench" / "repos" / repository / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            if name.endswith(".sh"):
                path.chmod(0o755)
    lines = [json.dumps(hole.row) + "\n" for hole in holes]
    (folder / "execrepobench" / "exec_repo_bench.jsonl").write_text("".join(lines))
    samples = folder / "answers.jsonl"
    samples.write_text("".join(json.dumps({"task_id": hole.id, "completion": hole.answer}) + "\n" for hole in holes))
    return samples
