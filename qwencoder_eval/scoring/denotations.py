"""Whether two results of SQL queries are the same: the rules of Spider, of Qwen's evaluation and of BIRD.

spider    taoyds/test-suite-sql-eval at e97acc5, exec_eval.py
qwen      QwenLM/Qwen3-Coder at 0ae30f5, qwencoder-eval/{base,instruct}/bird-spider/sql_suites/ (both are the same)
bird      bird-bench/mini_dev at 4d970a9, evaluation/

A result is the list of its rows. A row is a tuple of ``None``, int, float, str and bytes, as sqlite3 gives them, and
all rows of a result are of one length. Names of columns do not matter. Values are equal as Python has it: 1 == 1.0,
0.0 == -0.0, '1' != 1, b'a' != 'a'.

SQLite turns NaN into NULL. From another engine a NaN equals nothing, not even itself: that is what upstream does with
fresh floats. Here it does not depend on whether a decoder makes one object of them all, so that a result that holds a
NaN is equal to no result, itself included. No comparison raises, and none changes what it is given.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from types import NoneType
from typing import Any

Row = tuple[Any, ...]
Rows = Sequence[Row]
WRITTEN_ONE_WAY = {NoneType, int, str, bytes}  # types in which equal values have equal texts


def spider(gold: Rows, answer: Rows, ordered: bool) -> bool:
    """Spider's test suite: the same bag of rows, or list where ``ordered``, under some order of the answer's columns.

    Source: ``result_eq`` of exec_eval.py. Its quirks: two empty results are equal whatever their columns, and the
    quick rejection (see ``rejected``) refuses some results that are equal. It samples 20 rows to have fewer
    permutations to try: that removes none that could succeed, as a value of an answer's column that is nowhere in
    the gold column rules the pair out, so the verdict does not depend on chance.

    Unlike upstream, which would not end, it gives up where a search is too long (``columns.LIMIT``) and says no.
    """
    gold, answer = nan_apart(gold), nan_apart(answer)
    if not gold and not answer:
        return True
    if len(gold) != len(answer) or len({*map(len, gold), *map(len, answer)}) != 1:
        return False
    matched = same_lists(gold, answer) if ordered else same_bags(gold, answer)
    return matched and not rejected(gold, answer, ordered)


def qwen(gold: Rows, answer: Rows, query: str) -> bool:
    """Qwen's evaluation of Spider: the rule above without order, whatever the gold ``query`` asks for.

    Source: ``execute_sql`` of eval.py and comparator.py. To see whether order matters it looks for "orderby" in
    ``re.sub(r"\\s+", query.lower(), "")``, where replacement and text are swapped: blanks are sought in the empty
    text, there are none, and what comes out is empty for every query. The query is still read as a replacement: a
    backslash in it that starts no escape, such as ``\\d`` or ``\\1``, raises, which upstream counts as wrong.
    No gold query of Spider's development set has a backslash. The results are handed over the other way round, which
    makes no difference.
    """
    try:
        re.sub(r"\s+", query.lower(), "")
    except (re.error, IndexError):
        return False
    return spider(gold, answer, ordered=False)


def bird_ex(gold: Rows, answer: Rows) -> bool:
    """BIRD's execution accuracy: equal sets of rows. Order and repeats of rows are free, order of columns is not.

    Source: ``calculate_ex`` of evaluation_ex.py; Qwen's eval.py does the same. Two empty results are equal.
    """
    return set(nan_apart(gold)) == set(nan_apart(answer))


def bird_soft_f1(gold: Rows, answer: Rows) -> float:
    """BIRD's soft F1, between 0 and 1: how many values the rows share, row i with row i once repeats are dropped.

    Source: ``calculate_f1_score`` of evaluation_f1.py. Every share is of the gold row's columns: answered values
    found in the gold row, answered values not in it, and gold values not in the answered row. Where a value stands
    does not matter, nor how often: (1, 1) is all of (1,). A gold row without a partner misses 1, an answered one adds
    1. Two empty results have 1. A gold row of no columns divides by zero upstream, which counts as 0; no engine gives
    one.
    """
    if not gold and not answer:
        return 1.0
    gold_rows, answered = list(dict.fromkeys(nan_apart(gold))), list(dict.fromkeys(nan_apart(answer)))
    pairs = list(zip(gold_rows, answered, strict=False))
    if not all(wanted for wanted, _ in pairs):
        return 0.0
    shares = [row_shares(wanted, got) for wanted, got in pairs]
    missing, extra = len(gold_rows) - len(pairs), len(answered) - len(pairs)
    found = sum(share[0] for share in shares)
    false = sum([*(share[1] for share in shares), *[1.0] * extra])  # in upstream's order, to the last bit
    missed = sum([*(share[2] for share in shares), *[1.0] * missing])
    if not found:
        return 0.0
    precision, recall = found / (found + false), found / (found + missed)
    return 2 * precision * recall / (precision + recall)


def row_shares(gold: Row, answer: Row) -> tuple[float, float, float]:
    """Values of the answer in the gold row, values not in it, and gold values missed, per column of the gold row.

    Source: ``calculate_row_match`` of evaluation_f1.py. The first two go beyond 1 where the answer is the wider one.
    """
    wanted, got = set(gold), set(answer)
    found = sum(value in wanted for value in answer)
    missed = sum(value not in got for value in gold)
    return found / len(gold), (len(answer) - found) / len(gold), missed / len(gold)


def bird_ves_reward(ratio: float) -> float:
    """The reward of one problem for the gold query's seconds over the answer's; 0 stands for a wrong result.

    Source: ``iterated_execute_sql`` of evaluation_ves.py. What compares with nothing (NaN) gets the least.
    """
    if ratio == 0:
        return 0.0
    steps = ((2, 1.25), (1, 1.0), (0.5, 0.75), (0.25, 0.5))
    return next((reward for least, reward in steps if ratio >= least), 0.25)


def bird_r_ves(rewards: Sequence[float]) -> float:
    """R-VES: the mean of the roots of the problems' rewards, times 100. All at 1.25 gives 111.8, the most there is.

    Source: ``compute_ves`` of evaluation_ves.py. Raises ValueError for no rewards, and for one below 0.
    """
    if not rewards:
        raise ValueError("R-VES: there are no rewards")
    if not min(rewards) >= 0:
        raise ValueError(f"R-VES: a reward must be at least 0, not {min(rewards)}")
    return sum(math.sqrt(reward) * 100 for reward in rewards) / len(rewards)


def nan_apart(rows: Rows) -> Rows:
    """The rows with every NaN an object of its own: sets and dictionaries hold an object for equal to itself."""
    if all(value == value for value in set(chain.from_iterable(rows))):
        return rows
    return [tuple(value if value == value else float("nan") for value in row) for row in rows]


def rejected(gold: Rows, answer: Rows, ordered: bool) -> bool:
    """Whether upstream's quick rejection refuses two results that are equal under some order of columns.

    Source: ``quick_rej`` of exec_eval.py. It puts each row's values into the order of ``str(x) + str(type(x))`` and
    asks for equal sets of such rows (lists where ``ordered``). Equal values that are written differently may come to
    lie in different places: (2, 2.5) becomes (2.5, 2), yet (2.0, 2.5) stays, so these two are unequal. Rows that hold
    no such value cannot differ here, as the caller has found that they match.
    """
    twice = written_twice([*chain.from_iterable(gold), *chain.from_iterable(answer)])
    done: dict[str, Row] = {}

    def sorted_row(row: Row) -> Row:
        text = repr(row)  # tells 1 from 1.0, so that rows of one text are one
        if text not in done:
            done[text] = tuple(sorted(row, key=lambda value: str(value) + str(type(value))))
        return done[text]

    first, second = ([sorted_row(row) for row in rows if not twice.isdisjoint(row)] for rows in (gold, answer))
    return first != second if ordered else set(first) != set(second)


def written_twice(values: Sequence[Any]) -> set[Any]:
    """The values that may equal one of another text: 1 and 1.0, and 0.0 for its sign."""
    types = set(map(type, values))
    if types <= WRITTEN_ONE_WAY:
        return set()
    seen: set[Any] = set()
    twice: set[Any] = {0.0}
    for kind in types:
        those = {value for value in values if type(value) is kind}
        twice |= seen & those
        seen |= those
    return twice


def same_lists(gold: Rows, answer: Rows) -> bool:
    """Whether some order of the answer's columns makes it the gold result row for row: the same bag of columns."""
    return Counter(zip(*gold, strict=True)) == Counter(zip(*answer, strict=True))


def same_bags(gold: Rows, answer: Rows) -> bool:
    """Whether some order of the answer's columns makes it the gold result as a bag of rows."""
    if Counter(gold) == Counter(answer):
        return True
    if set(chain.from_iterable(gold)) != set(chain.from_iterable(answer)):
        return False
    from .columns import permuted  # numpy is loaded where there is something to search

    return permuted(gold, answer)
