"""LiveCodeBench: contest problems by the date of the contest, with hidden tests (arXiv 2403.07974)."""

import json
import re
import tomllib
from functools import partial
from pathlib import Path

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.contest import between_first_fences, between_last_fences, stripped
from qwencoder_eval.scoring.contest import ContestScorer
from qwencoder_eval.types import Chat, Continue, Message, Problem, Sampling

WORDS = tomllib.loads((Path(__file__).parent / "livecodebench.toml").read_text())
# Problems of release v1, v2, ...: each release is a file more.
RELEASES = {"v1": 400, "v2": 511, "v3": 612, "v4": 713, "v5": 880, "v6": 1055}
# What the Qwen2.5-Coder report, its repository and its evaluation of reasoning models call their windows. All three
# were taken from release v4, which ends in September 2024: the first two hold the same 155 problems.
PUBLISHED = {
    "2407-2409": ("v4", "2024-07", "2024-09"),
    "2407-2411": ("v4", "2024-07-01", "2024-11-01"),
    "2408-2411": ("v4", "2024-08-01", "2024-11-01"),
}
SAMPLES = Rows(
    version="samples", file="livecodebench/problem_statements_no_tests.jsonl", count=488,
    join=("livecodebench/derived_public_tests_atcoder.jsonl", "question_id"),
    sha256="f0469061cab2b4938c42c2bfbf1cf97ef891e73ebad7c36dd45bc47f655d0b8e",
)  # fmt: skip
TEN = Sampling(n=10, temperature=0.2, top_p=0.95, max_tokens=2000, stop=("###",))


def window(part):
    """Release, first and last day or month of a part; an empty string where it does not say."""
    if part in PUBLISHED:
        return PUBLISHED[part]
    release, first, last = re.fullmatch(r"(v\d)?:?(?:(\S+?)\.\.(\S*))?", part).groups()
    return release or "v6", first or "", last or ""


def within(first, last, row):
    """Upstream's rule for a last day: a contest that begins within it, and not at its very start, is later."""
    day = row["contest_date"]
    return first <= day and (not last or day[:7] <= last if len(last) < 10 else day <= f"{last}T00:00:00")


def rows_of(release):
    names = [f"livecodebench/test{number or ''}.jsonl" for number in ("", *range(2, int(release[1]) + 1))]
    return Rows(version=release, file=names[0], more=tuple(names[1:]), unseen=True, count=RELEASES[release])


def given(fields, asked, empty="# YOUR CODE HERE"):
    return f"{asked}\n```python\n{fields.get('starter_code') or empty}\n```\n\n"


def upstream_chat(problem):
    starter, words = problem.fields["starter_code"], WORDS["format"]
    asked = words["starter"] if starter else words["stdin"] + words["stdin-upstream"]
    question = f"### Question:\n{problem.fields['question_content']}\n\n"
    text = f"{question}{given(problem.fields, f'### Format: {asked}')}"
    text += "### Answer: (use the provided format with backticks)\n\n"
    return Chat((Message("system", WORDS["system"]["upstream"]), Message("user", text)))


def qwen_chat(which, problem):
    asked = WORDS["format"]["starter" if problem.fields["starter_code"] else "stdin"]
    text = f"\n{WORDS['task'][which]}\n\nQuestion: {problem.fields['question_content']}\n\n"
    text += given(problem.fields, asked)
    return Chat((Message("system", WORDS["system"][which]), Message("user", text)))


def base_text(problem):
    """One solved example, then the question."""
    kind = "starter" if problem.fields["starter_code"] else "stdin"

    def shown(question, starter, answer):
        middle = f"### Starter Code\n{starter}\n\n" if kind == "starter" else ""
        return f"### Question\n{question}\n\n{middle}### Answer\n\n{answer}" + ("\n\n" if answer else "")

    example = WORDS["example"][kind]
    shot = shown(example["question"], example.get("sample_code", ""), example["answer"])
    return Continue(shot + shown(problem.fields["question_content"], problem.fields["starter_code"], ""))


def rejection(turn):
    """What a model is told of its failed program."""
    seen, outcome = turn.evidence, next(iter(turn.checks.values()))
    shown = f"Input: {seen.get('input', '')}"
    expected = f"Expected: {seen.get('expected', '')}"
    kind, _, message = seen.get("error", "").partition(": ")
    error = f"{kind}({message!r})" if message else seen.get("error", "")
    said = WORDS["repair"]
    if outcome == "wrong":
        return f"{said['wrong']}\n{shown}\nGenerated Output: {seen.get('got', '')}\n{expected}"
    if outcome == "timeout":
        return f"{said['timeout']}\nTimeoutException()\n{shown}\n{expected}"
    return f"{said['error']}\n{shown}\n{expected}\n{error}"


class LiveCodeBench(Benchmark):
    """The whole of the newest release; a release, ``v4``; or a window, ``2024-07..2024-11``, ``v4:2024-07-01..``."""

    name = "livecodebench"
    version = "1"
    parts = ("2407-2409", "2407-2411", "2408-2411")
    other_parts = r"v[1-6]|(v[1-6]:)?\d{4}-\d\d(-\d\d)?\.\.(\d{4}-\d\d(-\d\d)?)?"
    languages = ("python",)
    reference = "https://github.com/LiveCodeBench/LiveCodeBench/blob/28fef95/lcb_runner/evaluation/testing_util.py"
    profiles = {
        "livecodebench": ("chat", "decimals"),
        "livecodebench-base": ("base", "decimals-base"),
        "qwen-instruct": ("qwen-instruct", "first-block"),
        "qwen-reasoning": ("qwen-reasoning", "last-block"),
        "samples": ("samples", "decimals"),
    }
    decontaminate = ("question_content",)

    @property
    def asking(self):
        release, first, last = window(self.part)
        rows, inside = rows_of(release), partial(within, first, last)
        thinking = Sampling(temperature=0.2, top_p=0.95, max_tokens=32768, stop=("<|im_end|>",), seed=10008)
        shorter = Sampling(n=10, temperature=0.2, top_p=0.95, max_tokens=1200, stop=("###",))
        return {
            "chat": Asking(rows, upstream_chat, TEN, inside),
            "base": Asking(rows, base_text, TEN, inside),
            "qwen-instruct": Asking(rows, partial(qwen_chat, "qwen-instruct"), shorter, inside),
            "qwen-reasoning": Asking(rows, partial(qwen_chat, "qwen-reasoning"), thinking, inside),
            "samples": Asking(SAMPLES, upstream_chat, TEN, inside),
        }

    @property
    def scoring(self):
        upstream = ContestScorer(self.name)
        instruct = ContestScorer(self.name, cpu_s=18, inside="tabs", compare="floats")
        reasoning = ContestScorer(self.name, cpu_s=18, all_s=60, inside="tabs", compare="floats")
        return {
            "decimals": Scoring(between_last_fences, upstream, ks=(1, 5, 10)),
            "decimals-base": Scoring(stripped, upstream, ks=(1, 5, 10)),
            "first-block": Scoring(between_first_fences, instruct, ks=(1, 5, 10)),
            "last-block": Scoring(between_last_fences, reasoning),
        }

    @property
    def golden(self):
        ask = "```python\n"
        pair = f"{ask}class Solution:\n    def pair(self, x):\n        return @VALUE@\n```"
        return (
            Golden(STDIN, f"{ask}print(int(input()) / 2)\n```", {self.name: "passed"}),
            Golden(STDIN, f"{ask}print(int(input()) // 2)\n```", {self.name: "wrong"}),
            Golden(STDIN, f"{ask}print(1)\n```\nbetter\n{ask}print(int(input()) / 2)\n```", {self.name: "passed"}),
            Golden(STDIN, "print(int(input()) / 2)", {self.name: "no_code"}),
            Golden(METHOD, pair.replace("@VALUE@", "x, x"), {self.name: "passed"}, profile="qwen-instruct"),
            Golden(METHOD, pair.replace("@VALUE@", "[x]"), {self.name: "wrong"}),
        )

    def problem(self, row):
        tests = {
            "public": row.get("public_test_cases") or "[]",
            "private": row.get("private_test_cases") or "[]",
            "method": json.loads(row.get("metadata") or "{}").get("func_name") or "",
        }
        fields = {key: row[key] for key in ("question_title", "question_content", "starter_code")}
        groups = {"difficulty": row["difficulty"], "month": row["contest_date"][:7]}
        return Problem(row["question_id"], fields, tests, groups=groups)


class LiveCodeBenchRepair(Benchmark):
    """Two turns: the program, and where a test fails another one, with what the test said."""

    name = "livecodebench-repair"
    version = "1"
    parts = ("2407-2409", "2407-2411", "2408-2411")
    other_parts = r"v[1-6]|(v[1-6]:)?\d{4}-\d\d(-\d\d)?\.\.(\d{4}-\d\d(-\d\d)?)?"
    languages = ("python",)
    max_turns = 2
    reference = "https://github.com/LiveCodeBench/LiveCodeBench/blob/28fef95/lcb_runner/prompts/self_repair.py"
    profiles = {"livecodebench": ("chat", "decimals"), "samples": ("samples", "decimals")}
    decontaminate = ("question_content",)
    problem = LiveCodeBench.problem

    @property
    def asking(self):
        whole = LiveCodeBench(self.part).asking
        return {key: whole[key] for key in ("chat", "samples")}

    @property
    def scoring(self):
        return {"decimals": Scoring(between_last_fences, ContestScorer(self.name), ks=(1, 5, 10))}

    @property
    def golden(self):
        ask = "```python\n"
        return (
            Golden(STDIN, f"{ask}print(int(input()) / 2)\n```", {self.name: "passed"}),
            Golden(STDIN, f"{ask}print(int(input()) // 2)\n```", {self.name: "wrong"}),
        )

    def next(self, problem, turns):
        if all(outcome == "passed" for outcome in turns[-1].checks.values()):
            return None
        code = between_last_fences(problem, turns[-1].completion) or ""
        text = f"### Question:\n{problem.fields['question_content']}\n\n### Answer:\n```python\n{code}\n```\n\n"
        text += f"{rejection(turns[-1])}\n" + given({}, f"### Format: {WORDS['format']['stdin']}")
        text += f"### Answer: (use the provided format with backticks)\n\n\n\n{WORDS['repair']['repeat']}"
        return Chat((Message("system", WORDS["system"]["repair"]), Message("user", text)))


STDIN = {
    "question_title": "Half", "question_content": "Print half of the number.", "platform": "atcoder",
    "question_id": "golden_a", "contest_id": "golden", "contest_date": "2024-07-06T00:00:00", "starter_code": "",
    "difficulty": "easy", "metadata": "{}", "private_test_cases": '[{"input": "4\\n", "output": "2\\n"}]',
    "public_test_cases": '[{"input": "3\\n", "output": "1.50\\n", "testtype": "stdin"}]',
}  # fmt: skip
METHOD = {
    **STDIN, "question_id": "golden_b", "starter_code": "class Solution:\n    def pair(self, x: int):\n        ",
    "metadata": '{"func_name": "pair"}', "private_test_cases": "[]",
    "public_test_cases": '[{"input": "3", "output": "[3, 3]", "testtype": "functional"}]',
}  # fmt: skip
