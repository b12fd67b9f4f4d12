"""Values that a candidate process wrote down, as Python values of the host's own making; and inputs on their way in.

``decode`` is the counterpart of sandbox/calls.py, whose table says how each type travels. Nothing here calls
code of the candidate's: a subclass arrives as its base with its own data, an object of an unknown class as
``Opaque``, equal to nothing. Comparing decoded values with ``==`` is then Python's own comparison.
"""

from __future__ import annotations

import json
import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from ..errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """A value that cannot be compared: it is not even equal to itself."""

    class_name: str

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True, eq=False)
class Iterated(Opaque):
    """What an iterator had to give, equal to nothing as iterators are; a rule may still look at the items."""

    items: tuple[Any, ...]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)


@dataclass(frozen=True, slots=True)
class Failure:
    """What stands where a value was due: the call, or the loading, raised."""

    error: str
    type_name: str
    stage: str = "call"


class ForgedError(InputError):
    """An answer line that the runner in the sandbox cannot have written."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A decoded answer line: a value with its encoded form, a Failure, or the news that the program is loaded.

    Of a value that is too long to travel there is only the size of its line (bytes) and its digest.
    """

    value: Any
    encoded: Any = None
    loaded: bool = False
    size: int = 0
    digest: str = ""


def decode_line(line: bytes) -> Answer:
    """One answer line. Raises ForgedError for anything that the runner in the sandbox cannot have written."""
    try:
        # A NaN of its own each time: Python's containers hold one and the same object to be equal to itself.
        answer = json.loads(line, parse_constant=float)
        if "value" in answer:
            return Answer(decode(answer["value"]), answer["value"])
        if "error" in answer:
            stage = str(answer.get("stage", "call"))
            return Answer(Failure(str(answer["error"])[:500], str(answer.get("type", "Error"))[:100], stage))
        if "size" in answer:
            if (size := int(answer["size"])) <= 0:
                raise ValueError(size)
            return Answer(None, size=size, digest=str(answer["digest"])[:64])
        if answer == {"loaded": True}:
            return Answer(None, loaded=True)
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
        ArithmeticError,
        MemoryError,
    ) as error:
        raise ForgedError(f"not an answer ({type(error).__name__})") from None
    raise ForgedError("not an answer")


def encode(value: Any) -> Any:
    """A benchmark's own value in the form in which inputs travel to a candidate; sandbox/calls.py reads it.

    Raises TypeError for types that no benchmark has needed so far. Sets travel in the order of their items' text, so
    that the same inputs are the same bytes every time.
    """
    if isinstance(value, (list, tuple)):
        items = value if set(map(type, value)) <= PLAIN else [encode(item) for item in value]
        return list(items) if isinstance(value, list) else {"$": "tuple", "items": list(items)}
    if isinstance(value, dict):
        if "$" in value or not set(map(type, value)) <= {str}:
            return {"$": "dict", "items": [[encode(key), encode(item)] for key, item in value.items()]}
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return {"$": type(value).__name__, "items": sorted(map(encode, value), key=json.dumps)}
    if isinstance(value, complex):
        return {"$": "complex", "of": [value.real, value.imag]}
    if type(value) in PLAIN:
        return value
    raise TypeError(f"a {type(value).__name__} cannot be an input")


def decode(value: Any) -> Any:
    """A value from its JSON form. Raises ValueError, TypeError or KeyError where the form is not ours."""
    if not isinstance(value, dict):
        return [decode(item) for item in value] if isinstance(value, list) else value
    tag = value["$"]
    if tag in SEQUENCES:
        return SEQUENCES[tag]([decode(item) for item in value["items"]])
    if tag in MAPPINGS:
        return MAPPINGS[tag]([(decode(k), decode(v)) for k, v in value["items"]])
    if tag in SCALARS:
        return SCALARS[tag](value)
    raise ValueError(tag)


def _dtype(name: str) -> Any:
    import numpy

    if not NUMPY_NUMBER.fullmatch(name):
        raise ValueError(name)
    return numpy.dtype(name)


def _numpy_array(value: dict[str, Any]) -> Any:
    import numpy

    items = [decode(item) for item in value["items"]]
    dtype = None if "U" in value["dtype"] else _dtype(value["dtype"])  # text: as long as the items need
    return numpy.array(items, dtype=dtype).reshape([int(n) for n in value["shape"]])


PLAIN = {type(None), bool, int, float, str}
Decoder = Callable[[Any], Any]
NUMPY_NUMBER = re.compile(r"[<>|=]?([biufc](1|2|4|8|16)|b1)")
SEQUENCES: dict[str, Decoder] = {
    "tuple": tuple,
    "list": list,
    "set": set,
    "frozenset": frozenset,
    "deque": deque,
    "dict_keys": lambda items: dict.fromkeys(items).keys(),
    "dict_values": lambda items: dict(enumerate(items)).values(),
    "dict_items": lambda items: dict(items).items(),
}
MAPPINGS: dict[str, Decoder] = {
    "dict": dict,
    "Counter": lambda pairs: Counter(dict(pairs)),
    "OrderedDict": OrderedDict,
    "defaultdict": lambda pairs: defaultdict(None, pairs),
}
SCALARS: dict[str, Decoder] = {
    "int": lambda value: int(value["hex"], 16),
    "float": lambda value: float(value["number"]),
    "str": lambda value: str(value["text"]),
    "complex": lambda value: complex(*value["of"]),
    "bytes": lambda value: bytes.fromhex(value["hex"]),
    "bytearray": lambda value: bytearray.fromhex(value["hex"]),
    "range": lambda value: range(*map(decode, value["of"])),
    "Decimal": lambda value: Decimal(value["text"]),
    "Fraction": lambda value: Fraction(*(int(part, 16) for part in value["of"])),
    "numpy": lambda value: _dtype(value["dtype"]).type(decode(value["value"])),
    "ndarray": _numpy_array,
    "iterator": lambda value: Iterated(str(value["class"])[:100], tuple(map(decode, value["items"]))),
    "object": lambda value: Opaque(str(value["class"])[:100]),
}


def type_name(encoded: Any) -> str:
    """The exact type a value had in the sandbox, from its encoded form; ``int`` for a bare number, and so on."""
    if isinstance(encoded, dict):
        return str(encoded.get("class") or encoded.get("dtype") or encoded["$"])
    return type(encoded).__name__
