"""The report of all shards: by hand, in any order, read back, and what hostile names and texts may not do."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwencoder_eval.decontamination import report
from qwencoder_eval.decontamination.index import Index, Item, build, pack, unpack
from qwencoder_eval.decontamination.report import assemble, html, markdown
from qwencoder_eval.decontamination.rules import RULES
from qwencoder_eval.decontamination.scan import Scanner
from qwencoder_eval.errors import InputError
from qwencoder_eval.reports.contamination import read

HOSTILE = (
    "a|b </script><script>window.hit=1</script><img src=x onerror=window.hit=1> $x_y^2$ & 100% {{7*7}} {% x %}\n# new"
)
HOSTILE += "\n```\n````` | \x1b[31m\x9b31m\u202e[l](http://x)\x00\r\u2028\x85'\"`"
TORN = HOSTILE + "\ud800"  # half a character, which no file takes
USED = [("qwen", 3), ("words", 4), ("substring", 3), ("minhash", 2)]


def searched(benchmark: str, problems: int) -> dict[str, Any]:
    return {"benchmark": benchmark, "datasets": {"v1": "d" * 64}, "fields": ["prompt", "answer"], "problems": problems}


def described(*benchmarks: dict[str, Any], rules: list[tuple[str, int]] = USED) -> dict[str, Any]:
    return {
        "qceval": "0.1.0",
        "rules": {rule: {"version": 1, "n": n} for rule, n in rules},
        "benchmarks": list(benchmarks),
        "paths": ["/data/corpus", "s3://bucket/code"],
        "created": "2026-11-29T02:40:00Z",
    }


def built(*items: Item, rules: list[tuple[str, int]] = USED) -> Index:
    return build(items, [(RULES[rule], n) for rule, n in rules])


def result_of(index: Index, shard: str, texts: list[str], faults: int = 0) -> dict[str, Any]:
    """What a shard of these documents ends with."""
    scanner = Scanner(index)
    found = scanner.scan_texts([text.encode("utf-8", "surrogatepass") for text in texts])
    items: dict[str, int] = {}
    examples: dict[str, list[dict[str, Any]]] = {}
    rules: dict[str, dict[str, Any]] = {name: {"items": {}} for name in index.tables}
    for text, hits in found.items():
        for item in {str(hit.item) for hit in hits}:
            items[item] = items.get(item, 0) + 1
        for hit in hits:
            counts, item = rules[hit.rule]["items"], str(hit.item)
            counts[item] = counts.get(item, 0) + 1
            span = texts[text].encode("utf-8", "surrogatepass")[hit.start : hit.end].decode("utf-8", "surrogatepass")
            example = {"place": f"{shard}:{text + 1}", "rule": hit.rule, "pieces": hit.pieces}
            examples.setdefault(item, []).append({**example, "start": hit.start, "end": hit.end, "text": span[:300]})
    for name, seen in scanner.seen.items():
        rules[name]["seen"] = pack(seen)
    return {
        "shard": shard, "documents": len(texts), "bytes": sum(len(text.encode("utf-8", "replace")) for text in texts),
        "hit": len(found), "unchecked": faults, "binary": 1, "fault_count": faults,
        "faults": [{"place": f"{shard}:{at}", "fault": "invalid UTF-8"} for at in range(min(100, faults))],
        "items": items, "rules": rules, "examples": {item: each[:3] for item, each in examples.items()},
    }  # fmt: skip


ITEMS = (
    Item("b", "long", ("one two three four five six",)),  # 4 pieces of 3
    Item("b", "like", ("one two three nine ten",)),  # 3 pieces, of which the first is the same
    Item("b", "short", ("alpha beta",)),
    Item("b", "blank", ("",)),
    Item("c:x", "long", ("red green blue black white",)),
)
INDEX = built(*ITEMS)
SEARCHED = described(searched("c:x", 1), searched("b", 4))


def read_back(document: dict[str, Any], file: Path) -> Any:
    file.write_text(json.dumps(document))
    return read(file)


# -- numbers -------------------------------------------------------------------------------------------


def test_by_hand() -> None:
    results = [
        result_of(INDEX, "a", ["x one two three four y", "ONE, two of these", "nothing of it at all"], faults=2),
        result_of(INDEX, "b", ["I say alpha beta", "x one two three y"]),
    ]
    document = assemble(SEARCHED, INDEX, results)
    bytes_of = 22 + 17 + 20 + 16 + 17
    assert document["corpus"] == {
        "paths": ["/data/corpus", "s3://bucket/code"], "shards": 2, "documents": 5, "bytes": bytes_of, "hit": 3,
        "unchecked": 2, "binary": 2, "faults": 2,
    }  # fmt: skip
    assert [document[key] for key in ("contamination", "created", "qceval", "fault_count")] == [
        1, "2026-11-29T02:40:00Z", "0.1.0", 2,
    ]  # fmt: skip
    assert document["rules"] == SEARCHED["rules"]
    assert document["faults"] == [{"shard": "a", "place": f"a:{at}", "fault": "invalid UTF-8"} for at in (0, 1)]
    other, own = document["benchmarks"]
    assert {key: other[key] for key in ("benchmark", "hit", "hits", "examples")} == {
        "benchmark": "c:x", "hit": 0, "hits": {}, "examples": [],
    }  # fmt: skip
    assert {key: own[key] for key in ("benchmark", "datasets", "fields", "problems")} == searched("b", 4)
    assert own["short"] == {"qwen": 1, "words": 1, "substring": 1, "minhash": 0}
    assert own["without"] == {"qwen": 1, "words": 1, "substring": 1, "minhash": 1}
    assert list(own["hits"]) == ["long", "like", "short"]
    assert own["hits"]["long"]["documents"] == own["hits"]["like"]["documents"] == 2
    assert own["hits"]["long"]["rules"]["qwen"] == {"documents": 2, "covered": 2 / 4}
    assert own["hits"]["long"]["rules"]["words"] == {"documents": 1, "covered": 1 / 3}
    assert own["hits"]["like"]["rules"]["qwen"] == {"documents": 2, "covered": 1 / 3}
    assert {rule: found["covered"] for rule, found in own["hits"]["short"]["rules"].items()} == {
        "qwen": 1.0, "words": 1.0, "substring": 1.0,
    }  # fmt: skip
    first = own["examples"][0]
    assert first == {
        "problem": "short", "place": "b:1", "rule": "qwen", "pieces": 1, "start": 6, "end": 16, "text": "alpha beta",
    }  # fmt: skip


def test_a_few_pieces_of_many_are_not_a_copy() -> None:
    words = [f"w{at}" for at in range(122)]  # 120 pieces of 3
    index = built(Item("b", "p", (" ".join(words),)), rules=[("qwen", 3)])
    few = assemble(
        described(searched("b", 1), rules=[("qwen", 3)]), index, [result_of(index, "a", [" ".join(words[:5])])]
    )
    assert few["benchmarks"][0]["hits"]["p"]["rules"]["qwen"]["covered"] == 3 / 120
    assert "| p | ░░░░░░░░░░ 2.5 % | 1 | 2.5 % (1) |" in markdown(few)
    # Two halves, in documents of two shards.
    halves = [result_of(index, "a", [" ".join(words[:62])]), result_of(index, "b", [" ".join(words[60:])])]
    whole = assemble(described(searched("b", 1), rules=[("qwen", 3)]), index, halves)
    assert whole["benchmarks"][0]["hits"]["p"]["rules"]["qwen"] == {"documents": 2, "covered": 1.0}
    assert "| p | ██████████ 100 % | 2 | 100 % (2) |" in markdown(whole)
    assert 'class="little" width="2.5"' in html(few)
    assert 'class="most" width="100.0"' in html(whole)
    most = [result_of(index, "a", [" ".join(words[:121])])]  # 119 of 120
    nearly = markdown(assemble(described(searched("b", 1), rules=[("qwen", 3)]), index, most))
    assert "█████████░ 99.2 %" in nearly


def test_whole_fields_and_similar_documents_count_as_all_of_it() -> None:
    rules = [("substring", 3), ("minhash", 2)]
    index = built(Item("b", "p", ("one two three four", "five six seven eight")), rules=rules)
    texts = ["x one two three four y", "one two three four five six seven eight nine"]
    document = assemble(described(searched("b", 1), rules=rules), index, [result_of(index, "a", texts)])
    assert document["benchmarks"][0]["hits"]["p"] == {
        "documents": 2,
        "rules": {"substring": {"documents": 2, "covered": 1.0}, "minhash": {"documents": 1, "covered": 1.0}},
    }
    assert "| p | ██████████ 100 % | 2 | a whole field (2) | similar (1) |" in markdown(document)


@given(st.permutations(range(5)), st.data())
@settings(max_examples=30)
def test_the_order_of_shards_does_not_matter(order: list[int], data: st.DataObject) -> None:
    lines = st.sampled_from(["one two three four", "alpha beta", "red green blue", "ten nine", "six five four"])
    texts = [data.draw(st.lists(lines, max_size=4)) for _ in range(5)]
    results = [result_of(INDEX, f"s{at}", texts[at], faults=at * 90) for at in range(5)]
    whole = assemble(SEARCHED, INDEX, results)
    assert json.dumps(assemble(SEARCHED, INDEX, (results[at] for at in order))) == json.dumps(whole)
    assert whole["corpus"]["hit"] == sum(result["hit"] for result in results)
    one = assemble(SEARCHED, INDEX, [result_of(INDEX, "s", [line for each in texts for line in each])])
    assert [each["hits"] for each in one["benchmarks"]] == [each["hits"] for each in whole["benchmarks"]]


@pytest.mark.slow
def test_many_shards_are_sums() -> None:
    result = result_of(INDEX, "a", ["one two three four five six"], faults=150)
    results = ({**result, "shard": f"s{at:04}"} for at in range(3000))
    document = assemble(SEARCHED, INDEX, results)
    assert (document["corpus"]["shards"], document["corpus"]["documents"]) == (3000, 3000)
    assert document["fault_count"] == document["corpus"]["faults"] == 450_000
    assert len(document["faults"]) == 1000
    assert document["faults"][-1] == {"shard": "s0009", "place": "a:99", "fault": "invalid UTF-8"}
    assert document["benchmarks"][1]["hits"]["long"]["documents"] == 3000
    assert len(document["benchmarks"][1]["examples"]) == 2 * report.OF_PROBLEM
    assert "and 449,980 more, in report.json" in markdown(document)


def test_examples_are_of_many_problems_first() -> None:
    items = [Item("b", f"p{at:02}", (f"a{at} b{at} c{at} d{at} e{at}",)) for at in range(15)]
    index = built(*items, rules=[("qwen", 3)])
    texts = [item.text for item in items[:10]] + [f"{item.text[:-3]} " for item in items[10:]]
    results = [result_of(index, name, texts) for name in "xy"]
    document = assemble(described(searched("b", 15), rules=[("qwen", 3)]), index, results)
    chosen = [each["problem"] for each in document["benchmarks"][0]["examples"]]
    assert chosen == sorted(chosen)
    assert {problem: chosen.count(problem) for problem in chosen} == {
        f"p{at:02}": 2 if at < 5 else 1 for at in range(15)
    }


@pytest.mark.parametrize("texts", [[], ["nothing of it at all"]], ids=["no documents", "no hits"])
def test_nothing_found(texts: list[str], tmp_path: Path) -> None:
    results = [result_of(INDEX, "a", texts)] if texts else []
    document = assemble(SEARCHED, INDEX, results)
    assert [each["hit"] for each in document["benchmarks"]] == [0, 0]
    assert read_back(document, tmp_path / "report.json").corpus.documents == len(texts)
    text = markdown(document)
    assert "| b | 4 | 0 | 0 % | 0 | 0 | 0 | 0 | 0 | 0 | 0 | qwen 1, words 1, substring 1 | qwen 1, " in text
    assert "\n## " not in text
    assert "None was found." in html(document)


def test_without_benchmarks_or_shards() -> None:
    document = assemble(described(), built(), [])
    assert document["benchmarks"] == []
    assert "0 problems of 0 benchmarks" in markdown(document)
    assert "None was found." in html(document)


# -- what it is read from and by -----------------------------------------------------------------------


def test_reports_read_it_back(tmp_path: Path) -> None:
    results = [result_of(INDEX, "a", ["one two three four", "alpha beta"], faults=3)]
    document = assemble(SEARCHED, INDEX, results)
    found = read_back(document, tmp_path / "report.json")
    assert (found.corpus.shards, found.corpus.documents, found.corpus.unchecked, len(found.faults)) == (1, 2, 3, 3)
    assert found.rules == SEARCHED["rules"]
    assert [(each.benchmark, each.problems, each.hit) for each in found.benchmarks] == [("c:x", 1, 0), ("b", 4, 3)]
    assert {
        problem: {rule: (each.documents, each.covered) for rule, each in hit.rules.items()}
        for problem, hit in found.benchmarks[1].hits.items()
    } == {
        problem: {rule: tuple(each.values()) for rule, each in hit["rules"].items()}
        for problem, hit in document["benchmarks"][1]["hits"].items()
    }


@given(st.lists(st.booleans(), max_size=70))
def test_packed_and_unpacked(seen: list[bool]) -> None:
    array = np.array(seen, np.bool_)
    assert unpack(pack(array), len(seen)).tolist() == seen
    for wrong in {len(seen) + 8, max(0, len(seen) - 8)} - {len(seen)}:
        with pytest.raises(InputError, match="seen: not of"):
            unpack(pack(array), wrong)


@pytest.mark.parametrize(
    "text", ["", "é", "?", "AAAA", pack(np.ones(9, np.bool_))[:-8], 7, base64.b64encode(zlib.compress(bytes(10**7)))]
)
def test_a_damaged_array_is_refused(text: Any) -> None:
    with pytest.raises(InputError, match="seen"):
        unpack(text, 9)


def test_bits_behind_the_last_piece_are_refused() -> None:
    with pytest.raises(InputError, match="seen: not of 9 pieces"):
        unpack(pack(np.ones(12, np.bool_)), 9)


@pytest.mark.parametrize(
    "change",
    [
        {"documents": None}, {"documents": "many"}, {"items": {"99": 1}}, {"items": [1]}, {"items": {"x": 1}},
        {"rules": {"other": {"items": {}, "seen": ""}}}, {"rules": {"qwen": {"items": {}}}}, {"faults": [{}]},
        {"rules": {"qwen": {"items": {}, "seen": pack(np.ones(99, np.bool_))}}}, {"examples": {"0": [{}]}},
    ],
)  # fmt: skip
def test_a_damaged_result_is_refused(change: dict[str, Any]) -> None:
    result = {**result_of(INDEX, "a\x1b[31m", ["one two three"]), **change}
    with pytest.raises(InputError, match=r"result of shard 'a\\x1b\[31m': damaged .*; remove it and run again"):
        assemble(SEARCHED, INDEX, [result])


@pytest.mark.parametrize("result", [{}, [], None])
def test_what_is_no_result_is_refused(result: Any) -> None:
    with pytest.raises(InputError, match="result of shard None: damaged"):
        assemble(SEARCHED, INDEX, [result])


# -- hostile names and texts ---------------------------------------------------------------------------


def hostile() -> dict[str, Any]:
    """Whatever a corpus or a benchmark can choose is hostile."""
    words = " ".join(f"w{at}" for at in range(9))
    index = built(Item(TORN, TORN, (words,)), Item(TORN, "q", (words,)), rules=[("qwen", 3)])
    result = result_of(index, TORN, [words], faults=1)
    result["faults"] = [{"place": TORN, "fault": TORN}]
    for examples in result["examples"].values():
        examples[0] |= {"place": TORN, "text": TORN}
    said = described({**searched(TORN, 2), "datasets": {TORN: TORN}, "fields": [TORN]}, rules=[("qwen", 3)])
    return assemble({**said, "paths": [TORN], "created": TORN}, index, [result])


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: dict[str, list[str]] = {}
        self.style = ""
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._in = tag
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")

    def handle_data(self, data: str) -> None:
        if self._in == "style":
            self.style += data
            self._in = ""


def test_hostile_names_stay_names_in_the_page() -> None:
    text = html(hostile())
    assert text.encode()
    page = Page(text)
    assert not page.tags & {"script", "img", "iframe", "object", "embed", "form", "base"}
    assert not [name for name in page.attributes if name.startswith("on") or name in ("style", "src")]
    assert set(page.attributes["href"]) == {"data:,", "#b0"}
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\ud800-\udfff]", text)
    assert "{{7*7}}" in text
    (policy,) = [each for each in page.attributes["content"] if each.startswith("default-src")]
    pin = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{pin}';")
    assert text.startswith("<!doctype html>")


def test_hostile_names_stay_names_in_markdown() -> None:
    text = markdown(hostile())
    assert text.encode()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\ud800-\udfff]", text)
    outside, fence, fences = [], "", 0
    for line in text.splitlines():
        if fence:
            fence = "" if line.strip() == fence else fence
        elif opened := re.match("(`{3,})text$", line):
            fence, fences = opened[1], fences + 1
        else:
            outside.append(line)
    assert (fence, fences) == ("", 2)
    assert not [line for line in outside if re.search(r"(?<!\\)(?:\\\\)*[<>\[\]`_&$]", line.replace("\\\\", ""))]
    assert [line for line in outside if line.startswith("#")] == [
        "# Contamination", *(line for line in outside if line.startswith("## a\\|b")), "## Faults",
    ]  # fmt: skip
    tables = [len(re.findall(r"(?<!\\)\|", line)) for line in outside if line.startswith("|")]
    assert tables == [11, 11, 11, 5, 5, 5, 5][: len(tables)]
    assert len(tables) == 7


def test_hostile_names_are_read_back(tmp_path: Path) -> None:
    found = read_back(hostile(), tmp_path / "report.json")
    assert list(found.benchmarks[0].hits) == [TORN, "q"]
    assert found.line


def test_a_fence_is_longer_than_any_in_the_text() -> None:
    assert report._fenced("a\n`````\nb") == ["``````text", "a\n`````\nb", "``````"]
    assert report._fenced("a")[0] == "```text"


# -- size ----------------------------------------------------------------------------------------------


def large(name: str, problems: int) -> dict[str, Any]:
    rules = {rule: {"documents": 10**9, "covered": 0.5} for rule in RULES}
    example = {"problem": name, "place": name, "rule": "qwen", "pieces": 1, "start": 0, "end": 1, "text": name}
    hits = {f"{at}{name}": {"documents": 10**9, "rules": rules} for at in range(problems)}
    return {
        **searched(name, problems), "hit": problems, "short": {}, "without": {}, "hits": hits,
        "examples": [example] * 20,
    }  # fmt: skip


@pytest.mark.parametrize(("benchmarks", "problems"), [(1, 20_000), (100, 200)])
def test_many_hits_make_no_large_page(benchmarks: int, problems: int) -> None:
    document = assemble(described(rules=[(name, 10) for name in RULES]), built(), [])
    document["benchmarks"] = [large('"' * 400, problems) for _ in range(benchmarks)]
    page, text = html(document), markdown(document)
    assert len(page.encode()) < 5_000_000
    assert len(text.encode()) < 5_000_000
    shown = report.PAGE_PROBLEMS // benchmarks
    assert page.count(f"and {problems - shown:,} more problems, in report.json") == benchmarks
    assert text.count(f"and {problems - report.LISTED:,} more, in report.json") == benchmarks


# -- in a browser --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright here: pip install -e '.[dev]'")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium, or bash .ci/browser")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_it_and_runs_nothing(browser: Any, tmp_path: Path, scheme: str, width: int) -> None:
    out = tmp_path / "report.html"
    out.write_text(html(hostile()), encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    said: list[str] = []
    requests: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(out.as_uri())
    assert tab.locator("details").get_attribute("open") is not None  # the only one
    assert tab.locator("pre").first.is_visible()
    assert tab.locator("pre").first.inner_text().startswith("a|b </script><script>")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    background = tab.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 22, 26)"}[scheme]
    assert tab.evaluate("window.hit") is None
    assert said == []
    assert [url for url in requests if url not in (out.as_uri(), "data:,")] == []
    context.close()
