"""What references answered, on disk: the very bytes that an equal program sends."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import calls
import numpy
import pytest
from suites import LOADED, answers_of, recorded, reference, timed, value_of

from qwencoder_eval.errors import InfrastructureError
from qwencoder_eval.scoring.calls import WHOLE
from qwencoder_eval.scoring.recorded import Recorded, answer_lines, is_plain, only_floats, split_time
from qwencoder_eval.types import Calls

VALUES: list[Any] = [1, "ä\n\r\x85\u2028", [1.5, None], {"a": (1, 2)}, {3, 1}, float("inf"), 10**5000]


@pytest.fixture
def room() -> Iterator[None]:
    """For the module that runs in the sandbox, which sets the limit for recursion of its process."""
    before = sys.getrecursionlimit()
    yield
    sys.setrecursionlimit(before)


def sent(folder: Path, source: str, whole_bytes: int, as_reference: bool = False, count: int = 1) -> bytes:
    """What a program really sends."""
    with open(folder / "answers", "wb") as file:
        calls.answer(file.fileno(), source, "f", json.dumps([[]] * count), whole_bytes, as_reference)
    return (folder / "answers").read_bytes()


def line_with(expression: str, items: int) -> bytes:
    return calls.line_of(value_of(expression.replace("* N", f"* {items}")), WHOLE)


# Values of N items that take the same room each.
AROUND = {
    "text": "'a' * N",
    "whole numbers": "[123456789] * N",
    "floats": "[0.5] * N",
    "not numbers": "[float('nan'), 1.0] * N",
    "nested tuples": "[(1, (2, 'b', (None,)))] * N",
    "a tuple": "((1, 2.5),) * N",
    "lists of text": "[['a']] * N",
    "a dict": "dict.fromkeys(range(100000, 100000 + 1 * N), [1])",
    "numbers of many digits": "[10 ** 5000] * N",
}


@pytest.mark.usefixtures("room")
@pytest.mark.parametrize("kind", AROUND)
def test_kept_lines_are_the_bytes_that_an_equal_program_sends(kind: str, tmp_path: Path) -> None:
    expression = AROUND[kind]
    one, two = (len(line_with(expression, items)) for items in (1, 2))
    fits = 1 + (Calls.WHOLE_BYTES - one) // (two - one)
    for items, whole in ((fits, True), (fits + 1, False)):
        source = f"def f():\n    return {expression.replace('* N', f'* {items}')}\n"
        kept = reference(tmp_path / "r.gz", 1)
        kept.keep(sent(tmp_path, source, WHOLE, as_reference=True))
        expected = kept.load()
        assert expected.answers == sent(tmp_path, source, Calls.WHOLE_BYTES)
        (line,) = expected.lines
        assert (line.sized is None, line.long is None) == (whole, whole)
        assert kept.long_path.exists() is not whole
        complete = line_with(expression, items)
        assert (line.size, expected.whole_bytes) == (len(complete), len(complete))
        assert json.dumps({"value": line.encoded(kept.forward())}).encode() == complete
        assert line.same_digest(len(complete), hashlib.sha256(complete).hexdigest())
        assert not line.same_digest(len(complete), hashlib.sha256(b"other").hexdigest())
        assert line.plain is is_plain(complete) is ("nan" not in expression)


def test_the_last_bytes_before_the_threshold(tmp_path: Path) -> None:
    empty = len(calls.line_of("", WHOLE))
    for length in range(Calls.WHOLE_BYTES - empty - 1, Calls.WHOLE_BYTES - empty + 3):
        value = "a" * length
        expected = recorded(tmp_path, [value]).load()
        assert expected.answers == answers_of([value])
        assert (expected.lines[0].sized is None) is (length <= Calls.WHOLE_BYTES - empty)


@pytest.mark.parametrize("items", [calls.SLICE - 1, calls.SLICE, calls.SLICE + 1, 2 * calls.SLICE, 2 * calls.SLICE + 1])
@pytest.mark.parametrize("item", ["1.5", "(1, [2])", "NAN", "object()", "numpy.int64(3)", "'NaN'"])
def test_a_list_in_slices_is_the_same_line_whole_or_as_a_digest(item: str, items: int) -> None:
    value = [value_of(item)] * items
    whole = calls.line_of(value, WHOLE)
    assert whole == json.dumps({"value": calls.encode(value)}).encode()
    said = {"size": len(whole), "digest": hashlib.sha256(whole).hexdigest(), "plain": is_plain(whole)}
    for threshold in (0, 10, len(whole) // 2, len(whole) - 1):
        assert calls.line_of(value, threshold) == json.dumps(said).encode()
    assert calls.line_of(value, len(whole)) == whole


def test_what_is_loaded_is_what_was_kept(tmp_path: Path) -> None:
    source = recorded(tmp_path, VALUES)
    expected = source.load()
    assert expected.answers == answers_of(VALUES)
    assert (expected.cpu_s, expected.writing_s) == ([0.25] * 7, [0.0] * 7)
    assert source.cost_s() == 1.75
    assert (expected.error, expected.plain, expected.long, expected.floats) == ("", True, {}, [])
    for value, line in zip(VALUES, expected.lines, strict=True):
        assert line.text == calls.line_of(value, WHOLE)
        assert (line.plain, line.recorded, line.size) == (True, True, len(line.text))
        assert line.encoded(source.forward()) == calls.encode(value)


@pytest.mark.parametrize(
    "value",
    ["NAN", "[1, (NAN,)]", "complex(1, NAN)", "[object()]", "iter([1])", "{1: 2}.values()", "numpy.array([1, 2])"],
)
def test_equal_bytes_of_these_do_not_mean_equal_values(value: str, tmp_path: Path) -> None:
    expected = recorded(tmp_path, [1, value_of(value)]).load()
    assert [line.plain for line in expected.lines] == [True, False]
    assert not expected.plain


def test_long_values_are_read_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Calls, "WHOLE_BYTES", 100)
    values = [[n] * 100 if n % 2 else n for n in range(10)]
    source = recorded(tmp_path, values)
    lines = source.load().lines
    assert [line.long for line in lines] == [None, 0, None, 1, None, 2, None, 3, None, 4]
    read, readings, honest = source.forward(), [], Recorded._long_lines
    assert [lines[call].encoded(read) for call in (0, 1, 4, 5, 9)] == [values[call] for call in (0, 1, 4, 5, 9)]

    def counted(self: Recorded) -> Iterator[bytes]:
        readings.append(self)
        return honest(self)

    monkeypatch.setattr(Recorded, "_long_lines", counted)
    read = source.forward()
    for line in lines:
        line.encoded(read)
    assert len(readings) == 1


def test_a_value_that_was_too_long_even_for_a_reference_has_only_its_digest(tmp_path: Path) -> None:
    short, huge = ["a"], ["b" * 1000]
    source = recorded(tmp_path, [short, huge], whole_bytes=100)
    expected = source.load()
    assert [line.recorded for line in expected.lines] == [True, False]
    line = calls.line_of(huge, WHOLE)
    assert expected.whole_bytes == len(calls.line_of(short, WHOLE)) + len(line)
    assert expected.lines[1].same_digest(len(line), hashlib.sha256(line).hexdigest())
    assert (expected.plain, expected.lines[1].plain) == (True, True)
    assert not recorded(tmp_path, [[float("nan")] * 100], whole_bytes=100).load().plain
    assert not source.long_path.exists()


@pytest.mark.parametrize(
    ("answers", "count", "error"),
    [
        (b'{"stage": "load", "error": "NameError: f"}\n', 1, "NameError: f"),
        (LOADED + b'{"error": "ValueError: no", "type": "ValueError"}\n', 1, "call 1: ValueError: no"),
        (LOADED + timed(answers_of([1])).splitlines()[1] + b'\n{"error": "E"}\n', 2, "call 2: E"),
        (timed(answers_of([1])), 2, "1 of 2 calls are answered"),
        (timed(answers_of([1, 2])), 1, "2 of 1 calls are answered"),
        (LOADED, 1, "0 of 1 calls are answered"),
        (b"", 1, "0 of 1 calls are answered"),
        (LOADED + b'{"value": 1, "cpu_s": [0.1,', 1, "0 of 1 calls are answered"),
        (LOADED, 0, ""),
    ],
)
def test_a_reference_that_did_not_answer_every_call_says_why(
    answers: bytes, count: int, error: str, tmp_path: Path
) -> None:
    kept = reference(tmp_path / "r.gz", count)
    kept.keep(answers)
    assert kept.load().error == error


def test_the_file_that_stands_for_the_whole_appears_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Calls, "WHOLE_BYTES", 100)
    kept, seen = reference(tmp_path / "reference.gz", 1), []
    honest = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append((target.name, kept.exists()))
        return honest(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    assert recorded(tmp_path, [[1] * 100]) == kept
    assert seen == [("reference.long.gz", False), ("reference.gz", False)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reference.gz", "reference.long.gz"]
    assert gzip.decompress(kept.long_path.read_bytes()) == calls.line_of([1] * 100, WHOLE) + b"\n"


def test_a_folder_that_takes_nothing_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match="set QCEVAL_CACHE"):
        reference(tmp_path / "file" / "r.gz", 1).keep(LOADED)


def test_lines_end_where_their_newline_is() -> None:
    assert list(answer_lines(b"a\n\nb\rc\ntorn")) == [b"a", b"", b"b\rc"]
    assert list(answer_lines(bytearray(b""))) == []


def test_times_are_split_off_at_the_last_mark() -> None:
    line = calls.line_of(', "cpu_s": [1]}', WHOLE)
    assert split_time(line[:-1] + b', "cpu_s": [0.5, 1e-06]}') == (line, [0.5, 1e-06])


@pytest.mark.parametrize(
    ("value", "floats"),
    [
        (0.5, True), (1, False), (True, False), ([0.5], True), ((0.5, 1.0), True), ([0.5, 1], False), ([], False),
        ({0.5}, False), ([[0.5]], False), (numpy.float64(1), True), (numpy.float32(1), False), (None, False),
        (numpy.array([1.0]), True), (numpy.array([]), True), (numpy.array([1]), False), ("0.5", False),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_nothing_but_floats(value: Any, floats: bool) -> None:
    assert only_floats(value) is floats
