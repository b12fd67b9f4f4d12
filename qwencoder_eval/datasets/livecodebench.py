"""LiveCodeBench's hidden tests: JSON, or JSON in a pickle in zlib in base64, read without unpickling anything.

A pickle is a program. These hold one string, so three of its instructions are enough to read them; a file that holds
anything else is refused (format: livecodebench/code_generation_lite; LiveCodeBench at 28fef95,
lcb_runner/benchmarks/code_generation.py).
"""

from __future__ import annotations

import base64
import binascii
import json
import pickletools
import zlib
from dataclasses import dataclass

from ..errors import DatasetError

MAX_BYTES = 1 << 30  # of one problem's tests, unpacked
STRINGS = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"}
HARMLESS = {"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT", "STOP"}


@dataclass(frozen=True, slots=True)
class Test:
    input: str
    output: str


def hidden_tests(text: str) -> list[Test]:
    """The tests of ``private_test_cases``. Raises DatasetError where the text is not what it should be."""
    try:
        return listed(text)
    except DatasetError:
        if text.lstrip().startswith("["):
            raise
    try:
        packed = base64.b64decode(text, validate=True)
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(packed, MAX_BYTES)
        if unpacker.unconsumed_tail:
            raise DatasetError(f"tests of more than {MAX_BYTES >> 30} GiB")
        if not unpacker.eof:
            raise DatasetError("tests that end too early")
    except (binascii.Error, zlib.error, ValueError) as error:
        raise DatasetError(f"tests that are neither JSON nor packed ({error})") from None
    return listed(pickled_string(data))


def pickled_string(data: bytes) -> str:
    """The one string that a pickle holds. Raises DatasetError where it holds anything else."""
    found: list[str] = []
    try:
        for opcode, value, _ in pickletools.genops(data):
            if opcode.name in STRINGS:
                found.append(str(value))
            elif opcode.name not in HARMLESS:
                raise DatasetError(f"a pickle that would do {opcode.name}; only one string is read from it")
    except (ValueError, IndexError, OverflowError, MemoryError) as error:
        raise DatasetError(f"a pickle that cannot be read ({error})") from None
    if len(found) != 1:
        raise DatasetError(f"a pickle of {len(found)} strings; only one is read from it")
    return found[0]


def listed(text: str) -> list[Test]:
    """The tests of a JSON list. Raises DatasetError."""
    try:
        rows = json.loads(text)
        if not isinstance(rows, list):
            raise DatasetError("tests that are no list")
        found = [Test(row["input"], row["output"]) for row in rows]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DatasetError(f"tests that cannot be read ({type(error).__name__}: {error})"[:200]) from None
    if not all(isinstance(test.input, str) and isinstance(test.output, str) for test in found):
        raise DatasetError("tests whose input or output is no text")
    return found
