"""Copies of problems in other documents, as they are and changed in four ways: which rule finds which.

The table stands in docs/decontamination.md, and is what is measured here. A small one of our own always runs.
"""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from qwencoder_eval.decontamination.index import Item, build
from qwencoder_eval.decontamination.problems import wanted
from qwencoder_eval.decontamination.rules import RULES, Rule, is_name, units
from qwencoder_eval.decontamination.scan import Scanner
from qwencoder_eval.registry import discover

PAGE = Path(__file__).resolve().parents[2] / "docs" / "decontamination.md"
CODE, PROSE = ("humaneval", "mbpp"), ("gsm8k", "math")
AROUND = ("def unrelated(first, second):\n    return [first for _ in second]\n\n", "\n\nclass Other:\n    pass\n")
AT_ONCE = 500
DOCSTRING = re.compile(r'("""|\'\'\').*?\1', re.DOTALL)


def verbatim(text: str) -> str:
    return text


def reindented(text: str) -> str:
    """Tabs for blanks, and another line between two."""
    lines = [re.sub(r"^ +", lambda blanks: "\t" * len(blanks[0]), line) for line in text.split("\n")]
    return "\n\n".join(lines)


def comments_changed(text: str) -> str:
    """Another text in each docstring and comment, and a comment more at each third line's end."""
    text = DOCSTRING.sub(lambda found: f"{found[1]} Something else altogether. {found[1]}", text)
    lines = [re.sub(r"#.*", "# another remark", line) for line in text.split("\n")]
    inside, out = False, []
    for number, line in enumerate(lines):
        inside ^= line.count('"""') % 2 == 1
        more = number % 3 == 0 and line.strip() and not inside and '"""' not in line and "#" not in line
        out.append(f"{line}  # one more" if more else line)
    return "\n".join(out)


def renamed(text: str) -> str:
    """Another name for each that is none of the language's, the same one everywhere in the copy."""
    names: dict[str, str] = {}
    out, at = [], 0
    for unit in units(text, "renamed"):
        out.append(text[at : unit.start])
        out.append(names.setdefault(unit.text, f"name_{len(names)}") if is_name(unit.text) else unit.text)
        at = unit.end
    return "".join([*out, text[at:]])


def one_in_nine(text: str) -> str:
    count = 0

    def other(word: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return "changed" if count % 9 == 0 else word[0]

    return re.sub(r"\S+", other, text)


WAYS: dict[str, tuple[Callable[[str], str], Sequence[str]]] = {
    "verbatim": (verbatim, CODE + PROSE),
    "reindented": (reindented, CODE + PROSE),
    "comments changed": (comments_changed, CODE),  # prose has none
    "identifiers renamed": (renamed, CODE),
    "one word in nine changed": (one_in_nine, CODE + PROSE),
}


def found(rule: str, items: list[Item], change: Callable[[str], str]) -> set[int]:
    """The problems that the rule finds in their own copies; those of minhash are documents of their own."""
    scanner = Scanner(build(items, [(RULES[rule], RULES[rule].n)]))
    around = ("", "") if RULES[rule].similar else AROUND
    texts = [(around[0] + change(item.text) + around[1]).encode() for item in items]
    hits: set[int] = set()
    for first in range(0, len(texts), AT_ONCE):
        for at, each in scanner.scan_texts(texts[first : first + AT_ONCE]).items():
            hits |= {first + at} & {hit.item for hit in each}
    return hits


def share(rule: str, items: list[Item], way: str) -> str:
    percent = 100 * len(found(rule, items, WAYS[way][0])) / len(items)
    return f"{percent:.1f}".replace(".0", "") if percent not in (0, 100) else f"{percent:.0f}"


OWN = [
    Item(
        "own",
        str(at),
        (
            f'def {name}(values, {other}):\n    """Keep some.\n\n    Example: nothing\n    """\n',
            f"    # begin\n    {kept} = []\n    for value in values:\n        if value > {other}:\n"
            f"            {kept}.append(value * {at + 2})\n    return sorted({kept}, reverse=True)\n",
        ),
    )
    for at, (name, other, kept) in enumerate([("above", "limit", "kept"), ("over", "border", "rest")])
]
EXPECTED = {
    "verbatim": ("qwen", "words", "code", "code-renamed", "substring", "minhash"),
    "reindented": ("qwen", "words", "code", "code-renamed", "substring", "minhash"),
    "comments changed": ("qwen", "code", "code-renamed", "minhash"),
    "identifiers renamed": ("code-renamed",),
    "one word in nine changed": ("minhash",),
}


@pytest.mark.parametrize("way", EXPECTED)
@pytest.mark.parametrize("rule", RULES)
def test_copies_of_our_own(rule: str, way: str) -> None:
    assert (found(rule, OWN, WAYS[way][0]) == {0, 1}) == (rule in EXPECTED[way])


def test_what_the_changes_make_of_a_problem() -> None:
    text = OWN[0].text
    assert "".join(reindented(text).split()) == "".join(text.split())
    assert "Example" not in comments_changed(text)
    assert "# begin" not in comments_changed(text)
    assert not {"above", "limit", "kept", "value"} & {unit.text for unit in units(renamed(text), "code")}
    words, others = text.split(), one_in_nine(text).split()
    assert [at for at, (one, other) in enumerate(zip(words, others, strict=True)) if one != other] == list(
        range(8, len(words), 9)
    )


@pytest.mark.slow
@pytest.mark.parametrize("benchmark", [*CODE, *(pytest.param(name, marks=pytest.mark.whole) for name in PROSE)])
def test_the_table_of_the_page(benchmark: str, shared_data: Path) -> None:
    if not (shared_data / "math" / "test.json.gz").is_file():
        pytest.skip(f"no rows of {benchmark} in {shared_data}")
    items = wanted(discover().load(benchmark), True).items
    table = {(row[0], row[1]): row[2:] for row in rows(PAGE.read_text())}
    for way, (_, benchmarks) in WAYS.items():
        if benchmark in benchmarks:
            measured = [share(rule, items, way) for rule in RULES]
            assert measured == list(table[benchmark, way]), (benchmark, way)


def rows(page: str) -> list[list[str]]:
    lines = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines if line[0].strip() in CODE + PROSE]


def pieces(text: str, rule: Rule, sizes: Sequence[int]) -> Iterator[tuple[str, ...]]:
    """Every piece of these sizes, in plain Python and a few operations a word."""
    if rule.kind == "words":
        words = text.split()
        for size in sizes:
            yield from zip(*(words[at:] for at in range(size)), strict=False)
        return
    every = list(units(text, rule.kind))
    words, before = [unit.text for unit in every], [unit.before for unit in every]
    for size in sizes:
        for at in range(len(every) - size + 1):
            piece = words[at : at + size]
            if rule.kind == "renamed":
                names: dict[str, str] = {}
                piece = [names.setdefault(word, f"<{len(names)}>") if is_name(word) else word for word in piece]
            yield (*piece, *before[at + 1 : at + size])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "one_in"), [("qwen", 1), ("words", 10), ("code", 10), ("code-renamed", 40)])
def test_of_other_documents_just_those_are_found_that_the_plain_way_finds(
    name: str, one_in: int, shared_data: Path
) -> None:
    """The standard library, which has a few pieces of the benchmarks, and of course all those of itself."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("[!s]*/**/*.py"))
    texts = [file.read_bytes().decode("utf-8", "replace") for file in files if "site-packages" not in file.parts]
    rule = RULES[name]
    items = [item for bench in CODE + PROSE for item in wanted(discover().load(bench), True).items]
    items += [Item("own", str(at), (text[len(text) // 2 :][:400],)) for at, text in enumerate(texts[::50])]
    texts = texts[::one_in]
    known: set[tuple[str, ...]] = set()
    sizes = {rule.n}
    for item in items:
        count = len(item.text.split() if rule.kind == "words" else list(units(item.text, rule.kind)))
        if count:
            sizes.add(min(count, rule.n))
            known.update(pieces(item.text, rule, [min(count, rule.n)]))
    expected = {
        at for at, text in enumerate(texts) if any(piece in known for piece in pieces(text, rule, sorted(sizes)))
    }
    scanner = Scanner(build(items, [(rule, rule.n)]))
    found = {
        first + at
        for first in range(0, len(texts), AT_ONCE)
        for at in scanner.scan_texts([text.encode() for text in texts[first : first + AT_ONCE]])
    }
    assert found == expected
    assert 0 < len(found) < len(texts)
