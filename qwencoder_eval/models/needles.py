"""A prompt with a needle: code as tokens, a function between two of its lines, and a question, as long as asked for.

Files come from the haystack's beginning and are cut where the prompt is full, to the token: its last line may be broken
off. The needle stands at the line boundary nearest to its depth, a blank line before and behind it; depth 0 is the
first file's first line, never before its title. What looks like a special token in a file is plain text.

Each file is tokenized once for all prompts, so tokens at seams (a title, the needle) are those of pieces on their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..errors import UsageError
from ..types import Needle
from .profiles import ModelProfile

PLAIN = "# {path}\n{text}\n"
HERE = "qceval-puts-code-here-51c8"  # stands for the code while a chat template renders it
Encode = Callable[[str], list[int]]


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """What is needed of one: of text in which special tokens are plain, and in which they are themselves; and back."""

    plain: Encode
    special: Encode
    shown: Callable[[list[int]], str]

    def behind_newline(self, text: str) -> list[int]:
        """Tokens of a text that begins a line: some tokenizers put a blank in front of a text's first word."""
        lead = self.plain("\n")
        whole = self.plain("\n" + text)
        return whole[len(lead) :] if whole[: len(lead)] == lead else self.plain(text)


class Laid:
    """A haystack's tokens, as far as they were needed so far."""

    def __init__(self, files: Iterator[tuple[str, str]], template: str, tokenizer: Tokenizer) -> None:
        self.tokens: list[int] = []
        self.first = 0  # where the first file's first line begins
        self._files, self._tokenizer = files, tokenizer
        self._title, _, self._end = template.partition("{text}")

    def upto(self, count: int) -> int:
        """Have that many tokens, or all there are; returns how many there are."""
        while len(self.tokens) < count and (file := next(self._files, None)) is not None:
            path, text = file
            self.tokens += self._tokenizer.special(self._title.format(path=path))
            self.first = self.first or len(self.tokens)
            self.tokens += self._tokenizer.behind_newline(text) + self._tokenizer.plain(self._end)
        return len(self.tokens)


def template_of(profile: ModelProfile, prompt: Needle) -> str:
    return profile.file if prompt.form == "repository" else PLAIN


def ends(profile: ModelProfile, prompt: Needle, chat: Callable[[str], str]) -> tuple[str, str]:
    """What stands before the code and behind it. ``chat``: a user's message as the model's template has it."""
    if prompt.form == "chat":
        before, _, behind = chat(f"{prompt.before}{HERE}\n{prompt.ask}").partition(HERE)
        return before, behind
    title = template_of(profile, prompt).partition("{text}")[0].format(path=prompt.path)
    repository = profile.repository.format(repository=prompt.haystack.name) if prompt.form == "repository" else ""
    return repository + prompt.before, f"\n{title}{prompt.ask}"


def with_needle(prompt: Needle, laid: Laid, before: list[int], behind: list[int], tokenizer: Tokenizer) -> list[int]:
    """The prompt's tokens, exactly as many as it asks for.

    Raises UsageError where the haystack has too few tokens, or the needle and the question alone have too many.
    """
    needle = tokenizer.plain(f"\n{prompt.text}\n")
    room = prompt.tokens - len(before) - len(behind) - len(needle)
    there = laid.upto(room)
    if room <= laid.first:
        least = prompt.tokens - room + laid.first
        raise UsageError(
            f"a prompt of {prompt.tokens} tokens has no room for code: needle and question have {least} of this "
            "model's; choose a longer grid"
        )
    if there < room:
        total = there + prompt.tokens - room
        raise UsageError(
            f"the haystack {prompt.haystack.name} ends after {total} of {prompt.tokens} tokens of this model's; name a "
            "larger one with --haystack DIR, or a shorter grid such as needle-in-the-code:64k"
        )
    at, left, right = boundary(laid, max(laid.first, round(prompt.depth * room)), room, tokenizer)
    tokens = laid.tokens
    if not right:
        return [*before, *tokens[:at], *needle, *tokens[at:room], *behind]
    code = [*left, *needle, *right, *tokens[at:room]]
    return [*before, *tokens[: at - 1], *code[: prompt.tokens - len(before) - len(behind) - at + 1], *behind]


def boundary(laid: Laid, wanted: int, end: int, tokenizer: Tokenizer) -> tuple[int, list[int], list[int]]:
    """The place nearest to ``wanted`` where a line ends: so many tokens come first.

    Where the last of them goes on with the next line's indentation, it is made of two parts, which are returned too.
    """
    for distance in range(end):
        for at in (wanted - distance, wanted + distance):
            if laid.first < at <= end and (cut := lines_end(tokenizer.shown([laid.tokens[at - 1]]))) is not None:
                left, right = cut
                if not right:
                    return at, [], []
                parts = tokenizer.plain(left), tokenizer.plain(right)
                if sum(map(len, parts)) - 1 <= end - at:  # what they add, the haystack's end gives
                    return at, *parts
        if wanted - distance <= laid.first:
            return laid.first, [], []
    return laid.first, [], []


def lines_end(token: str) -> tuple[str, str] | None:
    """A token up to its last newline and behind it, or None where there is none."""
    found = re.fullmatch(r"(?s)(.*\n)([ \t]*)", token)
    return (found[1], found[2]) if found else None
