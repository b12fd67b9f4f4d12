"""Lines and braces: what goes, what stays, and that nothing is lost in between."""

from __future__ import annotations

import time
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.extraction.braces import cut_at_brace, head_and_block, only_block, open_braces, without_block


class Cut(NamedTuple):
    name: str
    code: str
    one: str
    two: str


CUTS = [
    Cut("empty", "", "", ""),
    Cut("no brace, no line left", "a\nb", "", ""),
    Cut("a brace beside code is none", "f() { x }", "", ""),
    Cut("two braces in a line are none", "a\n}}", "", ""),
    Cut("a brace with a semicolon is none", "a\n};", "", ""),
    Cut("only a brace", "}", "", ""),
    Cut("one", "a {\nb\n}", "a {\nb", "a {\nb"),
    Cut("one, code behind it", "a {\nb\n}\nc", "a {\nb", "a {\nb"),
    Cut("two", "a {\n{\nb\n}\n}", "a {\n{\nb\n}", "a {\n{\nb"),
    Cut("two, apart", "a {\n}\nb {\n}\nc", "a {\n}\nb {", "a {"),
    Cut("three", "}\n}\n}", "}\n}", "}"),
    Cut("indented", "a {\n  b {\n  }\t\n\t}", "a {\n  b {\n  }\t", "a {\n  b {"),
    Cut("carriage returns", "a {\r\n}\r\n}\r\n", "a {\r\n}\r", "a {\r"),
    Cut("white space beyond ASCII", "a {\n\u3000}\n\x1f}", "a {\n\u3000}", "a {"),
    Cut("newline at the end", "a {\n}\n", "a {", "a {"),
]


@pytest.mark.parametrize("case", CUTS, ids=lambda case: case.name)
def test_cut_at_brace(case: Cut) -> None:
    assert cut_at_brace(case.code, 1) == case.one
    assert cut_at_brace(case.code, 2) == case.two


@pytest.mark.parametrize(("nth", "left"), [(1, "a\n}\n}"), (2, "a\n}"), (3, "a"), (4, "a"), (10**6, "a")])
def test_of_fewer_braces_the_topmost_counts(nth: int, left: str) -> None:
    assert cut_at_brace("a\n}\n}\n}\nb", nth) == left


class Block(NamedTuple):
    name: str
    code: str
    outside: str
    inside: str


BLOCKS = [
    Block("in one line", "a\nmain() { }\nb", "a\nb", "main() { }"),
    Block("over lines", "a\nmain() {\n  x;\n}\nb", "a\nb", "main() {\n  x;\n}"),
    Block("brace on the next line", "a\nmain()\n{\n}\nb", "a\nb", "main()\n{\n}"),
    Block("blocks inside", "main() {\nif {\n} else {\n}\n}\nb", "b", "main() {\nif {\n} else {\n}\n}"),
    Block("all of it", "main() {\n}", "", "main() {\n}"),
    Block("the first of two", "main() {\n}\nmain() {\n}", "main() {\n}", "main() {\n}"),
    Block("braces in front do not count", "f {\nmain() {\n}\n}", "f {\n}", "main() {\n}"),
    Block("lines in front of the braces belong to it", "main()\nx\ny\n{ }\nb", "b", "main()\nx\ny\n{ }"),
    Block("the rest of the last line belongs to it", "main() { } b\nc", "c", "main() { } b"),
    Block("the front of the first line belongs to it", "a; main() {\n}\nb", "b", "a; main() {\n}"),
    Block("two in one line", "main() { } main() {\n}\nb", "}\nb", "main() { } main() {"),
    Block("a marker inside begins anew", "main() {\nmain() {\n}\n}\nb", "main() {\nb", "main() {\n}\n}"),
    Block("a marker in a comment", "// main()\nf {\n}\nb", "b", "// main()\nf {\n}"),
    Block("braces in strings count", 'main() {\nx = "}";\n}\nb', "}\nb", 'main() {\nx = "}";'),
    Block("windows line ends", "a\r\nmain() {\r\n}\r\nb", "a\r\nb", "main() {\r\n}\r"),
]


@pytest.mark.parametrize("case", BLOCKS, ids=lambda case: case.name)
def test_blocks(case: Block) -> None:
    assert without_block(case.code, "main()") == case.outside
    assert only_block(case.code, "main()") == case.inside


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("", id="empty"),
        pytest.param("a {\n}", id="no marker"),
        pytest.param("main ( ) {\n}", id="not in these words"),
        pytest.param("main()", id="no braces"),
        pytest.param("a {\n}\nmain() {\nx;", id="cut off"),
        pytest.param('main() {\nx = "{";\n}\nb', id="a brace in a string too many"),
        pytest.param("} main() {\n}", id="more close than open"),
        pytest.param("main()\n}\n{ }", id="closes before it opens"),
    ],
)
def test_code_without_a_whole_block_stays(code: str) -> None:
    assert without_block(code, "main()") == code
    assert only_block(code, "main()") == code


HEADS = [
    ("main() {\n}\nx", "main() {\n}\n"),
    ("x\nmain() { } y\nz", "main() { } y\n"),
    ("#include <x>\nx\nusing namespace y;\nmain() {\n}", "#include <x>\nusing namespace y;\nmain() {\n}\n"),
    (" #include <x>\nusing y;\n// using namespace\nmain() {\n}", "main() {\n}\n"),
    ("main() {\n#include <x>\n}", "main() {\n#include <x>\n#include <x>\n}\n"),
    ("using namespace y; main() {\n}", "using namespace y; main() {\nusing namespace y; main() {\n}\n"),
    ("main() {\n}\n#include <x>", "main() {\n}\n"),
    ("} {\nmain() {\n}", "main() {\n}\n"),
    ("} main() {\n}", "} main() {\n"),
    ("main();\n}\nmain() {\n}", "main();\n}\n"),
    ("main();\nmain() {\nx\n}", "main();\nmain() {\nx\n}\n"),
    ("main() {\nif {\n} else {\n}\n}\nb", "main() {\nif {\n} else {\n}\n}\n"),
    ("a\rmain() {\x0cx\u2028}\r\nb", "main() {\nx\n}\n"),
    ('main() {\nx = "}";\n}', 'main() {\nx = "}";\n'),
]


@pytest.mark.parametrize(("code", "kept"), HEADS)
def test_head_and_block(code: str, kept: str) -> None:
    assert head_and_block(code, "main()") == kept


@pytest.mark.parametrize(
    "code", ["", "main()", "x {\n}", "main() {\nx", "#include <x>\nmain() {\n{ }\n", "main ( ) { }"]
)
def test_no_head_of_a_block_that_does_not_close(code: str) -> None:
    assert head_and_block(code, "main()") is None


@pytest.mark.parametrize(("code", "opened"), [("", 0), ("{", 1), ("}", -1), ("{ } {", 1), ('"{" // {', 2), ("}{", 0)])
def test_open_braces(code: str, opened: int) -> None:
    assert open_braces(code) == opened


LINES = st.lists(st.sampled_from(["", "x", "}", " } ", "{", "{}", "}{", "main() {", "main()", "main() }"]), max_size=12)


@given(LINES, st.integers(1, 4))
def test_cutting_leaves_the_lines_in_front(lines: list[str], nth: int) -> None:
    kept = cut_at_brace("\n".join(lines), nth)
    braces = [n for n, line in enumerate(lines) if line.strip() == "}"]
    expected = braces[-nth] if len(braces) >= nth else braces[0] if braces else 0
    assert kept == "\n".join(lines[:expected])


@given(LINES)
def test_cutting_two_is_cutting_one_twice(lines: list[str]) -> None:
    code = "\n".join(lines)
    if sum(line.strip() == "}" for line in lines) >= 2:
        assert cut_at_brace(cut_at_brace(code, 1), 1) == cut_at_brace(code, 2)


@given(LINES)
def test_a_block_and_its_surroundings_are_the_code(lines: list[str]) -> None:
    code = "\n".join(lines)
    outside, inside = without_block(code, "main()"), only_block(code, "main()")
    if outside == code:
        assert inside == code
        return
    block = inside.split("\n")
    starts = [n for n in range(len(lines)) if lines[n : n + len(block)] == block]
    assert outside in ["\n".join(lines[:n] + lines[n + len(block) :]) for n in starts]
    assert "main()" in block[0]
    assert "}" in block[-1]


@given(LINES, LINES)
def test_a_block_with_its_head_begins_at_the_marker_and_is_the_shortest_that_closes(
    lines: list[str], behind: list[str]
) -> None:
    kept = head_and_block("\n".join(lines), "main()")
    if kept is None:
        return
    block = kept.split("\n")[:-1]
    start = next(n for n, line in enumerate(lines) if "main()" in line)
    assert block == lines[start : start + len(block)]
    assert block[-1].count("}")
    assert head_and_block("\n".join(block[:-1]), "main()") is None
    assert head_and_block("\n".join(["#include <x>", *lines, *behind]), "main()") == f"#include <x>\n{kept}"
    assert head_and_block(kept, "main()") == kept


@given(st.text(alphabet="{}\n\r mainx()"), st.text(alphabet="main()", min_size=1, max_size=2))
def test_any_text_gives_lines_of_it(code: str, marker: str) -> None:
    for part in (without_block(code, marker), only_block(code, marker), cut_at_brace(code, 1)):
        assert len(part) <= len(code)
        assert part == "" or set(part.split("\n")) <= set(code.split("\n"))


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("{" * 10**6, id="opening"),
        pytest.param("}" * 10**6, id="closing"),
        pytest.param("{}" * 500_000, id="pairs"),
        pytest.param("}\n" * 500_000, id="lines of closing braces"),
        pytest.param("main()\n" * 140_000, id="lines of markers"),
        pytest.param("main() {\n" * 110_000, id="blocks in blocks"),
        pytest.param("main()" + "{\n" * 250_000 + "}\n" * 250_000, id="deep"),
        pytest.param("main()" * 160_000, id="markers in a line"),
        pytest.param("\n" * 10**6, id="empty lines"),
        pytest.param(" " * 10**6 + "}", id="spaces"),
    ],
)
def test_hostile(code: str) -> None:
    began = time.process_time()
    assert len(without_block(code, "main()")) <= len(code)
    assert len(only_block(code, "main()")) <= len(code)
    assert len(cut_at_brace(code, 2)) <= len(code)
    assert len(head_and_block(code, "main()") or "") <= len(code) + 1
    assert time.process_time() - began < 2
