"""Tasks of HumanEval and MBPP that EvalPlus judges by a rule of their own, by the name of their function.

An oracle takes the arguments of a call (as they were given, not as the candidate may have changed them), the output,
the expected value and the tolerance that is in force, and says whether the output counts as exactly right. What it
raises makes the output wrong. Source: evalplus/evalplus at 26d6d00 and at tag v0.2.1, evalplus/eval/__init__.py and
evalplus/eval/_special_oracle.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

Generation = Literal["0.2.1", "0.3"]
Oracle = Callable[[Sequence[Any], Any, Any, float], bool]


def polynomial(inputs: Sequence[Any], output: Any) -> float:
    """HumanEval's ``find_zero`` at the root that was found: xs[0] + xs[1] x + ..."""
    return float(sum(coefficient * math.pow(output, power) for power, coefficient in enumerate(inputs[0])))


def root(inputs: Sequence[Any], output: Any, expected: Any, atol: float) -> bool:
    if not abs(polynomial(inputs, output)) <= atol:
        raise ArithmeticError("not a root")
    return True


def root_and_value(inputs: Sequence[Any], output: Any, expected: Any, atol: float) -> bool:
    """Without ``abs``, and then the ordinary comparison as well."""
    if not polynomial(inputs, output) <= atol:
        raise ArithmeticError("not a root")
    return bool(output == expected)


def anything(inputs: Sequence[Any], output: Any, expected: Any, atol: float) -> bool:
    bool(output == expected)  # which may raise, as with arrays
    return True


def value_or_zero(inputs: Sequence[Any], output: Any, expected: Any, atol: float) -> bool:
    return bool(output == expected or output == 0)


def is_there(inputs: Sequence[Any], output: Any, expected: Any, atol: float) -> bool:
    """Only whether there is an output counts; but a bool is compared with whether one was expected."""
    wanted = expected is not None
    return output == wanted if isinstance(output, bool) else wanted == (output is not None)


def as_sets(inputs: Sequence[Any], output: Any, expected: Any, atol: float) -> bool:
    return set(output) == set(expected)


def surface_of_pyramid(inputs: Sequence[Any], output: Any, expected: Any, atol: float) -> bool:
    """Mbpp/581, where the height may also be read as the perpendicular one."""
    if output == expected:
        return True
    edge, height = inputs
    surface = edge**2 + 2 * edge * math.sqrt((edge / 2) ** 2 + height**2)
    return bool(abs(output - round(surface)) <= atol)


def digit_distance(inputs: Sequence[Any], output: Any, expected: Any, atol: float) -> bool:
    """Mbpp/558, where the shorter number may also be filled up with zeros."""
    if output == expected:
        return True
    texts = [str(number) for number in inputs]
    width = max(map(len, texts))
    digits = zip(*(text.zfill(width) for text in texts), strict=True)
    return bool(output == sum(abs(int(one) - int(other)) for one, other in digits))


MBPP_021: dict[str, Oracle] = {
    "are_equivalent": anything,  # Mbpp/164
    "sum_div": value_or_zero,  # Mbpp/295
    **dict.fromkeys(("check_str", "text_match_three", "text_starta_endb"), is_there),  # Mbpp/737, 787, 794
}
SETS = (
    "similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly", "larg_nnum",
    "intersection_array", "find_dissimilar", "Diff",
)  # fmt: skip
ORACLES: Mapping[str, Mapping[Generation, Mapping[str, Oracle]]] = {
    "": {"0.2.1": {}, "0.3": {}},
    "humaneval": {"0.2.1": {"find_zero": root_and_value}, "0.3": {"find_zero": root}},
    "mbpp": {
        "0.2.1": MBPP_021,
        "0.3": {
            **MBPP_021,
            **dict.fromkeys(SETS, as_sets),
            "surface_Area": surface_of_pyramid,
            "digit_distance_nums": digit_distance,
        },
    },
}
