"""Attacks on what stays warm: compilers that serve one program after the other, and g++ with its precompiled header.

After each, honest programs get the verdicts that they get where every program has a compiler of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from test_hostile_languages import inside, running
from test_languages import COMPILED, LEAVING, SCORER, Kept, ended, keeping, limits, problem, program, scored

from qwencoder_eval.sandboxes.base import Decided
from qwencoder_eval.sandboxes.docker import DockerBackend, DockerSandbox
from qwencoder_eval.sandboxes.languages import languages
from qwencoder_eval.types import Limits, Outcome, Program, Result

pytestmark = pytest.mark.docker

WARM = tuple(name for name in COMPILED if languages()[name].warm or languages()[name].service)
SERVED = tuple(name for name in WARM if languages()[name].service)
BITS = "#include <bits/stdc++.h>\n"
OK, REFUSED = ("exit", 0), ("compile_error",)


@pytest.fixture(scope="module")
def docker() -> Iterator[Kept]:
    """Containers, kept warm."""
    with keeping(DockerBackend()) as kept:
        yield kept


PLAIN: dict[str, list[Outcome]] = {}  # by language, what the plain compiler makes of honest programs


def verdicts(docker: Kept, name: str, warm: bool) -> list[Outcome]:
    codes = [LEAVING[name]["right"], LEAVING[name]["wrong"], languages()[name].fixtures["broken"]]
    return [
        SCORER.score(problem(name, LEAVING[name]), code, None, docker.pool(name, warm)).checks["tests"]
        for code in codes
    ]


def honest(docker: Kept, name: str) -> None:
    """Honest programs get the verdicts of the plain compiler, and nothing runs beside agent and compiler."""
    if name not in PLAIN:
        PLAIN[name] = verdicts(docker, name, warm=False)
        assert PLAIN[name] == [Outcome.PASSED, Outcome.WRONG, Outcome.COMPILE_ERROR]
    assert verdicts(docker, name, warm=True) == PLAIN[name]
    assert len(running(docker.made(name)[-1])) == 1 + bool(languages()[name].service)


def test_what_is_warm() -> None:
    assert set(SERVED) == {"java", "typescript"}
    assert set(WARM) == {"cpp", "csharp", *SERVED}


# -- one program -------------------------------------------------------------------------------------

# By language and by what it does: the program, and how it must end: refused, well, or at the compiler's time limit.
ATTACKS: dict[str, dict[str, tuple[str, tuple[Any, ...]]]] = {
    "cpp": {
        "endless templates": (
            "template <int n> struct B { static const int v = B<n + 1>::v; };\nint main() { return B<0>::v; }",
            REFUSED,
        ),
        "templates that grow": (
            "template <class T> struct P { typename P<P<T>>::X x; typedef T X; };\nint main() { P<int> p; }",
            REFUSED,
        ),
        "endless constants": (
            "constexpr int f(int n) { return f(n + 1); }\nstatic_assert(f(0));\nint main() { }",
            REFUSED,
        ),
        "macros that double": (
            BITS
            + "#define a0 0+0\n"
            + "".join(f"#define a{n + 1} a{n}+a{n}+a{n}+a{n}\n" for n in range(14))
            + "int main() { return a14; }",
            REFUSED,  # out of memory
        ),
        "an array of 4 GiB": (BITS + "char a[1ull << 32] = {1};\nint main() { return a[5]; }", REFUSED),
        "includes itself": ("#include __FILE__\nint main() { }", REFUSED),
        "/etc/passwd": ('#include "/etc/passwd"\nint main() { }', REFUSED),
        "the agent": ('#include "/opt/qceval/agent.py"\nint main() { }', REFUSED),
        "the agent's memory": ('#include "/proc/1/mem"\nint main() { }', REFUSED),
        "the agent's environment": ('#include "/proc/1/environ"\nint main() { }', REFUSED),
        "a device": ('#include "/dev/zero"\nint main() { }', REFUSED),
        "another folder": ('#include "../other"\nint main() { }', REFUSED),
        "another precompiled header": (
            '#pragma GCC pch_preprocess "/opt/qceval/warm/preamble.h.gch"\nint main() { }',
            REFUSED,
        ),
        "its standard input": ('#include "/dev/stdin"\nint main() { }', OK),  # which is empty
        "deep": (BITS + f"int main() {{ return {'(' * 20_000}0{')' * 20_000}; }}", OK),
        "a megabyte": (BITS + f"// {'x' * 1_000_000}\nint main() {{ }}", OK),
        "a megabyte of code": (
            BITS + "".join(f"int f{n}();\n" for n in range(60_000)) + "int main() { }",
            OK,
        ),
        "NUL": (BITS + "\0int main() { return '\0'; }\0", OK),
        "lone surrogates": (BITS + 'int main() { return !*"\ud800\udfff"; } // \udfff', OK),
        "CR LF": (BITS.replace("\n", "\r\n") + "int main() {\r\n}\r\n", OK),
        "a byte order mark": ("\ufeff" + BITS + "int main() { }", OK),
    },
    "java": {
        "constants that double": (
            'class Problem { static final String a0 = "xxxxxxxxxxxxxxxx";\n'
            + "".join(f"static final String a{n + 1} = a{n} + a{n};\n" for n in range(30))
            + "public static void main(String[] args) { System.out.println(a30.length()); } }",
            REFUSED,  # out of memory
        ),
        "bounds that recur": (
            "class N<Z> {}\n"
            "class C<X> extends N<N<? super C<C<X>>>> { N<? super C<String>> f(C<String> c) { return c; } }\n"
            "class Problem { public static void main(String[] args) { } }",
            REFUSED,
        ),
        "classes in a circle": ("class A extends B {} class B extends A {}", REFUSED),
        "deep": (f"class Problem {{ int x = {'(' * 100_000}1{')' * 100_000}; }}", REFUSED),
        "deep blocks": (
            f"class Problem {{ public static void main(String[] args) {{ {'{' * 100_000}{'}' * 100_000} }} }}",
            REFUSED,
        ),
        "50,000 errors": ("class Problem {\n" + 'int x = "a";\n' * 50_000 + "}", REFUSED),
        "more classes than there may be files": (
            "".join(f"class C{n} {{}}\n" for n in range(2500))
            + "class Problem { public static void main(String[] args) { } }",
            REFUSED,
        ),
        "a class whose file has too long a name": (f"class {'A' * 300} {{ }}", REFUSED),
        "a megabyte": (
            f"// {'x' * 1_000_000}\nclass Problem {{ public static void main(String[] args) {{ }} }}",
            OK,
        ),
        "a megabyte of code": (
            "class Problem { public static void main(String[] args) { }\n"
            + "".join(f"static int f{n}() {{ return {n}; }}\n" for n in range(20_000))
            + "}",
            OK,
        ),
        "NUL": ("class Problem { public static void main(String[] args) { } }\0", REFUSED),
        "CR LF": ("class Problem {\r\npublic static void main(String[] args) { }\r\n}\r\n", OK),
        "a byte order mark": ("\ufeffclass Problem { public static void main(String[] args) { } }", REFUSED),
        "an annotation processor": (
            "import java.util.*; import javax.annotation.processing.*; import javax.lang.model.element.*;\n"
            '@SupportedAnnotationTypes("*") class Mine extends AbstractProcessor {\n'
            "    public boolean process(Set<? extends TypeElement> a, RoundEnvironment r) { throw new Error(); }\n}\n"
            "class Problem { @Deprecated public static void main(String[] args) { } }",
            OK,
        ),
    },
    "typescript": {
        "types that recur": (
            "type F<N extends any[]> = N extends 0 ? 0 : F<[...N, 1]>;\nconst x: F<[]> = 1;",
            REFUSED,
        ),
        "a union of a million": (
            "type D = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;\nconst x: `${D}${D}${D}${D}${D}${D}` = '0';",
            REFUSED,
        ),
        "types in a circle": ("const a = b; const b = a;\ninterface I extends I {}\ntype T = T;", REFUSED),
        "deep": (f"const x = {'(' * 100_000}1{')' * 100_000};", REFUSED),
        "deep objects": (f"const x = {'{a:' * 3000}1{'}' * 3000};", REFUSED),
        "deep arrays": (f"const x = {'[' * 3000}1{']' * 3000};", REFUSED),
        "10,000 errors": ("".join(f"const x{n}: number = 'a';\n" for n in range(10_000)), REFUSED),
        "a path": ('/// <reference path="/etc/passwd" />\nconsole.log(1);', REFUSED),
        "a path to the agent": ('/// <reference path="/opt/qceval/agent.py" />\nconsole.log(1);', REFUSED),
        "a path to a neighbour": ('/// <reference path="../other.ts" />\nconsole.log(1);', REFUSED),
        "types of another folder": ('/// <reference types="../../etc" />\nconsole.log(1);', REFUSED),
        "an import of the agent": ('import x from "/opt/qceval/agent";\nconsole.log(x);', REFUSED),
        "an import of the compiler": ('import x from "/opt/qceval/compiler.js";\nconsole.log(x);', REFUSED),
        "an import of /etc/passwd": ('import x from "/etc/passwd";\nconsole.log(x);', REFUSED),
        "an import of a neighbour": ('import x from "../other";\nconsole.log(x);', REFUSED),
        "an import of JSON": (
            'import x from "/usr/local/lib/node_modules/typescript/package.json";\nconsole.log(x);',
            REFUSED,
        ),
        "require": ('import x = require("/opt/qceval/compiler");\nconsole.log(x);', REFUSED),
        "import()": ('const x = import("/opt/qceval/compiler");', REFUSED),
        "an import type": ('const x: import("/opt/qceval/compiler").y = 1;', REFUSED),
        "a megabyte": (f"// {'x' * 1_000_000}\nconst x = 1;", OK),
        "a megabyte of code": (
            "".join(f"function f{n}(): number {{ return {n}; }}\n" for n in range(20_000)),
            OK,
        ),
        "NUL": ("const x = 1;\0", REFUSED),
        "lone surrogates": ("const x = '\ud800\udfff'; // \udfff", OK),
        "CR LF": ("const x = `\r\n`;\r\n", OK),
        "a byte order mark": ("\ufeffconst x = 1;", OK),
        "every global name": (
            "declare var globalThis: any, undefined: any;\ninterface Object { x: 1 }\ninterface Function { x: 1 }\n"
            "interface Array<T> { x: 1 }\ninterface String { x: 1 }\nvar console = 1, process = 2, name = 3;",
            REFUSED,
        ),
    },
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "what"), [(name, what) for name in ATTACKS for what in ATTACKS[name]])
def test_an_attack_changes_nothing_for_its_neighbours(docker: Kept, name: str, what: str) -> None:
    source, expected = ATTACKS[name][what]
    docker.run(program(name, languages()[name].fixtures["broken"]))
    sandbox = docker.made(name)[-1]
    result = docker.run(program(name, source))
    assert ended(result)[: len(expected)] == expected, result
    assert result.compiling == (expected == REFUSED)
    if name != "cpp":  # which runs as the program's user, and reads what that may read
        assert b"root:" not in result.stderr
    honest(docker, name)
    assert docker.made(name)[-1] is sandbox


# -- one program after the other ---------------------------------------------------------------------

# By language: programs that are compiled, and others that must not be, though they would if something stayed.
LEAKS: dict[str, dict[str, tuple[str, str]]] = {
    "cpp": {
        "the program itself": ('#include <cstdio>\nint main() { puts("stale"); }', "int main() { return missing; }"),
        "an object file": ("int f() { return 1; }\nint main() { }", "int f();\nint main() { return f(); }"),
        "what the library declares": (BITS + "int main() { }", "int main() { std::vector<int> v; }"),
        "a macro": (BITS + "#define LEAKED 1\nint main() { }", BITS + "int main() { return LEAKED; }"),
        "a file": (
            BITS + 'int main() { std::ofstream("/tmp/other") << "int x;"; std::ofstream("bits") << ""; }',
            '#include "../other"\nint main() { }',
        ),
    },
    "java": {
        "a class": (
            "class Helper { static int x; }\nclass Problem { public static void main(String[] args) { } }",
            "class Problem { public static void main(String[] args) { System.out.println(Helper.x); } }",
        ),
        "a class in a package": (
            "package p; public class Problem { public static void main(String[] args) { } }",
            "class Other { p.Problem x; }",
        ),
        "a nested class": (
            "class Helper { static class Deep { } }\nclass Problem { public static void main(String[] args) { } }",
            "class Problem { Helper.Deep x; }",
        ),
        "a member": (
            "class Problem { static int x; public static void main(String[] args) { } }",
            "class Problem { public static void main(String[] args) { System.out.println(Problem.x); } }",
        ),
        "an import": (
            "import org.javatuples.*;\nclass Problem { Pair<Integer, Integer> x; }",
            "class Problem { Pair<Integer, Integer> x; }",
        ),
        "a class of the compiler's": (
            "class Problem { public static void main(String[] args) { } }",
            "class Problem { Compiler.Source x; Compiler.Files y; }",
        ),
    },
    "typescript": {
        "a variable": ("declare var leaked: number;", "console.log(leaked);"),
        "an interface of the library": (
            "interface Array<T> { leaked: number }\nlet x: number = [].leaked;",
            "console.log([].leaked);",
        ),
        "a global declaration": (
            "export {};\ndeclare global { interface String { leaked: number } var leaked: number; }\n"
            "let x: number = ''.leaked;",
            "console.log(''.leaked);",
        ),
        "a global variable": ("export {};\ndeclare global { var leaked: number; }", "console.log(leaked);"),
        "a namespace of the library": (
            "namespace Intl { export const leaked = 1; }\nlet x: number = Intl.leaked;",
            "console.log(Intl.leaked);",
        ),
        "a module": ('declare module "leaked" { export const x: number; }', 'import { x } from "leaked";'),
        "a type": ("type Leaked = number;\nlet x: Leaked = 1;", "let x: Leaked = 1;"),
        "a library": ('/// <reference lib="es2020" />\n[1].includes(1);', "[1].includes(1);"),
        "what it emitted": ("export const leaked = 1;", 'import { leaked } from "./main";'),
        "no checks": ("// @ts-nocheck\nlet x: number = 'a';", "let x: number = 'a';"),
    },
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "what"), [(name, what) for name in LEAKS for what in LEAKS[name]])
def test_nothing_stays_for_the_next_program(docker: Kept, name: str, what: str) -> None:
    first, second = LEAKS[name][what]
    sandbox = None
    for _ in range(2):
        result = docker.run(program(name, first))
        assert not result.compiling, result
        assert sandbox is None or sandbox is docker.made(name)[-1]
        sandbox = docker.made(name)[-1]
        result = docker.run(program(name, second))
        assert result.ending == "compile_error", result
        assert result.stdout == b""
    honest(docker, name)


JAVA = "class Problem { public static void main(String[] args) { System.out.println(%s); } }"
TYPESCRIPT = "let x: number = null;\n%s"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "source"),
    [
        ("java", ("--release", "11"), JAVA % '"""\na"""'),
        ("java", ("--release", "11"), JAVA % "java.util.stream.Stream.of(1).toList()"),
        ("java", ("-Werror", "-Xlint:all"), "import java.util.*;\n" + JAVA % "new ArrayList<>((List) List.of())"),
        ("typescript", ("--strict",), "let x: number = null;"),
        ("typescript", ("--noImplicitAny",), "function f(x) { }"),
        ("typescript", ("--lib", "es5"), "console.log(1);"),
        ("cpp", ("-Werror", "-Wall"), "int main() { int unused; }"),
        ("cpp", ("-std=c++98",), BITS + "int main() { std::vector<int> v{1}; }"),
        ("cpp", ("-DBAD",), BITS + "#ifdef BAD\n#error bad\n#endif\nint main() { }"),
    ],
)
def test_options_are_those_of_one_program(docker: Kept, name: str, options: tuple[str, ...], source: str) -> None:
    for _ in range(2):
        assert docker.run(program(name, source, compile_args=options)).ending == "compile_error"
        result = docker.run(program(name, source))
        assert not result.compiling, result
    plain = docker.run(program(name, source, compile_args=options), warm=False)
    assert plain.ending == "compile_error"
    honest(docker, name)


class Recording:
    """A runner that keeps what it is asked to run."""

    def __init__(self, docker: Kept) -> None:
        self.docker = docker
        self.programs: list[Program] = []

    def run(self, program: Program, decided: Decided | None = None) -> Result:
        self.programs.append(program)
        return self.docker.run(program)

    run_alone = run


def test_a_model_says_nothing_to_the_compiler(docker: Kept) -> None:
    """What it writes is the main file, whole; options and other files are the benchmark's."""
    words = "//usr/bin/env -S javac -processor Mine\n// @options -proc:full -d /tmp\n/* @argfile */\n"
    code = words + LEAVING["java"]["right"]
    recording = Recording(docker)
    assert SCORER.score(problem("java", LEAVING["java"]), code, None, recording).checks == {"tests": Outcome.PASSED}
    (seen,) = recording.programs
    assert (seen.compile_args, seen.args, seen.environment) == ((), (), {})
    assert list(seen.files) == ["Problem.java"]
    assert seen.files["Problem.java"].startswith(code)


@pytest.mark.parametrize("warm", [pytest.param(True, id="warm"), pytest.param(False, id="plain")])
def test_an_annotation_processor_is_never_called(docker: Kept, warm: bool) -> None:
    """Not even if a benchmark let a program bring files."""
    mine = ATTACKS["java"]["an annotation processor"][0].replace("class Mine", "public class Mine")
    files = {
        "META-INF/services/javax.annotation.processing.Processor": "Mine\nProblem.Mine\n",
        "Mine.java": mine,
        "javac.args": "-processor Mine",
        "Problem.java": "class Problem { public static void main(String[] args) { System.out.print(1); } }",
    }
    result = docker.run(Program("java", files, limits=limits()), warm)
    assert (ended(result), bytes(result.stdout)) == (OK, b"1"), result
    honest(docker, "java")


# -- the service dies --------------------------------------------------------------------------------


def signal_service(docker: Kept, name: str, signal: str) -> None:
    """As someone else on the machine may: from outside, to the warm compiler."""
    sandbox = docker.made(name)[-1]
    assert isinstance(sandbox, DockerSandbox)
    (pid,) = inside(sandbox)
    status, output = sandbox.container.exec_run(["sh", "-c", f"kill -{signal} {pid}"], user="0")
    assert status == 0, output


def service(docker: Kept, name: str) -> str:
    """The number of the warm compiler's process, where one runs."""
    command = languages()[name].service
    assert command
    lines = running(docker.made(name)[-1])
    return next((pid for pid, line in lines.items() if line.startswith(command[0])), "")


def wait_for(docker: Kept, name: str, happened: Callable[[list[str]], bool]) -> None:
    """Look until ``happened`` says so of the command lines in the sandbox."""
    deadline = time.monotonic() + 20
    while not happened(list(running(docker.made(name)[-1]).values())):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVED)
@pytest.mark.parametrize("signal", ["KILL", "TERM", "SEGV"])
def test_a_service_that_dies_between_programs(docker: Kept, name: str, signal: str) -> None:
    honest(docker, name)
    sandbox, first = docker.made(name)[-1], service(docker, name)
    assert first
    signal_service(docker, name, signal)
    honest(docker, name)
    second = service(docker, name)
    assert second
    assert second != first
    honest(docker, name)
    assert service(docker, name) == second
    assert docker.made(name)[-1] is sandbox


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVED)
@pytest.mark.parametrize("what", ["right", "wrong"])
def test_a_service_that_dies_while_it_compiles(docker: Kept, name: str, what: str) -> None:
    honest(docker, name)
    sandbox, first = docker.made(name)[-1], service(docker, name)
    signal_service(docker, name, "STOP")  # so that it is surely at it when it dies
    with ThreadPoolExecutor(1) as thread:
        scoring = thread.submit(scored, docker, name, LEAVING[name][what])
        wait_for(docker, name, lambda lines: len(lines) == 3)  # the compile step waits for an answer
        signal_service(docker, name, "KILL")
        found = scoring.result(60)
    assert found.checks == {"tests": {"right": Outcome.PASSED, "wrong": Outcome.WRONG}[what]}
    honest(docker, name)
    assert service(docker, name) not in ("", first)
    assert docker.made(name)[-1] is sandbox


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVED)
def test_a_service_that_dies_while_a_program_runs(docker: Kept, name: str) -> None:
    honest(docker, name)
    sandbox, first = docker.made(name)[-1], service(docker, name)
    loops = program(name, LEAVING[name]["sees"]["loops"], limits(2, 60))
    with ThreadPoolExecutor(1) as thread:
        looping = thread.submit(docker.run, loops)
        wait_for(docker, name, lambda lines: " ".join(languages()[name].run) in lines)
        signal_service(docker, name, "KILL")
        assert looping.result(60).ending == "cpu_limit"
    honest(docker, name)
    assert service(docker, name) not in ("", first)
    assert docker.made(name)[-1] is sandbox


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVED)
def test_a_service_that_hangs(docker: Kept, name: str) -> None:
    """Its program gets no verdict but a timeout that is ambiguous, for which it is run again."""
    honest(docker, name)
    sandbox, first = docker.made(name)[-1], service(docker, name)
    signal_service(docker, name, "STOP")
    right = f"{LEAVING[name]['right']}\n{LEAVING[name]['before']}{LEAVING[name]['after']}"
    result = docker.run(program(name, right, Limits(cpu_s=10, compile_cpu_s=1, wall_factor=0.5)))
    assert (result.ending, result.compiling, result.ambiguous) == ("wall_limit", True, True), result
    honest(docker, name)
    assert service(docker, name) not in ("", first)
    assert docker.made(name)[-1] is sandbox


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVED)
def test_a_service_that_has_served_long_is_replaced(docker: Kept, name: str) -> None:
    honest(docker, name)
    seen = {service(docker, name)}
    for _ in range(450):
        assert docker.run(program(name, languages()[name].fixtures["broken"])).ending == "compile_error"
    honest(docker, name)
    seen.add(service(docker, name))
    assert len(seen) == 2
