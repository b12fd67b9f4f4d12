"""Markdown, CSV and LaTeX: what they hold, and names that would like to be more than names."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from made_runs import made_run, outcomes_of

from qwencoder_eval.reports.leaderboard import Leaderboard, leaderboard
from qwencoder_eval.reports.plain import comma_separated, in_csv, in_latex, in_markdown, latex, markdown
from qwencoder_eval.runs.reading import all_finished

HOSTILE = 'a|b\\c "d" <script>x</script> $x_y^2$ & 100% #1 ~ {z}\n| new | row | \x1b[31m\u202e[l](http://x)'


@pytest.fixture
def board(tmp_path: Path) -> Leaderboard:
    made_run(tmp_path, outcomes_of([1] * 7 + [0], "humaneval"), model="lab/good-7B", benchmark="humaneval")
    made_run(tmp_path, outcomes_of([0] * 8, "humaneval"), model=HOSTILE, benchmark="humaneval", notes=["unsandboxed"])
    made_run(tmp_path, outcomes_of([1] + [0] * 7, "humaneval"), model="=cmd|' /C calc'!A0", benchmark="humaneval")
    made_run(tmp_path, outcomes_of([1, 0], "bird"), model="lab/good-7B", benchmark="bird")
    made_run(
        tmp_path, outcomes_of([1] * 7 + [0], "humaneval"), model="reference", benchmark="humaneval",
        notes=["reference solutions"],
    )  # fmt: skip
    return leaderboard(all_finished([tmp_path])[0])


def test_markdown(board: Leaderboard) -> None:
    text = markdown(board, "Board")
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# Board", "## Code generation", "## Text-to-SQL",
    ]  # fmt: skip
    assert "| lab/good-7B | **87.5** (52.9–97.8) |" in text
    assert "| model | humaneval<sup>a</sup><br>v1 · p<br>pass@1 |" in text
    assert "| reference \\(reference solutions\\) | 87.5 (52.9–97.8)<sup>c</sup> |" in text
    assert "- a: ceiling: the reference solutions reach 87.5 %" in text


def test_a_name_makes_no_markdown(board: Leaderboard) -> None:
    lines = [line for line in markdown(board, "Board").splitlines() if "new" in line]
    assert len(lines) == 1
    assert len(re.findall(r"(?<!\\)\|", lines[0])) == 3  # begin, middle and end of one row of two cells
    assert not re.search(r"(?<!\\)[<>$\[\]`_]", lines[0].replace("<sup>b</sup>", ""))
    assert "\x1b" not in lines[0]
    assert "\u202e" not in lines[0]
    assert in_markdown("*a* `b` [c](d) <e>") == r"\*a\* \`b\` \[c\]\(d\) \<e\>"


def test_csv_is_read_back(board: Leaderboard) -> None:
    head, *lines = csv.reader(io.StringIO(comma_separated(board)))
    assert head[:7] == [
        "model", "kind", "size_b", "Code generation: humaneval v1 · p pass@1; ceiling 0.8750",
        "Code generation: humaneval v1 · p pass@1 low", "Code generation: humaneval v1 · p pass@1 high",
        "Code generation: humaneval v1 · p pass@1 notes",
    ]  # fmt: skip
    assert {len(line) for line in lines} == {len(head)}
    by_name = {line[0]: line for line in lines}
    assert by_name["lab/good-7B"][1:7] == ["model", "7", "0.875000", "0.529112", "0.977583", "best"]
    assert by_name["reference"][6:] == ["reference solutions", "", "", "", ""]


@pytest.mark.parametrize("text", ["=cmd|x", "+1", "-2", "@sum", "|x", "%y", "\t=1", "  =1", "\n=1", "\x1b[0m=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert in_csv(text)[0] in "'·"
    assert in_csv("a=b") == "a=b"


def test_latex(board: Leaderboard) -> None:
    text = latex(board, "Board_1")
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 2
    assert r"lab/good-7B & \textbf{87.5} {\scriptsize [52.9--97.8]} \\" in text
    assert r"\caption{Board\_1: Code generation." in text
    assert r"\multicolumn{1}{c}{Text-to-SQL} \\" in text
    assert text.count("{") == text.count("}")


def test_a_name_gives_no_command_to_latex(board: Leaderboard) -> None:
    line = next(line for line in latex(board, "Board").splitlines() if "new" in line)
    assert len(re.findall(r"(?<!\\)&", line)) == 1
    assert not re.search(r"(?<!\\)[$#%_]|\^\{?2|~", line)
    assert in_latex("\\input{/etc/passwd}") == r"\textbackslash{}input\{/etc/passwd\}"
    assert in_latex("50% & $x_1$ ^~#") == r"50\% \& \$x\_1\$ \textasciicircum{}\textasciitilde{}\#"
