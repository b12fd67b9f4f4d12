"""MBPP and MBPP+: Python functions from one sentence and one example (arXiv 2108.07732, arXiv 2305.01210)."""

from qwencoder_eval import prompts
from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.programs import detabbed_program, sanitized_program
from qwencoder_eval.scoring.calls import CallScorer
from qwencoder_eval.types import Problem, Sampling

SUITES = {"mbpp": "base_input", "mbpp+": "plus_input"}
# Of a direct completion (evalplus/provider/utility.py).
STOP = (*prompts.STOP, '\n"""', "\nassert")

# Rows are JSON, which has no tuples. What the functions are called with, by task (evalplus/data/mbpp.py at 26d6d00):
# paths of the lists that are tuples, inner ones first; * is every argument, item or value of a dict, ** all inside.
TUPLES = {
    ("*",): "2 116 132 143 222 261 273 394 399 421 424 429 470 560 579 596 616 630 726 740 744 809",
    ("*.*",): "63 64 70 94 120 237 272 299 400 409 417 438 473 614 780",
    ("*.*", "*"): "259 401 445",
    ("0",): "250 307 405 446 617 720 763 808",
    ("1",): "106 750",
    ("0.*",): "75 413 444 722 753",
    ("0.*", "*"): "278",
    ("**",): "580 615 791",
}
PATHS = {task: [path.split(".") for path in paths] for paths, tasks in TUPLES.items() for task in tasks.split()}


def tupled(value, path):
    if not path:
        return tuple(value) if isinstance(value, list) else value
    if isinstance(value, dict):
        return {key: tupled(item, path[1:]) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    if path[0] == "**":
        return tuple(tupled(item, path) for item in value)
    return [tupled(item, path[1:]) if path[0] in ("*", str(at)) else item for at, item in enumerate(value)]


def arguments(task, given):
    """One call's arguments, with the types that JSON took from them."""
    if task == "115":
        return [[set(item) if isinstance(item, list) and item else {} for item in given[0]]]
    if task in ("124", "252"):
        return [float(number) for number in given[:-1]] + [complex(given[-1])]
    for path in PATHS.get(task, ()):
        given = tupled(given, path)
    return given


TODAY = Rows(
    version="v0.2.0", file="mbppplus/MbppPlus-v0.2.0.jsonl.gz", count=378,
    sha256="cb088ea309f08b1d161ff85fac8a367c4366006c5ae64add122c738f7f5f57d4", release=("MbppPlus", "v0.2.0"),
)  # fmt: skip
QWENS = Rows(
    version="v0.1.0", file="mbppplus/MbppPlus-v0.1.0.jsonl.gz", count=399,
    sha256="6dc688378d1cfd8b9ad470cc7074a0252302cfff945e1b26274eb8fcf3ef7a2c", release=("MbppPlus", "v0.1.0"),
)  # fmt: skip
TODAYS = CallScorer(SUITES, "0.3", "mbpp")
ROW = {
    "task_id": "Mbpp/2", "entry_point": "similar_elements", "atol": 0,
    "prompt": '"""\nThe elements that two tuples share.\nassert similar_elements((3, 4), (4, 5)) == (4,)\n"""\n',
    "canonical_solution": "def similar_elements(a, b):\n    return tuple(x for x in a if x in b)\n",
    "base_input": [[[3, 4], [4, 5]]], "plus_input": [[[1, 2, 3], [3, 2]]],
}  # fmt: skip
BACKWARDS = "def similar_elements(a, b):\n    return tuple(x for x in b if x in a)\n"
UNTYPED = "def similar_elements(a, b):\n    return [x for x in a if x in b] if type(a) is tuple else None\n"


class Mbpp(Benchmark):
    name = "mbpp"
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
        "evalplus-0.2.1": Scoring(detabbed_program, CallScorer(SUITES, "0.2.1", "mbpp")),
        "sanitized-0.2.1": Scoring(sanitized_program, CallScorer(SUITES, "0.2.1", "mbpp")),
    }
    profiles = {
        "evalplus": ("greedy", "evalplus"),
        "evalplus-sanitized": ("greedy", "sanitized"),
        "qwen": ("qwen", "evalplus-0.2.1"),
        "evalplus-chat": ("chat", "sanitized"),
        "qwen-instruct": ("qwen-instruct", "sanitized-0.2.1"),
    }
    decontaminate = ("prompt", "canonical_solution", "assertion")
    golden = (
        Golden(ROW, BACKWARDS, {"mbpp": "passed", "mbpp+": "passed"}),
        Golden(ROW, BACKWARDS, {"mbpp": "passed", "mbpp+": "wrong"}, profile="qwen"),
        Golden(ROW, UNTYPED, {"mbpp": "wrong", "mbpp+": "wrong"}, profile="qwen"),
    )

    def problem(self, row):
        task = row["task_id"].removeprefix("Mbpp/")
        # In v0.1.0 an empty suite is {} instead of [].
        tests = {suite: [arguments(task, given) for given in row[suite]] for suite in SUITES.values()}
        tests |= {key: row[key] for key in ("entry_point", "atol")}
        fields = {"prompt": row["prompt"], "entry_point": row["entry_point"]}
        return Problem(row["task_id"], fields, tests, stub=row["prompt"], reference=row["canonical_solution"])
