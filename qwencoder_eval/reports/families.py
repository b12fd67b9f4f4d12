"""In what order benchmarks stand in a report, under which headings, and what a model's name says of its size."""

from __future__ import annotations

import re
from collections.abc import Mapping

# As in the Qwen2.5-Coder report: heading -> beginnings of benchmarks' names, in its order.
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "Code generation": ("humaneval", "mbpp", "bigcodebench", "livecodebench", "starter"),
    "Multilingual": ("multipl-e", "mceval", "humaneval-x"),
    "Code reasoning": ("cruxeval",),
    "Code completion": (
        "humaneval-fim", "humaneval-infilling", "crosscodeeval", "crosscodelongeval", "repoeval", "safim",
        "execrepobench",
    ),
    "Long context": ("needle",),
    "Text-to-SQL": ("spider", "bird"),
    "Code editing": ("aider", "codeeditorbench", "mdeval"),
    "General and mathematics": ("mmlu", "gsm8k", "math", "arc", "truthfulqa", "winogrande", "hellaswag", "theoremqa"),
}  # fmt: skip
OTHER = "Other"

# 7B, 0.5b, 350M; not the A3B of 30B-A3B, which is what of it is active, nor 8x7B, whose whole is less than the product.
SIZE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)([bBmM])(?![a-zA-Z0-9])")


def family(benchmark: str) -> tuple[int, int, str]:
    """Place of the family, place within it, heading. The longest beginning that fits decides."""
    fits = [
        (len(start), at, within, heading)
        for at, (heading, starts) in enumerate(FAMILIES.items())
        for within, start in enumerate(starts)
        if benchmark.startswith(start)
    ]
    if not fits:
        return len(FAMILIES), 0, OTHER
    _, at, within, heading = max(fits)
    return at, within, heading


def size_of(model: str) -> float | None:
    """Parameters in billions as the name tells them, all of them in a mixture of experts; None where it does not."""
    found = SIZE.search(model)
    if found is None:
        return None
    return float(found[1]) / (1000 if found[2] in "mM" else 1)


def stem(model: str) -> str:
    """What models of one series have in common: the name without its size and without its owner."""
    return SIZE.sub("", model.rpartition("/")[2]).replace("--", "-").strip("-_ ")
