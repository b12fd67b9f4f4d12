"""Model profiles: how a family of models wants to be asked, as data in profiles.toml.

Chosen by what the model's own files say first and by its name second; ``--model-profile`` overrides that, and every run
records which it was and why.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from ..errors import UsageError

CHAT_NAMES = re.compile(r"(?i)(?<![a-z])(instruct|chat|it|dpo|sft|assistant)(?![a-z])|^(gpt-|o\d|claude|gemini)")
Kind = Literal["base", "chat"]


@dataclass(frozen=True)
class ModelProfile:
    """The formats are ``str.format`` templates; see profiles.toml for what each field means."""

    name: str
    match: Mapping[str, Any] = field(default_factory=dict)
    infill: str = ""
    repository: str = ""
    file: str = ""
    target: str = ""
    stop: tuple[str, ...] = ()
    infill_stop: tuple[str, ...] = ()
    think: tuple[str, ...] = ()

    def thoughts_and_answer(self, text: str, opened: bool = False) -> tuple[str, str]:
        """What a model wrote for itself, and what it answers. A block that nothing closes leaves no answer.

        ``opened``: the prompt ended with the opening mark.
        """
        if not self.think:
            return "", text
        start, end = self.think
        stripped = text.lstrip()
        if not opened and not stripped.startswith(start):
            return "", text
        thoughts, closed, answer = text.partition(end)
        return (thoughts + closed, answer.lstrip("\n")) if closed else (text, "")


@cache
def model_profiles() -> dict[str, ModelProfile]:
    with Path(__file__).with_name("profiles.toml").open("rb") as file:
        tables = tomllib.load(file)
    lists_to_tuples: dict[str, dict[str, Any]] = {
        name: {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
        for name, table in tables.items()
    }
    return {name: ModelProfile(name, **table) for name, table in lists_to_tuples.items()}


def named(name: str) -> ModelProfile:
    """Raises UsageError."""
    if name not in model_profiles():
        raise UsageError(f"--model-profile {name}: unknown; choose {', '.join(model_profiles())}")
    return model_profiles()[name]


def by_files(model_type: str, vocabulary: Collection[str], name: str) -> tuple[ModelProfile, str]:
    """The profile that a model's files speak for, and why it was chosen."""
    fitting = [
        profile
        for profile in model_profiles().values()
        if profile.match
        and model_type in profile.match["model_type"]
        and all(token in vocabulary for token in profile.match["tokens"])
    ]
    for profile in fitting:
        if len(fitting) == 1 or re.search(profile.match.get("name", ""), name.lower()):
            return profile, f"model type {model_type}, with {profile.match['tokens'][0]} in its vocabulary"
    return model_profiles()["generic"], f"no profile fits model type {model_type or 'unknown'} and its vocabulary"


def by_name(name: str) -> tuple[ModelProfile, str]:
    """For a model of whose files nothing is known, such as one behind a server."""
    plain = re.sub(r"[^a-z0-9.]+", "-", name.lower())
    for profile in model_profiles().values():
        if profile.match and profile.name in plain:
            return profile, f"the name {name}"
    return model_profiles()["generic"], f"nothing is known of {name}"


def kind_by_name(name: str) -> Kind:
    return "chat" if CHAT_NAMES.search(name.rsplit("/", 1)[-1]) else "base"
