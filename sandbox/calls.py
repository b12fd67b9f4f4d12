"""In the candidate process: load a Python program, call one function of it, and write down its values.

The program shares this process, so nothing here is trusted by anyone: it may replace all of it. It can
only ever answer values; it does not hold the expected ones, and the comparison is made by the host.

One line of JSON an answer: first ``{"loaded": true}`` or ``{"stage": "compile" | "load", "error": ...}``,
then for each call ``{"value": ...}`` or ``{"error": ...}``. Of a line that would be too long only
``{"size": ..., "digest": ...}`` travels: to know the digest of the right value one must have it. How a value travels,
by exact type:

    None, bool, int, float, str   as JSON (NaN and Infinity as Python's json writes them)
    int of more than 4,000 digits {"$": "int", "hex": ...}
    list                          a JSON array
    dict and its standard kin     {"$": "dict", "items": [[key, value], ...]}
    tuple, set, frozenset, deque  {"$": "tuple", "items": [...]}
    bytes, bytearray, complex, range, Decimal, Fraction, numpy scalars and arrays: see ``_encode``
    a dict's keys, values, items  {"$": "dict_keys", "items": [...]}, ...
    a generator, map, zip, ...    {"$": "iterator", "class": ..., "items": [...]}: what it has to give, if not too much
    a subclass of one of these    as its base, with its own data, plus "class": its overridden methods are not asked
    anything else                 {"$": "object", "class": ...}: equal to nothing

Inputs come as JSON in the same forms (``decode``), plain objects being dicts.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from itertools import islice
from typing import Any

START = b'{"value": '
# What is in values that are not equal to themselves; of arrays with several items Python does not say.
UNEQUAL = (b"NaN", b'"object"', b'"iterator"', b'"dict_values"', b'"ndarray"')
SLICE = 4096  # items of a list that are written down at a time
MAX_ITEMS = 1 << 16  # of an iterator; one that has more travels as an object
MAX_DEPTH = 200  # deeper nesting travels as an object
BIG_INT = 1 << 13_000  # about 4,000 digits; Python refuses to print integers past 4,300
ERROR_CHARS, NAME_CHARS = 500, 100
# EvalPlus 0.3.1 calls a function 22 frames deeper than this module does: with this limit a function has the same room
# to recurse, 970 calls below the first. Some published verdicts rest on it.
RECURSION = 1000 - 22
SCALARS = {type(None), bool, float, str}


class TooDeepError(Exception):
    pass


def answer(fd: int, source: str, function: str, inputs: str, whole_bytes: int, timed: bool) -> None:
    """Write one line for the loading and one for each call to ``fd``.

    ``inputs`` is JSON: a list with one list of arguments a call. Values of more than ``whole_bytes`` travel as size and
    digest. ``timed`` adds ``"cpu_s": [of the call, of writing its value down]``.
    """

    def write(line: dict[str, Any]) -> None:
        send(json.dumps(line).encode())

    def send(line: bytes) -> None:
        # At once: the agent's clock per call rests on it, and a program that ends in the next call keeps this answer.
        data = memoryview(line + b"\n")
        while data:
            data = data[os.write(fd, data) :]

    stage = "compile"
    sys.setrecursionlimit(RECURSION)
    try:
        code = compile(source, "<string>", "exec", dont_inherit=True)
        stage = "load"
        namespace: dict[str, Any] = {}  # no __name__: a main guard does not run, as under EvalPlus
        exec(code, namespace)
        call = namespace[function]
    except KeyError as error:
        missing = error.args == (function,)
        write({"stage": stage, "error": f"{function} is not defined" if missing else describe(error)})
        return
    except BaseException as error:
        write({"stage": stage, "error": describe(error), "type": name_of(type(error))})
        return
    write({"loaded": True})
    for arguments in json.loads(inputs, object_hook=decode):
        started = time.process_time() if timed else 0.0
        try:
            value = call(*arguments)
            spent = time.process_time() - started if timed else 0.0
            line = line_of(value, whole_bytes)
            if timed:
                line = line[:-1] + f', "cpu_s": {[spent, time.process_time() - started - spent]}}}'.encode()
        except BaseException as error:
            line = json.dumps({"error": describe(error), "type": name_of(type(error))}).encode()
        value = None
        send(line)


def line_of(value: Any, whole_bytes: int) -> bytes:
    """The answer line of a value, or its size and digest. A long list is never whole in memory a second time."""
    kept, size, digest, plain = [START], len(START) + 1, None, True
    try:
        for text in pieces(value):
            piece = text.encode()
            size += len(piece)
            kept.append(piece)
            if size > whole_bytes:
                digest = digest or sha256()
                digest.update(b"".join(kept))
                plain = plain and not any(mark in part for part in kept for mark in UNEQUAL)
                kept.clear()
    except (TooDeepError, RecursionError):
        return json.dumps({"value": {"$": "object", "class": f"{name_of(type(value))} nested too deep"}}).encode()
    if digest is None:
        return b"".join((*kept, b"}"))
    digest.update(b"".join((*kept, b"}")))
    return json.dumps({"size": size, "digest": digest.hexdigest(), "plain": plain}).encode()


def pieces(value: Any) -> Iterator[str]:
    """The encoded value as JSON text. Raises TooDeepError, RecursionError."""
    if type(value) is not list or len(value) <= SLICE:
        yield json.dumps(_encode(value, 0))
        return
    for start in range(0, len(value), SLICE):
        text = json.dumps(_encode(value[start : start + SLICE], 0))
        yield ("[" if start == 0 else ", ") + text[1:-1]
    yield "]"


def decode(value: dict[str, Any]) -> Any:
    """An object of the inputs' JSON as the value that it stands for; what is in it is decoded already."""
    if (tag := value.get("$")) is None:
        return value
    return complex(*value["of"]) if tag == "complex" else BUILDERS[tag](value["items"])


def describe(error: BaseException) -> str:
    try:
        text = f"{name_of(type(error))}: {error}"
    except BaseException:
        text = name_of(type(error))
    return text[:ERROR_CHARS]


def name_of(kind: type) -> str:
    """A class's own name, whatever its metaclass says."""
    return str(type.__dict__["__name__"].__get__(kind))[:NAME_CHARS]


def encode(value: Any) -> Any:
    """``value`` in JSON's types, by the table above."""
    try:
        return _encode(value, 0)
    except (TooDeepError, RecursionError):
        return {"$": "object", "class": f"{name_of(type(value))} nested too deep"}


def _encode(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in SCALARS:
        return value
    if kind is int:
        return value if -BIG_INT < value < BIG_INT else {"$": "int", "hex": hex(value)}
    if depth >= MAX_DEPTH:
        raise TooDeepError
    if kind is list:
        kinds = set(map(type, value))
        if kinds <= SCALARS or (kinds == {int} and -BIG_INT < min(value) and max(value) < BIG_INT):
            return value
        return [_encode(item, depth + 1) for item in value]
    for base, tag in SEQUENCES:
        if issubclass(kind, base):
            items = [_encode(item, depth + 1) for item in base.__iter__(value)]
            return named({"$": tag, "items": items}, kind, base)
    for base in MAPPINGS:
        if issubclass(kind, base):
            pairs = [[_encode(k, depth + 1), _encode(v, depth + 1)] for k, v in base.items(value)]
            return named({"$": base.__name__, "items": pairs}, kind, base)
    if issubclass(kind, str):
        return named({"$": "str", "text": str.__str__(value)}, kind, str)
    own = getattr(kind, "__module__", None) != "numpy"  # whose scalars are subclasses; not every class has one
    if issubclass(kind, float) and own:
        return named({"$": "float", "number": float.__float__(value)}, kind, float)
    if issubclass(kind, int):
        return named({"$": "int", "hex": hex(int.__index__(value))}, kind, int)
    if issubclass(kind, complex) and own:
        plain = complex.__complex__(value)
        return named({"$": "complex", "of": [plain.real, plain.imag]}, kind, complex)
    if issubclass(kind, (bytes, bytearray)):
        base = bytes if issubclass(kind, bytes) else bytearray
        return named({"$": base.__name__, "hex": base.hex(value)}, kind, base)
    for base in VIEWS:
        if issubclass(kind, base):
            return named({"$": base.__name__, "items": [_encode(item, depth + 1) for item in value]}, kind, base)
    if issubclass(kind, Iterator):
        try:
            items = list(islice(value, MAX_ITEMS + 1))
        except Exception:
            items = [None] * (MAX_ITEMS + 1)
        if len(items) <= MAX_ITEMS:
            return {"$": "iterator", "class": name_of(kind), "items": [_encode(item, depth + 1) for item in items]}
    if kind is range:
        return {"$": "range", "of": [_encode(number, depth + 1) for number in (value.start, value.stop, value.step)]}
    if issubclass(kind, Decimal):
        return named({"$": "Decimal", "text": Decimal.__str__(value)}, kind, Decimal)
    if kind is Fraction:
        return {"$": "Fraction", "of": [hex(value.numerator), hex(value.denominator)]}
    if (numpy := sys.modules.get("numpy")) is not None:
        if issubclass(kind, numpy.generic) and value.dtype.kind in "biufc":
            return {"$": "numpy", "dtype": value.dtype.str, "value": _encode(value.item(), depth + 1)}
        if kind is numpy.ndarray and value.dtype.kind in "biufcU":
            flat = [_encode(item, depth + 1) for item in value.ravel().tolist()]
            return {"$": "ndarray", "dtype": value.dtype.str, "shape": list(value.shape), "items": flat}
    return {"$": "object", "class": name_of(kind)}


def named(encoded: dict[str, Any], kind: type, base: type) -> dict[str, Any]:
    if kind is not base:
        encoded["class"] = name_of(kind)
    return encoded


SEQUENCES = ((tuple, "tuple"), (list, "list"), (set, "set"), (frozenset, "frozenset"), (deque, "deque"))
MAPPINGS = (Counter, OrderedDict, defaultdict, dict)
VIEWS = (type({}.keys()), type({}.values()), type({}.items()))
BUILDERS = {"tuple": tuple, "set": set, "frozenset": frozenset, "dict": dict}
