"""The text of lines of JSON: of short ones by a fast decoder, of long ones in parts."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any

from . import entries
from .entries import INVALID, USUAL, Entry, Long, Row, Unread, Utf8, slices, text_row

BOM = codecs.BOM_UTF8


class Decoder:
    """The text of lines of JSON: of all ``fields``, or of the first usual one that a line has."""

    def __init__(self, fields: Sequence[str]) -> None:
        import msgspec

        self.fields, self.unset, self.wrong = fields, msgspec.UNSET, msgspec.DecodeError
        self.names = tuple(dict.fromkeys(fields or USUAL))
        names = {f"field{at}": name for at, name in enumerate(self.names)}
        struct = msgspec.defstruct("Line", [(name, Any, msgspec.UNSET) for name in names], rename=names)
        self.decode, self.places = msgspec.json.Decoder(struct).decode, tuple(names)

    def row(self, place: str, line: bytes) -> Row | Unread:
        fault = ""
        data = line.removeprefix(BOM)
        try:
            found = self.decode(data)
            values = [value for name in self.places if (value := getattr(found, name)) is not self.unset]
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
            values = [document[name] for name in self.names if name in document]
        values = [value for value in values if value is not None]
        return text_row(place, values if self.fields else values[:1], line, fault)

    def long(self, place: str, line: bytearray) -> Entry:
        """The same of a line that is not held in memory twice: its text comes in parts."""
        found, why = members(line)
        if found is None:
            return Unread(place, line, why)
        values = [memoryview(line)[slice(*found[name])] for name in self.names if name in found]
        values = [value for value in values if bytes(value[:5]) != b"null"]
        values = values if self.fields else values[:1]
        pieces = _texts(values)
        if (first := next(pieces, None)) is None:
            return text_row(place, [""] if any(value[0] == QUOTE for value in values) else [], line)
        return Long(place, _gathered(first, pieces), line, "" if _is_utf8(line) else INVALID)


QUOTE = ord('"')


def members(line: bytearray) -> tuple[dict[str, tuple[int, int]] | None, str]:
    """Where the values of a JSON object lie, by name; or None, and why.

    As Python reads it, with NaN, and of equal names the last. Nothing is copied, and any depth is deep enough.
    """
    at, end, open_ = len(BOM) * line.startswith(BOM), len(line), bytearray()
    state, name, begins, whole = VALUE, "", 0, False
    found: dict[str, tuple[int, int]] = {}
    while at < end:
        if (token := JSON.match(line, at)) is None:
            return None, "not JSON"
        kind, before = token.lastgroup, at
        at = token.end()
        if kind == "blank":
            continue
        if kind == "string" and state in (NAME, NAME_OR_END):
            if len(open_) == 1:
                name = json.loads(line[before:at].decode(errors="replace"))
            state = COLON
        elif kind in ("string", "literal") and state in (VALUE, VALUE_OR_END):
            if len(open_) == 1:
                found[name] = before, at
            state = COMMA_OR_END
        elif kind == "open" and state in (VALUE, VALUE_OR_END):
            if len(open_) == 1:
                begins = before
            open_ += token[0]
            state = NAME_OR_END if token[0] == b"{" else VALUE_OR_END
        elif kind == "close" and open_ and state in ENDS[token[0]] and open_[-1:] == OPENED[token[0]]:
            del open_[-1]
            if len(open_) == 1:
                found[name] = begins, at
            state = COMMA_OR_END
        elif kind == "comma" and open_ and state == COMMA_OR_END:
            state = NAME if open_[-1:] == b"{" else VALUE
        elif kind == "colon" and state == COLON:
            state = VALUE
        else:
            return None, "not JSON"
        if not open_ and state == COMMA_OR_END:
            state = NOTHING
            whole = kind == "close" and token[0] == b"}"
    if state != NOTHING:
        return None, "not JSON"
    return (found, "") if whole else (None, "not an object")


VALUE, VALUE_OR_END, NAME, NAME_OR_END, COLON, COMMA_OR_END, NOTHING = range(7)  # what may come next
ENDS = {b"}": (NAME_OR_END, COMMA_OR_END), b"]": (VALUE_OR_END, COMMA_OR_END)}
OPENED = {b"}": b"{", b"]": b"["}
JSON = re.compile(
    rb"""(?P<blank>[ \t\r\n]++)
    |(?P<string>"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")
    |(?P<open>[\[{])|(?P<close>[\]}])|(?P<comma>,)|(?P<colon>:)
    |(?P<literal>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null|NaN|-?Infinity)""",
    re.VERBOSE,
)


def _texts(values: Iterable[Any]) -> Iterator[bytes]:
    """Everything in them that is text, one below the other, as ``text_of`` has it, in pieces."""
    below = b""
    for value in values:
        for token in TOKEN.finditer(value):
            begins, ends = token.span("text")
            if token["key"] is not None or token["literal"] == b"null" or (begins == ends and begins >= 0):
                continue
            if below:
                yield below
            below = b"\n"
            if token["literal"] is not None:
                yield bytes(token["literal"])
                continue
            yield from _pieces(value, begins, ends)


def _pieces(data: Any, at: int, end: int) -> Iterator[bytes]:
    """A string of JSON without its escapes, in pieces that end between characters."""
    while at < end:
        found = PIECE.match(data, at, end)
        assert found
        behind = found.end()
        while behind < end and data[behind] & 0xC0 == 0x80 and behind > at + 1:
            behind -= 1
        piece, at = bytes(data[at:behind]), behind
        text: str = json.loads(f'"{piece.decode(errors="replace")}"')
        yield text.encode("utf-8", "surrogatepass")


# Of JSON that is known to be right: a string with what says that it is a key, or anything else that is a value.
TOKEN = re.compile(rb'"(?P<text>(?:[^"\\]++|\\.)*+)"(?P<key>\s*+:)?|(?P<literal>[^\s,:\[\]{}"]++)', re.DOTALL)
# Within a string: no escape is torn, and no pair of them that is one character.
PIECE = re.compile(rb"(?:[^\\]{1,4096}+|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u....|\\[^u]){1,64}+", re.DOTALL)


def _gathered(first: bytes, pieces: Iterable[bytes]) -> Generator[bytes, None, None]:
    """The same in parts."""
    part = bytearray(first)
    for piece in pieces:
        part += piece
        if len(part) >= entries.PART:
            yield bytes(part)
            part.clear()
    yield bytes(part)


def _is_utf8(data: bytearray) -> bool:
    seen = Utf8()
    for part in slices(data):
        seen.add(part)
    seen.add(b"", final=True)
    return seen.valid
