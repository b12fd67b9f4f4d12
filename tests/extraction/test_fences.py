"""Fenced blocks: CommonMark's rules one by one, languages, cut-off answers, hostile texts."""

from __future__ import annotations

import re
import time
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwencoder_eval.extraction.fences import first_fence, last_fence


class Case(NamedTuple):
    name: str
    text: str
    content: str | None


ONE_BLOCK = [
    Case("empty text", "", None),
    Case("no fence", "x = 1\n", None),
    Case("backticks", "```\nx = 1\n```\n", "x = 1"),
    Case("tildes", "~~~\nx = 1\n~~~\n", "x = 1"),
    Case("no newline at the end", "```\nx = 1\n```", "x = 1"),
    Case("inner newlines", "```\nx\n\n\ny\n```", "x\n\n\ny"),
    Case("blank first and last line", "```\n\nx\n\n```", "\nx\n"),
    Case("empty block", "```\n```", ""),
    Case("block of one blank line", "```\n\n```", ""),
    Case("block of two blank lines", "```\n\n\n```", "\n"),
    Case("prose around", "Sure:\n\n```python\nx = 1\n```\nDone.", "x = 1"),
    Case("prose on the line before", "Sure:\n```python\nx = 1\n```", "x = 1"),
    Case("two backticks are no fence", "``\nx\n``", None),
    Case("two tildes are no fence", "~~\nx\n~~", None),
    Case("mixed characters are no fence", "`~`\nx\n`~`", None),
    Case("fence behind prose", "Sure: ```\nx\n", None),
    Case("longer opening", "`````\nx\n`````", "x"),
    Case("shorter closing does not close", "````\nx\n```\ny\n````", "x\n```\ny"),
    Case("longer closing closes", "```\nx\n``````\ny", "x"),
    Case("other character does not close", "```\nx\n~~~\ny\n```", "x\n~~~\ny"),
    Case("other character does not close, reversed", "~~~\nx\n```\ny\n~~~", "x\n```\ny"),
    Case("closing with info string does not close", "```\nx\n```python\ny\n```", "x\n```python\ny"),
    Case("closing with spaces behind", "```\nx\n```   \ny", "x"),
    Case("closing with a tab behind", "```\nx\n```\t\ny", "x"),
    Case("closing with no-break space behind does not close", "```\nx\n```\xa0\ny", "x\n```\xa0\ny"),
    Case("closing indented by three", "```\nx\n   ```\ny", "x"),
    Case("closing indented by four does not close", "```\nx\n    ```\ny", "x\n    ```\ny"),
    Case("closing behind a tab does not close", "```\nx\n\t```\ny", "x\n\t```\ny"),
    Case("closing behind code does not close", "```\nx ```\ny\n```", "x ```\ny"),
    Case("opening indented by three", "   ```\nx\n```", "x"),
    Case("opening indented by four is no fence", "    ```\nx\n", None),
    Case("opening behind a tab is no fence", "\t```\nx\n", None),
    Case("content loses the opening's indentation", "  ```\n  x\n    y\n  ```", "x\n  y"),
    Case("content loses no more than it has", "   ```\n x\ny\n   ```", "x\ny"),
    Case("blank lines of indented content", "  ```\n  x\n\n \n  y\n  ```", "x\n\n\ny"),
    Case("content keeps its indentation", "```\n  x\n    y\n```", "  x\n    y"),
    Case("content keeps tabs", "  ```\n\tx\n  ```", "\tx"),
    Case("content keeps spaces at line ends", "```\nx  \n```", "x  "),
    Case("info string with a backtick is no fence", "```py`thon\nx\n", None),
    Case("inline code of three backticks", "```x = 1```\ny\n", None),
    Case("tilde info string may hold backticks", "~~~ a`b ~~~\nx\n~~~", "x"),
    Case("info string behind spaces", "```   python\nx\n```", "x"),
    Case("unclosed", "```python\nx = 1\ny = 2", "x = 1\ny = 2"),
    Case("unclosed with newline at the end", "```python\nx = 1\n", "x = 1"),
    Case("unclosed, cut in the closing fence", "```\nx\n``", "x\n``"),
    Case("unclosed and nothing in it", "```python", ""),
    Case("unclosed and only a newline in it", "```python\n", ""),
    Case("unclosed, indented", "  ```\n  x\n  y", "x\ny"),
    Case("windows line ends", "```python\r\nx\r\ny\r\n```\r\n", "x\r\ny"),
    Case("windows line ends, blank lines", "```\r\n\r\nx\r\n\r\n```", "\r\nx\r\n"),
    Case("windows line ends, unclosed", "```\r\nx\r\n", "x"),
    Case("windows line ends, empty", "```\r\n```\r\n", ""),
    Case("windows line ends, indented", " ```\r\n x\r\n\r\n y\r\n ```\r\n", "x\r\n\r\ny"),
    Case("old mac line ends", "a\r```python\rx\ry\r```\rb", "x\ry"),
    Case("mixed line ends", "```\nx\r\ny\n```\r\n", "x\r\ny"),
    Case("other line separators do not end lines", "a\u2028```\nx\n", None),
    Case("vertical tab does not end a line", "a\x0b```\nx\n", None),
    Case("null bytes are characters", "```\n\0\n```", "\0"),
    Case("not latin", "```python\nπ = 'да'\n```", "π = 'да'"),
    Case("only a fence line of tildes", "~~~~", ""),
]


@pytest.mark.parametrize("case", ONE_BLOCK, ids=lambda case: case.name)
def test_one_block(case: Case) -> None:
    assert first_fence(case.text) == case.content
    assert last_fence(case.text) == case.content


TWO_BLOCKS = """\
First:
```python
a = 1
```
then
~~~ text
b
~~~
"""


def test_first_and_last_of_two() -> None:
    assert first_fence(TWO_BLOCKS) == "a = 1"
    assert last_fence(TWO_BLOCKS) == "b"


def test_last_block_is_the_cut_off_one() -> None:
    text = "```\na\n```\nand\n```\nb\nc"
    assert first_fence(text) == "a"
    assert last_fence(text) == "b\nc"


def test_closing_fence_opens_nothing() -> None:
    assert last_fence("```\na\n```\nprose\n") == "a"


def test_fences_next_to_each_other() -> None:
    text = "```\na\n```\n```\nb\n```"
    assert first_fence(text) == "a"
    assert last_fence(text) == "b"


LANGUAGES = """\
```
plain
```
```Python title="a.py"
first python
```
```python3
three
```
~~~   PY
short
~~~
```python
second python
```
```bash
echo
```
"""


@pytest.mark.parametrize(
    ("languages", "first", "last"),
    [
        ((), "plain", "echo"),
        (("python",), "first python", "second python"),
        (("PYTHON",), "first python", "second python"),
        (("py",), "short", "short"),
        (("py", "python"), "first python", "second python"),
        (("python", "py", "python3"), "first python", "second python"),
        (("python3",), "three", "three"),
        (("bash", "sh"), "echo", "echo"),
        (("bash", "py"), "short", "echo"),
        (("java",), None, None),
        (("title",), None, None),
        (("pyth",), None, None),
    ],
)
def test_languages(languages: tuple[str, ...], first: str | None, last: str | None) -> None:
    assert first_fence(LANGUAGES, languages) == first
    assert last_fence(LANGUAGES, languages) == last


def test_block_without_language_asked_for_by_the_empty_word() -> None:
    assert first_fence("```python\na\n```\n```\nb\n```", ("",)) == "b"


def test_language_of_an_inner_fence_line_does_not_count() -> None:
    text = "~~~markdown\n```python\na\n```\n~~~\n```python\nb\n```"
    assert first_fence(text, ("python",)) == "b"
    assert last_fence(text, ("python",)) == "b"
    assert first_fence(text) == "```python\na\n```"


def test_unclosed_block_of_another_language_hides_what_follows() -> None:
    assert first_fence("```text\n```python\na", ("python",)) is None


def test_language_before_windows_line_end() -> None:
    assert first_fence("```python\r\na\r\n```\r\n", ("python",)) == "a"


def test_language_in_attributes_is_not_the_first_word() -> None:
    assert first_fence("```{.python}\na\n```", ("python",)) is None


def test_language_not_ascii() -> None:
    assert first_fence("```ΠΎΘΩΝ\na\n```", ("πύθων",)) == "a"


HOSTILE = [
    Case("backticks without end", "`" * 1_000_000, ""),
    Case("tildes without end", "~" * 1_000_000, ""),
    Case("backticks, then a letter, then one more", "`" * 500_000 + "a`", None),
    Case("lines of inline code", "```a`\n" * 100_000, None),
    Case("spaces without end", " " * 1_000_000, None),
    Case("lines of three spaces", "   \n" * 200_000, None),
    Case("pairs", "`~" * 300_000, None),
    Case("carriage returns", "\r" * 1_000_000, None),
    Case("short closings", "````\n" + "```\n" * 100_000, ("```\n" * 100_000)[:-1]),
    Case("indented content", " ```\n" + "  x\n" * 100_000, (" x\n" * 100_000)[:-1]),
    Case("info string without end", "```" + "a" * 1_000_000, ""),
    Case("info string of spaces without end", "```" + " " * 1_000_000 + "\nx", "x"),
    Case(
        "closing with spaces without end",
        "```\nx\n```" + " " * 1_000_000 + "a",
        "x\n```" + " " * 1_000_000 + "a",
    ),
]


@pytest.mark.parametrize("case", HOSTILE, ids=lambda case: case.name)
def test_hostile(case: Case) -> None:
    began = time.process_time()
    assert first_fence(case.text) == case.content
    assert last_fence(case.text) == case.content
    assert time.process_time() - began < 2


def test_a_million_lines_of_fences() -> None:
    text = "```\n" * 1_000_000
    assert first_fence(text) == ""
    assert last_fence(text) == ""


def reference(text: str) -> list[tuple[str, str]]:
    """Language and content of each block, line by line as the specification tells it; "\\n" ends lines."""
    blocks: list[tuple[str, str]] = []
    fence: re.Match[str] | None = None
    content: list[str] = []
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    for line in lines:
        if fence is None:
            fence = re.fullmatch(r"( {0,3})(?:(```+)([^`]*)|(~~~+)(.*))", line)
            content = []
            continue
        mark = fence[2] or fence[4]
        closing = line.strip(" \t")
        indentation = len(line) - len(line.lstrip(" \t"))
        if (
            indentation <= 3
            and "\t" not in line[:indentation]
            and len(closing) >= len(mark)
            and set(closing) == {mark[0]}
        ):
            blocks.append((((fence[3] or fence[5] or "").split() or [""])[0].lower(), "\n".join(content)))
            fence = None
            continue
        own = len(line) - len(line.lstrip(" "))
        content.append(line[min(own, len(fence[1])) :])
    if fence is not None:
        blocks.append((((fence[3] or fence[5] or "").split() or [""])[0].lower(), "\n".join(content)))
    return blocks


LINES = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", " ", "  ", "   ", "    ", "\t"]),
        st.sampled_from(["", "", "`", "``", "```", "```", "````", "~~~", "~~~", "~~~~~", "x = 1", "- a"]),
        st.sampled_from(["", "", "", " ", "\t", "python", " Python", "py x", "a`b", "~", "x"]),
    ),
)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(LINES, max_size=12), st.booleans())
def test_agrees_with_the_line_by_line_reading(lines: list[str], ended: bool) -> None:
    text = "\n".join(lines) + ("\n" if ended else "")
    blocks = reference(text)
    assert first_fence(text) == (blocks[0][1] if blocks else None)
    assert last_fence(text) == (blocks[-1][1] if blocks else None)
    python = [content for language, content in blocks if language == "python"]
    assert first_fence(text, ("python",)) == (python[0] if python else None)
    assert last_fence(text, ("Python",)) == (python[-1] if python else None)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.lists(LINES, max_size=12))
def test_line_ends_change_nothing_else(lines: list[str]) -> None:
    plain = first_fence("\n".join(lines))
    windows = first_fence("\r\n".join(lines))
    mac = first_fence("\r".join(lines))
    assert windows == (None if plain is None else plain.replace("\n", "\r\n"))
    assert mac == (None if plain is None else plain.replace("\n", "\r"))


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.text(alphabet="`~ \t\r\nax"))
def test_any_text_gives_a_part_of_it(text: str) -> None:
    for content in (first_fence(text), last_fence(text)):
        assert content is None or set(content) <= set(text)
        assert content is None or len(content) <= len(text) - 3
