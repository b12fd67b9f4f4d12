"""The page in a real browser: it sorts, filters, opens problems, changes its theme, and runs nothing of a model's."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from made_benchmark import PLUGIN, registry_with, shown_run
from made_contamination import made_report
from made_runs import made_run, outcomes_of

from qwencoder_eval.registry import discover
from qwencoder_eval.reports import html
from qwencoder_eval.reports.compose import board_of
from qwencoder_eval.reports.contamination import contamination, read
from qwencoder_eval.reports.html import write_html, write_page
from qwencoder_eval.runs.reading import all_finished

sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright here: pip install -e '.[dev]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: apt-get install chromium, or bash .ci/browser"
)

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
HIT = "window.hit=1"
HOSTILE = f"""</script><script>{HIT}</script><img src=x onerror="{HIT}"><svg onload={HIT}>
<a href="javascript:{HIT}">x</a> <iframe srcdoc="<script>parent.hit=1</script>"></iframe>
\u2028{HIT}\u2029 \x00 \u202eevil\u2066
]]>--><!-- {{{{{HIT}}}}} ${{{HIT}}} ');{HIT};(' \\u003cscript\\u003e{HIT}\\u003c/script\\u003e
def f(x): # <b>comment</b>
    return "<i>" + 'é' + `{HIT}`
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Watched:
    """A tab, and everything it did that a report must not do."""

    def __init__(self, browser: Any, out: Path, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": DESKTOP, **options})
        self.context.set_default_timeout(20_000)
        self.tab = self.context.new_page()
        self.out = out
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.tab.on("console", lambda message: self.faults.append(f"console: {message.text}"))
        self.tab.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.tab.on("dialog", lambda dialog: (self.faults.append("dialog"), dialog.dismiss()))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.goto(out.as_uri())

    def open_problem(self, score: int = 0, problem: int = 0) -> None:
        self.tab.locator("a.score").nth(score).click()
        self.tab.locator(".problems a").nth(problem).click()
        self.tab.locator("#viewer-body h3").first.wait_for()

    def close(self) -> None:
        """Raises AssertionError where something of a model's was run, or anything was fetched from elsewhere."""
        assert self.faults == []
        assert self.tab.evaluate("window.hit") is None
        beside = self.out.with_name(f"{self.out.stem}_files").as_uri()
        others = [url for url in self.requests if url != "data:,"]
        assert [
            url for url in others if not unquote(url).startswith((unquote(self.out.as_uri()), unquote(beside)))
        ] == []
        self.context.close()


Open = Callable[..., Watched]


@pytest.fixture
def watch(browser: Any) -> Iterator[Open]:
    opened: list[Watched] = []

    def open_page(out: Path, **options: Any) -> Watched:
        opened.append(Watched(browser, out, **options))
        return opened[-1]

    yield open_page
    for each in opened:
        each.close()


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models on two families, with sizes, and side files."""
    folder = tmp_path_factory.mktemp("board")
    for size, right in ((1.5, 3), (7, 9), (32, 6)):
        model = f"lab/m-{size}B"
        made_run(
            folder / "r", outcomes_of([1] * right + [0] * (12 - right), "humaneval"), model=model, benchmark="humaneval"
        )
        several = [[1, 0, 1, 1]] * right + [[0] * 4] * (12 - right)
        made_run(folder / "r", outcomes_of(several, "cruxeval-o"), model=model, benchmark="cruxeval-o")
    made_run(folder / "r", outcomes_of([1, 0], "bird"), model="lab/other", benchmark="bird")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "EMBEDDED", 100)
        write_html(all_finished([folder / "r"])[0], folder / "board.html")
    return folder / "board.html"


def names(tab: Any) -> list[str]:
    return [row.get_attribute("data-name") for row in tab.locator("#board tbody tr").all() if row.is_visible()]


def test_it_sorts_by_a_click_and_by_the_keyboard(watch: Open, board: Path) -> None:
    tab = watch(board).tab
    assert names(tab) == ["lab/m-1.5B", "lab/m-7B", "lab/m-32B", "lab/other"]
    header = tab.locator("th[data-sort]", has_text="humaneval")
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert names(tab) == ["lab/m-7B", "lab/m-32B", "lab/m-1.5B", "lab/other"]
    tab.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    assert names(tab) == ["lab/m-1.5B", "lab/m-32B", "lab/m-7B", "lab/other"]
    model = tab.locator("th[data-sort='-1'] button")
    model.focus()
    tab.keyboard.press("Space")
    assert names(tab) == ["lab/m-1.5B", "lab/m-7B", "lab/m-32B", "lab/other"]
    assert tab.locator("[aria-sort]").count() == 1


def test_it_filters_models_and_families(watch: Open, board: Path) -> None:
    tab = watch(board).tab
    tab.locator("#filter").fill("LAB 7b")
    assert names(tab) == ["lab/m-7B"]
    tab.locator("#filter").fill("nobody")
    assert names(tab) == []
    assert tab.locator("#nothing").is_visible()
    tab.locator("#filter").fill("")
    tab.get_by_label("Text-to-SQL").uncheck()
    assert not tab.get_by_role("columnheader", name="bird").is_visible()
    assert tab.get_by_role("columnheader", name="humaneval").is_visible()
    assert not tab.locator("section[data-sheet-family='Text-to-SQL']").is_visible()


def test_it_changes_its_theme_and_remembers(watch: Open, board: Path) -> None:
    tab = watch(board, color_scheme="light").tab
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    light = tab.evaluate(paper)
    tab.get_by_role("radio", name="dark").check()
    assert tab.evaluate(paper) != light
    tab.reload()
    assert tab.get_by_role("radio", name="dark").is_checked()
    tab.get_by_role("radio", name="auto").check()
    assert tab.evaluate(paper) == light
    tab.emulate_media(color_scheme="dark")
    assert tab.evaluate(paper) != light


def test_a_score_opens_to_its_problems_and_the_way_back(watch: Open, board: Path) -> None:
    tab = watch(board).tab
    tab.locator("tr[data-name='lab/m-7B'] a.score").first.click()
    assert tab.locator("#viewer-title").inner_text() == "humaneval · lab/m-7B"
    assert tab.locator(".problems li").count() == 12
    tab.locator("#viewer .chip", has_text="wrong").click()
    assert tab.locator(".problems .id").all_inner_texts() == ["p9", "p10", "p11"]
    tab.locator("#problem-filter").fill("10")
    assert tab.locator(".problems .id").all_inner_texts() == ["p10"]
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")  # the only problem that is left
    tab.locator("#viewer-body h3").first.wait_for()
    assert tab.locator("#viewer-title").inner_text() == "p10"
    tab.go_back()
    tab.locator(".problems").wait_for()
    tab.keyboard.press("Escape")
    assert not tab.locator("#viewer").is_visible()
    assert "#" not in tab.url
    assert tab.locator("#board").is_visible()


def test_a_link_leads_to_a_sample_and_arrows_to_its_neighbours(watch: Open, board: Path) -> None:
    watched = watch(board)
    tab = watched.tab
    href = tab.locator("tr[data-name='lab/m-7B'] a.score[href*=crux]").first.get_attribute("href")
    tab.goto(f"{board.as_uri()}{href}")
    tab.locator("#viewer .chip", has_text="wrong").click()
    line = tab.locator(".problems a").first
    assert line.locator(".pill").all_inner_texts() == ["passed ×3", "wrong"]
    assert (line.get_attribute("href") or "").endswith("/p0/1")  # the first sample that is like that
    tab.goto(f"{board.as_uri()}{href}/p3/1")
    tab.locator(".samples a[aria-current]", has_text="1").wait_for()
    assert tab.locator(".verdict").inner_text().strip() == "wrong"
    tab.keyboard.press("ArrowRight")
    tab.get_by_role("heading", name="p4").wait_for()
    tab.keyboard.press("ArrowLeft")
    tab.get_by_role("heading", name="p3").wait_for()
    tab.locator(".samples a").nth(2).click()
    tab.locator(".verdict .o-passed").wait_for()
    for torn in ("#/nobody/x", "#/%E0%A4%A", "#/", href + "/gone/0", href + "/p3/999"):
        tab.goto(f"{board.as_uri()}{torn}")
        assert tab.locator("h1").count() == 1


def open_all(tab: Any) -> None:
    for inside in ("figure svg", "figure table.plain"):
        tab.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
        tab.locator(inside).nth(8).wait_for()


def test_its_figures_have_names_and_numbers(watch: Open, board: Path) -> None:
    tab = watch(board).tab
    open_all(tab)
    captions = tab.locator("figcaption strong").all_inner_texts()
    assert captions == [
        "humaneval, pass@1", "humaneval, pass@1, by model size", "humaneval: outcomes",
        "cruxeval-o, pass@1", "cruxeval-o, pass@1, by model size", "cruxeval-o: outcomes", "cruxeval-o: pass@k",
        "bird, pass@1", "bird: outcomes",
    ]  # fmt: skip
    for drawing in tab.locator("figure svg").all():
        assert drawing.get_attribute("role") == "img"
        assert drawing.get_attribute("aria-label")
    numbers = tab.locator("figure table.plain").first.inner_text()
    assert re.search(r"m-7B\s+75\.0\s+46\.8–91\.1\s+12\s+12", numbers)


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_runs_over_the_side(watch: Open, board: Path, viewport: dict[str, int]) -> None:
    watched = watch(board, viewport=viewport)
    tab = watched.tab
    open_all(tab)
    over = "document.documentElement.scrollWidth - window.innerWidth"
    assert tab.evaluate(over) <= 0
    first = "document.querySelector('#board tbody th').getBoundingClientRect().left"
    before = tab.evaluate(first)
    tab.evaluate("document.getElementById('board-box').scrollLeft = 200")
    assert tab.evaluate(first) == before  # the models stay where they are
    watched.open_problem()
    assert tab.evaluate(over) <= 0
    box = tab.locator("#viewer-body")
    assert box.evaluate("(box) => box.scrollWidth - box.clientWidth") <= 0


def test_without_its_folder_it_says_what_is_missing(browser: Any, board: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.html"
    shutil.copy(board, alone)
    watched = Watched(browser, alone)
    watched.tab.locator("a.score").first.click()
    said = watched.tab.get_by_role("alert")
    said.wait_for()
    assert re.fullmatch(
        r"board_files/\w+/index\.js is not there: the folder belongs beside this page", said.inner_text()
    )
    watched.context.close()


@pytest.fixture(scope="module")
def contaminated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two benchmarks of many models that a corpus was searched for."""
    folder = tmp_path_factory.mktemp("contaminated")
    for benchmark, models in (("humaneval", 40), ("bird", 2)):
        for at in range(models):
            right = [1] * (at % 12) + [0] * (12 - at % 12)
            made_run(folder / "r", outcomes_of(right, benchmark), model=f"lab/m-{at}", benchmark=benchmark)
    reports = [
        read(made_report(folder / f"{name}.json", ["p1", "p4"], benchmark=name)) for name in ("humaneval", "bird")
    ]
    board = board_of(all_finished([folder / "r"])[0], discover())
    board.contamination = contamination(board, reports)
    write_page(board, folder / "board.html", {}, "Board")
    return folder / "board.html"


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_clean_and_hit_scores_are_there_without_a_script(
    browser: Any, contaminated: Path, viewport: dict[str, int], theme: str
) -> None:
    context = browser.new_context(viewport=viewport, color_scheme=theme, java_script_enabled=False)
    tab = context.new_page()
    tab.goto(contaminated.as_uri())
    section = tab.locator("#contamination")
    assert section.get_by_role("heading", name="Contamination").is_visible()
    assert section.locator("tr[data-name]").count() == 42
    row = section.locator("tr[data-name='lab/m-3']").first
    assert re.search(r"25\.0\s+8\.9–53\.2\s+20\.0\s+5\.7–51\.0\s+50\.0", row.inner_text())
    box, page = section.locator(".scroll").bounding_box(), viewport
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= page["width"]
    assert box["height"] <= 0.86 * page["height"]
    head, name = section.locator("thead th").first.bounding_box(), row.locator("th").bounding_box()
    assert (head["x"], head["width"]) == (name["x"], name["width"])
    context.close()


def test_hit_problems_are_marked_and_the_table_is_filtered_with_the_other(watch: Open, contaminated: Path) -> None:
    tab = watch(contaminated).tab
    rows = tab.locator("#contamination tr[data-name]:visible")
    assert rows.count() == 42
    tab.locator("#filter").fill("m-1")
    assert rows.count() == 12  # m-1 of both, m-10 to m-19
    tab.locator("#filter").fill("m-39")
    assert tab.locator("#contamination [scope=rowgroup]:visible").count() == 1
    assert tab.locator("#told").inner_text() == "1 models"
    tab.get_by_label("Code generation").uncheck()
    assert rows.count() == 0
    tab.locator("#filter").fill("")
    assert rows.count() == 2
    rows.nth(1).locator("a.score").click()
    tab.locator(".problems li").nth(11).wait_for()
    assert tab.locator(".problems li:has(.hit) .id").all_inner_texts() == ["p1", "p4"]
    tab.locator(".problems li:has(.hit) a").first.click()
    tab.get_by_text("In the corpus:").wait_for()
    assert tab.get_by_text("bird.json: 2 documents (qwen covers 42 %)").count() >= 1


# -- hostile models ------------------------------------------------------------------------------------------


def hostile_page(folder: Path, embedded: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    registry = registry_with(folder / "plugins", count=2, text=PLUGIN.replace('"PREFIX"', ascii(HOSTILE)))
    outcomes = {problem: [{"shown": "wrong"}] for problem in ("shown/0", "shown/1", HOSTILE)}
    texts = dict.fromkeys(outcomes, HOSTILE)
    evidence = {problem: {"got": HOSTILE, HOSTILE: "x"} for problem in outcomes}
    shown_run(folder / "r", registry, outcomes, model=HOSTILE[:100], texts=texts, evidence=evidence, notes=[HOSTILE])
    monkeypatch.setattr(html, "EMBEDDED", embedded)
    write_html(all_finished([folder / "r"])[0], folder / "page.html", HOSTILE, registry)
    return folder / "page.html"


@pytest.mark.parametrize("embedded", [0, 10**9], ids=["side files", "one file"])
def test_a_hostile_completion_is_shown_and_not_run(
    watch: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedded: int
) -> None:
    page = hostile_page(tmp_path, embedded, monkeypatch)
    assert page.with_name("page_files").exists() == (embedded == 0)
    watched = watch(page)
    tab = watched.tab
    for problem in range(3):
        watched.open_problem(0, problem)
        blocks = tab.locator("#viewer-body pre").all_inner_texts()
        assert any(f"</script><script>{HIT}</script><img src=x" in block for block in blocks)
        assert any("U+202Eevil" in block and "U+0000" in block and "U+2028" in block for block in blocks)
        tab.keyboard.press("Escape")
    assert tab.locator("img, iframe, svg[onload], a[href^=javascript]").count() == 0
    assert tab.locator("script:not([type])").count() == 1
    watched.open_problem(0, 0)
    headings = tab.locator("#viewer-body h3").all_inner_texts()
    assert headings == ["Test evidence", "Prompt", "Completion, raw", "Extracted code"]
    for link in tab.locator("a").all():
        assert (link.get_attribute("href") or "").startswith("#")


def test_markup_that_came_in_would_still_run_nothing(browser: Any, board: Path) -> None:
    """The page's policy, apart from its escaping: what is put in by force is refused."""
    watched = Watched(browser, board)
    tab = watched.tab
    refused = tab.evaluate(
        """() => { try { document.body.innerHTML = '<img src=x onerror="window.hit=1">'; return false; }
                   catch (error) { return error instanceof TypeError; } }"""
    )
    assert refused
    tab.evaluate(
        """() => { const script = document.createElement('script'); script.setAttribute('nonce', 'x');
                   try { script.text = 'window.hit = 1'; document.body.append(script); } catch { }
                   const link = document.createElement('a'); link.href = 'javascript:window.hit=1';
                   document.body.append(link); link.click();
                   return fetch('http://127.0.0.1:9/').catch(() => null); }"""
    )
    assert tab.evaluate("window.hit") is None
    assert any("Content Security Policy" in fault for fault in watched.faults)
    watched.context.close()


def test_a_large_run_opens_piece_by_piece(watch: Open, tmp_path: Path) -> None:
    texts = {f"p{at}": "x = 1\n" * 200 for at in range(2500)}
    made_run(tmp_path / "r", outcomes_of([at % 2 for at in range(2500)]), texts=texts)
    write_html(all_finished([tmp_path / "r"])[0], tmp_path / "page.html")
    watched = watch(tmp_path / "page.html")
    watched.tab.locator("a.score").first.click()
    watched.tab.get_by_role("button", name="show all 2500").click()
    assert watched.tab.locator(".problems li").count() == 2500
    watched.tab.locator(".problems a").nth(2400).click()
    watched.tab.locator("#viewer-body h3").first.wait_for()
    files = [Path(unquote(url.removeprefix("file://"))) for url in watched.requests if url.endswith(".js")]
    assert len(files) == 4  # both indexes, one part of problems, one of samples
    assert max(file.stat().st_size for file in files) < 300_000
