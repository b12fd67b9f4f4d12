"""CrossCodeLongEval: a chunk of code or the body of a function, amid the rest of a repository (arXiv 2403.10059)."""

from functools import cached_property

from qwencoder_eval.benchmark import Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.repository_level import as_many_lines_as_expected, before_special_tokens
from qwencoder_eval.fim_bench import LONG, SHORT, by_qwen, problem_of
from qwencoder_eval.scoring.matches import MatchScorer

# Tokens generated, and tokens that the left context makes room for. run_cclongeval.sh runs chunks and then functions:
# its sampling is made with 50, before the function task raises the length to 256, and prompts are made after that.
AS_RUN = {"chunk": (SHORT, SHORT), "function": (SHORT, LONG)}
AS_REPORTED = {"chunk": (SHORT, SHORT), "function": (LONG, LONG)}  # the Qwen2.5-Coder report
BEHIND = {"right_context": "\n\nprint(1)\n", "crossfile_context": "# more.py\n# x = 1\n"}
CHUNK = {
    **BEHIND, "prompt": "def f(x):\n    y = x\n", "groundtruth": "    y += 1\n\n    return y\n",
    "metadata": {"task_id": "golden/1"},
}  # fmt: skip
FUNCTION = {
    **BEHIND, "prompt": 'def twice(x):\n    """Two of it."""\n', "groundtruth": "    return x + x\n",
    "metadata": {"task_id": "golden/2"},
}  # fmt: skip


class CrossCodeLongEval(Benchmark):
    """Rows: python_chunk_completion_sparse_oracle.jsonl and python_function_completion_sparse_oracle.jsonl, out of the
    two archives beside the script (prepare_data.sh); put them into crosscodelongeval/ below the folder of data.

    The hub's rows were not seen when this was written. "oracle": the reference was part of the search for what is shown
    of other files, which no user of a model has.

    ``qwen`` asks as the scripts do, ``qwen-as-reported`` as the report says: 256 tokens for functions, not 50.
    """

    name = "crosscodelongeval"
    version = "1"
    reference = (
        "https://github.com/QwenLM/Qwen3-Coder/blob/0ae30f5/"
        "qwencoder-eval/base/benchmarks/fim-bench/cclongeval/cclong.py"
    )
    parts = ("chunk", "function")
    languages = ("python",)
    profiles = {"qwen": ("as-run", "qwen"), "qwen-as-reported": ("as-reported", "qwen")}
    decontaminate = ("prompt", "groundtruth")

    @cached_property
    def asking(self):
        rows = Rows(file=f"crosscodelongeval/python_{self.part}_completion_sparse_oracle.jsonl", unseen=True)
        return {"as-run": by_qwen(rows, *AS_RUN[self.part]), "as-reported": by_qwen(rows, *AS_REPORTED[self.part])}

    @cached_property
    def scoring(self):
        if self.part == "function":
            return {"qwen": Scoring(before_special_tokens, MatchScorer(self.name, "qwen-function"))}
        return {"qwen": Scoring(as_many_lines_as_expected, MatchScorer(self.name, "qwen"))}

    @cached_property
    def golden(self):
        row, behind = (FUNCTION, "\ndef thrice(") if self.part == "function" else (CHUNK, "    x = 1\n")
        right = row["groundtruth"]
        return (
            Golden(row, right + behind, {self.name: "passed"}),
            Golden(row, right + "<|fim_pad|>" + behind, {self.name: "passed"}),
            Golden(row, right.replace("return", "yield"), {self.name: "wrong"}),
            Golden(row, right, {self.name: "passed"}, profile="qwen-as-reported"),
            Golden(row, "", {self.name: "wrong"}, profile="qwen-as-reported"),
        )

    def problem(self, row):
        return problem_of(row)
