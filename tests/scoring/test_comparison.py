"""EvalPlus's comparison, held against what EvalPlus's own code said, by whatever way the values came."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy
import pytest
from evalplus_verdicts import PAIRS, SEQUENCES, TABLE
from hypothesis import given, settings
from hypothesis import strategies as st
from suites import GENERATIONS, STRICTER, Answering, problem, recorded, right, suite_of, value_of

from qwencoder_eval.scoring.calls import CallScorer
from qwencoder_eval.scoring.comparison import Comparison
from qwencoder_eval.scoring.oracles import Generation
from qwencoder_eval.scoring.recorded import Line
from qwencoder_eval.scoring.values import Answer
from qwencoder_eval.types import Calls


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(("output", "expected", "atol", "today", "then"), PAIRS)
def test_pairs(
    output: str, expected: str, atol: float, today: bool, then: bool, generation: Generation, tmp_path: Path
) -> None:
    wanted = today if generation == "0.3" else then
    assert right(tmp_path, [value_of(output)], [value_of(expected)], atol, generation) is wanted


@pytest.mark.parametrize(("output", "expected", "signs"), [row for rows in TABLE.values() for row in rows])
def test_every_type(output: str, expected: str, signs: str, tmp_path: Path) -> None:
    found = [
        right(tmp_path, [value_of(output)], [value_of(expected)], atol, generation)
        for generation in GENERATIONS
        for atol in (0, 1e-6)
    ]
    assert found == [sign == "+" and (output, expected) not in STRICTER for sign in signs]


def test_what_is_stricter_here_is_in_the_table() -> None:
    assert {(output, expected) for rows in TABLE.values() for output, expected, _ in rows} >= STRICTER


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(("outputs", "expected", "atol", "today", "then"), SEQUENCES)
def test_a_tolerance_stays_on(
    outputs: list[str], expected: list[str], atol: float, today: bool, then: bool, generation: Generation,
    tmp_path: Path,
) -> None:  # fmt: skip
    found = right(tmp_path, [*map(value_of, outputs)], [*map(value_of, expected)], atol, generation)
    assert found is (today if generation == "0.3" else then)


def test_a_range_without_end_is_not_spread_out(tmp_path: Path) -> None:
    assert not right(tmp_path, [range(1 << 40)], [range(1 << 41)], 1e-6)


def test_what_cannot_be_compared_is_wrong() -> None:
    class Broken:
        def __eq__(self, other: object) -> bool:
            raise RecursionError

    compare = Comparison("0.3", None, 0, [Line(b'{"value": 1}', False, None)])
    assert compare.right(0, [], Answer(1, 1), 1)
    assert not compare.right(0, [], Answer(Broken(), 1), 1)
    assert not compare.right(0, [], Answer(1, 1), {"$": "nonsense"})


# ---------------------------------------------------------------- long values

MANY = 1_000
LONG: dict[str, tuple[Any, bool]] = {
    "floats": ([0.5] * MANY, True),
    "a tuple of floats": ((1e300,) * MANY, True),
    "whole floats": ([-3.0] * MANY, True),
    "infinity": ([float("-inf")] * MANY, True),
    "not a number": ([float("nan")] * MANY, True),
    "numpy floats": ([numpy.float64(0.5)] * MANY, True),
    "single precision": ([numpy.float32(0.5)] * MANY, False),
    "floats of another class": ([value_of("MyFloat(0.5)")] * MANY, True),
    "a list of another class": (value_of(f"MyList([0.5] * {MANY})"), True),
    "a tuple of another class": (value_of(f"MyTuple([0.5] * {MANY})"), True),
    "an array": (numpy.array([0.5] * MANY), True),
    "an array in single precision": (numpy.array([0.5] * MANY, dtype="<f4"), True),
    "an array of whole numbers": (numpy.arange(MANY), False),
    "an int first": ([1] + [0.5] * MANY, False),
    "an int last": ([0.5] * MANY + [1], False),
    "text": ("0.5 " * MANY, False),
    "a set": ({n / 2 for n in range(MANY)}, False),
    "lists of floats": ([[0.5]] * MANY, False),
}


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("name", LONG)
def test_a_long_value_switches_the_tolerance_on_as_a_short_one(
    name: str, generation: Generation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not read to know: many long answers before a wrong one would cost as many readings."""
    value, floats = LONG[name]
    (short,) = suite_of(tmp_path, [value]).expected.lines
    monkeypatch.setattr(Calls, "WHOLE_BYTES", 100)
    source = recorded(tmp_path, [value])
    source.long_path.unlink()
    (long,) = source.load().lines
    assert (short.sized is None, long.sized is None) == (True, False)
    for line in (short, long):
        assert (Comparison(generation, None, 0, [line]).tolerance(1) == 1e-6) is floats


# ---------------------------------------------------------------- ways that values come

FLOATS = st.sampled_from([0.0, -0.0, 1.0, 1.0000001, 1.00001, 0.3, 0.1 + 0.2, float("nan"), float("inf"), 1e300])
SCALARS = st.one_of(
    FLOATS,
    st.sampled_from([None, True, False, 0, 1, 2, -1, 10**30, 1 + 0j, "", "a", "NaN", "object", b"a", Decimal(1)]),
    st.sampled_from([numpy.float64(1.0), numpy.float32(0.5), numpy.int64(1), numpy.bool_(True)]),
    st.sampled_from([object(), {1: 2}.keys(), {1: 2}.values(), range(3), numpy.array([1.0]), numpy.array([1, 2])]),
)
HASHED = st.one_of(FLOATS, st.integers(0, 3), st.sampled_from(["a", None, (1, 2), frozenset({1})]))
VALUES = st.recursive(
    SCALARS | st.lists(FLOATS, min_size=5, max_size=9) | st.lists(FLOATS, min_size=1, max_size=3).map(tuple),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.lists(inner, max_size=3).map(deque),
        st.dictionaries(HASHED, inner, max_size=3),
        st.sets(HASHED, max_size=4),
        st.lists(FLOATS, max_size=3).map(numpy.array),
    ),
    max_leaves=6,
)


def nearly(value: Any) -> Any:
    """Another value, mostly, that a comparison may still take for the same."""
    if isinstance(value, list):
        return [nearly(item) for item in value]
    if isinstance(value, tuple):
        return list(value)
    return value * 1.00000004 if isinstance(value, (float, int)) and abs(value) < 1e9 else value


PAIR = st.one_of(
    VALUES.map(lambda value: (value, value)),
    VALUES.map(lambda value: (nearly(value), value)),
    st.tuples(VALUES, VALUES),
)
SHORTEST = 60  # bytes: with this threshold most of these values travel as digests


@contextmanager
def line_by_line() -> Iterator[None]:
    with patch("qwencoder_eval.scoring.recorded.is_plain", lambda line: False):
        yield


@contextmanager
def by_digest() -> Iterator[None]:
    with patch.object(Calls, "WHOLE_BYTES", SHORTEST):
        yield


@pytest.mark.parametrize("generation", GENERATIONS)
@settings(max_examples=250, deadline=None)
@given(pairs=st.lists(PAIR, min_size=1, max_size=4), atol=st.sampled_from([0, 0, 1e-6]))
def test_the_way_that_values_come_does_not_change_a_verdict(
    tmp_path_factory: pytest.TempPathFactory, generation: Generation, pairs: list[tuple[Any, Any]], atol: float
) -> None:
    """As equal bytes, line by line, or as digests first: the bytes only save time."""
    folder = tmp_path_factory.getbasetemp()
    outputs, expected = zip(*pairs, strict=True)
    inputs = [[call] for call in range(len(pairs))]
    asked, scorer = problem("f", inputs, atol), CallScorer({"s": "inputs"}, generation)
    found = []
    for ways in ((), (line_by_line,), (by_digest,), (line_by_line, by_digest)):
        with ExitStack() as stack:
            for way in ways:
                stack.enter_context(way())
            known = scorer.learn(asked, [recorded(folder, expected)])
            runner = Answering(outputs, SHORTEST if by_digest in ways else Calls.WHOLE_BYTES)
            judgement = scorer.score(asked, "", known, runner)
        assert runner.runs <= 2
        found.append((judgement.checks["s"], judgement.evidence.get("input")))
    assert len(set(found)) == 1, found
