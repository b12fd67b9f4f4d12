"""BigCodeBench: 1,140 tasks that call 139 libraries, with unit tests; 148 of them are hard (arXiv 2406.15877)."""

from functools import partial

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.bigcodebench import Sanitized
from qwencoder_eval.scoring.suites import SuiteScorer
from qwencoder_eval.types import Chat, Continue, Message, Problem, Sampling

FULL = Rows(
    version="v0.1.0", file="bigcodebench/BigCodeBench.hf_data.jsonl.gz", count=1140, hub="bigcode/bigcodebench",
    split="v0.1.0_hf", sha256="5297f640e0e6d16e101037abad9b4138ec85d2f58baafd579d746b03619549d2",
)  # fmt: skip
HARD = Rows(
    version="v0.1.0", file="bigcodebench/bigcodebench_hard.jsonl", count=148, hub="bigcode/bigcodebench-hard",
    split="v0.1.0_hf", sha256="db0ce777d0fa6846b1a29c907700a0e447028812f0d5f0ff692bffc8e3d7efa9",
)  # fmt: skip
END = ("<|endoftext|>", "<|endofmask|>", "</s>", "\nif __name__", "\ndef main(", "\nprint(")
CONTINUED = Sampling(max_tokens=1280, stop=(*END, "\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert "))
ANSWERED = Sampling(max_tokens=1280, stop=(*END, "\n```\n"))
ASK = "Please provide a self-contained Python script that solves the following problem in a markdown code block:"
OPEN = "Below is a Python script with a self-contained function that solves the problem and passes corresponding tests:"
TESTS = """import unittest
class TestCases(unittest.TestCase):
    def test_case_1(self):
        self.assertEqual(task_func([3, 4]), 5.0)
    def test_case_2(self):
        self.assertIsInstance(task_func([0]), float)
"""
ROW = {
    "task_id": "BigCodeBench/golden", "entry_point": "task_func", "test": TESTS, "libs": "['numpy']",
    "code_prompt": "import numpy as np\ndef task_func(numbers):\n", "canonical_solution": "    return 0\n",
    "complete_prompt": 'import numpy as np\n\ndef task_func(numbers):\n    """The length of a vector."""\n',
    "instruct_prompt": "The length of a vector.\n```\nimport numpy as np\ndef task_func(numbers):\n```",
}  # fmt: skip


# References that fail in the sandbox, which has neither a network nor NLTK's corpora.
FAIL = {
    "it fetches from the network": (101, 176, 314, 590, 1005, 1006, 1012),
    "it needs NLTK's stopwords": (290, 332, 376, 633, 635, 655, 658, 806, 808, 849),
    "it needs NLTK's punkt": (177, 334, 383, 940, 1109),
    "it needs NLTK's words": (726,),
    "it needs NLTK's averaged_perceptron_tagger": (734,),
}
KNOWN_FAILURES = {why: tuple(f"BigCodeBench/{number}" for number in numbers) for why, numbers in FAIL.items()}


def asked(split, fenced, problem):
    prompt = problem.fields[f"{split}_prompt"].strip()
    text = f"{ASK}\n```\n{prompt}\n```\n" if fenced else f"{ASK}\n{prompt}\n"
    return Chat((Message("user", text), Message("assistant", f"{OPEN}\n```python\n")))


def continued(problem):
    return Continue(problem.fields["complete_prompt"])


def askings(split, rows):
    """Qwen's copy fences instructions too, which have a fence of their own at their end."""
    return {
        "chat": Asking(rows, partial(asked, split, split == "complete"), ANSWERED),
        "qwen-chat": Asking(rows, partial(asked, split, True), ANSWERED),
        "base": Asking(rows, continued, CONTINUED),
    }


def scorings(check):
    return {
        "calibrated": Scoring(Sanitized(), SuiteScorer(check)),
        "uncalibrated": Scoring(Sanitized(calibrate=False), SuiteScorer(check, calibrated=False)),
        "qwen": Scoring(Sanitized(empty="nothing"), SuiteScorer(check)),
    }


def vectors(check):
    right = "    return float(np.linalg.norm(numbers))\n"
    whole = f"def task_func(numbers):\n{right}"
    early = "import os\ndef task_func(numbers):\n    os._exit(0)\n"
    return (
        Golden(ROW, f"```python\n{whole}```", {check: "passed"}),
        Golden(ROW, f"```python\n{whole}```", {check: "runtime_error"}, profile="bigcodebench-uncalibrated"),
        Golden(ROW, f"```python\n{right}```", {check: "passed"}),
        Golden(ROW, f"```python\n{whole.replace('float', 'int')}```", {check: "wrong"}),
        Golden(ROW, f"```python\n{early}```", {check: "wrong"}),
        Golden(ROW, "I do not know.", {check: "compile_error"}),
        Golden(ROW, "I do not know.", {check: "no_code"}, profile="qwen-instruct"),
    )


def problem_of(row):
    fields = {key: row[key] for key in ("complete_prompt", "instruct_prompt", "entry_point")}
    tests = {"before": row["code_prompt"] + "\n    pass\n", "tests": row["test"]}
    return Problem(
        row["task_id"], fields, tests, stub=row["complete_prompt"], reference=row["canonical_solution"],
        language="python-bigcodebench",
    )  # fmt: skip


class CompleteFull(Benchmark):
    name = "bigcodebench-complete-full"
    version = "1"
    languages = ("python-bigcodebench",)
    reference = "https://github.com/bigcode-project/bigcodebench/blob/47eff25/bigcodebench/eval/__init__.py"
    asking = askings("complete", FULL)
    scoring = scorings("bigcodebench-complete-full")
    profiles = {
        "bigcodebench": ("chat", "calibrated"),
        "bigcodebench-uncalibrated": ("chat", "uncalibrated"),
        "bigcodebench-base": ("base", "calibrated"),
        "qwen": ("base", "qwen"),
        "qwen-instruct": ("qwen-chat", "qwen"),
    }
    decontaminate = ("complete_prompt", "canonical_solution", "test")
    golden = vectors("bigcodebench-complete-full")
    known_failures = KNOWN_FAILURES

    def problem(self, row):
        return problem_of(row)


class CompleteHard(Benchmark):
    name = "bigcodebench-complete-hard"
    version = "1"
    languages = ("python-bigcodebench",)
    reference = "https://github.com/bigcode-project/bigcodebench/blob/47eff25/bigcodebench/eval/__init__.py"
    asking = askings("complete", HARD)
    scoring = scorings("bigcodebench-complete-hard")
    profiles = {
        "bigcodebench": ("chat", "calibrated"),
        "bigcodebench-uncalibrated": ("chat", "uncalibrated"),
        "bigcodebench-base": ("base", "calibrated"),
        "qwen": ("base", "qwen"),
        "qwen-instruct": ("qwen-chat", "qwen"),
    }
    decontaminate = ("complete_prompt", "canonical_solution", "test")
    golden = vectors("bigcodebench-complete-hard")
    known_failures = KNOWN_FAILURES

    def problem(self, row):
        return problem_of(row)


class InstructFull(Benchmark):
    name = "bigcodebench-instruct-full"
    version = "1"
    languages = ("python-bigcodebench",)
    reference = "https://github.com/bigcode-project/bigcodebench/blob/47eff25/bigcodebench/eval/__init__.py"
    asking = askings("instruct", FULL)
    scoring = scorings("bigcodebench-instruct-full")
    profiles = {
        "bigcodebench": ("chat", "calibrated"),
        "bigcodebench-uncalibrated": ("chat", "uncalibrated"),
        "qwen-instruct": ("qwen-chat", "qwen"),
    }
    decontaminate = ("instruct_prompt", "canonical_solution", "test")
    golden = vectors("bigcodebench-instruct-full")
    known_failures = KNOWN_FAILURES

    def problem(self, row):
        return problem_of(row)


class InstructHard(Benchmark):
    name = "bigcodebench-instruct-hard"
    version = "1"
    languages = ("python-bigcodebench",)
    reference = "https://github.com/bigcode-project/bigcodebench/blob/47eff25/bigcodebench/eval/__init__.py"
    asking = askings("instruct", HARD)
    scoring = scorings("bigcodebench-instruct-hard")
    profiles = {
        "bigcodebench": ("chat", "calibrated"),
        "bigcodebench-uncalibrated": ("chat", "uncalibrated"),
        "qwen-instruct": ("qwen-chat", "qwen"),
    }
    decontaminate = ("instruct_prompt", "canonical_solution", "test")
    golden = vectors("bigcodebench-instruct-hard")
    known_failures = KNOWN_FAILURES

    def problem(self, row):
        return problem_of(row)
