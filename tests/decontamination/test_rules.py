"""What each rule takes for a unit, and what it takes for the same: vectors made by hand."""

from __future__ import annotations

import pytest

from qwencoder_eval.decontamination.rules import KEPT, RULES, Kind, canonical, fold, is_name, units


def words(text: str, kind: Kind) -> list[str]:
    return [unit.text for unit in units(text, kind)]


def shown(text: str, kind: Kind = "code") -> str:
    """Punctuation and words of code, as they follow each other."""
    return " ".join(part for unit in units(text, kind) for part in (unit.before, unit.text) if part)


def test_the_rules_are_these_and_another_definition_is_another_version() -> None:
    found = {(rule.name, rule.version, rule.kind, rule.n, rule.whole, rule.similar) for rule in RULES.values()}
    assert found == {
        ("qwen", 1, "words", 10, False, 0.0),
        ("words", 1, "folded", 10, False, 0.0),
        ("code", 1, "code", 10, False, 0.0),
        ("code-renamed", 1, "renamed", 20, False, 0.0),
        ("substring", 1, "words", 10, True, 0.0),
        ("minhash", 1, "folded", 2, False, 0.5),
    }
    assert list(RULES) == [rule.name for rule in RULES.values()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2028\u2029\u202f\u205f\u3000", []),
        ("def f(a, b):\n\treturn a+b", ["def", "f(a,", "b):", "return", "a+b"]),
        ("A a\xa0Ä\u3000ä", ["A", "a", "Ä", "ä"]),
        ("zero\u200bwidth \ufeffmark \u2060joiner \x00", ["zero\u200bwidth", "\ufeffmark", "\u2060joiner", "\x00"]),
    ],
)
def test_words_stand_between_white_space(text: str, expected: list[str]) -> None:
    assert words(text, "words") == expected == text.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("?! -- ...", []),
        ("Don't STOP, café-Bar!", ["don", "t", "stop", "café", "bar"]),
        ("snake_case x2 3.14", ["snake", "case", "x2", "3", "14"]),
        ("ΣΊΣΥΦΟΣ ς Σ σ", ["σίσυφοσ", "σ", "σ", "σ"]),  # one letter in three forms
        ("ſ K Å", ["s", "k", "å"]),  # the long s, the signs of Kelvin and Ångström
        ("Straße STRASSE", ["straße", "strasse"]),  # two letters are never one
        ("ẞ İ ŉ ǰ ﬁ", ["ß", "İ", "ŉ", "ǰ", "ﬁ"]),
        ("中文,かな 𝒳𝟙 ½ ²", ["中文", "かな", "𝒳𝟙", "½", "²"]),
        ("cafe\u0301s", ["cafe", "s"]),  # a letter of two characters is no letter here
        ("a\u200bb\ufeffc\ud800d", ["a", "b", "c", "d"]),
    ],
)
def test_letters_and_digits_are_words_case_folded(text: str, expected: list[str]) -> None:
    assert words(text, "folded") == expected


def test_folding_is_one_character_for_one() -> None:
    assert [fold(each) for each in "aÄ9ßẞ_ -'"] == ["a", "ä", "9", "ß", "ß", "", "", "", ""]
    assert all(len(fold(chr(at))) <= 1 for at in range(0x3000))
    assert all(fold(fold(chr(at))) == fold(chr(at)) for at in range(0x3000) if fold(chr(at)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f(a, b):\n    return a+b", "def f ( a , b ): return a + b"),
        ("a  +\n\t b", "a + b"),
        ("x += 1", "x += 1"),
        ("x + = 1", "x += 1"),  # layout does not matter
        ("x_1 _ __init__ 0x1F 1.5e3", "x_1 _ __init__ 0x1F 1 . 5e3"),
        ("größe=變數", "größe = 變數"),
        ("a\u3000b\xa0c\u200bd", "a b c\u200bd"),
        ("... ; a ; ...", "...; a"),  # what stands behind the last word counts for nothing
    ],
)
def test_code_is_words_and_the_punctuation_between(text: str, expected: str) -> None:
    assert shown(text) == shown(text, "renamed") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a # b\nc", "a c"),
        ("a # b\rc", "a c"),
        ("a # b", "a"),
        ("# a\x85b\x0bc\u2028d\ne", "e"),  # only these two end a line
        ("a // b\nc", "a c"),
        ("a / b", "a / b"),
        ("a /* b\n c */ d", "a d"),
        ("a /*/ b */ c", "a c"),
        ("a /**/ c", "a c"),
        ("a /* b", "a /* b"),  # not closed
        ("a */ b", "a */ b"),
        ("a /* b // c */ d", "a d"),
        ("a // b /* c\nd */ e", "a d */ e"),
        ("a # b /* c\nd */ e", "a d */ e"),
        ("a(#b\n)c", "a () c"),  # punctuation on both sides is one
        ("s = 'a # b'\nc", "s =' a c"),  # of a string, too: a rule knows no strings
        ("http://a\nb", "http : b"),
    ],
)
def test_comments_are_left_out(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize("quotes", ['"""', "'''"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("QaQ b", "b"),
        ("  \n# c\n QaQ b", "b"),
        ("def f():\n  Qa\n b # Q\n x", "def f (): x"),  # whatever its end stands behind
        ("def f():\n  QaQ\n  b", "def f (): b"),
        ("def f():\r  QaQ\r  b", "def f (): b"),
        ("def f(): # c\n\n  QaQ b", "def f (): b"),
        ("def f(): QaQ\n  b", "def f ():Q a Q b"),  # in the same line
        ("x = QaQ b", "x =Q a Q b"),
        ("x\nQaQ b", "x Q a Q b"),  # in a line of its own, but behind no colon
        ("x = Q\na\nQ\ny = 1\ndef f():\n QbQ\n z", "x =Q a Q y = 1 def f (): z"),  # an end is no beginning
        ("f:\nr QaQ b", "f : r Q a Q b"),
        ("f:\nrQaQ b", "f : b"),
        ("f:\nRbQaQ b", "f : b"),
        ("f:\nrbuQaQ b", "f : rbu Q a Q b"),
        ("f:\nrQa", "f : r Q a"),  # not closed
        ("f:\nQa\nb", "f :Q a b"),
        ("f:\nQQ b", "f : b"),
        ("f:\nQaQQbQ c", "f :Q b Q c"),
        ("f:\nQ /* Q a */ b", "f : a */ b"),
        ("f:\n/* Q */ QaQ b", "f : b"),
    ],
)
def test_docstrings_are_left_out(quotes: str, text: str, expected: str) -> None:
    assert shown(text.replace("Q", quotes)) == expected.replace("Q", quotes)


def test_other_quotes_close_no_docstring() -> None:
    assert shown("'''a\"\"\"b''' c") == "c"
    assert shown("\"''a''\" c") == "\"'' a ''\" c"


def test_positions_are_those_of_the_words() -> None:
    text = 'f( é2,# x\n "b" )'
    assert [text[unit.start : unit.end] for unit in units(text, "code")] == ["f", "é2", "b"]
    assert [(unit.start, unit.end, unit.before) for unit in units(text, "code")] == [
        (0, 1, ""),
        (3, 5, "("),
        (12, 13, ',"'),
    ]
    assert [(unit.start, unit.end) for unit in units("-Ab_c", "folded")] == [(1, 3), (4, 5)]
    assert [(unit.start, unit.end) for unit in units("  ab\xa0c", "words")] == [(2, 4), (5, 6)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "<0>"),
        ("b a b", "<0>  <1>  <0>"),
        ("for x in range(10): x", "for  <0>  in  range ( 10 ): <0>"),
        ("1e5 e5 _1", "1e5  <0>  <1>"),
        ("self.n = len(n)", "self . <0> = len ( <0>"),
        ("Range range", "<0>  range"),  # as it is written
        ("größe Größe größe", "<0>  <1>  <0>"),
    ],
)
def test_identifiers_are_numbered_in_the_order_of_a_piece(text: str, expected: str) -> None:
    assert " ".join(canonical(text, "renamed")) == expected


def test_a_piece_numbers_its_own_names() -> None:
    text = "total = total + item * weight"
    assert canonical(text[8:], "renamed") == canonical("x + y * z", "renamed") != canonical("x + y * x", "renamed")
    assert canonical("a = b", "renamed") == canonical("b = a", "renamed") != canonical("a = a", "renamed")


def test_keywords_and_what_python_brings_along_are_kept_and_numbers_are_no_names() -> None:
    assert {"def", "return", "len", "function", "const", "self", "List", "true"} <= KEPT
    assert not any(is_name(word) for word in [*KEPT, "0", "9x", "1_000"])
    assert all(is_name(word) for word in ("x", "_", "numbers", "Def", "é", "٣"))  # other scripts' digits are letters


def test_what_stands_around_a_piece_does_not_count() -> None:
    assert canonical("(a+b)", "code") == canonical("a+b", "code") == ("a", "+", "b")
    assert canonical("..a-b;", "folded") == ("a", "", "b") == canonical("A B", "folded")
    assert canonical(" a  b ", "words") == ("a", "", "b") != canonical("A b", "words")
    assert canonical("", "code") == canonical("# a", "code") == canonical("?", "folded") == ()


def test_a_piece_begins_no_docstring() -> None:
    """It begins with a word: what looks like one is behind that word."""
    assert canonical("r'''a''' b", "code") == ("r", "'''", "a", "'''", "b")
    assert canonical("f:\n'''a''' b", "code") == ("f", ":", "b")


def test_a_piece_out_of_a_text_is_what_it_is_there() -> None:
    text = """'''One.'''
def f(a):  # two
    '''Three
    four'''
    b = '''
    five:
    '''  /* six */
    return b // a:
"""
    every = list(units(text, "code"))
    assert [unit.text for unit in every] == ["def", "f", "a", "b", "five", "return", "b"]
    for first in range(len(every)):
        for last in range(first, len(every)):
            there = [part for unit in every[first : last + 1] for part in (unit.before, unit.text)]
            assert canonical(text[every[first].start : every[last].end], "code") == tuple(there[1:])
