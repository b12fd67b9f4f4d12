"""Printed output against what should have been printed: both rules of LiveCodeBench, in golden pairs and by themselves.

The golden verdicts were computed by upstream's own functions, with numpy's ``allclose``.
"""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qwencoder_eval.scoring.lines import Equal, by_decimals, by_floats, close, same_decimals

# output, expected, by_decimals, by_floats
GOLDEN: list[tuple[str, str, bool, bool]] = [
    ("1\n", "1\n", True, True),
    ("1", "1\n", True, True),
    ("\n\n 1 \t\r\n\n", "1", True, True),
    ("YES\nNO\n", "YES\nNO", True, True),
    # Letters are as they are.
    ("yes", "YES", False, False),
    ("Yes", "YES", False, False),
    ("YES\nNO", "NO\nYES", False, False),
    # Blanks at the ends of lines, and between words.
    ("1 2 \n3\t\n", "1 2\n3", True, True),
    (" 1\n 2", "1\n2", True, True),
    ("1  2", "1 2", True, False),
    ("a  b", "a b", False, False),
    ("1 2 3", "1 2\n3", False, False),
    # Empty lines: one rule counts them, the other does not mind.
    ("1\n\n2", "1\n2", False, True),
    ("1\n2", "1\n\n2", False, True),
    ("1\n\n\n2", "1\n\n2", False, True),
    ("1\n \n2", "1\n2", False, False),
    ("1\n\n2", "1\n \n2", True, True),
    ("a\n\nb", "a\nb", False, True),
    ("a \n\nb", "a\nb", False, False),
    ("a\n\nb", "a \nb", False, True),
    # Ends of lines that are none for both.
    ("1\r\n2\r\n", "1\n2\n", True, True),
    ("1\r2", "1\n2", False, True),
    ("1\x0b2\x0c3", "1\n2\n3", False, True),
    ("1\u20282", "1\n2", False, True),
    ("1\n2", "1\r2", False, False),
    ("a\rb", "a\rb", True, False),
    # How many lines.
    ("1\n2\n3", "1\n2", False, False),
    ("1\n2", "1\n2\n3", False, False),
    ("1.0\n2.0\n3.0", "1\n2", False, False),
    ("", "", True, True),
    (" \n\t\n", "", True, True),
    ("", "1", False, False),
    ("1", "", False, False),
    ("0", "", False, False),
    ("", "\n\n", True, True),
    # Written in another way.
    ("0.50", "0.5", True, True),
    ("5e-1", "0.5", True, True),
    ("5E-1", "0.5", True, True),
    (".5", "0.5", True, True),
    ("1.0", "1", True, True),
    ("1", "1.0", True, True),
    ("1.", "1", True, True),
    ("+7", "7", True, True),
    ("007", "7", True, False),
    ("007", "7.0", True, True),
    ("-0", "0", True, True),
    ("-0.0", "0", True, True),
    ("1e5", "100000", True, True),
    ("1_000", "1000", True, True),
    ("1,000", "1000", False, False),
    ("1.000.000", "1000000", False, False),
    ("1/2", "0.5", False, False),
    ("0x10", "16", False, False),
    ("1j", "1", False, False),
    ("True", "1", False, False),
    ("٣", "3", True, False),
    ("1 2.0", "1.0 2", True, False),
    # One part in 100,000 of the expected number, and nothing at all.
    ("1.00001", "1", False, True),
    ("1.0000101", "1", False, False),
    ("0.99999", "1", False, True),
    ("0.4999", "0.5", False, False),
    ("0.33333", "0.3333333333", False, True),
    ("1e-9", "0", False, True),
    ("1.1e-8", "0", False, False),
    ("3.14159\n2.71828", "3.14160\n2.71828", False, True),
    ("3.14159\n2.71828", "3.14160\n2.80000", False, False),
    ("3.14159 2.71828", "3.14160 2.71828", False, False),
    ("-5", "-5.00001", False, True),
    # Whole numbers: close is not equal, but only where all of them are without a sign.
    ("100000", "100001", False, False),
    ("1000000\n1", "1000001\n1", False, False),
    ("1000000\n1.0", "1000001\n1", False, True),
    ("-1000000", "-1000001", False, True),
    ("9007199254740993", "9007199254740992", False, False),
    ("-9007199254740993", "-9007199254740992", False, True),
    ("100000000000000000000000000000000001", "100000000000000000000000000000000000", False, False),
    ("100000000000000000000000000000000001.0", "100000000000000000000000000000000000", False, True),
    # What is no number, or none that fits.
    ("nan", "nan", True, True),
    ("NaN", "nan", False, False),
    ("nan 1", "nan 1.0", False, False),
    ("nan", "1", False, False),
    ("sNaN", "sNaN 1", False, False),
    ("sNaN", "snan", False, False),
    ("inf", "Infinity", True, True),
    ("inf", "-inf", False, False),
    ("inf", "1e400", False, True),
    ("1e400", "1e401", False, True),
    ("1e400", "10e399", True, True),
    ("1e-400", "1e-401", False, True),
    ("1e308", "1.000001e308", False, True),
    ("1e999999999", "1e999999998", False, True),
    ("1e999999999", "10e999999998", True, True),
    ("1e9999999999999999999", "1e9999999999999999999", True, True),
    ("1e9999999999999999999", "10e9999999999999999998", False, True),
    ("²", "2", False, False),
]  # fmt: skip


@pytest.mark.parametrize(("output", "expected", "decimals", "floats"), GOLDEN)
def test_golden_pairs(output: str, expected: str, decimals: bool, floats: bool) -> None:
    assert by_decimals(output, expected) is decimals
    assert by_floats(output, expected) is floats


# ---------------------------------------------------------------- against upstream's rules, said in other words


def decimals_restated(output: str, expected: str) -> bool:
    left, right = output.strip().split("\n"), expected.strip().split("\n")
    if len(left) != len(right):
        return False
    for one, other in zip(left, right, strict=True):
        if one.strip() == other.strip():
            continue
        try:
            if [Decimal(word) for word in one.split()] != [Decimal(word) for word in other.split()]:
                return False
        except InvalidOperation:
            return False
    return True


def floats_restated(output: str, expected: str) -> bool:
    printed = output.splitlines()
    for joined in ("\n".join(printed), "\n".join(line.strip() for line in printed)):
        if joined.strip() == expected.strip():
            return True
    wanted = [line.strip() for line in expected.split("\n") if len(line)]
    if printed == wanted:
        return True
    printed = [line for line in printed if len(line)]
    if printed == wanted:
        return True
    if not all(one.isdigit() and other.isdigit() for one, other in zip(printed, wanted, strict=False)):
        try:
            ours, theirs = [float(line) for line in printed], [float(line) for line in wanted]
        except ValueError:
            return False
        with np.errstate(all="ignore"):
            return len(ours) == len(theirs) and bool(np.allclose(ours, theirs))
    return False


ATOMS = [
    "0", "-0", "1", "1.0", "1.00001", "1.000011", "0.5", "5e-1", "2 3", "2  3", "2.0 3", "007", "+7", "yes", "YES",
    "nan", "NaN", "sNaN", "inf", "-inf", "1e400", "1e-400", "9007199254740993", "9007199254740992", "-9007199254740993",
    "-9007199254740992", "1,000", "1_000", "1000", "²", "٣", "1e9999999999999999999",
]  # fmt: skip
BETWEEN = ["\n", "\n", "\n", "\n\n", " \n", "\n ", "\r\n", "\r", "\t", " ", "\x0b", "\u2028", "\x1c", "\x85"]
NUMBERS = st.floats().map(repr) | st.integers().map(str) | st.decimals(allow_nan=False, places=3).map(str)
WORDS = st.sampled_from(ATOMS) | NUMBERS | st.text(max_size=3)
TEXTS = st.lists(WORDS | st.sampled_from(BETWEEN), max_size=9).map("".join)
RELATED = st.tuples(st.lists(WORDS, min_size=1, max_size=4), *[st.sampled_from(BETWEEN)] * 2).map(
    lambda made: (made[1].join(made[0]), made[2].join(made[0]) + made[1])
)
PAIRS = st.tuples(TEXTS, TEXTS) | RELATED


@given(PAIRS)
def test_decimals_by_the_rule_itself(pair: tuple[str, str]) -> None:
    assert by_decimals(*pair) is decimals_restated(*pair)


@given(PAIRS)
def test_floats_by_the_rule_itself(pair: tuple[str, str]) -> None:
    assert by_floats(*pair) is floats_restated(*pair)


@given(st.floats(), st.floats())
@example(1.0, 0.99999)
@example(0.0, 1e-8)
@example(1e308, -1e308)
@example(math.inf, math.inf)
@example(math.nan, math.nan)
def test_close_is_what_numpy_has(one: float, other: float) -> None:
    with np.errstate(all="ignore"):
        assert close(one, other) is bool(np.allclose([one], [other]))


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(-3e-5, 3e-5))
def test_close_is_what_numpy_has_where_it_matters(other: float, part: float) -> None:
    one = other * (1 + part)
    with np.errstate(all="ignore"):
        assert close(one, other) is bool(np.allclose([one], [other]))


# ---------------------------------------------------------------- what holds for any text


@pytest.mark.parametrize("equal", [by_decimals, by_floats])
@given(text=TEXTS)
@example(text="nan\nsNaN 1\n\n")
@example(text="\ud800")
def test_every_text_equals_itself(equal: Equal, text: str) -> None:
    own = "\n".join(text.splitlines())
    assert equal(own, own)
    assert by_decimals(text, text)


@given(PAIRS)
def test_decimals_are_equal_in_both_directions(pair: tuple[str, str]) -> None:
    assert by_decimals(*pair) is by_decimals(*reversed(pair))


BLANKS = st.text(" \t", max_size=3)


@pytest.mark.parametrize("equal", [by_decimals, by_floats])
@given(
    lines=st.lists(st.sampled_from(ATOMS), min_size=1, max_size=4),
    blanks=st.lists(st.tuples(BLANKS, BLANKS), min_size=4, max_size=4),
    around=st.tuples(st.text(" \t\n\r", max_size=3), st.text(" \t\n\r", max_size=3)),
)
def test_blanks_at_the_ends_do_not_matter(
    equal: Equal, lines: list[str], blanks: list[tuple[str, str]], around: tuple[str, str]
) -> None:
    text = "\n".join(lines)
    spaced = "\n".join(before + line + after for line, (before, after) in zip(lines, blanks, strict=False))
    assert equal(around[0] + spaced + around[1], text)
    assert equal(text, spaced)
    for other in ("1\n2", "0.5", "yes", "\n".join(lines[:-1])):
        wanted = equal(text, other)
        assert equal(around[0] + text + around[1], other) is wanted


@given(st.integers(), st.integers(1, 3))
def test_whole_numbers_that_differ_are_never_equal_by_decimals(number: int, difference: int) -> None:
    assert not by_decimals(str(number), str(number + difference))
    assert by_decimals(f"{number}.0", str(number))


@given(st.integers(0), st.integers(1, 3))
def test_whole_numbers_without_a_sign_that_differ_are_never_equal_by_floats(number: int, difference: int) -> None:
    assert not by_floats(str(number), str(number + difference))


# ---------------------------------------------------------------- numbers of any size, without waiting for them


@pytest.mark.parametrize("equal", [by_decimals, by_floats])
def test_long_numbers_are_compared_digit_by_digit(equal: Equal) -> None:
    """Longer than Python turns into an int, and than a float can hold."""
    digits = "7" * 40_000
    assert equal(digits, digits)
    assert not equal(digits[:-1] + "8", digits)
    assert by_decimals(digits + ".0", digits)
    assert not by_decimals(digits[:-1] + "8.0", digits)


def test_numbers_beyond_all_measure_are_not_written_out() -> None:
    pairs = [
        ("1e999999999999", "1"), ("1", "1e999999999999"), ("1e-999999999999", "0"), ("1e999999999", "10e999999998"),
        ("1e999999", "1" + "0" * 100_000), ("123e999999999999999999", "1"),
    ]  # fmt: skip
    assert [same_decimals(*pair) for pair in pairs] == [False, False, False, True, False, False]
    assert [by_decimals(*pair) for pair in pairs] == [False, False, False, True, False, False]


@pytest.mark.parametrize("equal", [by_decimals, by_floats])
def test_megabytes_are_compared(equal: Equal) -> None:
    text = "\n".join(map(str, range(200_000)))
    assert equal(text + " \n", text)
    assert not equal(text + "1", text)
    assert not equal(text.replace("\n", " "), text)
