"""MATH: 5,000 problems of mathematical competitions, for decontamination (arXiv 2103.03874)."""

from qwencoder_eval.benchmark import DataOnly
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.types import Problem


class Math(DataOnly):
    name = "math"
    version = "1"
    reference = "https://arxiv.org/abs/2103.03874"
    rows = Rows(
        version="test", file="math/test.json.gz", count=5000,
        sha256="21cd315c4dc5549089494fa57ebae33afa25c8b1f7e7e01efc897e6c6e81fbe7",
    )  # fmt: skip
    decontaminate = ("problem", "solution")

    def problem(self, row):
        return Problem(f"math/{row['idx']}", {"problem": row["problem"]}, {}, reference=row["solution"])
