"""Needle in the Code: its grid, models that copy and that forget, and what a run of another haystack records."""

from __future__ import annotations

import ast
import itertools
import json
import os
from collections import Counter
from collections.abc import Generator, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from toy_tokenizer import BLANKS, LINES, Toy, toy_renderer

from qwencoder_eval.benchmark import Benchmark, Profile, profile
from qwencoder_eval.cli.main import cli
from qwencoder_eval.errors import DatasetError, QcevalError, UsageError
from qwencoder_eval.models.base import Answer, Request
from qwencoder_eval.models.rendering import Renderer
from qwencoder_eval.registry import discover
from qwencoder_eval.reports.compose import board_of, known
from qwencoder_eval.reports.figures import sheets
from qwencoder_eval.reports.html import write_html
from qwencoder_eval.runs.reading import all_finished
from qwencoder_eval.sandboxes.none import UnneededBackend
from qwencoder_eval.stream.evaluate import Progress
from qwencoder_eval.stream.session import Settings, bounded, fitting_profile, run_benchmarks
from qwencoder_eval.types import Completion, Needle, Prompt, is_chat

CODE = Path(ast.__file__).parent / "json"
MUCH = Path(__file__).resolve().parents[2] / "qwencoder_eval"


def bench(part: str = "") -> Benchmark:
    return discover(()).load(f"needle-in-the-code{part and ':'}{part}")


# -- the grid --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "first", "last"),
    [
        ("", 10_000, 128_000),
        ("256k", 20_000, 256_000),
        ("1m", 78_125, 1_000_000),
        ("2k", 500, 2_000),
        ("1k", 500, 1000),
    ],
)
def test_ten_lengths_by_ten_depths(part: str, first: int, last: int) -> None:
    chosen = profile(bench(part), "plain")
    problems = chosen.problems(offline=True)
    assert len({problem.id for problem in problems}) == len(problems) == 100
    lengths = [problem.fields["length"] for problem in problems[::10]]
    assert (lengths[0], lengths[-1]) == (first, last)
    steps = [after - before for before, after in itertools.pairwise(lengths)]
    assert max(steps) - min(steps) <= 1
    depths = [problem.groups["depth"] for problem in problems[:10]]
    assert depths == ["0.0%", "11.1%", "22.2%", "33.3%", "44.4%", "55.6%", "66.7%", "77.8%", "88.9%", "100.0%"]
    prompts = [chosen.prompt(problem) for problem in problems]
    assert {prompt.depth for prompt in prompts if isinstance(prompt, Needle)} == {step / 9 for step in range(10)}


def test_each_length_and_each_depth_has_every_needle_once() -> None:
    problems = profile(bench(), None).problems(offline=True)
    for group in ("length", "depth"):
        found = Counter((problem.groups[group], problem.tests["name"]) for problem in problems)
        assert set(found.values()) == {1}
        assert len(found) == 100


def test_needles_are_simple_and_told_apart() -> None:
    problems = profile(bench(), None).problems(offline=True)[:10]
    for problem in problems:
        needle = problem.tests["needle"]
        (function,) = ast.parse(needle).body
        assert isinstance(function, ast.FunctionDef)
        assert function.name == problem.tests["name"]
        assert needle == problem.stub + (problem.reference or "")
        lines = needle.removesuffix("\n").split("\n")
        assert 3 <= len(lines) <= 6
        assert all(lines)  # an answer ends at a blank line
        assert all(line.startswith("    ") for line in lines[1:])
    assert len({problem.tests["name"] for problem in problems}) == 10


@pytest.mark.parametrize("part", ["0k", "k", "10", "5g", "1000000k", "1.5m"])
def test_other_parts_are_refused(part: str) -> None:
    with pytest.raises(UsageError):
        bench(part)


# -- models that copy, and models that forget --------------------------------------------------------------


class Seeing:
    """A model that repeats a function if it is within the last ``sees`` tokens of its prompt."""

    name, instant = "seeing", False

    def __init__(self, renderer: Renderer, sees: int = 1 << 30) -> None:
        self.renderer, self.sees = renderer, sees
        self.asked: list[str] = []

    def key(self) -> dict[str, Any]:
        return {"model": "seeing", "sees": self.sees}

    def rendered(self, prompt: Prompt) -> Any:
        self.renderer.check(prompt)
        return {"text": self.renderer.render(prompt).text}

    def provenance(self) -> dict[str, Any]:
        return {}

    def generate(self, requests: Iterable[Request]) -> Generator[Answer, None, None]:
        for request in requests:
            self.asked.append(request.problem.id)
            rendered = self.renderer.render(request.prompt)
            assert len(rendered.tokens) == request.problem.fields["length"]
            seen = self.renderer._shown(rendered.tokens[-self.sees :])
            name = request.problem.tests["name"]
            _, found, behind = seen.partition(f"def {name}(")
            body = behind.partition("\n\n")[0] + "\n"
            known = bool(found) and f"def {name}(" in behind  # the question has the name, too
            if is_chat(request.prompt):
                known = bool(found)
                text = f"It is:\n```python\n{found}{body}```\n" if known else "There is none."
                yield Answer(request, 0, Completion(text, "whole"))
            else:
                yield Answer(request, 0, Completion(body.partition("\n")[2] if known else "    pass\n"))


def go(chosen: Profile, model: Any, out: Path, limit: int | None = None) -> dict[str, Any]:
    settings = Settings(out=out, workers=1, cached=False, limit=limit)
    (report,) = run_benchmarks([chosen], model, UnneededBackend(), settings, Progress(), lambda text: None)
    return report


def passed(report: dict[str, Any]) -> dict[str, bool]:
    rows = map(json.loads, (Path(report["run"]) / "verdicts.jsonl").read_text().splitlines())
    return {row["problem"]: next(iter(row["checks"].values())) == "passed" for row in rows}


@pytest.fixture
def much(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QCEVAL_HAYSTACK", str(MUCH))
    return MUCH


@pytest.mark.parametrize("form", ["repository", "plain", "chat"])
@pytest.mark.parametrize("pattern", [LINES, BLANKS])
def test_who_copies_fills_the_grid(much: Path, tmp_path: Path, form: str, pattern: str) -> None:
    renderer = toy_renderer(tmp_path / "m", Toy(pattern, chat=True), "chat" if form == "chat" else "base")
    report = go(profile(bench("8k"), form), Seeing(renderer), tmp_path)
    assert report["outcomes"] == {"needle-in-the-code:8k": {"passed": 100}}
    scores = report["scores"]["needle-in-the-code:8k"]
    assert scores["pass@1"]["value"] == scores["exact"]["value"] == 1.0
    assert scores["pass@1"]["problems"] == 100
    assert report["scores"]["needle-in-the-code:8k[depth=55.6%]"]["pass@1"]["problems"] == 10
    assert report["scores"]["needle-in-the-code:8k[length=8000]"]["pass@1"]["value"] == 1.0


def test_who_forgets_fails_where_the_needle_is_out_of_sight(much: Path, tmp_path: Path) -> None:
    renderer = toy_renderer(tmp_path / "m", Toy(LINES))
    sees = 3000
    chosen = profile(bench("8k"), "repository")
    report = go(chosen, Seeing(renderer, sees), tmp_path)
    expected = {}
    for problem in chosen.problems(offline=True):
        rendered = renderer.render(chosen.prompt(problem))
        text = renderer._shown(rendered.tokens[-sees:])
        expected[problem.id] = problem.tests["needle"] in text
        behind = problem.fields["length"] * (1 - float(problem.groups["depth"][:-1]) / 100)
        if abs(behind - sees) > 300:  # far from where sight ends, arithmetic alone tells
            assert expected[problem.id] == (behind < sees)
    assert passed(report) == expected
    assert 20 < sum(expected.values()) < 80
    # And the picture of it, without the haystack.
    os.environ.pop("QCEVAL_HAYSTACK")
    registry = discover(())
    runs = all_finished([tmp_path])[0]
    board = board_of(runs, registry)
    *_, heat = sheets(board, known(board, registry))[0]["heat"]
    assert heat["title"] == "needle-in-the-code:8k: depth by length"
    assert heat["down"][3] == "33.3%"
    assert heat["across"][9] == "8000"
    ((_, cells),) = heat["tables"]
    for problem in chosen.problems(offline=True):
        row, column = heat["down"].index(problem.groups["depth"]), heat["across"].index(problem.groups["length"])
        assert cells[row][column] == expected[problem.id]
    write_html(runs, tmp_path / "page.html", registry=registry)
    page = (tmp_path / "page.html").read_text()
    assert "depth by length" in page
    assert "needle at 33.3%" in page  # the viewer's prompt names the haystack, and does not hold it
    assert len(page) < 1_500_000


def test_no_cell_is_lost_where_the_answer_is_wrong_or_there_is_none(much: Path, tmp_path: Path) -> None:
    renderer = toy_renderer(tmp_path / "m", Toy(LINES, chat=True), "chat")
    report = go(profile(bench("4k"), "chat"), Seeing(renderer, 1), tmp_path)
    assert report["outcomes"] == {"needle-in-the-code:4k": {"no_code": 100}}
    assert report["scores"]["needle-in-the-code:4k"]["pass@1"]["value"] == 0.0
    assert report["scores"]["needle-in-the-code:4k"]["exact"]["value"] == 0.0


# -- what a run rests on -----------------------------------------------------------------------------------


def test_the_first_profile_that_fits_a_model_is_taken(much: Path, tmp_path: Path) -> None:
    for kind, name, expected in (
        ("base", "qwen2.5-coder", "repository"), ("base", "generic", "plain"), ("base", "codellama", "plain"),
        ("chat", "qwen2.5-coder", "chat"),
    ):  # fmt: skip
        renderer = toy_renderer(tmp_path / "m", Toy(LINES, chat=True), kind, name)
        assert fitting_profile(bench("4k"), None, Seeing(renderer), True).name == expected


def test_runs_of_different_haystacks_share_no_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "same").mkdir()
    for path in CODE.glob("*.py"):
        (tmp_path / "same" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "same" / "README").write_text("not code")
    reports = []
    for number, folder in enumerate((CODE, tmp_path / "same", CODE.parent / "email")):
        monkeypatch.setenv("QCEVAL_HAYSTACK", str(folder))
        renderer = toy_renderer(tmp_path / "m", Toy(LINES))
        model = Seeing(renderer)
        model.name = f"model-{number}"
        reports.append(go(profile(bench("2k"), "plain"), model, tmp_path / "results", limit=2))
    first, same, other = reports
    assert first["dataset"] == same["dataset"] != other["dataset"]
    runs = {run.model: run for run in all_finished([tmp_path / "results"])[0]}
    assert runs["model-0"].column == runs["model-1"].column != runs["model-2"].column
    assert other["haystack"]["name"] == "email"
    assert f"haystack: email {other['haystack']['sha256'][:12]}" in other["notes"]
    board = board_of(list(runs.values()), discover(()))
    assert len({column.sheet for column in board.columns}) == 2
    assert any("haystack: email" in note for column in board.columns for note in [*column.notes, *board.legend])


def test_the_pinned_haystack_need_not_be_here_to_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QCEVAL_HAYSTACK", raising=False)
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path / "data"))
    chosen = profile(bench(), None)
    assert chosen.haystack == chosen.asking.haystack
    assert chosen.dataset_hash == profile(bench(), "chat").dataset_hash
    with pytest.raises(DatasetError, match="needle/Megatron-LM: not found in"):
        go(profile(bench(), "plain"), Seeing(toy_renderer(tmp_path / "m", Toy(LINES))), tmp_path)


def test_a_prompt_is_light_and_names_its_haystack(much: Path) -> None:
    chosen = profile(bench(), "plain")
    prompts = [chosen.prompt(problem) for problem in chosen.problems(offline=True)]
    assert all(len(json.dumps(asdict(prompt))) < 1500 for prompt in prompts)
    other = replace(chosen, recorded=replace(chosen.haystack, sha256="1" * 64))  # type: ignore[type-var]
    assert other.prompt(chosen.problems()[0]) != prompts[0]
    assert other.dataset_hash != chosen.dataset_hash


def test_a_haystack_that_is_too_short_is_told_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QCEVAL_HAYSTACK", str(CODE))
    model = Seeing(toy_renderer(tmp_path / "m", Toy(LINES)))
    with pytest.raises(UsageError, match=r"profile plain: the haystack json ends after \d+ of 128000 tokens") as caught:
        go(profile(bench(), "plain"), model, tmp_path)
    assert "\n" not in str(caught.value)
    assert model.asked == []
    assert not (tmp_path / "seeing").exists()


def test_recorded_prompts_are_bounded() -> None:
    short = {"text": "x" * 1000, "tokens": list(range(1000))}
    assert bounded(short) == short
    long = bounded({"text": "a" * 10**6 + "z" * 10**6, "tokens": list(range(10**6))})
    assert len(json.dumps(long)) < 600_000
    assert long["text"].startswith("aaa")
    assert long["text"].endswith("zzz")
    assert "[... 1800000 characters ...]" in long["text"]
    assert (long["tokens"][:2], long["tokens"][-1]) == ([0, 1], 999_999)
    assert "... 960000 more ..." in long["tokens"]


# -- the command line --------------------------------------------------------------------------------------


def command(*args: object) -> Any:
    return CliRunner().invoke(cli, list(map(str, args)), standalone_mode=False)


def test_haystack_is_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QCEVAL_HAYSTACK", raising=False)
    shown = command("show-prompt", "--bench", "needle-in-the-code:2k", "--haystack", CODE, "--problem", "500/33.3%")
    assert shown.exception is None
    assert "the beginning of json " in shown.output
    assert "needle at 33.3%" in shown.output
    assert len(shown.output) < 3000
    ran = command("run", "--bench", "needle-in-the-code:2k", "--haystack", CODE, "--out", tmp_path, "--json")
    assert ran.exception is None
    (found,) = tmp_path.rglob("scores.json")
    assert json.loads(found.read_text())["haystack"]["name"] == "json"
    assert "QCEVAL_HAYSTACK" not in os.environ
    samples = next(tmp_path.rglob("completions.jsonl"))
    for options in ((), ("--haystack", CODE)):
        scored = command(
            "score", "--bench", "needle-in-the-code:2k", "--samples", samples, "--out", tmp_path / "s", *options
        )
        assert scored.exception is None


@pytest.mark.parametrize(("name", "said"), [("missing", "is not a folder"), ("empty", "no Python files there")])
def test_a_bad_folder_is_one_line(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    ran = command("show-prompt", "--bench", "needle-in-the-code", "--haystack", tmp_path / name)
    assert isinstance(ran.exception, QcevalError)
    assert said in str(ran.exception)
