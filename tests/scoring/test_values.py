# ruff: noqa: E501 (hostile lines are long)
"""How values travel: sandbox/calls.py writes them, scoring/values.py reads them; Python's own == is the judge."""

from __future__ import annotations

import enum
import json
import math
import os
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, ItemsView, Iterator, KeysView
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

import calls
import numpy
import pytest
from evalplus_verdicts import TABLE
from hypothesis import given, settings
from hypothesis import strategies as st
from suites import STRICTER, value_of

from qwencoder_eval.scoring.calls import WHOLE
from qwencoder_eval.scoring.values import (
    MAPPINGS,
    SCALARS,
    SEQUENCES,
    Failure,
    ForgedError,
    Iterated,
    Opaque,
    decode_line,
    encode,
    type_name,
)

Point = namedtuple("Point", "x y")


class Colour(enum.IntEnum):
    RED = 1


class AnyInt(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


class AnyList(list[Any]):
    def __eq__(self, other: object) -> bool:
        return True

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Any:
        return iter([1, 2, 3])


class AnyStr(str):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


class AnyDict(dict[Any, Any]):
    def __eq__(self, other: object) -> bool:
        return True

    def items(self) -> Any:
        return {"a": 1}.items()


class Meta(type):
    def __eq__(cls, other: object) -> bool:
        return True

    def __instancecheck__(cls, instance: object) -> bool:
        return True

    __hash__ = type.__hash__


class Chameleon(metaclass=Meta):
    """Equal to everything, and claims to be whatever it is asked for."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __reduce__(self) -> Any:
        return (list, ([1, 2, 3],))

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        return list

    def __iter__(self) -> Any:
        return iter([1, 2, 3])


def travel(value: Any) -> Any:
    return decode_line(calls.line_of(value, WHOLE)).value


# One line a type of the table: values that differ, each also unequal to all others.
DIFFERENT: list[list[Any]] = [
    [None],
    [True, False],
    [2, -7, 10**30, 10**5000, -(10**5000), 2**63, 2**64 + 1],
    [0.5, -0.25, 1e300, 1e-300, math.inf, -math.inf],
    ["", "a", "ä", "\ud800", "\x00", "1", "\u2028"],
    [[], [1], [1, 2], [[1]], [1.5, "a", None], [10**5000]],
    [(), (1,), (1, 2), ((1,),), ([1],)],
    [{}, {1: 2}, {"a": [1]}, {(1, 2): {3: 4}}, {None: None}],
    [set(), {1}, {1, 2}, {(1, 2)}, {frozenset({1})}],
    [b"", b"a", b"\xff\x00"],
    [1 + 2j, complex(0, math.inf)],
    [range(0), range(3), range(0, 10, 3)],
    [deque(), deque([1]), deque([1, 2])],
    [Decimal("1.23"), Decimal("Infinity")],
    [Fraction(1, 3), Fraction(10**400 + 1, 3)],
]
# By the types of the table: whether a value is of that type.
KINDS: dict[str, Callable[[Any], bool]] = {
    "None": lambda value: value is None,
    "bool": lambda value: type(value) is bool,
    "int": lambda value: type(value) is int,
    "long int": lambda value: type(value) is int and abs(value) >= 10**4300,
    "float": lambda value: type(value) is float,
    "inf": lambda value: type(value) is float and math.isinf(value),
    "nan": lambda value: value != value,
    **{kind.__name__: partial(lambda kind, value: type(value) is kind, kind) for kind in (
        str, bytes, bytearray, complex, list, tuple, set, frozenset, dict, Counter, OrderedDict, defaultdict, deque,
        range, Decimal, Fraction,
    )},
    "namedtuple": lambda value: hasattr(value, "_fields"),
    "numpy scalar": lambda value: isinstance(value, numpy.generic),
    "numpy array": lambda value: isinstance(value, numpy.ndarray),
    "subclass": lambda value: type(value).__name__.startswith(("My", "Colour")),
    "iterator": lambda value: isinstance(value, Iterator),
    "dict view": lambda value: isinstance(value, (KeysView, ItemsView)),
    "object": lambda value: type(value) is object,
}  # fmt: skip
NEVER_EQUAL = {"nan", "iterator", "object"}
ROWS = [(left, right) for rows in TABLE.values() for left, right, _ in rows]


def equality(left: Any, right: Any) -> bool | str:
    try:
        return bool(left == right)
    except ValueError:
        return "neither true nor false"


@pytest.mark.parametrize(("left", "right"), ROWS)
def test_equality_after_the_journey_is_pythons(left: str, right: str) -> None:
    pythons = equality(value_of(left), value_of(right)) if (left, right) not in STRICTER else False
    assert equality(travel(value_of(left)), travel(value_of(right))) == pythons
    assert equality(travel(value_of(right)), travel(value_of(left))) == pythons


@pytest.mark.parametrize("value", sorted({side for row in ROWS for side in row}))
def test_what_equals_itself_does_so_after_the_journey(value: str) -> None:
    once, again = (equality(value_of(value), value_of(value)) for _ in range(2))
    assert once == again
    unknown = value in ("int", "...", "NotImplemented")
    assert equality(travel(value_of(value)), travel(value_of(value))) == (once if not unknown else False)


def test_every_type_has_an_equal_and_an_unequal_pair() -> None:
    assert set(TABLE) == set(KINDS)
    for kind, is_one in KINDS.items():
        found = set()
        for left, right, _ in TABLE[kind]:
            values = value_of(left), value_of(right)
            if (left, right) not in STRICTER and any(map(is_one, values)):
                found.add(equality(*values))
        assert found >= ({False} if kind in NEVER_EQUAL else {True, False}), kind


def test_every_form_that_is_read_is_in_the_table() -> None:
    """A type that is added to the host's side, or the sandbox's, must come with pairs."""
    found: set[str] = set()

    def look(encoded: Any) -> None:
        if isinstance(encoded, dict):
            found.add(encoded["$"])
            for item in encoded.values():
                look(item)
        elif isinstance(encoded, list):
            for item in encoded:
                look(item)

    for row in ROWS:
        for side in row:
            look(json.loads(calls.line_of(value_of(side), WHOLE))["value"])
    assert found == {*SEQUENCES, *MAPPINGS, *SCALARS}


def test_every_value_is_equal_to_itself_only() -> None:
    values = [value for line in DIFFERENT for value in line]
    for i, left in enumerate(values):
        for j, right in enumerate(values):
            ours, pythons = travel(left) == travel(right), left == right
            assert ours is pythons, (left, right)
            assert (i == j) <= pythons


@pytest.mark.parametrize("value", [value for line in DIFFERENT for value in line], ids=lambda v: type(v).__name__)
def test_type_survives(value: Any) -> None:
    assert type(travel(value)) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        Counter("aab"),
        OrderedDict(a=1),
        defaultdict(list, {"a": [1]}),
        numpy.float32(0.5),
        numpy.int8(-3),
        numpy.array([[1, 2]]),
    ],
    ids=lambda v: type(v).__name__,
)
def test_library_types_survive(value: Any) -> None:
    back = travel(value)
    assert type(back) is type(value)
    assert repr(back) == repr(value).replace("<class 'list'>", "None")


def test_arrays_keep_shape_and_kind() -> None:
    array = numpy.arange(6, dtype="<f4").reshape(2, 3)
    back = travel(array)
    assert back.dtype == array.dtype
    assert back.shape == (2, 3)
    assert (back == array).all()
    assert (travel(numpy.array(["ab", "c"])) == numpy.array(["ab", "c"])).all()


@pytest.mark.parametrize(
    "value", [AnyInt(7), AnyStr("x"), AnyList([7]), AnyDict(b=2), Point(1, 2), Colour.RED], ids=repr
)
def test_a_subclass_is_its_data(value: Any) -> None:
    base = next(kind for kind in (int, str, list, dict, tuple) if issubclass(type(value), kind))
    plain = {int: int.__index__, str: str.__str__, list: list.copy, dict: dict.copy, tuple: tuple}[base](value)  # type: ignore[operator]
    assert travel(value) == plain
    assert type(travel(value)) is base
    assert travel(value) != travel([1, 2, 3])
    assert type_name(calls.encode(value)) == type(value).__name__


@pytest.mark.parametrize(
    "value",
    [Chameleon(), object(), lambda: 1, iter([1]), (x for x in ()), int, NotImplemented, ..., len, Meta],
    ids=lambda v: type(v).__name__,
)
def test_an_unknown_object_equals_nothing(value: Any) -> None:
    back = travel(value)
    assert isinstance(back, Opaque)
    for other in (back, travel(value), None, 1, [1, 2, 3], Opaque("x"), [back]):
        assert back != other
        assert other != back
    assert travel([value]) != travel([value])


def test_nesting_has_an_end() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert isinstance(travel(endless), Opaque)
    deep: list[Any] = []
    for _ in range(calls.MAX_DEPTH - 2):
        deep = [deep]
    assert travel(deep) == deep
    for _ in range(5000):
        deep = [deep]
    assert isinstance(travel(deep), Opaque)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.none(), inner)
        | st.sets(st.integers() | st.text())
        | st.frozensets(st.floats(allow_nan=False))
    ),
    max_leaves=20,
)


@given(PLAIN)
@settings(max_examples=300, deadline=None)
def test_round_trip(value: Any) -> None:
    assert travel(value) == value
    assert repr(type(travel(value))) == repr(type(value))


@given(PLAIN, PLAIN)
@settings(max_examples=300, deadline=None)
def test_equality_is_pythons(left: Any, right: Any) -> None:
    assert (travel(left) == travel(right)) is (left == right)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"x", b"[]", b"1", b"{}", b'{"loaded": false}', b'{"value": {"$": "nonsense"}}', b'{"value": {"$": "set", "items": [[1]]}}',
        b'{"value": {"$": "dict", "items": [[[1], 2]]}}', b'{"value": {"$": "int", "hex": "zz"}}', b'{"value": {"no": "tag"}}',
        b'{"value": {"$": "range", "of": [1, 2, 0]}}', b'{"value": {"$": "Fraction", "of": ["0x1", "0x0"]}}',
        b'{"value": {"$": "numpy", "dtype": "O", "value": 1}}', b'{"value": {"$": "numpy", "dtype": "V1000000000", "value": 1}}',
        b'{"value": {"$": "ndarray", "dtype": "<f8", "shape": [1000000000, 1000000000], "items": [1]}}',
        b'{"value": {"$": "ndarray", "dtype": "<U999999999", "shape": [2], "items": ["a"]}}',
        b'{"value": {"$": "Decimal", "text": "x"}}', b'{"value": {"$": "complex", "of": ["a", 1]}}', b'{"value": {"$": ["unhashable"]}}',
        b'{"value": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"\xff\xfe", b'{"value": 1', b'{"value": {"$": "bytes", "hex": "x"}}',
        b'{"value": ' + b"9" * 5000 + b"}", b'{"size": 0, "digest": ""}', b'{"size": -1, "digest": "ab"}', b'{"size": 7}',
        b'{"size": "x", "digest": ""}', b'{"size": 1e999, "digest": ""}', b'{"value": {"$": "range", "of": [{"$": "int"}]}}',
    ],
    ids=lambda line: repr(line[:60]),
)  # fmt: skip
def test_forged_lines_are_refused(line: bytes) -> None:
    with pytest.raises(ForgedError):
        decode_line(line)


def test_failures_are_bounded() -> None:
    answer = decode_line(json.dumps({"error": "x" * 10_000, "type": "y" * 1000, "stage": "load"}).encode())
    assert isinstance(answer.value, Failure)
    assert len(answer.value.error) == 500
    assert len(answer.value.type_name) == 100
    assert answer.value.stage == "load"


def test_of_a_digest_there_is_only_size_and_text() -> None:
    answer = decode_line(calls.line_of("a" * 100, 10))
    assert (answer.size, len(answer.digest), answer.value) == (len(calls.line_of("a" * 100, WHOLE)), 64, None)
    assert len(decode_line(b'{"size": 5, "digest": "' + b"a" * 1000 + b'"}').digest) == 64


# ---------------------------------------------------------------- iterators and views


@pytest.mark.parametrize(
    ("expression", "items"),
    [
        ("(n for n in (1, [2]))", (1, [2])), ("iter('ab')", ("a", "b")), ("map(str, [1])", ("1",)), ("iter(())", ()),
        ("zip([1], [2])", ((1, 2),)), ("filter(None, [0, 1])", (1,)), ("reversed([1, 2])", (2, 1)),
        ("enumerate('a')", ((0, "a"),)), ("range(3).__iter__()", (0, 1, 2)), ("iter({1: 2})", (1,)),
    ],
)  # fmt: skip
def test_an_iterator_travels_with_what_it_has_to_give(expression: str, items: tuple[Any, ...]) -> None:
    back = travel(value_of(expression))
    assert isinstance(back, Iterated)
    assert (tuple(back), tuple(back)) == (items, items)
    assert back != items
    assert back != back
    assert type_name(calls.encode(value_of(expression))) == type(value_of(expression)).__name__


def test_an_iterator_that_does_not_end_well_is_an_object() -> None:
    endless = (n for n in iter(int, 1))
    for value in (endless, (1 // 0 for _ in [1]), iter(range(calls.MAX_ITEMS + 1))):
        back = travel(value)
        assert type(back) is Opaque
    assert len(tuple(travel(iter(range(calls.MAX_ITEMS))))) == calls.MAX_ITEMS


@pytest.mark.parametrize("kind", [dict, OrderedDict, Counter, defaultdict])
def test_views_of_every_dict_stay_views(kind: Any) -> None:
    made = kind()
    made.update({"b": 1, "a": 2})
    assert travel(made.keys()) == {"a", "b"}
    assert travel(made.items()) == {("b", 1), ("a", 2)}
    assert list(travel(made.values())) == [1, 2]
    assert travel(made.values()) != travel(made.values())
    assert [type_name(calls.encode(view)) for view in (made.keys(), made.values(), made.items())] == [
        type(view).__name__ for view in (made.keys(), made.values(), made.items())
    ]


# ---------------------------------------------------------------- inputs


def given_to_a_program(value: Any) -> Any:
    return json.loads(json.dumps(encode(value)), object_hook=calls.decode)


def exactly(value: Any) -> Any:
    """Something that is equal only where value and types are, all the way down."""
    if isinstance(value, (list, tuple)):
        return type(value), [exactly(item) for item in value]
    if isinstance(value, dict):
        return dict, [(exactly(key), exactly(item)) for key, item in value.items()]
    if isinstance(value, (set, frozenset)):
        return type(value), sorted(repr(exactly(item)) for item in value)
    return type(value), repr(value)


HASHED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.complex_numbers(),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
INPUTS = st.recursive(
    HASHED,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(HASHED | st.sampled_from(["$", "items", "of"]), inner, max_size=4)
        | st.dictionaries(st.sampled_from(["$", "a", "items"]), inner, max_size=3)
        | st.sets(HASHED, max_size=4)
    ),
    max_leaves=12,
)


@given(INPUTS)
@settings(max_examples=400, deadline=None)
def test_inputs_arrive_as_they_are(value: Any) -> None:
    assert exactly(given_to_a_program(value)) == exactly(value)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ([1, "a", None, True, 1.5], [1, "a", None, True, 1.5]),
        ((1, (2,)), {"$": "tuple", "items": [1, {"$": "tuple", "items": [2]}]}),
        ({"a": {"b": (1,)}}, {"a": {"b": {"$": "tuple", "items": [1]}}}),
        ({"$": 1}, {"$": "dict", "items": [["$", 1]]}),
        ({1: 2, (3,): 4}, {"$": "dict", "items": [[1, 2], [{"$": "tuple", "items": [3]}, 4]]}),
        ({11, 2, 1}, {"$": "set", "items": [1, 11, 2]}),
        ({"a"}, {"$": "set", "items": ["a"]}),
        (frozenset({2, 1, 10}), {"$": "frozenset", "items": [1, 10, 2]}),
        (1 - 2j, {"$": "complex", "of": [1.0, -2.0]}),
        (Point(1, 2), {"$": "tuple", "items": [1, 2]}),
        ([], []), ((), {"$": "tuple", "items": []}), ({}, {}), (set(), {"$": "set", "items": []}),
    ],
    ids=repr,
)  # fmt: skip
def test_the_form_of_inputs(value: Any, encoded: Any) -> None:
    assert encode(value) == encoded


@pytest.mark.parametrize("value", [b"a", Decimal(1), range(3), [1, b"a"], {1: {2: range(3)}}, {b"a"}], ids=repr)
def test_what_no_benchmark_has_needed_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot be an input"):
        encode(value)


def test_inputs_are_the_same_bytes_in_every_process() -> None:
    """The names of recorded references rest on it, and the order in which a program's sets were made."""
    code = (
        "import json; from qwencoder_eval.scoring.values import encode; "
        "print(json.dumps(encode([{'a', 'b', 'c', 'd', 'e'}, {frozenset({'x', 'y', 'z', n}) for n in 'abc'}, "
        "{('p', frozenset('qrst')), None, 1.5, 'text'}])))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1", "2", "3")
    }
    assert len(said) == 1
