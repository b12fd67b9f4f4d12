"""CrossCodeLongEval: chunks and functions by Qwen's rules, on rows of our own whose scores were computed by hand."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from completing import Row, Scored, failing_golden, judged, load, row

from qwencoder_eval.benchmark import profile
from qwencoder_eval.reports.parts import mean_of_parts
from qwencoder_eval.types import Infill

FILE = "crosscodelongeval/python_{}_completion_sparse_oracle.jsonl"
TWO = "    y = 1\n\n    return y\n"  # two lines that are not blank
# Target, answer; whether they match, similarity in whole per cent, similarity of Levenshtein.
CHUNKS = {
    "the same": (TWO, TWO, 1, 97, Fraction(18, 19)),  # 36/37: the answer alone loses its blank line
    "more lines": (TWO, TWO + "\nprint(y)\n", 1, 97, Fraction(18, 19)),
    "fewer lines": (TWO, "    y = 1\n", 0, 42, Fraction(5, 19)),  # 10/24
    "nothing": (TWO, "", 0, 0, Fraction(0)),
    "nothing was expected": ("\n", "x = 1\n", 1, 100, Fraction(0)),
    "the pad ends it": ("a\nb\n", "a\nb<|fim_pad|>c", 1, 100, Fraction(1)),
    "another file ends it": ("a\nb\n", "a\n<|file_sep|>b\n", 0, 50, Fraction(1, 3)),  # 2/4
    "indentation does not count": ("if a:\n    b\n", "if a:\n  b\n", 1, 90, Fraction(9, 11)),  # 18/20
    "tabs and carriage returns": ("if a:\n    b\n", "if a:\r\n\tb\r\n", 1, 70, Fraction(6, 11)),  # 14/20
    "a bracket that never closes": ("f(\na\n", "f(\na\n((((\n", 1, 100, Fraction(1)),
}
# The prompt, 'def f(a):\n    """D."""\n', has a part of the body: 8 characters of 21, with '\n    ' behind them.
START = 'def f(a):\n    """D."""\n'
RIGHT = "    return a\n"
FUNCTIONS: dict[str, tuple[str, str, str, int, int, Fraction]] = {
    "the same": (START, RIGHT, RIGHT, 1, 100, Fraction(1)),
    "the beginning of another function": (START, RIGHT, f"{RIGHT}\n\ndef g(", 1, 100, Fraction(1)),
    "another function": (START, RIGHT, f"{RIGHT}\n\ndef g(x):\n    return 5\n", 1, 100, Fraction(1)),
    "code behind it": (START, RIGHT, f"{RIGHT}\nprint(f(1))\n", 1, 100, Fraction(1)),
    "another name": (START, RIGHT, "    return b\n", 0, 95, Fraction(20, 21)),  # 40/42
    "nothing": (START, RIGHT, "", 0, 55, Fraction(8, 21)),  # 16/29: what the prompt has of the body counts
    "the pad ends it": (START, RIGHT, f"{RIGHT}<|fim_pad|>    more()\n", 1, 100, Fraction(1)),
    "another file ends it": (START, RIGHT, f"{RIGHT}<|file_sep|>b.py\n    more()\n", 1, 100, Fraction(1)),
    "a line too much": (START, RIGHT, f"{RIGHT}    a\n", 0, 88, Fraction(21, 27)),  # 42/48
    "another indentation": (START, RIGHT, "  return a\n", 0, 55, Fraction(8, 21)),  # as if there were nothing
    "a bracket that never closes": (START, RIGHT, "    return [a\n", 0, 95, Fraction(19, 21)),  # 38/40: "return"
    "blanks behind it": (START, RIGHT, "    return a  \n\n\n", 1, 100, Fraction(1)),
    "blanks in it": (START, RIGHT, "    return  a\n", 1, 98, Fraction(21, 22)),  # 42/43
    "a comment": (START, RIGHT, "    return a  # b\n", 0, 89, Fraction(21, 26)),  # 42/47
    "carriage returns": (START, RIGHT, "    return a\r\n", 1, 100, Fraction(1)),
    "a form feed": (START, RIGHT, "\x0c    return a\n", 1, 98, Fraction(21, 22)),
    "a lone surrogate": (START, RIGHT, "    return a\n    \ud800\n", 1, 100, Fraction(1)),
    "a method": (
        "class A:\n    def f(self):\n", "\tb\n", "        b\n    def g(self):\n        c\n", 1, 100, Fraction(1),
    ),
    "tabs": ("def f():\n", "\treturn a\n", "    return a\n", 1, 100, Fraction(1)),
    "a function in it": (
        "def f():\n", "    def g():\n        pass\n    return g\n", "    def g():\n        pass\n    return g\n",
        1, 100, Fraction(1),
    ),
    "the inner one is open": (
        "def f():\n    def g():\n", "        return 1\n", "        return 1\n    return g\n", 1, 100, Fraction(1),
    ),
    "no function in the prompt": (
        "x = 1\n", "def f():\n    return 1\n", "def f():\n    return 1\nx\n", 1, 100, Fraction(1),
    ),
    "no function at all": ("x = 1\n", "y = 1\n", "y = 1\nz\n", 0, 83, Fraction(5, 7)),  # 10/12
    "the prompt does not parse": (")))\ndef f():\n", RIGHT, f"{RIGHT}  )", 0, 80, Fraction(8, 12)),  # 16/20
    "nothing was expected": (START, "", "", 1, 100, Fraction(1)),
}  # fmt: skip


def close(found: dict[str, float], **expected: float) -> None:
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("case", CHUNKS)
def test_chunks(case: str) -> None:
    target, answer, em, es, plain = CHUNKS[case]
    found = judged("crosscodelongeval:chunk", "qwen", row("def f():\n", target), answer)
    close(found, em=em, es=es / 100, es_repoeval=float(plain))


@pytest.mark.parametrize("case", FUNCTIONS)
def test_functions(case: str) -> None:
    prompt, target, answer, em, es, plain = FUNCTIONS[case]
    found = judged("crosscodelongeval:function", "qwen", row(prompt, target), answer)
    close(found, em=em, es=es / 100, es_repoeval=float(plain))


@pytest.mark.parametrize(
    ("part", "which", "generated", "left"),
    [
        ("chunk", "qwen", 50, 4046),
        ("function", "qwen", 50, 3840),  # 256 are left out of the left context, 50 are generated
        ("chunk", "qwen-as-reported", 50, 4046),
        ("function", "qwen-as-reported", 256, 3840),
    ],
)
def test_lengths(part: str, which: str, generated: int, left: int) -> None:
    benchmark = load(f"crosscodelongeval:{part}")
    chosen = profile(benchmark, which)
    prompt = chosen.prompt(benchmark.problem(row("a", "b")))
    assert isinstance(prompt, Infill)
    assert (prompt.prefix_tokens, prompt.suffix_tokens, prompt.retrieved_tokens) == (left, 2048, 2048)
    assert (prompt.prefix, prompt.suffix, prompt.retrieved) == ("a", "\nend()\n", "\n\n# other.py\n# x = 1\n")
    sampling = chosen.asking.sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.stop) == (generated, 0, 1, ())


def rows_of(cases: list[tuple[str, str]]) -> list[Row]:
    return [row(prompt, target, f"project/{number}") for number, (prompt, target) in enumerate(cases)]


def test_scores_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of both tasks, each by its own rule; their mean is plain, whatever the number of their problems."""
    scored = Scored(tmp_path, monkeypatch)
    lines = [case[:2] for case in CHUNKS.values()]
    chunks = scored.samples(
        FILE.format("chunk"), rows_of([("def f():\n", target) for target, _ in lines]), [answer for _, answer in lines]
    )
    cases = list(FUNCTIONS.values())
    functions = scored.samples(
        FILE.format("function"), rows_of([case[:2] for case in cases]), [case[2] for case in cases]
    )
    found = scored.scores("crosscodelongeval", "qwen", chunks, functions)
    one, two, both = (
        found[name] for name in ("crosscodelongeval:chunk", "crosscodelongeval:function", "crosscodelongeval")
    )
    plain = 2 * Fraction(18, 19) + Fraction(5, 19) + 1 + Fraction(1, 3) + Fraction(9 + 6, 11) + 1
    close(one, em=7 / 10, es=(2 * 97 + 42 + 3 * 100 + 50 + 90 + 70) / 1000, es_repoeval=float(plain) / 10)
    plain = sum((case[5] for case in cases), Fraction(0))
    alike = 15 * 100 + 95 + 55 + 88 + 55 + 95 + 98 + 89 + 98 + 83 + 80
    close(two, em=17 / 25, es=alike / 2500, es_repoeval=float(plain) / 25)
    close(
        both,
        em=(7 / 10 + 17 / 25) / 2,
        es=(one["es"] + two["es"]) / 2,
        es_repoeval=(one["es_repoeval"] + two["es_repoeval"]) / 2,
    )


def test_the_mean_of_tasks_is_plain() -> None:
    benchmark = load("crosscodelongeval:chunk")

    def report(part: str, value: float, problems: int) -> dict[str, object]:
        counted = {"value": value, "low": value, "high": value, "problems": problems, "samples": problems}
        kept = {"model": "m", "profile": "qwen", "dataset": {"version": "1"}, "sandbox": None, "n": 1}
        name = f"crosscodelongeval:{part}"
        return {**kept, "benchmark": name, "problems": problems, "samples": problems, "scores": {name: {"em": counted}}}

    mean = mean_of_parts([report("chunk", 0.2, 100), report("function", 0.8, 2)], benchmark.apart, benchmark.weighted)
    assert mean is not None
    assert mean["scores"]["crosscodelongeval"]["em"]["value"] == pytest.approx(0.5)


def test_references_are_exact_matches() -> None:
    for prompt, target, *_ in FUNCTIONS.values():
        assert judged("crosscodelongeval:function", "qwen", row(prompt, target), target)["em"] == 1


def test_golden_vectors_of_all_parts_and_profiles() -> None:
    assert failing_golden("crosscodelongeval") == {}
