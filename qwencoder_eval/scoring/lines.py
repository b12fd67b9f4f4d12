"""Compare what a program printed with what it should have printed: the rules of LiveCodeBench's two generations.

Both compare text by lines; they differ in what else counts as equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

Equal = Callable[[str, str], bool]


def by_decimals(output: str, expected: str) -> bool:
    """Equal lines, blanks around them aside, or lines of equal decimal numbers.

    LiveCodeBench at 28fef95, lcb_runner/evaluation/testing_util.py. No tolerance: 0.5 equals 0.50 and 5e-1, not 0.4999.
    """
    ours, theirs = stripped_lines(output), stripped_lines(expected)
    return len(ours) == len(theirs) and all(
        one == other or same_decimals(one, other) for one, other in zip(ours, theirs, strict=True)
    )


def stripped_lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def same_decimals(one: str, other: str) -> bool:
    try:
        return [Decimal(word) for word in one.split()] == [Decimal(word) for word in other.split()]
    except InvalidOperation:
        return False


def by_floats(output: str, expected: str) -> bool:
    """The comparison of the LiveCodeBench that Qwen's evaluation is made from, which has it from APPS.

    Equal text, blanks around it or around its lines aside; or equal lines without the empty ones; or, where each line
    is one number and not all are plain integers, numbers that are close. QwenLM/Qwen3-Coder at 0ae30f5,
    qwencoder-eval/instruct/livecode_bench/lcb_runner/evaluation/testing_util.py; what follows there compares lists of
    lines with sets, and is never true.
    """
    lines = output.splitlines()
    wanted = expected.strip()
    if "\n".join(lines).strip() == wanted or "\n".join(line.strip() for line in lines).strip() == wanted:
        return True
    theirs = [line.strip() for line in expected.split("\n") if line]
    if lines == theirs:
        return True
    lines = [line for line in lines if line]
    if lines == theirs:
        return True
    if all(one.isdigit() and other.isdigit() for one, other in zip(lines, theirs, strict=False)):
        return False
    try:
        ours, numbers = [float(line) for line in lines], [float(line) for line in theirs]
    except ValueError:
        return False
    return len(ours) == len(numbers) and all(close(one, other) for one, other in zip(ours, numbers, strict=True))


def close(one: float, other: float) -> bool:
    """As numpy's ``allclose`` has it by default: to one part in 100,000 of the expected number."""
    if math.isinf(one) or math.isinf(other):
        return one == other
    return abs(one - other) <= 1e-8 + 1e-5 * abs(other)
