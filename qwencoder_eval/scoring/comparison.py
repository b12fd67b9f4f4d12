"""EvalPlus's comparison of values, in the two generations that published numbers rest on.

- ``0.3``: evalplus/evalplus at 26d6d00 (after 0.3.1), evalplus/eval/__init__.py.
- ``0.2.1``: the same file at tag v0.2.1, which the Qwen2.5-Coder evaluation ran.

Known differences from both, on purpose: an oracle is asked about the input as it was given, not as the candidate may
have changed it; a subclass is compared by its data, not by its own ``__eq__``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .oracles import Generation, Oracle
from .recorded import Line, only_floats
from .values import Answer, decode, type_name

MAX_RANGE = 1 << 20  # items of a range that are spread out for a comparison with tolerance


class Comparison:
    """Judges the calls of one suite, in order: a tolerance that EvalPlus turns on stays on.

    ``oracle`` is the task's own rule, if it has one.
    """

    def __init__(self, generation: Generation, oracle: Oracle | None, atol: float, expected: Sequence[Line]) -> None:
        self.generation, self.oracle, self.atol, self.expected = generation, oracle, atol, expected
        self._looked_at = 0  # expected values that were asked whether they turn the tolerance on

    def right(self, call: int, inputs: Sequence[Any], answer: Answer, wanted: Any) -> bool:
        """Whether the answer to this call counts as right; ``wanted`` is the encoded expected value. Never raises."""
        try:
            output, expected = answer.value, decode(wanted)
            if self.oracle:
                if self.oracle(inputs, output, expected, self.tolerance(call)):
                    return True
            elif output == expected:
                return True
            atol = self.tolerance(call + 1)
            same_type = type_name(answer.encoded) == type_name(wanted)
            return atol != 0 and self.close(output, expected, same_type, atol)
        except Exception:  # what cannot be compared is wrong, as upstream's assertion fails
            return False

    def tolerance(self, calls: int) -> float:
        """The tolerance in force after the expected values of so many calls, which grow from one to the next."""
        while self.atol == 0 and self._looked_at < calls:
            if self.turns_on(self.expected[self._looked_at]):
                self.atol = 1e-6
            self._looked_at += 1
        return self.atol

    def close(self, output: Any, expected: Any, same_type: bool, atol: float) -> bool:
        import numpy

        for value in (output, expected):
            if isinstance(value, range) and len(value) > MAX_RANGE:
                return False
        with numpy.errstate(all="ignore"):
            if self.generation == "0.2.1":
                numpy.testing.assert_allclose(output, expected, rtol=1e-07, atol=atol)
                return True
            if not same_type or (isinstance(expected, (list, tuple)) and len(output) != len(expected)):
                return False
            return bool(numpy.allclose(output, expected, rtol=1e-07, atol=atol))

    def turns_on(self, expected: Line) -> bool:
        """Whether this expected value makes the tolerance 1e-6 from here on, where a task names none."""
        if expected.sized:
            return expected.floats
        value = decode(json.loads(expected.text, parse_constant=float)["value"])
        empty = isinstance(value, (list, tuple)) and not value
        return only_floats(value) or (empty and self.generation == "0.2.1")
