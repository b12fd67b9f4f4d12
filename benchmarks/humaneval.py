"""HumanEval and HumanEval+: 164 Python functions from their docstrings (arXiv 2107.03374, arXiv 2305.01210)."""

from qwencoder_eval import prompts
from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.programs import detabbed_program, sanitized_program
from qwencoder_eval.scoring.calls import CallScorer
from qwencoder_eval.types import Problem, Sampling

SUITES = {"humaneval": "base_input", "humaneval+": "plus_input"}
# Of a direct completion (evalplus/provider/utility.py).
STOP = (*prompts.STOP, "\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert ")

TODAY = Rows(
    version="v0.1.10", file="humanevalplus/v0.1.10/HumanEvalPlus.jsonl.gz", count=164,
    sha256="c7b62636d76dc7a462e6928996c1193850ab899411be9eb5000eb01d93e51e9d", release=("HumanEvalPlus", "v0.1.10"),
)  # fmt: skip
QWENS = Rows(
    version="v0.1.9", file="humanevalplus/v0.1.9/HumanEvalPlus.jsonl.gz", count=164,
    sha256="c26471de111c0afdeff64953b1ea37bcfb5d2716371494b58b51092f29e582d2", release=("HumanEvalPlus", "v0.1.9"),
)  # fmt: skip
TODAYS = CallScorer(SUITES, "0.3", "humaneval")
ROW = {
    "task_id": "HumanEval/double", "entry_point": "double", "atol": 0, "canonical_solution": "    return x * 2\n",
    "prompt": 'def double(x: float) -> float:\n    """ Twice x. """\n',
    "base_input": [[1], [2.5]], "plus_input": [[0.1], [-3]],
}  # fmt: skip


class HumanEval(Benchmark):
    name = "humaneval"
    version = "1"
    reference = "https://github.com/evalplus/evalplus/blob/26d6d00/evalplus/evaluate.py"
    asking = {
        "greedy": Asking(TODAY, prompts.text_to_continue, Sampling(max_tokens=768, stop=STOP)),
        "qwen": Asking(QWENS, prompts.text_to_continue, Sampling(max_tokens=768, stop=STOP + prompts.QWEN_FENCES)),
        "chat": Asking(TODAY, prompts.evalplus_chat, Sampling(max_tokens=768, stop=prompts.CHAT_STOP)),
        "qwen-instruct": Asking(QWENS, prompts.qwen_chat, Sampling(max_tokens=2048, stop=prompts.QWEN_CHAT_STOP)),
    }
    scoring = {
        "evalplus": Scoring(detabbed_program, TODAYS),
        "sanitized": Scoring(sanitized_program, TODAYS),
        "evalplus-0.2.1": Scoring(detabbed_program, CallScorer(SUITES, "0.2.1", "humaneval")),
        "sanitized-0.2.1": Scoring(sanitized_program, CallScorer(SUITES, "0.2.1", "humaneval")),
    }
    profiles = {
        "evalplus": ("greedy", "evalplus"),
        "evalplus-sanitized": ("greedy", "sanitized"),
        "qwen": ("qwen", "evalplus-0.2.1"),
        "evalplus-chat": ("chat", "sanitized"),
        "qwen-instruct": ("qwen-instruct", "sanitized-0.2.1"),
    }
    decontaminate = ("prompt", "canonical_solution", "test")
    golden = (
        Golden(ROW, "    return x + x\n", {"humaneval": "passed", "humaneval+": "passed"}),
        Golden(ROW, "    return abs(x) * 2\n", {"humaneval": "passed", "humaneval+": "wrong"}),
        Golden(ROW, "    return x\n", {"humaneval": "wrong", "humaneval+": "wrong"}, profile="qwen"),
    )

    def problem(self, row):
        tests = {key: row[key] for key in ("entry_point", "atol", "base_input", "plus_input")}
        fields = {"prompt": row["prompt"], "entry_point": row["entry_point"]}
        return Problem(row["task_id"], fields, tests, stub=row["prompt"], reference=row["canonical_solution"])
