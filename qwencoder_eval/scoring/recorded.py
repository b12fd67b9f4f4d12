"""What a reference program answered, on disk: short lines as they are, of long ones what a comparison asks first.

Some answers are megabytes (HumanEval/130 gives 147 MB), and an honest candidate's are equal to them to the byte. So
size and digest are enough nearly always, and the long lines are a file of their own that is rarely opened.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InfrastructureError
from ..types import Program
from .values import Answer, decode_line

LONG_LINE = 1 << 16  # bytes
# How a line starts that can hold nothing but floats: what else there is of a long line need not be parsed.
LEADING_FLOAT = re.compile(
    rb'\{"value": (\[|\{"\$": "tuple", "items": \[)(-?\d+(\.|e)|-?Infinity|NaN)|\{"value": \{"\$": "ndarray"'
)
VALUE, SIZED = b'{"value": ', b'{"size": '


@dataclass(frozen=True, slots=True)
class Recorded:
    """The answers of one reference program. ``path`` holds the short ones and stands for the whole."""

    path: Path
    program: Program

    @property
    def long_path(self) -> Path:
        return self.path.with_name(self.path.stem + ".long.gz")

    def exists(self) -> bool:
        return self.path.is_file()

    def lines(self) -> Iterator[bytes]:
        """Lines without long values: see ``Expected.of``."""
        with gzip.open(self.path) as file:
            yield from file

    def forward(self) -> Callable[[int], bytes]:
        """Reads long lines by their number, which must grow from call to call: all of them cost one pass."""
        lines = enumerate(self._long_lines())
        return lambda number: next(line for at, line in lines if at == number)

    def _long_lines(self) -> Iterator[bytes]:
        with gzip.open(self.long_path) as file:
            for line in file:
                yield line.rstrip(b"\n")

    def keep(self, answers: bytes | bytearray) -> None:
        """Write raw answer lines; the file that stands for the whole appears last, and whole.

        Raises InfrastructureError where the cache does not take them.
        """
        partial = self.path.with_suffix(f".{os.getpid()}.{threading.get_ident()}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with gzip.open(partial, "wb", compresslevel=1) as long:
                found = [_apart(line, number, long) for number, line in _numbered(answers)]
            if any(line.startswith(SIZED) for line in found):
                partial.replace(self.long_path)
            with gzip.open(partial, "wb", compresslevel=1) as file:
                file.writelines(found)
            partial.replace(self.path)
        except OSError as error:
            raise InfrastructureError(f"{self.path}: cannot be written ({error.strerror}); set QCEVAL_CACHE") from None


def answer_lines(answers: bytes | bytearray) -> Iterator[bytes]:
    """Whole lines without their newline, one at a time: together they can be hundreds of megabytes."""
    start = 0
    while (end := answers.find(b"\n", start)) >= 0:
        yield bytes(answers[start:end])
        start = end + 1


def _numbered(answers: bytes | bytearray) -> Iterator[tuple[int, bytes]]:
    """Lines, each with the number of long ones before it."""
    number = 0
    for line in answer_lines(answers):
        yield number, line
        number += len(line) > LONG_LINE


def _apart(line: bytes, number: int, long: gzip.GzipFile) -> bytes:
    """A line as it is kept with the short ones; a long one goes to ``long``, without its time."""
    if len(line) <= LONG_LINE or not line.startswith(VALUE):
        return line + b"\n"
    value, cpu_s = split_time(line)
    long.write(value + b"\n")
    floats = LEADING_FLOAT.match(value) is not None and only_floats(decode_line(value).value)
    said = {"size": len(value), "digest": hashlib.sha256(value).hexdigest(), "plain": is_plain(value)}
    return json.dumps({**said, "floats": floats, "long": number, "cpu_s": cpu_s}).encode() + b"\n"


def split_time(line: bytes) -> tuple[bytes, list[float]]:
    """A timed answer, ``{"value": ..., "cpu_s": [...]}``, taken apart as text because it may be long."""
    value, _, cpu_s = line.rstrip().rpartition(b', "cpu_s": ')
    return value + b"}", json.loads(cpu_s[:-1])


def is_plain(line: bytes) -> bool:
    """Whether equal lines mean equal values: of NaN, of iterators and of objects they do not."""
    return not any(mark in line for mark in (b"NaN", b'"object"', b'"iterator"', b'"dict_values"'))


def only_floats(value: Any) -> bool:
    """A float, or a list, tuple or array of nothing but floats; an empty one is not."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(item, float) for item in value)
    if type(value).__name__ == "ndarray":
        return str(value.dtype) in ("float64", "float32")
    return isinstance(value, float)


@dataclass(frozen=True, slots=True)
class Expected:
    """One value that is expected, as the answer line that is equal to it to the byte.

    Of a long line only size and digest are here; it is read again in the rare case that it is needed. Of a line that
    was too long to be recorded (``Calls.whole_bytes``) there is nothing else, anywhere.
    """

    size: int
    plain: bool
    cpu_s: float  # the reference solution's own time for the call
    writing_s: float  # and for writing its value down
    line: bytes | None
    long: int | None = None  # of a long line: its number among the long ones
    digest: str = ""
    floats: bool = False  # of a long line: whether it is a sequence of nothing but floats

    @classmethod
    def of(cls, kept: bytes) -> Expected:
        if not kept.startswith(SIZED):
            line, (cpu_s, writing_s) = split_time(kept)
            return cls(len(line), is_plain(line), cpu_s, writing_s, line)
        row = json.loads(kept)
        cpu_s, writing_s = row["cpu_s"]
        floats = row.get("floats", False)
        return cls(row["size"], row["plain"], cpu_s, writing_s, None, row.get("long"), row["digest"], floats)

    def same_line(self, line: bytes) -> bool:
        if self.line is not None:
            return line == self.line
        return len(line) == self.size and hashlib.sha256(line).hexdigest() == self.digest

    def same_digest(self, answer: Answer) -> bool:
        """For an answer of which only size and digest came."""
        line_digest = self.digest if self.line is None else hashlib.sha256(self.line).hexdigest()
        return (answer.size, answer.digest) == (self.size, line_digest)

    @property
    def recorded(self) -> bool:
        return self.line is not None or self.long is not None

    def encoded(self, read: Callable[[int], bytes]) -> Any:
        """The value in its encoded form; ``read`` gets a long line, see ``Recorded.forward``."""
        line = self.line if self.line is not None else read(self.long or 0)
        return json.loads(line, parse_constant=float)["value"]
