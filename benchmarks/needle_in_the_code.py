"""Needle in the Code: a function hidden in a repository of up to 128k tokens, to be repeated at its end.

The Qwen2.5-Coder report (arXiv 2409.12186, section on long context) hides "a very simple custom function" at depths of
0 to 100 % of Megatron-LM, in ten steps, in contexts of 10k to 128k tokens, in ten steps; a cell is right or wrong. It
publishes no code. All that it leaves open is fixed here: the functions, the commit, the order of files, what a length
and a depth are, the question, the rule for right.
"""

import re

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.needles import answered_function, continued_function
from qwencoder_eval.scoring.needles import NeedleScorer
from qwencoder_eval.types import Haystack, Needle, Problem, Sampling

# The release current when the report came out (September 2024): core_r0.8.0 of 2024-08-12, 485 files,
# github.com/NVIDIA/Megatron-LM at baf94af3c667248865f23df73b9fb8e2395e6fd0.
MEGATRON = Haystack(
    "Megatron-LM",
    sha256="1217d5e736356a7f73674e17b6770bc878dffa33e6131f7fcd30a4232d004a30",
    place="needle/Megatron-LM",
)
STEPS = 10  # of lengths and of depths
LEAST = 500  # tokens: room for needle, question and some code
UNITS = {"k": 1_000, "m": 1_000_000}
# No blank line in any of them: a base model's answer ends at the first one.
NEEDLES = (
    '''def plumb_quarry_offset(ridge, lantern):
    """Offset of a lantern above its ridge, in plumbs."""
    span = ridge * 37 - lantern
    return span % 4819
''',
    """def fold_marzipan_ledger(entries):
    total = 611
    for entry in entries:
        total = total * 3 + len(entry)
    return total - 29
""",
    """def wick_tally(candles, draught=17):
    burnt = [candle // draught for candle in candles]
    return sum(burnt) + 7340
""",
    """def name_tin_heron(rank):
    feathers = ("ash", "cobalt", "madder", "flint")
    return "tin-heron-" + feathers[rank % 4] + str(rank + 208)
""",
    """def brine_threshold(depth_m, salinity):
    if salinity > 0.385:
        return depth_m * 12.75
    return depth_m + 930.5
""",
    """def stitch_owl_code(left, right):
    joined = left[::-1] + "~owl~" + right.upper()
    return joined[:53]
""",
    """def count_velvet_gears(teeth, jammed):
    turning = {tooth for tooth in teeth if tooth % 11 != 6}
    turning.discard(jammed)
    return len(turning) * 89
""",
    """def thaw_index(sled, frost):
    table = {"birch": 1404, "alder": 2717, "rowan": 3355}
    bonus = table.get(sled, 66)
    return bonus ^ frost
""",
    """def swap_parsnip_tokens(text):
    if not text.endswith(":parsnip"):
        text += ":parsnip"
    return text.replace("turnip", "k9-swede", 2)
""",
    """def kiln_schedule(hour):
    heat = 1263
    while hour > 5:
        heat -= 48
        hour -= 5
    return heat, hour
""",
)


def name_of(needle):
    return re.match(r"def (\w+)", needle)[1]


def lengths(part):
    """From 10/128 of the greatest length to it; the report's 10k to 128k."""
    most = int(part[:-1]) * UNITS[part[-1]]
    least = max(LEAST, most * 10 / 128)
    return [round(least + (most - least) * step / (STEPS - 1)) for step in range(STEPS)]


def grid(part):
    """The shortest first. A Latin square: each length and each depth has every needle once."""
    return tuple(
        {"length": length, "depth": step, "needle": NEEDLES[(row + step) % len(NEEDLES)]}
        for row, length in enumerate(lengths(part)) for step in range(STEPS)
    )  # fmt: skip


def placed(problem, haystack, **asked):
    fields = problem.fields
    return Needle(haystack, fields["needle"], fields["depth"] / (STEPS - 1), fields["length"], **asked)


def as_files(form):
    def prompt(problem, haystack):
        ask = f"# The function {problem.tests['name']} from above, once more and without any change:\n{problem.stub}"
        return placed(problem, haystack, form=form, ask=ask, path="once_more.py")

    return prompt


def as_chat(problem, haystack):
    before = "Here is the source code of a project. Read it, and answer the question behind it.\n\n"
    name = problem.tests["name"]
    ask = (
        f"The code above has a function `{name}` in it. Repeat that function word for word, in one Python code block, "
        "and nothing else.\n"
    )
    return placed(problem, haystack, form="chat", ask=ask, before=before)


class NeedleInTheCode(Benchmark):
    name = "needle-in-the-code"
    version = "1"
    reference = "https://arxiv.org/abs/2409.12186"
    parts = ("64k", "256k")  # 1m too, where Megatron-LM is that long in a model's tokens
    other_parts = r"[1-9]\d{0,4}[km]"
    languages = ("python",)
    profiles = {"repository": ("repository", "continued"), "plain": ("plain", "continued"), "chat": ("chat", "message")}
    decontaminate = ("needle",)

    @property
    def asking(self):
        part = self.part or "128k"
        rows = Rows(version=part, inline=grid(part))
        # A needle ends at a blank line; without these stops a base model would go on with the code behind it.
        files = Sampling(max_tokens=256, stop=("\n\n", "\ndef ", "\nclass ", "\n#"))
        return {
            "repository": Asking(rows, as_files("repository"), files, haystack=MEGATRON),
            "plain": Asking(rows, as_files("plain"), files, haystack=MEGATRON),
            "chat": Asking(rows, as_chat, Sampling(max_tokens=512), haystack=MEGATRON),
        }

    @property
    def scoring(self):
        scorer = NeedleScorer(self.name)
        return {"continued": Scoring(continued_function, scorer), "message": Scoring(answered_function, scorer)}

    @property
    def golden(self):
        row = {"length": 10_000, "depth": 3, "needle": NEEDLES[2]}
        body = "    burnt = [candle // draught for candle in candles]\n    return sum(burnt) + 7340\n"
        whole = NEEDLES[2].replace("7340", "(7340)")
        return (
            Golden(row, body + "\n    def other(self):\n        pass\n", {self.name: "passed"}),
            Golden(row, body.replace("7340", "7304"), {self.name: "wrong"}),
            Golden(row, f"Here it is:\n```python\n{whole}```\n", {self.name: "passed"}, profile="chat"),
            Golden(row, "The code has no such function.", {self.name: "no_code"}, profile="chat"),
        )

    def problem(self, row):
        needle = row["needle"]
        stub = needle[: needle.index("\n") + 1]
        depth = f"{100 * row['depth'] / (STEPS - 1):.1f}%"
        return Problem(
            f"{row['length']}/{depth}",
            row,
            {"needle": needle, "name": name_of(needle)},
            stub=stub,
            reference=needle.removeprefix(stub),
            groups={"length": str(row["length"]), "depth": depth},
        )
