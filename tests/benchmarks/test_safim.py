"""SAFIM on rows of our own making, in upstream's schema and all its languages, each answer with its verdict.

The real rows are on the hub only; see benchmarks/safim.py.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qwencoder_eval.benchmark import Benchmark, profile
from qwencoder_eval.registry import discover
from qwencoder_eval.sandboxes.choose import backend as make
from qwencoder_eval.sandboxes.none import NoneBackend
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.stream.golden import failing
from qwencoder_eval.types import Completion, Infill

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("block", "control", "api", "block_v2")
HOLES = {"python": "# TODO: Your code here"}
SUM = [{"input": "3\n1 2 3\n", "output": ["6\n"]}, {"input": "2\r\n-5 5\r\n", "output": ["zero", "0"]}]


def row(lang: str, id: str, file: str, right: str, tests: Any = SUM, **others: Any) -> dict[str, Any]:
    hole = HOLES.get(lang, "/* TODO: Your code here */")
    return {
        "task_id": id, "lang": lang, "eval_prompt": file, "ground_truth": right, "unit_tests": json.dumps(tests),
        "prompt": f"Complete the code in {lang}:\n\nCode:\n\n" + file.replace("{{completion}}", hole), **others,
    }  # fmt: skip


PYTHON = "n = int(input())\nt = 0\nfor x in map(int, input().split()):\n    {{completion}}\nprint(t)\n"
CPP = """#include <iostream>
int main() {
    int n, x, t = 0;
    std::cin >> n;
    for (int i = 0; i < n; i++) {
        {{completion}}
    }
    std::cout << t << std::endl;
}
"""
JAVA = """import java.util.*;
public class Total {
    public static void main(String[] args) {
        Scanner in = new Scanner(System.in);
        int n = in.nextInt(), t = 0;
        for (int i = 0; i < n; i++) {
            {{completion}}
        }
        System.out.println(t);
    }
}
"""
CSHARP = """using System;
using System.Linq;
class Total {
    static void Main() {
        int n = int.Parse(Console.ReadLine()), t = 0;
        foreach (int x in Console.ReadLine().Split(' ').Select(int.Parse)) {
            {{completion}}
        }
        Console.WriteLine(t);
    }
}
"""
# Conditions: a hole in the head of a loop or a branch.
CONTROL = {
    "python": PYTHON.replace("    {{completion}}", "    if {{completion}}:\n        t += x"),
    "cpp": CPP.replace("        {{completion}}", "        std::cin >> x;\n        if ({{completion}}) t += x;"),
    "java": JAVA.replace("    {{completion}}", "    int x = in.nextInt();\n            if ({{completion}}) t += x;"),
    "csharp": CSHARP.replace("            {{completion}}", "            if ({{completion}}) t += x;"),
}  # fmt: skip

Case = tuple[str, str, str, str]  # language, what stood there, the answer, the outcome
BLOCKS: list[Case] = [
    ("python", "t += x", "t = t + x", "passed"),
    ("python", "t += x", "t += x\n    print(t)\n", "wrong"),
    ("python", "t += x", "if x:\n        t += x\n    else:\n        pass\n", "passed"),
    ("python", "t += x", "for y in [x]:\n        t += y\nprint(0)\n", "passed"),  # its last line goes
    ("python", "t += x", "  t += x\n    t -= 9\n", "passed"),  # indented otherwise: its first line alone fits
    ("python", "t += x", "t = max(t, x\n", "no_code"),
    ("python", "t += x", "t += x;\n    t += 0;;\n", "compile_error"),  # ";" is no error to the cut, but to Python
    ("python", "t += x", "t += x\r\n    t += 0\r\n", "passed"),
    ("python", "t += x", "t += x\x0c\n    t += 0\n", "passed"),
    ("python", "t += x", "t += x\n\tt += 0\n", "compile_error"),  # tabs and blanks
    ("python", "t += x", "t += '\ud800'\n", "runtime_error"),
    ("python", "t += x", "pass", "no_code"),  # upstream's cut drops what equals its own filler
    ("python", "t += x", "t += x\n    exit()\n", "runtime_error"),
    ("python", "t += x", "if t == 6: t = 7\n    t += x\n", "passed"),
    ("cpp", "std::cin >> x; t += x;", "std::cin >> x;\n        t += x;\n    }\n    return 1;\n", "passed"),
    ("cpp", "std::cin >> x; t += x;", "std::cin >> x; t += x;;", "passed"),
    ("cpp", "std::cin >> x; t += x;", "std::cin >> x;", "wrong"),
    ("cpp", "std::cin >> x; t += x;", "t += y;", "compile_error"),
    ("cpp", "std::cin >> x; t += x;", "{ { std::cin >> x; } t += x; }", "passed"),
    ("cpp", "std::cin >> x; t += x;", "std::cin >> x; t = (t + x;", "compile_error"),  # made up for by the parser
    ("cpp", "std::cin >> x; t += x;", "int *p = 0; *p = 1;", "runtime_error"),
    ("cpp", "std::cin >> x; t += x;", "", "no_code"),
    ("java", "t += in.nextInt();", "int x = in.nextInt();\n            t += x;\n        }\n    }\n", "passed"),
    ("java", "t += in.nextInt();", "t -= in.nextInt();", "wrong"),
    ("java", "t += in.nextInt();", "t += in.nextInt()", "compile_error"),
    ("java", "t += in.nextInt();", "throw new RuntimeException();", "runtime_error"),
    ("java", "t += in.nextInt();", "assert i < 0;\n            t += in.nextInt();\n", "passed"),  # no -ea there
    ("csharp", "t += x;", "t = t + x;\n        }\n", "passed"),
    ("csharp", "t += x;", "t = x;", "wrong"),
    ("csharp", "t += x;", "t += y;", "compile_error"),
    ("csharp", "t += x;", "throw new Exception();", "runtime_error"),
    ("csharp", "t += x;", "\n#if DEBUG\nt = 99;\n#endif\nt += x;\n", "passed"),
]  # fmt: skip
CONTROLS: list[Case] = [
    ("python", "x != 0", "x or not x:\n        t = 0", "compile_error"),  # its line goes on behind the condition
    ("python", "x != 0", "\n  \nx or not x", "passed"),
    ("python", "x != 0", "x > 2", "wrong"),
    ("cpp", "x != 0", "x || (!x)) { t = 9; }", "passed"),
    ("cpp", "x != 0", "x > 2", "wrong"),
    ("java", "x != 0", "x > 0 || x < 1) t--;", "passed"),
    ("java", "x != 0", "x", "compile_error"),
    ("csharp", "x != 0", "Math.Abs(x) >= 0) {", "passed"),
    ("csharp", "x != 0", "false", "wrong"),
]
CALLS: list[Case] = [
    ("python", "torch.add(a, b, alpha=2)", "torch.add(a,b, alpha = 2)\nprint(1)", "passed"),
    ("python", "torch.add(a, b, alpha=2, out=c)", "torch.add(a, b, out=c, alpha=2)", "passed"),
    ("python", "torch.add(a, b)", "torch.add(b, a)", "wrong"),
    ("python", "torch.load('a b.pt')", "torch.load('ab.pt')", "passed"),
    ("python", "torch.load('a')", "torch.load('a'", "wrong"),
    ("python", "torch.add(a)", "", "wrong"),
    ("java", "new Date(1, x)", "new Date(1,\tx).getTime()", "passed"),
    ("java", "new Date(1, x)", "new Date(x, 1)", "wrong"),
    ("cpp", "cv::imread(name, 1)", "cv::imread(name,1);", "passed"),
    ("cpp", "cv::imread(name, 1)", ") cv::imread(name, 1)", "wrong"),
    ("csharp", "JsonConvert.Parse(text)", "JsonConvert.Parse( text )", "passed"),
    ("csharp", "f(a: 1, b: 2)", "f(b: 2, a: 1)", "wrong"),
]


def rows_of(part: str) -> list[tuple[dict[str, Any], str, str]]:
    if part == "api":
        found = [
            (row(lang, f"{part}_{at}", "x = {{completion}};", right, []), answer, outcome)
            for at, (lang, right, answer, outcome) in enumerate(CALLS)
        ]
        for each, _, _ in found:
            del each["eval_prompt"]
        return found
    files = CONTROL if part == "control" else {"python": PYTHON, "cpp": CPP, "java": JAVA, "csharp": CSHARP}
    cases = CONTROLS if part == "control" else BLOCKS
    return [
        (row(lang, f"{part}_{at}", files[lang], right), answer, outcome)
        for at, (lang, right, answer, outcome) in enumerate(cases)
    ]


def safim(part: str) -> Benchmark:
    return discover().load(f"safim:{part}")


def verdict(part: str, line: dict[str, Any], answer: str, pool: Pool, name: str = "safim") -> str:
    chosen = profile(safim(part), name)
    problem = chosen.benchmark.problem(line)
    code = chosen.scoring.extract(problem, Completion(answer))
    assert code is not None
    return chosen.scoring.scorer.score(problem, code, None, pool).checks[f"safim:{part}"].value


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(NoneBackend(), 1) as opened:
        yield opened


def of(part: str, *languages: str) -> list[Any]:
    return [pytest.param(*case, id=case[0]["task_id"]) for case in rows_of(part) if case[0]["lang"] in languages]


@pytest.mark.parametrize(("line", "answer", "expected"), of("block", "python"))
def test_blocks_of_python(pool: Pool, line: dict[str, Any], answer: str, expected: str) -> None:
    assert verdict("block", line, answer, pool) == expected


def test_what_stood_there_passes_though_its_tests_would_not(pool: Pool) -> None:
    line = row("python", "x", PYTHON, "t -= x")
    assert verdict("block", line, "t -= x", pool) == "passed"
    assert verdict("block", line, "t -= x", pool, "executed") == "wrong"
    assert verdict("block", line, "t -= x\n", pool) == "wrong"


@pytest.mark.parametrize(("line", "answer", "expected"), of("control", "python"))
def test_conditions_of_python(pool: Pool, line: dict[str, Any], answer: str, expected: str) -> None:
    assert verdict("control", line, answer, pool) == expected


@pytest.mark.parametrize(("line", "answer", "expected"), of("api", *HOLES, "java", "cpp", "csharp"))
def test_calls_without_a_sandbox(line: dict[str, Any], answer: str, expected: str) -> None:
    assert verdict("api", line, answer, None) == expected  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=[pytest.param("docker", marks=pytest.mark.docker)])
def engine(request: pytest.FixtureRequest) -> Iterator[Pool]:
    made = make(request.param)
    if reason := made.why_not():
        pytest.skip(f"{request.param}: {reason}")
    with Pool(made, 2) as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("language", ["python", "cpp", "java", "csharp"])
@pytest.mark.parametrize("part", ["block", "control"])
def test_every_language_in_containers(engine: Pool, part: str, language: str) -> None:
    found = {
        line["task_id"]: (answer, verdict(part, line, answer, engine))
        for line, answer, _ in rows_of(part)
        if line["lang"] == language
    }
    expected = {line["task_id"]: (answer, outcome) for line, answer, outcome in rows_of(part)}
    assert found == {id: expected[id] for id in found}


@pytest.mark.slow
@pytest.mark.parametrize("part", ["block", "control"])
def test_references_pass_when_they_are_run(engine: Pool, part: str) -> None:
    seen = {line["lang"]: line for line, _, _ in rows_of(part)}
    assert len(seen) == 4
    for line in seen.values():
        assert verdict(part, line, line["ground_truth"], engine, "executed") == "passed", line["lang"]


@pytest.mark.parametrize("part", PARTS)
def test_golden_vectors(part: str) -> None:
    assert failing(safim(part), NoneBackend()) == []


# -- rows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", PARTS)
def test_what_is_asked(part: str) -> None:
    line = rows_of(part)[0][0]
    bench = safim(part)
    problem = bench.problem(line)
    for name, sampling in (("safim", (1, 0.2, 0.95, 128)), ("qwen", (1, 0.0, 1.0, 128))):
        chosen = profile(bench, name)
        assert chosen.prompt(problem) == Infill(*line["prompt"].split("# TODO: Your code here"))
        asked = chosen.asking.sampling
        assert (asked.n, asked.temperature, asked.top_p, asked.max_tokens) == sampling
    assert (problem.id, problem.language, problem.groups) == (line["task_id"], "python", {"language": "python"})
    assert problem.reference == line["ground_truth"]
    assert (bench.name, next(iter(bench.profiles))) == (f"safim:{part}", "safim")


def test_block_v2_stands_apart() -> None:
    assert set(safim("block").apart) == {"block_v2"}
    assert [bench.name for bench in map(safim, PARTS)] == [f"safim:{part}" for part in PARTS]


def test_tests_may_be_a_list() -> None:
    line = rows_of("block")[0][0]
    listed = {**line, "unit_tests": json.loads(line["unit_tests"])}
    assert safim("block").problem(listed).tests == safim("block").problem(line).tests


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("block", {"prompt": "no hole"}),
        ("control", {"prompt": "# TODO: Your code here # TODO: Your code here"}),
        ("block", {"eval_prompt": "no hole"}),
        ("block", {"eval_prompt": "{{completion}}{{completion}}"}),
        ("api", {"unit_tests": json.dumps(SUM)}),
        ("api", {"lang": "rust"}),
    ],
)
def test_rows_that_are_not_as_expected_are_refused_by_name(part: str, change: dict[str, Any], data: Data) -> None:
    line = {**rows_of(part)[0][0], **change}
    data(part, [line])
    ran = qceval("score", "--bench", f"safim:{part}", "--samples", "none.jsonl")
    assert ran.returncode == 2
    (said,) = [text for text in ran.stderr.splitlines() if "rows are not what this benchmark expects" in text]
    assert line["task_id"] in said or "rust" in said


# -- the command line --------------------------------------------------------------------------------

Data = Callable[[str, list[dict[str, Any]]], Path]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
    """Write the rows of a part into a folder of data of the test's own."""
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("QCEVAL_RESULTS", str(tmp_path / "results"))

    def write(part: str, lines: list[dict[str, Any]]) -> Path:
        path = tmp_path / "data" / "safim" / f"{part}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return write


def qceval(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "qwencoder_eval", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)


def document(*arguments: str) -> Any:
    ran = qceval(*arguments, "--json")
    assert ran.returncode in (0, 1), ran.stderr
    return json.loads(ran.stdout)


def test_scores_of_a_file_of_samples(data: Data, tmp_path: Path) -> None:
    cases = [case for case in rows_of("block") if case[0]["lang"] == "python"][:6]
    data("block", [line for line, _, _ in cases])
    samples = tmp_path / "model.jsonl.gz"
    with gzip.open(samples, "wt") as file:
        file.writelines(json.dumps({"task_id": line["task_id"], "completion": x}) + "\n" for line, x, _ in cases)
    report = document("score", "--bench", "safim:block", "--samples", str(samples), "--sandbox", "none", "--unsafe")
    assert report["outcomes"] == {"safim:block": {"passed": 4, "wrong": 1, "no_code": 1}}
    score = report["scores"]["safim:block"]["pass@1"]
    assert (score["value"], score["problems"]) == (pytest.approx(4 / 6), 6)


def test_calls_are_checked_without_a_sandbox(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    data("api", [line for line, _, _ in rows_of("api")])
    found = document("check", "--bench", "safim:api")
    report = found[0] if isinstance(found, list) else found
    assert report["outcomes"] == {"safim:api": {"passed": len(CALLS)}}
    assert (report["golden"], report["exceptions"]) == ([], [])


def test_rows_that_are_not_there_are_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path))
    ran = qceval("check", "--bench", "safim:api")
    assert ran.returncode != 0
    assert "safim/api.jsonl: not found; put it beside the benchmark" in ran.stderr
    assert "Traceback" not in ran.stderr
