"""From a shard to rows of text, in bounded memory whatever its size.

Nothing is left out in silence: a row that has no text to look at comes out too, with the reason.
"""

from __future__ import annotations

import codecs
import json
import re
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from ..errors import InfrastructureError
from .corpus import Counted, Shard, is_packed, is_remote, open_plain, relative
from .problems import text_of

CAP = 64 << 20  # bytes of a row; what is over it is looked at as raw text
PART = 1 << 20  # bytes that are looked at together: of a longer row part by part, and of short ones many
BATCH_ROWS = 4096  # and not more rows than that
TOLD = 1 << 20  # stored bytes between two words about progress
BOM = codecs.BOM_UTF8
USUAL = ("text", "content", "code", "messages", "conversations")  # fields, the first that a row has
INVALID = "invalid UTF-8, read with replacements"
NOT_STRICT = "long and no strict JSON, looked at as raw text"
NO_TEXT = "no text in it"
BINARY = "binary"
BLANK = "blank"


class Row(NamedTuple):
    """``place``: where it is, for people. ``text``: UTF-8. ``raw``: what a writer of its format keeps of it."""

    place: str
    text: bytes
    raw: Any
    fault: str = ""


class Unread(NamedTuple):
    """A row that cannot be looked at. ``lost``: it may be there at another time."""

    place: str
    raw: Any
    why: str
    lost: bool = False


class Long(NamedTuple):
    """A row that is looked at part by part; ``parts`` must be drawn to their end before the next row is asked for.

    ``raw`` None: the parts are all that there is of it, as it was stored.
    """

    place: str
    parts: Generator[bytes, None, None]
    raw: Any
    fault: str = ""


Entry = Row | Unread | Long
Tick = Callable[[int], None]  # told how many stored bytes were read since the last call


def batches(shard: Shard, fields: Sequence[str], tick: Tick, columns: bool) -> Iterator[list[Entry]]:
    """A shard's rows in order, some together; a ``Long`` one is alone. ``columns``: rows are written again.

    Raises what reading raises, see ``broken``.
    """
    entries = _files(shard, tick) if shard.format == "files" else _rows(shard, fields, tick, columns)
    batch: list[Entry] = []
    size = 0
    try:
        for entry in entries:
            if isinstance(entry, Long):
                if batch:
                    yield batch
                yield [entry]
                batch, size = [], 0
                continue
            batch.append(entry)
            size += len(entry.raw) if isinstance(entry.raw, bytes | bytearray) else 0
            size += len(entry.text) if isinstance(entry, Row) else 0
            if size >= PART or len(batch) >= BATCH_ROWS:
                yield batch
                batch, size = [], 0
    except Exception as error:
        if batch and broken(error):
            yield batch  # what was read before
        raise
    if batch:
        yield batch


def broken(error: BaseException) -> str | None:
    """What is wrong with a file that raises this, or None where it is no fault of a file's."""
    said = " ".join(str(error).split())[:200] or type(error).__name__
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror or said})"
    if isinstance(error, EOFError | zlib.error) or type(error).__module__.partition(".")[0] in LIBRARIES:
        return f"damaged ({said})"
    return None


LIBRARIES = ("zstd", "zstandard", "pyarrow")


def _rows(shard: Shard, fields: Sequence[str], tick: Tick, columns: bool) -> Iterator[Entry]:
    if shard.format == "parquet":
        from .parquet import parquet_rows

        yield from parquet_rows(shard, fields, tick, columns)
        return
    file, counted = open_plain(shard.paths[0])
    with file:
        if shard.format == "text":
            yield _document(shard.name, file, shard.paths[0])
            tick(counted.bytes)
        else:
            yield from _lines(shard, file, counted, Decoder(fields) if shard.format == "jsonl" else None, tick)


def _lines(shard: Shard, file: BinaryIO, counted: Counted, decoder: Decoder | None, tick: Tick) -> Iterator[Entry]:
    """Of JSON, or with no ``decoder`` each line a text."""
    number = told = 0
    while line := file.readline(PART + 1):
        number += 1
        place = f"{shard.name}:{number}"
        if len(line) > PART and not line.endswith(b"\n"):
            long = bytearray(line)
            del line
            while len(long) <= CAP and not long.endswith(b"\n") and (more := file.readline(PART)):
                long += more
            entry: Entry
            if len(long) > CAP:
                entry = Long(place, _rest(long, file), None)
            else:
                entry = decoder.long(place, long) if decoder else Long(place, slices(long), long)
            yield entry
            if isinstance(entry, Long):
                entry.parts.close()
            long.clear()  # whoever still knows it
        elif not line.strip():
            yield Unread(place, line, BLANK)
        elif decoder:
            yield decoder.row(place, line)
        else:
            yield row_of(place, line.rstrip(b"\r\n"), line)
        if counted.bytes - told >= TOLD:
            tick(counted.bytes - told)
            told = counted.bytes
    tick(counted.bytes - told)


def _rest(line: bytearray, file: BinaryIO) -> Generator[bytes, None, None]:
    """A line, of which the beginning was read."""
    ended = line.endswith(b"\n")
    yield from slices(line)
    line.clear()
    while not ended and (more := file.readline(PART)):
        ended = more.endswith(b"\n")
        yield more


def slices(data: Any) -> Generator[bytes, None, None]:
    """Anything like bytes in parts."""
    for at in range(0, len(data), PART):
        yield bytes(data[at : at + PART])


def _document(place: str, file: BinaryIO, path: str, source: bool = False) -> Entry:
    """A file that is one text; ``source``: or something else, which has a zero byte at its beginning."""
    data = file.read(PART + 1)
    if source and b"\0" in data[:8192]:
        return Unread(place, path, BINARY)
    if len(data) > PART:
        return Long(place, _remaining(data, file), path)
    return row_of(place, data, path)


def _remaining(data: bytes, file: BinaryIO) -> Generator[bytes, None, None]:
    yield data
    while data := file.read(PART):
        yield data


def _files(shard: Shard, tick: Tick) -> Iterator[Entry]:
    read = 0
    for path in shard.paths:
        place = relative(shard, path)
        try:
            if is_remote(path) or is_packed(path):
                file, counted = open_plain(path)
            else:
                # Most are small, and what is around them counts.
                file, counted = open(path, "rb"), None  # noqa: SIM115  closed below
            with file:
                yield _document(place, file, path, source=True)
                read += counted.bytes if counted else file.tell()
        except Exception as error:
            if (why := broken(error)) is None:
                raise
            yield Unread(place, path, why, lost=True)
        if read >= TOLD:
            tick(read)
            read = 0
    tick(read)


def row_of(place: str, data: bytes, raw: Any) -> Row:
    """A text as it lies in a file."""
    text, valid = as_utf8(data)
    return Row(place, text, raw, "" if valid else INVALID)


def as_utf8(data: bytes) -> tuple[bytes, bool]:
    """With replacements where it is none; and whether it is."""
    if data.isascii():
        return data, True
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode(errors="replace").encode(), False
    return data, True


class Decoder:
    """The text of lines of JSON: of all ``fields``, or of the first usual one that a line has."""

    def __init__(self, fields: Sequence[str]) -> None:
        try:
            import msgspec
        except ImportError:
            raise InfrastructureError("msgspec is not installed; pip install 'qwencoder_eval[decontaminate]'") from None
        self.fields, self.unset, self.wrong = fields, msgspec.UNSET, msgspec.DecodeError
        names = {f"field{at}": name for at, name in enumerate(dict.fromkeys(fields or USUAL))}

        def decoder(kind: Any) -> Callable[[Any], Any]:
            struct = msgspec.defstruct("Line", [(name, kind, msgspec.UNSET) for name in names], rename=names)
            return msgspec.json.Decoder(struct).decode

        self.decode, self.decode_raw, self.decode_text = decoder(Any), decoder(msgspec.Raw), msgspec.json.decode
        self.names = tuple(names)

    def row(self, place: str, line: bytes) -> Row | Unread:
        fault = ""
        data = line.removeprefix(BOM)
        try:
            found = self.decode(data)
            values = [value for name in self.names if (value := getattr(found, name)) is not self.unset]
        except (self.wrong, RecursionError, UnicodeDecodeError):  # or what only Python's own reader takes
            try:
                text = data.decode()
            except UnicodeDecodeError:
                fault, text = INVALID, data.decode(errors="replace")
            try:
                document = json.loads(text, parse_int=str)  # which may have more digits than Python likes
            except RecursionError:
                return Unread(place, line, "too deep")
            except ValueError:
                return Unread(place, line, "not JSON")
            if not isinstance(document, dict):
                return Unread(place, line, "not an object")
            values = [document[name] for name in self.fields or USUAL if name in document]
        values = [value for value in values if value is not None]
        return text_row(place, values if self.fields else values[:1], line, fault)

    def long(self, place: str, line: bytearray) -> Entry:
        """The same of a line that is not held in memory twice: its text comes in parts."""
        try:
            found = self.decode_raw(line)
        except (self.wrong, RecursionError, UnicodeDecodeError):
            return Long(place, slices(line), line, NOT_STRICT)
        values = [value for name in self.names if (value := getattr(found, name)) is not self.unset]
        values = [value for value in values if bytes(memoryview(value)[:5]).strip() != b"null"]
        values = values if self.fields else values[:1]
        pieces = self._texts(values)
        if (first := next(pieces, None)) is None:
            return text_row(place, [""] if any(map(_is_text, values)) else [], line)
        return Long(place, _gathered(first, pieces), line, "" if _is_utf8(line) else INVALID)

    def _texts(self, values: Iterable[Any]) -> Iterator[bytes]:
        """Everything in them that is text, one below the other, as ``text_of`` has it, in pieces."""
        below = b""
        for value in values:
            data = memoryview(value)
            for token in TOKEN.finditer(data):
                begins, ends = token.span("text")
                if token["key"] is not None or token["literal"] == b"null" or (begins == ends and begins >= 0):
                    continue
                if below:
                    yield below
                below = b"\n"
                if token["literal"] is not None:
                    yield bytes(token["literal"])
                    continue
                yield from self._pieces(data, begins, ends)

    def _pieces(self, data: Any, at: int, end: int) -> Iterator[bytes]:
        """A string of JSON without its escapes, in pieces that end between characters."""
        while at < end:
            found = PIECE.match(data, at, end)
            assert found
            behind = found.end()
            while behind < end and data[behind] & 0xC0 == 0x80 and behind > at + 1:
                behind -= 1
            piece, at = bytes(data[at:behind]), behind
            yield self.decode_text(b'"%s"' % as_utf8(piece)[0], type=str).encode()


# Of JSON that is known to be right: a string with what says that it is a key, or anything else that is a value.
TOKEN = re.compile(rb'"(?P<text>(?:[^"\\]++|\\.)*+)"(?P<key>\s*+:)?|(?P<literal>[^\s,:\[\]{}"]++)', re.DOTALL)
# Within a string: no escape is torn, and no pair of them that is one character.
PIECE = re.compile(rb"(?:[^\\]{1,4096}+|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u....|\\[^u]){1,64}+", re.DOTALL)


def _is_text(value: Any) -> bool:
    return bytes(memoryview(value)[:1]) == b'"'


def _gathered(first: bytes, pieces: Iterable[bytes]) -> Generator[bytes, None, None]:
    """The same in parts."""
    part = bytearray(first)
    for piece in pieces:
        part += piece
        if len(part) >= PART:
            yield bytes(part)
            part.clear()
    yield bytes(part)


def _is_utf8(data: bytearray) -> bool:
    if data.isascii():
        return True
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for part in slices(data):
            decoder.decode(part)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def text_row(place: str, values: Sequence[Any], raw: Any, fault: str = "") -> Row | Unread:
    """The row with what these values have of text; one may be empty, but there must be one."""
    text = values[0] if len(values) == 1 and isinstance(values[0], str) else text_of(list(values))
    if not text and not any(isinstance(value, str) for value in values):
        return Unread(place, raw, NO_TEXT)
    return Row(place, text.encode("utf-8", "surrogatepass"), raw, fault)
