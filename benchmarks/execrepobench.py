"""ExecRepoBench: a hole in one file of a Python repository; the repository's own tests decide (arXiv 2412.11990).

The rows go to ``execrepobench/exec_repo_bench.jsonl`` in the folder of data, the repositories to
``execrepobench/repos/NAME``: both are on a hub alone, and neither was seen when this was written. What rows look like
follows from upstream's code. A repository gets what upstream installs for all of them (the image of
``python-execrepobench``); what it requires itself goes to ``.site-packages`` in its folder, as ``pip install --target``
leaves it for Python 3.11. ``qceval check`` says which repositories pass with their own code in the hole.

Only the prompt of Qwen2.5-Coder's base models is upstream's word for word. Other models get the same parts in the
format of their own profile; upstream has a format of its own for each.
"""

from functools import partial
from pathlib import PurePosixPath

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.infilling import filled_in
from qwencoder_eval.scoring.repositories import EVALUATE, RepositoryScorer
from qwencoder_eval.types import Infill, Problem, Sampling

ROWS = Rows(version="hub", file="execrepobench/exec_repo_bench.jsonl", unseen=True)


def infilling(whole, context, new, problem):
    """Budgets in tokens: of everything, of the other files, of the answer; half of what is left for each side."""
    side = (whole - new - context) // 2
    fields = problem.fields
    return Infill(
        fields["prefix_code"], fields["suffix"], tuple(map(tuple, fields["context_code"])), fields["file_name"],
        fields["repo_name"], side, side, context, by_relevance=True, file_title="##{path}##:\n", around=("\n", "\n"),
    )  # fmt: skip


def asking(whole, context, new):
    sampling = Sampling(temperature=0.0, top_p=0.95, max_tokens=new)
    return Asking(ROWS, partial(infilling, whole, context, new), sampling)


def path_of(row):
    """Where the hole is, below the repository. Upstream's names begin with the repository's, behind a slash or not.

    Raises ValueError where a name leads out of it, or to what decides.
    """
    repository, name = row["repo_name"], row["file_name"]
    first, *parts = PurePosixPath(name.lstrip("/")).parts or ("",)
    if repository in ("", ".", "..") or "/" in repository or "\0" in repository + name:
        raise ValueError(f"repo_name is {repository[:100]!r}, no name of a folder")
    if first != repository or not parts or ".." in parts or parts == [EVALUATE]:
        raise ValueError(f"file_name is {name[:200]!r}, no file of {repository} that can have a hole")
    return "/".join(parts)


class ExecRepoBench(Benchmark):
    """``qwen``: the budgets of upstream's README; ``qwen-defaults``: those of its script without options."""

    name = "execrepobench"
    version = "1"
    languages = ("python-execrepobench",)
    reference = (
        "https://github.com/QwenLM/Qwen3-Coder/blob/0ae30f5/qwencoder-eval/base/benchmarks/ExecRepoBench/eval.py"
    )
    asking = {"readme": asking(32768, 8192, 1024), "defaults": asking(8192, 4096, 512)}
    scoring = {"repository": Scoring(filled_in, RepositoryScorer("execrepobench"))}
    profiles = {"qwen": ("readme", "repository"), "qwen-defaults": ("defaults", "repository")}
    decontaminate = ("prefix_code", "middle_code", "suffix_code")

    @property
    def golden(self):
        good, bad, early = "return width * height", "return width + height", "raise SystemExit(0)"
        return (
            Golden(ROW, good, {self.name: "passed"}),
            Golden(ROW, bad, {self.name: "wrong"}),
            Golden(ROW, early, {self.name: "runtime_error"}, profile="qwen-defaults"),
            Golden(ROW, "return (", {self.name: "compile_error"}),
        )

    def problem(self, row):
        path, name = path_of(row), row["repo_name"]
        tests = {
            "repository": name, "path": path, "prefix": row["prefix_code"], "suffix": row["suffix_code"],
            "middle": row["middle_code"],
        }  # fmt: skip
        if "files" in row:  # a row that brings its repository
            tests["files"], places = row["files"], ()
        else:
            places = (f"execrepobench/repos/{name}",)
        fields = {key: row[key] for key in ("repo_name", "file_name", "prefix_code", "context_code")}
        fields["suffix"] = row["suffix_code"]
        # Rows have no ids. Their place in the file is not a row's own to know: where the hole begins and ends is.
        span = len(row["prefix_code"]), len(row["prefix_code"]) + len(row["middle_code"])
        return Problem(
            f"{name}/{path}:{span[0]}-{span[1]}", fields, tests, stub=row["prefix_code"], reference=row["middle_code"],
            language="python-execrepobench", groups={"fill_type": row["fill_type"]}, assets=places,
        )  # fmt: skip


ROW = {
    "repo_name": "rectangles", "file_name": "/rectangles/area.py", "prefix_code": "def area(width, height):\n    ",
    "middle_code": "return width * height", "suffix_code": "\n", "context_code": [["/rectangles/shapes.py", "x = 1\n"]],
    "fill_type": "grammar-based: statement",
    "files": {
        "area.py": "", "shapes.py": "x = 1\n", EVALUATE: "import unittest\n\nunittest.main('tests')\n",
        "tests.py": "import unittest\n\nfrom area import area\n\n\nclass Tests(unittest.TestCase):\n"
                    "    def test_area(self):\n        self.assertEqual(area(2, 3), 6)\n",
    },
}  # fmt: skip
