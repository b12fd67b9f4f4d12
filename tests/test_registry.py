"""Finding benchmarks without running them, loading them by name, and refusing bad ones with the remedy."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from qwencoder_eval.benchmark import Benchmark
from qwencoder_eval.config import bundled
from qwencoder_eval.errors import InputError, PluginError, UsageError
from qwencoder_eval.registry import Registry, discover, load, read

HEAD = """
from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.programs import as_program
from qwencoder_eval.scoring.calls import CallScorer
from qwencoder_eval.types import Continue, Problem, Sampling

ROW = {"id": "x/0", "stub": "def f(x):\\n", "inputs": [[1], [2]]}
ROWS = Rows(inline=(ROW,))
FILE = Rows(file="x.jsonl", sha256="0" * 64, count=3)
RIGHT, WRONG = Golden(ROW, "    return x\\n", {"it": "passed"}), Golden(ROW, "    return 0\\n", {"it": "wrong"})


def prompt(problem):
    return Continue(problem.stub)
"""
BODY = """

class {cls}(Benchmark):
    name = "{name}"
    version = "1"
    reference = "original"
    asking = {{"greedy": Asking(ROWS, prompt), "file": Asking(FILE, prompt)}}
    scoring = {{"calls": Scoring(as_program, CallScorer({{"it": "inputs"}}))}}
    profiles = {{"mine": ("greedy", "calls"), "other": ("file", "calls")}}
    decontaminate = ("stub",)
    golden = (RIGHT, WRONG)

    def problem(self, row):
        tests = {{"entry_point": "f", "atol": 0, "inputs": row["inputs"]}}
        return Problem(row["id"], row, tests, stub=row["stub"], reference="    return x\\n")

    {change}
"""


def plugin(name: str = "mine", change: str = "", cls: str = "Mine") -> str:
    return HEAD + BODY.format(name=name, cls=cls, change=change)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "plugins"
    path.mkdir()
    return path


def imported() -> list[str]:
    return sorted(name for name in sys.modules if name.startswith("qceval_plugin_"))


@pytest.fixture(autouse=True)
def _nothing_imported() -> None:
    for name in imported():
        del sys.modules[name]


def one_line(error: PluginError | pytest.ExceptionInfo[PluginError]) -> str:
    text = str(error if isinstance(error, PluginError) else error.value)
    assert "\n" not in text
    return text


# ---------------------------------------------------------------- finding


def test_the_projects_own_are_found_and_not_imported() -> None:
    registry = discover()
    assert registry.refused == []
    assert {"humaneval", "starter"} <= set(registry.entries)
    assert imported() == []
    entry = registry.entries["humaneval"]
    assert entry.file == bundled("benchmarks") / "humaneval.py"
    assert (entry.version, entry.class_name, entry.languages) == ("1", "HumanEval", ("python",))
    assert entry.profiles[:3] == ("evalplus", "evalplus-sanitized", "qwen")
    assert registry.entries["starter"].rows[0]["file"] == "starter.toml"
    assert registry.entries["starter"].rows[0]["count"] == 24


def test_a_listing_imports_no_heavy_package_and_no_benchmark() -> None:
    code = "import sys; from qwencoder_eval.registry import discover; discover(); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = set(run.stdout.split())
    assert not {"qwencoder_eval.benchmark", "qwencoder_eval.datasets.rows", "numpy", "docker", "rich"} & names
    assert not {name for name in names if name.startswith("qceval_plugin_")}


def test_a_file_that_raises_is_still_listed(folder: Path) -> None:
    (folder / "mine.py").write_text("raise SystemExit('imported')\n" + plugin())
    registry = discover([folder])
    assert registry.entries["mine"].profiles == ("mine", "other")
    assert registry.refused == []
    assert imported() == []


def test_folders_by_option_and_by_environment(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second, third = tmp_path / "second", tmp_path / "third"
    for place, name in ((folder, "mine"), (second, "mine-2"), (third, "mine-3")):
        place.mkdir(exist_ok=True)
        (place / f"{name}.py").write_text(plugin(name))
        (place / "_helper.py").write_text("raise ValueError")
        (place / "notes.txt").write_text("no Python")
    monkeypatch.setenv("QCEVAL_PLUGINS", os.pathsep.join([str(second), "", str(third)]))
    registry = discover([folder])
    assert {"mine", "mine-2", "mine-3", "starter"} <= set(registry.entries)
    assert registry.refused == []
    assert isinstance(registry.load("mine-3"), Benchmark)
    assert registry.load("mine").name == "mine"
    monkeypatch.delenv("QCEVAL_PLUGINS")
    assert "mine-2" not in discover([folder]).entries


def test_the_same_folder_twice_is_no_conflict(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "mine.py").write_text(plugin())
    monkeypatch.setenv("QCEVAL_PLUGINS", str(folder))
    registry = discover([folder, folder / ".." / folder.name])
    assert registry.refused == []
    assert registry.entries["mine"].file == folder / "mine.py"


def test_a_folder_that_is_none_is_refused(folder: Path) -> None:
    for path in (folder / "none", folder / "file"):
        (folder / "file").write_text("")
        with pytest.raises(InputError, match=f"--plugins {path}: not a folder; give the folder that holds"):
            discover([path])


def install(site: Path, monkeypatch: pytest.MonkeyPatch, points: dict[str, str], modules: dict[str, str]) -> None:
    """A distribution as pip leaves it: packages and the folder with its metadata, on the path."""
    info = site / "their_benchmarks-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-benchmarks\nVersion: 1.0\n")
    lines = [f"{name} = {value}\n" for name, value in points.items()]
    (info / "entry_points.txt").write_text("[qwencoder_eval.benchmarks]\n" + "".join(lines))
    for name, text in modules.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(site))


def test_installed_packages_are_found_by_their_entry_point_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    points = {"flat": "qct_flat", "deep": "qct_pack.in_it.bench : Deep"}
    modules = {
        "qct_flat.py": plugin("flat"),
        "qct_pack/__init__.py": "raise ValueError('imported')",
        "qct_pack/in_it/__init__.py": "raise ValueError('imported')",
        "qct_pack/in_it/bench.py": plugin("deep", cls="Deep"),
    }
    install(site, monkeypatch, points, modules)
    registry = discover()
    assert registry.refused == []
    assert registry.entries["flat"].file == site / "qct_flat.py"
    assert registry.entries["deep"].class_name == "Deep"
    assert imported() == []
    assert not {"qct_flat", "qct_pack"} & set(sys.modules)
    assert registry.load("deep").file == site / "qct_pack" / "in_it" / "bench.py"


@pytest.mark.parametrize(
    "value",
    ["qct_gone", "qct_gone.bench", "qct_flat2.bench", "qct_space", "qct_space.gone", "not a module", "__main__"],
)
def test_a_broken_installation_takes_no_others_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    (tmp_path / "site" / "qct_space").mkdir(parents=True)  # a namespace package has no file
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    points = {"broken": value, "flat": "qct_flat2"}
    install(tmp_path / "site", monkeypatch, points, {"qct_flat2.py": plugin("flat")})
    registry = discover()
    assert {"flat", "starter", "humaneval"} <= set(registry.entries)
    (error,) = registry.refused
    assert one_line(error) == f"{value}: module: not found; reinstall broken"


# ---------------------------------------------------------------- by name


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("humanevl", "did you mean 'humaneval'?"),
        ("Starter", "did you mean 'starter'?"),
        ("zzz", "see qceval list, or name its folder with --plugins"),
        ("", "see qceval list, or name its folder with --plugins"),
    ],
)
def test_an_unknown_name_is_refused_with_a_suggestion(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        discover().load(name)
    assert str(caught.value) == f"--bench {name}: unknown; {hint}"
    assert caught.value.exit_code == 2


def test_loading_imports_only_what_is_loaded_and_once() -> None:
    registry = discover()
    starter = registry.load("starter")
    (name,) = imported()
    assert name.startswith("qceval_plugin_starter_")
    assert starter.file == bundled("benchmarks") / "starter.py"
    assert type(registry.load("starter")) is type(starter)
    assert imported() == [name]


def test_two_files_of_one_name_in_two_folders_are_two_modules(folder: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    (folder / "bench.py").write_text(plugin("mine"))
    (second / "bench.py").write_text(plugin("yours"))
    registry = discover([folder, second])
    assert (registry.load("mine").name, registry.load("yours").name) == ("mine", "yours")
    assert len(imported()) == 2


def test_one_file_may_declare_several(folder: Path) -> None:
    (folder / "both.py").write_text(plugin("first", cls="First") + BODY.format(name="second", cls="Second", change=""))
    registry = discover([folder])
    assert registry.refused == []
    assert [type(registry.load(name)).__name__ for name in ("first", "second")] == ["First", "Second"]


def test_a_name_that_is_taken_is_refused_and_overrides_nothing(folder: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    (folder / "mine.py").write_text(plugin("humaneval"))
    (second / "other.py").write_text(plugin("fine") + BODY.format(name="starter", cls="Thief", change=""))
    registry = discover([folder, second])
    own = bundled("benchmarks")
    assert registry.entries["humaneval"].file == own / "humaneval.py"
    assert registry.entries["starter"].file == own / "starter.py"
    assert [(error.file, error.field) for error in registry.refused] == [
        (str(folder / "mine.py"), "name"),
        (str(second / "other.py"), "name"),
    ]
    assert one_line(registry.refused[0]) == (
        f"{folder}/mine.py: name: 'humaneval' is taken by {own}/humaneval.py; choose another name"
    )
    assert "fine" not in registry.entries, "a file is refused as a whole"


def test_a_name_twice_in_one_file_is_refused(folder: Path) -> None:
    (folder / "mine.py").write_text(plugin() + BODY.format(name="mine", cls="Again", change=""))
    registry = discover([folder])
    assert "mine" not in registry.entries
    (error,) = registry.refused
    assert one_line(error) == f"{folder}/mine.py: name: 'mine' twice; choose another name"


# ---------------------------------------------------------------- bad files


BROKEN = {
    "syntax": ("class X(Benchmark:\n", "file", "SyntaxError in line 1: invalid syntax; make it a Python file"),
    "deep": ("x = " + "-" * 200_000 + "1\n", "file", "make it a Python file"),
    "zeros": ("name = '\0'\n", "file", "make it a Python file"),
    "empty": ("", "class", "no class derives from Benchmark; declare class X(Benchmark)"),
    "function": ("def problem(row): ...\n", "class", "no class derives from Benchmark"),
    "other base": ("class X(Problem):\n    name = 'x'\n", "class", "no class derives from Benchmark"),
    "computed name": (plugin(change='name = "a" + "b"'), "name", 'not a literal string; write name = "..."'),
    "unhashable name": (plugin(change="name = {[]: 1}"), "name", "not a literal string"),
    "no name": (plugin().replace('    name = "mine"\n', ""), "name", "not a literal string"),
    "number as version": (plugin(change="version = 1"), "version", 'not a literal string; write version = "..."'),
    "no version": (plugin().replace('    version = "1"\n', ""), "version", "not a literal string"),
    "languages": (plugin(change='languages = "python"'), "languages", "not a literal tuple of strings"),
    "languages as number": (plugin(change="languages = 3"), "languages", "not a literal tuple of strings"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused_and_the_others_work(folder: Path, case: str) -> None:
    text, field, said = BROKEN[case]
    (folder / "a-broken.py").write_text(text)
    (folder / "b-fine.py").write_text(plugin("fine"))
    registry = discover([folder])
    (error,) = registry.refused
    assert (error.file, error.field, error.exit_code) == (str(folder / "a-broken.py"), field, 2)
    assert said in one_line(error)
    assert registry.load("fine").name == "fine"
    assert "mine" not in registry.entries
    with pytest.raises(PluginError) as caught:  # asked for by its file's name, it says why it is not there
        registry.load("a-broken")
    assert caught.value is error


def test_what_is_not_text_is_refused(folder: Path) -> None:
    (folder / "latin.py").write_bytes(b'name = "\xe9"\n')
    (folder / "folder.py").mkdir()
    (folder / "gone.py").symlink_to(folder / "nowhere")
    registry = discover([folder])
    assert [(Path(error.file).name, error.field) for error in registry.refused] == [
        ("folder.py", "file"),
        ("gone.py", "file"),
        ("latin.py", "file"),
    ]
    assert all(one_line(error).endswith("make it a Python file") for error in registry.refused)


def test_names_with_an_annotation_are_read_too(folder: Path) -> None:
    text = plugin().replace("name = ", "name: str = ").replace("profiles = ", "profiles: dict = ")
    (folder / "mine.py").write_text(text)
    registry = discover([folder])
    assert registry.refused == []
    assert registry.entries["mine"].profiles == ("mine", "other")


def test_any_text_of_python_is_read_without_being_run(folder: Path) -> None:
    """Also what the compiler would warn about."""
    text = "X = '\\d'\nimport nothing_of_this_name\nopen('/nowhere')\n1 is 1\n"
    (folder / "mine.py").write_text(text + plugin(change='languages = ("python", "java")'))
    (entry,) = read(folder / "mine.py")
    assert entry.languages == ("python", "java")
    assert list(entry.rows) == [{"inline": [None]}, {"file": "x.jsonl", "count": 3}], "what is computed is left out"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("raise ValueError('first\\nsecond')", "cannot be imported (ValueError: first)"),
        ("import nothing_of_this_name", "cannot be imported (ModuleNotFoundError: No module named"),
        ("raise KeyError", "cannot be imported (KeyError: )"),
        ("raise SystemExit(7)", "cannot be imported (SystemExit: 7)"),
    ],
)
def test_a_file_that_raises_at_import_is_refused(folder: Path, line: str, said: str) -> None:
    (folder / "mine.py").write_text(line + "\n" + plugin())
    (folder / "fine.py").write_text(plugin("fine"))
    registry = discover([folder])
    for _ in range(2):  # nothing half-imported is left behind
        with pytest.raises(PluginError) as caught:
            registry.load("mine")
        assert one_line(caught).startswith(f"{folder}/mine.py: file: {said}")
        assert one_line(caught).endswith("; correct it")
        assert imported() == []
    assert registry.load("fine").name == "fine"


def test_ctrl_c_during_an_import_is_no_bad_file(folder: Path) -> None:
    (folder / "mine.py").write_text("raise KeyboardInterrupt\n" + plugin())
    with pytest.raises(KeyboardInterrupt):
        discover([folder]).load("mine")


@pytest.mark.parametrize(
    "tail", ["Mine = 3", "class Mine: ...", "del Mine", "def Mine(): ..."], ids=lambda tail: tail.split()[0]
)
def test_a_class_that_is_none_is_refused(folder: Path, tail: str) -> None:
    (folder / "mine.py").write_text(plugin() + "\n\n" + tail + "\n")
    with pytest.raises(PluginError) as caught:
        load(discover([folder]).entries["mine"])
    assert one_line(caught) == (
        f"{folder}/mine.py: Mine: is not a Benchmark; derive it from qwencoder_eval.benchmark.Benchmark"
    )


# ---------------------------------------------------------------- each rule of a benchmark


INLINE = 'Rows(inline=(ROW,), file="x", sha256="1")'
RULES = [
    ("del reference", "reference", "missing; set reference in class Mine"),
    ("del asking", "asking", "missing; set asking in class Mine"),
    ("del scoring", "scoring", "missing; set scoring in class Mine"),
    ("del profiles", "profiles", "missing; set profiles in class Mine"),
    ("del decontaminate", "decontaminate", "missing; set decontaminate in class Mine"),
    ("del golden", "golden", "missing; set golden in class Mine"),
    ("reference = None", "reference", "is a NoneType; make it a str"),
    ("asking = [1]", "asking", "is a list; make it a Mapping"),
    ("scoring = None", "scoring", "is a NoneType; make it a Mapping"),
    ('profiles = ("greedy", "calls")', "profiles", "is a tuple; make it a Mapping"),
    ('decontaminate = "stub"', "decontaminate", "is a str; make it a Sequence"),
    ("golden = {}", "golden", "is a dict; make it a Sequence"),
    ('name = "Mine"', "name", "'Mine'; use lower-case letters, digits, + . -"),
    ('name = "../mine"', "name", "'../mine'; use lower-case"),
    ('name = "a/b"', "name", "'a/b'; use lower-case"),
    ('name = ""', "name", "''; use lower-case"),
    ('name = "mine\\n"', "name", "'mine\\n'; use lower-case"),
    ('reference = "https://github.com/a/b/blob/main/x.py"', "reference", "not pinned; give a URL with a commit"),
    ('reference = "the paper"', "reference", "not pinned"),
    ('reference = ""', "reference", "not pinned"),
    ('asking = {"greedy": ROWS}', "asking['greedy']", "is a Rows; make it Asking(...)"),
    ('scoring = {"calls": as_program}', "scoring['calls']", "is a function; make it Scoring(...)"),
    ("profiles = {}", "profiles", "empty; name at least one pair"),
    ('profiles = {"mine": ["greedy", "calls"]}', "profiles['mine']", "make it a pair (asking, scoring)"),
    ('profiles = {"mine": ("greedy",)}', "profiles['mine']", "is ('greedy',); make it a pair (asking, scoring)"),
    ('profiles = {"mine": "gc"}', "profiles['mine']", "is 'gc'; make it a pair"),
    ('profiles = {"mine": ("nope", "calls")}', "profiles['mine']", "asking 'nope' does not exist; use a key of asking"),
    ('profiles = {"mine": ("greedy", "x")}', "profiles['mine']", "scoring 'x' does not exist; use a key of scoring"),
    ('profiles = {"mine": ([], "calls")}', "profiles['mine']", "asking [] does not exist; use a key of asking"),
    (
        'asking = {"greedy": Asking("x.jsonl", prompt), "file": Asking(FILE, prompt)}',
        "asking['greedy'].rows",
        "is a str; make it Rows(...)",
    ),
    (
        f'asking = {{"greedy": Asking({INLINE}, prompt), "file": Asking(FILE, prompt)}}',
        "asking['greedy'].rows",
        "give either file= or inline=",
    ),
    (
        'asking = {"greedy": Asking(Rows(), prompt), "file": Asking(FILE, prompt)}',
        "asking['greedy'].rows",
        "has no rows or two kinds",
    ),
    (
        'asking = {"greedy": Asking(Rows(file="x"), prompt), "file": Asking(FILE, prompt)}',
        "asking['greedy'].rows",
        "has no sha256; write sha256='?', and `qceval data verify` says what it is",
    ),
    ("del problem", "problem", "not defined; define problem(self, row) -> Problem"),
    ("problem = None", "problem", "define it as problem(self, row)"),
    ("def problem(self): ...", "problem", "has other parameters; define it as problem(self, row)"),
    ("def problem(self, row, more): ...", "problem", "has other parameters"),
    ("problem = staticmethod(lambda row: None)", "problem", "has other parameters"),
    ("golden = ()", "golden", "0 vectors; give two or more"),
    ("golden = (WRONG,)", "golden", "1 vectors; give two or more"),
    ("golden = (RIGHT, RIGHT)", "golden", "all pass; add one that must fail"),
    ('golden = (RIGHT, Golden(ROW, "", {}))', "golden[1].expect", "is empty; say what each check must give"),
    ('golden = (RIGHT, Golden(ROW, "", "wrong"))', "golden[1].expect", "is a str; make it {check: outcome}"),
    ("golden = (WRONG, (ROW, '', {}))", "golden[1]", "is a tuple; make it Golden(row, output, expect)"),
    (
        'golden = (RIGHT, Golden(ROW, "", {"it": "fail"}))',
        "golden[1].expect['it']",
        "'fail'; use one of passed, wrong,",
    ),
    ('golden = (RIGHT, Golden(ROW, "", {"it": []}))', "golden[1].expect['it']", "[]; use one of passed, wrong,"),
    (
        'golden = (RIGHT, Golden(ROW, "", {"it": "wrong"}, profile="zz"))',
        "golden[1].profile",
        "'zz' does not exist; use a key of profiles",
    ),
]


@pytest.mark.parametrize(("change", "field", "said"), RULES, ids=[change for change, _, _ in RULES])
def test_each_rule_is_refused_with_field_and_remedy(folder: Path, change: str, field: str, said: str) -> None:
    (folder / "mine.py").write_text(plugin(change=change))
    (folder / "fine.py").write_text(plugin("fine"))
    registry = discover([folder])
    (name,) = set(registry.entries) - set(discover().entries) - {"fine"}
    with pytest.raises(PluginError) as caught:
        registry.load(name)
    assert (caught.value.file, caught.value.field) == (str(folder / "mine.py"), field)
    assert said in one_line(caught)
    assert one_line(caught).startswith(f"{folder}/mine.py: {field}: ")
    assert registry.load("fine").name == "fine"


@pytest.mark.parametrize(
    "change",
    [
        'reference = "https://arxiv.org/abs/2107.03374"',
        'reference = "https://github.com/a/b/blob/26d6d00bb1fd0fa37f39c99d5290da67891d1c5e/x.py"',
        'name = "mine+2.5-x"',
        "golden = [RIGHT, WRONG]",
        'golden = (RIGHT, Golden(ROW, "", {"it": "no_code"}, profile="other"))',
    ],
)
def test_what_keeps_the_rules_is_taken(folder: Path, change: str) -> None:
    (folder / "mine.py").write_text(plugin(change=change))
    registry = discover([folder])
    (name,) = set(registry.entries) - set(discover().entries)
    assert json.dumps(registry.load(name).profiles) == '{"mine": ["greedy", "calls"], "other": ["file", "calls"]}'


# -- data only -------------------------------------------------------------------------------------------

DATA_ONLY = """
from qwencoder_eval.benchmark import Asking, Benchmark, DataOnly, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.types import Continue, Problem

class Texts(DataOnly):
    name = "texts"
    version = "1"
    reference = "original"
    rows = Rows(version="all", file="texts.jsonl", sha256="?", count=7)
    decontaminate = ("text", "answer")

    def problem(self, row):
        return Problem(row["id"], row, {})

    CHANGE
"""


def test_a_benchmark_may_be_data_only(folder: Path) -> None:
    (folder / "texts.py").write_text("import nothing_of_this_name\n" + DATA_ONLY.replace("CHANGE", ""))
    registry = discover([folder])
    assert registry.refused == []
    entry = registry.entries["texts"]
    assert (entry.data_only, entry.profiles, entry.languages, entry.has("")) == (True, (), (), True)
    assert [literal["count"] for literal in entry.rows] == [7]
    assert imported() == []
    (folder / "texts.py").write_text(DATA_ONLY.replace("CHANGE", 'languages = ("german",)'))
    benchmark = discover([folder]).load("texts")
    assert benchmark.decontaminate == ("text", "answer")
    assert (dict(benchmark.asking), dict(benchmark.profiles), tuple(benchmark.golden)) == ({}, {}, ())
    assert discover([folder]).entries["texts"].languages == ("german",)
    assert not discover([folder]).entries["starter"].data_only


def test_a_file_may_declare_both_kinds(folder: Path) -> None:
    (folder / "both.py").write_text(plugin() + DATA_ONLY.replace("CHANGE", ""))
    registry = discover([folder])
    assert {name: registry.entries[name].data_only for name in ("mine", "texts")} == {"mine": False, "texts": True}


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ("del rows", "rows", "missing; set rows in class Texts"),
        ("rows = 'texts.jsonl'", "rows", "is a str; make it a Rows"),
        ("rows = Rows()", "rows", "has no rows or two kinds; give either file= or inline="),
        ("rows = Rows(file='x')", "rows", "has no sha256; write sha256='?'"),
        ("rows = Rows(file='x', sha256='?', count='7')", "rows.count", "is a str; make it a int"),
        ("rows = property(lambda self: self.nothing)", "rows", "AttributeError: "),
        ("del decontaminate", "decontaminate", "missing; set decontaminate in class Texts"),
        ("decontaminate = ()", "decontaminate", "empty; name fields of a row"),
        ("decontaminate = 'text'", "decontaminate", "is a str; make it a Sequence"),
        ("decontaminate = (1,)", "decontaminate", "holds other things than names; name fields of a row"),
        ("del problem", "problem", "not defined; define problem(self, row) -> Problem"),
        ("def problem(self): ...", "problem", "has other parameters; define it as problem(self, row)"),
        ("del reference", "reference", "missing; set reference in class Texts"),
        ("reference = 'the paper'", "reference", "not pinned"),
        ("name = 'Texts'", "name", "use lower-case letters"),
        (
            "asking = {'greedy': Asking(rows, Continue)}",
            "asking",
            "given, and the benchmark is DataOnly; remove it, or derive from Benchmark",
        ),
        ("profiles = {'mine': ('greedy', 'calls')}", "profiles", "given, and the benchmark is DataOnly; remove it"),
        ("golden = (Golden({}, '', {'x': 'wrong'}),)", "golden", "given, and the benchmark is DataOnly; remove it"),
    ],
)
def test_data_only_keeps_rules_of_its_own(folder: Path, change: str, field: str, said: str) -> None:
    (folder / "texts.py").write_text(DATA_ONLY.replace("CHANGE", change))
    registry = discover([folder])
    (name,) = set(registry.entries) - set(discover().entries)
    with pytest.raises(PluginError) as caught:
        registry.load(name)
    assert (caught.value.file, caught.value.field) == (str(folder / "texts.py"), field)
    assert said in one_line(caught)


def test_another_benchmark_without_profiles_is_told_how_to_be_data_only(folder: Path) -> None:
    (folder / "mine.py").write_text(plugin(change="profiles = {}"))
    with pytest.raises(PluginError, match=r"profiles: empty; .*, or derive from DataOnly$"):
        discover([folder]).load("mine")


# -- benchmarks of several parts ------------------------------------------------------------------------

PARTS = """
from functools import cached_property
from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.programs import as_program
from qwencoder_eval.scoring.programs import ProgramScorer
from qwencoder_eval.types import Continue, Problem, Sampling

class Many(Benchmark):
    name = "many"
    version = "1"
    reference = "original"
    parts = ("js", "py")
    profiles = {"many": ("greedy", "tests")}
    decontaminate = ()
    asking = {"greedy": Asking(Rows(inline=({"id": "a"},)), Continue, Sampling())}

    @cached_property
    def scoring(self):
        return {"tests": Scoring(as_program, ProgramScorer(self.name))}

    @cached_property
    def golden(self):
        return [Golden({}, "x", {self.name: "passed"}), Golden({}, "x", {self.name: "wrong"})]

    def problem(self, row):
        return Problem(row["id"], {}, {})
"""


@pytest.fixture
def many(tmp_path: Path) -> Registry:
    (tmp_path / "many.py").write_text(PARTS)
    (tmp_path / "js.py").write_text(PARTS.replace('"many"', '"other"').replace('parts = ("js", "py")', ""))
    return discover([tmp_path])


def test_a_part_is_a_benchmark_of_its_own(many: Registry) -> None:
    js, py = many.load("many:js"), many.load("many:py")
    assert (js.name, js.part, py.name) == ("many:js", "js", "many:py")
    assert js.scoring["tests"].scorer.checks == ("many:js",)
    assert type(js) is type(py)
    assert type(js).name == "many"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("many", "several parts; it is many:js|py"),
        ("many:c", "unknown part; it is many:js|py"),
        ("starter:js", "unknown part; it is starter"),
        ("manny:js", "did you mean 'many'?"),
    ],
)
def test_a_part_that_is_not_there(many: Registry, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        many.load(name)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("starter", ["starter"]),
        ("many", ["many:js", "many:py"]),
        ("many:js", ["many:js"]),
        ("many:py,js", ["many:py", "many:js"]),
        ("many:js,starter", ["many:js", "starter"]),
        ("many:js,py,starter,humaneval", ["many:js", "many:py", "starter", "humaneval"]),
        ("starter,js", ["starter", "js"]),
        ("many,many:js", ["many:js", "many:py"]),
        (" many:js , py ,", ["many:js", "many:py"]),
        ("many:js,nothing", ["many:js", "many:nothing"]),
        ("", []),
    ],
)
def test_a_list_of_names(many: Registry, names: str, expected: list[str]) -> None:
    assert many.expand(names) == expected


def test_a_listing_knows_parts_without_importing(many: Registry) -> None:
    entry = many.entries["many"]
    assert entry.parts == entry.languages == ("js", "py")


def test_a_property_that_fails_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "many.py").write_text(PARTS.replace("Scoring(as_program,", "Scoring(nothing,"))
    with pytest.raises(PluginError, match=r"scoring.*NameError"):
        discover([tmp_path]).load("many:js")
