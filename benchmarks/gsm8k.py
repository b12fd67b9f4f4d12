"""GSM8K: 1,319 word problems of school mathematics, for decontamination (arXiv 2110.14168)."""

from qwencoder_eval.benchmark import DataOnly
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.types import Problem


class Gsm8k(DataOnly):
    name = "gsm8k"
    version = "1"
    reference = "https://github.com/openai/grade-school-math/blob/3101c7d50724/grade_school_math/data/test.jsonl"
    rows = Rows(
        version="test", file="gsm8k/test.jsonl", count=1319, numbered=True,
        sha256="176818e0349688ae3031a37f2fe8f454e7575635b88232abfc6b3387320e6605",
    )  # fmt: skip
    decontaminate = ("question", "answer")

    def problem(self, row):
        return Problem(f"gsm8k/{row['number']}", {"question": row["question"]}, {}, reference=row["answer"])
