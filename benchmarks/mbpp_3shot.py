"""MBPP as base models are asked it: three solved tasks in front, then the task with its tests (arXiv 2108.07732)."""

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.programs import as_program
from qwencoder_eval.scoring.asserts import AssertScorer
from qwencoder_eval.types import Continue, Problem, Sampling

ROWS = Rows(
    version="full", file="mbpp/mbpp.jsonl", count=974,
    sha256="6295dfbe170c493be0fc8dac09a57714d5cbc7136bd3a8996d0f95dec6cd870e",
    hub="google-research-datasets/mbpp", split="prompt+test+validation+train",
)  # fmt: skip
ROW = {
    "task_id": 11, "text": "Write a function to add two numbers.", "code": "def add(a, b):\r\n  return a + b",
    "test_setup_code": "one = 1", "test_list": ["assert add(one, 2) == 3", "assert add(2, 2)==4 "],
}  # fmt: skip


def of_the_test_split(row):
    return 11 <= row["task_id"] <= 510


def of_the_examples(row):
    return row["task_id"] in (2, 3, 4)


def asked(problem):
    tests = "\n".join(problem.tests["asserts"])
    introduction = "You are an expert Python programmer, and here is your task:"
    return f"{introduction} {problem.fields['text']} Your code should pass these tests:\n\n{tests}\n[BEGIN]\n"


def with_examples(problem, shots):
    return Continue("".join(f"{asked(shot)}{shot.reference}\n[DONE]\n\n" for shot in shots) + asked(problem))


class Mbpp3Shot(Benchmark):
    name = "mbpp-3shot"
    version = "1"
    reference = "https://github.com/EleutherAI/lm-evaluation-harness/blob/4e7e0d47f/lm_eval/tasks/mbpp/mbpp.yaml"
    asking = {
        "greedy": Asking(
            ROWS, with_examples, Sampling(max_tokens=256, stop=("[DONE]",)), of_the_test_split, of_the_examples
        )
    }
    scoring = {"asserts": Scoring(as_program, AssertScorer("mbpp-3shot"))}
    profiles = {"lm-eval": ("greedy", "asserts")}
    decontaminate = ("text", "code", "test_list")
    golden = (
        Golden(ROW, "def add(a, b):\n    return b + a\n", {"mbpp-3shot": "passed"}),
        Golden(ROW, "def add(a, b):\n    return 3\n", {"mbpp-3shot": "wrong"}),
        Golden(ROW, "def sum(a, b):\n    return a + b\n", {"mbpp-3shot": "runtime_error"}),
    )

    def problem(self, row):
        tests = {"asserts": row["test_list"], "setup": row["test_setup_code"]}
        return Problem(f"Mbpp/{row['task_id']}", {"text": row["text"]}, tests, reference=row["code"])
