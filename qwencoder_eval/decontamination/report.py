"""What a corpus has of benchmarks: the results of all shards as one report, for programs, as Markdown and as a page.

Ids, places and texts come from outside. In Markdown and in the page they are text and nothing else, and bounded.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .index import Index, Table, unpack
from .rules import RULES

FORMAT = 1
FAULTS, EXAMPLES, OF_PROBLEM = 1_000, 20, 3  # in the document: faults, examples of a benchmark, and of a problem
LISTED, FEW = 50, 3  # in Markdown: problems of a benchmark, and examples
PAGE_PROBLEMS, PAGE_EXAMPLES = 3_000, 300  # in the page, shared out among benchmarks: it stays below 5 MB
NAMED, NAME, TEXT = 20, 120, 300  # paths and faults that are named; characters of a name, and of an example
DEGREES = (("most", 0.9, "≥ 90 %"), ("half", 0.5, "50–90 %"), ("little", 0.0, "< 50 %"))
EXPLAINED = (
    "Covered is the share of a problem's pieces that stand in the corpus, not always in one document, by the rule that "
    "finds the most: 100 % is a whole copy, a few percent may be a phrase that many texts have. A problem that a rule "
    "of whole fields or of similar documents finds counts as 100 %."
)
TABLE_EXPLAINED = (
    "Too short: problems of fewer than n units, by rule, which only count where all of them stand in a row. Without: "
    "problems that have nothing a rule could look for. Under the name of a rule: how many problems it finds."
)

# Escape sequences, control characters, ends of lines that are none, and marks that turn the direction of text around.
UNSAFE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
NOT_PLAIN = re.compile(r"([\\`*_{}\[\]()<>#+!|~&$])")


# -- the document --------------------------------------------------------------------------------------


def assemble(described: dict[str, Any], index: Index, results: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The report as JSON, of the results of all shards in whatever order they come.

    ``described`` is what was searched for, where, and by which rules. Raises InputError where a result is damaged or
    rests on another index.
    """
    sums = _Sums(index)
    for result in results:
        sums.add(result)
    hits, counts = sums.hits(), dict(sums.counts)
    faults = counts.pop("fault_count")
    return {
        "contamination": FORMAT,
        **{key: described[key] for key in ("created", "qceval", "rules")},
        "corpus": {"paths": described["paths"], **counts, "faults": faults},
        "benchmarks": [_benchmark(each, hits.get(each["benchmark"], {}), sums) for each in described["benchmarks"]],
        "faults": [{"shard": shard, "place": place, "fault": fault} for shard, _, place, fault in sums.faults],
        "fault_count": faults,
    }


class _Sums:
    """The results so far: memory does not grow with their number, and their order does not matter."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.counts = dict.fromkeys(("shards", "documents", "bytes", "hit", "unchecked", "binary", "fault_count"), 0)
        self.items = np.zeros(len(index.problems), np.int64)  # documents by problem
        self.rules = {name: np.zeros_like(self.items) for name in index.tables}
        self.seen = {name: np.zeros(len(table.keys), np.bool_) for name, table in index.tables.items()}
        self.examples: dict[int, list[dict[str, Any]]] = {}
        self.faults: list[tuple[str, int, str, str]] = []

    def add(self, result: dict[str, Any]) -> None:
        shard = None
        try:
            shard = result["shard"]
            for name in self.counts:
                self.counts[name] += 1 if name == "shards" else int(result[name])
            _count(self.items, result["items"])
            for name, found in result["rules"].items():
                _count(self.rules[name], found["items"])
                self.seen[name] |= unpack(found["seen"], len(self.seen[name]))
            for item, examples in result["examples"].items():
                known = self.examples.get(int(item), [])
                self.examples[int(item)] = sorted([*known, *examples], key=_best_first)[:OF_PROBLEM]
            faults = [(shard, at, each["place"], each["fault"]) for at, each in enumerate(result["faults"])]
            self.faults = sorted([*self.faults, *faults])[:FAULTS] if faults else self.faults
        except (AttributeError, LookupError, TypeError, ValueError, InputError) as error:
            why = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise InputError(f"result of shard {shard!r}: damaged ({why}); remove it and run again") from None

    def hits(self) -> dict[str, dict[str, dict[str, Any]]]:
        """By benchmark and problem, in the order of the index."""
        covered = {
            name: _covered(table, self.seen[name], self.rules[name]) for name, table in self.index.tables.items()
        }
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for item in np.flatnonzero(self.items).tolist():
            benchmark, problem = self.index.problems[item]
            rules = {
                name: {"documents": int(documents[item]), "covered": float(covered[name][item])}
                for name, documents in self.rules.items()
                if documents[item]
            }
            found.setdefault(benchmark, {})[problem] = {"documents": int(self.items[item]), "rules": rules}
        return found


def _count(sums: Any, items: dict[str, int]) -> None:
    for item, documents in items.items():
        sums[int(item)] += int(documents)


def _covered(table: Table, seen: Any, documents: Any) -> Any:
    """Of each problem the share of its pieces that were seen."""
    if table.rule.whole or table.rule.similar:
        return (documents > 0).astype(float)
    pieces = np.bincount(table.items, minlength=len(documents))
    found = np.bincount(table.items[np.repeat(seen, np.diff(table.begins))], minlength=len(documents))
    return found / np.maximum(pieces, 1)


def _best_first(example: dict[str, Any]) -> tuple[Any, ...]:
    return -example["pieces"], *(example[key] for key in ("place", "rule", "start", "end", "text"))


def _benchmark(described: dict[str, Any], hits: dict[str, Any], sums: _Sums) -> dict[str, Any]:
    name, tables = described["benchmark"], sums.index.tables.items()
    kept = {
        problem: sums.examples[item]
        for item, (benchmark, problem) in enumerate(sums.index.problems)
        if benchmark == name and item in sums.examples
    }
    # One of each problem, the most covered first, before there is a second of any.
    ranked = [problem for problem, _ in _ranked(hits) if problem in kept]
    turns = [(problem, turn) for turn in range(OF_PROBLEM) for problem in ranked if turn < len(kept[problem])]
    places = {problem: at for at, problem in enumerate(ranked)}
    chosen = sorted(turns[:EXAMPLES], key=lambda each: (places[each[0]], each[1]))
    keys = ("place", "rule", "pieces", "start", "end", "text")
    return {
        **{key: described[key] for key in ("benchmark", "datasets", "fields", "problems")},
        "hit": len(hits),
        "short": {rule: table.short.get(name, 0) for rule, table in tables},
        "without": {rule: table.without.get(name, 0) for rule, table in tables},
        "hits": hits,
        "examples": [
            {"problem": problem, **{key: kept[problem][turn][key] for key in keys}} for problem, turn in chosen
        ],
    }


def _most(hit: dict[str, Any]) -> float:
    return max((rule["covered"] for rule in hit["rules"].values()), default=0.0)


def _ranked(hits: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The most covered first, then those in the most documents."""
    return sorted(hits.items(), key=lambda each: (-_most(each[1]), -each[1]["documents"]))


# -- what both formats show ----------------------------------------------------------------------------


def _shown(text: object, size: int) -> str:
    """Without anything that a terminal would act on, or that no file takes."""
    text = UNSAFE.sub("·", str(text).replace("\r\n", "\n"))
    return text if len(text) <= size else f"{text[:size]}…"


def _name(text: object) -> str:
    """On one line."""
    return " ".join(_shown(text, NAME).split())


def _names(texts: Sequence[object]) -> str:
    more = [f"{len(texts) - NAMED:,} more"] if len(texts) > NAMED else []
    return ", ".join([*map(_name, texts[:NAMED]), *more]) or "none"


def _percent(share: float) -> str:
    """What is not all of it is not 100 %, and what is something not 0 %."""
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    return f"{min(99.9, max(0.1, 100 * share)):.1f} %"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _size(number: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            return f"{number:,.0f} {unit}" if unit in ("bytes", "TB") else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError


def _summary(document: dict[str, Any]) -> list[tuple[str, str]]:
    """What was searched, by what, and what could not be."""
    corpus, benchmarks = document["corpus"], document["benchmarks"]
    problems = sum(each["problems"] for each in benchmarks)
    share = f" ({_percent(corpus['hit'] / corpus['documents'])})" if corpus["documents"] else ""
    rules = [f"{name} (version {rule['version']}, n = {rule['n']})" for name, rule in document["rules"].items()]
    amount = f"{_counted(corpus['documents'], 'document')}, {_size(corpus['bytes'])}"
    left = [
        _counted(corpus[name], noun) for name, noun in (("unchecked", "row"), ("binary", "binary file")) if corpus[name]
    ]
    return [
        ("Corpus", f"{amount} of text in {_counted(corpus['shards'], 'shard')} of {_names(corpus['paths'])}"),
        ("Looked for", f"{_counted(problems, 'problem')} of {_counted(len(benchmarks), 'benchmark')}"),
        ("Rules", _names(rules)),
        ("Documents with something of a problem", f"{corpus['hit']:,}{share}"),
        ("Problems found", f"{sum(each['hit'] for each in benchmarks):,}"),
        ("Not searched", ", ".join(left) or "nothing"),
        ("Faults", f"{document['fault_count']:,}"),
        ("Made", f"{_name(document['created'])} by qceval {_name(document['qceval'])}"),
    ]


def _faults(document: dict[str, Any]) -> tuple[list[str], int]:
    """Lines on the first of them, and how many more there are."""
    shown = document["faults"][:NAMED]
    lines = [f"{_name(each['place'])}: {_name(each['fault'])}" for each in shown]
    return lines, document["fault_count"] - len(shown)


def _sections(document: dict[str, Any], problems: int, examples: int) -> list[dict[str, Any]]:
    """What is shown of each benchmark, with at most so many problems and examples. All strings are short and plain."""
    rules = list(document["rules"])
    return [{"at": at, **_section(each, rules, problems, examples)} for at, each in enumerate(document["benchmarks"])]


def _section(benchmark: dict[str, Any], rules: list[str], problems: int, examples: int) -> dict[str, Any]:
    hits, count = benchmark["hits"], benchmark["problems"]
    degrees = Counter(_degree(_most(hit)) for hit in hits.values())
    by_rule = Counter(rule for hit in hits.values() for rule in hit["rules"])
    used = [rule for rule in rules if by_rule[rule]]
    listed = []
    for problem, hit in _ranked(hits)[:problems]:
        most = _most(hit)
        listed.append({
            "problem": _name(problem), "documents": f"{hit['documents']:,}", "covered": _percent(most),
            "share": most, "degree": _degree(most), "rules": [_found(rule, hit["rules"].get(rule)) for rule in used],
        })  # fmt: skip
    shown = [
        {
            "problem": _name(each["problem"]), "text": _shown(each["text"], TEXT),
            "where": f"{_name(each['place'])}, characters {each['start']:,} to {each['end']:,}",
            "found": f"{_name(each['rule'])}, {_counted(each['pieces'], 'piece')}",
        }
        for each in benchmark["examples"][:examples]
    ]  # fmt: skip
    return {
        "name": _name(benchmark["benchmark"]),
        "problems": f"{count:,}",
        "hit": benchmark["hit"],
        "share": _percent(benchmark["hit"] / count) if count else "–",
        "degrees": [(name, degrees[name], max(1.0, 100 * degrees[name] / max(count, 1))) for name, _, _ in DEGREES],
        "short": _by_rule(benchmark["short"]),
        "without": _by_rule(benchmark["without"]),
        "rules": [by_rule[rule] for rule in rules],
        "used": [_name(rule) for rule in used],
        "fields": _names(benchmark["fields"]),
        "datasets": _names(list(benchmark["datasets"])),
        "listed": listed,
        "more": len(hits) - len(listed),
        "examples": shown,
        "more_examples": len(benchmark["examples"]) - len(shown),
    }


def _degree(share: float) -> str:
    return next(name for name, least, _ in DEGREES if share >= least)


def _found(rule: str, found: dict[str, Any] | None) -> tuple[str, int]:
    """How much, and in how many documents."""
    if found is None:
        return "", 0
    known = RULES.get(rule)
    if known and (known.whole or known.similar):
        return "a whole field" if known.whole else "similar", found["documents"]
    return _percent(found["covered"]), found["documents"]


def _by_rule(counts: dict[str, int]) -> str:
    return ", ".join(f"{_name(rule)} {count:,}" for rule, count in counts.items() if count)


# -- Markdown ------------------------------------------------------------------------------------------


def markdown(document: dict[str, Any]) -> str:
    """The report to read: a summary, a table of benchmarks, and of each the problems that were found."""
    rules = [_plain(_name(rule)) for rule in document["rules"]]
    degrees = [f"covered {_plain(said)}" for _, _, said in DEGREES]
    numbers = ["problems", "hit", "share", *degrees, *rules]
    lines = ["# Contamination", "", *(f"- {term}: {_plain(said)}" for term, said in _summary(document))]
    lines += ["", EXPLAINED, "", _row(["benchmark", *numbers, "too short", "without"])]
    lines += [_row(["---", *["---:"] * len(numbers), "---", "---"])]
    sections = _sections(document, LISTED, FEW)
    for each in sections:
        counts = [each["hit"], *(count for _, count, _ in each["degrees"]), *each["rules"]]
        first, *others = (f"{count:,}" for count in counts)
        cells = [each["name"], each["problems"], first, each["share"], *others, each["short"], each["without"]]
        lines.append(_row([_plain(cell) for cell in cells]))
    lines += ["", TABLE_EXPLAINED]
    for each in sections:
        lines += _markdown_section(each) if each["hit"] else []
    shown, more = _faults(document)
    if shown:
        lines += ["", "## Faults", "", *(f"- at {_plain(line)}" for line in shown)]
        lines += [f"- and {more:,} more, in report.json"] if more else []
    return "\n".join(lines).rstrip() + "\n"


def _markdown_section(section: dict[str, Any]) -> list[str]:
    heads = ["problem", "covered", "documents", *map(_plain, section["used"])]
    said = f"{section['hit']:,} of {section['problems']} problems ({section['share']}). Fields: {section['fields']}. "
    lines = ["", f"## {_plain(section['name'])}", "", _plain(f"{said}Datasets: {section['datasets']}."), ""]
    lines += [_row(heads), _row(["---", "---", *["---:"] * (len(heads) - 2)])]
    for each in section["listed"]:
        full = int(10 * each["share"])
        bar = f"{'█' * full}{'░' * (10 - full)} {_plain(each['covered'])}"
        rules = [f"{how} ({documents:,})" if how else "" for how, documents in each["rules"]]
        lines.append(_row([_plain(each["problem"]), bar, each["documents"], *rules]))
    lines += ["", f"and {section['more']:,} more, in report.json"] if section["more"] else []
    for each in section["examples"]:
        lines += [
            "",
            _plain(f"In {each['where']} ({each['found']}), of {each['problem']}:"),
            "",
            *_fenced(each["text"]),
        ]
    return lines


def _plain(text: str) -> str:
    """As text: no markup, and no cell of its own."""
    return NOT_PLAIN.sub(r"\\\1", text)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _fenced(text: str) -> list[str]:
    """In a fence that is longer than any in the text."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return [f"{fence}text", text, fence]


# -- the page ------------------------------------------------------------------------------------------


def html(document: dict[str, Any]) -> str:
    """The report as one page without a script, which fetches nothing."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = FileSystemLoader(Path(__file__).parent)
    environment = Environment(autoescape=True, loader=folder, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["pin"] = _pin
    among = max(1, sum(each["hit"] > 0 for each in document["benchmarks"]))
    faults, more_faults = _faults(document)
    return environment.get_template("report.html.j2").render(
        summary=_summary(document),
        explained=EXPLAINED,
        table_explained=TABLE_EXPLAINED,
        degrees=[(name, said) for name, _, said in DEGREES],
        rules=[_name(rule) for rule in document["rules"]],
        sections=_sections(document, max(1, PAGE_PROBLEMS // among), max(1, PAGE_EXAMPLES // among)),
        faults=faults,
        more_faults=more_faults,
    )


def _pin(text: str) -> str:
    """What a page's policy says of a style that it has."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
