"""Find benchmarks and load them when they are used. A listing reads files and runs none of them.

Three places, with the same rights: the project's own folder, folders named by ``--plugins`` or
``QCEVAL_PLUGINS``, and the entry-point group ``qwencoder_eval.benchmarks`` of installed packages.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib.util
import os
import re
import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from .config import bundled
from .errors import InputError, PluginError, QcevalError, UsageError

GROUP = "qwencoder_eval.benchmarks"


@dataclass(frozen=True)
class Entry:
    """What a listing knows of a benchmark without importing it. ``rows`` are the literal arguments of Rows."""

    name: str
    file: Path
    class_name: str
    version: str
    languages: tuple[str, ...]
    parts: tuple[str, ...]
    other_parts: str
    profiles: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    data_only: bool = False

    def has(self, part: str) -> bool:
        """Whether ``part`` names one of several parts, or, empty, the benchmark that has none or stands for itself."""
        if not part:
            return not self.parts or bool(self.other_parts)
        return part in self.parts or bool(self.other_parts and re.fullmatch(self.other_parts, part))


@dataclass
class Registry:
    """``refused`` are files that cannot be used, each with its reason; they take no others down."""

    entries: dict[str, Entry] = field(default_factory=dict)
    refused: list[PluginError] = field(default_factory=list)

    def load(self, name: str) -> Any:
        """The benchmark of this name, validated. Raises UsageError for an unknown one, PluginError for a bad one.

        One of several parts is named ``NAME:PART``.
        """
        whole, _, part = name.partition(":")
        if whole not in self.entries:
            close = difflib.get_close_matches(whole, self.entries, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "see qceval list, or name its folder with --plugins"
            for error in self.refused:
                if Path(error.file).stem == whole:
                    raise error
            raise UsageError(f"--bench {name}: unknown; {hint}")
        entry = self.entries[whole]
        if not entry.has(part):
            known = f"{whole}:{'|'.join(entry.parts)}" if entry.parts else whole
            alone = f", or {whole} alone" if entry.parts else ""
            known += f"{alone}, or {whole}:PART of the form {entry.other_parts}" if entry.other_parts else ""
            raise UsageError(f"--bench {name}: {'unknown part' if part else 'several parts'}; it is {known}")
        return load(entry, part)

    def expand(self, names: str) -> list[str]:
        """The benchmarks that a list names: ``a,b:x,y,c`` is a, parts x and y of b, and c; ``b`` alone is all of it."""
        found: list[str] = []
        of = ""  # the benchmark whose part was named last
        for name in filter(None, (name.strip() for name in names.split(","))):
            whole, _, part = name.partition(":")
            if of and not part and whole not in self.entries:
                found.append(f"{of}:{whole}")
                continue
            of = whole if part else ""
            entry = self.entries.get(whole)
            all_of = entry and not part and not entry.has("")
            found += [f"{whole}:{each}" for each in entry.parts] if entry and all_of else [name]
        return list(dict.fromkeys(found))


def discover(plugins: Iterable[Path] = ()) -> Registry:
    """All benchmarks there are. A name that is taken is refused, not overridden."""
    registry = Registry()
    named = [Path(part) for part in os.environ.get("QCEVAL_PLUGINS", "").split(os.pathsep) if part]
    for folder in [bundled("benchmarks"), *named, *plugins]:
        if not folder.is_dir():
            raise InputError(f"--plugins {folder}: not a folder; give the folder that holds the benchmark's file")
        for file in sorted(folder.glob("*.py")):
            if not file.name.startswith("_"):
                add(registry, file)
    from importlib.metadata import entry_points

    for point in entry_points(group=GROUP):
        found = installed(point.value.partition(":")[0].strip())
        if found is None:
            registry.refused.append(PluginError(point.value, "module", "not found", f"reinstall {point.name}"))
        else:
            add(registry, found)
    return registry


def installed(module: str) -> Path | None:
    """The file of an installed module, found without importing the packages that it lies in."""
    top, *parts = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:
        return None
    name = top
    for part in parts:
        if spec is None or spec.submodule_search_locations is None:
            return None
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, spec.submodule_search_locations)
    return Path(spec.origin) if spec and spec.origin else None


def add(registry: Registry, file: Path) -> None:
    try:
        entries = read(file)
        for entry in entries:
            if (first := registry.entries.get(entry.name)) and first.file != entry.file:
                raise PluginError(str(file), "name", f"{entry.name!r} is taken by {first.file}", "choose another name")
    except PluginError as error:
        registry.refused.append(error)
    else:
        registry.entries.update((entry.name, entry) for entry in entries)


def read(file: Path) -> list[Entry]:
    """The benchmarks that a file declares, from its text alone. Raises PluginError."""
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(file.read_bytes())
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError) as error:
        line = f" in line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise PluginError(str(file), "file", f"{type(error).__name__}{line}", "make it a Python file") from None
    entries = []
    calls = [call for call in ast.walk(tree) if isinstance(call, ast.Call) and _called(call.func) == "Rows"]
    for node in tree.body:
        bases = {_called(base) for base in node.bases} if isinstance(node, ast.ClassDef) else set()
        if isinstance(node, ast.ClassDef) and bases & {"Benchmark", "DataOnly"}:
            data_only = "DataOnly" in bases
            fields: dict[str, ast.expr | None] = {}
            for statement in node.body:
                if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                    fields[statement.targets[0].id] = statement.value
                elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                    fields[statement.target.id] = statement.value
            parts = _literal(fields.get("parts")) or ()
            for needed in ("name", "version"):
                if not isinstance(_literal(fields.get(needed)), str):
                    raise PluginError(str(file), needed, "not a literal string", f'write {needed} = "..."')
            languages = _literal(fields.get("languages"))
            if not isinstance(languages, list | tuple | None) or not all(isinstance(x, str) for x in languages or ()):
                raise PluginError(
                    str(file), "languages", "not a literal tuple of strings", 'write languages = ("...",)'
                )
            other_parts = _literal(fields.get("other_parts")) or ""
            try:
                re.compile(other_parts)
            except (re.error, TypeError) as error:
                raise PluginError(
                    str(file), "other_parts", f"no pattern ({error})", "write a regular expression"
                ) from None
            profiles = fields.get("profiles")
            keys = profiles.keys if isinstance(profiles, ast.Dict) else []
            entries.append(
                Entry(
                    name=_literal(fields["name"]),
                    file=file.resolve(),
                    class_name=node.name,
                    version=_literal(fields["version"]),
                    languages=tuple(languages or parts or (() if data_only else ("python",))),
                    parts=tuple(parts),
                    other_parts=other_parts,
                    profiles=tuple(str(_literal(key)) for key in keys),
                    rows=tuple(
                        {k.arg: value for k in call.keywords if k.arg and (value := _readable(k)) is not None}
                        for call in calls
                    ),
                    data_only=data_only,
                )
            )
    if not entries:
        raise PluginError(str(file), "class", "no class derives from Benchmark", "declare class X(Benchmark)")
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise PluginError(str(file), "name", f"{name!r} twice", "choose another name")
    return entries


def _called(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _readable(argument: ast.keyword) -> Any:
    """An argument as the literal it is; of rows that stand in the file themselves at least how many."""
    if argument.arg == "inline":
        return [None] * len(argument.value.elts) if isinstance(argument.value, (ast.Tuple, ast.List)) else []
    return _literal(argument.value)


def _literal(node: ast.expr | None) -> Any:
    try:
        return None if node is None else ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None


def load(entry: Entry, part: str = "") -> Any:
    """Import a benchmark's file by its path and validate it. Raises PluginError."""
    from .benchmark import Benchmark, validate

    file = entry.file
    module_name = f"qceval_plugin_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    module = sys.modules.get(module_name)
    if module is None:
        spec = importlib.util.spec_from_file_location(module_name, file)
        assert spec
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        try:
            # Not by way of __pycache__: it would miss a change within the same second, and litter the user's folder.
            exec(compile(file.read_bytes(), file, "exec"), module.__dict__)  # noqa: S102
        except QcevalError:
            del sys.modules[module_name]
            raise
        except (Exception, SystemExit) as error:
            del sys.modules[module_name]
            problem = f"{type(error).__name__}: {error}".splitlines()[0]
            raise PluginError(str(file), "file", f"cannot be imported ({problem})", "correct it") from None
    cls = getattr(module, entry.class_name, None)
    if not (isinstance(cls, type) and issubclass(cls, Benchmark)):
        raise PluginError(
            str(file),
            entry.class_name,
            "is not a Benchmark",
            "derive it from qwencoder_eval.benchmark.Benchmark",
        )
    cls.file = file
    benchmark = cls(part)
    validate(benchmark, file)
    return benchmark
