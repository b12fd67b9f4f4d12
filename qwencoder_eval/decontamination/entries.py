"""What is read of a corpus: rows of text, with their places; and what says that a row cannot be looked at."""

from __future__ import annotations

import codecs
import json
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

CAP = 64 << 20  # bytes of a row; what is over it is looked at as it is stored
PART = 1 << 20  # bytes that are looked at together: of a longer row part by part, and of short ones many
USUAL = ("text", "content", "code", "messages", "conversations")  # fields, the first that a row has
INVALID = "invalid UTF-8, read with replacements"
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


def slices(data: Any) -> Generator[bytes, None, None]:
    """Anything like bytes in parts."""
    for at in range(0, len(data), PART):
        yield bytes(data[at : at + PART])


def characters(data: bytes) -> str:
    """As text: halves of characters as they are, and replacements for what is no UTF-8."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode(errors="replace")


class Utf8:
    """Whether parts are UTF-8 together: ``valid``, as far as they were added. ``errors``: see ``codecs``."""

    def __init__(self, errors: str = "strict") -> None:
        self.decoder, self.valid = codecs.getincrementaldecoder("utf-8")(errors), True

    def add(self, part: bytes, final: bool = False) -> None:
        if self.valid and (final or not part.isascii() or self.decoder.getstate() != (b"", 0)):
            try:
                self.decoder.decode(part, final)
            except UnicodeDecodeError:
                self.valid = False


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


def text_row(place: str, values: Sequence[Any], raw: Any, fault: str = "") -> Row | Unread:
    """The row with what these values have of text; one may be empty, but there must be one."""
    text = values[0] if len(values) == 1 and isinstance(values[0], str) else text_of(list(values))
    if not text and not any(isinstance(value, str) for value in values):
        return Unread(place, raw, NO_TEXT)
    return Row(place, text.encode("utf-8", "surrogatepass"), raw, fault)


def text_of(value: Any) -> str:
    """Everything in a value that is text: a text as it is, of lists and objects their parts, one below the other."""
    texts, left = [], [value]
    while left:  # and no recursion: rows may be nested as deep as they like
        each = left.pop()
        if isinstance(each, dict):
            left += reversed(each.values())
        elif isinstance(each, list | tuple):
            left += reversed(each)
        elif isinstance(each, bytes):
            texts.append(each.decode(errors="replace"))
        elif each is not None:
            texts.append(each if isinstance(each, str) else _written(each))
    return "\n".join(text for text in texts if text)


def _written(value: Any) -> str:
    """A number, or what Parquet has beside them."""
    return json.dumps(value) if isinstance(value, bool | int | float) else str(value)
