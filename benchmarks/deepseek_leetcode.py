"""180 problems of LeetCode's contests of July 2023 to January 2024, 100 tests each (arXiv 2401.14196, section 4.1)."""

import re

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.deepseek import answered_program
from qwencoder_eval.scoring.asserts import AssertScorer
from qwencoder_eval.types import Chat, Message, Problem, Sampling

ROWS = Rows(
    file="deepseek_leetcode/20240121-Jul.jsonl.gz", count=180,
    sha256="2d6f1cace1dcbe4e129de1da080d5f3b7f190e7d9a8523340cee550ee1266400",
)  # fmt: skip
OUTLINE = "\nYou need first write a step-by-step outline and then write the code."
IMPORTS = """import math
import re
import sys
import copy
import datetime
import itertools
import collections
import heapq
import functools
import hashlib
import numpy
import numpy as np
import string
from typing import *
from collections import *
from functools import *
"""
TEST = re.compile(r"^test_input = (.*)\nassert (.*)$", re.MULTILINE)
METHOD = re.compile(r"my_solution\.(\w+)\(\*\*test_input\)")
# Looks the tests' own answers up: it shows that the tests hold together, not that they are right.
TABLE = """```python
class ListNode:
    def __init__(self, val=0, next=None):
        self.val, self.next = val, next

def _f1(numbers): return numbers
def plain(value):
    found = []
    while isinstance(value, ListNode):
        found.append(value.val)
        value = value.next
    return found or value

class Solution:
    def @METHOD@(self, **given):
        answer = answers[repr({name: plain(value) for name, value in given.items()})]
        node = None
        for number in reversed(answer if any(isinstance(value, ListNode) for value in given.values()) else ()):
            node = ListNode(number, node)
        return node or answer

answers = {}
@ANSWERS@
```"""


def ask(problem):
    return Chat((Message("user", problem.fields["prompt_sft"]),))


def ask_for_outline(problem):
    return Chat((Message("user", problem.fields["prompt_sft"] + OUTLINE),))


ROW = {
    "task_id": "golden", "meta": {"difficulty": "Easy"}, "prompt_sft": "Twice?\n```python\nclass Solution:\n"
    "    def twice(self, x: int) -> int:\n        \n```", "test": "\nmy_solution = Solution()\n\n"
    'test_input = { "x": 1 }\nassert my_solution.twice(**test_input) == 2\n\n'
    'test_input = { "x": -3 }\nassert my_solution.twice(**test_input) == -6\n',
}  # fmt: skip


class DeepSeekLeetCode(Benchmark):
    name = "deepseek-leetcode"
    version = "1"
    reference = "https://github.com/deepseek-ai/DeepSeek-Coder/blob/2f9fd85/Evaluation/LeetCode/evaluate_leetcode.py"
    asking = {
        "chat": Asking(ROWS, ask, Sampling(max_tokens=1024)),
        "outline": Asking(ROWS, ask_for_outline, Sampling(max_tokens=1024)),
    }
    scoring = {"asserts": Scoring(answered_program, AssertScorer("deepseek-leetcode", cpu_s=10))}
    profiles = {"deepseek": ("chat", "asserts"), "deepseek-cot": ("outline", "asserts")}
    decontaminate = ("prompt", "test")
    golden = (
        Golden(ROW, "        return 2 * x", {"deepseek-leetcode": "compile_error"}),
        Golden(ROW, "\n        return 2 * x", {"deepseek-leetcode": "passed"}),
        Golden(
            ROW, "So:\n```python\nclass Solution:\n    def twice(self, x):\n        return x + x\n```",
            {"deepseek-leetcode": "passed"},
        ),
        Golden(
            ROW, "[PYTHON]\nclass Solution:\n    def twice(self, x: Any):\n        return abs(x) * 2\n[/PYTHON]",
            {"deepseek-leetcode": "wrong"},
        ),
        Golden(
            ROW, "```python\nclass Solution:\n    def twice(self, x):\n        return x + x\n",
            {"deepseek-leetcode": "compile_error"},
        ),
    )  # fmt: skip

    def problem(self, row):
        found = TEST.findall(row["test"])
        stub = re.search(r"```python\n(.*?)\n```", row["prompt_sft"], re.DOTALL)[1]
        answers = "\n".join(f"answers[repr({given})] = {line.rpartition(' == ')[2]}" for given, line in found)
        tests = {
            "before": IMPORTS,
            "setup": TEST.split(row["test"])[0],
            "asserts": [f"assert {line.replace('**test_input', f'**{given}')}" for given, line in found],
        }
        return Problem(
            row["task_id"], {"prompt_sft": row["prompt_sft"]}, tests, stub=stub,
            reference=TABLE.replace("@METHOD@", METHOD.search(row["test"])[1]).replace("@ANSWERS@", answers),
            groups={"difficulty": row["meta"]["difficulty"].lower()},
        )  # fmt: skip
