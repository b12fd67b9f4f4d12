"""CRUXEval: 800 short functions. What does the call return, and which call returns it? (arXiv 2401.03065)"""

import tomllib
from functools import partial
from pathlib import Path

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.answers import AssertedAnswer
from qwencoder_eval.scoring.answers import AnswerScorer
from qwencoder_eval.types import Continue, Problem, Sampling

ROWS = Rows(
    file="cruxeval/cruxeval.jsonl", count=800, hub="cruxeval-org/cruxeval",
    sha256="5060035a01e2b22b369c2d5c8679f4c85aa3f2602bab0b70f531c615169641af",
)  # fmt: skip
STOP = ("[/ANSWER]",)
# Ten samples, at temperature 0.2 for pass@1 and at 0.8 for pass@5 (upstream's README); 2,048 tokens to think.
UPSTREAM = Sampling(n=10, temperature=0.2, top_p=0.95, max_tokens=1024, stop=STOP)
THINKING = Sampling(n=10, temperature=0.2, top_p=0.95, max_tokens=2048, stop=STOP)
GREEDY = Sampling(max_tokens=1024, stop=STOP)  # Qwen's evaluation of its models
SINCE_3_9 = ("removeprefix", "removesuffix")  # Qwen's evaluation ran Python 3.8: functions with these fail there
ROW = {"id": "sample_golden", "code": "def f(x):\n    return [x, x]", "input": "'a'", "output": "['a', 'a']"}


WORDS = tomllib.loads((Path(__file__).parent / "cruxeval.toml").read_text())


def prompt(name, kind, given, problem):
    text = WORDS[name][kind]
    return Continue(text.replace("@GIVEN@", problem.fields[given]).replace("@CODE@", problem.fields["code"]))


def askings(name, given):
    return {
        "direct": Asking(ROWS, partial(prompt, name, "direct", given), UPSTREAM),
        "cot": Asking(ROWS, partial(prompt, name, "cot", given), THINKING),
        "cot-greedy": Asking(ROWS, partial(prompt, name, "cot", given), GREEDY),
    }


def scorings(name, asked):
    """An answer that upstream refuses is wrong; the last one leaves it out where another sample passes, as upstream."""
    return {
        "values": Scoring(AssertedAnswer(asked, thought=False), AnswerScorer(name), ks=(1, 5)),
        "thought-values": Scoring(AssertedAnswer(asked, thought=True), AnswerScorer(name), ks=(1, 5)),
        "python-3.8": Scoring(AssertedAnswer(asked, thought=True), AnswerScorer(name, missing=SINCE_3_9), ks=(1, 5)),
        "refused-left-out": Scoring(AssertedAnswer(asked, thought=False), AnswerScorer(name, skips=True), ks=(1, 5)),
    }


class CruxEvalInput(Benchmark):
    name = "cruxeval-i"
    version = "1"
    reference = "https://github.com/facebookresearch/cruxeval/blob/190faf1/evaluation/utils_general.py"
    asking = askings("cruxeval-i", "output")
    scoring = scorings("cruxeval-i", "input")
    profiles = {
        "cruxeval": ("direct", "values"),
        "cruxeval-cot": ("cot", "thought-values"),
        "qwen": ("cot-greedy", "python-3.8"),
        "cruxeval-refused-left-out": ("direct", "refused-left-out"),
    }
    decontaminate = ("code", "input", "output")
    golden = (
        Golden(ROW, "assert f('a') == ['a', 'a']", {"cruxeval-i": "passed"}),
        Golden(ROW, "f('b')", {"cruxeval-i": "wrong"}),
        Golden(ROW, "['a', 'a']", {"cruxeval-i": "no_code"}),
        Golden(ROW, "f('b') or True", {"cruxeval-i": "wrong"}),
        Golden(ROW, "So it is 'a'. [ANSWER]\nassert f('a') == ['a', 'a']\n", {"cruxeval-i": "passed"}, profile="qwen"),
    )

    def problem(self, row):
        tests = {"code": row["code"], "value": row["output"], "required": "f("}
        return Problem(row["id"], row, tests, reference=f"f({row['input']})")


class CruxEvalOutput(Benchmark):
    name = "cruxeval-o"
    version = "1"
    reference = "https://github.com/facebookresearch/cruxeval/blob/190faf1/evaluation/utils_general.py"
    asking = askings("cruxeval-o", "input")
    scoring = scorings("cruxeval-o", "output")
    profiles = {
        "cruxeval": ("direct", "values"),
        "cruxeval-cot": ("cot", "thought-values"),
        "qwen": ("cot-greedy", "python-3.8"),
        "cruxeval-refused-left-out": ("direct", "refused-left-out"),
    }
    decontaminate = ("code", "input", "output")
    golden = (
        Golden(ROW, "assert f('a') == ['a', 'a']", {"cruxeval-o": "passed"}),
        Golden(ROW, "['a'] * 2", {"cruxeval-o": "passed"}),
        Golden(ROW, "['a', 'b']", {"cruxeval-o": "wrong"}),
        Golden(ROW, "1 or True", {"cruxeval-o": "wrong"}),
        Golden(ROW, "f('a')", {"cruxeval-o": "no_code"}),
        Golden(ROW, "['a',", {"cruxeval-o": "compile_error"}),
        Golden(ROW, "Both are x. [ANSWER] f('a') == ['a', 'a']\n", {"cruxeval-o": "passed"}, profile="qwen"),
    )

    def problem(self, row):
        tests = {"code": row["code"], "value": row["output"], "refused": f"f({row['input']})"}
        return Problem(row["id"], row, tests, reference=row["output"])
