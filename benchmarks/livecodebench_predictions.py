"""LiveCodeBench's two questions about programs: what a test must give, and what a call returns (arXiv 2403.07974)."""

import ast
import json
import tomllib
from functools import partial
from pathlib import Path

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.contest import ExecutedValue, predicted_value
from qwencoder_eval.scoring.answers import AnswerScorer
from qwencoder_eval.types import Chat, Message, Problem, Sampling

WORDS = tomllib.loads((Path(__file__).parent / "livecodebench_predictions.toml").read_text())
TEN = Sampling(n=10, temperature=0.2, top_p=0.95, max_tokens=2000, stop=("###",))
# What programs find imported, but for numpy and pandas.
IMPORTS = """from itertools import *
from copy import deepcopy
from string import ascii_lowercase
from math import *
from collections import *
from bisect import *
from heapq import *
from functools import *
from random import randrange, shuffle
from operator import *
from re import search as re_search
from os.path import commonprefix
from typing import *
import copy, string, math, collections, bisect, heapq, functools, random, itertools, operator, re, sys
"""


def asked_for_output(problem):
    fields = problem.fields
    tree = ast.parse(fields["starter_code"] + "pass")
    name = next(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    given = ", ".join(fields["input"].split("\n"))
    text = f"Problem:\n{fields['question_content']}Function:\n```\n{fields['starter_code']}\n```\n"
    text += f"Please complete the following test case:\n\n```\nassert {name}({given}) == # TODO\n```\n"
    return Chat((Message("system", WORDS["system"]["test-output"]), Message("user", text)))


def asked_for_value(kind, problem):
    text = WORDS["execution"][kind].replace("@INPUT@", problem.fields["input"])
    text = text.replace("@CODE@", problem.fields["code"])
    return Chat((Message("system", WORDS["system"]["execution"]), Message("user", text)))


class LiveCodeBenchTestOutput(Benchmark):
    name = "livecodebench-test-output"
    version = "1"
    reference = "https://github.com/LiveCodeBench/LiveCodeBench/tree/28fef95/lcb_runner/evaluation"
    asking = {
        "chat": Asking(
            Rows(file="livecodebench/test_generation.jsonl", hub="livecodebench/test_generation", unseen=True),
            asked_for_output, TEN,
        ),
    }  # fmt: skip
    scoring = {"values": Scoring(predicted_value, AnswerScorer("livecodebench-test-output"), ks=(1, 5))}
    profiles = {"livecodebench": ("chat", "values")}
    decontaminate = ("question_content",)
    golden = tuple(
        Golden(
            {
                "question_id": "golden", "test_id": 0, "question_content": "Twice.\n", "difficulty": "easy",
                "starter_code": "class Solution:\n    def twice(self, x: List[int]) -> List[int]:\n        ",
                "function_name": "twice", "contest_date": "2023-08-21T00:00:00",
                "test": '[{"input": "[1]", "output": "[2]", "testtype": "functional"}]',
            },
            output, {"livecodebench-test-output": outcome},
        )
        for output, outcome in (
            ("```python\nassert twice([1]) == [2]\n```", "passed"), ("So:\nassert twice([1]) == [2] # yes", "passed"),
            ("```\n[1 + 1]\n```", "passed"), ("```python\n# assert 1 == [2]\nassert twice([1]) == 2\n```", "wrong"),
            ("assert twice([1])", "no_code"), ("[2]", "no_code"),
        )
    )  # fmt: skip

    def problem(self, row):
        (test, *_) = json.loads(row["test"])
        fields = {key: row[key] for key in ("question_content", "starter_code")} | {"input": test["input"]}
        tests = {"code": "", "value": repr(json.loads(test["output"]))}
        groups = {"difficulty": row["difficulty"], "month": row["contest_date"][:7]}
        return Problem(f"{row['question_id']}_{row['test_id']}", fields, tests, groups=groups)


ROWS = Rows(file="livecodebench/execution-v2.jsonl", hub="livecodebench/execution-v2", unseen=True)
CALL = {
    "id": "sample_golden", "code": "def twice(x):\n    return x + x", "input": "twice(x = 'ab')", "output": "'abab'",
    "question_id": "golden", "difficulty": "easy", "contest_date": "2023-08-21T00:00:00",
}  # fmt: skip


class LiveCodeBenchExecution(Benchmark):
    name = "livecodebench-execution"
    version = "1"
    reference = "https://github.com/LiveCodeBench/LiveCodeBench/tree/28fef95/lcb_runner/evaluation"
    asking = {
        "direct": Asking(ROWS, partial(asked_for_value, "direct"), TEN),
        "thought": Asking(ROWS, partial(asked_for_value, "thought"), TEN),
    }
    scoring = {
        "values": Scoring(ExecutedValue(thought=False), AnswerScorer("livecodebench-execution"), ks=(1, 5)),
        "thought-values": Scoring(ExecutedValue(thought=True), AnswerScorer("livecodebench-execution"), ks=(1, 5)),
        "refused-left-out": Scoring(
            ExecutedValue(thought=False), AnswerScorer("livecodebench-execution", skips=True), ks=(1, 5)
        ),
    }
    profiles = {
        "livecodebench": ("direct", "values"),
        "livecodebench-cot": ("thought", "thought-values"),
        "livecodebench-refused-left-out": ("direct", "refused-left-out"),
    }
    decontaminate = ("code", "input", "output")
    golden = (
        Golden(CALL, "assert twice(x = 'ab') == 'abab'\n[/ANSWER]", {"livecodebench-execution": "passed"}),
        Golden(CALL, "'ab' * 2\nas it is said twice", {"livecodebench-execution": "passed"}),
        Golden(CALL, "'ab'", {"livecodebench-execution": "wrong"}),
        Golden(CALL, "twice(x = 'ab')", {"livecodebench-execution": "no_code"}),
        Golden(CALL, "Let's see.\n[ANSWER]\nassert twice(x = 'ab') == 'abab'\n[/ANSWER]",
               {"livecodebench-execution": "passed"}, profile="livecodebench-cot"),
    )  # fmt: skip

    def problem(self, row):
        tests = {"code": IMPORTS + row["code"], "value": row["output"], "refused": row["input"]}
        groups = {"difficulty": row["difficulty"], "month": str(row["contest_date"])[:7]}
        return Problem(row["id"], {key: row[key] for key in ("code", "input")}, tests, groups=groups)
