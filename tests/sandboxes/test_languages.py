"""Every main language: its fixtures, what a sandbox promises its programs, and leaving early, which never passes.

The programs are in leaving.toml, but for those that a warm compiler must take as the plain one does: ``SAME``.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qwencoder_eval.cli.sandbox import run_fixture
from qwencoder_eval.sandboxes.base import Backend, Sandbox
from qwencoder_eval.sandboxes.docker import DockerBackend
from qwencoder_eval.sandboxes.languages import Language, languages
from qwencoder_eval.sandboxes.namespaces import NamespacesBackend
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.base import Judgement
from qwencoder_eval.scoring.programs import EXPLAINED, ProgramScorer
from qwencoder_eval.types import Limits, Outcome, Problem, Program, Result

MIB = 1 << 20
MEMORY, DISK, FILES, FILE = 1024 * MIB, 64 * MIB, 2000, 32 * MIB  # of a sandbox here: room for a compiler
MAIN = ("python", "cpp", "java", "javascript", "typescript", "csharp", "php", "bash")
COMPILED = tuple(name for name in MAIN if languages()[name].compile)
LEAVING = tomllib.loads((Path(__file__).parent / "leaving.toml").read_text())


class OneWay:
    """A backend whose sandboxes are small, and compile in the warm way or in the plain one."""

    def __init__(self, backend: Backend, warm: bool) -> None:
        self.backend, self.warm, self.name = backend, warm, backend.name
        self.made: list[Sandbox] = []

    def why_not(self) -> str | None:
        return self.backend.why_not()

    def identity(self, language: Language) -> dict[str, str]:
        return self.backend.identity(language)

    def sandbox(self, language: Language, memory_bytes: int) -> Sandbox:
        small = replace(language, disk_bytes=DISK, disk_files=FILES, file_bytes=FILE)
        sandbox = self.backend.sandbox(small, min(memory_bytes, MEMORY))
        sandbox.warm = sandbox.warm and self.warm
        self.made.append(sandbox)
        return sandbox


class Kept:
    """The sandboxes of a backend, one a language and way of compiling, for all tests of a module and worker."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.ways: dict[tuple[str, bool], tuple[OneWay, Pool]] = {}

    def way(self, name: str, warm: bool = True) -> tuple[OneWay, Pool]:
        if (name, warm) not in self.ways:
            if reason := self.missing(languages()[name]):
                pytest.skip(f"{self.backend.name}: {reason}")
            one = OneWay(self.backend, warm)
            self.ways[name, warm] = (one, Pool(one, 1))
        return self.ways[name, warm]

    def pool(self, name: str, warm: bool = True) -> Pool:
        return self.way(name, warm)[1]

    def made(self, name: str, warm: bool = True) -> list[Sandbox]:
        return self.way(name, warm)[0].made

    def run(self, program: Program, warm: bool = True) -> Result:
        return self.pool(program.language, warm).run(program)

    def missing(self, language: Language) -> str | None:
        """What this machine lacks for a language, where its own tools are used."""
        if not isinstance(self.backend, NamespacesBackend):
            return None
        tool = self.backend.missing(language)
        lacking = [tool] if tool else []
        lacking += [word for word in language.compile or () if word.startswith("/") and not Path(word).exists()]
        return f"{language.name}: this machine has no {' and no '.join(lacking)}" if lacking else None

    def close(self) -> None:
        for _, pool in self.ways.values():
            pool.close()


@contextlib.contextmanager
def keeping(backend: Backend) -> Iterator[Kept]:
    if reason := backend.why_not():
        pytest.skip(f"{backend.name}: {reason}")
    kept = Kept(backend)
    try:
        yield kept
    finally:
        kept.close()


@pytest.fixture(scope="module")
def docker() -> Iterator[Kept]:
    """Containers, kept warm."""
    with keeping(DockerBackend()) as kept:
        yield kept


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(DockerBackend, marks=pytest.mark.docker, id="docker"),
        pytest.param(NamespacesBackend, marks=pytest.mark.namespaces, id="namespaces"),
    ],
)
def kept(request: pytest.FixtureRequest) -> Iterator[Kept]:
    """Each backend that isolates. Namespaces have the machine's tools, and skip the languages that it lacks."""
    with keeping(request.param()) as kept:
        yield kept


every_language = pytest.mark.parametrize("name", MAIN)


def limits(cpu_s: float = 10.0, wall_s: float = 30.0, **others: Any) -> Limits:
    """``Limits`` whose backstop is exactly ``wall_s``."""
    return Limits(cpu_s=cpu_s, wall_factor=(wall_s - 2.0) / cpu_s, **others)


def program(name: str, source: str, bound: Limits | None = None, **others: Any) -> Program:
    files = {languages()[name].file: source, **others.pop("files", {})}
    return Program(name, files, limits=bound or limits(), **others)


def ended(result: Result) -> tuple[str, int]:
    return result.ending, result.status


# -- the fixtures ------------------------------------------------------------------------------------


@every_language
@pytest.mark.parametrize("fixture", ["passes", "fails", "broken"])
def test_a_fixture_does_what_its_name_says(kept: Kept, name: str, fixture: str) -> None:
    spoken = languages()[name]
    assert set(spoken.fixtures) == {"passes", "fails", "broken"}
    ok, said = run_fixture(spoken, fixture, kept.pool(name))
    assert ok, said


@pytest.mark.slow
@every_language
def test_a_finished_program_says_its_nonce_where_it_reports(kept: Kept, name: str) -> None:
    spoken = languages()[name]
    source = spoken.fixtures["passes"].replace("@finish@", spoken.finishing("4e6f6e6365"))
    result = kept.run(program(name, source, reports=True))
    assert ended(result) == ("exit", 0), result
    assert (bytes(result.answers), bytes(result.stdout)) == (b"4e6f6e6365", b"")
    result = kept.run(program(name, source))  # there is no such descriptor, so this is no good end
    assert result.answers == b""
    result = kept.run(
        program(name, spoken.fixtures["fails"].replace("@finish@", spoken.finishing("4e6f")), reports=True)
    )
    assert result.answers == b""


# -- leaving early -----------------------------------------------------------------------------------


def problem(name: str, programs: Mapping[str, Any]) -> Problem:
    return Problem("leaving/1", {}, {key: programs[key] for key in ("before", "after")}, language=name)


SCORER = ProgramScorer("tests")


def scored(
    kept: Kept, name: str, code: str, scorer: ProgramScorer = SCORER, programs: Mapping[str, Any] | None = None
) -> Judgement:
    return scorer.score(problem(name, programs or LEAVING[name]), code, None, kept.pool(name))


FAILED = {Outcome.WRONG, Outcome.RUNTIME_ERROR}


def tells_right_from_wrong(kept: Kept, name: str, programs: Mapping[str, Any]) -> None:
    """Else it would mean nothing that those who leave do not pass."""
    right, wrong = (scored(kept, name, programs[key], programs=programs) for key in ("right", "wrong"))
    assert right.checks == {"tests": Outcome.PASSED}, right
    assert wrong.checks["tests"] in FAILED, wrong
    if languages()[name].wrong:
        assert wrong.checks["tests"] is Outcome.WRONG, wrong


def does_not_pass(found: Judgement) -> None:
    assert found.checks["tests"] in FAILED, found
    assert found.measures == {}
    assert found.evidence["error"].startswith("program: ")


def test_each_language_has_programs_that_leave() -> None:
    assert set(LEAVING) == set(MAIN)
    for name, table in LEAVING.items():
        missing = {"prints ok", "kills itself", "exit handler", "a guess at the nonce"} - set(table["leaves"])
        assert not missing, (name, missing)


@every_language
def test_the_tests_tell_right_from_wrong(kept: Kept, name: str) -> None:
    tells_right_from_wrong(kept, name, LEAVING[name])


@pytest.mark.parametrize(
    ("name", "way"), [pytest.param(name, way) for name in LEAVING for way in LEAVING[name]["leaves"]]
)
def test_leaving_is_not_passing(kept: Kept, name: str, way: str) -> None:
    does_not_pass(scored(kept, name, LEAVING[name]["leaves"][way]))


@pytest.mark.docker
@pytest.mark.parametrize("way", LEAVING["csharp"]["leaves"])
def test_where_upstream_looks_at_the_output_alone(docker: Kept, way: str) -> None:
    """Then leaving is passing, as upstream has it, and is counted."""
    lenient = ProgramScorer("tests", lenient=True, fails_on="Fail")
    found = scored(docker, "csharp", LEAVING["csharp"]["leaves"][way], lenient)
    if way in ("exit handler",):  # and a test failed before that
        assert found.checks == {"tests": Outcome.WRONG}, found
        assert found.measures == {}
    else:
        assert found.checks == {"tests": Outcome.PASSED}, found
        assert found.measures == {"unfinished": 1.0}
        assert found.evidence["error"] == EXPLAINED


@pytest.mark.docker
def test_who_stays_is_not_counted_as_unfinished(docker: Kept) -> None:
    lenient = ProgramScorer("tests", lenient=True, fails_on="Fail")
    right, wrong = (scored(docker, "csharp", LEAVING["csharp"][key], lenient) for key in ("right", "wrong"))
    assert (right.checks, right.measures) == ({"tests": Outcome.PASSED}, {})
    assert (wrong.checks, wrong.measures) == ({"tests": Outcome.WRONG}, {})


# -- what a sandbox promises -------------------------------------------------------------------------

MADE = {"cpp": ["main"], "java": ["Problem.class"], "typescript": ["main.js"], "csharp": ["Program.exe"]}


def says(kept: Kept, name: str, what: str, bound: Limits | None = None, **others: Any) -> Result:
    return kept.run(program(name, LEAVING[name]["sees"][what], bound, **others))


@every_language
def test_arguments_and_standard_input(kept: Kept, name: str) -> None:
    result = says(kept, name, "reads", args=("a b", "é$HOME*", "-"), stdin="one\n\ntwo é\n")
    assert ended(result) == ("exit", 0), result
    assert bytes(result.stdout).decode() == "[a b][é$HOME*][-]one\n\ntwo é\n"
    result = says(kept, name, "reads")
    assert (ended(result), bytes(result.stdout)) == (("exit", 0), b"")  # and it did not wait


NAMED = {
    "bash": "set -e\ncat /dev/stdin > /dev/stdout\necho b | tee /dev/stderr\necho c >> /dev/fd/2\n",
    "python": "out, err = open('/dev/stdout', 'a'), open('/dev/stderr', 'a')\nout.write(open('/dev/stdin').read())\n"
    "out.write('b\\n')\nerr.write('b\\nc\\n')\n",
}


@pytest.mark.parametrize("name", NAMED)
def test_input_and_outputs_can_be_opened_by_name(kept: Kept, name: str) -> None:
    result = kept.run(program(name, NAMED[name], stdin="a\n"))
    assert ended(result) == ("exit", 0), result
    assert (bytes(result.stdout), bytes(result.stderr)) == (b"a\nb\n", b"b\nc\n")


@every_language
def test_how_a_program_ends(kept: Kept, name: str) -> None:
    result = says(kept, name, "ends")
    assert (ended(result), bytes(result.stdout), bytes(result.stderr)) == (("exit", 7), b"out", b"err")
    assert not result.compiling
    result = says(kept, name, "dies")
    assert ended(result) == ("signal", 9), result
    assert not result.compiling


@every_language
def test_output_is_kept_apart_and_cut(kept: Kept, name: str) -> None:
    result = says(kept, name, "floods", limits(output_bytes=1000))
    assert ended(result) == ("exit", 0)
    assert (bytes(result.stdout), bytes(result.stderr)) == (b"o" * 1000, b"e" * 1000)


@every_language
def test_a_loop_ends_at_its_cpu_limit(kept: Kept, name: str) -> None:
    result = says(kept, name, "loops", limits(0.6, 60))
    assert result.ending == "cpu_limit", result
    assert 0.6 <= result.cpu_s < 1.6
    assert result.timed_out
    assert not result.ambiguous
    assert not result.compiling


@pytest.mark.slow
@every_language
def test_a_sleeper_ends_at_the_backstop(kept: Kept, name: str) -> None:
    result = says(kept, name, "sleeps", limits(1, 2.2))
    assert (result.ending, bytes(result.stdout)) == ("wall_limit", b"up"), result
    assert 2.2 <= result.wall_s < 10
    assert result.ambiguous
    assert not result.compiling


@every_language
def test_environment(kept: Kept, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    result = says(kept, name, "knows", environment={"EXTRA": "more"})
    assert ended(result) == ("exit", 0), result
    found = dict(each.split("=", 1) for each in bytes(result.stdout).decode().rstrip("\0").split("\0"))
    assert found.pop("PATH")
    found.pop("PYTHONPATH", None)  # where the agent's Python lies
    assert found == {
        "HOME": "/tmp/work", "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1",
        **languages()[name].environment, "EXTRA": "more",
    }  # fmt: skip


@every_language
def test_a_clean_place_each_time(kept: Kept, name: str) -> None:
    expected = f". {' '.join(sorted([languages()[name].file, *MADE.get(name, [])]))}\n/tmp work\n/dev/shm\n"
    result = says(kept, name, "litters")
    assert ended(result) == ("exit", 0), result
    assert result.wall_s < 20  # it did not wait for the process that was left
    sandbox = kept.made(name)[-1]
    result = says(kept, name, "looks")
    assert ended(result) == ("exit", 0), result
    assert re.sub(r" mono\.\d+$", "", bytes(result.stdout).decode(), flags=re.MULTILINE) == expected  # its own
    assert kept.made(name)[-1] is sandbox


# -- compilers ---------------------------------------------------------------------------------------

# What takes a compiler longer than anyone waits, before any program of the language.
BOMBS = {
    "cpp": "template <int n, int m> struct B { enum { v = B<n - 1, 2 * m>::v ^ B<n - 1, 2 * m + 1>::v }; };\n"
    "template <int m> struct B<0, m> { enum { v = m }; };\nint bomb = B<24, 0>::v;\n",
    "java": "class Bomb {\n"
    + "".join(f"    Object o{n} = {'java.util.List.of(' * 36}1{')' * 36};\n" for n in range(100))
    + "}\n",
    "typescript": "type F<D extends any[], S extends string> =\n"
    "    D extends [any, ...infer R] ? F<R, `${S}0`> | F<R, `${S}1`> : S;\n"
    + "".join(f"const x{n}: F<[{'0, ' * 16}0], '{n}'> = '{n}' as any;\n" for n in range(50)),
}

# Programs that are too much for a compiler, and the words of one that crashed.
CRASHES = {
    "cpp": (f"int {'*' * 400_000} p;\nint f() {{ return 1; }}", "internal compiler error"),
    "java": (
        f"class Crash {{ int x = {'(' * 100_000}1{')' * 100_000}; }} class Problem {{ static int f() {{ return 1; }}",
        "StackOverflowError",
    ),
    "typescript": (f"const x = {'(' * 100_000}1{')' * 100_000};\nfunction f() {{ return 1; }}", "RangeError"),
    "csharp": (
        f"using System.Diagnostics; class Crash {{ int x = {'(' * 100_000}1{')' * 100_000}; }}\n"
        "class Problem { static int f() { return 1; }",
        "Internal compiler error",
    ),
}


@pytest.mark.parametrize("name", COMPILED)
def test_a_refusal_shows_why(kept: Kept, name: str) -> None:
    result = kept.run(program(name, languages()[name].fixtures["broken"], reports=True))
    assert result.ending == "compile_error", result
    assert result.compiling
    assert not result.timed_out
    assert b"error" in result.stderr
    assert result.answers == b""


@pytest.mark.parametrize("name", CRASHES)
def test_a_compiler_that_crashes(kept: Kept, name: str) -> None:
    code, words = CRASHES[name]
    found = scored(kept, name, code)
    assert found.checks == {"tests": Outcome.COMPILE_ERROR}, found
    assert found.evidence["error"] == "compiler: refused"
    assert words in found.evidence["output"]
    sandbox = kept.made(name)[-1]
    assert scored(kept, name, LEAVING[name]["right"]).checks == {"tests": Outcome.PASSED}
    assert kept.made(name)[-1] is sandbox


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("warm", [pytest.param(True, id="warm"), pytest.param(False, id="plain")])
def test_a_compiler_that_does_not_end(kept: Kept, name: str, warm: bool) -> None:
    pool = kept.pool(name, warm)
    assert scored(kept, name, LEAVING[name]["right"]).checks == {"tests": Outcome.PASSED}
    result = pool.run(program(name, BOMBS[name] + LEAVING[name]["sees"]["ends"], limits(10, 200, compile_cpu_s=1.0)))
    assert result.ending == "cpu_limit", result
    assert result.compiling
    assert result.timed_out
    assert not result.ambiguous
    assert 1.0 <= result.cpu_s < 1.8
    sandbox = kept.made(name, warm)[-1]
    result = pool.run(program(name, LEAVING[name]["sees"]["ends"]))
    assert ended(result) == ("exit", 7), result
    assert kept.made(name, warm)[-1] is sandbox


@pytest.mark.slow
@pytest.mark.docker
def test_a_compiler_that_does_not_end_is_a_timeout(docker: Kept) -> None:
    for name, bomb in BOMBS.items():
        right = LEAVING[name]["right"]
        found = scored(docker, name, bomb + right, ProgramScorer("tests", compile_cpu_s=1.0))
        assert found.checks == {"tests": Outcome.TIMEOUT}, found
        assert found.evidence["error"].startswith("compiler: cpu limit")


@pytest.mark.slow
@every_language
def test_a_check_of_the_syntax_runs_nothing(kept: Kept, name: str) -> None:
    spoken = languages()[name]
    source = spoken.fixtures["passes"].replace("@finish@", spoken.finishing("4e6f"))
    result = kept.run(program(name, source, check=True, reports=True))
    assert ended(result) == ("exit", 0), result
    assert result.compiling
    assert result.answers == b""
    if name in ("python", "javascript", "php", "bash"):  # of the others the fixture is no error of syntax
        result = kept.run(program(name, spoken.fixtures["broken"], check=True))
        assert result.ending == "exit"
        assert result.status
        assert result.stderr + result.stdout
    looks = kept.run(program(name, LEAVING[name]["sees"]["looks"]))
    assert b"/tmp work\n" in looks.stdout


# -- the warm way is the plain way -------------------------------------------------------------------


def in_main(body: str, before: str = "", behind: str = "") -> str:
    """A Java program that says which class files there are, byte for byte."""
    return f"""{before}
class Problem {{
    public static void main(String[] args) throws Exception {{
        {body}
        java.io.File[] files = new java.io.File(".").listFiles();
        java.util.Arrays.sort(files);
        for (java.io.File each : files) {{
            byte[] bytes = java.nio.file.Files.readAllBytes(each.toPath());
            System.out.println(each + " " + bytes.length + " " + java.util.Arrays.hashCode(bytes));
        }}
    }}
}}
{behind}
"""


# A TypeScript program that says what was emitted.
SHOWN = """
declare var require: any;
console.log(require("fs").readdirSync(".").join(), require("fs").readFileSync("main.js", "utf8"));
"""
BITS = "#include <bits/stdc++.h>\n"
VECTOR = 'int main() { std::vector<int> v{1}; std::printf("%d\\n", int(v.size())); }\n'
PUTS = 'int main() { puts("ran"); }\n'
RAW = (
    "interface ReadonlyArray<T> { raw: number }"  # then a declaration in the library is wrong, and in the program none
)
UNTRUE = 'int main() { assert(false); puts("ran"); }\n'

SAME: dict[str, dict[str, str]] = {
    "cpp": {
        "the library first": BITS + "using namespace std;\n" + VECTOR,
        "comments before the library": "// a comment\n\n  // more\n # include <bits/stdc++.h> // the library\n"
        + VECTOR,
        "headers before the library": "#include <iostream>\n#include <cassert>\n#include <math.h>\n" + BITS + VECTOR,
        "boost before the library": "#include <boost/any.hpp>\n"
        + BITS
        + "int main() { std::cout << sizeof(boost::any); }",
        "nothing included": "int main() { return 3; }",
        "nothing included, but used": VECTOR,
        "empty": "",
        "only the library": BITS,
        "the library in the middle": "#include <cstdio>\nstruct S { int vector; };\n" + BITS + VECTOR,
        "using before any library": "using namespace std;\n#include <optional>\n" + BITS + VECTOR,
        "using before any library, unused": "using namespace std; int count = 1;\n" + BITS + VECTOR,
        "the library behind using": "#include <vector>\nusing namespace std;\nint count = 1;\n" + BITS + VECTOR,
        "a type error": BITS + 'int main() { int x = "one"; }',
        "a syntax error": BITS + "int main() { int x = ; }",
        "an error in the linker": BITS + "int f();\nint main() { return f(); }",
        "warnings": BITS + 'int f() { }\nint main() { int x; char *s = "s"; ' + "puts(s); }",
        "unicode": BITS + 'int main() { std::string é = "日本 😀"; std::cout << é << é.size(); }',
        "a macro in the library's way": "#define vector int\n" + BITS + PUTS,
        "private is public": "#define private public\n" + BITS + PUTS,
        "a macro that changes the library": "#define NDEBUG\n" + BITS + UNTRUE,
        "a macro behind a comment": "// first\n#define NDEBUG\n" + BITS + UNTRUE,
        "a macro behind the library": BITS + "#define NDEBUG\n#include <cassert>\n" + UNTRUE,
        "a macro between headers": "#include <cstdio>\n#define assert(x) puts(#x)\n"
        + BITS
        + "int main() { assert(1 == 2); }",
        "what is known before the library": "#include <cstdio>\n#ifdef _GLIBCXX_VECTOR\n#error known\n#endif\n"
        + BITS
        + PUTS,
        "a comment around the library": "/*\n" + BITS + "*/\n" + VECTOR,
        "a comment that goes on": "// \\\n" + BITS + "#include <cstdio>\n" + VECTOR,
        "a comment that goes on behind a header": "#include <cstdio> // \\\n" + BITS + VECTOR,
        "a comment that goes on behind the library": BITS[:-1] + " // \\\n" + VECTOR + PUTS,
        "the library twice": BITS + BITS + VECTOR,
        "the library where it is not meant": "#if 0\n" + BITS + "#endif\n" + VECTOR,
        "the library in a namespace": "#include <cstdio>\nnamespace n {\n#include <cstring>\n}\n" + BITS + PUTS,
        "pragmas": BITS + '#pragma GCC optimize("O3")\n#pragma GCC target("avx2")\n' + VECTOR,
        "pragmas before the library": '#pragma GCC optimize("O3,unroll-loops")\n#pragma once\n' + BITS + VECTOR,
        "a header that is not there": "#include <nosuch>\n" + BITS + PUTS,
        "where am I": BITS
        + "int main() { std::cout << __FILE__ << __LINE__ << __BASE_FILE__ << __COUNTER__ << __cplusplus; }",
        "the name of main": BITS + 'int main() { puts(__PRETTY_FUNCTION__); assert(!"this"); }',
        "CR LF": (BITS + "using namespace std;\n" + VECTOR).replace("\n", "\r\n"),
        "a byte order mark": "\ufeff" + BITS + VECTOR,
        "NUL": "\0#define sort broken broken\n" + BITS + VECTOR,
        "NUL behind the library": BITS + "\0\n" + VECTOR + "\0",
        "a lone surrogate": BITS + 'int main() { puts("\ud800"); }',
    },
    "java": {
        "passing": in_main('System.out.println("ran");'),
        "a library": in_main("System.out.println(Pair.with(1, 2).getValue1());", "import org.javatuples.*;"),
        "a type error": in_main('int x = "one";'),
        "a syntax error": in_main("int x = ;"),
        "warnings": in_main(
            "List l = new ArrayList(); l.add(new Integer(1)); System.out.println(l);", "import java.util.*;"
        ),
        "unicode": in_main(
            'String é = "日本 😀"; System.out.println(é.length() + é + new Ünï().x);', "", "class Ünï { int x = 5; }"
        ),
        "several classes": in_main(
            "System.out.println(new A().b.x);", "class A { B b = new B(); }", "class B { int x = 3; }"
        ),
        "inner classes": in_main(
            "System.out.println(new In().x() + new Object() { int y() { return 4; } }.y() + E.A.f());",
            "",
            "class In { int x() { class Local { int z = 1; } return new Deep().z + new Local().z; }\n"
            "class Deep { int z = 2; } }\n"
            "enum E { A { int f() { return 1; } }, B; int f() { return 2; } }",
        ),
        "records and sealed interfaces": in_main(
            "S s = new T(3); System.out.println(s instanceof T t ? t.x() : 0);",
            "sealed interface S permits T, U {}",
            "record T(int x) implements S {}\nfinal class U implements S {}",
        ),
        "lambdas": in_main(
            "Function<Integer, Integer> f = x -> x + 1; Supplier<Object> s = Object::new;\n"
            "Runnable r = () -> f.apply(2); "
            "r.run();\nSystem.out.println(Stream.of(3, 1).sorted().map(f).collect(Collectors.toList()));",
            "import java.util.function.*;\nimport java.util.stream.*;",
        ),
        "switches and text blocks": in_main(
            'System.out.println(switch (3) { case 3 -> """\n  a\n   b"""; default -> "c"; });'
        ),
        "generics": in_main(
            "System.out.println(Max.<Integer>of(List.of(3, 5)));",
            "import java.util.*;",
            "class Max { static <T extends Comparable<? super T>> T of(List<? extends T> a) "
            "{ return Collections.max(a); } }",
        ),
        "assertions": in_main(
            'assert args.length == 0 : "none";\n'
            "try { assert false; } catch (AssertionError e) { System.out.println(e.getStackTrace()[0]); }"
        ),
        "a package": "package a.b;\nclass Problem { public static void main(String[] args) { } }",
        "a public class": in_main("System.out.println(1);").replace("class Problem", "public class Problem"),
        "another public class": in_main("System.out.println(1);", "", "public class Other {}"),
        "no class": "",
        "no class Problem": "class Other { public static void main(String[] args) { } }",
        "a class twice": in_main("", "class A {}", "class A {}"),
        "names of the library": "class Object {}\nclass Problem {\n"
        "    public static void main(java.lang.String[] args) { System.out.println(new Object() != null); }\n}",
        "a module": "module problem { }",
        "the library's package": "package java.lang;\nclass Problem { public static void main(String[] args) { } }",
        "what is not exported": in_main("System.out.println(jdk.internal.misc.VM.class);"),
        "a preview": in_main("Object o = 1; System.out.println(switch (o) { case Integer i -> 1; default -> 2; });"),
        "code too large": in_main("int x = 0;\n" + "x += 12345678; x *= 3;\n" * 10_000),
        "a name too long": in_main("", "", f"class {'A' * 300} {{}}"),
        "CR LF": in_main('System.out.println("""\n  a\n   b""");').replace("\n", "\r\n"),
        "a byte order mark": "\ufeff" + in_main(""),
        "NUL": in_main('System.out.println("a\0b".length());') + "\0",
        "an end of file of old": in_main("System.out.println(1);") + "\x1a garbage",
        "a lone surrogate": in_main('System.out.println("\ud800".length());'),
        "a lone surrogate in a comment": in_main("// \udfff"),
        "a long chain": in_main(" else ".join(f"if (args.length == {n}) return;" for n in range(1, 600))),
        "deep": in_main(f"int x = {'(' * 1500}1{')' * 1500};"),
    },
    "typescript": {
        "passing": "const a: number[] = [1];\nconsole.log(a.length);" + SHOWN,
        "a type error": 'const x: number = "one";' + SHOWN,
        "a syntax error": "const = ;",
        "a name of the DOM": "const name = 1;\nconsole.log(name);" + SHOWN,
        "a function of the DOM": "function print() { return 1; }\nconsole.log(print());" + SHOWN,
        "an interface of the library": "interface Array<T> { length: string }" + SHOWN,
        "more in an interface of the library": "interface Array<T> { more: number }\nconsole.log([].more);" + SHOWN,
        "an interface that breaks the library": RAW + SHOWN,
        "a module": "export {};\nconst name = 1;\nconsole.log(name);" + SHOWN,
        "a global declaration": "export {};\n"
        "declare global { interface Array<T> { more: number } }\nconsole.log([].more);" + SHOWN,
        "a global declaration that breaks the library": f"export {{}};\ndeclare global {{ {RAW} }}" + SHOWN,
        "a comment in a global declaration": f"export {{}};\ndeclare /**/ global {{ {RAW} }}" + SHOWN,
        "a global declaration in a module": f'declare module "m" {{ global {{ {RAW} }} }}' + SHOWN,
        "unchecked": f"// @ts-nocheck\nconst x: number = 'one';\n{RAW}" + SHOWN,
        "another library": '/// <reference lib="es2020" />\nconsole.log([1].includes(1));' + SHOWN,
        "a library against another": '/// <reference lib="webworker" />\nconsole.log(1);' + SHOWN,
        "no library": '/// <reference no-default-lib="true" />\nconsole.log(1);' + SHOWN,
        "a path": '/// <reference path="/etc/passwd" />\nconsole.log(1);' + SHOWN,
        "its own path": '/// <reference path="main.ts" />\nconsole.log(1);' + SHOWN,
        "the types of node": '/// <reference types="node" />\nimport * as fs from "fs";\nconsole.log(1);',
        "the compiler itself": 'import ts = require("/usr/local/lib/node_modules/typescript/lib/typescript");\n'
        "let node: ts.Node;\nconsole.log(1);" + SHOWN,
        "itself": 'import * as self from "./main";\nexport const x = 1;\nconsole.log(self.x);' + SHOWN,
        "a namespace, an enumeration, a class": "namespace N { export const x = 1; }\nenum E { a = 1, b }\n"
        "abstract class A {\n"
        "    constructor(protected readonly x: number) {}\n    abstract f(): string;\n}\n"
        "class B extends A { f() { return `${this.x}`; } }\nconsole.log(N.x, E.b, new B(2).f());" + SHOWN,
        "what ES5 has not": "console.log([...new Map([[1, 2]])], 2n ** 3n);\nclass A { #x = 1; }" + SHOWN,
        "asynchronous": "async function f() { return 1; }\nf().then(console.log);" + SHOWN,
        "implicit any": "function f(a, b) { return a + b; }\nconsole.log(f(1, 2));" + SHOWN,
        "unicode": 'const é = "日本\u2028😀";\nconsole.log(é, é.length);' + SHOWN,
        "CR LF": ("const a = `x\ny`;\nconsole.log(JSON.stringify(a));" + SHOWN).replace("\n", "\r\n"),
        "a byte order mark": "\ufeffconsole.log(1);" + SHOWN,
        "NUL": 'console.log("a\0b".length);\0' + SHOWN,
        "a lone surrogate": 'console.log("\ud800".charCodeAt(0));' + SHOWN,
        "empty": "",
        "deep": f"console.log({'(' * 2000}1{')' * 2000});",
    },
}


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.parametrize(("name", "what"), [(name, what) for name in SAME for what in SAME[name]])
def test_the_warm_way_is_the_plain_way(docker: Kept, name: str, what: str) -> None:
    warm, plain = (docker.run(program(name, SAME[name][what]), way) for way in (True, False))
    assert (warm.ending, warm.status, warm.compiling) == (plain.ending, plain.status, plain.compiling), (warm, plain)
    if warm.compiling:
        assert warm.stderr
    else:
        assert bytes(warm.stdout) == bytes(plain.stdout)
        assert bytes(warm.stderr) == bytes(plain.stderr)
