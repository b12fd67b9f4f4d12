"""The kernels beside the plain rules: the same units, the same windows, whatever the text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qwencoder_eval.decontamination import kernels, lexing
from qwencoder_eval.decontamination.lexing import Lexer, padded
from qwencoder_eval.decontamination.rules import KEPT, RULES, Rule, canonical, fold, units

LEXER = Lexer()
EACH = [RULES[name] for name in ("qwen", "words", "code", "code-renamed")]
BLANKS = "".join(chr(at) for at in range(0x110000) if chr(at).isspace())
PIECES = [
    "a", "b", "ab", "x1", "_", "for", "range", "0", "9", "É", "ß", "ǰ", "中", "\U0001d400", "\u0301", "\ud800", " ",
    "  ", "\n", "\r", "\r\n", "\t", "\x1c", "\x85", "\xa0", "\u2003", "\u2028", "\u3000", "\u200b", "\x00", "\x7f", "#",
    "//", "/*", "*/", "/", "*",
    '"""', "'''", '"', "'", "r", "R", "b", "rb", "fr", "u", "(", ")", "+=", "==", ".", ":", ":\n", "abcdefgh",
    "abcdefghijklmnop", "x" * 15, " " * 9,
]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=60)


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def lexed(rule: Rule, text: str, n: int = 20) -> list[tuple[int, int]]:
    """Where the kernel has units (bytes)."""
    data = encoded(text)
    count = LEXER.lex(rule, padded(data), 0, len(data), n)
    return list(zip(LEXER.starts[:count].tolist(), LEXER.ends[:count].tolist(), strict=True))


def plain(rule: Rule, text: str) -> list[tuple[int, int]]:
    at = [0]
    for character in text:
        at.append(at[-1] + len(encoded(character)))
    return [(at[unit.start], at[unit.end]) for unit in units(text, rule.kind)]


@pytest.mark.parametrize("rule", EACH, ids=lambda rule: rule.name)
@given(text=texts)
@settings(max_examples=400)
@example(text='"""a"""b')
@example(text='r"""')
@example(text="''''''a'''")
@example(text='x """ y """ z')
@example(text="/*/ a */ b")
@example(text="a:\n  r'''b''' c:'''d''' :# e\n\n '''f''' '''g''' h")
@example(text="\n/* a\n*/ '''b''' c")
@example(text="a\x85b\xa0c\u2003d\u3000e\u1680f\u200bg\u205fh")
@example(text="abcdefgh\u3000abcdefg\u3000")
@example(text="abcdefgé abcdefghé éabcdefgh")
@example(text="ẞ İ ŉ ǰ ﬁ")
def test_units_stand_where_the_plain_rule_has_them(rule: Rule, text: str) -> None:
    assert lexed(rule, text) == plain(rule, text)


@pytest.mark.parametrize("rule", EACH, ids=lambda rule: rule.name)
@given(text=texts, size=st.integers(1, 5))
@settings(max_examples=300)
def test_windows_have_equal_keys_where_they_are_the_same_and_only_there(rule: Rule, text: str, size: int) -> None:
    data = encoded(text)
    count = LEXER.lex(rule, padded(data), 0, len(data), size)
    if count < size:
        return
    keys = LEXER.keys(rule, count, size).tolist()
    known: dict[int, tuple[str, ...]] = {}
    for begin, key in enumerate(keys):
        piece = data[LEXER.starts[begin] : LEXER.ends[begin + size - 1]].decode("utf-8", "surrogatepass")
        shown = canonical(piece, rule.kind)
        assert len(list(units(piece, rule.kind))) == size
        assert known.setdefault(key, shown) == shown
    assert len(set(known.values())) == len(known)


@given(text=texts, size=st.integers(2, 6))
@settings(max_examples=300)
def test_another_name_for_each_name_has_the_same_keys(text: str, size: int) -> None:
    """Of words of ASCII, as the others here are put together by accident."""
    text = text.encode("ascii", "ignore").decode()
    words = [unit.text for unit in units(text, "renamed")]
    names = {word: f"name{at}_" for at, word in enumerate(words) if not word[0].isdigit() and word not in KEPT}
    out, at = "", 0
    for unit in units(text, "renamed"):
        out += text[at : unit.start] + names.get(unit.text, unit.text)
        at = unit.end
    out += text[at:]
    if [unit.before for unit in units(out, "renamed")] != [unit.before for unit in units(text, "renamed")]:
        return  # a name has become the prefix of a string, or was one
    found = []
    for each in (text, out):
        count = LEXER.lex(RULES["code-renamed"], padded(each.encode()), 0, len(each), size)
        found.append(LEXER.keys(RULES["code-renamed"], count, size).tolist() if count >= size else [])
    assert found[0] == found[1]


def test_every_blank_of_python_separates_words_and_no_other_character() -> None:
    for at in [*range(0x3100), *range(0xFE00, 0xFF00), *range(0x1F600, 0x1F610)]:
        if not 0xD800 <= at < 0xE000:
            text = f"a{chr(at)}b"
            assert len(lexed(RULES["qwen"], text)) == len(text.split()), hex(at)
    assert set(BLANKS) == {c for c in map(chr, range(0x110000)) if c.isspace() and f"a{c}b".split() == ["a", "b"]}


def test_every_letter_folds_in_the_table_as_in_the_rule() -> None:
    table = lexing.folds()
    for at in range(len(table)):
        assert chr(table[at]) == (fold(chr(at)) or "\0")
    assert not any(chr(at).isalnum() for at in range(len(table), 0x110000))


@pytest.mark.parametrize("rule", EACH, ids=lambda rule: rule.name)
@given(data=st.binary(max_size=80))
@settings(max_examples=300)
def test_bytes_that_are_no_text_are_read_to_their_end_and_no_further(rule: Rule, data: bytes) -> None:
    first, second = (padded(data), np.frombuffer(data + b"\xff" * 8, np.uint8))
    count = LEXER.lex(rule, first, 0, len(data), 5)
    once = LEXER.starts[:count].tolist(), LEXER.ends[:count].tolist(), LEXER.words[:count].tolist()
    assert LEXER.lex(rule, second, 0, len(data), 5) == count
    assert once == (LEXER.starts[:count].tolist(), LEXER.ends[:count].tolist(), LEXER.words[:count].tolist())
    assert all(0 <= a < b <= len(data) for a, b in zip(*once[:2], strict=True))


@pytest.mark.parametrize("rule", EACH, ids=lambda rule: rule.name)
@given(before=st.binary(max_size=20), text=texts, behind=st.binary(max_size=20))
def test_what_lies_around_a_text_does_not_matter(rule: Rule, before: bytes, text: str, behind: bytes) -> None:
    data = encoded(text)
    alone = LEXER.lex(rule, padded(data), 0, len(data), 5)
    words, starts = LEXER.words[:alone].tolist(), LEXER.starts[:alone].tolist()
    among = LEXER.lex(rule, padded(before + data + behind), len(before), len(before) + len(data), 5)
    assert (among, LEXER.words[:among].tolist()) == (alone, words)
    assert [at - len(before) for at in LEXER.starts[:among].tolist()] == starts


def test_what_is_never_closed_is_looked_for_once() -> None:
    """Else a megabyte of openings would take a minute."""
    for opening in ("/*", '"""', "'''"):
        text = f":\n{opening} a" * 200_000
        count = LEXER.lex(RULES["code"], padded(text.encode()), 0, len(text), 5)
        assert count == (200_000 if opening == "/*" else 100_000)  # every second quote closes


def keys(rule: Rule, text: str, size: int) -> Any:
    data = encoded(text)
    count = LEXER.lex(rule, padded(data), 0, len(data), size)
    return LEXER.keys(rule, count, size).tolist()


def test_keys_are_spread_over_all_bits() -> None:
    text = " ".join(f"w{at}" for at in range(20_000))
    found = np.array(keys(RULES["qwen"], text, 10), np.uint64)
    assert len(np.unique(found)) == len(found)
    for bit in range(64):
        share = float(((found >> np.uint64(bit)) & np.uint64(1)).mean())
        assert 0.48 < share < 0.52, bit
    assert kernels.PAD == 8
