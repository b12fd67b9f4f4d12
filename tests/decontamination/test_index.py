"""The index: what it keeps of problems, on disk and in memory, and that nothing of it is half there."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qwencoder_eval.decontamination import kernels
from qwencoder_eval.decontamination.index import Index, Item, Table, build, digest, load
from qwencoder_eval.decontamination.lexing import Lexer
from qwencoder_eval.decontamination.rules import RULES, canonical
from qwencoder_eval.decontamination.scan import Scanner
from qwencoder_eval.errors import InfrastructureError, InputError

ALL = [(rule, rule.n) for rule in RULES.values()]
CODE = "def area(width, height):\n    # both of them\n    return [width * height + offset for offset in range(width)]"
ITEMS = [
    Item("first", "1", ("Once upon a time there were twelve words in a row here.", "And some more.")),
    Item("first", "2", (CODE,)),
    Item("second", "Größe/3", ("Ärger über café: «naïve» 中文 words that are not ASCII, ten and more, surely.",)),
    Item("second", "4", ("too short",)),
    Item("second", "5", ("...", "?")),
]
COPIES = [item.text.encode() for item in ITEMS]


def found(index: Index, *texts: str | bytes) -> list[set[tuple[str, str]]]:
    """Of each text which rules find which problems."""
    encoded = [text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass") for text in texts]
    hits = Scanner(index).scan_texts(encoded)
    return [{(hit.rule, index.problems[hit.item][1]) for hit in hits.get(at, ())} for at in range(len(texts))]


def one(rule: str, n: int, *texts: str) -> tuple[Index, Table]:
    """The index of problems 0, 1, ... by one rule."""
    index = build([Item("b", str(at), (text,)) for at, text in enumerate(texts)], [(RULES[rule], n)])
    return index, index.tables[rule]


def words(first: int, behind: int) -> str:
    return " ".join(f"w{at}" for at in range(first, behind))


def test_what_was_saved_is_mapped_and_finds_the_same(tmp_path: Path) -> None:
    index = build(ITEMS, ALL)
    index.save(tmp_path / "a" / "index")
    again = load(tmp_path / "a" / "index")
    assert again.problems == index.problems == [(item.benchmark, item.problem) for item in ITEMS]
    assert [again.text(at) for at in range(len(ITEMS))] == COPIES
    assert isinstance(again.texts, np.memmap)
    assert again.bytes_of() == index.bytes_of() > 10_000
    for name, table in index.tables.items():
        other = again.tables[name]
        assert (other.rule, other.n, other.short, other.without) == (table.rule, table.n, table.short, table.without)
        for array in Table.ARRAYS:
            mapped = getattr(other, array)
            assert isinstance(mapped, np.memmap)
            assert not mapped.flags.writeable
            assert mapped.dtype == getattr(table, array).dtype
            assert np.array_equal(mapped, getattr(table, array))
    assert Scanner(again).scan_texts(COPIES) == Scanner(index).scan_texts(COPIES)
    assert [len(each) for each in found(again, *COPIES)] == [6, 6, 6, 6, 2]  # of dots only two rules make words
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["index"]


def test_an_index_of_nothing_finds_nothing(tmp_path: Path) -> None:
    for number, items in enumerate(([], [Item("b", "1", ()), Item("b", "2", ("", " \n"))])):
        build(items, ALL).save(tmp_path / str(number))
        index = load(tmp_path / str(number))
        assert found(index, "", "some words\n" * 20) == [set(), set()]
        assert all(table.without == ({"b": 2} if items else {}) and not table.short for table in index.tables.values())


SAVES = 2 + len(ALL) * len(Table.ARRAYS)


@pytest.mark.parametrize("number", [1, 2, 3, SAVES // 2, SAVES])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError("81 requested and 48 written")])
def test_a_full_disk_leaves_nothing(
    number: int, error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, real, calls = build(ITEMS, ALL), np.save, []

    def save(file: Path, array: Any) -> None:
        calls.append(file)
        if len(calls) == number:
            file.write_bytes(b"half")
            raise error
        real(file, array)

    monkeypatch.setattr(np, "save", save)
    with pytest.raises(InfrastructureError, match=r"No space left|81 requested") as raised:
        index.save(tmp_path / "index")
    assert str(tmp_path / "index") in str(raised.value)
    assert list(tmp_path.iterdir()) == []
    index.save(tmp_path / "index")
    assert found(load(tmp_path / "index"), COPIES[0]) == found(index, COPIES[0])
    assert len(calls) == number + SAVES


def test_who_is_interrupted_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(file: Path, array: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", save)
    with pytest.raises(KeyboardInterrupt):
        build(ITEMS, ALL).save(tmp_path / "index")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fails", [False, True])
def test_what_another_process_saved_meanwhile_stays(
    fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(ITEMS, ALL).save(tmp_path / "other")
    real = np.save

    def save(file: Path, array: Any) -> None:
        real(file, array)
        if not (tmp_path / "index").exists():
            (tmp_path / "other").rename(tmp_path / "index")
            if fails:
                raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", save)
    build(ITEMS[:1], ALL).save(tmp_path / "index")
    assert len(load(tmp_path / "index").problems) == len(ITEMS)
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def _save(folder: Path, barrier: Any) -> None:
    index = build(ITEMS, ALL[:1])
    barrier.wait(60)
    index.save(folder)
    assert found(load(folder), *COPIES) == found(index, *COPIES)


def test_processes_that_save_the_same_index_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    started = [context.Process(target=_save, args=(tmp_path / "index", barrier)) for _ in range(3)]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
    assert [process.exitcode for process in started] == [0, 0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "index"
    build(ITEMS, ALL).save(folder)
    return folder


@pytest.mark.parametrize("name", ["index.json", "texts.npy", "offsets.npy", "code.keys.npy", "minhash.lengths.npy"])
@pytest.mark.parametrize("what", ["missing", "a folder", b"", b"{", b"[]", b"null", b"x" * 200, "a byte less"])
def test_a_damaged_folder_is_one_line(name: str, what: str | bytes, saved: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(saved, tmp_path / "index")
    file = folder / name
    if isinstance(what, bytes):
        file.write_bytes(what)
    elif what == "a byte less":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        file.unlink()
        if what == "a folder":
            file.mkdir()
    with pytest.raises(InputError) as raised:
        load(folder)
    assert str(raised.value).startswith(f"{folder}: not an index (")
    assert str(raised.value).endswith("remove it and run again")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 0}, {"format": 2}, {"format": None}, {"tables": []}, {"tables": {"other": {}}},
        {"tables": {"qwen": {"n": 10}}}, {"problems": 3},
    ],
    ids=str,
)  # fmt: skip
def test_another_format_is_one_line(change: dict[str, Any], saved: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(saved, tmp_path / "index")
    described = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(described | change))
    with pytest.raises(InputError, match="not an index"):
        load(folder)


@pytest.mark.parametrize("rule", ["qwen", "words", "code", "code-renamed", "substring"])
def test_a_problem_of_fewer_units_counts_whole(rule: str) -> None:
    index, table = one(rule, 5, words(0, 9), "w20 w21 w22", "w20 w21 w22", "w30", "", "?")
    dot = rule in ("qwen", "substring")  # it is a word
    assert (table.short, table.without) == ({"b": 3 + dot}, {"b": 2 - dot})
    assert table.lengths.tolist() == [1, 3]
    if rule != "code-renamed":  # of which any three names are a piece
        both = {(rule, "1"), (rule, "2")}
        assert found(index, "w20 w21 w22", "w w20 w21 w22 w", "w20 w21", "w20 w21 w21 w22") == [
            both,
            both,
            set(),
            set(),
        ]
        assert found(index, "w30", "w30 w30", "w3 w300") == [{(rule, "3")}, {(rule, "3")}, set()]
    else:
        assert found(index, "1 + 2", "x") == [set(), {(rule, "3")}]


def test_a_problem_of_just_n_units_is_not_short() -> None:
    _, table = one("qwen", 5, words(0, 5), words(0, 4))
    assert (table.short, table.without, table.lengths.tolist()) == ({"b": 1}, {}, [4])


def test_counts_are_by_benchmark() -> None:
    items = [Item(name, str(at), (text,)) for name in "ab" for at, text in enumerate(("w1 w2", words(0, 12), "", "w"))]
    table = build(items[:-1], [(RULES["qwen"], 10)]).tables["qwen"]
    assert (table.short, table.without) == ({"a": 2, "b": 1}, {"a": 1, "b": 1})


def test_alike_is_nothing_to_a_problem_of_fewer_words() -> None:
    index, table = one("minhash", 2, "word", "two words", "", "!")
    assert (table.short, table.without) == ({}, {"b": 3})
    assert found(index, "word", "Two  words!", "") == [set(), {("minhash", "1")}, set()]


def test_fields_count_whole_where_they_are_long_enough_else_all_as_one() -> None:
    items = [
        Item("b", "0", (words(0, 12), "w50 w51", words(20, 30))),
        Item("b", "1", (words(60, 66), words(70, 76))),
        Item("b", "2", ("w90 w91", "w92")),
    ]
    index = build(items, [(RULES["substring"], 10)])
    rule = "substring"
    assert index.tables[rule].short == {"b": 1}
    assert found(index, words(0, 12), words(20, 30), words(0, 11), words(1, 12), "w50 w51") == [
        {(rule, "0")}, {(rule, "0")}, set(), set(), set(),
    ]  # fmt: skip
    assert found(index, words(60, 66) + "\n\n" + words(70, 76), words(60, 66), "w90 w91  w92", "w90 w91") == [
        {(rule, "1")}, set(), {(rule, "2")}, set(),
    ]  # fmt: skip


def test_fields_with_the_same_beginning_are_two() -> None:
    items = [Item("b", str(at), (words(0, 10) + end,)) for at, end in enumerate((" x y", " x z", "", " x y"))]
    index = build(items, [(RULES["substring"], 10)])
    assert len(index.tables["substring"].keys) == 3
    every = found(index, words(0, 10), words(0, 10) + " x", words(0, 10) + " x z", words(0, 10) + " x y more")
    assert [sorted(problem for _, problem in each) for each in every] == [["2"], ["2"], ["1", "2"], ["0", "2", "3"]]


def test_a_piece_of_several_problems_is_there_once_with_all_of_them() -> None:
    index, table = one(
        "qwen", 4, words(0, 6), words(2, 9), words(0, 6).replace(" ", "\n\t"), words(0, 6) + " x " + words(0, 4)
    )
    assert len(table.keys) == len(np.unique(table.keys)) == 6 + 4  # w0 to w8, and those with x
    assert found(index, words(2, 6), words(0, 4), words(5, 9)) == [
        {("qwen", name) for name in names} for names in ("0123", "023", "1")
    ]
    (hits,) = Scanner(index).scan_texts([words(0, 6).encode()]).values()
    assert {hit.item: hit.pieces for hit in hits} == {0: 3, 1: 1, 2: 3, 3: 3}


def test_other_layout_is_the_same_piece() -> None:
    texts = ("def f(a, b):\n    return a + b", "def f(a,b): # sum\n  return a+b", "DEF f(a,b):\n return a+b")
    _, table = one("code", 4, *texts)
    assert len(table.keys) == 4 + 1  # only the first of the last begins otherwise
    _, table = one("words", 5, *texts)
    assert len(table.keys) == 3 + 4  # of the first and the last the same


class Coarse(Lexer):
    """Different texts get one key, of three that there are for as many units; matches as the kernels find them."""

    def keys(self, rule: Any, count: int, size: int) -> Any:
        return super().keys(rule, count, size) % np.uint64(3) + np.uint64(3 * size)

    def matches(self, table: Table, data: Any, offsets: Any) -> Any:
        rows = []
        for text, (first, behind) in enumerate(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)):
            for size in {table.n, *table.lengths.tolist()}:
                count = self.lex(table.rule, data, first, behind, table.n)
                for begin, key in enumerate(self.keys(table.rule, count, size) if count >= size else ()):
                    if len(places := np.flatnonzero(table.keys == key)):
                        rows.append((text, self.starts[begin], self.ends[begin + size - 1], places[0]))
        return np.array(rows, np.int64).reshape(-1, 4)


@pytest.mark.parametrize("rule", ["qwen", "words", "code", "code-renamed", "substring"])
def test_pieces_of_equal_keys_are_kept_apart(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [
        *(f"{CODE} + {at} + more({at} // 2)" for at in range(5)),
        CODE,
        words(0, 40),
        words(10, 30),
        "w1 w2",
        "w7",
        "w7",
    ]
    documents = [
        *texts,
        CODE.replace("+", "-"),
        words(0, 9),
        words(50, 90),
        "w2 w1",
        "no w7 no",
        *map(str.upper, texts),
    ]
    exact, _ = one(rule, 10, *texts)
    expected = Scanner(exact).scan_texts([text.encode() for text in documents])
    monkeypatch.setattr("qwencoder_eval.decontamination.building.Lexer", Coarse)
    monkeypatch.setattr("qwencoder_eval.decontamination.scan.Lexer", Coarse)
    coarse, table = one(rule, 10, *texts)
    assert len(np.unique(table.keys)) < len(table.keys)
    assert len(table.keys) == len(exact.tables[rule].keys)
    pieces = [(int(key), canonical(coarse.piece(table, at), RULES[rule].kind)) for at, key in enumerate(table.keys)]
    assert len(set(pieces)) == len(pieces)
    scanner = Scanner(coarse)
    for _ in range(2):  # what is remembered is as right as what is looked up
        assert scanner.scan_texts([text.encode() for text in documents]) == expected
    assert len(expected) >= len(texts)
    assert scanner.seen[rule].all()


def test_one_problem_with_two_pieces_of_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Coarse, "keys", lambda self, rule, count, size: np.zeros(count - size + 1, np.uint64))
    monkeypatch.setattr("qwencoder_eval.decontamination.building.Lexer", Coarse)
    monkeypatch.setattr("qwencoder_eval.decontamination.scan.Lexer", Coarse)
    index, table = one("qwen", 3, words(0, 5), words(2, 7))
    assert len(table.keys) == 5
    assert table.begins.tolist()[-1] == len(table.items) == 6
    (hits,) = Scanner(index).scan_texts([words(2, 5).encode()]).values()
    assert [(hit.item, hit.pieces) for hit in hits] == [(0, 1), (1, 1)]
    assert found(index, "w2 w3 w5") == [set()]


def test_the_digest_names_everything_that_an_index_is_made_from(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = RULES["qwen"]
    asked = [(rule, 10), (RULES["code"], 10)]
    item = ITEMS[0]
    other_items = [
        [], ITEMS[:-1], ITEMS[::-1], [*ITEMS, item],
        *([replace(item, **change), *ITEMS[1:]] for change in (
            {"benchmark": "second"}, {"problem": "2"}, {"fields": item.fields[::-1]}, {"fields": item.fields[:1]},
            {"fields": (item.text,)}, {"fields": (*item.fields, "")}, {"fields": (item.fields[0], "")},
        )),
    ]  # fmt: skip
    other_rules = [
        [], asked[:1], asked[::-1], [(rule, 9), asked[1]],
        *([(replace(rule, **change), 10), asked[1]] for change in (
            {"version": 2}, {"name": "other"}, {"kind": "folded"}, {"whole": True}, {"similar": 0.5},
        )),
    ]  # fmt: skip
    names = [digest(ITEMS, asked)]
    names += [digest(items, asked) for items in other_items] + [digest(ITEMS, rules) for rules in other_rules]
    monkeypatch.setattr("qwencoder_eval.decontamination.index.FORMAT", 2)
    names.append(digest(ITEMS, asked))
    assert len(set(names)) == len(names) == 1 + len(other_items) + len(other_rules) + 1
    monkeypatch.undo()
    assert digest(list(ITEMS), list(asked)) == names[0]
    assert digest([replace(item, fields=("\ud800",))], asked) != digest([replace(item, fields=("?",))], asked)


def test_text_that_is_no_utf_8_is_kept(tmp_path: Path) -> None:
    index, _ = one("qwen", 2, "a \ud800 b")
    index.save(tmp_path / "index")
    assert found(load(tmp_path / "index"), "x a \ud800 b", "a \ud801 b") == [{("qwen", "0")}, set()]
    assert len(index.texts) == len(index.text(0)) + kernels.PAD
