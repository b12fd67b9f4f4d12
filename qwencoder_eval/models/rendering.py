"""From a prompt to the tokens that a model is given: chat template, infilling format, budgets, end tokens."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..datasets import haystacks
from ..errors import InfrastructureError, InputError, UsageError
from ..types import Chat, Choice, Continue, Infill, Message, Needle, Prompt, is_chat
from . import needles
from .checkpoint import Checkpoint, files_digest
from .profiles import Kind, ModelProfile, by_files, kind_by_name, named

PREFILL = "qceval-cuts-here-7f3a"  # stands for the end of an open answer while a template renders it
ASKED = {"base": "a text to continue", "chat": "a chat"}


def kind_for(prompt: Prompt) -> Kind | None:
    """The kind of model that a prompt is for, None where both will do."""
    if is_chat(prompt):
        return "chat"
    return "base" if isinstance(prompt, (Continue, Needle)) else None


def check_formats(profile: ModelProfile, prompt: Prompt) -> None:
    """Raises UsageError where the model's profile has no format for such prompts."""
    if isinstance(prompt, Infill) and not profile.infill:
        wanted = "infilling"
    elif isinstance(prompt, Needle) and prompt.form == "repository" and not profile.file:
        wanted = "the files of a repository"
    else:
        return
    raise UsageError(
        f"the benchmark asks for {wanted}, and the profile {profile.name} has no format for it; choose another "
        "--model-profile"
    )


@dataclass(frozen=True, slots=True)
class Rendered:
    """Token ids; ``text`` is what they stand for, special tokens included. ``thinking``: the prompt opens a thought."""

    tokens: tuple[int, ...]
    text: str
    stop_tokens: tuple[int, ...] = ()
    continuations: tuple[tuple[int, ...], ...] = ()
    thinking: bool = False


class Renderer:
    """One model's tokenizer and profile. Not safe for threads."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        name: str,
        profile_name: str | None = None,
        kind: Kind | None = None,
        system: str | None = None,
        template: Path | None = None,
        force: bool = False,
    ) -> None:
        """Raises InputError and InfrastructureError where the tokenizer cannot be used."""
        self.checkpoint, self.system, self.force = checkpoint, system, force
        checkpoint.config  # noqa: B018  what is said of a broken one is said before anything heavy is imported
        self.tokenizer = load_tokenizer(checkpoint.path)
        if template is not None:
            try:
                self.tokenizer.chat_template = template.read_text()
            except (OSError, ValueError) as error:
                raise InputError(f"--chat-template {template}: cannot be read ({error}); give a Jinja file") from None
        self.template_digest = files_digest([template]) if template else ""
        if profile_name:
            self.profile, self.why = named(profile_name), "--model-profile"
        else:
            model_type = str(checkpoint.config.get("model_type", ""))
            self.profile, self.why = by_files(model_type, self.vocabulary, name)
        self.kind: Kind = kind or self._kind(name)
        self._laid: dict[tuple[str, str], needles.Laid] = {}

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Kept, as a tokenizer makes it anew each time: a tenth of a second for 150,000 tokens."""
        return dict(self.tokenizer.get_vocab())

    def _kind(self, name: str) -> Kind:
        """Chat where the model's own end token is what its template ends an answer with; else as it is named."""
        if not self.tokenizer.chat_template:
            return "base"
        ends = self.own_ends
        try:
            marked = [{"role": "user", "content": "a"}, {"role": "assistant", "content": PREFILL}]
            text = self.tokenizer.apply_chat_template(marked, tokenize=False)
        except Exception:
            return kind_by_name(name)
        behind = str(text).rpartition(PREFILL)[2].lstrip()
        return "chat" if any(behind.startswith(self.tokenizer.convert_ids_to_tokens(end)) for end in ends) else "base"

    @cached_property
    def own_ends(self) -> set[int]:
        found = self.checkpoint.end_tokens()
        if self.tokenizer.eos_token_id is not None:
            found.add(int(self.tokenizer.eos_token_id))
        return found

    def key(self) -> dict[str, Any]:
        """What rendering rests on, besides the prompt."""
        profile = {name: value for name, value in asdict(self.profile).items() if name != "match"}
        key = {"tokenizer": self.checkpoint.tokenizer, "model_profile": profile, "system": self.system}
        return {**key, "chat_template": self.template_digest} if self.template_digest else key

    def check(self, prompt: Prompt) -> None:
        """Raises UsageError where this model is not one for such prompts."""
        check_formats(self.profile, prompt)
        if self.force:
            return
        wanted = kind_for(prompt)
        if wanted and wanted != self.kind:
            raise UsageError(
                f"the benchmark asks for {ASKED[wanted]}, and this is a {self.kind} model; choose another "
                f"--profile or model, say --kind {wanted} where that is wrong, or --force it"
            )
        if is_chat(prompt) and not self.tokenizer.chat_template:
            raise UsageError("the model has no chat template; give one with --chat-template FILE")

    def render(self, prompt: Prompt) -> Rendered:
        """Raises UsageError where the prompt cannot be rendered for this model, DatasetError without its haystack."""
        if isinstance(prompt, Needle):
            return self._needle(prompt)
        if isinstance(prompt, Choice):
            return self._choice(prompt)
        if isinstance(prompt, Continue):
            text = continued_text(prompt, self.budget)
            return self._rendered(text, self._encode(text, special=True), self._stop_tokens())
        if isinstance(prompt, Chat):
            text = self.chat_text(prompt)
            rendered = self._rendered(text, self._encode(text), self._stop_tokens())
            return replace(rendered, thinking=self._opens_thought(text))
        text = self.infill_text(prompt)
        return self._rendered(text, self._encode(text, special=True), self._stop_tokens(self.profile.infill_stop))

    def _opens_thought(self, text: str) -> bool:
        return bool(self.profile.think) and text.rstrip().endswith(self.profile.think[0])

    def _needle(self, prompt: Needle) -> Rendered:
        template = needles.template_of(self.profile, prompt)
        tokenizer = needles.Tokenizer(self._encode_plain, self._encode, self._shown)
        if (haystack := (prompt.haystack.sha256, template)) not in self._laid:
            self._laid[haystack] = needles.Laid(haystacks.read(prompt.haystack), template, tokenizer)
        before, behind = needles.ends(
            self.profile, prompt, lambda asked: self.chat_text(Chat((Message("user", asked),)))
        )
        first = self._encode(before, special=prompt.form != "chat")
        tokens = needles.with_needle(prompt, self._laid[haystack], first, self._encode(behind), tokenizer)
        stops = self._stop_tokens(self.profile.infill_stop if prompt.form == "repository" else ())
        return Rendered(
            tuple(tokens), self._shown(tokens), stops, thinking=is_chat(prompt) and self._opens_thought(behind)
        )

    def chat_text(self, prompt: Chat) -> str:
        messages = list(prompt.messages)
        if self.system is not None:
            messages = [Message("system", self.system), *(m for m in messages if m.role != "system")]
        plain = [asdict(message) for message in messages]
        prefill = messages[-1].role == "assistant"
        if prefill:  # rendered closed, and cut behind its last character
            plain[-1]["content"] += PREFILL
        if not self.tokenizer.chat_template:
            raise UsageError("the model has no chat template; give one with --chat-template FILE")
        try:
            text = str(self.tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=not prefill))
        except Exception as error:
            said = " ".join(str(error).split())[:200]
            raise UsageError(
                f"the chat template refuses these messages ({said}); give another --chat-template"
            ) from None
        if prefill and PREFILL not in text:
            raise UsageError("the chat template leaves out the opened answer; give another with --chat-template")
        return text.partition(PREFILL)[0] if prefill else text

    def infill_text(self, prompt: Infill) -> str:
        return infill_text(self.profile, prompt, self.budget, lambda text: len(self._encode(text)))

    def budget(self, text: str, tokens: int | None, keep_end: bool) -> str:
        """At most this many tokens of a text, from its end or its beginning."""
        if tokens is None:
            return text
        ids = self._encode(text)
        if len(ids) <= tokens:
            return text
        kept = ids[len(ids) - tokens :] if keep_end else ids[:tokens]
        return str(self.tokenizer.decode(kept, clean_up_tokenization_spaces=False))

    def _choice(self, prompt: Choice) -> Rendered:
        """Blanks at the context's end go to the continuations, and the pair is encoded as one text.

        The rule of lm-evaluation-harness, lm_eval/api/model.py, ``_encode_pair``.
        """
        context = prompt.context.rstrip()
        blanks = prompt.context[len(context) :]
        tokens = self._encode(context, special=True)
        wholes = [self._encode(context + blanks + text, special=True) for text in prompt.continuations]
        continuations = tuple(tuple(whole[len(tokens) :]) for whole in wholes)
        if not all(continuations):
            raise UsageError("a choice has a continuation of no tokens; give it some text")
        return Rendered(tuple(tokens), self._shown(tokens), (), continuations)

    def _encode(self, text: str, special: bool = False) -> list[int]:
        """``special``: with what the tokenizer puts in front of every text. Lone surrogates become U+FFFD."""
        clean = text.encode("utf-8", "replace").decode() if not text.isascii() else text
        return list(self.tokenizer(clean, add_special_tokens=special, truncation=False)["input_ids"])

    def _encode_plain(self, text: str) -> list[int]:
        """Of code that may name special tokens, and must not be cut by them."""
        clean = text.encode("utf-8", "replace").decode() if not text.isascii() else text
        asked = {"add_special_tokens": False, "truncation": False, "split_special_tokens": True}
        return list(self.tokenizer(clean, **asked)["input_ids"])

    def _rendered(self, text: str, tokens: Sequence[int], stop_tokens: tuple[int, ...]) -> Rendered:
        return Rendered(tuple(tokens), text, stop_tokens)

    def _shown(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def _stop_tokens(self, more: Sequence[str] = ()) -> tuple[int, ...]:
        stops = (*self.profile.stop, *more)
        named = {self.vocabulary[token] for token in stops if token in self.vocabulary}
        return tuple(sorted(self.own_ends | named))

    def pieces(self, rendered: Rendered) -> list[tuple[int, str, bool]]:
        """Each token of a prompt: id, text, and whether it is a special one."""
        special = {int(one) for one in self.tokenizer.all_special_ids} | {
            id for id, token in self.tokenizer.added_tokens_decoder.items() if token.special
        }
        return [(one, self._shown([one]), one in special) for one in rendered.tokens]

    def merging(self, rendered: Rendered, following: Sequence[str]) -> str | None:
        """The first of these continuations that changes the prompt's own last tokens, or None.

        A model was trained on the tokens of whole texts: a prompt that ends in the middle of one asks for something
        that it has hardly seen.
        """
        tokens = list(rendered.tokens)
        text = self._shown(tokens)
        plain = self._encode(text)
        for one in following:
            if self._encode(text + one)[: len(plain)] != plain:
                return one
        return None


def continued_text(prompt: Continue, budget: Callable[[str, int | None, bool], str]) -> str:
    """``budget``: as for ``infill_text``."""
    text = budget(prompt.text, prompt.text_tokens, True)
    return text if prompt.before is None else f"{budget(prompt.before, prompt.before_tokens, False)}\n{text}"


def infill_text(
    profile: ModelProfile,
    prompt: Infill,
    budget: Callable[[str, int | None, bool], str],
    count: Callable[[str], int] = len,
) -> str:
    """``budget``: a function of text, number of tokens or None, and whether the end is what is kept. ``count``: tokens.

    Raises UsageError where the profile has no format for other files of a repository.
    """
    if prompt.files and not profile.file:
        raise UsageError(f"the profile {profile.name} has no format for other files; choose another --model-profile")
    prefix = budget(prompt.prefix, prompt.prefix_tokens, True)
    suffix = budget(prompt.suffix, prompt.suffix_tokens, False)
    suffix += budget(prompt.retrieved, prompt.retrieved_tokens, False)
    first, last = prompt.around
    if not (prompt.files or prompt.path):
        return first + profile.infill.format(prefix=prefix, suffix=suffix) + last
    kept = by_relevance(prompt, budget, count) if prompt.by_relevance else prompt.files
    files = "".join(profile.file.format(path=path, text=text) for path, text in kept)
    if not prompt.by_relevance:
        files = budget(files, prompt.files_tokens, False)
    before = first + profile.repository.format(repository=prompt.repository) + files
    if profile.target:
        return before + profile.target.format(path=prompt.path, prefix=prefix, suffix=suffix) + last
    return before + profile.infill.format(prefix=prefix, suffix=suffix) + last


def by_relevance(
    prompt: Infill, budget: Callable[[str, int | None, bool], str], count: Callable[[str], int]
) -> list[tuple[str, str]]:
    """The files that fit into ``files_tokens`` together, the most relevant last; see ``Infill.by_relevance``.

    Titles count where a file is cut and not where it is whole, and what just fits is cut, as in QwenLM/Qwen3-Coder at
    0ae30f5, qwencoder-eval/base/benchmarks/ExecRepoBench/eval.py, ``get_prompt``.
    """
    kept: list[tuple[str, str]] = []
    left = prompt.files_tokens
    for path, text in prompt.files:
        titled = prompt.file_title.format(path=path) + text
        tokens = 0 if left is None else count(text)
        if left is not None and tokens >= left:
            kept.append((path, budget(titled, left, False).rpartition("\n")[0]))
            break
        kept.append((path, titled))
        left = None if left is None else left - tokens
    return kept[::-1]


def load_tokenizer(path: Path) -> Any:
    """A ``transformers`` tokenizer. Raises InfrastructureError without the library, InputError for broken files."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise InfrastructureError("transformers is not installed; pip install 'qwencoder_eval[hf]'") from None
    try:
        return AutoTokenizer.from_pretrained(path, local_files_only=True)
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: its tokenizer cannot be read ({said}); get the model again") from None
