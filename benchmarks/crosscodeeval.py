"""CrossCodeEval: the rest of a line that uses something from another file of its repository (arXiv 2310.11248)."""

from functools import cached_property

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.repository_level import as_many_lines_as_expected, first_statement
from qwencoder_eval.fim_bench import RetrievedFirst, by_qwen, problem_of
from qwencoder_eval.scoring.matches import MatchScorer
from qwencoder_eval.types import Sampling

LANGUAGES = {"python": "python", "java": "java", "ts": "typescript", "cs": "csharp"}
ROW = {
    "prompt": "from shapes import area\n\ndef double(shape):\n    return ", "groundtruth": "area(shape) * 2",
    "right_context": "\n", "crossfile_context": {"text": "# shapes.py\n# def area(shape):\n", "list": []},
    "metadata": {"task_id": "golden/1", "repository": "golden", "file": "double.py"},
}  # fmt: skip
BRACES = {**ROW, "prompt": "return ", "groundtruth": "Shapes.area(shape) * 2;"}


class CrossCodeEval(Benchmark):
    """Rows: line_completion_oracle_bm25.jsonl of each language, out of data/crosscodeeval_data.tar.xz of the project
    amazon-science/cceval; unpack it, and put its four folders into crosscodeeval/ below the folder of data.

    The hub's rows were not seen when this was written. "oracle": the reference was part of the search for what is shown
    of other files, which no user of a model has.

    ``qwen``: the retrieved text stands in the suffix, behind the right context. ``cceval``: it stands above the left
    context, there is no right one, and identifiers count too, by what README.md there recommends
    (scripts/vllm_inference.py): 16,384 tokens, of which 12,800 are for what was retrieved, 50 are generated and 100 are
    left over.
    """

    name = "crosscodeeval"
    version = "1"
    reference = "https://github.com/amazon-science/cceval/tree/25f9cab/scripts"
    parts = ("python", "java", "ts", "cs")
    profiles = {"qwen": ("qwen", "qwen"), "cceval": ("cceval", "cceval")}
    decontaminate = ("prompt", "groundtruth")

    @cached_property
    def asking(self):
        rows = Rows(file=f"crosscodeeval/{LANGUAGES[self.part]}/line_completion_oracle_bm25.jsonl", unseen=True)
        sampled = Sampling(temperature=0.2, top_p=0.95, max_tokens=50)
        return {"qwen": by_qwen(rows), "cceval": Asking(rows, RetrievedFirst(16384 - 50 - 12800 - 100, 12800), sampled)}

    @cached_property
    def scoring(self):
        return {
            "qwen": Scoring(as_many_lines_as_expected, MatchScorer(self.name, "qwen")),
            "cceval": Scoring(first_statement, MatchScorer(self.name, "cceval")),
        }

    @cached_property
    def golden(self):
        passed, wrong = {self.name: "passed"}, {self.name: "wrong"}
        row = ROW if self.part == "python" else BRACES
        right = row["groundtruth"]
        return (
            Golden(row, f"{right}\n\n// more", passed),
            Golden(row, f"{right.replace(' * ', '*')}<|file_sep|>x", passed),
            Golden(row, f"{right} + 0", wrong),
            Golden(row, "", wrong),
            Golden(row, f"{right}  # twice\n\n", passed, profile="cceval"),
            Golden(row, right.replace(" * ", "*"), wrong, profile="cceval"),
        )

    def problem(self, row):
        return problem_of(row, LANGUAGES[self.part])
