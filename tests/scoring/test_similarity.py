"""Similarities of texts: vectors worked out by hand, plain formulas beside them, and texts that want to be slow."""

from __future__ import annotations

import difflib
import random
import re
import time
from collections.abc import Callable, Sequence
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qwencoder_eval.scoring.similarity import (
    KEYWORDS,
    MOST,
    MOST_PAIRS,
    as_many_lines,
    edit_ratio,
    edit_ratio_difflib,
    edit_similarity,
    equal_lines,
    equal_tokens,
    identifier_f1,
    identifiers,
    stripped_lines,
    without_comments,
    without_strings,
    words_and_signs,
)

Compare = Callable[[str, str], object]
SYMMETRIC: Sequence[Compare] = (equal_tokens, equal_lines, edit_ratio, edit_similarity)
SIMILARITIES: Sequence[Callable[[str, str], float]] = (edit_ratio, edit_ratio_difflib, edit_similarity)
ANY = st.text(st.characters(codec=None) | st.sampled_from("ab_1.\"'\\#/ \t\r\n\f\0\ud800\u2028é"), max_size=40)
CODE = st.text(st.sampled_from("abXY_1.\"'()=#/ \t\n"), max_size=30)
WORDS = st.lists(st.sampled_from(["a", "bc", "Key", "x1", "_y", "(", ")", "==", ".", "+"]), max_size=8)
BLANKS = st.text(st.sampled_from(" \t\n\r\f"), max_size=4)


def levenshtein(one: str, other: str) -> int:
    """The textbook's table, a row at a time."""
    row = list(range(len(other) + 1))
    for at, sign in enumerate(one, 1):
        before, row = row, [at]
        for place, wanted in enumerate(other):
            row.append(min(before[place] + (sign != wanted), before[place + 1] + 1, row[place] + 1))
    return row[-1]


def common(one: str, other: str) -> int:
    """Of the longest common subsequence, the length."""
    row = [0] * (len(other) + 1)
    for sign in one:
        before, row = row, [0]
        for place, wanted in enumerate(other):
            row.append(before[place] + 1 if sign == wanted else max(before[place + 1], row[place]))
    return row[-1]


def percent(value: float) -> float:
    return round(100 * value) / 100


# ---- exact match of tokens -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", []),
        (" \t\r\n\f\v", []),
        ("x", ["x"]),
        ("getValue", ["get", "Value"]),
        ("getHTTPValue", ["get", "HTTPValue"]),  # between two capitals there is no boundary
        ("HTTPServer2Go", ["HTTPServer2Go"]),  # nor between a digit and a letter
        ("aBcD", ["a", "Bc", "D"]),
        ("snake_caseWord", ["snake_case", "Word"]),
        ("éX", ["é", "X"]),  # no letter of A to Z: a sign of its own
        ("a==b", ["a", "=", "=", "b"]),
        ("x1+=-2.5e3", ["x1", "+", "=", "-", "2", ".", "5e3"]),
        ("f('a')", ["f", "(", "`", "a", "`", ")"]),
        ('f("a")', ["f", "(", "`", "a", "`", ")"]),
        ("f(`a`)", ["f", "(", "`", "a", "`", ")"]),
        ("'aB'", ["`", "a", "B", "`"]),  # in strings as well
        ("a\r\nb\fc\td\x1ce\x85f\xa0g\u2028h", list("abcdefgh")),  # all that \s is
        ("a\0b", ["a", "\0", "b"]),
        ("a\u200bb", ["a", "\u200b", "b"]),  # a space of no width is none
        ("# note", ["#", "note"]),
        ("a\\nb", ["a", "\\", "nb"]),
    ],
)
def test_words_and_signs(code: str, expected: list[str]) -> None:
    assert words_and_signs(code) == expected


@pytest.mark.parametrize(
    ("answer", "target", "equal"),
    [
        ("", "", True),
        ("", "\n", True),
        ("", "x", False),
        ("x = f( 'a' )", 'x=f("a")', True),
        ("return x", "returnx", False),
        ("fooBar", "foo Bar", True),  # laxer than a parser
        ("fooBar", "foobar", False),
        ("FOOBar", "FOO Bar", False),
        ("a  ==  b", "a = = b", True),
        ("it's", 'it"s', True),
        ("if x:\n\treturn", "if x: return", True),
        ("x  # note", "x", False),
        ("x", "x y", False),
        ("1.5", "1 .5", True),
    ],
)
def test_equal_tokens(answer: str, target: str, equal: bool) -> None:
    assert equal_tokens(answer, target) is equal


def plain_tokens(code: str) -> list[str]:
    """The same, a sign after the other."""
    found, word = [], ""
    for sign in [*code, " "]:
        in_word = sign == "_" or (sign.isascii() and sign.isalnum())
        if word and (not in_word or (word[-1].islower() and sign.isupper())):
            found.append(word)
            word = ""
        if in_word:
            word += sign
        elif not sign.isspace():
            found.append("`" if sign in "\"'" else sign)
    return found


@given(ANY)
@example("aBéXéx")
def test_tokens_are_those_of_the_plain_rule(code: str) -> None:
    assert words_and_signs(code) == plain_tokens(code)


@given(WORDS, st.data())
def test_blanks_between_tokens_do_not_count(words: list[str], data: st.DataObject) -> None:
    spaced = [word + " " + data.draw(BLANKS) for word in words]
    assert equal_tokens("".join(spaced), " ".join(words))
    assert equal_tokens(data.draw(BLANKS) + " ".join(words), "\n".join(words))


@given(CODE, CODE)
def test_quotes_do_not_count(answer: str, target: str) -> None:
    swapped = answer.translate(str.maketrans("'\"", "\"'"))
    assert equal_tokens(swapped, answer)
    assert equal_tokens(swapped, target) is equal_tokens(answer, target)


@given(st.from_regex(r"[a-z]{1,5}([A-Z][a-z]{1,5}){0,3}", fullmatch=True))
def test_humps_do_not_count(name: str) -> None:
    apart = re.sub("([A-Z])", r" \1", name)
    assert equal_tokens(name, apart)
    assert equal_tokens(name, name.lower()) is (name == name.lower())


# ---- lines -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "target", "equal"),
    [
        ("", "", True),
        ("", " \n\t\n", True),
        ("", "x", False),
        ("  x = 1\n\n  y = 2\n", "x = 1\ny = 2", True),
        ("x = 1\r\ny = 2\r\n", "x = 1\ny = 2", True),
        ("x = 1\ry = 2", "x = 1\ny = 2", False),  # a carriage return alone ends no line
        ("x = 1\fy = 2", "x = 1\ny = 2", False),  # nor does a form feed
        ("\fx = 1\f", "x = 1", True),  # which is a blank, though
        ("x = 1; y = 2", "x = 1\ny = 2", False),
        ("x  = 1", "x = 1", False),
        ("x = 'a'", 'x = "a"', False),
        ("a\nb", "a", False),
        ("a", "a\nb", False),
        ("a\u2028b", "a\nb", False),
    ],
)
def test_equal_lines(answer: str, target: str, equal: bool) -> None:
    assert equal_lines(answer, target) is equal


@given(st.lists(CODE, max_size=6), st.data())
def test_indentation_and_blank_lines_do_not_count(lines: list[str], data: st.DataObject) -> None:
    given_lines = []
    for line in lines:
        given_lines += [data.draw(BLANKS) + line, *["  "] * data.draw(st.integers(0, 2))]
    assert equal_lines("\n".join(given_lines), "\n".join(lines))


@pytest.mark.parametrize(
    ("answer", "target", "expected"),
    [
        ("", "", ("", "")),
        ("a\nb\nc", "x", ("a", "x")),
        ("a", "x\ny", ("a", "x\ny")),
        ("\n\n  a\n\n\tb\nc\n", "  x\n\n  y\n", ("a\nb", "x\ny")),
        ("a\r\nb\rc", "x\ny\nz", ("a\nb\nc", "x\ny\nz")),  # these lines end as splitlines ends them
        ("a\fb\x1cc\u2028d", "x\ny\nz", ("a\nb\nc", "x\ny\nz")),
        ("a\nb", "", ("", "")),
        ("a\nb", " \n ", ("", "")),
        ("", "x", ("", "x")),
    ],
)
def test_as_many_lines(answer: str, target: str, expected: tuple[str, str]) -> None:
    assert as_many_lines(answer, target) == expected


@given(ANY, ANY, ANY)
def test_lines_behind_the_last_wanted_one_do_not_count(answer: str, more: str, target: str) -> None:
    cut, wanted = as_many_lines(answer, target)
    if len(cut.splitlines()) == len(wanted.splitlines()):
        assert as_many_lines(f"{answer}\n{more}", target) == (cut, wanted)
    assert as_many_lines(target, target) == (wanted, wanted)
    assert len(cut.splitlines()) <= len(wanted.splitlines())


# ---- edit ratios -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "target", "ratio", "by_difflib", "similarity"),
    [
        ("", "", 1.0, 1.0, 0.0),
        ("", "a", 0.0, 0.0, 0.0),
        ("a", "", 0.0, 0.0, 0.0),
        ("a", "a", 1.0, 1.0, 1.0),
        ("a", "b", 0.0, 0.0, 0.0),
        ("ab", "ba", 0.5, 0.5, 0.0),
        ("abcd", "abxd", 0.75, 0.75, 0.75),
        ("kitten", "sitting", 0.62, 0.62, 1 - 3 / 7),  # 2 * 4 / 13
        ("return x", "return y", 0.88, 0.88, 0.875),  # 87.5, to the even one
        ("abcdefgx", "abcdefgy", 0.88, 0.88, 0.875),
        ("a" + "x" * 7, "a" + "y" * 7, 0.12, 0.12, 0.125),  # 12.5, to the even one
        ("abc" + "x" * 5, "abc" + "y" * 5, 0.38, 0.38, 0.375),
        # 17 of 40 letters are common. 1 - 46 / 80 is a little more than 0.425, and 34 / 80 is not.
        ("a" * 17 + "x" * 23, "a" * 17 + "y" * 23, 0.43, 0.42, 0.425),
        # The longest block, wxyz, is first in one and last in the other and leaves nothing else. abcdef are more.
        ("wxyzabc-d-e-f", "abc+d+e+fwxyz", 0.46, 0.31, 1 - 11 / 13),
        ("é", "e", 0.0, 0.0, 0.0),
        ("\ud800", "\ud800", 1.0, 1.0, 1.0),
        ("\ud800a", "\udfffa", 0.5, 0.5, 0.5),
        ("a\0b", "a\0c", 0.67, 0.67, 1 - 1 / 3),
    ],
)
def test_ratios(answer: str, target: str, ratio: float, by_difflib: float, similarity: float) -> None:
    assert edit_ratio(answer, target) == ratio
    assert edit_ratio_difflib(answer, target) == by_difflib
    assert edit_similarity(answer, target) == pytest.approx(similarity)


def test_from_200_letters_of_the_target_on_difflib_knows_junk() -> None:
    """A letter that makes up more than a hundredth is looked at only next to a match."""
    for size in (199, 200):
        answer, target = "b" + "a" * (size - 1), "a" * size
        ratio = {199: 0.99, 200: 1.0}[size]  # 198 of 199, and 199 of 200: 99.5, to the even one
        assert edit_ratio(answer, target) == ratio
        assert edit_ratio_difflib(answer, target) == {199: 0.99, 200: 0.0}[size]
    assert edit_ratio_difflib("b" + "a" * 199, "a" * 199) == 1.0  # 398 / 399
    assert edit_ratio_difflib("a" * 199, "b" + "a" * 199) == 0.0  # the other way round there is junk


def test_blanks_around_do_not_count_in_ratios_and_do_in_the_similarity() -> None:
    assert edit_ratio("  x = 1\r\n", "x = 1") == edit_ratio_difflib("\fx = 1\n", "x = 1\t") == 1.0
    assert edit_similarity(" x = 1", "x = 1") == pytest.approx(1 - 1 / 6)
    assert edit_similarity(" ", "") == 0.0


@given(CODE, CODE)
@example("a" * 17 + "x" * 23, "a" * 17 + "y" * 23)
@example("a", "b" * 7)
def test_plain_formulas(answer: str, target: str) -> None:
    longer = max(len(answer), len(target))
    distance = levenshtein(answer, target)
    assert edit_similarity(answer, target) == (1 - distance / longer if longer else 0.0)
    answer, target = answer.strip(), target.strip()
    length = len(answer) + len(target)
    apart = length - 2 * common(answer, target)
    assert edit_ratio(answer, target) == percent(1 - apart / length if length else 1.0)
    assert edit_ratio_difflib(answer, target) == percent(difflib.SequenceMatcher(None, answer, target).ratio())


def test_halves_are_exact_but_for_those_that_floating_point_moves() -> None:
    """Where a ratio lies between two per cents, it is rounded to the even one, or as its double is off."""
    for length in range(2, 120):
        for equal in range(length // 2 + 1):
            exact = Fraction(200 * equal, length)
            ours = round(100 * edit_ratio("a" * equal + "x" * (length // 2 - equal),
                                          "a" * equal + "y" * (length - length // 2 - equal)))  # fmt: skip
            if exact.denominator == 2:
                assert abs(ours - exact) == Fraction(1, 2)
            else:
                assert ours == round(exact)


@pytest.mark.parametrize("compare", SYMMETRIC)
@given(answer=ANY, target=ANY)
def test_symmetric(compare: Compare, answer: str, target: str) -> None:
    assert compare(answer, target) == compare(target, answer)


@pytest.mark.parametrize("compare", SIMILARITIES)
@given(answer=ANY, target=ANY)
def test_between_nothing_and_all(compare: Callable[[str, str], float], answer: str, target: str) -> None:
    value = compare(answer, target)
    assert 0.0 <= value <= 1.0
    assert compare(answer, answer) == (1.0 if answer or compare is not edit_similarity else 0.0)


@pytest.mark.parametrize("compare", [edit_ratio, edit_ratio_difflib])
@given(answer=CODE, target=CODE, before=BLANKS, after=BLANKS)
def test_outer_blanks_do_not_count(
    compare: Callable[[str, str], float], answer: str, target: str, before: str, after: str
) -> None:
    assert compare(before + answer + after, after + target + before) == compare(answer, target)


@given(CODE, CODE)
def test_difflib_never_finds_more(answer: str, target: str) -> None:
    assert edit_ratio_difflib(answer, target) <= edit_ratio(answer, target) + 0.01


# ---- comments, strings, identifiers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", ""),
        ("x  # note", "x  "),
        ("x // note", "x "),
        ("# one\n# two\nx", "\n\nx"),
        ("a // b # c\nd", "a \nd"),
        ("a # b // c", "a "),
        ("a / b", "a / b"),
        ("n = 7 // 2", "n = 7 "),  # floor division goes, whatever the language
        ('s = "#fff"', 's = "'),  # so does the rest of a string
        ('u = "https://a"', 'u = "https:'),
        ("/* a */ b", "/* a */ b"),
        ("a # b\r\nc", "a \nc"),  # up to the newline
        ("a # b\rc", "a "),
        ("a # b\fc\u2028d", "a "),
        ("#!\n", "\n"),
    ],
)
def test_without_comments(code: str, expected: str) -> None:
    assert without_comments(code) == expected


@given(st.lists(st.text(st.sampled_from("ab =#/\"'\t"), max_size=12), max_size=5))
def test_comments_end_with_their_line(lines: list[str]) -> None:
    cut = []
    for line in lines:
        places = [place for sign in ("#", "//") if (place := line.find(sign)) >= 0]
        cut.append(line[: min(places, default=len(line))])
    assert without_comments("\n".join(lines)) == "\n".join(cut)
    noted = "\n".join(f"{line} # a note" for line in cut)
    assert equal_lines(without_comments(noted), "\n".join(cut))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", ""),
        ('a "b" c', "a  c"),
        ("a 'b' c", "a  c"),
        ("''", ""),
        ('""" doc "x" """', "x"),  # three quotes are an empty string and the begin of the next
        ('"it\'s" x', " x"),
        ("'say \"x\"' y", " y"),
        ('"a\\"b" c', " c"),
        ('"a\\\\" b" c', ' b" c'),
        ('"open', '"open'),
        ("it's 'a' b", "ita' b"),  # the first two are a pair
        ('"two\nlines" x', " x"),  # a string may have several lines
        ('"a\\\nb" c', '"a\\\nb" c'),  # but no newline behind a backslash
        ('"\\"\\"\\"', '"\\"\\"\\"'),
        ("\"\\\" 'x' y", '"\\"  y'),  # what cannot be closed is no string
        ("\\'a'", "\\"),
    ],
)
def test_without_strings(code: str, expected: str) -> None:
    assert without_strings(code) == expected


UPSTREAM = re.compile(r'"([^"\\]*(\\.[^"\\]*)*)"|' + r"'([^'\\]*(\\.[^'\\]*)*)'")  # cceval's own: quadratic


@given(st.text(st.sampled_from("\"'\\\nax "), max_size=40))
@example('"\\"\'"\\\n"\'a"')
def test_strings_are_those_of_the_pattern(code: str) -> None:
    assert without_strings(code) == UPSTREAM.sub("", code)


@pytest.mark.parametrize(
    ("code", "language", "expected"),
    [
        ("", "python", []),
        ("for x in range(10): print(x_1)", "python", ["x", "range", "print", "x_1"]),
        ("return True, False, None", "python", ["True", "False"]),  # None alone is a keyword
        ("return true, null, this", "java", ["true", "null"]),
        ("var x = await y;", "java", ["x", "await", "y"]),
        ("var x = await y;", "csharp", ["var", "x", "await", "y"]),
        ("var x = await y; any", "typescript", ["x", "await", "y", "any"]),
        ("self.x = 'y z' + w", "python", ["self", "x", "w"]),
        ("1x 2 _ __a__", "python", ["_", "__a__"]),
        ("é xé", "python", ["xé"]),  # it begins like one
        ("match case type", "python", ["match", "case", "type"]),
        ("x x", "python", ["x", "x"]),
        ("String s = \"a b\" + 'c';", "java", ["String", "s"]),
    ],
)
def test_identifiers(code: str, language: str, expected: list[str]) -> None:
    assert identifiers(code, language) == expected


def test_keywords() -> None:
    """As many as the lists at cceval's commit have, and none of the literals."""
    assert {language: len(words) for language, words in KEYWORDS.items()} == {
        "python": 33, "java": 51, "csharp": 75, "typescript": 42,
    }  # fmt: skip
    for words in KEYWORDS.values():
        assert not {"true", "false", "True", "False", "null", "self"} & words - {"null"}
        assert {"if", "for", "while", "return"} <= words
    assert "null" in KEYWORDS["csharp"]
    assert "null" not in KEYWORDS["java"]


@pytest.mark.parametrize(
    ("answer", "target", "expected"),
    [
        ([], [], 0.0),
        (["a"], [], 0.0),
        ([], ["a"], 0.0),
        (["a"], ["a"], 1.0),
        (["a", "a"], ["a"], 1.0),  # as sets
        (["b", "a"], ["a", "b"], 1.0),
        (["a", "b"], ["a", "c"], 0.5),
        (["a"], ["a", "b", "c"], 0.5),
    ],
)
def test_identifier_f1(answer: list[str], target: list[str], expected: float) -> None:
    assert identifier_f1(answer, target) == expected


@given(st.lists(st.sampled_from("abcde")), st.lists(st.sampled_from("abcde")))
def test_f1_is_of_precision_and_recall(answer: list[str], target: list[str]) -> None:
    right = len({*answer} & {*target})
    value = identifier_f1(answer, target)
    assert value == identifier_f1(target, answer)
    if not right:
        assert value == 0.0
        return
    precision, recall = Fraction(right, len({*answer})), Fraction(right, len({*target}))
    assert value == pytest.approx(float(2 * precision * recall / (precision + recall)))


# ---- texts that want to be slow --------------------------------------------------------------------------------------

MILLION = 1_000_000
HOSTILE = {  # what is repeated
    "escaped quotes": '\\"',
    "mixed quotes": "'\"",
    "broken strings": '"\\\n',
    "quotes in quotes": "\"'\\\"\\'",
    "backslashes": "\\",
    "slashes": "/",
    "comments": "#\n",
    "humps": "aB",
    "one letter": "a",
    "blanks": " ",
    "newlines": "\n",
    "carriage returns": "\r",
    "zeros": "\0",
    "surrogates": "\ud800\udfff",
    "brackets": "(",
}


@pytest.mark.parametrize("size", [MILLION // 10, pytest.param(MILLION, marks=pytest.mark.slow)])
@pytest.mark.parametrize("repeated", HOSTILE.values(), ids=HOSTILE)
def test_long_texts(repeated: str, size: int) -> None:
    """A million characters take a second or two; what is quadratic in them would take hours."""
    text, target = '"' + repeated * (size // len(repeated)), "    return Value(x)  # \ud800\0"
    assert equal_tokens(text, target) is equal_lines(text, target) is False
    for language in KEYWORDS:
        assert len(identifiers(without_comments(text), language)) < size
    assert len(identifiers(text, "python")) < size
    for similarity in SIMILARITIES:
        assert similarity(text, target) < 0.5
        assert similarity(target, text) < 0.5
    cut, wanted = as_many_lines(text, target)
    assert cut.count("\n") <= wanted.count("\n")
    assert len(stripped_lines(text)) <= size


@pytest.mark.slow
def test_two_long_texts() -> None:
    draw = random.Random(0)
    one, other = ("".join(draw.choices("ab (){}\n", k=MILLION)) for _ in range(2))
    started = time.process_time()
    assert 0.5 < edit_ratio(one, other) < 1
    assert edit_ratio_difflib(one, other) == edit_ratio(one, other)
    assert 0.3 < edit_similarity(one, other) < 1
    assert time.process_time() - started < 60  # seconds; it takes about one
    assert edit_ratio(one[:MOST], other) == edit_ratio(one, other)


def test_past_a_bound_difflib_is_not_asked() -> None:
    answer, target = "ab" * 625, "aabb" * 49
    assert len(answer) * len(target) < MOST_PAIRS
    assert edit_ratio_difflib(answer, target) < edit_ratio(answer, target)
    longer = "ab" * (MOST_PAIRS // len(target))
    assert edit_ratio_difflib(longer, target) == edit_ratio(longer, target)
