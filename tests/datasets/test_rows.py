"""Rows: one hash for the same rows however they are stored, and nothing used that does not match its pin."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.datasets import rows as module
from qwencoder_eval.datasets.rows import Rows, content_hash, load, locate, read
from qwencoder_eval.errors import DatasetError, InfrastructureError, QcevalError

SOME: list[dict[str, Any]] = [
    {"id": "a/0", "prompt": 'def f():\n    """é ☃"""\n', "inputs": [[1, 2.5], [-3, 1e300]], "ok": True},
    {"id": "a/1", "prompt": "", "inputs": [[], [0.1]], "ok": False, "deep": {"z": 1, "a": [{"y": 2, "b": 3}]}},
]
PIN = content_hash(SOME)
TOML = """
[[rows]]
inputs = [[1, 2.5], [-3, 1e300]]
ok = true
id = "a/0"
prompt = 'def f():
    \"\"\"é ☃\"\"\"
'
[[rows]]
ok = false
id = "a/1"
prompt = ""
inputs = [[], [0.1]]
deep = {a = [{b = 3, y = 2}], z = 1}
""".replace("prompt = 'def", "prompt = '''def").replace("\n'\n", "\n'''\n")


def lines(rows: list[dict[str, Any]], **options: Any) -> bytes:
    return b"".join(json.dumps(row, **options).encode() + b"\n" for row in rows)


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def turned(value: Any) -> Any:
    """The same value with the keys of every object the other way round."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty $QCEVAL_DATA, an empty cache, and no fetching unless a test says how."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("QCEVAL_DATA", str(folder))
    monkeypatch.setenv("QCEVAL_CACHE", str(tmp_path / "own-cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for name in ("evalplus", "evalplus.data", "evalplus.data.utils", "datasets"):
        monkeypatch.setitem(sys.modules, name, None)  # as if not installed
    return folder


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    return folder


@pytest.fixture
def no_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fetch", lambda rows: pytest.fail(f"{rows.file} was fetched"))


def refused(error: pytest.ExceptionInfo[QcevalError]) -> str:
    """The message, which is one line that begins with where."""
    assert "\n" not in str(error.value)
    return str(error.value)


# ---------------------------------------------------------------- hashing and reading


STORED: dict[str, bytes] = {
    "rows.jsonl": lines(SOME),
    "turned.jsonl": lines(turned(SOME)),
    "spaced.jsonl": b"\n" + lines(SOME, ensure_ascii=False, separators=(" ,  ", " : ")).replace(b"\n", b"\r\n\n"),
    "no-newline.jsonl": lines(SOME)[:-1],
    "rows.jsonl.gz": packed(lines(SOME)),
    "rows.json": json.dumps(SOME, indent=2).encode(),
    "rows.json.gz": packed(json.dumps(turned(SOME)).encode()),
    "lines.json": lines(SOME),
    "lines.json.gz": packed(lines(turned(SOME))),
    "spaced-lines.json": lines(SOME).replace(b"\n", b"\r\n\n") + b"\n",
    "no-newline.json": lines(SOME)[:-1],
    "one-line.json": json.dumps(SOME).encode() + b"\n\n",
    "rows.toml": TOML.encode(),
    "rows.toml.gz": packed(TOML.encode()),
}


@pytest.mark.parametrize("name", STORED)
def test_the_same_rows_have_the_same_hash_however_they_are_stored(
    data: Path, beside: Path, name: str, no_fetch: None
) -> None:
    (data / name).write_bytes(STORED[name])
    assert read(data / name) == SOME
    assert load(Rows(file=name, sha256=PIN, count=2), beside) == SOME


def test_the_hash_is_that_of_canonical_json() -> None:
    text = '{"a":"\\u00e9","b":[1,2.0]}\n{}\n'
    assert content_hash([{"b": [1, 2.0], "a": "é"}, {}]) == hashlib.sha256(text.encode()).hexdigest()
    assert content_hash([]) == hashlib.sha256(b"").hexdigest()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=4))
def test_any_rows_hash_alike_in_any_order_of_keys(rows: list[dict[str, Any]]) -> None:
    assert content_hash(turned(rows)) == content_hash(rows)
    assert content_hash(json.loads(json.dumps(rows))) == content_hash(rows)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ([SOME[0], {**SOME[1], "ok": True}], "rows hash to"),
        ([SOME[0], {**SOME[1], "inputs": [[], [0]]}], "rows hash to"),
        (SOME[::-1], "rows hash to"),
        (SOME[:1], "1 rows, not 2"),
        ([*SOME, SOME[0]], "3 rows, not 2"),
        ([], "0 rows, not 2"),
    ],
    ids=["changed", "number", "order", "missing", "extra", "empty"],
)
def test_other_rows_are_refused(
    data: Path, beside: Path, changed: list[dict[str, Any]], said: str, no_fetch: None
) -> None:
    (data / "x.jsonl").write_bytes(lines(changed))
    with pytest.raises(DatasetError) as caught:
        load(Rows(file="x.jsonl", sha256=PIN, count=2), beside)
    message = refused(caught)
    assert message.startswith(f"{data}/x.jsonl: {said}")
    assert "get the file again" in message
    with pytest.raises(DatasetError) as caught:  # without a count, the hash alone tells
        load(Rows(file="x.jsonl", sha256=PIN), beside)
    assert f"rows hash to {content_hash(changed)}, the pin says {PIN}" in refused(caught)


def test_without_a_pin_the_message_has_the_hash_to_write(data: Path, beside: Path) -> None:
    (data / "x.jsonl").write_bytes(lines(SOME))
    with pytest.raises(
        DatasetError, match=f'not pinned; if these are the rows, set sha256="{PIN}", count={len(SOME)}$'
    ):
        load(Rows(file="x.jsonl"), beside)


def corrupt_gzip() -> bytes:
    """Whole and with the right length, but nonsense in the compressed part."""
    stored = bytearray(packed(lines(SOME) * 50))
    stored[20:30] = b"\xff" * 10
    return bytes(stored)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.jsonl.gz", packed(lines(SOME))[:-12], ": cannot be read"),
        ("x.jsonl.gz", packed(lines(SOME))[:15], ": cannot be read"),
        ("x.jsonl.gz", corrupt_gzip(), ": cannot be read"),
        ("x.jsonl.gz", lines(SOME), ": cannot be read (Not a gzipped file"),
        ("x.jsonl", lines(SOME) + b'\n{"id": \n', ":4: not JSON"),
        ("x.jsonl", lines(SOME[:1]) + b"[" * 200_000 + b"\n", ":2: not JSON"),
        ("x.jsonl", b'{"id": "\xff"}\n', ": cannot be parsed ('utf-8' codec"),
        ("x.jsonl", lines(SOME) + b"[1]\n", ": not a list of objects"),
        ("x.json", b'{"a": {}}', ": not a list of objects"),
        ("x.json", b'{"a": {}}\n\n', ": not a list of objects"),
        ("x.json", b'{"a":\n{}}\n', ": not a list of objects"),
        ("x.json", b'{"a": 1}\n{"b": \n', ":2: not JSON"),
        ("x.json", b'{"a": 1}\n[1]\n', ": not a list of objects"),
        ("x.json", b"1\n2\n", ": cannot be parsed"),
        ("x.json", b"", ": cannot be parsed"),
        ("x.json", b'[{"a": 1}, 2]', ": not a list of objects"),
        ("x.json", b'[{"a": 1},', ": cannot be parsed"),
        ("x.json", b"[" * 200_000, ": cannot be parsed"),
        ("x.toml", b"[[rows]\n", ": cannot be parsed"),
        ("x.toml", b"rows = 3\n", ": not a list of objects"),
        ("x.toml", b"", ": cannot be parsed"),
        ("x.toml", b"[[a]]\n[[b]]\n", ": cannot be parsed"),
        ("x.toml", b"[[rows]]\nday = 2024-01-01\n", ": rows are not JSON"),
    ],
    ids=itertools.count(),
)
def test_a_file_that_cannot_be_read_is_refused(
    data: Path, beside: Path, name: str, content: bytes, said: str, no_fetch: None
) -> None:
    (data / name).write_bytes(content)
    with pytest.raises(DatasetError) as caught:
        load(Rows(file=name, sha256=PIN), beside)
    message = refused(caught)
    assert message.startswith(f"{data}/{name}{said}")
    assert message.endswith("; get the file again")


def test_a_file_without_permission_is_refused(data: Path, beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "x.jsonl").write_bytes(lines(SOME))

    def denied(path: Path, *mode: str) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(DatasetError, match=r"x\.jsonl: cannot be read \(.*Permission denied"):
        load(Rows(file="x.jsonl", sha256=PIN), beside)


# ---------------------------------------------------------------- where rows are looked for


def test_beside_the_benchmark_then_the_data_then_the_cache(data: Path, beside: Path, no_fetch: None) -> None:
    rows = Rows(file="deep/x.jsonl", sha256=PIN, count=2)
    assert locate(rows, beside) is None
    places = [rows.cached, data / rows.file, beside / rows.file]
    for path in places:  # the last one is the first to be looked at
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lines(SOME))
        assert locate(rows, beside) == path
        assert load(rows, beside) == SOME


def test_the_first_file_found_is_the_one_that_counts(data: Path, beside: Path, no_fetch: None) -> None:
    (beside / "x.jsonl").write_bytes(lines(SOME[:1]))
    (data / "x.jsonl").write_bytes(lines(SOME))
    with pytest.raises(DatasetError, match=f"^{beside}/x.jsonl: 1 rows, not 2"):
        load(Rows(file="x.jsonl", sha256=PIN, count=2), beside)


def test_without_a_data_folder_the_others_are_searched(
    beside: Path, monkeypatch: pytest.MonkeyPatch, no_fetch: None
) -> None:
    monkeypatch.setattr(module, "data_folder", lambda: None)
    (beside / "x.jsonl").write_bytes(lines(SOME))
    assert load(Rows(file="x.jsonl", sha256=PIN), beside) == SOME


def test_a_folder_of_that_name_is_no_file(data: Path, beside: Path, no_fetch: None) -> None:
    (beside / "x.jsonl").mkdir()
    (data / "x.jsonl").write_bytes(lines(SOME))
    assert load(Rows(file="x.jsonl", sha256=PIN), beside) == SOME


def test_inline_rows_need_no_file(beside: Path, no_fetch: None) -> None:
    found = load(Rows(inline=tuple(SOME)), beside)
    assert found == SOME
    found[0]["id"] = "changed"
    assert SOME[0]["id"] == "a/0"
    assert locate(Rows(inline=tuple(SOME)), beside) is None


# ---------------------------------------------------------------- fetching


def test_offline_never_fetches(beside: Path, monkeypatch: pytest.MonkeyPatch, no_fetch: None) -> None:
    rows = Rows(file="x.jsonl", sha256=PIN, release=("HumanEvalPlus", "v1"), hub="some/where")
    said = "^x.jsonl: not found, and --offline forbids fetching it; put it beside .*, or set QCEVAL_DATA$"
    with pytest.raises(DatasetError, match=said):
        load(rows, beside, offline=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DatasetError, match=said):
        load(rows, beside)


Publish = Callable[[bytes | Exception], list[tuple[str, str, bool]]]


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """A stand-in for evalplus's loader, which prints while it downloads. Returns the calls it gets."""

    def start(content: bytes | Exception) -> list[tuple[str, str, bool]]:
        calls = []
        utils = ModuleType("evalplus.data.utils")

        def get_dataset_metadata(name: str, version: str, mini: bool) -> tuple[str, str]:
            calls.append((name, version, mini))
            return f"https://example.org/{name}-{version}.jsonl.gz", str(tmp_path / "evalplus-cache.jsonl")

        def make_cache(url: str, path: str) -> None:
            assert url.startswith("https://example.org/")
            print(f"Downloading dataset from {url}")
            if isinstance(content, Exception):
                raise content
            Path(path).write_bytes(content)

        utils.get_dataset_metadata = get_dataset_metadata  # type: ignore[attr-defined]
        utils.make_cache = make_cache  # type: ignore[attr-defined]
        for name in ("evalplus", "evalplus.data"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.setitem(sys.modules, "evalplus.data.utils", utils)
        return calls

    return start


RELEASE = Rows(file="hp/x.jsonl.gz", sha256=PIN, count=2, release=("HumanEvalPlus", "v0.1.10"))


def test_a_release_is_fetched_once_verified_and_kept(
    beside: Path, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = publish(lines(turned(SOME)))
    assert load(RELEASE, beside) == SOME
    assert calls == [("HumanEvalPlus", "v0.1.10", False)]
    assert capsys.readouterr().out == "", "standard output is for results alone"
    assert RELEASE.cached.name == f"{PIN}.jsonl"
    assert locate(RELEASE, beside) == RELEASE.cached
    assert load(RELEASE, beside) == SOME
    assert load(RELEASE, beside, offline=True) == SOME
    assert len(calls) == 1
    assert [path.name for path in RELEASE.cached.parent.iterdir()] == [f"{PIN}.jsonl"]


def test_a_fetched_file_that_is_not_the_pinned_one_is_not_kept(beside: Path, publish: Publish) -> None:
    calls = publish(lines([SOME[0], SOME[0]]))
    for _ in range(2):
        with pytest.raises(DatasetError) as caught:
            load(RELEASE, beside)
        assert f"what was fetched: rows hash to {content_hash([SOME[0]] * 2)}" in refused(caught)
        assert not RELEASE.cached.exists()
    assert len(calls) == 2


def test_a_release_that_cannot_be_fetched(beside: Path, publish: Publish) -> None:
    publish(ConnectionRefusedError(111, "Connection refused"))
    with pytest.raises(DatasetError) as caught:
        load(RELEASE, beside)
    message = refused(caught)
    assert message.startswith("hp/x.jsonl.gz: not found, and the release cannot be fetched (")
    assert message.endswith("or set QCEVAL_DATA to a folder that holds it")


@pytest.mark.parametrize(
    ("rows", "extra"),
    [
        (RELEASE, ", or pip install 'qwencoder_eval[evalplus]'"),
        (Rows(file="hp/x.jsonl.gz", sha256=PIN, hub="some/where"), ", or pip install 'qwencoder_eval[hf]'"),
        (Rows(file="hp/x.jsonl.gz", sha256=PIN), ""),
    ],
)
def test_what_is_not_installed_is_named(beside: Path, rows: Rows, extra: str) -> None:
    with pytest.raises(DatasetError) as caught:
        load(rows, beside)
    hint = f"put it beside the benchmark in {beside}, or set QCEVAL_DATA to a folder that holds it"
    assert refused(caught) == f"hp/x.jsonl.gz: not found; {hint}{extra}"


HUB = Rows(file="x.jsonl", sha256=PIN, count=2, hub="some/where", split="dev", revision="abc123")


def hub(monkeypatch: pytest.MonkeyPatch, answer: list[dict[str, Any]] | Exception) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = []

    def load_dataset(name: str, **options: Any) -> list[dict[str, Any]]:
        asked.append({"name": name, **options})
        if isinstance(answer, Exception):
            raise answer
        return answer

    stand_in = ModuleType("datasets")
    stand_in.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", stand_in)
    return asked


def test_the_hub_is_asked_for_split_and_revision(beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = hub(monkeypatch, SOME)
    assert load(HUB, beside) == load(HUB, beside) == SOME
    assert asked == [{"name": "some/where", "split": "dev", "revision": "abc123"}]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no such split\nlong story"), "(no such split)"),
        (ConnectionError(), "(ConnectionError)"),
        (RuntimeError("x" * 5000), "x" * 200 + ")"),
    ],
)
def test_a_hub_that_fails_is_said_in_one_line(
    beside: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    hub(monkeypatch, error)
    with pytest.raises(DatasetError) as caught:
        load(HUB, beside)
    message = refused(caught)
    assert message.startswith("some/where: cannot be fetched (")
    assert said in message
    assert len(message) < 400


def test_storing_is_atomic(beside: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is killed while it writes leaves nothing under the final name, and the next one starts anew."""
    calls = publish(lines(SOME))
    real = Path.write_text

    def killed(path: Path, text: str, *args: Any, **options: Any) -> int:
        real(path, text[: len(text) // 2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            load(RELEASE, beside)
    assert not RELEASE.cached.exists()
    assert load(RELEASE, beside) == SOME
    assert len(calls) == 2
    assert read(RELEASE.cached) == SOME


@pytest.mark.parametrize("where", ["mkdir", "write_text", "replace"])
def test_a_cache_that_takes_nothing_is_said_in_one_line(
    beside: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    publish(lines(SOME))

    def full(*args: Any, **options: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, where, full)
    with pytest.raises(InfrastructureError) as caught:
        load(RELEASE, beside)
    message = refused(caught)
    assert f"{RELEASE.cached}: cannot be written (No space left on device)" in message
    assert "QCEVAL_CACHE" in message


# ---------------------------------------------------------------- the real thing


@pytest.mark.parametrize(
    ("version", "pin"),
    [
        ("v0.1.10", "c7b62636d76dc7a462e6928996c1193850ab899411be9eb5000eb01d93e51e9d"),
        ("v0.1.9", "c26471de111c0afdeff64953b1ea37bcfb5d2716371494b58b51092f29e582d2"),
    ],
)
def test_humanevalplus_as_released(
    shared_data: Path, beside: Path, monkeypatch: pytest.MonkeyPatch, no_fetch: None, version: str, pin: str
) -> None:
    monkeypatch.setenv("QCEVAL_DATA", str(shared_data))
    file = f"humanevalplus/{version}/HumanEvalPlus.jsonl.gz"
    found = load(Rows(file=file, sha256=pin, count=164), beside)
    assert [row["task_id"] for row in found] == [f"HumanEval/{i}" for i in range(164)]
    with pytest.raises(DatasetError, match=f"the pin says {'0' * 64}"):
        load(Rows(file=file, sha256="0" * 64, count=164), beside)
