"""RepoEval: a line, a call of the repository's own functions, or a function's body in Python (arXiv 2303.12570)."""

from functools import cached_property

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.repository_level import as_answered, as_many_lines_as_expected, before_special_tokens
from qwencoder_eval.fim_bench import LONG, SHORT, RetrievedFirst, by_qwen, problem_of
from qwencoder_eval.scoring.matches import MatchScorer
from qwencoder_eval.types import Sampling

# Tokens generated, and tokens that the left context makes room for. run_repoeval.sh runs lines, functions, calls: its
# sampling is made with 50, before the function task raises the length to 256, which then stays for what comes after.
AS_RUN = {"line": (SHORT, SHORT), "function": (SHORT, LONG), "api": (SHORT, LONG)}
AS_REPORTED = {"line": (SHORT, SHORT), "function": (LONG, LONG), "api": (SHORT, SHORT)}  # the Qwen2.5-Coder report
AUTHORS = {"line": 100, "function": 500, "api": 100}  # tokens generated, arXiv 2303.12570
BEHIND = {"right_context": "\n\nprint(1)\n", "crossfile_context": {"text": "# more.py\n# x = 1\n"}}
LINE = {
    **BEHIND, "prompt": "def f(x):\n", "groundtruth": "    return more(x,  'y')", "metadata": {"task_id": "golden/1"},
}  # fmt: skip
FUNCTION = {
    **BEHIND, "prompt": "def twice(x):\n    # Two of it.\n", "groundtruth": "    y = x\n    return x + y\n",
    "metadata": {"task_id": "golden/2"},
}  # fmt: skip


class RepoEval(Benchmark):
    """Rows: python_line_completion_sparse_oracle.jsonl and those of api and function, of the folder processed_data
    beside the script; put them into repoeval/ below the folder of data.

    The hub's rows were not seen when this was written. "oracle": the reference was part of the search for what is shown
    of other files, which no user of a model has.

    ``qwen`` asks as the scripts do, ``qwen-as-reported`` as the report says: 256 tokens for functions, and what was
    left of the left context by that for functions alone. ``repoeval`` scores as microsoft/CodeT does at 35f54d6 and
    asks nearly so, from left to right: the authors' own prompts have other rows, made with other windows and cut to
    half of a model's context. Their unit tests of functions were not published.
    """

    name = "repoeval"
    version = "1"
    reference = "https://github.com/microsoft/CodeT/blob/35f54d6/RepoCoder/compute_score.py"
    parts = ("line", "api", "function")
    languages = ("python",)
    profiles = {
        "qwen": ("as-run", "qwen"), "qwen-as-reported": ("as-reported", "qwen"), "repoeval": ("authors", "repoeval"),
    }  # fmt: skip
    decontaminate = ("prompt", "groundtruth")

    @cached_property
    def asking(self):
        rows = Rows(file=f"repoeval/python_{self.part}_completion_sparse_oracle.jsonl", unseen=True)
        return {
            "as-run": by_qwen(rows, *AS_RUN[self.part]),
            "as-reported": by_qwen(rows, *AS_REPORTED[self.part]),
            "authors": Asking(rows, RetrievedFirst(), Sampling(max_tokens=AUTHORS[self.part])),
        }

    @cached_property
    def scoring(self):
        function = Scoring(before_special_tokens, MatchScorer(self.name, "qwen-function"))
        lines = Scoring(as_many_lines_as_expected, MatchScorer(self.name, "qwen"))
        return {
            "qwen": function if self.part == "function" else lines,
            "repoeval": Scoring(as_answered, MatchScorer(self.name, "repoeval")),
        }

    @cached_property
    def golden(self):
        passed, wrong = {self.name: "passed"}, {self.name: "wrong"}
        row = FUNCTION if self.part == "function" else LINE
        right = row["groundtruth"].rstrip()
        return (
            Golden(row, right + "\n", passed),
            Golden(row, right.replace(", ", ",").replace("'", '"'), passed),
            Golden(row, right.replace("x", "y"), wrong),
            Golden(row, right, passed, profile="qwen-as-reported"),
            Golden(row, "", wrong, profile="qwen-as-reported"),
            Golden(row, f"\n{right.strip()}\nmore", passed, profile="repoeval"),
            Golden(row, right + " + 1", wrong, profile="repoeval"),
        )

    def problem(self, row):
        return problem_of(row, by_repository=True)
