"""The report as Markdown, CSV and LaTeX. Names come from outside: each format escapes them in its own way."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from .leaderboard import Cell, Column, Leaderboard
from .table import for_terminal

MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+!|~&$])")
LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "·": r"\textperiodcentered{}", "–": "--", "…": r"\dots{}",
}  # fmt: skip
BEST = "better than the second beyond chance (p < 0.05, exact paired test over problems; of pass@1, and sandboxed runs)"


def flat(text: str) -> str:
    return " ".join(for_terminal(text).split())


def interval(cell: Cell) -> str:
    return "" if cell.low is None or cell.high is None else f"{100 * cell.low:.1f}–{100 * cell.high:.1f}"


# -- Markdown -----------------------------------------------------------------------------------------


def in_markdown(text: str) -> str:
    """As text: no markup, no link, no cell or line of its own."""
    return MARKDOWN.sub(r"\\\1", flat(text))


def markdown(board: Leaderboard, title: str) -> str:
    """A table for each family of benchmarks."""
    lines = [f"# {in_markdown(title)}", "", "Percent, with 95 % intervals."]
    legend = board.legend
    for family, columns in board.families.items():
        heads = [_markdown_head(column, legend) for column in columns]
        lines += ["", f"## {family}", "", _row(["model", *heads]), _row(["---", *["---:"] * len(columns)])]
        for row in board.rows:
            cells = [board.cell(row, column) for column in columns]
            if any(cells):
                kind = "" if row.kind == "model" else f" ({row.kind})"
                lines.append(_row([in_markdown(row.name + kind), *(_markdown_cell(cell, legend) for cell in cells)]))
    lines += ["", f"**Bold**: {in_markdown(BEST)}.", ""]
    lines += [f"- {letter}: {in_markdown(note)}" for note, letter in legend.items()]
    if board.said:
        lines += ["", "Left out:", "", *(f"- {in_markdown(line)}" for line in board.said)]
    return "\n".join(lines).rstrip() + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_head(column: Column, legend: dict[str, str]) -> str:
    below = f"<br>{in_markdown(column.rules)}<br>{in_markdown(column.metric)}"
    return f"{in_markdown(column.check)}{_sup(column.notes, legend)}{below}"


def _sup(notes: Sequence[str], legend: dict[str, str]) -> str:
    return f"<sup>{','.join(legend[note] for note in notes)}</sup>" if notes else ""


def _markdown_cell(cell: Cell | None, legend: dict[str, str]) -> str:
    if cell is None:
        return ""
    value = f"**{100 * cell.value:.1f}**" if cell.best else f"{100 * cell.value:.1f}"
    between = f" ({interval(cell)})" if cell.low is not None else ""
    return f"{value}{between}{_sup(cell.notes, legend)}"


# -- CSV ----------------------------------------------------------------------------------------------


def in_csv(text: str) -> str:
    """As text in a spreadsheet too, where a cell that begins like a formula would be run."""
    text = flat(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "|", "%")) else text


def comma_separated(board: Leaderboard, title: str = "") -> str:
    """A line a model; of each column value, low, high and notes, in the order of the families. Values are fractions."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    head = ["model", "kind", "size_b"]
    for column in board.columns:
        name = in_csv(f"{column.family}: {column.name}")
        ceiling = [f"ceiling {column.ceiling:.4f}"] if column.ceiling is not None else []
        head += ["; ".join([name, *ceiling]), f"{name} low", f"{name} high", f"{name} notes"]
    writer.writerow(head)
    for row in board.rows:
        line = [in_csv(row.name), row.kind, "" if row.size is None else f"{row.size:g}"]
        for column in board.columns:
            line += _csv_cells(board.cell(row, column))
        writer.writerow(line)
    return file.getvalue()


def _csv_cells(cell: Cell | None) -> list[str]:
    if cell is None:
        return [""] * 4
    ends = ["" if end is None else f"{end:.6f}" for end in (cell.low, cell.high)]
    notes = "; ".join([*(["best"] if cell.best else []), *cell.notes])
    return [f"{cell.value:.6f}", *ends, in_csv(notes)]


# -- LaTeX --------------------------------------------------------------------------------------------


def in_latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in flat(text))


def latex(board: Leaderboard, title: str) -> str:
    """A table for each family, with booktabs. Needs UTF-8 and T1 fonts, as every LaTeX of today has."""
    legend = board.legend
    lines = ["% needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}"]
    for family, columns in board.families.items():
        rows = [row for row in board.rows if any(board.cell(row, column) for column in columns)]
        own = {note: letter for note, letter in legend.items() if _used(board, columns, note)}
        width = len(columns)
        lines += [
            r"\begin{table}", r"\centering", rf"\begin{{tabular}}{{l{'r' * width}}}", r"\toprule",
            rf" & \multicolumn{{{width}}}{{c}}{{{in_latex(family)}}} \\", rf"\cmidrule(lr){{2-{width + 1}}}",
            _latex_row(["Model", *(in_latex(column.check) + _raised(column.notes, own) for column in columns)]),
            _latex_row(["", *(rf"{{\scriptsize {in_latex(column.rules)}}}" for column in columns)]),
            _latex_row(["", *(rf"{{\scriptsize {in_latex(column.metric)}}}" for column in columns)]),
            r"\midrule",
        ]  # fmt: skip
        for row in rows:
            kind = "" if row.kind == "model" else f" ({row.kind})"
            cells = [_latex_cell(board.cell(row, column), own) for column in columns]
            lines.append(_latex_row([in_latex(row.name + kind), *cells]))
        notes = [rf"\textsuperscript{{{letter}}} {in_latex(note)}." for note, letter in own.items()]
        said = ["Percent, with 95\\,\\% intervals; bold: " + in_latex(BEST) + ".", *notes]
        caption = rf"\caption{{{in_latex(title)}: {in_latex(family)}. {' '.join(said)}}}"
        lines += [r"\bottomrule", r"\end{tabular}", caption, r"\end{table}", ""]
    return "\n".join(lines)


def _used(board: Leaderboard, columns: Sequence[Column], note: str) -> bool:
    cells = (board.cell(row, column) for row in board.rows for column in columns)
    return any(note in column.notes for column in columns) or any(note in cell.notes for cell in cells if cell)


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _raised(notes: Sequence[str], legend: dict[str, str]) -> str:
    return rf"\textsuperscript{{{','.join(legend[note] for note in notes)}}}" if notes else ""


def _latex_cell(cell: Cell | None, legend: dict[str, str]) -> str:
    if cell is None:
        return "--"
    value = f"{100 * cell.value:.1f}"
    value = rf"\textbf{{{value}}}" if cell.best else value
    between = rf" {{\scriptsize [{in_latex(interval(cell))}]}}" if cell.low is not None else ""
    return value + _raised(cell.notes, legend) + between
