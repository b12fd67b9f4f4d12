"""Fenced code blocks in Markdown, as CommonMark 0.31.2 section 4.5 defines them.

Two simplifications: a fence is looked for at the top level only (not inside block quotes or list items),
and the line ending before the closing fence is not part of the content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# A whole line that starts like a fence: indentation, run of backticks or tildes, the rest of the line.
# Possessive repeats, and one attempt per line start: the scan is linear in the text.
_FENCE_LINE = re.compile(r"(?<![^\r\n])( {0,3}+)(`{3,}+|~{3,}+)([^\r\n]*+)")
_LINE_END = re.compile(r"\r\n|\r|\n")


class _Block(NamedTuple):
    language: str
    indentation: int
    start: int
    end: int


def first_fence(text: str, languages: tuple[str, ...] = ()) -> str | None:
    """The content of the first fenced block; None where there is none.

    With ``languages``, the first block whose info string begins with one of these words, in any case.
    Rule: CommonMark 0.31.2, section 4.5. A block that nothing closes (the model was cut off) runs to the
    end of the text, and content lines lose as much indentation as the opening fence has.
    """
    return next((_content(text, block) for block in _matching(text, languages)), None)


def last_fence(text: str, languages: tuple[str, ...] = ()) -> str | None:
    """Like ``first_fence``, of the last such block. Rule: CommonMark 0.31.2, section 4.5."""
    last: _Block | None = None
    for last in _matching(text, languages):  # noqa: B007
        pass
    return None if last is None else _content(text, last)


def fenced(text: str) -> Iterator[str]:
    """The contents of all fenced blocks, in order. Rule: CommonMark 0.31.2, section 4.5."""
    return (_content(text, block) for block in _blocks(text))


def _matching(text: str, languages: tuple[str, ...]) -> Iterator[_Block]:
    wanted = {language.casefold() for language in languages}
    return (block for block in _blocks(text) if not wanted or block.language in wanted)


def _blocks(text: str) -> Iterator[_Block]:
    opening: re.Match[str] | None = None
    for line in _FENCE_LINE.finditer(text):
        _, fence, rest = line.groups()
        if opening is None:
            # An info string after backticks holds no backtick: such a line is inline code.
            if fence[0] == "~" or "`" not in rest:
                opening = line
        elif fence.startswith(opening[2]) and not rest.strip(" \t"):
            yield _block(text, opening, line.start())
            opening = None
    if opening is not None:
        yield _block(text, opening, len(text))


def _block(text: str, opening: re.Match[str], end: int) -> _Block:
    words = opening[3].split(maxsplit=1)
    ending = _LINE_END.match(text, opening.end())
    start = ending.end() if ending else end
    return _Block(words[0].casefold() if words else "", len(opening[1]), start, end)


def _content(text: str, block: _Block) -> str:
    content = text[block.start : block.end].removesuffix("\n").removesuffix("\r")
    if not block.indentation:
        return content
    return re.sub(rf"(?<![^\r\n]) {{1,{block.indentation}}}", "", content)
