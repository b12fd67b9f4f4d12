"""HumanEval-FIM: one line left out of HumanEval's functions in Python, Java and JavaScript (arXiv 2301.03988)."""

from functools import cached_property

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.infilling import BeforeStop, first_line
from qwencoder_eval.scoring.matches import MatchScorer
from qwencoder_eval.types import Infill, Problem, Sampling

ROWS = Rows(
    file="santacoder_fim/train.jsonl.gz", count=4792, hub="bigcode/santacoder-fim-task", split="train",
    sha256="13c968731949abac63eb35bb8761fefb6ef437874fe847c4d9444c59c1ffac8d",
)  # fmt: skip
LANGUAGES = {"python": "py", "java": "java", "js": "js"}  # as the rows call them
SPOKEN = {"py": "python", "java": "java", "js": "javascript"}
RIGHT, NEW = 512, 64  # tokens
LEFT = 2048 - NEW - RIGHT
STOPS = ("<|endoftext|>", "<|filename|>", "<file_sep>")  # of bigcode-evaluation-harness's starcoder_fim
ROW = {
    "name": "golden-L2", "language": "py", "prompt": "def twice(x):\n    ", "suffix": "\n    return y\n",
    "canonical_solution": "y = 2 * x", "tests": "",
}  # fmt: skip


def between(problem):
    return Infill(problem.stub, problem.fields["suffix"], prefix_tokens=LEFT, suffix_tokens=RIGHT)


def between_all(problem):
    return Infill(problem.stub, problem.fields["suffix"])


class HumanEvalFim(Benchmark):
    """``qwen`` is the evaluation of Qwen's base models.

    ``bigcode`` is that of SantaCoder and StarCoder; its commands leave the number of tokens to the user, 512 is ours.
    """

    name = "humaneval-fim"
    version = "1"
    reference = (
        "https://github.com/QwenLM/Qwen3-Coder/blob/0ae30f5/"
        "qwencoder-eval/base/benchmarks/fim-bench/hm_fim/humaneval_fim.py"
    )
    parts = ("python", "java", "js")
    weighted = True
    profiles = {"qwen": ("qwen", "qwen"), "bigcode": ("bigcode", "bigcode")}
    decontaminate = ("prompt", "canonical_solution", "suffix")

    @cached_property
    def asking(self):
        language = LANGUAGES[self.part]

        def is_wanted(row):
            return row["language"] == language

        sampled = Sampling(temperature=0.2, top_p=0.95, max_tokens=512, stop=STOPS)
        return {
            "qwen": Asking(ROWS, between, Sampling(max_tokens=NEW), is_wanted),
            "bigcode": Asking(ROWS, between_all, sampled, is_wanted),
        }

    @cached_property
    def scoring(self):
        lines = MatchScorer(self.name, "line")
        return {"qwen": Scoring(first_line, lines), "bigcode": Scoring(BeforeStop(STOPS), lines)}

    @cached_property
    def golden(self):
        passed, wrong = {self.name: "passed"}, {self.name: "wrong"}
        return (
            Golden(ROW, "y = 2 * x", passed),
            Golden(ROW, "\n  y = 2 * x \r\n    return y\n", passed),
            Golden(ROW, " \ny = 2 * x", passed),
            Golden(ROW, "  \ny = 2 * x", wrong),
            Golden(ROW, "y = 2*x", wrong),
            Golden(ROW, "", wrong),
            Golden(ROW, " y = 2 * x\n<file_sep>def thrice", passed, profile="bigcode"),
            Golden(ROW, "y = 2 * x\n    return y", wrong, profile="bigcode"),
        )

    def problem(self, row):
        """Names are given once in each language, so an id is both."""
        return Problem(
            f"{row['language']}/{row['name']}", {"suffix": row["suffix"]}, {"target": row["canonical_solution"]},
            stub=row["prompt"], reference=row["canonical_solution"], language=SPOKEN[row["language"]],
        )  # fmt: skip
