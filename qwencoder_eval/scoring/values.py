"""Values that a candidate process wrote down, as Python values of the host's own making.

``decode`` is the counterpart of sandbox/calls.py, whose table says how each type travels. Nothing here calls
code of the candidate's: a subclass arrives as its base with its own data, an object of an unknown class as
``Opaque``, equal to nothing. Comparing decoded values with ``==`` is then Python's own comparison.
"""

from __future__ import annotations

import json
import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
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
    """A decoded answer line: a value with its encoded form, a Failure, or the news that the program is loaded."""

    value: Any
    encoded: Any = None
    loaded: bool = False


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


Decoder = Callable[[Any], Any]
NUMPY_NUMBER = re.compile(r"[<>|=]?([biufc](1|2|4|8|16)|b1)")
SEQUENCES: dict[str, Decoder] = {
    "tuple": tuple,
    "list": list,
    "set": set,
    "frozenset": frozenset,
    "deque": deque,
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
    "range": lambda value: range(*value["of"]),
    "Decimal": lambda value: Decimal(value["text"]),
    "Fraction": lambda value: Fraction(*(int(part, 16) for part in value["of"])),
    "numpy": lambda value: _dtype(value["dtype"]).type(decode(value["value"])),
    "ndarray": _numpy_array,
    "object": lambda value: Opaque(str(value["class"])[:100]),
}


def type_name(encoded: Any) -> str:
    """The exact type a value had in the sandbox, from its encoded form; ``int`` for a bare number, and so on."""
    if isinstance(encoded, dict):
        return str(encoded.get("class") or encoded.get("dtype") or encoded["$"])
    return type(encoded).__name__
