"""How alike two texts of code are: exact matches, edit similarities, identifiers. A name a rule, with its source.

All values are fractions between 0 and 1, and no text raises. The work is bounded: everything but the similarities is
linear in the text, and those are of the first ``MOST`` characters, far more than any model answers with. Sources:

qwen      QwenLM/Qwen3-Coder at 0ae30f5, qwencoder-eval/base/benchmarks/fim-bench/eval_metric.py
cceval    amazon-science/cceval at 25f9cab, scripts/eval_metric.py, eval_utils.py and keywords/
repoeval  microsoft/CodeT at 35f54d6, RepoCoder/compute_score.py
"""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Sequence

MOST = 100_000  # characters of each text
MOST_PAIRS = 1_000_000  # characters of one text times those of the other, for difflib: its worst case is cubic
WORD = re.compile(r"\w+")
IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
QUOTE = re.compile("[\"']")
INSIDE = {quote: re.compile(rf"(?:[^{quote}\\]|\\.)*+") for quote in "\"'"}  # of a string; a newline cannot be escaped
COMMENT = re.compile(r"(#|//).*")
# As cceval lists them: literals are no keywords, but for Python's None.
WORDS = {
    "python": " ".join({*keyword.kwlist} - {"True", "False"}),
    "java": """
        abstract assert boolean break byte case catch char class continue default do double else enum extends final
        finally float for if implements import instanceof int interface long native new package private protected
        public return short static strictfp super switch synchronized this throw throws transient try void volatile
        while var const goto
    """,
    "csharp": """
        abstract as base bool break byte case catch char checked class const continue decimal default delegate do
        double else enum event explicit extern finally fixed float for foreach goto if implicit in int interface
        internal is lock long namespace new null object operator out override params private protected public
        readonly ref return sbyte sealed short sizeof stackalloc static string struct switch this throw try typeof
        uint ulong unchecked unsafe ushort using virtual void volatile while
    """,
    "typescript": """
        break case catch class const continue debugger default delete do else export extends finally for function if
        import in instanceof new return super switch this throw try typeof var void while with yield enum implements
        interface let package private protected public static
    """,
}
KEYWORDS = {language: frozenset(words.split()) for language, words in WORDS.items()}


def words_and_signs(code: str) -> list[str]:
    """Identifiers split at camel case, every other sign on its own, both kinds of quotes as one (qwen)."""
    code = re.sub(r"([^A-Za-z0-9_])", r" \1 ", code)
    code = re.sub(r"([a-z])([A-Z])", r"\1 \2", code)
    code = re.sub(r"\s+", " ", code).replace('"', "`").replace("'", "`")
    return [token for token in code.split(" ") if token]


def equal_tokens(answer: str, target: str) -> bool:
    """Exact match as Qwen counts it: laxer than that of texts (qwen)."""
    return words_and_signs(answer) == words_and_signs(target)


def stripped_lines(code: str) -> list[str]:
    """Lines that are not blank, without the blanks around them; split at newlines alone (cceval)."""
    return [line.strip() for line in code.split("\n") if line.strip()]


def equal_lines(answer: str, target: str) -> bool:
    """Exact match of what is written, line by line (cceval)."""
    return stripped_lines(answer) == stripped_lines(target)


def as_many_lines(answer: str, target: str) -> tuple[str, str]:
    """Both without blank lines and indentation, the answer cut to the target's number of lines (repoeval)."""
    wanted = [line.strip() for line in target.splitlines() if line.strip()]
    given = [line.strip() for line in answer.splitlines() if line.strip()][: len(wanted)]
    return "\n".join(given), "\n".join(wanted)


def edit_ratio(answer: str, target: str) -> float:
    """fuzzywuzzy's ``fuzz.ratio`` of the stripped texts, a whole per cent, with Levenshtein installed (qwen).

    That is 0.25.0 (base/requirements/bigcodebench-eval.txt): 1 minus the insertions and deletions over both lengths, a
    half rounded to even. Two empty texts are alike.
    """
    from rapidfuzz.distance import Indel

    answer, target = answer.strip()[:MOST], target.strip()[:MOST]
    return round(100 * Indel.normalized_similarity(answer, target)) / 100


def edit_ratio_difflib(answer: str, target: str) -> float:
    """The same where Levenshtein is not installed, as it is not among cceval's requirements: difflib's blocks (cceval).

    Differs where the longest common block is no part of the longest common subsequence, and where the target has 200
    characters or more, of which frequent ones count as junk. Texts past ``MOST_PAIRS`` get what ``edit_ratio`` says.
    """
    answer, target = answer.strip()[:MOST], target.strip()[:MOST]
    if answer == target:
        return 1.0
    if len(answer) * len(target) > MOST_PAIRS:
        return edit_ratio(answer, target)
    return round(100 * difflib.SequenceMatcher(None, answer, target).ratio()) / 100


def edit_similarity(answer: str, target: str) -> float:
    """1 minus Levenshtein's distance over the longer length (repoeval); 0 for two empty texts, as qwen counts it."""
    from rapidfuzz.distance import Levenshtein

    answer, target = answer[:MOST], target[:MOST]
    longer = max(len(answer), len(target))
    return 1 - Levenshtein.distance(answer, target) / longer if longer else 0.0


def without_comments(code: str) -> str:
    """Each line up to the first # or //, in strings too, whatever the language (cceval)."""
    return COMMENT.sub("", code)


def without_strings(code: str) -> str:
    """Without what stands between two quotes of a kind, whatever the language; the quotes go too (cceval).

    A quote that nothing closes stays, and so does what follows it. Upstream's pattern looks on from each such quote
    to the end, which is quadratic; where one has found no end, the next of its kind before there finds none either.
    """
    kept: list[str] = []
    start = at = 0
    hopeless = {'"': 0, "'": 0}  # up to where a quote of this kind is not closed
    while quote := QUOTE.search(code, at):
        at, kind = quote.end(), quote[0]
        if at <= hopeless[kind]:
            continue
        end = INSIDE[kind].match(code, at).end()  # type: ignore[union-attr]  # it matches the empty text
        if code.startswith(kind, end):
            kept.append(code[start : quote.start()])
            start = at = end + 1
        else:
            hopeless[kind] = end
    return "".join([*kept, code[start:]])


def identifiers(code: str, language: str) -> list[str]:
    """Words outside strings that begin like an identifier and are no keyword, in order (cceval)."""
    words = WORD.findall(without_strings(code))
    return [word for word in words if IDENTIFIER.match(word) and word not in KEYWORDS[language]]


def identifier_f1(answer: Sequence[str], target: Sequence[str]) -> float:
    """F1 of the two sets; 0 where both are empty (cceval)."""
    given, wanted = set(answer), set(target)
    return 2 * len(given & wanted) / (len(given) + len(wanted)) if given or wanted else 0.0
