"""SAFIM: a block, a condition or an API call is cut out of a file, and is to be written again (arXiv 2403.04814).

Its rows are on the hub only and were not seen when this was written: fields are named as upstream's code reads them.
"""

import json

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.safim import api_call, block_program, control_program
from qwencoder_eval.scoring.api_calls import ApiCallScorer
from qwencoder_eval.scoring.stdio import StdioScorer
from qwencoder_eval.types import Infill, Problem, Sampling

EXTRACT = {"block": block_program, "block_v2": block_program, "control": control_program, "api": api_call}
HOLE = {"python": "# TODO: Your code here"}
HOLE |= dict.fromkeys(("java", "cpp", "csharp"), "/* TODO: Your code here */")
FILLED = "{{completion}}"


def infill(problem):
    return Infill(problem.fields["prefix"], problem.fields["suffix"])


def halves(row, field, mark):
    parts = row[field].split(mark)
    if len(parts) != 2:
        raise ValueError(f"{row['task_id']}: {mark} is {len(parts) - 1} times in {field}, not once")
    return parts


class Safim(Benchmark):
    """``qwen`` is greedy; what the Qwen2.5-Coder report did is not released. ``executed`` runs what is equal to the
    original too, which else passes at once: its references show what this machine makes of the files themselves.
    """

    name = "safim"
    version = "1"
    reference = "https://github.com/gonglinyuan/safim/blob/9543286/evaluate.py"
    parts = ("block", "control", "api", "block_v2")
    languages = ("python", "java", "cpp", "csharp")
    apart = {"block_v2": "newer files, which upstream checks contamination with; not in its average"}
    decontaminate = ("prompt", "ground_truth")

    profiles = {"safim": ("sampled", "passing"), "qwen": ("greedy", "passing"), "executed": ("sampled", "executed")}

    @property
    def asking(self):
        rows = Rows(version=self.part, file=f"safim/{self.part}.jsonl", unseen=True)
        return {
            "sampled": Asking(rows, infill, Sampling(temperature=0.2, top_p=0.95, max_tokens=128)),
            "greedy": Asking(rows, infill, Sampling(max_tokens=128)),
        }

    @property
    def scoring(self):
        extract = EXTRACT[self.part]
        if self.part == "api":  # nothing of which is ever run
            return dict.fromkeys(("passing", "executed"), Scoring(extract, ApiCallScorer(self.name), ks=(1,)))
        return {
            "passing": Scoring(extract, StdioScorer(self.name), ks=(1,)),
            "executed": Scoring(extract, StdioScorer(self.name, unrun=False), ks=(1,)),
        }

    @property
    def golden(self):
        vectors = {"control": CONTROL, "api": API}.get(self.part, BLOCK)
        return tuple(Golden(row, output, {self.name: outcome}) for row, output, outcome in vectors)

    def problem(self, row):
        spoken, tests = row["lang"], row.get("unit_tests")
        tests = tests if isinstance(tests, str) else json.dumps(tests)
        tests = "" if tests.strip() in ("[]", "null") else tests
        prefix, suffix = halves(row, "prompt", HOLE[spoken])
        known = {"right": row["ground_truth"]}
        if self.part != "api":
            before, after = halves(row, "eval_prompt", FILLED)
            known |= {"before": before, "after": after, "unit_tests": tests}
        elif tests:
            raise ValueError(f"{row['task_id']}: has unit tests, and calls are compared as texts")
        return Problem(
            row["task_id"], {"prefix": prefix, "suffix": suffix}, known, reference=row["ground_truth"],
            language=spoken, groups={"language": spoken},
        )  # fmt: skip


def made(spoken, file, right, tests):
    asked = f"Description: as the file says.\n\nCode:\n\n{file.replace(FILLED, HOLE[spoken])}"
    return {
        "task_id": f"golden_{spoken}", "lang": spoken, "prompt": asked, "eval_prompt": file, "ground_truth": right,
        "unit_tests": json.dumps(tests),
    }  # fmt: skip


TESTS = [{"input": "3\n", "output": ["6\n"]}, {"input": "10\n", "output": ["55", "55.0"]}]
LOOP = made(
    "python", "total = 0\nfor i in range(int(input()) + 1):\n    {{completion}}\nprint(total)\n", "total += i", TESTS
)
HEAD = made("python", "n, s = int(input()), 0\nwhile {{completion}}:\n    s += n\n    n -= 1\nprint(s)\n", "n", TESTS)
CALL = made("python", "import torch\nlayer = {{completion}}\n", "torch.nn.Linear(3, 4, bias=False)", [])
JAVA = made("java", "class A { Object f() { return {{completion}}; } }", "new Box(1, x)", [])
BLOCK = (
    (LOOP, "total = total + i\nprint(total)\ndef main(:\n", "passed"),
    (LOOP, "total -= i\n", "wrong"),
    (LOOP, "total += i)\n", "no_code"),
    (LOOP, "total += j\n", "runtime_error"),
)
CONTROL = (
    (HEAD, "\nn > 0\nbreak", "passed"),
    (HEAD, "n > 1", "wrong"),
    (HEAD, "n >", "compile_error"),
)
API = (
    (CALL, "torch.nn.Linear(3,4,bias = False)\n# done", "passed"),
    (CALL, "torch.nn.Linear(3, out=4, bias=False)", "wrong"),
    (JAVA, "new Box(1,x).y()", "passed"),
    (JAVA, "new Box(x, 1)", "wrong"),
    (JAVA, "", "wrong"),
)
