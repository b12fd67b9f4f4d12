"""RepoEval: lines, calls and functions by Qwen's rules and the authors', on rows of our own, scored by hand."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from completing import Row, Scored, failing_golden, judged, load, row

from qwencoder_eval.benchmark import profile
from qwencoder_eval.models.profiles import named
from qwencoder_eval.models.rendering import infill_text
from qwencoder_eval.types import Continue, Infill

FILE = "repoeval/python_{}_completion_sparse_oracle.jsonl"
# Target, answer; whether they match and similarity by the authors' rule; then by Qwen's: match, whole per cent, plain.
LINES = {
    "the same": ("    f(a)", "    f(a)\n", 1, Fraction(1), 1, 100, Fraction(1)),
    "blanks inside count": ("f(a)", "f( a)", 0, Fraction(4, 5), 1, 89, Fraction(4, 5)),  # 8/9
    "indentation does not": ("    f(\n        a)", "f(\na)", 1, Fraction(1), 1, 56, Fraction(5, 13)),  # 10/18
    "quotes are two": ("f('a')", 'f("a")', 0, Fraction(4, 6), 1, 67, Fraction(4, 6)),  # 8/12
    "more lines": ("f(a)", "\n\n  \nf(a)\ng(b)", 1, Fraction(1), 1, 100, Fraction(1)),
    "fewer lines": ("f(\na)", "f(", 0, Fraction(2, 5), 0, 57, Fraction(2, 5)),  # 4/7
    "another name": ("f(a)", "f(b)", 0, Fraction(3, 4), 0, 75, Fraction(3, 4)),
    "nothing": ("f(a)", "", 0, Fraction(0), 0, 0, Fraction(0)),
    "nothing was expected": ("", "f(a)", 1, Fraction(0), 1, 100, Fraction(0)),
    "nothing on both sides": ("  \n", "", 1, Fraction(0), 1, 100, Fraction(0)),
    "blank lines of the target": ("f(\n\na)", "f(\na)", 1, Fraction(1), 1, 91, Fraction(5, 6)),  # 10/11
    "carriage returns end lines": ("f(\r\na)", "f(\na)", 1, Fraction(1), 1, 91, Fraction(5, 6)),  # 10/11
    "alone too": ("f(a)", "f(a)\rg(b)", 1, Fraction(1), 0, 62, Fraction(4, 9)),  # 8/13
    "and form feeds": ("f(a)", "f(a)\x0cg(b)", 1, Fraction(1), 0, 62, Fraction(4, 9)),  # 8/13
    "and separators of lines": ("f(a)", "f(a)\u2028g(b)", 1, Fraction(1), 0, 62, Fraction(4, 9)),  # 8/13
    "tabs": ("\tf(a)", "  f(a)\t", 1, Fraction(1), 1, 100, Fraction(1)),
    "comments count": ("f(a)", "f(a)  # a", 0, Fraction(4, 9), 0, 62, Fraction(4, 9)),  # 8/13
    "a lone surrogate": ("f(a)", "f(\udfff)", 0, Fraction(3, 4), 0, 75, Fraction(3, 4)),
    "the pad is text to the authors": ("f(a)", "f(a)<|fim_pad|>", 0, Fraction(4, 15), 1, 100, Fraction(1)),
    "and another file": ("f(a)", "f(a)<|file_sep|>x", 0, Fraction(4, 17), 1, 100, Fraction(1)),
    "a bracket that never closes": ("f(a", "f(a\n((", 1, Fraction(1), 1, 100, Fraction(1)),
}


def close(found: dict[str, float], **expected: float) -> None:
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("part", ["line", "api"])
@pytest.mark.parametrize("case", LINES)
def test_lines_and_calls(part: str, case: str) -> None:
    target, answer, em, es, em_of_qwen, es_of_qwen, plain = LINES[case]
    own = row("def g():\n", target)
    close(judged(f"repoeval:{part}", "repoeval", own, answer), em=em, es=float(es))
    found = judged(f"repoeval:{part}", "qwen", own, answer)
    close(found, em=em_of_qwen, es=es_of_qwen / 100, es_repoeval=float(plain))


def test_functions_by_both_rules() -> None:
    """The authors compare lines of what was written; Qwen's evaluation whole bodies, the prompt's part among them."""
    own = row('def f(a):\n    """D."""\n', "    b = a\n    return b\n")
    answer = "    b = c\n    return b\n\ndef g("
    # Of "b = a\nreturn b", 14 characters, one differs; of '"""D."""\n    b = a\n    return b', 31, too.
    close(judged("repoeval:function", "repoeval", own, answer), em=0, es=13 / 14)
    close(judged("repoeval:function", "qwen", own, answer), em=0, es=0.97, es_repoeval=30 / 31)  # 60/62
    assert judged("repoeval:function", "repoeval", own, "b = a\n\nreturn b\nmore")["em"] == 1
    assert judged("repoeval:function", "qwen", own, "    b = a\n\n    return b\nmore")["em"] == 1


@pytest.mark.parametrize(
    ("part", "which", "generated", "left"),
    [
        ("line", "qwen", 50, 4046),
        ("function", "qwen", 50, 3840),
        ("api", "qwen", 50, 3840),  # runs after the functions, and their 256 tokens are still left out
        ("line", "qwen-as-reported", 50, 4046),
        ("function", "qwen-as-reported", 256, 3840),
        ("api", "qwen-as-reported", 50, 4046),
        ("line", "repoeval", 100, None),
        ("api", "repoeval", 100, None),
        ("function", "repoeval", 500, None),
    ],
)
def test_lengths(part: str, which: str, generated: int, left: int | None) -> None:
    benchmark = load(f"repoeval:{part}")
    chosen = profile(benchmark, which)
    prompt = chosen.prompt(benchmark.problem(row("a", "b")))
    if left is None:
        assert prompt == Continue("a", "# other.py\n# x = 1\n")
    else:
        assert isinstance(prompt, Infill)
        assert (prompt.prefix_tokens, prompt.suffix_tokens, prompt.retrieved_tokens) == (left, 2048, 2048)
    sampling = chosen.asking.sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.stop) == (generated, 0, 1, ())


def test_what_leaks_into_calls_is_seen_in_their_prompt() -> None:
    own = row("§" * 5000, "b", right_context="", crossfile_context="")

    def left(which: str) -> int:
        benchmark = load("repoeval:api")
        prompt = profile(benchmark, which).prompt(benchmark.problem(own))
        assert isinstance(prompt, Infill)
        cut = infill_text(
            named("deepseek-coder"), prompt, lambda text, tokens, end: text if tokens is None else text[-tokens:]
        )
        return cut.count("§")

    assert (left("qwen"), left("qwen-as-reported")) == (3840, 4046)


def rows_of(cases: list[str]) -> list[Row]:
    return [row("def g():\n", target, f"{'ab'[number % 2]}/{number}") for number, target in enumerate(cases)]


def test_scores_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored = Scored(tmp_path, monkeypatch)
    cases = list(LINES.values())
    file = scored.samples(FILE.format("line"), rows_of([case[0] for case in cases]), [case[1] for case in cases])
    es = float(sum((case[3] for case in cases), Fraction(0))) / 21
    found = scored.scores("repoeval:line", "repoeval", file)["repoeval:line"]
    close(found, em=12 / 21, es=es)
    found = scored.scores("repoeval:line", "qwen-as-reported", file)["repoeval:line"]
    alike = 8 * 100 + 89 + 56 + 67 + 57 + 75 + 91 + 91 + 3 * 62 + 62 + 75
    close(found, em=13 / 21, es=alike / 2100, es_repoeval=float(sum((case[6] for case in cases), Fraction(0))) / 21)


def test_the_mean_of_tasks_is_plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored = Scored(tmp_path, monkeypatch)
    files = []
    for part, targets in {"line": ["x"] * 5, "api": ["x", "x", "y", "y"], "function": ["    y"]}.items():
        files.append(scored.samples(FILE.format(part), rows_of(targets), ["x"] * len(targets)))
    found = scored.scores("repoeval", "qwen", *files)
    assert [found[f"repoeval:{part}"]["em"] for part in ("line", "api", "function")] == [1, 0.5, 0]
    assert found["repoeval"]["em"] == 0.5


def test_scores_go_by_repository_too() -> None:
    problem = load("repoeval:line").problem(row("a", "b", "owner_name/17"))
    assert problem.groups == {"repository": "owner_name"}
    assert (problem.id, problem.stub, problem.reference, problem.language) == ("owner_name/17", "a", "b", "python")


def test_golden_vectors_of_all_parts_and_profiles() -> None:
    assert failing_golden("repoeval") == {}
