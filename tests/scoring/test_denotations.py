"""Results of queries against each other: pairs by hand for every rule and quirk, and all permutations as oracle."""

from __future__ import annotations

import itertools
import math
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qwencoder_eval.scoring.denotations import bird_ex, bird_r_ves, bird_soft_f1, bird_ves_reward, qwen, spider

Row = tuple[Any, ...]
Rows = list[Row]

INF = math.inf
# gold, answer, whether equal as bags, whether equal as lists
SPIDER: list[tuple[Rows, Rows, bool, bool]] = [
    ([(1,)], [(1,)], True, True),
    # Empty results have no width.
    ([], [], True, True),
    ([], [(1,)], False, False),
    ([(1,)], [], False, False),
    ([], [(None,)], False, False),
    # Order of rows.
    ([(1,), (2,)], [(2,), (1,)], True, False),
    ([(1, 2), (3, 4)], [(3, 4), (1, 2)], True, False),
    ([("a", 1), ("b", 1)], [(1, "b"), (1, "a")], True, False),
    # Order of columns, the same one for all rows.
    ([(1, 2)], [(2, 1)], True, True),
    ([(1, 2), (3, 4)], [(2, 1), (4, 3)], True, True),
    ([(1, 2), (3, 4)], [(1, 2), (4, 3)], False, False),
    ([(1, 2), (2, 1)], [(1, 2), (1, 2)], False, False),
    ([(1, 2), (2, 1)], [(2, 1), (1, 2)], True, True),
    ([(1, 2, 3), (1, 3, 2)], [(2, 1, 3), (3, 1, 2)], True, True),
    ([(0, 1, 1), (1, 0, 1), (1, 1, 0)], [(1, 1, 0), (1, 0, 1), (0, 1, 1)], True, True),
    ([(0, 0, 1), (0, 1, 0), (1, 1, 1)], [(1, 0, 0), (1, 1, 1), (0, 1, 0)], True, False),
    # How many columns, and how many rows.
    ([(1, 1)], [(1,)], False, False),
    ([(1,)], [(1, 1)], False, False),
    ([(1,), (1,)], [(1,)], False, False),
    ([(1,)], [(1,), (1,)], False, False),
    ([(1,), (1,), (2,)], [(1,), (2,), (2,)], False, False),
    ([(1,), (1,), (2,)], [(1,), (2,), (1,)], True, False),
    ([(1, 1, 2)], [(1, 2, 2)], False, False),
    ([(1, 1, 2)], [(2, 1, 1)], True, True),
    # Values as Python compares them.
    ([(1,)], [(1.0,)], True, True),
    ([(1,)], [(True,)], True, True),
    ([(1,)], [("1",)], False, False),
    ([(1.0,)], [("1.0",)], False, False),
    ([(0,)], [(None,)], False, False),
    ([("",)], [(None,)], False, False),
    ([(None,)], [(None,)], True, True),
    ([("None",)], [(None,)], False, False),
    ([("a",)], [("A",)], False, False),
    ([("a",)], [("a ",)], False, False),
    ([("a",)], [(b"a",)], False, False),
    ([(b"a",)], [(b"a",)], True, True),
    ([("é",)], [("e\u0301",)], False, False),
    ([(0.1 + 0.2,)], [(0.3,)], False, False),
    ([(INF,)], [(INF,)], True, True),
    ([(INF,)], [(-INF,)], False, False),
    ([(2**53,)], [(float(2**53),)], True, True),
    ([(2**53 + 1,)], [(float(2**53),)], False, False),
    ([(2**63 - 1,)], [(2**63 - 1,)], True, True),
    ([(0.0,)], [(-0.0,)], True, True),
    # The quick rejection: "2<" comes after "2.5<" and "2.0<" before it.
    ([(2, 2.5)], [(2.0, 2.5)], False, False),
    ([(2, 2.5)], [(2.5, 2)], True, True),
    ([(2, 2.5)], [(2.5, 2.0)], False, False),
    ([(2, 3)], [(2.0, 3)], True, True),
    ([(2,), (2.5,)], [(2.0,), (2.5,)], True, True),
    ([(10, "10.5")], [(10.0, "10.5")], False, False),
    ([(10, "11")], [(10.0, "11")], True, True),
    ([(True, "A")], [(1, "A")], False, False),  # "1<", "A<", "True<"
    ([(True, "X")], [(1, "X")], True, True),
    # "-0.0<" comes before "-5<", and "0.0<" after it.
    ([(0.0, -5)], [(-0.0, -5)], False, False),
    ([(0.0, 5)], [(-0.0, 5)], True, True),
    ([(0, -5)], [(-0.0, -5)], False, False),
    # It compares sets of rows where order is free, so how often a spelling occurs does not matter.
    ([(2, 2.5), (2.0, 2.5)], [(2, 2.5), (2, 2.5)], False, False),
    ([(2, 2.5), (2.0, 2.5), (2, 2.5)], [(2.0, 2.5), (2, 2.5), (2.0, 2.5)], True, False),
    ([(2, 2.5), (2.0, 2.5)], [(2.0, 2.5), (2, 2.5)], True, False),
    # NaN equals nothing, be it one object or two.
    ([(math.nan,)], [(math.nan,)], False, False),
    ([(float("nan"),)], [(float("nan"),)], False, False),
    ([(math.nan, 1)], [(1, math.nan)], False, False),
    ([(1,), (math.nan,)], [(math.nan,), (1,)], False, False),
]

# gold, answer, equal sets of rows
BIRD_EX: list[tuple[Rows, Rows, bool]] = [
    ([], [], True),
    ([], [(None,)], False),
    ([(1,)], [], False),
    ([(1,), (2,)], [(2,), (1,)], True),
    ([(1,), (1,), (2,)], [(1,), (2,), (2,), (2,)], True),
    ([(1, 2)], [(2, 1)], False),
    ([(1, 1)], [(1,)], False),
    ([(1,)], [(1,), (2,)], False),
    ([(2, 2.5)], [(2.0, 2.5)], True),
    ([(0.0, -5)], [(-0.0, -5)], True),
    ([(1,)], [("1",)], False),
    ([(None, b"x")], [(None, b"x")], True),
    ([("x",)], [(b"x",)], False),
    ([(INF,)], [(INF,)], True),
    ([(math.nan,)], [(math.nan,)], False),
]

# gold, answer, soft F1 by hand: tp, fp and fn are in the comments
SOFT_F1: list[tuple[Rows, Rows, float]] = [
    ([], [], 1.0),
    ([], [(1,)], 0.0),
    ([(1,)], [], 0.0),
    ([(1,)], [(1,)], 1.0),
    ([(1,)], [(2,)], 0.0),
    ([(1,)], [(1.0,)], 1.0),
    ([(1,)], [("1",)], 0.0),
    ([(None,)], [(None,)], 1.0),
    ([(1,), (2,)], [(1,)], 2 / 3),  # 1, 0, 1
    ([(1,)], [(1,), (2,)], 2 / 3),  # 1, 1, 0
    ([(1, 2)], [(2, 1)], 1.0),  # places in a row are free
    ([(1, 2)], [(1, 3)], 1 / 2),  # 1/2, 1/2, 1/2
    ([(1,), (2,)], [(2,), (1,)], 0.0),  # rows meet by their number
    ([(1,), (2,), (3,)], [(1,), (3,)], 2 / 5),  # 1, 1, 2
    ([(1,), (1,), (2,)], [(1,), (2,)], 1.0),  # repeats are dropped
    ([(1,), (2,)], [(1,), (2,), (2,), (1,)], 1.0),
    ([(1,), (1.0,), (2,)], [(True,), (2,)], 1.0),
    ([(1, 2)], [(1,)], 2 / 3),  # 1/2, 0, 1/2
    ([(1,)], [(1, 2, 3)], 1 / 2),  # 1, 2, 0
    ([(1,)], [(1, 1, 1)], 1.0),  # 3, 0, 0: a share beyond 1
    ([(1, 1)], [(1, 2)], 2 / 3),  # 1/2, 1/2, 0: the gold row misses nothing
    ([(1,)], [(1, 1, 2)], 4 / 5),  # 2, 1, 0
    ([(1, 1, 2)], [(1,)], 2 / 3),  # 1/3, 0, 1/3: not symmetric
    ([(1, 2), (3, 4)], [(1, 2), (3, 5)], 3 / 4),  # 3/2, 1/2, 1/2
    ([(1, 2), (3, 4)], [(1, 9), (8, 4), (5, 6)], 2 / 5),  # 1, 2, 1
    ([(1, 2), (3, 4), (5, 6)], [(1, 9)], 1 / 4),  # 1/2, 1/2, 5/2
    ([(1, math.nan)], [(1, math.nan)], 1 / 2),  # 1/2, 1/2, 1/2
    ([(math.nan,), (math.nan,)], [(1,)], 0.0),
    ([(1,), (math.nan,), (math.nan,)], [(1,)], 1 / 2),  # 1, 0, 2: two NaN are two rows
    ([()], [(1,)], 0.0),  # upstream divides by zero, which it counts as 0
    ([(1,), ()], [(1,)], 2 / 3),  # where no answered row meets it, it does not: 1, 0, 1
]


@pytest.mark.parametrize(("gold", "answer", "bags", "lists"), SPIDER)
def test_spider_by_hand(gold: Rows, answer: Rows, bags: bool, lists: bool) -> None:
    assert (spider(gold, answer, False), spider(gold, answer, True)) == (bags, lists)
    assert (spider(answer, gold, False), spider(answer, gold, True)) == (bags, lists)


@pytest.mark.parametrize(("gold", "answer", "bags", "lists"), SPIDER)
def test_the_oracle_agrees_with_what_was_computed_by_hand(gold: Rows, answer: Rows, bags: bool, lists: bool) -> None:
    gold, answer = fresh(gold), fresh(answer)
    assert (tried(gold, answer, False), tried(gold, answer, True)) == (bags, lists)


@pytest.mark.parametrize(("gold", "answer", "equal"), BIRD_EX)
def test_bird_ex_by_hand(gold: Rows, answer: Rows, equal: bool) -> None:
    assert bird_ex(gold, answer) is equal
    assert bird_ex(answer, gold) is equal


@pytest.mark.parametrize(("gold", "answer", "score"), SOFT_F1)
def test_bird_soft_f1_by_hand(gold: Rows, answer: Rows, score: float) -> None:
    found = bird_soft_f1(gold, answer)
    assert isinstance(found, float)
    assert found == pytest.approx(score, abs=1e-15)


@pytest.mark.parametrize(
    ("query", "equal"),
    [
        ("SELECT a FROM t ORDER BY a", True),  # its order is not looked at
        ("SELECT a FROM t", True),
        ("orderby", True),
        ("", True),
        (r"SELECT a FROM t WHERE b LIKE '%\_' ESCAPE '\' ORDER BY a", True),  # no letter behind it
        (r"SELECT a FROM t WHERE b = '\n'", True),
        (r"SELECT a FROM t WHERE b = '\N'", True),  # lower case when it is read
        (r"SELECT a FROM t WHERE b = '\d'", False),
        (r"SELECT a FROM t WHERE b = '\1'", False),
        (r"SELECT a FROM t WHERE b = '\g<a>'", False),
        (r"SELECT a FROM t WHERE b = '\g'", False),
        ("SELECT a \\", False),
    ],
)  # fmt: skip
def test_qwen_never_asks_for_order(query: str, equal: bool) -> None:
    assert qwen([(1,), (2,)], [(2,), (1,)], query) is equal
    assert qwen([(1,), (2,)], [(1,), (2,)], query) is equal
    assert qwen([(1,), (2,)], [(2,), (2,)], query) is False
    assert tried_by_qwen([(1,), (2,)], [(2,), (1,)], query) is equal


def test_spider_does_where_qwen_does_not() -> None:
    assert not spider([(1,), (2,)], [(2,), (1,)], ordered=True)


@pytest.mark.parametrize(
    ("ratio", "reward"),
    [
        (0, 0), (0.0, 0), (1e-9, 0.25), (0.2499, 0.25), (0.25, 0.5), (0.4999, 0.5), (0.5, 0.75), (0.9999, 0.75),
        (1, 1), (1.0, 1), (1.9999, 1), (2, 1.25), (100.0, 1.25), (INF, 1.25), (-1, 0.25), (math.nan, 0.25),
    ],
)  # fmt: skip
def test_reward_by_hand(ratio: float, reward: float) -> None:
    assert bird_ves_reward(ratio) == reward


def test_r_ves_by_hand() -> None:
    assert bird_r_ves([1, 1, 1]) == 100
    assert bird_r_ves([0.0]) == 0
    assert bird_r_ves([0.25, 0]) == 25  # the root of a quarter, and a wrong one
    assert bird_r_ves([1, 0.25]) == 75
    assert bird_r_ves([1.25]) == pytest.approx(111.80339887498948)
    assert bird_r_ves([1.25, 1, 0.75, 0.5, 0.25, 0]) == pytest.approx(
        (111.80339887498948 + 100 + 86.60254037844386 + 70.71067811865476 + 50 + 0) / 6
    )


@pytest.mark.parametrize(("rewards", "message"), [([], "no rewards"), ([1, -0.25], "at least 0"), ([math.nan], "nan")])
def test_r_ves_of_what_is_none(rewards: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bird_r_ves(rewards)


# All permutations, as upstream has it.


def sorted_row(row: Row) -> Row:
    return tuple(sorted(row, key=lambda value: f"{value}{type(value)}"))


def tried(gold: Rows, answer: Rows, ordered: bool, sampled: Sequence[Row] = ()) -> bool:
    """Upstream's verdict. ``sampled`` are the answered rows that rule permutations out beforehand."""
    if not gold or not answer:
        return gold == answer
    if len(gold) != len(answer) or len(gold[0]) != len(answer[0]):
        return False
    lists = [sorted_row(row) for row in gold], [sorted_row(row) for row in answer]
    if lists[0] != lists[1] if ordered else set(lists[0]) != set(lists[1]):
        return False
    width = range(len(gold[0]))
    held = [{row[column] for row in gold} for column in width]
    allowed = [[other for other in width if all(row[other] in held[column] for row in sampled)] for column in width]
    for order in itertools.permutations(width):
        if all(other in allowed[column] for column, other in zip(width, order, strict=True)):
            turned = [tuple(row[other] for other in order) for row in answer]
            if turned == gold if ordered else all(turned.count(row) == gold.count(row) for row in gold):
                return True
    return False


def tried_by_qwen(gold: Rows, answer: Rows, query: str) -> bool:
    try:
        ordered = "orderby" in re.sub(r"\s+", query.lower(), "")
        return tried(answer, gold, ordered)
    except Exception:
        return False


def f1_by_lists(gold: Rows, answer: Rows) -> float:
    """Upstream's soft F1, by lists and the ``in`` of tuples."""
    if not gold and not answer:
        return 1
    gold, answer = list(dict.fromkeys(gold)), list(dict.fromkeys(answer))
    tp = fp = fn = 0.0
    for wanted, got in itertools.zip_longest(gold, answer):
        if wanted is None:
            fp += 1
        elif got is None:
            fn += 1
        else:
            tp += len([value for value in got if value in wanted]) / len(wanted)
            fp += len([value for value in got if value not in wanted]) / len(wanted)
            fn += len([value for value in wanted if value not in got]) / len(wanted)
    precision = tp / (tp + fp) if tp + fp else 0
    recall = tp / (tp + fn) if tp + fn else 0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0


def fresh(rows: Rows) -> Rows:
    """As an engine gives them: no two NaN are one object."""
    return [tuple(float("nan") if value != value else value for value in row) for row in rows]


# Few values, so that tables tie; and pairs that the quick rejection tells apart.
VALUES = st.sampled_from([None, 0, 1, 1.0, True, "", "1"])
SPELLINGS = st.sampled_from([2, 2.0, 2.5, 0.0, -0.0, -5])
BITS = st.sampled_from([0, 1])
OTHER = {1: 1.0, 2: 2.0, 0: -0.0}


@st.composite
def tables(draw: st.DrawFn, wide: int = 5, least: int = 0) -> Rows:
    values = draw(st.sampled_from([BITS, VALUES, SPELLINGS]))
    width = draw(st.integers(1, wide))
    return draw(st.lists(st.tuples(*[values] * width), min_size=least, max_size=6))


def turned(rows: Rows, columns: list[int]) -> Rows:
    return [tuple(row[column] for column in columns) for row in rows]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Rows, Rows]:
    """Two tables that are equal, nearly equal, or neither."""
    gold = draw(tables())
    kind = draw(st.sampled_from(["same", "spelled", "changed", "swapped", "other"]))
    if kind == "other" or not gold:
        return gold, draw(tables())
    answer = turned(draw(st.permutations(gold)), draw(st.permutations(range(len(gold[0])))))
    cells = [list(row) for row in answer]
    places = st.tuples(st.integers(0, len(cells) - 1), st.integers(0, len(cells[0]) - 1))
    (row, column), (second, third) = draw(places), draw(places)
    if kind == "spelled":
        value = cells[row][column]
        cells[row][column] = OTHER.get(value, value)
    elif kind == "changed":
        cells[row][column] = draw(st.one_of(VALUES, SPELLINGS))
    elif kind == "swapped":
        cells[row][column], cells[second][third] = cells[second][third], cells[row][column]
    return gold, [tuple(row) for row in cells]


@settings(max_examples=600)
@given(pairs(), st.booleans())
@example(([(2, 2.5), (2.0, 2.5)], [(2.5, 2), (2.5, 2)]), False)
def test_spider_is_what_trying_all_permutations_gives(pair: tuple[Rows, Rows], ordered: bool) -> None:
    assert spider(*pair, ordered) is tried(*pair, ordered)


@settings(max_examples=200)
@given(pairs(), st.booleans())
def test_sampled_rows_change_no_verdict(pair: tuple[Rows, Rows], ordered: bool) -> None:
    """All rows rule out the most permutations, none the fewest: twenty at random lie between the two."""
    assert tried(*pair, ordered, sampled=pair[1]) is tried(*pair, ordered)


@settings(max_examples=150)
@given(pairs(), st.sampled_from(["SELECT a ORDER BY a", "SELECT a", r"SELECT '\d'", r"SELECT '\n'"]))
def test_qwen_is_what_trying_all_permutations_gives(pair: tuple[Rows, Rows], query: str) -> None:
    assert qwen(*pair, query) is tried_by_qwen(*pair, query)


@given(pairs(), st.booleans())
def test_spider_and_bird_ex_are_symmetric(pair: tuple[Rows, Rows], ordered: bool) -> None:
    gold, answer = pair
    assert spider(gold, answer, ordered) is spider(answer, gold, ordered)
    assert bird_ex(gold, answer) is bird_ex(answer, gold)


@given(tables())
def test_every_result_equals_itself(rows: Rows) -> None:
    assert spider(rows, rows, True)
    assert spider(rows, rows, False)
    assert qwen(rows, list(rows), "")
    assert bird_ex(rows, rows)
    assert bird_soft_f1(rows, rows) == 1


@given(tables(least=1), st.integers(0, 5), st.integers(0, 4), st.booleans())
def test_no_result_with_a_nan_equals_itself(rows: Rows, row: int, column: int, ordered: bool) -> None:
    row, column = row % len(rows), column % len(rows[0])
    rows[row] = (*rows[row][:column], math.nan, *rows[row][column + 1 :])
    assert not spider(rows, rows, ordered)
    assert not bird_ex(rows, rows)
    assert bird_soft_f1(rows, rows) < 1


@given(pairs(), st.data())
def test_columns_and_rows_may_be_turned(pair: tuple[Rows, Rows], data: st.DataObject) -> None:
    gold, answer = pair
    orders = [data.draw(st.permutations(range(len(rows[0])))) if rows else [] for rows in pair]
    rows = [data.draw(st.permutations(rows)) for rows in pair]
    assert spider(turned(gold, orders[0]), turned(answer, orders[1]), True) is spider(gold, answer, True)
    assert spider(turned(rows[0], orders[0]), turned(rows[1], orders[1]), False) is spider(gold, answer, False)
    assert bird_ex(*rows) is bird_ex(gold, answer)
    assert bird_soft_f1(gold, turned(answer, orders[1])) <= 1


@given(pairs())
def test_equal_lists_are_equal_bags_but_for_the_quick_rejection(pair: tuple[Rows, Rows]) -> None:
    if spider(*pair, True):
        assert spider(*pair, False)


@settings(max_examples=200)
@given(pairs(), tables())
def test_soft_f1_is_what_lists_give(pair: tuple[Rows, Rows], other: Rows) -> None:
    for gold, answer in (pair, (pair[0], other)):
        found = bird_soft_f1(gold, answer)
        assert found == f1_by_lists(gold, answer)  # to the last bit
        assert 0 <= found <= 1


@given(pairs())
def test_nothing_given_is_changed(pair: tuple[Rows, Rows]) -> None:
    before = repr(pair)
    for rule in (bird_ex, bird_soft_f1):
        rule(*pair)
    spider(*pair, True), spider(*pair, False), qwen(*pair, "")
    assert repr(pair) == before


# Results that are large, and those that all permutations would never get through.


def shuffled(rows: Rows, rng: random.Random) -> Rows:
    columns = rng.sample(range(len(rows[0])), len(rows[0]))
    return rng.sample(turned(rows, columns), len(rows))


def swapped(rows: Rows, column: int = 3) -> Rows:
    """Two values of a column change places: every column holds what it held."""
    at = next(at for at, row in enumerate(rows) if row[column] != rows[0][column])
    cells = [list(row) for row in rows]
    cells[0][column], cells[at][column] = cells[at][column], cells[0][column]
    return [tuple(row) for row in cells]


def nasty(kind: str, rng: random.Random, rows: int = 2000, width: int = 12) -> Rows:
    if kind == "permuted":
        return list(zip(*(rng.sample(range(rows), rows) for _ in range(width)), strict=True))
    if kind == "floats":
        return [tuple(map(float, row)) for row in nasty("permuted", rng, rows, width)]
    if kind == "booleans":
        return [tuple(rng.randrange(2) for _ in range(width)) for _ in range(rows)]
    few = nasty("permuted", rng, rows, width // 3)
    return [row * 3 for row in few]


@pytest.mark.parametrize("kind", ["permuted", "floats", "booleans", "repeated"])
def test_wide_results(kind: str) -> None:
    rng = random.Random(kind)
    rows = nasty(kind, rng)
    answer = shuffled(rows, rng)
    assert spider(rows, answer, False)
    assert not spider(rows, answer, True)
    assert spider(rows, turned(rows, rng.sample(range(12), 12)), True)
    assert not spider(rows, shuffled(swapped(rows), rng), False)
    assert not spider(rows, shuffled([(*rows[0][:-1], -1), *rows[1:]], rng), False)
    assert not spider(rows, turned(swapped(rows), rng.sample(range(12), 12)), True)


def test_wide_results_of_one_value() -> None:
    rows = [(1,) * 100] * 1000
    assert spider(rows, [(1.0,) * 100] * 1000, False)
    assert spider(rows, [(1.0,) * 100] * 1000, True)
    odd = [*rows[1:], (*rows[0][1:], 2)]
    assert not spider(rows, odd, False)
    assert spider(odd, [(2, *rows[0][1:]), *rows[1:]], False)
    assert not spider(odd, [(2, *rows[0][1:]), *rows[1:]], True)
    assert bird_ex(rows, rows)
    assert bird_soft_f1(rows, odd) == pytest.approx(2 / 3)  # the second row of two has no partner: 1, 1, 0


def test_every_row_of_bits_twice() -> None:
    """No column can be told from another, and any order of them will do."""
    cube = [*itertools.product((0, 1), repeat=9)] * 2
    rng = random.Random(0)
    assert spider(cube, shuffled(cube, rng), False)
    assert not spider(cube, shuffled([*cube[:-1], cube[0]], rng), False)


def test_numpy_is_not_loaded_for_it() -> None:
    code = "import sys, qwencoder_eval.scoring.denotations; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
