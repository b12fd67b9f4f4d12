"""What counts of an answer in completion within a repository: CrossCodeEval, CrossCodeLongEval, RepoEval.

Rules: QwenLM/Qwen3-Coder at 0ae30f5, qwencoder-eval/base/benchmarks/fim-bench (cceval/cceval.py, eval_metric.py);
amazon-science/cceval at 25f9cab, scripts/eval_utils.py; microsoft/CodeT at 35f54d6, RepoCoder/compute_score.py. What
parses is decided by today's grammars, and was there by those of tree-sitter 0.20.

``Problem.stub`` is what stands before the gap, ``Problem.tests["target"]`` what stood in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..types import Completion, Problem
from .programs import MAX_CODE
from .syntax import Continued, has_error, nodes

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_PARSED = 2 << 20
"""Bytes handed to the parser for one answer, see ``Continued.cost``. Past it, an answer counts as not parsing."""

# No function is defined inside these.
_FLAT = {
    "argument_list", "assert_statement", "assignment", "call", "comment", "delete_statement", "expression_statement",
    "identifier", "import_from_statement", "import_statement", "parameters", "raise_statement", "return_statement",
    "string", "type",
}  # fmt: skip


def as_answered(problem: Problem, completion: Completion) -> str | None:
    """The text as it is; None where it is too long to be an answer. RepoEval upstream, whose metric cuts."""
    return completion.text if len(completion.text) <= MAX_CODE else None


def before_special_tokens(problem: Problem, completion: Completion) -> str | None:
    """What Qwen's evaluation takes for the answer: the text in front of tokens that only a prompt should hold."""
    text = as_answered(problem, completion)
    return None if text is None else text.split("<|fim_pad|>")[0].split("<|file_sep|>")[0]


def as_many_lines_as_expected(problem: Problem, completion: Completion) -> str | None:
    """Of that, in tasks of lines, as many as the target has; blank ones are left out on both sides."""
    text = before_special_tokens(problem, completion)
    if text is None:
        return None
    expected = sum(1 for line in problem.tests["target"].split("\n") if line.strip())
    return "\n".join([line for line in text.split("\n") if line.strip()][:expected])


def first_statement(problem: Problem, completion: Completion) -> str | None:
    """CrossCodeEval upstream: the first statement, as far as it can be told.

    Python: up to the first end of a line where prompt and answer parse. Others: up to the first of ``;``, ``{`` and
    ``}``, but for one that the answer begins with: then all of it counts, as upstream takes index 0 for none.
    """
    text = as_answered(problem, completion)
    if text is None:
        return None
    if problem.language != "python":
        end = next((at for at, character in enumerate(text) if character in ";{}"), 0)
        return text[: end + 1] if end else text
    continued = Continued("python", problem.stub)
    end = text.find("\n", 1)
    while end > 0 and continued.cost < MAX_PARSED:
        if not has_error(continued.tree(text[:end]).root_node):
            return text[:end].rstrip()
        end = text.find("\n", end + 1)
    return text  # upstream looks behind the end where all of it parses, fails there, and keeps all of it


def function_bodies(prompt: str, answer: str, target: str) -> tuple[str, str]:
    """What Qwen's evaluation compares in function tasks, for an answer and a target; Python.

    The answer loses characters from its end until nothing in prompt and answer is an error, and its blanks there. Then
    it is the whole body of the function that the prompt leaves open: what the prompt has of it comes too. The same of
    the target, but where a step fails the answer stays as it was before it and the target as it is.
    """
    continued = Continued("python", prompt)
    parsing = _longest_that_parses(continued, answer)
    if parsing is None:
        return answer, target
    defined = _functions(continued.tree("pass").root_node)
    body = None if defined is None else _body(continued, parsing, len(defined) - 1)
    if defined is None or body is None:
        return parsing, target
    wanted = _body(continued, target, len(defined) - 1)
    return body, target if wanted is None else wanted


def _longest_that_parses(continued: Continued, answer: str) -> str | None:
    for end in range(len(answer), -1, -1):
        if continued.cost >= MAX_PARSED:
            return None
        if not has_error(continued.tree(answer[:end]).root_node):
            return answer[:end].rstrip()
    return None


def _body(continued: Continued, text: str, which: int) -> str | None:
    """Of the function of this index behind prompt and text. As upstream, no function in the prompt means the last."""
    functions = _functions(continued.tree(text).root_node)
    if not functions or which >= len(functions):
        return None
    return (functions[which].children[-1].text or b"").decode("utf-8", "replace")


def _functions(root: Node) -> list[Node] | None:
    """All definitions in the document's order; None where one has no body, for upstream then gives up."""
    below = nodes(root, lambda node: node.has_error or node.type not in _FLAT)
    found = [node for node in below if node.type == "function_definition"]
    return found if all(node.children[-1].type == "block" for node in found) else None
