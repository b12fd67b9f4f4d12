"""The text of lines of JSON: short and long ones have the same, and what has none says why."""

from __future__ import annotations

import codecs
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("msgspec", reason="msgspec is not installed")

from qwencoder_eval.decontamination import entries, json_rows
from qwencoder_eval.decontamination.entries import INVALID, NO_TEXT, Entry, Long, Row, Unread
from qwencoder_eval.decontamination.json_rows import Decoder

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from(["text", "content", "code", "messages", "other"]), values, max_size=4)


def row(line: bytes | str, *fields: str) -> Row | Unread:
    return Decoder(fields).row("p", line if isinstance(line, bytes) else line.encode())


def text_of(found: Entry) -> bytes:
    if isinstance(found, Long):
        return b"".join(found.parts)
    assert isinstance(found, Row), found
    return found.text


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"text": "a b"}', "a b"),
        ('{"code": "second", "text": "first"}', "first"),  # the order of the usual ones, not of the line
        ('{"text": null, "content": "c"}', "c"),
        ('{"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "x = 1"}]}',
         "user\nhello\nassistant\nx = 1"),
        ('{"text": ""}', ""),
        ('{"text": "\\ud83d\\ude00 \\n"}', "\U0001f600 \n"),
        ('{"te\\u0078t": "k"}', "k"),
        ('{"text": "once", "text": "twice"}', "twice"),
        ('{"text": ["a", 1, 2.5, true, null, {"k": "b"}]}', "a\n1\n2.5\ntrue\nb"),
        ('{"text": NaN, "id": Infinity}', "NaN"),  # no JSON, and yet what Python writes
        ('{"text": ' + "9" * 5000 + "}", "9" * 5000),
        ('﻿{"text": "behind a mark"}', "behind a mark"),
    ],
)  # fmt: skip
def test_the_text_of_a_line(line: str, expected: str) -> None:
    assert row(line) == Row("p", expected.encode(), line.encode(), "")


def test_all_fields_that_are_asked_for_are_the_text() -> None:
    line = '{"a": "one", "b": {"c": "two"}, "text": "no"}'
    assert text_of(row(line, "b", "a")) == b"two\none"
    assert text_of(row(line, "a", "missing")) == b"one"
    assert row(line, "missing") == Unread("p", line.encode(), NO_TEXT)


def test_a_lone_surrogate_is_kept_as_it_is() -> None:
    assert text_of(row('{"text": "a \\ud800 b"}')) == "a \ud800 b".encode("utf-8", "surrogatepass")


def test_bytes_that_are_no_utf8_are_replaced_and_said() -> None:
    line = b'{"text": "a \xff b", "id": 1}'
    assert row(line) == Row("p", "a � b".encode(), line, INVALID)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("no json", "not JSON"),
        ('{"text": "a"', "not JSON"),
        ('{"text": "a"} {"text": "b"}', "not JSON"),
        ('{"text": "\\x"}', "not JSON"),
        ("[1]", "not an object"),
        ('"text"', "not an object"),
        ("null", "not an object"),
        ('{"other": "a"}', NO_TEXT),
        ('{"text": null}', NO_TEXT),
        ('{"text": []}', NO_TEXT),
        ("{}", NO_TEXT),
        ('{"text": ' + "[" * 100_000 + "]" * 100_000 + "}", "too deep"),
    ],
)
def test_what_cannot_be_looked_at_says_why(line: str, why: str) -> None:
    assert row(line) == Unread("p", line.encode(), why)


def test_invalid_utf8_that_is_no_json_either_is_said_once() -> None:
    assert row(b"\xff") == Unread("p", b"\xff", "not JSON")
    assert row(b"[\"\xff\"]") == Unread("p", b'["\xff"]', "not an object")  # fmt: skip


@given(documents, st.booleans(), st.integers(1, 9), st.sampled_from([(), ("text",), ("other", "code")]))
def test_a_long_line_has_the_text_that_a_short_one_has(
    document: dict[str, Any], escaped: bool, part: int, fields: tuple[str, ...]
) -> None:
    line = json.dumps(document, ensure_ascii=escaped).encode("utf-8", "surrogatepass") + b"\n"
    expected = row(line, *fields)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(entries, "PART", part)
        found = Decoder(fields).long("p", bytearray(line))
        if isinstance(expected, Unread):
            assert (type(found), found.why) == (Unread, expected.why)  # type: ignore[union-attr]
            return
        fault = found.fault if isinstance(found, Row | Long) else ""
        assert (text_of(found), fault) == (expected.text, expected.fault)


@pytest.mark.parametrize("unit", ["\\ud83d\\ude00", "\U0001f600", "\\n", "a\\u00e9", "é", "x"])
def test_no_character_is_torn_between_the_pieces_of_a_long_text(unit: str) -> None:
    line = bytearray(b'{"text": "' + unit.encode() * 300_000 + b'"}\n')
    parts = list(Decoder(()).long("p", line).parts)  # type: ignore[union-attr]
    assert len(parts) > 1 or len(parts[0]) < 2 * entries.PART
    assert b"".join(parts).decode() == json.loads(f'"{unit}"') * 300_000
    for part in parts:
        part.decode()


@pytest.mark.parametrize(
    "line",
    [
        '{"text": "a \\ud800 b"}', '{"score": NaN, "text": "a"}', '{"text": [-Infinity, NaN, 1e5, -0.5]}',
        '\ufeff{"text": "a"}', ' {"a": {"text": "no"}, "text": "yes", "b": [{"text": "no"}]} ',
        '{"text": "\\u00e9\\/\\b"}',
        '{"te\\u0078t": "k"}', '{"text": "once", "text": "twice"}', '{"text": {"a": {}, "b": [], "c": [[["d"]]]}}',
    ],
)  # fmt: skip
def test_what_python_takes_for_json_is_json_in_long_lines_too(line: str) -> None:
    expected = row(line)
    assert isinstance(expected, Row)
    found = Decoder(()).long("p", bytearray(line.encode()))
    assert text_of(found).replace(b"1e5", b"100000.0") == expected.text


@pytest.mark.parametrize(
    "line",
    [
        "", " ", "{", "}", '{"text": "a"', '{"text" "a"}', '{"text": "a",}', '{,}',
        '{"text": "a"]', '{"a": [}', '{"a": [1,]}',
        '{"a": 01}', '{"a": 1.}', '{"a": nul}', '{"text": "\\x"}', '{"text": "\\u12"}', '{"text": "\x01"}',
        '{"a"}', '{1: 2}',
        '{"a": 1} {"b": 2}', '{"a": 1}]', "[1", "[1, 2]", '"text"', "12", "null", '{"text": "a',
        '{"a": +1}', '{"a": .5}', "[]]",
        '{"a": "b" "c"}', '{"a": 1 2}', '{"a":: 1}', "{'a': 1}",
    ],
)  # fmt: skip
def test_what_is_no_json_is_none_in_long_lines_either(line: str) -> None:
    expected = row(line)
    assert isinstance(expected, Unread)
    found = Decoder(()).long("p", bytearray(line.encode()))
    assert isinstance(found, Unread)
    assert (found.why, bytes(found.raw)) == (expected.why, line.encode())


@given(
    st.lists(
        st.sampled_from(["{", "}", "[", "]", ",", ":", '"a"', '"text"', "1", "null", " ", "NaN", '"']), max_size=12
    )
)
def test_any_row_of_tokens_is_json_or_is_not(tokens: list[str]) -> None:
    line = "".join(tokens)
    expected, found = row(line), Decoder(()).long("p", bytearray(line.encode()))
    if isinstance(expected, Unread):
        assert isinstance(found, Unread)
        assert found.why == expected.why
    else:
        assert text_of(found) == expected.text


def test_a_long_line_may_be_as_deep_as_it_likes() -> None:
    line = bytearray(b'{"text": ' + b"[" * 100_000 + b'"a"' + b"]" * 100_000 + b"}")
    assert text_of(Decoder(()).long("p", line)) == b"a"


def test_a_long_line_of_other_bytes_says_so() -> None:
    found = Decoder(()).long("p", bytearray(b'{"text": "a \xff b"}'))
    assert isinstance(found, Long)
    assert (found.fault, text_of(found)) == (INVALID, "a � b".encode())


@given(st.binary(max_size=60), st.integers(1, 8))
def test_utf8_is_known_whatever_the_parts(data: bytes, part: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(entries, "PART", part)
        assert json_rows._is_utf8(bytearray(data)) == valid(data)
    assert entries.as_utf8(data) == (data.decode(errors="replace").encode(), valid(data))


def valid(data: bytes) -> bool:
    try:
        codecs.decode(data, "utf-8")
    except UnicodeDecodeError:
        return False
    return True
