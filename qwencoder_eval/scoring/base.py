"""What a scorer is, and what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..sandboxes.base import Decided, GoesOn
from ..types import Outcome, Problem, Program, Result
from .recorded import Recorded

EVIDENCE_CHARS = 4000  # of one field; a run keeps what is long compressed


class Runner(Protocol):
    """The sandboxes, as a scorer sees them. All methods raise SandboxError where no sandbox will do it."""

    def run(self, program: Program, decided: Decided | None = None) -> Result:
        """``decided`` says of the answers so far whether the rest does not matter: then the program is ended."""
        ...

    def run_alone(self, program: Program, decided: Decided | None = None) -> Result:
        """With nothing else of ours running: the second try of an ambiguous timeout."""
        ...

    def run_each(self, program: Program, inputs: Sequence[str], goes_on: GoesOn) -> list[Result]:
        """Compile it once and run it on one standard input after the other: see ``Sandbox.run_each``."""
        ...


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict but for its address."""

    checks: Mapping[str, Outcome]
    measures: Mapping[str, float] = field(default_factory=dict)
    evidence: Mapping[str, str] = field(default_factory=dict)


class Scorer(Protocol):
    """Compares an output with what was expected. Its instances are immutable and shared by threads."""

    checks: tuple[str, ...]  # the scores it gives, in order
    # Those that compare texts have more of: ``runs = False``, as they need no sandbox, and an empty text is an answer
    # then; ``passing``, what passing is called; ``measured``, measures that are scores too. See ``scoring.matches``.
    # Those that take times: ``unbounded``, the measures that may go beyond 1; ``cached = False``, as no two runs agree.

    def key(self) -> dict[str, Any]:
        """Everything a verdict of this scorer rests on besides code and tests; changes when the rule does."""
        ...

    def reference_programs(self, problem: Problem) -> Sequence[Program]:
        """Trusted programs whose results ``learn`` needs; empty where the tests say all."""
        ...

    def learn(self, problem: Problem, references: Sequence[Recorded]) -> Any:
        """What ``score`` has to know of the reference programs, read once a problem.

        Raises ReferenceFailsError where they did not do what a reference must: nothing can be scored then.
        """
        ...

    def score(self, problem: Problem, code: str, known: Any, runner: Runner) -> Judgement:
        """Run ``code`` and judge it against what ``learn`` returned.

        A scorer that can do several at less cost has ``score_many`` too, of (problem, code, known) each.
        """
        ...


def needs_sandbox(scorer: Scorer) -> bool:
    return bool(getattr(scorer, "runs", True))


def run_surely(program: Program, runner: Runner) -> Result:
    """Run it; once more, alone, where a timeout may be the fault of a busy machine. Raises SandboxError."""
    result = runner.run(program)
    return runner.run_alone(program) if result.timed_out and result.ambiguous else result


def short(value: object) -> str:
    """Evidence, bounded."""
    text = value if isinstance(value, str) else repr(value)
    return cut(text, EVIDENCE_CHARS)


def cut(text: str, size: int) -> str:
    """``text`` in at most ``size`` characters."""
    return text if len(text) <= size else text[: size - 1] + "…"
