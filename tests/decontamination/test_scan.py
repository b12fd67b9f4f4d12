"""The scanner beside the same in plain Python: what is found, where, how often, and in how large a text."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qwencoder_eval.decontamination.index import Index, Item, build
from qwencoder_eval.decontamination.lexing import FIRST_MATCHES
from qwencoder_eval.decontamination.rules import RULES, Rule, canonical, units
from qwencoder_eval.decontamination.scan import Scanner, joined

Found = dict[int, dict[int, tuple[int, int, int]]]  # text -> item -> pieces, first byte, byte behind the last
PIECEWISE = ["qwen", "words", "code", "code-renamed"]
WORDS = ["a", "b", "c", "x1", "for", "in", "1", "É", "é", "ß", "中", "\U0001d400", "abcdefghi"]
BETWEEN = [
    " ",
    " ",
    " ",
    "\n",
    "\t ",
    "\u3000",
    "\xa0",
    ", ",
    "+",
    " # c\n",
    "/*d*/",
    ':\n"""e"""',
    "\u0301",
    "\ud800",
    '"""',
]
texts = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(BETWEEN)), max_size=12).map(
    lambda parts: "".join(word + between for word, between in parts)
)


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def windows(text: str, rule: Rule, size: int) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """First byte, byte behind the last, and what has to be the same."""
    found = list(units(text, rule.kind))
    for first, last in zip(found, found[size - 1 :], strict=False):
        begin, end = len(encoded(text[: first.start])), len(encoded(text[: last.end]))
        yield begin, end, canonical(text[first.start : last.end], rule.kind)


def pieces_of(item: Item, rule: Rule, n: int) -> set[tuple[str, ...]]:
    count = len(list(units(item.text, rule.kind)))
    if not rule.whole:
        return {shown for _, _, shown in windows(item.text, rule, min(n, count))} if count else set()
    fields = [field for field in item.fields if len(field.split()) >= n] or [item.text]
    return {canonical(field, rule.kind) for field in fields if field.split()}


def plain(items: Sequence[Item], rule: Rule, n: int, documents: Sequence[str]) -> Found:
    """Pieces of every size that some problem has are looked up; those that overlap are one run, the longest counts."""
    known = [pieces_of(item, rule, n) for item in items]
    sizes = sorted({len(piece) // 2 + 1 for pieces in known for piece in pieces})
    found: Found = defaultdict(dict)
    for number, document in enumerate(documents):
        every = sorted(window for size in sizes for window in windows(document, rule, size))
        for at, pieces in enumerate(known):
            runs: list[list[int]] = []
            own = [(begin, end) for begin, end, shown in every if shown in pieces]
            for begin, end in own:
                if runs and begin <= runs[-1][1]:
                    runs[-1][1] = max(end, runs[-1][1])
                else:
                    runs.append([begin, end])
            if runs:
                begin, end = max(runs, key=lambda run: run[1] - run[0])
                found[number][at] = len(own), begin, end
    return dict(found)


def scanned(index: Index, documents: Sequence[str]) -> tuple[Found, Scanner]:
    scanner = Scanner(index)
    hits = scanner.scan_texts([encoded(document) for document in documents])
    found: Found = {}
    for text, each in hits.items():
        assert each == sorted(each, key=lambda hit: (-hit.pieces, hit.item, hit.rule))
        found[text] = {hit.item: (hit.pieces, hit.start, hit.end) for hit in each}
        assert len(found[text]) == len(each)
    return found, scanner


def items_of(*texts: str | tuple[str, ...]) -> list[Item]:
    return [Item("b", str(at), (text,) if isinstance(text, str) else text) for at, text in enumerate(texts)]


corpora = st.lists(texts, min_size=1, max_size=4).flatmap(
    lambda own: st.tuples(
        st.just(own),
        st.lists(st.lists(st.sampled_from(own) | texts, max_size=3).map(" ".join) | texts, min_size=1, max_size=5),
    )
)


@pytest.mark.parametrize("name", PIECEWISE)
@given(corpus=corpora, n=st.integers(1, 5))
@settings(max_examples=250)
@example(corpus=(["a b c", "b"], ["", "b", "a", "c b a b c a b c", " \n"]), n=3)
@example(corpus=(["a b a c a", "1 2"], ["x y x z x", "a b a c", "1 2 1 2", "x y x z x y x z x"]), n=4)
@example(corpus=(["x1 for a in b", "a b c b a"], ["c for c in c", "for a in b for a in b", "b a b c b a"]), n=5)
def test_what_is_found_is_what_plain_python_finds(name: str, corpus: tuple[list[str], list[str]], n: int) -> None:
    own, documents = corpus
    items = items_of(*own)
    found, scanner = scanned(build(items, [(RULES[name], n)]), documents)
    assert found == plain(items, RULES[name], n, documents)
    _check_seen(scanner, name, n, documents)


def _check_seen(scanner: Scanner, name: str, n: int, documents: Sequence[str]) -> None:
    table = scanner.index.tables[name]
    shown = [canonical(scanner.index.piece(table, at), RULES[name].kind) for at in range(len(table.keys))]
    assert len(set(shown)) == len(shown)
    there = {
        window[2]
        for size in {n, *table.lengths.tolist()}
        for text in documents
        for window in windows(text, RULES[name], size)
    }
    assert scanner.seen[name].tolist() == [piece in there for piece in shown]


@given(
    fields=st.lists(st.lists(texts, min_size=1, max_size=3), min_size=1, max_size=3),
    pick=st.lists(st.lists(st.integers(0, 8), max_size=4), min_size=1, max_size=4),
    n=st.integers(1, 5),
)
@settings(max_examples=250)
def test_whole_fields_are_found_where_plain_python_finds_them(
    fields: list[list[str]], pick: list[list[int]], n: int
) -> None:
    items = items_of(*map(tuple, fields))
    every = [field for item in items for field in item.fields]
    documents = ["\u2003".join(every[at % len(every)] for at in each) for each in pick]
    found, _ = scanned(build(items, [(RULES["substring"], n)]), documents)
    assert found == plain(items, RULES["substring"], n, documents)


FIELD = "one two three four five six seven eight nine ten " + "elf " * 30


@pytest.mark.parametrize("behind", ["", " ", "é" * 400, " é" * 400, "\u3000" * 400, "中", " " * 5000 + "x", "\x85x"])
@pytest.mark.parametrize("wide", [" ", "\n\n\t", "\u2003", " " * 5000])
def test_whatever_stands_behind_a_whole_field(behind: str, wide: str) -> None:
    items = items_of(FIELD, FIELD.replace("elf", "élf"))
    documents = [shift + item.text.strip().replace(" ", wide) + behind for item in items for shift in ("", "é ", "éé ")]
    found, _ = scanned(build(items, [(RULES["substring"], 10)]), documents)
    assert found == plain(items, RULES["substring"], 10, documents)
    assert len(found) == (0 if behind[:1] in ("é", "中") else 6)


@pytest.mark.parametrize("name", PIECEWISE)
@given(corpus=corpora, n=st.integers(2, 4))
@settings(max_examples=100)
def test_a_span_is_pieces_of_the_problem_without_a_gap(name: str, corpus: tuple[list[str], list[str]], n: int) -> None:
    rule, items = RULES[name], items_of(*corpus[0])
    for text, hits in scanned(build(items, [(rule, n)]), corpus[1])[0].items():
        for item, (pieces, start, end) in hits.items():
            known = pieces_of(items[item], rule, n)
            (size,) = {len(piece) // 2 + 1 for piece in known}
            cut = encoded(corpus[1][text])[start:end].decode("utf-8", "surrogatepass")
            there = [shown in known for _, _, shown in windows(cut, rule, size)]
            assert there[0]
            assert there[-1]
            assert sum(there) <= pieces
            count = len(there) + size - 1
            assert {at + step for at, one in enumerate(there) if one for step in range(size)} == set(range(count))


def jaccard(first: str, second: str, n: int) -> float:
    rule = RULES["minhash"]
    own, other = ({shown for _, _, shown in windows(text, rule, n)} for text in (first, second))
    return len(own & other) / (len(own | other) or 1)


@given(corpus=corpora, n=st.integers(1, 3))
@settings(max_examples=200)
def test_what_is_called_alike_is_alike(corpus: tuple[list[str], list[str]], n: int) -> None:
    rule, items = RULES["minhash"], items_of(*corpus[0])
    found, _ = scanned(build(items, [(rule, n)]), corpus[1])
    for text, document in enumerate(corpus[1]):
        every = [(begin, end) for begin, end, _ in windows(document, rule, 1)]
        for item in range(len(items)):
            share = jaccard(document, items[item].text, n)
            if hit := found.get(text, {}).get(item):
                assert share >= rule.similar
                assert hit == (1, every[0][0], every[-1][1])
            else:
                assert share < 1  # what is the same has the same signature


def test_as_many_are_found_as_their_likeness_says() -> None:
    """One in 270 of those that share half is missed, and hardly any of those that share more."""
    rng = random.Random(5)
    rule, missed, asked, wrong = RULES["minhash"], defaultdict(int), defaultdict(int), 0
    own = [[f"w{rng.randrange(10**6)}" for _ in range(60)] for _ in range(400)]
    documents = []
    for words in own:
        changed = set(rng.sample(range(60), rng.choice((6, 9, 11))))
        documents.append(" ".join("new" if at in changed else word for at, word in enumerate(words)))
    items = items_of(*map(" ".join, own))
    found, _ = scanned(build(items, [(rule, 2)]), documents)
    for number, document in enumerate(documents):
        share = jaccard(document, items[number].text, 2)
        band = "alike" if share >= 0.6 else "half" if share >= 0.5 else "other"
        asked[band] += 1
        missed[band] += number not in found.get(number, {})
        wrong += len(found.get(number, {}).keys() - {number})
    assert min(asked.values()) > 40
    assert (missed["alike"], missed["other"], wrong) == (0, asked["other"], 0)
    assert missed["half"] <= 0.02 * asked["half"]


@pytest.mark.parametrize("name", PIECEWISE)
def test_more_matches_than_there_is_room_for_at_first(name: str) -> None:
    items = items_of("a b a b c", "b a")
    documents = ["a b " * (FIRST_MATCHES // 2), "", "b", "c a b a b c " * 300, "a\nb " * 700]
    index = build(items, [(RULES[name], 3)])
    found, scanner = scanned(index, documents)
    assert found == plain(items, RULES[name], 3, documents)
    assert sum(pieces for hits in found.values() for pieces, *_ in hits.values()) > 2 * FIRST_MATCHES
    again = scanner.scan_texts([encoded(document) for document in documents[2:]])
    assert {text + 2: {hit.item: hit.pieces for hit in hits} for text, hits in again.items()} == {
        text: {item: hit[0] for item, hit in hits.items()} for text, hits in found.items() if text >= 2
    }


def test_many_documents_in_one_buffer_are_searched_one_by_one() -> None:
    """No piece reaches over an end, and a document that is scanned alone has the same."""
    items = items_of("a b c d", 'x """y', "# z")
    documents = ["a b", " c d", "", "a b c d", "# a b c d", "\n", 'x """', 'y """', "a /*", "*/ b c d", "e", "z"] * 40
    index = build(items, [(RULES[name], 3) for name in PIECEWISE])
    scanner = Scanner(index)
    together = scanner.scan_texts([encoded(document) for document in documents])
    alone = {}
    for number, document in enumerate(documents):
        if hits := scanner.scan_texts([encoded(document)]):
            alone[number] = hits[0]
    assert together == alone
    assert list(together) == sorted(together)
    assert {number % 12 for number in together} >= {3, 4, 11}


def test_a_document_is_where_its_offsets_say() -> None:
    scanner = Scanner(build(items_of("a b c"), [(RULES["qwen"], 3)]))
    data, offsets = joined([b"xx a b c", b"a b c d", b"", b"a b"])
    assert {text: (hit.start, hit.end) for text, (hit,) in scanner.scan(data, offsets).items()} == {
        0: (3, 8),
        1: (0, 5),
    }
    assert list(scanner.scan(data, offsets[1:])) == [0]  # not from the first byte of the buffer
    assert scanner.scan(data, np.array([1, 6, 8])) == {}
    assert scanner.scan(*joined([])) == {}


def test_rules_are_searched_side_by_side() -> None:
    items = items_of("def f(a, b): return a + b", "Some words in a row.")
    index = build(items, [(rule, 4) for rule in RULES.values()])
    documents = [
        "def g(x, y): return x + y",
        "some WORDS, in a row",
        "Some words in a row.",
        "def f(a, b): return a + b",
    ]
    scanner = Scanner(index)
    hits = scanner.scan_texts([encoded(document) for document in documents])
    assert {text: {(hit.rule, hit.item) for hit in each} for text, each in hits.items()} == {
        0: {("code-renamed", 0)},
        1: {(name, 1) for name in ("words", "minhash", "code-renamed")} - {("code-renamed", 1)}
        | renamed_too(documents[1]),
        2: {(name, 1) for name in RULES},
        3: {(name, 0) for name in RULES},
    }


def renamed_too(document: str) -> set[tuple[str, int]]:
    other = plain(items_of("", "Some words in a row."), RULES["code-renamed"], 4, [document])
    return {("code-renamed", 1)} if other else set()


LONG = "x" * 1_000_000
HEAD = " ".join(f"w{at}" for at in range(12))


def _hostile() -> dict[str, tuple[str, str]]:
    return {
        "a long word": (LONG + " " + HEAD, LONG + " " + HEAD),
        "long white space": (HEAD, HEAD.replace(" ", " " * 1_000_000)),
        "long wide white space": (HEAD, HEAD.replace(" ", "\u3000" * 300_000)),
        "long comments": (HEAD, HEAD.replace(" ", " /*" + "a" * 1_000_000 + "*/ ")),
        "long punctuation": (HEAD.replace(" ", "(" * 30_000), "+ " + HEAD.replace(" ", "(" * 30_000)),
        "never closed": (HEAD, ":\n\"\"\" /* ''' " * 100_000 + HEAD),
        "the beginning again and again": (HEAD + " end" * 1000, (HEAD[: len(HEAD) - 4] + " ") * 20_000),
        "one word again and again": ("0, " * 500 + "1", "0, " * 100_000),
        "names again and again": ("a b " * 500 + "1", "c d " * 50_000),
        "no letters": (HEAD, "\x00+\u0301" * 200_000),
    }


@pytest.mark.slow
@pytest.mark.parametrize("what", _hostile())
def test_hostile_sizes_come_to_an_end(what: str) -> None:
    """What is not linear in them would take minutes."""
    text, document = _hostile()[what]
    items = items_of(text)
    for rule in RULES.values():
        index = build(items, [(rule, rule.n)])
        scanner = Scanner(index)
        scanner.scan_texts([encoded(text[:1000])])  # compiled
        scanner.scan_texts([encoded(document)])
