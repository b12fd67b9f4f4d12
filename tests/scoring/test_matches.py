"""Scores of texts that are compared: of every rule what is a match, what is measured, and that no answer raises."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.benchmark import Scoring
from qwencoder_eval.extraction.infilling import first_line
from qwencoder_eval.sandboxes.none import UnneededBackend
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.base import EVIDENCE_CHARS, Judgement, needs_sandbox
from qwencoder_eval.scoring.matches import RULES, MatchScorer
from qwencoder_eval.scoring.references import References
from qwencoder_eval.stream.evaluate import Judge
from qwencoder_eval.stream.tally import Tally
from qwencoder_eval.types import Completion, Outcome, Problem, Sample, Verdict

TEXTS = sorted(RULES.keys() - {"qwen-function"})  # which parses what it compares: see test_repository_level.py
LANGUAGES = ("python", "java", "csharp", "typescript")
POOL = Pool(UnneededBackend(), 1)  # never started: nothing is run
TEXT = st.text(st.characters(codec=None) | st.sampled_from("aB_1.\"'\\#/ \t\r\n\f\0\ud800"), max_size=60)


def problem(target: str, language: str = "python") -> Problem:
    return Problem("p", {}, {"target": target}, language=language)


def score(rule: str, answer: str, target: str, language: str = "python") -> Judgement:
    return MatchScorer("check", rule).score(problem(target, language), answer, None, POOL)


def judged(rule: str, answer: str, target: str, language: str = "python") -> tuple[bool, dict[str, float]]:
    found = score(rule, answer, target, language)
    return found.checks["check"] is Outcome.PASSED, dict(found.measures)


@pytest.mark.parametrize(
    ("answer", "target", "equal", "es"),
    [
        ("x = 1", "x = 1", True, 1.0),
        ("\t x = 1\r\n", "    x = 1", True, 1.0),
        ("\fx = 1", "x = 1", True, 1.0),
        ("x = 1\ny = 2", "x = 1", False, 0.62),  # 2 * 5 / 16
        ("x=1", "x = 1", False, 0.75),
        ("x = 'a'", 'x = "a"', False, 0.71),
        ("X = 1", "x = 1", False, 0.8),
        ("x = 1  # one", "x = 1", False, 0.59),
        ("", "x = 1", False, 0.0),
        ("", "", True, 1.0),
        (" ", "\n", True, 1.0),
    ],
)
def test_line(answer: str, target: str, equal: bool, es: float) -> None:
    assert judged("line", answer, target) == (equal, {"es": es})


@pytest.mark.parametrize(
    ("answer", "target", "equal", "es", "plain"),
    [
        ("f('aB')", 'f("a B")', True, 0.67, 0.625),  # 2 * 5 / 15, and 3 edits of 8
        ("x=1", " x = 1\n", True, 0.75, 0.6),
        ("x = 1", "x = 1", True, 1.0, 1.0),
        ("x = 1 # a", "x = 1", False, 0.71, 1 - 4 / 9),
        ("", "x", False, 0.0, 0.0),
        ("", "", True, 1.0, 0.0),
        (" \n", "\t", True, 1.0, 0.0),
        ("ab", "ba", False, 0.5, 0.0),
    ],
)
def test_qwen(answer: str, target: str, equal: bool, es: float, plain: float) -> None:
    found, measures = judged("qwen", answer, target)
    assert (found, measures["es"]) == (equal, es)
    assert measures["es_repoeval"] == pytest.approx(plain)
    assert set(measures) == {"es", "es_repoeval"}


@pytest.mark.parametrize(
    ("answer", "target", "language", "equal", "es", "id_em", "id_f1"),
    [
        ("return x", "return x", "python", True, 1.0, 1.0, 1.0),
        ("return x  # now", "# so:\n  return x", "python", True, 1.0, 1.0, 1.0),
        ("return x  // now", "return x;", "java", False, 0.94, 1.0, 1.0),  # 2 * 8 / 17
        ("a + b", "b + a", "python", False, 0.6, 0.0, 1.0),  # the block " + " of three; the set is the same
        ("a + b", "a + c", "python", False, 0.8, 0.0, 0.5),
        ("f('x')", "f('y')", "python", False, 0.83, 1.0, 1.0),  # what is in strings counts for nothing
        ("return", "return 1", "python", False, 0.86, 1.0, 0.0),  # no identifiers in either
        ("", "return x", "python", False, 0.0, 0.0, 0.0),
        ("# all", "return x", "python", False, 0.0, 0.0, 0.0),
        ("", "", "python", True, 1.0, 1.0, 0.0),
        ("this.x", "x", "typescript", False, 0.29, 1.0, 1.0),  # a keyword there; 2 * 1 / 7
        ("this.x", "x", "python", False, 0.29, 0.0, 2 / 3),
        ("x = 7 // 2", "x = 7 // 3", "python", True, 1.0, 1.0, 1.0),  # floor division is a comment to it
    ],
)
def test_cceval(
    answer: str, target: str, language: str, equal: bool, es: float, id_em: float, id_f1: float
) -> None:  # fmt: skip
    found, measures = judged("cceval", answer, target, language)
    assert (found, measures["es"], measures["id_em"]) == (equal, es, id_em)
    assert measures["id_f1"] == pytest.approx(id_f1)


@pytest.mark.parametrize(
    ("answer", "target", "equal", "es"),
    [
        ("  x = 1\n\n  y = 2\n  z = 3", "x = 1\ny = 2", True, 1.0),
        ("x = 1", "x = 1\ny = 2", False, 1 - 6 / 11),
        ("y = 1", "x = 1", False, 0.8),
        ("x = 1\fy = 2", "x = 1\ny = 2", True, 1.0),
        ("x = 1\r\ny = 2", "x = 1\ny = 2\n", True, 1.0),
        ("x = 1  # one", "x = 1", False, 1 - 7 / 12),
        ("", "x", False, 0.0),
        ("x", "", True, 0.0),  # no line is asked for
    ],
)
def test_repoeval(answer: str, target: str, equal: bool, es: float) -> None:
    found, measures = judged("repoeval", answer, target)
    assert found is equal
    assert measures == {"es": pytest.approx(es)}


@given(TEXT, TEXT, st.sampled_from(LANGUAGES), st.sampled_from(TEXTS))
def test_any_answer_has_a_verdict_and_all_measures(answer: str, target: str, language: str, rule: str) -> None:
    scorer = MatchScorer("check", rule)
    found = score(rule, answer, target, language)
    assert found.checks["check"] in (Outcome.PASSED, Outcome.WRONG)
    assert tuple(found.measures) == scorer.measured == RULES[rule][1]
    assert all(0.0 <= value <= 1.0 for value in found.measures.values())
    json.dumps([dict(found.measures), dict(found.evidence)])
    assert score(rule, target, target, language).checks["check"] is Outcome.PASSED


@given(st.lists(TEXT, max_size=4), st.sampled_from(LANGUAGES))
def test_comments_and_blank_lines_count_for_nothing_in_cceval(lines: list[str], language: str) -> None:
    target = "\n".join(line.replace("#", "").replace("/", "") for line in lines)
    noted = "# first\n\n" + target.replace("\n", "  // so\n\n# more\n") + "# last"
    assert judged("cceval", noted, target, language)[0]


@given(TEXT, TEXT, st.text(" \t\n\f", max_size=3))
def test_blanks_around_count_for_nothing(answer: str, target: str, blanks: str) -> None:
    for rule in ("line", "qwen"):
        assert judged(rule, blanks + answer + blanks, target) == judged(rule, answer, target)


def test_what_a_failure_says() -> None:
    assert score("line", "x", "x").evidence == {}
    assert score("line", "a", "b").evidence == {"expected": "b", "got": "a", "check": "check"}
    long = score("qwen", "a" * 1_000_000, "b")
    assert len(long.evidence["got"]) == EVIDENCE_CHARS


def test_keys_and_protocol() -> None:
    scorers: list[Any] = [MatchScorer("check", rule) for rule in RULES]
    assert len({json.dumps(scorer.key(), sort_keys=True) for scorer in scorers}) == len(RULES)
    for scorer in scorers:
        assert not needs_sandbox(scorer)
        assert scorer.checks == ("check",)
        assert scorer.passing == "em"
        assert list(scorer.reference_programs(problem("x"))) == []
        assert scorer.learn(problem("x"), []) is None
    with pytest.raises(KeyError):
        MatchScorer("check", "none")


def judge(answer: Completion, extract: Callable[..., Any] = first_line) -> Judgement:
    scorer: Any = MatchScorer("check", "line")
    references = References(scorer, UnneededBackend())
    references.prepare([problem("x = 1")], 1, lambda done, total: None)
    found = Judge(Scoring(extract, scorer), references, POOL, None, {})
    return found.judge(problem("x = 1"), Sample("p", 0, answer))


def test_an_empty_answer_is_wrong_and_not_no_code() -> None:
    assert judge(Completion("")).checks == {"check": Outcome.WRONG}
    assert judge(Completion("\n\n")).checks == {"check": Outcome.WRONG}
    assert judge(Completion("\nx = 1")).checks == {"check": Outcome.PASSED}


def test_no_answer_at_all_has_a_verdict_too() -> None:
    """And counts: its measures are 0, and the mean is over all."""
    nothing = judge(Completion("x"), extract=lambda problem, completion: None)
    long = judge(Completion("", finish_reason="prompt_too_long", prompt_tokens=9000))
    assert nothing.checks == {"check": Outcome.NO_CODE}
    assert long.checks == {"check": Outcome.PROMPT_TOO_LONG}
    problems = [Problem(str(at), {}, {}) for at in range(4)]
    tally = Tally(("check",), problems, "em", ("es",))
    found = [nothing, long, judge(Completion("x = 1")), judge(Completion("x = 2"))]
    for at, each in enumerate(found):
        tally.add(Verdict(str(at), 0, each.checks, each.measures))
    scores = tally.scores([1])["check"]
    assert (scores["em"].value, scores["em"].problems) == (0.25, 4)
    assert scores["es"].value == pytest.approx((1 + 0.8) / 4)
    assert scores["es"].problems == 4


@pytest.mark.parametrize("rule", TEXTS)
def test_a_long_answer(rule: str) -> None:
    found, measures = judged(rule, '"' + '\\"' * 50_000 + "\n#" * 50_000, "return x", "java")
    assert not found
    assert all(value < 0.2 for value in measures.values())
