"""When a piece of a document is the same as a piece of a problem: named rules, each with a version.

A rule makes units of a text (words, roughly) and says when n units in a row are the same. This is the plain side, which
defines the rules and confirms every match; ``kernels`` finds the same pieces faster.

qwen          words between white space, case and all: QwenLM/Qwen3-Coder at 0ae30f5, finetuning/sft/utils/decont.py
words         letters and digits, case folded; whatever stands between them does not matter
code          identifiers, keywords and numbers, with the punctuation between them; no comments, docstrings or layout
code-renamed  the same with identifiers numbered in the order in which a piece names them
substring     a whole field of a problem, as words between white space in a row
minhash       documents that share half of their pairs of words with a problem
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

Kind = Literal["words", "folded", "code", "renamed"]


@dataclass(frozen=True, slots=True)
class Rule:
    """``n``: units in a row, unless the user says another number. ``whole``: fields count whole, not piece by piece.

    ``similar``: the share of pairs of words that documents have in common, of all that either has.
    """

    name: str
    version: int
    kind: Kind
    n: int
    whole: bool = False
    similar: float = 0.0


RULES = {
    rule.name: rule
    for rule in (
        Rule("qwen", 1, "words", 10),
        Rule("words", 1, "folded", 10),
        Rule("code", 1, "code", 10),
        Rule("code-renamed", 1, "renamed", 20),
        Rule("substring", 1, "words", 10, whole=True),
        Rule("minhash", 1, "folded", 2, similar=0.5),
    )
}

# What a renamed copy has as it was: keywords of the languages that benchmarks are in, and what Python brings along.
KEPT = frozenset(  # a change is another version of the rule
    """
    abs abstract all and any Array ArrayList as ascii assert async await base bin bool Boolean boolean break
    byte bytearray bytes callable case catch char Character checked chr class compile complex const constexpr
    continue debugger decimal def default defer del delegate delete dict dir divmod do done Double double echo
    elif else elseif elsif end enum enumerate esac eval event except exec explicit export extends extern False
    false fi filter final finally fixed Float float fn for foreach format from frozenset func function getattr
    global globals go goto hasattr hash HashMap hex id if impl implements implicit import in include input
    instanceof int Integer interface internal is isinstance issubclass iter lambda len let List list local
    locals lock Long long loop Map map match Math max memoryview min mod module mut namespace native new next
    nil None nonlocal not null nullptr Object object oct open operator Optional or ord out override package
    params pass pow print private property protected pub public raise range readonly ref repr require return
    reversed round sbyte sealed select self Set set setattr short signed sizeof slice sorted static staticmethod
    str String string struct sum super switch synchronized System template then this throw throws trait
    transient True true try tuple type typedef typename typeof union unless unsafe unsigned until use using var
    vars vector virtual void volatile when where while with yield zip
    """.split()  # noqa: SIM905
)

# White space, what is left out, a word, and any other character. A docstring begins a text, or a line behind a colon:
# else the end of a string of several lines would begin one, and hide the code behind it.
TOKEN = re.compile(
    r"""(?P<blank>\s+)
    |(?P<comment>\#[^\n\r]* | //[^\n\r]* | /\*.*?\*/)
    |(?P<docstring>[rRuUbBfF]{0,2}(?:\"\"\".*?\"\"\" | '''.*?'''))
    |(?P<word>(?:[A-Za-z0-9_]|[^\x00-\x7f\s])+)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
WORD = re.compile(r"\S+")


class Unit(NamedTuple):
    """``text`` is the word; ``before`` the punctuation between it and the word before, where a rule looks at that.

    ``start`` and ``end`` are the word's characters.
    """

    start: int
    end: int
    text: str
    before: str = ""


def units(text: str, kind: Kind) -> Iterator[Unit]:
    """The units of a text, in order."""
    if kind == "words":
        return (Unit(found.start(), found.end(), found[0]) for found in WORD.finditer(text))
    return _folded(text) if kind == "folded" else _code(text, begins=True)


@lru_cache(maxsize=1 << 16)
def fold(character: str) -> str:
    """One character for one: "" where it is no letter or digit; what folds to several is as in lower case, or as is."""
    if not character.isalnum():
        return ""
    for folded in (character.casefold(), character.lower(), character):
        if len(folded) == 1:
            return folded
    raise AssertionError


def _folded(text: str) -> Iterator[Unit]:
    start, word = 0, ""
    for at, character in enumerate(text):
        if folded := fold(character):
            start = start if word else at
            word += folded
        elif word:
            yield Unit(start, at, word)
            word = ""
    if word:
        yield Unit(start, len(text), word)


def _code(text: str, begins: bool) -> Iterator[Unit]:
    """``begins``: whether a docstring may begin here."""
    at, before, colon = 0, "", False
    while at < len(text):
        found = TOKEN.match(text, at)
        assert found
        kind = found.lastgroup
        if kind == "docstring" and not begins:
            quote = re.search("[\"']", found[0]).start()  # type: ignore[union-attr]
            kind, end = ("word", at + quote) if quote else ("other", at + 1)
        else:
            end = found.end()
        piece = text[at:end]
        if kind == "blank":
            begins = begins or (colon and ("\n" in piece or "\r" in piece))
        elif kind == "word":
            yield Unit(at, end, piece, before)
            before, begins, colon = "", False, False
        elif kind != "comment":
            if kind == "other":
                before += piece
            begins, colon = False, piece == ":"
        at = end


def canonical(text: str, kind: Kind) -> tuple[str, ...]:
    """What has to be the same of a piece, which begins and ends with a unit: equal pieces have equal ones.

    Of a piece out of a text it is what it would be there, as nothing before it and behind it counts.
    """
    found = list(units(text, kind) if kind in ("words", "folded") else _code(text, begins=False))
    names: dict[str, str] = {}
    parts = []
    for at, unit in enumerate(found):
        shown = unit.text
        if kind == "renamed" and is_name(shown):
            shown = names.setdefault(shown, f"<{len(names)}>")
        parts += [unit.before, shown] if at else [shown]
    return tuple(parts)


def is_name(word: str) -> bool:
    """Whether a renamed copy may have another word there."""
    return not ("0" <= word[0] <= "9") and word not in KEPT
