"""Answers to MultiPL-E: from a completion to what stands in front of the tests, by MultiPL-E's rule and Qwen's three.

A program is the extraction's answer, a newline, ``Problem.fields["tests"]``. Rules: nuprl/MultiPL-E at 360c344,
``automodel_vllm.py``; QwenLM/Qwen3-Coder at 0ae30f5, ``qwencoder-eval/base/benchmarks/multiple-eval`` and
``qwencoder-eval/instruct/multipl_e/chat/evaluate.py``, and at 287d46c, ``evaluation/multipl_e/chat/evaluate.py``.

Qwen's have quirks that published numbers rest on; they are kept. On some texts Qwen's code raises and the whole
evaluation ends, so no number rests on these: here the step that cannot be done is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ..types import Completion, Problem
from .braces import cut_at_brace, head_and_block, only_block, open_braces, without_block
from .programs import MAX_CODE

# What Qwen's evaluations put in front, in the order given there.
_PYTHON_BASE = (
    "import math\nimport re\nimport sys\nimport copy\nimport datetime\nimport itertools\nimport collections\n"
    "import heapq\nimport functools\nimport hashlib\nimport numpy\nimport numpy as np\nimport string\n"
    "from typing import *\nfrom collections import *\n"
)
_PYTHON_INSTRUCT = _PYTHON_BASE.replace("import functools\n", "import statistics\nimport functools\n")
_CPP_BASE = "stdlib.h algorithm math.h stdio.h vector string climits cstring iostream cassert"
_CPP_INSTRUCT = (
    "cassert stdlib.h algorithm cmath math.h numeric stdio.h vector set map queue stack list deque boost/any.hpp "
    "string climits cstring iostream sstream fstream"
)
_CPP_LATER = f"optional {_CPP_INSTRUCT}"
_CS_BASE = (
    "using System.Numerics;\nusing System.Diagnostics;\nusing System.Collections.Generic;\nusing System.Linq;\n"
    "using System.Text;\nusing System.Security.Cryptography;\nusing System.Collections.Generic;\n"
)
_CS_INSTRUCT = f"using System;\n{_CS_BASE}"
_JAVA_INSTRUCT = (
    "import java.util.*;\nimport java.lang.reflect.*;\nimport org.javatuples.*;\nimport java.security.*;\n"
    "import java.math.*;\nimport java.io.*;\nimport java.util.stream.*;\n"
)

_PYTHON_STOPS = ("\ndef", "\nclass", "\nif", "\n#", "\nprint")  # instead of the row's
_TS_STOPS = ("\nexport", "\nimport", "\nconsole.log")  # beside the row's

# What is in front of the brackets of the first C++ function that opens its body at the end of a line.
_CPP_SIGNATURE = re.compile(r"(?<!\S)(\S++\s++\w++)\s*+\([^\n]*\)\s*\{\n")

_MAIN = {"d": "void main(", "rs": "fn main(", "scala": "def main("}


def continued(problem: Problem, completion: Completion) -> str | None:
    """The row's prompt as it is and the completion up to the first of the row's stop tokens. Rule: MultiPL-E.

    None for a text that is too long; a whole program stays as it is.
    """
    if len(completion.text) > MAX_CODE:
        return None
    if completion.form == "whole":
        return completion.text
    return problem.stub + cut(completion.text, problem.fields["stop"])


def qwen_base(problem: Problem, completion: Completion) -> str | None:
    """The row's prompt, a newline, and the completion up to the first stop of its language; imports in front of all.

    Rule: Qwen3-Coder, ``cleanup_code`` and ``process_humaneval_test`` of the base evaluation, for C++, C#, Go, Java,
    JavaScript, PHP, Python, shell and TypeScript. Other languages make it raise; here they get no imports.
    Quirks: the newline follows a prompt that ends with one; a C++ include is missing where the *prompt* has it;
    Python and TypeScript have stops of their own. Its programs end with ``?>`` in PHP, with a newline in Python.

    None for a text that is too long; a whole program is not cut.
    """
    if len(completion.text) > MAX_CODE:
        return None
    language = problem.fields["code"]
    code = completion.text
    if completion.form != "whole":
        code = f"{problem.stub}\n{cut(code, _qwen_stops(language, problem.fields['stop']))}"
    match language:
        case "cpp":
            return f"{_includes(_CPP_BASE, problem.stub)}\n{code}"
        case "cs":
            return f"{_CS_BASE}\n{code}"
        case "php" if not code.startswith("<?php"):
            return f"<?php\n{code}"
        case "py" | "python":
            return _PYTHON_BASE + code
    return code


def qwen_instruct(problem: Problem, completion: Completion) -> str | None:
    """The first fenced block of an answer, or all of it, made to fit in front of the tests.

    Rule: Qwen3-Coder at 287d46c, ``extract_func`` of the instruct evaluation, for C++, C#, Go, Java, JavaScript, PHP,
    Python, shell and TypeScript: the one of May to September 2024, which Qwen2's published totals come of. Other
    languages make it raise; the rule for them, ``_other``, is ours.

    None for a text that is too long.
    """
    text, language = completion.text, problem.fields["code"]
    if len(text) > MAX_CODE:
        return None
    if language == "cpp":
        return _cpp(problem, text)
    return _INSTRUCT.get(language, _other)(problem, _first_block_or_all(text))


def qwen_instruct_later(problem: Problem, completion: Completion) -> str | None:
    """As ``qwen_instruct``, by Qwen's rule since: C++, Java, Python and shell differ.

    Rule: Qwen3-Coder at 0ae30f5. C++'s is that of 0a8f7b5 (December 2024): an answer with no more than a function's
    body, as Qwen2 writes them, never passes. In between, from dc5af29 on, C++ had yet another rule.

    None for a text that is too long.
    """
    if len(completion.text) > MAX_CODE:
        return None
    return _LATER.get(problem.fields["code"], _other)(problem, _first_block_or_all(completion.text))


def cut(text: str, stops: Iterable[str]) -> str:
    """What is in front of the first of ``stops``; all of it where there is none."""
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=None)]


def first_block(text: str) -> str | None:
    """What is between the first three backticks, with the rest of their line, and the next three; None without both.

    Rule: Qwen3-Coder's instruct evaluation; not CommonMark's, see ``fences``. Backticks count anywhere in a line, so
    inline code opens a block and a string can close it; tildes do not count; the newline in front of the closing
    backticks stays; a block that nothing closes is none.
    """
    _, _, behind = text.partition("```")
    _, _, behind = behind.partition("\n")
    content, closing, _ = behind.partition("```")
    return content if closing else None


def _first_block_or_all(text: str) -> str:
    block = first_block(text)
    return text if block is None else block


def _cpp(problem: Problem, text: str) -> str:
    """The function by the prompt's signature, with the includes in front, wherever in the answer it is; else the block.

    The prompt comes in front where the tests' name is not in the code. Quirk: letters in the body will do, a recursive
    call or part of a word ("eat" in "eaten"), and such a body alone does not compile.
    """
    signature = _CPP_SIGNATURE.search(problem.stub)
    code = head_and_block(text, signature[1]) if signature else None
    if code is None:
        code = _first_block_or_all(text)
    name = _captured(problem.fields["tests"], "auto candidate = ", ";\n")
    if name is not None and name not in code:
        code = problem.stub + code
    namespace = "" if "using namespace std;" in code else "using namespace std;\n"
    return cut_at_brace(f"{namespace}{_includes(_CPP_INSTRUCT, code)}\n{code}\n", 1)


def _cpp_later(problem: Problem, code: str) -> str:
    """The prompt is never put in front, and ``using namespace std;`` goes from all tasks but two."""
    code = without_block(code, "main()")
    if not problem.fields["name"].startswith(("HumanEval_147_", "HumanEval_159_")):
        code = code.replace("using namespace std;", "")
    return cut_at_brace(f"{_includes(_CPP_LATER, code)}\n{code}\n", 1)


def _cs(problem: Problem, code: str) -> str:
    """With a Main that does not close, the answer stays as it is, without imports."""
    block = code
    head = "\n".join(line for line in code.split("\n") if line.startswith("using"))
    name = _captured(problem.fields["tests"], "Debug.Assert(", "(", "))")
    if name is not None and f" {name}(" not in code:
        code = problem.stub + code
    elif "class Problem" not in code:
        code = "class Problem {\n" + code
        code += "}\n" * open_braces(code)
    code = only_block(code, "class Problem")
    outside = without_block(code, "static void Main")
    if outside == code and "static void Main" in code:
        return block
    return f"{head}\n{_CS_INSTRUCT}{cut_at_brace(outside, 2)}"


def _go(problem: Problem, code: str) -> str:
    name = _captured(problem.fields["tests"], "candidate := ", "\n")
    return code if name is None or f"func {name}" in code else problem.stub + code


def _java(problem: Problem, code: str) -> str:
    """Nothing is cut where the difference of opening and closing braces is neither none nor one."""
    name = _captured(problem.fields["tests"], "assert(", "(", "));\n")
    if name is not None and _captured(code, "public static ", f" {name}(", ")") is None:
        code = f"{problem.stub}\n{code}"
    elif "class Problem" not in code:
        code = "class Problem {\n" + code
    code = without_block(code, "public static void main")
    if (opened := open_braces(code)) in (0, 1):
        code = cut_at_brace(code, 2 - opened)
    return _JAVA_INSTRUCT + code


def _java_later(problem: Problem, code: str) -> str:
    return _java(problem, code).replace("public class Problem", "class Problem")


def _js(problem: Problem, code: str) -> str:
    """Any function will do."""
    return code if "function " in code else problem.stub + code


def _php(problem: Problem, code: str) -> str:
    """The name is what follows the first "function " of the prompt, be that in a comment.

    Then no answer without that comment has it, and a whole function gets the prompt in front, which PHP refuses.
    """
    code = code.replace("?>", "")
    name = _captured(problem.stub, "function ", "(", ")")
    if name is not None and f"function {name}" not in code:
        code = problem.stub + code
    return code if "<?php" in code else f"<?php\n{code}"


def _python(problem: Problem, code: str) -> str:
    """Without a function in the task's id the name is what the first assert with a call has in front of its bracket.

    So it is in HumanEval's own rows; the name can be ``tuple``, ``math.fabs`` or prose. It counts anywhere in the code.
    """
    name = _function(problem)
    if not name:
        asserted = (_captured(line, "assert ", "(", ")") for line in problem.fields["tests"].split("\n"))
        name = next((found for found in asserted if found is not None), "")
    return _PYTHON_INSTRUCT + (code if name in code else problem.stub + code)


def _python_later(problem: Problem, code: str) -> str:
    return _python(problem, code.replace("```", ""))


def _sh(problem: Problem, code: str) -> str:
    """The name counts anywhere in the code: the body of a recursive function stays without its head."""
    return cut_at_brace(code if _function(problem) in code else problem.stub + code, 1)


def _sh_later(problem: Problem, code: str) -> str:
    return cut_at_brace(code if f"{_function(problem)}()" in code else problem.stub + code, 1)


def _ts(problem: Problem, code: str) -> str:
    """The word "function" will do, wherever it is."""
    return code if "function" in code else problem.stub + code


def _other(problem: Problem, code: str) -> str:
    """Ours, modelled on the other languages: no published number rests on it.

    The prompt comes in front where the code does not hold the function's name, in snake case or camel case. What the
    tests bring goes: a main function, and the closing braces they begin with.
    """
    if _spelled(_function(problem)) not in _spelled(code):
        code = f"{problem.stub}\n{code}"
    if marker := _MAIN.get(problem.fields["code"]):
        code = without_block(code, marker)
    tests = problem.fields["tests"]
    surplus = -open_braces(tests) - open_braces(code)
    return cut_at_brace(code, surplus) if surplus > 0 and tests.lstrip().startswith("}") else code


_INSTRUCT: dict[str, Callable[[Problem, str], str]] = {
    "cs": _cs,
    "go": _go,
    "java": _java,
    "js": _js,
    "php": _php,
    "py": _python,
    "python": _python,
    "sh": _sh,
    "ts": _ts,
}
_LATER = _INSTRUCT | {
    "cpp": _cpp_later,
    "java": _java_later,
    "py": _python_later,
    "python": _python_later,
    "sh": _sh_later,
}


def _qwen_stops(language: str, stops: tuple[str, ...]) -> tuple[str, ...]:
    match language:
        case "py" | "python":
            return _PYTHON_STOPS
        case "ts":
            return (*stops, *_TS_STOPS)
    return stops


def _includes(headers: str, text: str) -> str:
    """A line for each header that ``text`` does not include in just these words."""
    lines = (f"#include<{header}>" for header in headers.split())
    return "".join(f"{line}\n" for line in lines if line not in text)


def _captured(text: str, before: str, *after: str) -> str | None:
    """What is between ``before`` and the first of ``after``; None where these do not all follow one another."""
    _, _, text = text.partition(before)
    found, mark, text = text.partition(after[0])
    for part in after[1:]:
        _, mark, text = text.partition(part)
    return found if mark else None


def _function(problem: Problem) -> str:
    """The function in an id such as ``HumanEval_0_has_close_elements``; "" in another id."""
    return "_".join(problem.fields["name"].split("_")[2:])


def _spelled(text: str) -> str:
    return text.replace("_", "").casefold()
