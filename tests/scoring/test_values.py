# ruff: noqa: E501 (hostile lines are long)
"""How values travel: sandbox/calls.py writes them, scoring/values.py reads them; Python's own == is the judge."""

from __future__ import annotations

import enum
import json
import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction
from typing import Any

import calls
import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwencoder_eval.scoring.values import Failure, ForgedError, Opaque, decode_line, type_name

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
    return decode_line(json.dumps({"value": calls.encode(value)}).encode()).value


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
# Equal across types, as Python has it.
EQUAL: list[tuple[Any, Any]] = [
    (1, True),
    (1, 1.0),
    (0.0, -0.0),
    (1, Decimal("1.0")),
    (0.5, Fraction(1, 2)),
    (1, 1 + 0j),
    (b"ab", bytearray(b"ab")),
    ({1, 2}, frozenset({1, 2})),
    ({"a": 2, "b": 1}, Counter("aab")),
    ({"a": 1}, defaultdict(int, {"a": 1})),
    ({"a": 1, "b": 2}, OrderedDict([("b", 2), ("a", 1)])),
    ((1, 2), Point(1, 2)),
    (1, Colour.RED),
    (range(0), range(5, 5)),
    (3, numpy.int64(3)),
    (0.1, numpy.float64(0.1)),
    (True, numpy.bool_(True)),
    ([1.0, 2.0], [numpy.float64(1.0), numpy.float64(2.0)]),
    (Counter(a=1), Counter(a=1, b=0)),
    (OrderedDict([(1, 2), (3, 4)]), OrderedDict([(1, 2), (3, 4)])),
]
UNEQUAL: list[tuple[Any, Any]] = [
    ([1], (1,)),
    ([1, 2], range(1, 3)),
    ([1], deque([1])),
    ("a", b"a"),
    ({"a": 1}, {"a": 1, "b": 0}),
    (OrderedDict([(1, 2), (3, 4)]), OrderedDict([(3, 4), (1, 2)])),
    (10**30, 1e30),
    (0.1, Decimal("0.1")),
    ("1", 1),
    (None, False),
    (0, ""),
    ([[]], [()]),
    (math.nan, math.nan),
    ([math.nan], [math.nan]),
    ({1: math.nan}, {1: math.nan}),
]


def test_every_value_is_equal_to_itself_only() -> None:
    values = [value for line in DIFFERENT for value in line]
    for i, left in enumerate(values):
        for j, right in enumerate(values):
            ours, pythons = travel(left) == travel(right), left == right
            assert ours is pythons, (left, right)
            assert (i == j) <= pythons


@pytest.mark.parametrize(("left", "right"), EQUAL, ids=repr)
def test_equal_across_types(left: Any, right: Any) -> None:
    assert left == right
    assert travel(left) == travel(right)
    assert travel(right) == travel(left)


@pytest.mark.parametrize(("left", "right"), UNEQUAL, ids=repr)
def test_unequal(left: Any, right: Any) -> None:
    assert travel(left) != travel(right)


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
        b'{"value": ' + b"9" * 5000 + b"}",
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
