"""LiveCodeBench's hidden tests: plain or packed they come back, and nothing but a string is ever unpickled."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import pickle
import pickletools
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qwencoder_eval.datasets import livecodebench as module
from qwencoder_eval.datasets.livecodebench import Test as Pair  # pytest would take Test for a class of tests
from qwencoder_eval.datasets.livecodebench import hidden_tests, listed, pickled_string
from qwencoder_eval.errors import DatasetError

PAIRS = [("1\n2\n", "3\n"), ("", ""), ("é ☃ \x00", "\u2028\r\n")]
EXPECTED = [Pair(given, output) for given, output in PAIRS]
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def as_json(pairs: list[tuple[str, str]]) -> str:
    return json.dumps([{"input": a, "output": b, "testtype": "stdin"} for a, b in pairs])


def packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


def pickled(value: object, protocol: int = 4) -> str:
    return packed(pickle.dumps(value, protocol))


def refused(text: str) -> str:
    """It raises DatasetError and nothing else, in one short line."""
    with pytest.raises(DatasetError) as caught:
        hidden_tests(text)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) <= 200
    return said


# ---------------------------------------------------------------- what is read


def test_the_real_row(shared_data: Path) -> None:
    (line,) = (shared_data / "livecodebench" / "full_row_1873_A.jsonl").read_text().splitlines()
    row = json.loads(line)
    (public,) = listed(row["public_test_cases"])
    assert public.input.split() == ["6", "abc", "acb", "bac", "bca", "cab", "cba"]
    assert public.output == "YES\nYES\nYES\nNO\nNO\nYES\n"
    assert not row["private_test_cases"].lstrip().startswith("[")
    hidden = hidden_tests(row["private_test_cases"])
    # As its own pickle says it: this one is known to hold a string.
    told = json.loads(pickle.loads(zlib.decompress(base64.b64decode(row["private_test_cases"]))))
    assert hidden == [Pair(each["input"], each["output"]) for each in told]
    assert len(hidden) >= 1
    assert all(test.input.endswith("\n") and set(test.output.split()) <= {"YES", "NO"} for test in hidden)


@pytest.mark.parametrize(
    "text", [as_json(PAIRS), " \n\t" + as_json(PAIRS) + "\n", json.dumps(json.loads(as_json(PAIRS)), indent=2)]
)
def test_plain_json(text: str) -> None:
    assert hidden_tests(text) == listed(text) == EXPECTED


def test_an_empty_list_is_no_test() -> None:
    assert hidden_tests("[]") == hidden_tests(pickled("[]")) == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_packed_by_every_protocol(protocol: int) -> None:
    assert hidden_tests(pickled(as_json(PAIRS), protocol)) == EXPECTED


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("size", [0, 1, 255, 256, 70_000])
def test_strings_of_every_length(protocol: int, size: int) -> None:
    """Each length has its own instruction, and long ones a frame of their own."""
    pairs = [("x" * size, "é" * size)]
    assert hidden_tests(pickled(as_json(pairs), protocol)) == [Pair(*pairs[0])]


def test_each_instruction_that_pushes_a_string_is_read() -> None:
    text = as_json(PAIRS)
    data = text.encode()
    pickles = [
        pickle.dumps("[]", 4),
        pickle.dumps(text, 1),
        b"\x80\x04\x8d" + len(data).to_bytes(8, "little") + data + b".",
        pickle.dumps(text, 0),
    ]
    seen = [op.name for made in pickles for op, _, _ in pickletools.genops(made) if op.name in module.STRINGS]
    assert set(seen) == module.STRINGS
    assert [hidden_tests(packed(made)) for made in pickles] == [[], *[EXPECTED] * 3]


TEXT = st.text(st.characters())  # lone surrogates too: JSON's escapes have them


@given(st.lists(st.tuples(TEXT, TEXT), max_size=5), st.sampled_from([None, *PROTOCOLS]))
@example([("\ud800", "\udfff\x00")], 0)
def test_any_tests_come_back(pairs: list[tuple[str, str]], protocol: int | None) -> None:
    text = as_json(pairs)
    wanted = [Pair(row["input"], row["output"]) for row in json.loads(text)]  # JSON joins pairs of lone surrogates
    assert hidden_tests(text if protocol is None else pickled(text, protocol)) == wanted


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5), st.sampled_from(PROTOCOLS))
def test_any_tests_come_back_without_escapes(pairs: list[tuple[str, str]], protocol: int) -> None:
    text = json.dumps([{"input": a, "output": b} for a, b in pairs], ensure_ascii=False)
    assert hidden_tests(pickled(text, protocol)) == [Pair(*pair) for pair in pairs]


# ---------------------------------------------------------------- pickles that would do something


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, (self.command,)


class Text(str):
    """Looks like a string, and is made by a call."""

    __slots__ = ()


class Known:
    """Something for a pickle that knows objects by a name outside of it."""


class Naming(pickle.Pickler):
    def persistent_id(self, value: object) -> str | None:
        return "somewhere" if isinstance(value, Known) else None


def with_persistent_id(protocol: int) -> bytes:
    file = io.BytesIO()
    Naming(file, protocol).dump(Known())
    return file.getvalue()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_call_is_refused_and_not_made(protocol: int, tmp_path: Path) -> None:
    made = tmp_path / "made"
    data = pickle.dumps(Evil(f"touch {made}"), protocol)
    assert "a pickle that would do " in refused(packed(data))
    assert not made.exists()
    pickle.loads(data)
    assert made.exists(), "the test itself has to be able to fail"


def test_no_instruction_but_those_of_strings_is_taken() -> None:
    known = module.STRINGS | module.HARMLESS
    assert known <= {op.name for op in pickletools.opcodes}
    assert not known & {
        "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4",
        "PERSID", "BINPERSID", "GET", "BINGET", "LONG_BINGET", "NEXT_BUFFER", "READONLY_BUFFER",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "would do GLOBAL"),
        (b"(S'true'\nios\nsystem\n.", "would do MARK"),
        (b"V[]\n(V{}\nios\nsystem\n.", "would do MARK"),
        (b"V[]\nios\nsystem\n.", "would do INST"),
        (b"V[]\nR.", "would do REDUCE"),
        (b"V[]\nb.", "would do BUILD"),
        (b"V[]\no.", "would do OBJ"),
        (b"V[]\n\x81.", "would do NEWOBJ"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "would do STACK_GLOBAL"),
        (b"\x80\x02\x82\x01.", "would do EXT1"),
        (b"Psomewhere\n.", "would do PERSID"),
        (b"V[]\nQ.", "would do BINPERSID"),
        (b"V[]\n0V[]\n.", "would do POP"),
        (b"V[]\n2.", "would do DUP"),
        (b"V[]\np0\n0g0\n.", "would do POP"),
        (b"V[]\np0\ng0\n.", "would do GET"),
        (b"N.", "would do NONE"),
        (b"K\x01.", "would do BININT1"),
        (b"S'[]'\n.", "would do STRING"),
        (b"U\x02[].", "would do SHORT_BINSTRING"),
        (b"\x80\x03C\x02[].", "would do SHORT_BINBYTES"),
        (b"V[]\nV[]\n.", "2 strings"),
        (b"\x80\x04\x8c\x02[]\x94\x8c\x02[]\x94.", "2 strings"),
        (b".", "0 strings"),
        (b"", "cannot be read"),
        (b"V[]\n", "cannot be read"),
        (b"\xff.", "cannot be read"),
        (b"V[]\np-1\nq", "cannot be read"),
        (b"\x8d" + b"\xff" * 8, "cannot be read"),
        (b"X\xff\xff\xff\xff[].", "cannot be read"),
        (b"\x8c\x02\xff\xfe.", "cannot be read"),
        (b"V\\ud\n.", "cannot be read"),
        (b"Vno newline", "cannot be read"),
        (b"I" + b"9" * 5000 + b"\n.", "cannot be read"),
    ],
)
def test_a_pickle_of_something_else(data: bytes, said: str) -> None:
    assert said in refused(packed(data))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [
        [as_json(PAIRS)], (as_json(PAIRS),), {"tests": as_json(PAIRS)}, {}, [], as_json(PAIRS).encode(), b"", 3, None,
        bytearray(b"[]"), {"a"}, 1.5, 1 << 70, ("[]", "[]"), Text("[]"), str, Known(), Evil("true"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_any_other_object(protocol: int, value: object) -> None:
    assert "pickle" in refused(pickled(value, protocol))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_name_outside_of_the_pickle(protocol: int) -> None:
    assert "PERSID" in refused(packed(with_persistent_id(protocol)))


def test_nothing_is_unpickled_and_nothing_imported() -> None:
    """In a process of its own: ``pickle``'s readers are gone, and a module that a pickle names stays unknown."""
    code = (
        "import pickle, sys\n"
        "pickle.loads = pickle.load = pickle.Unpickler = pickle._loads = pickle._Unpickler = None\n"
        "from qwencoder_eval.datasets.livecodebench import hidden_tests\n"
        "from qwencoder_eval.errors import DatasetError\n"
        "for text in sys.argv[1:]:\n"
        "    try: print(len(hidden_tests(text)))\n"
        "    except DatasetError as error: print(error)\n"
        "print('antigravity' in sys.modules)\n"
    )
    texts = [pickled(as_json(PAIRS)), packed(b"cantigravity\ngeohash\n."), packed(b"V[]\niantigravity\ngeohash\n.")]
    ran = subprocess.run([sys.executable, "-c", code, *texts], capture_output=True, text=True, check=True)
    good, evil, other, imported = ran.stdout.splitlines()
    assert (good, imported) == ("3", "False")
    assert "GLOBAL" in evil
    assert "INST" in other


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_that_is_cut_anywhere(protocol: int) -> None:
    data = pickle.dumps(as_json(PAIRS), protocol)
    for size in range(len(data)):
        assert "cannot be read" in refused(packed(data[:size])), size
    assert hidden_tests(packed(data)) == EXPECTED


def test_a_stream_that_is_cut_anywhere() -> None:
    whole = zlib.compress(pickle.dumps(as_json(PAIRS)))
    for size in range(len(whole)):
        refused(base64.b64encode(whole[:size]).decode())
    assert hidden_tests(base64.b64encode(whole).decode()) == EXPECTED


def test_a_text_that_is_cut_anywhere() -> None:
    whole = pickled(as_json(PAIRS))
    for size in range(len(whole) - whole.count("=")):
        refused(whole[:size])


def test_every_byte_that_changes_is_noticed_or_harmless() -> None:
    """The stream has a checksum: no change of one of its bytes gives other tests."""
    whole = zlib.compress(pickle.dumps(as_json(PAIRS)))
    for at in range(len(whole)):
        changed = whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :]
        with contextlib.suppress(DatasetError):
            assert hidden_tests(base64.b64encode(changed).decode()) == EXPECTED


@given(st.binary(max_size=40))
@example(b"\x80")
@example(b"\x95\x00")
@example(b"F1e\n.")
@example(b"(((((")
@example(b"L9L9\n.")
@example(b"\x8b\xff\xff\xff\x7f")
@example(b"\x8a\xff")
@example(b"S'\n.")
@example(b"S'\\x'\n.")
def test_any_bytes_as_a_pickle(data: bytes) -> None:
    with contextlib.suppress(DatasetError):
        assert isinstance(pickled_string(data), str)
    refused(packed(data))


@given(st.text(st.characters(), max_size=60))
@example("\ud800")
@example("AAAA")
@example("=")
@example("9" * 5000)
@example("1e999999")
@example("NaN")
@example('"[]"')
@example("\x00")
@example("[" * 60)
def test_any_text(text: str) -> None:
    with contextlib.suppress(DatasetError):
        assert all(isinstance(test, Pair) for test in hidden_tests(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "é",
        "\ud800",
        "AA",
        "AAA=A",
        "!!!!",
        "[]]",
        packed(b"") + "\ud800",
        pickled("[]") + "?",
        "\n" + pickled("[]"),
    ],
)
def test_what_is_neither_json_nor_packed(text: str) -> None:
    refused(text)


def test_base64_of_something_that_is_no_stream() -> None:
    for data in (b"", b"x", pickle.dumps("[]"), b"[]", bytes(100)):
        assert "tests that" in refused(base64.b64encode(data).decode())


def test_what_stands_behind_is_not_read() -> None:
    """Behind a pickle's end, or behind the stream: other tools ignore it, and nothing of it runs here."""
    data = pickle.dumps(as_json(PAIRS))
    evil = b"cos\nsystem\n(S'true'\ntR."
    assert hidden_tests(packed(data + evil)) == EXPECTED
    assert hidden_tests(base64.b64encode(zlib.compress(data) + zlib.compress(evil)).decode()) == EXPECTED


# ---------------------------------------------------------------- size


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 100_000)
    fits = as_json([("x" * 90_000, "")])
    assert hidden_tests(pickled(fits)) == [Pair("x" * 90_000, "")]
    for size in (100_000, 110_000, 50_000_000):
        said = refused(pickled(as_json([("x" * size, "")])))
        assert "more than" in said or "too early" in said


def test_a_bomb_takes_no_more_memory_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1 << 20)
    text = packed(b"V" + b"x" * (100 << 20) + b"\n.")
    tracemalloc.start()
    try:
        refused(text)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_the_bound_that_ships_has_room_for_what_is_known() -> None:
    assert module.MAX_BYTES >= 1 << 29


# ---------------------------------------------------------------- JSON of another shape


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "no list"),
        ('{"input": "1", "output": "2"}', "no list"),
        ("null", "no list"),
        ("3", "no list"),
        ('"[]"', "no list"),
        ("[1]", "TypeError"),
        ("[null]", "TypeError"),
        ('["input"]', "TypeError"),
        ('[["1", "2"]]', "TypeError"),
        ("[{}]", "KeyError"),
        ('[{"input": "1"}]', "KeyError"),
        ('[{"output": "1"}]', "KeyError"),
        ('[{"input": "1", "output": "2"}, {"input": "1"}]', "KeyError"),
        ('[{"input": 1, "output": "2"}]', "no text"),
        ('[{"input": "1", "output": null}]', "no text"),
        ('[{"input": ["1"], "output": "2"}]', "no text"),
        ('[{"input": "1", "output": "2"}', "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[" + "9" * 5000 + "]", "cannot be read"),
        ("[{'input': '1', 'output': '2'}]", "cannot be read"),
        ("[,]", "cannot be read"),
    ],
)
def test_json_of_another_shape(text: str, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        listed(text)
    assert refused(pickled(text))
    assert refused(text)
    if text.startswith("["):
        assert said in refused(text), "what begins like JSON is told as JSON"
