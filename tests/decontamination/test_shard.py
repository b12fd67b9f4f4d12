"""A shard from beginning to end: every row is kept, dropped or left; and nothing is half done."""

from __future__ import annotations

import bz2
import errno
import gzip
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba", reason="numba is not installed")

import pyarrow
import pyarrow.parquet
import zstandard

from qwencoder_eval.decontamination import entries, outputs, shard
from qwencoder_eval.decontamination.corpus import Job, Shard, shards
from qwencoder_eval.decontamination.index import Item, build
from qwencoder_eval.decontamination.outputs import Outputs
from qwencoder_eval.decontamination.rules import RULES
from qwencoder_eval.decontamination.shard import overlapping, scan_shard

PLANTED = "one two three four five six seven eight nine ten eleven twelve"
ITEMS = [Item("made", "0", (PLANTED,)), Item("made", "1", ("short one",))]
PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".zst": zstandard.compress,
}  # fmt: skip
UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".zst": lambda data: zstandard.ZstdDecompressor().stream_reader(data).read(),
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index") / "made"
    build(ITEMS, [(RULES["qwen"], 10), (RULES["words"], 10)]).save(folder)
    return folder


@pytest.fixture
def job(index: Path, tmp_path: Path) -> Job:
    (tmp_path / "out").mkdir()
    return Job(str(index), str(tmp_path / "out"), (), True)


def only(path: Path, **more: Any) -> Shard:
    (found,) = shards([str(path)], **more)
    return found


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def left(job: Job) -> list[str]:
    out = Path(job.out)
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


ROWS = [
    {"text": f"before {PLANTED} behind", "id": 1},
    {"text": "nothing", "id": 2},
    {"text": "", "id": 3},
    {"text": None, "id": 4},
    {"text": PLANTED.upper(), "id": 5},  # by one of the rules
    {"text": "\U0001f600 " * 30 + PLANTED, "id": 6},
    {"text": "x " * 400, "id": 7},
    {"text": "x " * 400 + PLANTED, "id": 8},
    {"text": "the end", "id": 9},
]
HIT, LEFT = (1, 5, 6, 8), (4,)
KEPT = [row for row in ROWS if row["id"] not in HIT + LEFT]


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("part", [100, 1 << 20])
def test_every_row_of_json_is_in_one_of_three_places(
    ending: str, part: int, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``part``: as long rows and as short ones."""
    monkeypatch.setattr(entries, "PART", part)
    data = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    path = tmp_path / f"a.jsonl{ending}"
    path.write_bytes(PACK[ending](data))
    told: list[int] = []
    result = scan_shard(only(path), job, told.append)
    name, out = path.name, Path(job.out)
    assert left(job) == [f"clean/{name}", f"dropped/{name}.jsonl", f"shards/{name}.json", f"unchecked/{name}.jsonl"]
    kept = UNPACK[ending]((out / "clean" / name).read_bytes()).splitlines()
    assert [json.loads(line) for line in kept] == KEPT
    dropped = lines(out / "dropped" / f"{name}.jsonl")
    rows = [json.loads(each["row"]) if isinstance(each["row"], str) else each["row"] for each in dropped]
    assert rows == [row for row in ROWS if row["id"] in HIT]
    assert [each["place"] for each in dropped] == [f"{name}:{id}" for id in HIT]
    for each, row in zip(dropped, rows, strict=True):
        for hit in each["hits"]:
            assert row["text"][hit["start"] : hit["end"]] == hit["text"]
            assert hit["text"].lower() == PLANTED
    assert [(each["fault"], each["row"]["id"]) for each in lines(out / "unchecked" / f"{name}.jsonl")] == [
        ("no text in it", 4)
    ]
    assert (result["documents"], result["hit"], result["unchecked"], result["whole"]) == (8, 4, 1, True)
    assert result.pop("written")
    assert json.loads((out / "shards" / f"{name}.json").read_text()) == json.loads(json.dumps(result))
    assert sum(told) == path.stat().st_size


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip"])
@pytest.mark.parametrize("group", [1, 4, 100])
def test_every_row_of_parquet_is_in_one_of_three_places(
    compression: str, group: int, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "PART", 700)
    table = pyarrow.Table.from_pylist(ROWS).append_column("blob", pyarrow.array([b"\xff\0"] * len(ROWS)))
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(table, path, compression=compression, row_group_size=group)
    result = scan_shard(only(path), job)
    out = Path(job.out)
    kept = pyarrow.parquet.ParquetFile(out / "clean" / "a.parquet")
    assert kept.schema_arrow.equals(table.schema)
    assert kept.metadata.row_group(0).column(0).compression == {"none": "UNCOMPRESSED"}.get(
        compression, compression.upper()
    )
    assert [{"text": row["text"], "id": row["id"]} for row in kept.read().to_pylist()] == KEPT
    dropped = lines(out / "dropped" / "a.parquet.jsonl")
    assert [each["place"] for each in dropped] == [f"a.parquet:{id}" for id in HIT]
    # A long row of Parquet is only named: it would be in memory several times.
    assert [each["row"] and each["row"]["id"] for each in dropped] == [1, 5, 6, None]
    assert dropped[0]["row"]["blob"] == "/wA="
    assert [each["row"]["id"] for each in lines(out / "unchecked" / "a.parquet.jsonl")] == [4]
    assert (result["documents"], result["hit"], result["unchecked"]) == (8, 4, 1)


@pytest.mark.parametrize("column", [
    pyarrow.array([[{"content": PLANTED}], [{"content": "b"}]]),
    pyarrow.array([PLANTED, "b"]).dictionary_encode(),
    pyarrow.array([PLANTED.encode(), b"\xff"]),
    pyarrow.array([PLANTED, "b"], pyarrow.large_string()),
    pyarrow.array([PLANTED, "b"], pyarrow.string_view()),
    pyarrow.array([{"a": {"b": [PLANTED]}}, {"a": {"b": ["c"]}}]),
])  # fmt: skip
def test_columns_of_every_kind_have_text(column: Any, job: Job, tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"messages": column, "n": [1, 2]}), tmp_path / "a.parquet")
    result = scan_shard(only(tmp_path / "a.parquet"), job)
    assert (result["documents"], result["hit"]) == (2, 1), result["faults"]
    assert [row["n"] for row in pyarrow.parquet.read_table(Path(job.out) / "clean" / "a.parquet").to_pylist()] == [2]


def test_a_parquet_file_of_which_nothing_is_kept_is_an_empty_one(job: Job, tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"text": [PLANTED]}), tmp_path / "a.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"other": ["x"]}), tmp_path / "b.parquet")
    assert scan_shard(only(tmp_path / "a.parquet"), job)["hit"] == 1
    assert scan_shard(only(tmp_path / "b.parquet"), job)["unchecked"] == 1
    for name in ("a", "b"):
        assert pyarrow.parquet.read_table(Path(job.out) / "clean" / f"{name}.parquet").num_rows == 0


@pytest.mark.parametrize("kept", [0, 3, 0.5, 0.98])
def test_a_torn_parquet_file_is_damaged(kept: float, job: Job, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": ["x " * 1000] * 1000}), path)
    path.write_bytes(path.read_bytes()[: int(kept if kept > 1 else kept * path.stat().st_size)])
    result = scan_shard(only(path), job)
    assert (result["whole"], result["fault_count"]) == (False, 1)
    assert result["faults"][0]["fault"].startswith(("damaged", "cannot be read"))


def test_source_files_are_copied_as_they_are(job: Job, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    contents = {"a/b.py": b"x = 1\r\n", "hit.py": PLANTED.encode(), "\xff\x1b[0m.py": b"\xff", "z.bin": b"\0\1"}
    for name, data in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    result = scan_shard(only(folder), job)
    clean = Path(job.out) / "clean" / "files-00001"
    copied = {path.relative_to(clean).as_posix(): path.read_bytes() for path in clean.rglob("*") if path.is_file()}
    assert copied == {name: data for name, data in contents.items() if name not in ("hit.py", "z.bin")}
    (dropped,) = lines(Path(job.out) / "dropped" / "files-00001.jsonl")
    assert (dropped["place"], dropped["row"]) == ("hit.py", str(folder / "hit.py"))
    assert (result["binary"], result["fault_count"]) == (1, 1)  # the name of no file is a fault, its bytes are


@pytest.mark.parametrize("hit", [True, False])
def test_a_file_that_is_one_text_is_kept_or_dropped_whole(hit: bool, job: Job, tmp_path: Path) -> None:
    data = (f"x {PLANTED if hit else ''} \n" * 3).encode()
    (tmp_path / "book.txt.gz").write_bytes(gzip.compress(data))
    result = scan_shard(only(tmp_path / "book.txt.gz"), job)
    assert (result["documents"], result["hit"], result["bytes"]) == (1, int(hit), len(data))
    kept = Path(job.out) / "clean" / "book.txt.gz"
    assert not hit or not kept.exists()
    assert hit or gzip.decompress(kept.read_bytes()) == data


def test_without_clean_rows_only_places_are_written(job: Job, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    scan_shard(only(tmp_path / "a.jsonl"), Job(job.index, job.out))
    assert left(job) == ["dropped/a.jsonl.jsonl", "shards/a.jsonl.json", "unchecked/a.jsonl.jsonl"]
    for kind, count in (("dropped", 4), ("unchecked", 1)):
        assert ["row" in each for each in lines(Path(job.out, kind, "a.jsonl.jsonl"))] == [False] * count


@given(
    st.lists(st.sampled_from(["a", "é", "\U0001f600", " ", "\n", "bcd "]), max_size=200).map("".join),
    st.integers(0, 200),
    st.integers(16, 60),
)
@settings(max_examples=150)
def test_what_lies_across_the_parts_of_a_long_row_is_found_where_it_is(text: str, at: int, part: int) -> None:
    """Parts of so many bytes with 200 in common: a match of 62, wherever it is, and the characters before it."""
    text = f"{text[:at]} {PLANTED} {text[at:]}"
    data = text.encode()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shard, "OVERLAP", 200)
        parts = (data[first : first + part] for first in range(0, len(data), part))
        found = [
            before + len(each[: each.index(PLANTED.encode())].decode(errors="replace"))
            for before, each in overlapping(parts)
            if PLANTED.encode() in each
        ]
    assert found
    assert set(found) == {text.index(PLANTED)}


@given(st.binary(max_size=300), st.integers(1, 50))
def test_the_parts_of_a_long_row_have_all_of_it(data: bytes, part: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shard, "OVERLAP", 1000)
        *_, (before, whole) = overlapping(data[first : first + part] for first in range(0, len(data), part))
    assert (before, whole) == (0, data.decode(errors="replace").encode())


@pytest.mark.parametrize("format", ["jsonl", "lines", "text"])
def test_a_row_over_the_cap_is_named_and_looked_at_as_it_is(
    format: str, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "CAP", 5000)
    monkeypatch.setattr(entries, "PART", 500)
    monkeypatch.setattr(shard, "OVERLAP", 300)
    wide = "é words " * 1000
    texts = [f"{wide}{PLANTED} {wide}", "small"] if format == "text" else [f"{wide}{PLANTED} {wide}", wide, "small"]
    path = tmp_path / f"a.{format}"
    rows = [json.dumps({"text": text}, ensure_ascii=False) if format == "jsonl" else text for text in texts]
    path.write_text("\n".join(rows) + "\n")
    result = scan_shard(only(path, format=format), job)
    out, name = Path(job.out), path.name
    said = [fault["fault"] for fault in result["faults"]]
    (dropped,) = lines(out / "dropped" / f"{name}.jsonl")
    hit = dropped["hits"][0]
    assert hit["text"] == PLANTED
    assert (rows[0] if format == "jsonl" else texts[0])[hit["start"] : hit["end"]] == PLANTED
    if format == "text":
        assert (result["documents"], result["long"], dropped["row"]) == (1, 1, str(path))
    else:
        assert (result["documents"], result["long"], result["hit"]) == (3, 2, 1)
        assert dropped["row"] == rows[0] + "\n"
        assert (out / "clean" / name).read_text().splitlines() == rows[1:]
    assert said == ["over 0 MiB, looked at as raw text"] * result["long"]
    assert not list(out.rglob("*.part"))


def test_a_hit_in_several_parts_is_told_once_with_the_most_of_it(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "PART", 400)
    monkeypatch.setattr(shard, "OVERLAP", 150)
    few = " ".join(PLANTED.split()[:10])
    text = f"{few} {'x ' * 400}{PLANTED} {'x ' * 400}{few}"
    (tmp_path / "a.lines").write_text(f"{text}\n")
    result = scan_shard(only(tmp_path / "a.lines", format="lines"), job)
    (dropped,) = lines(Path(job.out) / "dropped" / "a.lines.jsonl")
    assert {(hit["rule"], hit["pieces"], hit["text"]) for hit in dropped["hits"]} == {
        ("qwen", 3, PLANTED), ("words", 3, PLANTED),
    }  # fmt: skip
    assert result["items"] == {"0": 1}


@pytest.mark.parametrize("part", [50, 1 << 20])
def test_halves_of_characters_are_one_each(
    part: int, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "PART", part)
    monkeypatch.setattr(shard, "OVERLAP", 150)
    text = "\ud800 \U0001f600 é \udfff " * 40 + PLANTED + " \ud800" * 40
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": text}) + "\n")
    result = scan_shard(only(tmp_path / "a.jsonl"), job)
    (dropped,) = lines(Path(job.out) / "dropped" / "a.jsonl.jsonl")
    assert {text[hit["start"] : hit["end"]] for hit in dropped["hits"]} == {PLANTED}
    assert result["faults"] == []


def test_a_shard_that_is_searched_again_leaves_nothing_of_before(job: Job, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    scan_shard(only(path), job)
    path.write_text('{"text": "all is well"}\n')
    scan_shard(only(path), job)
    assert left(job) == ["clean/a.jsonl", "shards/a.jsonl.json"]


def test_names_as_long_as_they_may_be_are_written(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "h" * 64)
    path = tmp_path / f"{'n' * 249}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    result = scan_shard(only(path), job)
    assert (result["faults"][1:], result["written"]) == ([], True)
    assert len(left(job)) == 4


@pytest.mark.parametrize("kind", ["clean", "dropped", "unchecked", "shards"])
def test_what_the_disk_does_not_take_leaves_nothing(
    kind: str, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    real = outputs._settle

    def full(partial: Path) -> None:
        if f"/{kind}/" in str(partial):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(partial)

    monkeypatch.setattr(outputs, "_settle", full)
    result = scan_shard(only(path), job)
    (fault,) = result["faults"]
    assert fault == {
        "place": "a.jsonl", "fault": "cannot be written (No space left on device); make room and run again",
    }  # fmt: skip
    assert (result["whole"], result["written"], result["documents"], result["items"]) == (False, False, 0, {})
    assert not (Path(job.out) / "shards" / "a.jsonl.json").exists()
    assert not list(Path(job.out).rglob("*.part"))


def test_a_shard_that_vanished_is_a_fault_and_not_done(job: Job, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("x")
    found = only(path)
    path.unlink()
    result = scan_shard(found, job)
    assert result["whole"] is False
    assert result["faults"] == [{"place": "a.jsonl", "fault": "cannot be read (No such file or directory)"}]


@pytest.mark.parametrize("name", ["a.py", "a.txt"])
def test_a_file_that_vanishes_before_it_is_copied_is_named(
    name: str, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    path.write_text("nothing of any problem")
    real = Outputs.commit

    def late(self: Outputs, result: dict[str, Any]) -> None:
        path.unlink()
        real(self, result)

    monkeypatch.setattr(Outputs, "commit", late)
    found = only(path)
    result = scan_shard(found, job)
    assert result["faults"] == [{
        "place": found.name, "fault": f"{path}: cannot be read again, to be copied (No such file or directory)",
    }]  # fmt: skip
    assert (result["whole"], result["written"], left(job)) == (False, False, [])


def test_what_is_no_fault_of_a_file_is_raised(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: Any) -> Any:
        raise ValueError("ours")

    monkeypatch.setattr(shard, "_batch", fails)
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(ValueError, match="ours"):
        scan_shard(only(tmp_path / "a.jsonl"), job)
    assert left(job) == []


def test_faults_without_number_are_counted_and_the_first_are_kept(job: Job, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("no json\n" * 500)
    result = scan_shard(only(tmp_path / "a.jsonl"), job)
    assert (result["fault_count"], len(result["faults"]), result["unchecked"]) == (500, shard.KEPT_FAULTS, 500)
    assert len(lines(Path(job.out) / "unchecked" / "a.jsonl.jsonl")) == 500


def test_rows_in_any_mix_are_all_there(job: Job, tmp_path: Path) -> None:
    """Whatever lines there are, blank ones and broken ones: clean, dropped and unchecked are the corpus again."""
    random_ = random.Random(7)
    kinds = [b'{"text": "a"}', PLANTED.encode(), b"", b"  ", b'{"text": "%s"}' % PLANTED.encode(), b"\xff", b"[]"]
    data = b"".join(random_.choice(kinds) + b"\n" for _ in range(5000))
    (tmp_path / "a.jsonl").write_bytes(data)
    scan_shard(only(tmp_path / "a.jsonl"), job)
    out = Path(job.out)
    named = lines(out / "dropped" / "a.jsonl.jsonl") + lines(out / "unchecked" / "a.jsonl.jsonl")
    places = [int(each["place"].rpartition(":")[2]) for each in named]
    gone = set(places)
    assert len(gone) == len(places)
    expected = [line for at, line in enumerate(data.splitlines(keepends=True), 1) if at not in gone]
    assert (out / "clean" / "a.jsonl").read_bytes() == b"".join(expected)
    assert {line.strip() for line in expected} == {b'{"text": "a"}', b""}
