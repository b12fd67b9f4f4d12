"""CrossCodeEval: Qwen's rules and upstream's, on rows of our own whose scores were computed by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from completing import Row, Scored, failing_golden, judged, load, row, write
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.benchmark import profile
from qwencoder_eval.errors import DatasetError
from qwencoder_eval.models.profiles import named
from qwencoder_eval.models.rendering import infill_text
from qwencoder_eval.registry import discover
from qwencoder_eval.reports.golden import profile_of, targets
from qwencoder_eval.types import Continue, Infill

FOLDERS = {"python": "python", "java": "java", "ts": "typescript", "cs": "csharp"}
FILE = "crosscodeeval/{}/line_completion_oracle_bm25.jsonl"

# Target, answer; whether they match, similarity in whole per cent, similarity of Levenshtein.
QWEN = {
    "the same": ("area(shape)", "area(shape)", 1, 100, Fraction(1)),
    "blanks do not count": ("area(shape) * 2", "area(shape)*2", 1, 93, Fraction(13, 15)),  # 26/28
    "quotes are one": ('x["a"]', "x['a']", 1, 67, Fraction(4, 6)),  # 8/12
    "camel case is split": ("getName()", "get Name()", 1, 95, Fraction(9, 10)),  # 18/19
    "another name": ("abcd", "abcx", 0, 75, Fraction(3, 4)),
    "nothing": ("abcd", "", 0, 0, Fraction(0)),
    "nothing was expected": ("", "", 1, 100, Fraction(0)),
    "nothing was expected, and all is cut off": ("", "x = 1\ny = 2", 1, 100, Fraction(0)),
    "blank lines do not count": ("a(b)", "\n \n\na(b)\nmore()", 1, 100, Fraction(1)),
    "the pad ends it": ("a(b)", "a(b)<|fim_pad|>junk\nmore", 1, 100, Fraction(1)),
    "another file ends it": ("a(b)", "a(b)<|file_sep|>b.py\n", 1, 100, Fraction(1)),
    "both end it, the pad first": ("a", "a<|file_sep|>b<|fim_pad|>c", 1, 100, Fraction(1)),
    "other tokens do not": ("a", "a<|fim_middle|>", 0, 12, Fraction(1, 15)),  # 2/16
    "carriage returns": ("a(b)", "a(b)\r\nmore()\r\n", 1, 100, Fraction(1)),
    "tabs": ("f(a,\tb)", "f(a, b)", 1, 86, Fraction(6, 7)),  # 12/14
    "a form feed": ("a(b)", "\x0c\na\x0c(b)", 1, 89, Fraction(4, 5)),  # 8/9
    "a lone surrogate": ("a(b)", "a(\ud800)", 0, 75, Fraction(3, 4)),
    "comments count": ("a(b)", "a(b)  # b", 0, 62, Fraction(4, 9)),  # 8/13
    "a half is rounded to even": ("abcdefgh", "a1234567", 0, 12, Fraction(1, 8)),  # 2/16 is 12.5
    "lines end at newlines alone": ("a(b)", "a(b)\x0bmore\u2028", 0, 62, Fraction(4, 9)),  # 8/13
    "two lines": ("f(\n  a)", "f(\n\n\n  a)\nb", 1, 100, Fraction(1)),
    "a bracket that never closes": ("f((a", "f((a\n(((", 1, 100, Fraction(1)),
}
# What follows "x = ": target, answer; match, similarity, identifiers in order, F1 of their sets.
PYTHON = {
    "the first statement": ("f(a)", "f(a)\ny = 2\n", 1, 100, 1, Fraction(1)),
    "over two lines": ("f(\n  a)", "f(\n  a)\ny = 2\n", 1, 100, 1, Fraction(1)),
    "all of it, as no line ends": ("f(a)", "f(a); y", 0, 73, 0, Fraction(4, 5)),  # 8/11
    "comments do not count": ("f(a)", "f(a)  # note\n", 1, 100, 1, Fraction(1)),
    "nor what looks like one": ('g("#a")', 'g("#b")\n', 1, 100, 1, Fraction(1)),
    "strings hold no identifiers": ('g("a", b)', 'g("c", b)\n', 0, 89, 1, Fraction(1)),  # 16/18
    "keywords are none": ("not a", "a\n", 0, 33, 1, Fraction(1)),  # 2/6
    "True is one, None is not": ("f(True, None)", "f(False, None)\n", 0, 74, 0, Fraction(1, 2)),  # 20/27
    "the order": ("f(a, b)", "f(b, a)\n", 0, 71, 0, Fraction(1)),  # 10/14
    "how often": ("f(a, a)", "f(a)\n", 0, 73, 0, Fraction(1)),  # 8/11
    "no identifiers": ("1", "2\n", 0, 0, 1, Fraction(0)),
    "nothing": ("f(a)", "", 0, 0, 0, Fraction(0)),
    "blanks count": ("f(a)", "f( a)\n", 0, 89, 1, Fraction(1)),  # 8/9
}
BRACES = {
    "the first semicolon": ("a.b(c);", "a.b(c);\nd();", 1, 100, 1, Fraction(1)),
    "the first brace": ("if (a) {", "if (a) {\n  b();", 1, 100, 1, Fraction(1)),
    "the first closing brace": ("a }", "a }\n}", 1, 100, 1, Fraction(1)),
    "none that it begins with": (";", ";x", 0, 67, 0, Fraction(0)),  # 2/3
    "addresses look like comments": ('u("h://a");', 'u("h://b");', 1, 100, 1, Fraction(1)),
    "no end": ("a.b(c);", "a.b(c)", 0, 92, 1, Fraction(1)),  # 12/13
}


def close(found: dict[str, float], **expected: float) -> None:
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("case", QWEN)
def test_as_qwen_scores(case: str) -> None:
    target, answer, em, es, plain = QWEN[case]
    found = judged("crosscodeeval:python", "qwen", row("x = ", target), answer)
    close(found, em=em, es=es / 100, es_repoeval=float(plain))


@pytest.mark.parametrize("case", PYTHON)
def test_as_upstream_scores_python(case: str) -> None:
    target, answer, em, es, names, f1 = PYTHON[case]
    found = judged("crosscodeeval:python", "cceval", row("x = ", target), answer)
    close(found, em=em, es=es / 100, id_em=names, id_f1=float(f1))


@pytest.mark.parametrize("part", ["java", "ts", "cs"])
@pytest.mark.parametrize("case", BRACES)
def test_as_upstream_scores_languages_with_braces(part: str, case: str) -> None:
    target, answer, em, es, names, f1 = BRACES[case]
    found = judged(f"crosscodeeval:{part}", "cceval", row("", target), answer)
    close(found, em=em, es=es / 100, id_em=names, id_f1=float(f1))


def test_keywords_are_those_of_the_language() -> None:
    def names(part: str, target: str) -> float:
        return judged(f"crosscodeeval:{part}", "cceval", row("", target), "y;")["id_em"]

    assert names("java", "final y;") == names("cs", "string y;") == names("ts", "let y;") == 1
    assert names("java", "string y;") == names("cs", "final y;") == names("ts", "final y;") == 0


# ---------------------------------------------------------------- through the command line


@pytest.fixture
def scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scored:
    return Scored(tmp_path, monkeypatch)


def rows_of(targets: list[str], prompt: str = "x = ") -> list[Row]:
    return [row(prompt, target, f"project/{number}") for number, target in enumerate(targets)]


def test_scores_of_the_command_line(scored: Scored) -> None:
    cases = list(QWEN.values())
    file = scored.samples(FILE.format("python"), rows_of([case[0] for case in cases]), [case[1] for case in cases])
    found = scored.scores("crosscodeeval:python", "qwen", file)["crosscodeeval:python"]
    alike = 10 * 100 + 93 + 67 + 95 + 86 + 89 + 75 + 12 + 75 + 62 + 12 + 62
    plain = float(sum((case[4] for case in cases), Fraction(0))) / 22
    close(found, em=15 / 22, es=alike / 2200, es_repoeval=plain)


def test_scores_of_upstream(scored: Scored) -> None:
    cases = list(BRACES.values())
    file = scored.samples(FILE.format("java"), rows_of([case[0] for case in cases], ""), [case[1] for case in cases])
    found = scored.scores("crosscodeeval:java", "cceval", file)["crosscodeeval:java"]
    close(found, em=4 / 6, es=(4 + 0.67 + 0.92) / 6, id_em=5 / 6, id_f1=5 / 6)


def test_the_mean_of_languages_is_plain(scored: Scored) -> None:
    """Whatever the number of their problems; fim-bench's own overall is weighted by it."""
    files = []
    for part, count in {"python": 4, "java": 1, "ts": 1, "cs": 2}.items():
        right = ["a" if part == "python" else "b"] * count
        files.append(scored.samples(FILE.format(FOLDERS[part]), rows_of(["a"] * count), right))
    found = scored.scores("crosscodeeval", "qwen", *files)
    assert [found[f"crosscodeeval:{part}"]["em"] for part in FOLDERS] == [1, 0, 0, 0]
    assert found["crosscodeeval"]["em"] == 1 / 4


def test_a_missing_file_is_one_line_that_says_where_to_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path))
    command = [sys.executable, "-m", "qwencoder_eval", "score", "--bench", "crosscodeeval:ts", "--samples"]
    ran = subprocess.run([*command, write(tmp_path / "x.jsonl", [])], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert ran.stderr.startswith(
        "qceval: crosscodeeval/typescript/line_completion_oracle_bm25.jsonl: not found; put it "
    )
    assert "QCEVAL_DATA" in ran.stderr


# ---------------------------------------------------------------- rows and prompts


def asked(own: Row, which: str = "qwen") -> Infill | Continue:
    benchmark = load("crosscodeeval:python")
    prompt = profile(benchmark, which).prompt(benchmark.problem(own))
    assert isinstance(prompt, Infill | Continue)
    return prompt


def characters(text: str, tokens: int | None, keep_end: bool) -> str:
    """A token a character."""
    return text if tokens is None else text[-tokens:] if keep_end else text[:tokens]


def test_the_whole_prompt() -> None:
    left, right, found = "l" * 5000 + "L", "r" * 2047 + "R" + "r" * 9, "f" * 2046 + "gg"
    own = row(left, "", right_context=right, crossfile_context={"text": found})
    text = infill_text(named("qwen2.5-coder"), asked(own), characters)  # type: ignore[arg-type]
    expected_left = "l" * 4045 + "L"  # 8192 - 50 - 2048 - 2048
    behind = "r" * 2047 + "R\n\n" + "f" * 2046  # the two newlines are among what is cut
    assert text == f"<|fim_prefix|>{expected_left}<|fim_suffix|>{behind}<|fim_middle|>"
    assert len(expected_left + behind) == 8192 - 50


@given(st.integers(0, 3), st.integers(0, 3))
def test_texts_that_just_fit_are_whole(more_left: int, more_found: int) -> None:
    own = row("l" * (4044 + more_left), "", right_context="", crossfile_context="f" * (2045 + more_found))
    text = infill_text(named("qwen2.5-coder"), asked(own), characters)  # type: ignore[arg-type]
    assert text.count("l") == min(4044 + more_left, 4046) + 1  # one is of the middle token
    assert text.count("\n\n" + "f" * min(2045 + more_found, 2046) + "<|fim_middle|>") == 1


def test_the_whole_right_context_goes_first() -> None:
    own = row("a", "b", right_context="short", full_right_context="whole")
    assert asked(own).suffix == "whole"  # type: ignore[union-attr]
    assert asked({**own, "full_right_context": ""}).suffix == ""  # type: ignore[union-attr]
    assert asked({**own, "full_right_context": None}).suffix == "short"  # type: ignore[union-attr]


@pytest.mark.parametrize("found", ["text", {"text": "text", "list": [{"retrieved_chunk": "t"}]}])
def test_retrieved_text_is_a_text_or_has_one(found: object) -> None:
    assert asked(row("a", "b", crossfile_context=found)).retrieved == "\n\ntext"  # type: ignore[union-attr]


def test_nothing_was_retrieved() -> None:
    assert asked(row("a", "b", crossfile_context="")).retrieved == "\n\n"  # type: ignore[union-attr]


def test_upstream_asks_from_left_to_right() -> None:
    assert asked(row("def f():\n", "x", crossfile_context={"text": "# f"}), "cceval") == Continue(
        "def f():\n", "# f", 12800, 3434
    )


def test_samplings() -> None:
    benchmark = load("crosscodeeval:cs")
    one, two = (profile(benchmark, which).asking.sampling for which in ("qwen", "cceval"))
    assert (one.temperature, one.top_p, one.max_tokens, one.stop) == (0, 1, 50, ())
    assert (two.temperature, two.top_p, two.max_tokens, two.stop) == (0.2, 0.95, 50, ())


@pytest.mark.parametrize("field", ["right_context", "crossfile_context", "groundtruth", "metadata"])
def test_a_row_without_a_field_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path))
    own = {key: value for key, value in row("a", "b").items() if key != field}
    write(tmp_path / FILE.format("java"), [own])
    with pytest.raises(DatasetError, match=f"KeyError: '{field}'; the rows are not what this benchmark expects$"):
        profile(load("crosscodeeval:java"), None).problems()


def test_lone_surrogates_and_other_text_come_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path))
    odd = "\ud800\r\n\t\x0c\u2028é"
    write(tmp_path / FILE.format("python"), [row(odd, odd, right_context=odd, crossfile_context=odd)])
    chosen = profile(load("crosscodeeval:python"), None)
    (problem,) = chosen.problems()
    assert (problem.stub, problem.tests["target"]) == (odd, odd)
    assert judged("crosscodeeval:python", "qwen", json.loads(json.dumps(row(odd, odd))), odd)["em"] == 1


# ---------------------------------------------------------------- published tables


@pytest.mark.parametrize("bench", ["crosscodeeval", "crosscodelongeval", "repoeval"])
def test_published_columns_are_scores_of_these_benchmarks(bench: str) -> None:
    registry = discover()
    cells = [target for target in targets("qwen2.5-coder-7b-base") if target.cell.benchmark.startswith(f"{bench}:")]
    means = [target for target in cells if target.of]
    assert len(means) == 2  # of both metrics
    assert not any(target.by_problems for target in means)
    parts = registry.entries[bench].parts
    assert len(cells) == 2 * (len(parts) + 1)
    assert {target.bench for target in cells if not target.of} == {f"{bench}:{part}" for part in parts}
    for target in cells:
        if not target.of:
            benchmark = registry.load(target.bench)
            assert target.check == target.bench
            assert profile_of(target.bench, "base", list(benchmark.profiles)) == "qwen"
            scorer = profile(benchmark, "qwen").scoring.scorer
            assert target.cell.metric in (scorer.passing, *scorer.measured)  # type: ignore[attr-defined]
            assert target.cell.benchmark == f"{target.bench}:{target.cell.metric}"


def test_golden_vectors_of_all_parts_and_profiles() -> None:
    assert failing_golden("crosscodeeval") == {}
