"""What a reference program answered, on disk, in the form in which an equal program's answers arrive.

A right answer is mostly the same bytes. So the expected answers of a suite are kept as the bytes that the sandbox
sends for them, and one comparison of bytes settles the common case; only where they differ are lines taken apart.
Some values are megabytes (HumanEval/130 gives 147 MB, Mbpp/255 a gigabyte): of these the digest is enough nearly
always, and the values are a file of their own that is rarely opened.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from ..errors import InfrastructureError
from ..types import Calls, Program
from .values import decode_line

SMALL = 8 << 10  # bytes of a file
# How a line starts that can hold nothing but floats: what else there is of a long line need not be parsed.
LEADING_FLOAT = re.compile(
    rb'\{"value": (\[|\{"\$": "(tuple|list)", "items": \[)(-?\d+(\.|e)|-?Infinity|NaN|\{"\$": "(numpy|float)")'
    rb'|\{"value": \{"\$": "ndarray"'
)
# What is in values that are not equal to themselves; of arrays with several items Python does not say.
UNEQUAL = (b"NaN", b'"object"', b'"iterator"', b'"dict_values"', b'"ndarray"')
LOADED, VALUE, SIZED = b'{"loaded": true}\n', b'{"value": ', b'{"size": '


@dataclass(frozen=True, slots=True)
class Line:
    """One expected value. Of a long one ``text`` is only size and digest, as it travels."""

    text: bytes
    floats: bool  # of a long one: whether it is a sequence of nothing but floats; a short one can be looked at
    long: int | None  # of a long one: its number among the recorded ones; None where it was too long to be recorded

    @property
    def sized(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = json.loads(self.text) if self.text.startswith(SIZED) else None
        return found

    @property
    def plain(self) -> bool:
        """Whether equal lines mean equal values."""
        sized = self.sized
        return bool(sized["plain"]) if sized else is_plain(self.text)

    @property
    def size(self) -> int:
        sized = self.sized
        return int(sized["size"]) if sized else len(self.text)

    @property
    def recorded(self) -> bool:
        return self.long is not None or not self.text.startswith(SIZED)

    def same_digest(self, size: int, digest: str) -> bool:
        """For an answer of which only size and digest came."""
        sized = self.sized or {"size": len(self.text), "digest": hashlib.sha256(self.text).hexdigest()}
        return (size, digest) == (sized["size"], sized["digest"])

    def encoded(self, read: Callable[[int], bytes]) -> Any:
        """The value in its encoded form; ``read`` gets a long line, see ``Recorded.forward``."""
        line = self.text if self.long is None else read(self.long)
        return json.loads(line, parse_constant=float)["value"]


@dataclass(frozen=True)
class Expected:
    """The answers to all calls of a suite, as one string of bytes; or the error that stopped the reference."""

    answers: bytes
    cpu_s: list[float]  # of the reference solution, a number a call
    writing_s: list[float]  # for writing the values down
    whole_bytes: int  # what the answers would take if all of them travelled whole
    plain: bool  # whether equal bytes mean equal values
    floats: list[int]  # calls with long values that are nothing but floats
    long: dict[str, int]  # call -> number of its value among the long ones
    error: str  # empty where every call was answered

    @cached_property
    def lines(self) -> list[Line]:
        texts = self.answers.splitlines()[1:]
        floats = set(self.floats)
        return [Line(text, call in floats, self.long.get(str(call))) for call, text in enumerate(texts)]


@dataclass(frozen=True, slots=True)
class Recorded:
    """The answers of one reference program. ``path`` stands for the whole; long values lie beside it."""

    path: Path
    program: Program

    @property
    def long_path(self) -> Path:
        return self.path.with_name(self.path.stem + ".long.gz")

    def exists(self) -> bool:
        return self.path.is_file()

    def cost_s(self) -> float:
        """CPU seconds that the reference took for all calls."""
        if self.path.stat().st_size <= SMALL:
            return float(sum(self.load().cpu_s))
        with gzip.open(self.path) as file:
            return float(sum(json.loads(file.readline())["cpu_s"]))

    def load(self) -> Expected:
        status = self.path.stat()
        return _small(self.path, status.st_mtime_ns) if status.st_size <= SMALL else _load(self.path)

    def forward(self) -> Callable[[int], bytes]:
        """Reads long lines by their number, which must grow from call to call: all of them cost one pass."""
        lines = enumerate(self._long_lines())
        return lambda number: next(line for at, line in lines if at == number)

    def _long_lines(self) -> Iterator[bytes]:
        with gzip.open(self.long_path) as file:
            for line in file:
                yield line.rstrip(b"\n")

    def keep(self, answers: bytes | bytearray) -> None:
        """Write raw answer lines of a timed program; the file that stands for the whole appears last, and whole.

        Raises InfrastructureError where the cache does not take them.
        """
        partial = self.path.with_suffix(f".{os.getpid()}.{threading.get_ident()}.part")
        assert self.program.calls
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.ExitStack() as stack:
                opened: list[gzip.GzipFile] = []

                def write_long(line: bytes) -> None:
                    if not opened:
                        opened.append(stack.enter_context(gzip.GzipFile(partial, "wb", compresslevel=1)))
                    opened[0].write(line)

                header, kept = _apart(answers, self.program.calls, write_long)
            if header["long"]:
                partial.replace(self.long_path)
            partial.write_bytes(gzip.compress(json.dumps(header).encode() + b"\n" + kept, compresslevel=1))
            partial.replace(self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise InfrastructureError(f"{self.path}: cannot be written ({error.strerror}); set QCEVAL_CACHE") from None


def _load(path: Path) -> Expected:
    header, _, answers = gzip.decompress(path.read_bytes()).partition(b"\n")
    return Expected(answers, **json.loads(header))


@lru_cache(maxsize=2048)
def _small(path: Path, changed: int) -> Expected:
    """Those of a small file, which are asked for more than once, are kept as long as it has not ``changed``."""
    return _load(path)


def _apart(
    answers: bytes | bytearray, calls: Calls, write_long: Callable[[bytes], None]
) -> tuple[dict[str, Any], bytes]:
    """What ``Expected`` is made from: its fields but for the answers, and the answers; long values are written away."""
    kept, error, whole_bytes, plain = bytearray(), "", 0, True
    cpu_s: list[float] = []
    writing_s: list[float] = []
    floats: list[int] = []
    long: dict[str, int] = {}
    for raw in answer_lines(answers):
        call = len(cpu_s)
        if raw.startswith((VALUE, SIZED)):
            line, (spent, writing) = split_time(raw)
            cpu_s.append(round(spent, 6))
            writing_s.append(round(writing, 6))
            if line.startswith(SIZED):  # too long even for a reference
                sized = json.loads(line)
                whole_bytes += sized["size"]
                plain = plain and sized["plain"]
            else:
                whole_bytes += len(line)
                plain = plain and is_plain(line)
            if len(line) > Calls.WHOLE_BYTES:
                if LEADING_FLOAT.match(line) and only_floats(decode_line(line).value):
                    floats.append(call)
                long[str(call)] = len(long)
                write_long(line + b"\n")
                said = {"size": len(line), "digest": hashlib.sha256(line).hexdigest(), "plain": is_plain(line)}
                line = json.dumps(said).encode()
            kept += line + b"\n"
        elif raw + b"\n" == LOADED:
            kept += LOADED
        else:
            said = json.loads(raw)
            error = f"call {call + 1}: {said['error']}" if kept else str(said["error"])
            break
    if not error and len(cpu_s) != len(calls.cpu_s):
        error = f"{len(cpu_s)} of {len(calls.cpu_s)} calls are answered"
    header = {"cpu_s": cpu_s, "writing_s": writing_s, "whole_bytes": whole_bytes, "plain": plain, "floats": floats}
    return {**header, "long": long, "error": error}, bytes(kept)


def answer_lines(answers: bytes | bytearray) -> Iterator[bytes]:
    """Whole lines without their newline, one at a time: together they can be hundreds of megabytes."""
    start = 0
    while (end := answers.find(b"\n", start)) >= 0:
        yield bytes(answers[start:end])
        start = end + 1


def split_time(line: bytes) -> tuple[bytes, list[float]]:
    """A timed answer, ``{"value": ..., "cpu_s": [...]}``, taken apart as text because it may be long."""
    value, _, cpu_s = line.rpartition(b', "cpu_s": ')
    return value + b"}", json.loads(cpu_s[:-1])


def is_plain(line: bytes) -> bool:
    """Whether equal lines mean equal values: of NaN, of iterators and of objects they do not."""
    return not any(mark in line for mark in UNEQUAL)


def only_floats(value: Any) -> bool:
    """A float, or a list, tuple or array of nothing but floats; an empty one is not."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(item, float) for item in value)
    if type(value).__name__ == "ndarray":
        return str(value.dtype) in ("float64", "float32")
    return isinstance(value, float)
