"""The page as a file: what is in it, what lies beside it, and what its figures are drawn from."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from made_benchmark import registry_with, shown_outcomes, shown_run
from made_contamination import document_of, made_report
from made_runs import made_run, outcomes_of

from qwencoder_eval.errors import InfrastructureError, UsageError
from qwencoder_eval.registry import Registry
from qwencoder_eval.reports import html
from qwencoder_eval.reports.compose import board_of, known
from qwencoder_eval.reports.contamination import contamination, read
from qwencoder_eval.reports.figures import curve, ks, sheets
from qwencoder_eval.reports.html import run_id, write_html, write_page
from qwencoder_eval.runs.reading import all_finished, finished

HOSTILE = """</script><script>window.hit=1</script><img src=x onerror="window.hit=2">'"`{{7*7}}{%x%}&lt;"""


class Page(HTMLParser):
    """Elements with their attributes, and the texts of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, str] = {}
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.elements.append((tag, found))
        if tag in ("script", "style"):
            self._in = found.get("id") or tag

    def handle_data(self, data: str) -> None:
        if self._in:
            self.raw[self._in] = self.raw.get(self._in, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._in = ""


def made_page(results: Path, out: Path, **options: Any) -> Page:
    write_html(all_finished([results])[0], out, **options)
    return Page(out.read_text(encoding="utf-8"))


def test_names_make_no_elements(tmp_path: Path) -> None:
    made_run(tmp_path / "r", outcomes_of([1, 0]), model="plain")
    plain = made_page(tmp_path / "r", tmp_path / "plain.html", title="plain")
    made_run(tmp_path / "s", outcomes_of([1, 0], HOSTILE), model=HOSTILE, version=HOSTILE, profile=HOSTILE, folder="x")
    page = made_page(tmp_path / "s", tmp_path / "hostile.html", title=HOSTILE)
    assert [name for name, _ in page.elements] == [name for name, _ in plain.elements]
    assert json.loads(page.raw["data"])["rows"][0]["name"] == HOSTILE
    assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)


def test_only_the_pages_own_script_and_style_may_be_used(tmp_path: Path) -> None:
    made_run(tmp_path / "r", outcomes_of([1, 0]))
    page = made_page(tmp_path / "r", tmp_path / "page.html")
    policy = next(a["content"] or "" for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    for name in ("script", "style"):
        pin = base64.b64encode(hashlib.sha256(page.raw[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{pin}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    assert [each for each in scripts if each.get("type") != "application/json"] == [{}]
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", (tmp_path / "page.html").read_text())


def test_few_samples_stay_in_the_page_and_many_go_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_run(tmp_path / "r", outcomes_of([1, 0]))
    runs, out = all_finished([tmp_path / "r"])[0], tmp_path / "a b%.html"
    assert write_html(runs, out)["side_files"] == 0
    page = Page(out.read_text())
    assert f"part-{run_id(runs[0])}/index" in page.raw
    monkeypatch.setattr(html, "EMBEDDED", 100)
    written = write_html(runs, out)
    side = tmp_path / "a b%_files"
    assert (written["side_folder"], written["side_files"]) == (str(side), 4)
    page = Page(out.read_text())
    assert not [name for name in page.raw if name.startswith("part-")]
    assert json.loads(page.raw["data"])["files"] == "a%20b%25_files"
    for file in side.rglob("*.js"):
        name, value = re.fullmatch(r'qceval\("([^"]+)",(.*)\);\n', file.read_text()).groups()  # type: ignore[union-attr]
        assert file == side / f"{name}.js"
        json.loads(value)
    monkeypatch.undo()
    write_html(runs, out)
    assert not side.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a b%.html", "r"]


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    made_run(tmp_path / "r", outcomes_of([1, 0]))
    (tmp_path / "page_files").mkdir()
    (tmp_path / "page_files" / "thesis.txt").touch()
    with pytest.raises(UsageError, match="page_files: is there and not a report's"):
        write_html(all_finished([tmp_path / "r"])[0], tmp_path / "page.html")
    assert (tmp_path / "page_files" / "thesis.txt").exists()


@pytest.mark.parametrize("limit", [100, 2_000_000])
def test_what_the_disk_does_not_take_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    made_run(tmp_path / "r", outcomes_of([1, 0]))
    monkeypatch.setattr(html, "EMBEDDED", limit)
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureError, match="cannot be written"):
        write_html(all_finished([tmp_path / "r"])[0], tmp_path / "file" / "page.html")


def test_several_processes_make_the_same_page_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = registry_with(tmp_path / "plugins", count=2)
    for model in ("a", "b", "c"):
        shown_run(tmp_path / "r", registry, shown_outcomes("passed", "wrong"), model=model)
    runs = all_finished([tmp_path / "r"])[0]
    pages = []
    for many in (10**9, 1):
        monkeypatch.setattr(html, "MANY", many)
        monkeypatch.setattr(html, "cores", lambda: 2)
        write_html(runs, tmp_path / "page.html", registry=registry)
        pages.append((tmp_path / "page.html").read_text())
    assert pages[0] == pages[1]
    assert "def f1" in pages[0]


def test_a_runs_id_is_the_same_wherever_it_lies(tmp_path: Path) -> None:
    ids = [run_id(finished(made_run(tmp_path / where, outcomes_of([1])))) for where in ("x", "y")]
    other = run_id(finished(made_run(tmp_path / "z", outcomes_of([1]), started="2026-01-02T00:00:00Z")))
    assert ids[0] == ids[1] != other
    assert re.fullmatch(r"r[0-9a-f]{10}", ids[0])


# -- contamination -----------------------------------------------------------------------------------------


def contaminated_page(folder: Path, report: Path) -> Page:
    registry = registry_with(folder / "plugins")
    board = board_of(all_finished([folder / "r"])[0], registry)
    board.contamination = contamination(board, [read(report)])
    write_page(board, folder / "page.html", known(board, registry), "T")
    return Page((folder / "page.html").read_text())


def test_the_page_has_clean_and_hit_scores_and_marks_problems(tmp_path: Path) -> None:
    run = finished(made_run(tmp_path / "r", outcomes_of([1, 0, 1, 1])))
    page = contaminated_page(tmp_path, made_report(tmp_path / "c.json", ["p0", "p3", "p9"]))
    text = re.sub(r"<[^>]+>", " ", (tmp_path / "page.html").read_text().partition('id="contamination"')[2])
    row = " ".join(text.partition("model ")[2].partition("c.json")[0].split())
    assert row.startswith("75.0 30.1–95.4 50.0 9.5–90.5 100.0 34.2–100.0 +50.0 −27.3 to +90.5 2 + 2")
    index = json.loads(page.raw[f"part-q{run.column}/index"])
    assert index["hits"] == {str(at): f"{tmp_path / 'c.json'}: 2 documents (qwen covers 42 %)" for at in (0, 3)}
    links = [
        attributes["href"] for tag, attributes in page.elements if tag == "a" and attributes.get("class") == "score"
    ]
    assert links == [f"#/{run_id(run)}/bench"] * 2


def test_without_a_report_the_page_says_nothing_of_contamination(tmp_path: Path) -> None:
    run = finished(made_run(tmp_path / "r", outcomes_of([1, 0])))
    page = made_page(tmp_path / "r", tmp_path / "page.html")
    assert "hits" not in json.loads(page.raw[f"part-q{run.column}/index"])
    assert "contamination" not in [attributes.get("id") for _, attributes in page.elements]


def test_a_report_makes_no_elements(tmp_path: Path) -> None:
    pages = []
    for folder, name in ((tmp_path / "a", "plain"), (tmp_path / "b", HOSTILE)):
        made_run(folder / "r", {"p0": [{"check": "passed"}], name: [{"check": "passed"}]}, version=name)
        document = document_of([name], created=name, rules={name: {}}, faults=[name])
        document["corpus"]["paths"] = [name]
        document["benchmarks"][0] |= {"datasets": {name: "d" * 64}, "without": {name: 1}}
        document["benchmarks"][0]["hits"][name]["rules"] = {name: {"documents": 1, "covered": 1}}
        (folder / "c.json").write_text(json.dumps(document))
        pages.append(contaminated_page(folder, folder / "c.json"))
    plain, hostile = ([name for name, _ in page.elements] for page in pages)
    assert plain == hostile
    assert not any(key.startswith("on") for _, attributes in pages[1].elements for key in attributes)


# -- figures -----------------------------------------------------------------------------------------------


def test_a_curve_is_of_the_samples_that_all_problems_have() -> None:
    assert curve({"a": (1, 1)}) == []
    assert curve({}) == []
    found = dict(curve({"a": (4, 2), "b": (5, 0)}))
    assert found == {1: 0.25, 2: pytest.approx((1 - 1 / 6) / 2), 3: 0.5, 4: 0.5}
    assert ks(200)[0] == 1
    assert ks(200)[-1] == 200
    assert len(ks(200)) <= 24


def drawn(results: Path, registry: Registry) -> list[dict[str, Any]]:
    board = board_of(all_finished([results])[0], registry)
    return sheets(board, known(board, registry))


def test_two_groups_make_a_table_of_two_axes(tmp_path: Path) -> None:
    registry = registry_with(tmp_path / "plugins", count=6)
    kinds = ("passed", "passed", "wrong", "wrong", "passed", "wrong")
    shown_run(tmp_path / "r", registry, shown_outcomes(*kinds), model="a")
    (heat,) = drawn(tmp_path / "r", registry)[0]["heat"]
    assert heat == {
        "title": "shown: depth by length", "down": ["flat", "deep"], "across": ["short", "long"],
        "tables": [[0, [[1.0, 0.5], [0.0, 0.5]]]],
    }  # fmt: skip


def test_scores_of_groups_make_a_table_by_model(tmp_path: Path) -> None:
    groups = {"p0": {"level": "easy"}, "p1": {"level": "hard"}}
    made_run(tmp_path / "r", outcomes_of([1, 0]), groups=groups, model="a")
    made_run(tmp_path / "r", outcomes_of([1, 1]), groups=groups, model="b")
    (heat,) = drawn(tmp_path / "r", registry_with(tmp_path / "plugins"))[0]["heat"]
    assert heat["title"] == "bench by level"
    assert (heat["columns"], heat["rows"]) == (["easy", "hard"], [[0, [1.0, 0.0]], [1, [1.0, 1.0]]])


def test_the_page_is_written_from_a_board_too(tmp_path: Path) -> None:
    registry = registry_with(tmp_path / "plugins")
    made_run(tmp_path / "r", outcomes_of([1, 0]))
    board = board_of(all_finished([tmp_path / "r"])[0], registry, {}, ["left out, as it is torn"])
    write_page(board, tmp_path / "page.html", {}, "T")
    assert "left out, as it is torn" in (tmp_path / "page.html").read_text()
